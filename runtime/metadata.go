package runtime

import "context"

// Pair is one entry of [Metadata].
type Pair struct {
	Key   string
	Value string
}

// Metadata is an ordered list of key-value pairs; a key may occur more than once.
type Metadata []Pair

func InvocationMetadata(ctx context.Context) Metadata            { panic("TODO") }
func SendInitialMetadata(ctx context.Context, md Metadata) error { panic("TODO") }
func SetTrailingMetadata(ctx context.Context, md Metadata) error { panic("TODO") }
func Method(ctx context.Context) string                          { panic("TODO") }
