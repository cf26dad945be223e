package runtime

import (
	"encoding/binary"
	"errors"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"
)

// vtNumber is a message as protoc-gen-go-vtproto generates them: it encodes itself from the end.
type vtNumber struct{ n uint32 }

func (v *vtNumber) SizeVT() int { return 4 }

func (v *vtNumber) MarshalToSizedBufferVT(data []byte) (int, error) {
	binary.BigEndian.PutUint32(data[len(data)-4:], v.n)
	return 4, nil
}

func (v *vtNumber) UnmarshalVT(data []byte) error {
	if len(data) != 4 {
		return errors.New("not four octets")
	}
	v.n = binary.BigEndian.Uint32(data)
	return nil
}

func TestCodecFor_Messages(t *testing.T) {
	for _, tt := range []struct {
		name    string
		message any
		encoded string
		empty   any
	}{
		{"protobuf", wrapperspb.String("Ada"), "\n\x03Ada", new(wrapperspb.StringValue)},
		{"vtproto", &vtNumber{258}, "\x00\x00\x01\x02", new(vtNumber)},
		{"raw", &RawMessage{[]byte("Ada")}, "Ada", new(RawMessage)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := codecFor(tt.message)
			if err != nil {
				t.Fatal(err)
			}
			if got := c.size(tt.message); got != len(tt.encoded) {
				t.Errorf("size is %d; want %d", got, len(tt.encoded))
			}
			b, err := c.append([]byte("before"), tt.message)
			if err != nil || string(b) != "before"+tt.encoded {
				t.Fatalf("append gives %q, %v; want %q", b, err, "before"+tt.encoded)
			}
			if _, err := c.decode([]byte(tt.encoded), tt.empty); err != nil {
				t.Fatal(err)
			}
			if again, _ := c.append(nil, tt.empty); string(again) != tt.encoded {
				t.Errorf("decoded, it encodes to %q; want %q", again, tt.encoded)
			}
		})
	}
	if _, err := codecFor(new(int)); err == nil {
		t.Error("*int is taken for a message")
	}
}
