package runtime

import (
	"errors"
	"io"
	"iter"
)

// newMethodHandler returns a handler without behavior, and the codecs of its messages.
func newMethodHandler[Req, Res any](missing bool) (h *MethodHandler, requests, responses *codec) {
	h = &MethodHandler{}
	if missing {
		h.err = errors.New("its function is nil")
	}
	requests, err := codecOf[Req]()
	if err != nil {
		h.err = err
	}
	responses, err = codecOf[Res]()
	if err != nil {
		h.err = err
	}
	return h, requests, responses
}

// allRequests is the sequence of what Next returns.
func allRequests[Req any](it RequestIterator[Req]) iter.Seq2[*Req, error] {
	return func(yield func(*Req, error) bool) {
		for {
			request, err := it.Next()
			if err == io.EOF {
				return
			}
			if !yield(request, err) || err != nil {
				return
			}
		}
	}
}
