package frameload

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/gogreeter/gogreeter/bench/internal/frames"
)

// process takes whole frames, and returns what is left.
func (c *connection) process(b []byte) (rest []byte, err error) {
	for {
		f, rest, ok := frames.Next(b)
		if !ok {
			break
		}
		if err := c.processFrame(f); err != nil {
			return nil, err
		}
		b = rest
	}
	if c.credit > 1<<24 {
		c.out = frames.AppendCredit(c.out, c.credit)
		c.credit = 0
	}
	c.sendStalled()
	return b, nil
}

func (c *connection) processFrame(f frames.Frame) error {
	switch f.Kind {
	case frames.Settings:
		c.settings(f.Flags, f.Payload)
	case frames.Ping:
		if f.Flags&frames.Ack == 0 {
			c.frame(frames.Ping, frames.Ack, 0, f.Payload)
		}
	case frames.WindowUpdate:
		increment := int(binary.BigEndian.Uint32(f.Payload))
		if f.ID == 0 {
			c.window += increment
		} else if ln := c.lanes[f.ID]; ln != nil {
			ln.window += increment
		}
	case frames.Data:
		c.credit += len(f.Payload)
		return c.response(c.lanes[f.ID], f.Payload)
	case frames.Headers:
		c.status = ""
		if _, err := c.decoder.Write(f.Payload); err != nil {
			return err
		}
		if f.Flags&frames.EndStream != 0 {
			return c.ended(f.ID)
		}
	case frames.RSTStream:
		// NO_ERROR says that the rest of a request is not needed (RFC 9113, Section 8.1): the response has come.
		if c.lanes[f.ID] != nil || binary.BigEndian.Uint32(f.Payload) != 0 {
			return fmt.Errorf("the server reset stream %d: %x", f.ID, f.Payload)
		}
	case frames.GoAway:
		return fmt.Errorf("the server sent GOAWAY: %x", f.Payload)
	}
	return nil
}

// settings takes the server's settings, or its acknowledgment of ours.
func (c *connection) settings(flags byte, payload []byte) {
	if flags&frames.Ack != 0 {
		c.acknowledged = true
		return
	}
	for ; len(payload) >= 6; payload = payload[6:] {
		if binary.BigEndian.Uint16(payload) != frames.InitialWindowSize {
			continue
		}
		size := int(binary.BigEndian.Uint32(payload[2:]))
		for _, ln := range c.lanes {
			ln.window += size - c.initialWindow
		}
		c.initialWindow = size
	}
	c.frame(frames.Settings, frames.Ack, 0, nil)
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
