package http2

import (
	"errors"
	"testing"
)

// TestFrame_Check has frames of every type, on stream 0 and on another, with payloads of all lengths up to 20 octets: what
// RFC 9113, Section 6 permits of them, said once more in another form.
func TestFrame_Check(t *testing.T) {
	every := func(int) bool { return true }
	only := func(length int) func(int) bool { return func(n int) bool { return n == length } }
	for kind, want := range map[frameType]struct {
		onStream0, onStream bool
		length              func(int) bool
	}{
		frameData:         {false, true, every},
		frameHeaders:      {true, true, every}, // judged by the role
		framePriority:     {false, true, only(5)},
		frameRSTStream:    {false, true, only(4)},
		frameSettings:     {true, false, func(n int) bool { return n%6 == 0 }},
		framePushPromise:  {true, true, every}, // never permitted
		framePing:         {true, false, only(8)},
		frameGoAway:       {true, false, func(n int) bool { return n >= 8 }},
		frameWindowUpdate: {true, true, only(4)},
		frameContinuation: {true, true, every}, // judged by the HEADERS frame before
		0xa:               {true, true, every},
		0xff:              {true, true, every},
	} {
		for n := range 21 {
			for id, permitted := range []bool{want.onStream0, want.onStream} {
				f := frame{kind: kind, streamID: uint32(id), payload: make([]byte, n)}
				err := f.check()
				if (err == nil) != (permitted && want.length(n)) {
					t.Errorf("type %d, stream %d, %d octets: %v", kind, id, n, err)
				}
				if onlyStream := (StreamError{}); errors.As(err, &onlyStream) && kind != framePriority {
					t.Errorf("type %d: %v", kind, err)
				}
			}
		}
	}
	if len(frameRules) != 10 {
		t.Errorf("there are rules for %d types of frames", len(frameRules))
	}
	ack := frame{kind: frameSettings, flags: flagAck}
	if err := ack.check(); err != nil {
		t.Errorf("an acknowledgement: %v", err)
	}
	ack.payload = make([]byte, 6)
	if err := ack.check(); err == nil {
		t.Error("an acknowledgement has a payload")
	}
}
