package frameload

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// process takes whole frames, and returns what is left.
func (c *connection) process(b []byte) (rest []byte, err error) {
	for len(b) >= 9 {
		length := int(b[0])<<16 | int(b[1])<<8 | int(b[2])
		if len(b) < 9+length {
			break
		}
		id := binary.BigEndian.Uint32(b[5:]) & largeWindow
		if err := c.processFrame(b[3], b[4], id, b[9:9+length]); err != nil {
			return nil, err
		}
		b = b[9+length:]
	}
	if c.credit > 1<<24 {
		c.frame(frameWindowUpdate, 0, 0, binary.BigEndian.AppendUint32(nil, uint32(c.credit)))
		c.credit = 0
	}
	c.sendStalled()
	return b, nil
}

func (c *connection) processFrame(kind, flags byte, id uint32, payload []byte) error {
	switch kind {
	case frameSettings:
		c.settings(flags, payload)
	case framePing:
		if flags&flagAck == 0 {
			c.frame(framePing, flagAck, 0, payload)
		}
	case frameWindowUpdate:
		increment := int(binary.BigEndian.Uint32(payload))
		if id == 0 {
			c.window += increment
		} else if ln := c.lanes[id]; ln != nil {
			ln.window += increment
		}
	case frameData:
		c.credit += len(payload)
		return c.response(c.lanes[id], payload)
	case frameHeaders:
		c.status = ""
		if _, err := c.decoder.Write(payload); err != nil {
			return err
		}
		if flags&flagEndStream != 0 {
			return c.ended(id)
		}
	case frameRSTStream:
		// NO_ERROR says that the rest of a request is not needed (RFC 9113, Section 8.1): the response has come.
		if c.lanes[id] != nil || binary.BigEndian.Uint32(payload) != 0 {
			return fmt.Errorf("the server reset stream %d: %x", id, payload)
		}
	case frameGoAway:
		return fmt.Errorf("the server sent GOAWAY: %x", payload)
	}
	return nil
}

// settings takes the server's settings, or its acknowledgment of ours.
func (c *connection) settings(flags byte, payload []byte) {
	if flags&flagAck != 0 {
		c.acknowledged = true
		return
	}
	for ; len(payload) >= 6; payload = payload[6:] {
		if binary.BigEndian.Uint16(payload) != settingInitialWindowSize {
			continue
		}
		size := int(binary.BigEndian.Uint32(payload[2:]))
		for _, ln := range c.lanes {
			ln.window += size - c.initialWindow
		}
		c.initialWindow = size
	}
	c.frame(frameSettings, flagAck, 0, nil)
}

// ended takes the end of a stream, and goes on with the lane if that has more unary RPCs.
func (c *connection) ended(id uint32) error {
	ln := c.lanes[id]
	delete(c.lanes, id)
	switch {
	case ln == nil:
		return fmt.Errorf("stream %d is not known", id)
	case c.status != "0":
		return fmt.Errorf("stream %d ended with grpc-status %q", id, c.status)
	case ln.missing > 0 || len(ln.prefix) > 0:
		return fmt.Errorf("stream %d ended in the middle of a message", id)
	case !bytes.Equal(ln.content, c.load.Reply):
		return fmt.Errorf("stream %d had the response %q, not %q", id, ln.content, c.load.Reply)
	case ln.slow, c.load.Unary && ln.rounds < c.load.Rounds:
		c.begin(ln)
		c.request(ln)
	default:
		c.open--
	}
	return nil
}

var errNotCompressed = errors.New("a response is not compressed")

// response takes content of a stream, and sends the lane's next request once the reply to the last is complete.
func (c *connection) response(ln *lane, content []byte) error {
	if ln == nil {
		return errors.New("DATA on a stream that is not known")
	}
	if ln.slow {
		return nil
	}
	if c.load.Reply != nil {
		ln.content = append(ln.content, content...)
	}
	for len(content) > 0 {
		if ln.missing == 0 {
			n := min(5-len(ln.prefix), len(content))
			ln.prefix = append(ln.prefix, content[:n]...)
			content = content[n:]
			if len(ln.prefix) < 5 {
				return nil
			}
			if c.load.Compressed && ln.prefix[0] != 1 {
				return errNotCompressed
			}
			ln.missing = int(binary.BigEndian.Uint32(ln.prefix[1:]))
			ln.prefix = ln.prefix[:0]
		}
		n := min(ln.missing, len(content))
		ln.missing -= n
		content = content[n:]
		if ln.missing > 0 {
			return nil
		}
		c.replied(ln)
	}
	return nil
}

// replied takes the end of a response.
func (c *connection) replied(ln *lane) {
	if c.load.Upload {
		return
	}
	c.result.Messages++
	if ln.replies++; ln.replies < c.load.Replies {
		return
	}
	ln.replies = 0
	if c.load.Replies == 1 && !c.load.Untimed {
		c.result.Waits = append(c.result.Waits, time.Since(ln.sent))
	}
	switch {
	case c.load.Unary:
	case ln.rounds < c.load.Rounds:
		c.request(ln)
	case c.load.Hold:
		c.open--
	}
}
