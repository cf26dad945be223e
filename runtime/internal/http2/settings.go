package http2

import (
	"encoding/binary"
	"math"

	"github.com/gogreeter/gogreeter/runtime/internal/clock"
)

// processSettings processes SETTINGS (RFC 9113, Section 6.5).
func (c *Conn) processSettings(f frame) error {
	if f.has(flagAck) {
		if c.in.preface < prefaceDone {
			return ConnError{ErrCodeProtocol, "the first SETTINGS is an acknowledgement"}
		}
		if c.acknowledged() {
			c.watchWindows(stuckAfter)
		}
		return nil
	}
	if !c.in.floods.takeControl() || len(f.payload) > 6*maxSettings {
		return ConnError{ErrCodeEnhanceYourCalm, "too many SETTINGS"}
	}
	if err := c.applySettings(f.payload); err != nil {
		return err
	}
	c.FlushAfterBatch()
	c.role.afterSettings()
	return nil
}

// applySettings applies the parameters of a SETTINGS frame, and acknowledges it.
func (c *Conn) applySettings(p []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.in.preface < prefaceDone {
		c.in.preface = prefaceDone
		c.watchLocked(clock.Now())
	}
	for ; len(p) > 0; p = p[6:] {
		if err := c.applySettingLocked(binary.BigEndian.Uint16(p), binary.BigEndian.Uint32(p[2:])); err != nil {
			return err
		}
	}
	c.appendControlLocked(appendSettingsAck(c.out.buf))
	return nil
}

// maxSettings is how many parameters one SETTINGS frame may carry; HTTP/2 and its extensions define under a dozen
// (CVE-2020-11080).
const maxSettings = 64

// applySettingLocked applies one parameter. SETTINGS_ENABLE_PUSH needs nothing since we do not push. A server that sends 1 has
// no business to, and does no harm.
func (c *Conn) applySettingLocked(id uint16, value uint32) error {
	switch id {
	case settingHeaderTableSize:
		c.out.tableReduced = c.out.tableReduced || value < c.out.tableSize
		c.out.tableSize = value
	case settingEnablePush:
		if value > 1 {
			return ConnError{ErrCodeProtocol, "SETTINGS_ENABLE_PUSH is neither 0 nor 1"}
		}
	case settingMaxConcurrentStreams:
		c.streams.limit = value
	case settingMaxHeaderListSize:
		c.peerMaxList.Store(min(value, math.MaxInt32))
	case settingMaxFrameSize:
		if value < minMaxFrameSize || value > maxMaxFrameSize {
			return ConnError{ErrCodeProtocol, "SETTINGS_MAX_FRAME_SIZE is out of range"}
		}
	case settingInitialWindowSize:
		if value > maxWindow {
			return ConnError{ErrCodeFlowControl, "SETTINGS_INITIAL_WINDOW_SIZE is out of range"}
		}
		return c.setPeerWindowLocked(int32(value))
	}
	return nil
}

// setPeerWindowLocked applies a new SETTINGS_INITIAL_WINDOW_SIZE, which changes the windows of all streams by the
// difference (RFC 9113, Section 6.9.2). Each stream's window is kept as a difference to it.
func (c *Conn) setPeerWindowLocked(window int32) error {
	grown := window > c.out.peerWindow
	c.out.peerWindow = window
	if !grown {
		return nil
	}
	for _, st := range c.streams.open {
		if !c.out.open(&st.sender, 0) {
			return ConnError{ErrCodeFlowControl, "a stream's window overflows"}
		}
	}
	c.FlushAfterBatch()
	return nil
}
