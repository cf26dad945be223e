package attack

import (
	"context"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/gogreeter/gogreeter/runtime/internal/fields"
	"github.com/gogreeter/gogreeter/runtime/internal/protocol"
	"github.com/gogreeter/gogreeter/runtime/internal/wire"
)

// The victim speaks other protocols than gRPC too: one that answers by itself, and one whose RPCs have their status in the content.
const (
	pageType = "text/page"
	webType  = "application/web"
)

// others is the victim's protocol.
var others = &protocol.Protocol{Route: func(request *fields.Section) *protocol.Route {
	i := slices.IndexFunc(request.Fields, func(f fields.Field) bool { return f.Name == "content-type" })
	switch serve := pages[request.Path]; {
	case i < 0:
		return nil
	case request.Fields[i].Value == pageType && serve != nil:
		return &protocol.Route{Serve: serve}
	case request.Fields[i].Value == webType:
		call := *request
		call.Fields = slices.Clone(request.Fields)
		call.Fields[i].Value = "application/grpc"
		return &protocol.Route{RPC: &call, Codec: web{}}
	}
	return nil
}}

var pages = map[string]func(ctx context.Context, s protocol.Stream){
	"/page/hello": func(_ context.Context, s protocol.Stream) { io.WriteString(s, "hello"); s.End() },
	"/page/wait":  func(ctx context.Context, _ protocol.Stream) { <-ctx.Done() },
	"/page/drain": func(_ context.Context, s protocol.Stream) { copyTo(io.Discard, s) },
	"/page/copy":  func(_ context.Context, s protocol.Stream) { copyTo(s, s) },
	"/page/large": func(_ context.Context, s protocol.Stream) { s.Write(large.Data); s.End() },
}

// copyTo copies content, in a buffer that does not count: that of io.Copy would be what most is held for.
func copyTo(w io.Writer, s protocol.Stream) {
	io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{s}, make([]byte, 512))
	s.End()
}

// web is gRPC's content with the status behind it.
type web struct{}

func (web) DecodeContent(content []byte, _ bool, feed func(messages ...[]byte)) error {
	feed(content)
	return nil
}

func (web) EncodeHead(_ string, metadata iter.Seq2[string, string]) []byte {
	block := fields.AppendField(fields.AppendStatus(nil, 200), "content-type", webType)
	for name, value := range metadata {
		block = fields.AppendField(block, name, value)
	}
	return block
}

func (web) EncodeMessage(message []byte) []byte { return message }

func (web) EncodeEnd(status wire.Status, message []byte, metadata iter.Seq2[string, string]) protocol.End {
	content := fmt.Appendf(message, "grpc-status: %d\r\ngrpc-message: %s\r\n", status.Code, status.Message)
	for name, value := range metadata {
		content = fmt.Appendf(content, "%s: %s\r\n", name, value)
	}
	return protocol.End{Content: content}
}

// otherProtocols are requests that are not gRPC's. They may hold no more than those of gRPC.
func otherProtocols() (cases []amplification) {
	page, call := []line{{Name: "content-type", Value: pageType}}, []line{{Name: "content-type", Value: webType}}
	for _, m := range manners {
		add := func(name string, g gene) {
			cases = append(cases, amplification{"other protocols", name + ", " + m.name, m.in(g)})
		}
		for _, path := range []string{"hello", "wait", "drain", "copy", "large"} {
			add("pages: "+path, gene{Times: crew, Method: "/page/" + path, Fields: page, Vary: true})
			add("pages: "+path+", open", gene{Times: crew, Method: "/page/" + path, Fields: page, End: open})
			add("pages: "+path+", reset", gene{Times: crew, Method: "/page/" + path, Fields: page, End: aborted})
			add("pages: "+path+", content that fills the window", gene{Times: crew, Method: "/page/" + path, Fields: page, Content: content{Count: 1, Size: 65_500}, End: open})
			if path != "hello" && path != "large" {
				byOne := content{Count: 1, Size: 60_000, Frame: 1}
				add("pages: "+path+", content in frames of one octet", gene{Times: 8, Method: "/page/" + path, Fields: page, Content: byOne, End: open})
			}
		}
		long := append(slices.Clone(page), line{Name: "x", Value: "v", Size: longName}, line{Name: "y", Value: "v", Size: longName})
		add("pages: wait, with long fields", gene{Times: crew, Method: "/page/wait", Fields: long, Vary: true})
		many := append(slices.Clone(call), line{Name: "x", Value: "", Times: 240})
		add("calls of Wait with 240 fields", gene{Times: crew, Method: ours("Wait"), Fields: many, Content: content{Count: 1}})
		for _, method := range []string{"Echo", "Wait", "Read", "Chat", "Deaf"} {
			add("calls of "+method, gene{Times: crew, Method: ours(method), Fields: call, Content: content{Count: 1}, Vary: true})
			add("calls of "+method+" without a message", gene{Times: crew, Method: ours(method), Fields: call})
			add("calls of "+method+" that are reset", gene{Times: crew, Method: ours(method), Fields: call, Content: content{Count: 1}, End: aborted})
			add("calls of "+method+", one octet short", gene{Times: crew, Method: ours(method), Fields: call, Content: content{Count: 1, Size: 4 << 20, Short: 1}, End: open})
			add("calls of "+method+", small messages", gene{Times: 100, Method: ours(method), Fields: call, Content: content{Count: 5000, Size: 1}, End: open})
		}
		for _, method := range answering {
			if m.window > 0 { // is the same as for gRPC, and takes its time
				break
			}
			add("calls of "+method, gene{Times: crew, Method: ours(method), Fields: call, Content: content{Count: 1}})
		}
	}
	return cases
}
