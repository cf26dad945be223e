package runtime

import (
	"fmt"

	"google.golang.org/protobuf/proto"
)

// RawMessage is a message that is not decoded: its octets as they are on the wire, without compression. A method
// handler of raw messages takes any method, as a handler without serializers does in grpc-python.
type RawMessage struct {
	// Data is the receiver's own.
	Data []byte
}

// codec turns messages of one Go type into octets and back. The values it is given are pointers to that type.
type codec struct {
	// size returns how long the encoded message is. append has to follow, before the message can change.
	size func(message any) int

	// append appends the encoded message to b.
	append func(b []byte, message any) ([]byte, error)

	// decode fills message from data, and reports whether it keeps data.
	decode func(data []byte, message any) (kept bool, err error)
}

var (
	protoCodec = &codec{
		size: func(message any) int { return proto.Size(message.(proto.Message)) },
		append: func(b []byte, message any) ([]byte, error) {
			return proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(b, message.(proto.Message))
		},
		decode: func(data []byte, message any) (bool, error) {
			return false, proto.Unmarshal(data, message.(proto.Message))
		},
	}
	rawCodec = &codec{
		size:   func(message any) int { return len(message.(*RawMessage).Data) },
		append: func(b []byte, message any) ([]byte, error) { return append(b, message.(*RawMessage).Data...), nil },
		decode: func(data []byte, message any) (bool, error) {
			message.(*RawMessage).Data = data
			return true, nil
		},
	}
)

// codecOf returns the codec of messages of type *T.
func codecOf[T any]() (*codec, error) { return codecFor((*T)(nil)) }

// codecFor returns the codec of a message, which is a pointer.
func codecFor(message any) (*codec, error) {
	switch message.(type) {
	case *RawMessage:
		return rawCodec, nil
	case proto.Message:
		return protoCodec, nil
	}
	return nil, fmt.Errorf("type %T is neither a protobuf message nor *runtime.RawMessage", message)
}
