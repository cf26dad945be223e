package protocol_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"log"
	"net/http"
	"slices"
	"strings"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/internal/fields"
	"github.com/gogreeter/gogreeter/runtime/internal/protocol"
	"github.com/gogreeter/gogreeter/runtime/internal/wire"
)

// plain is an RPC with one request and one response, both of them bare: the content is the message.
type plain struct{ prefix []byte }

// route makes an RPC of each POST of text whose length is declared, and answers GET /hello by itself.
func route(request *fields.Section) *protocol.Route {
	switch {
	case request.Method == "GET" && request.Path == "/hello":
		return &protocol.Route{Serve: func(_ context.Context, s protocol.Stream) {
			s.Head(200, fields.Field{Name: "content-type", Value: "text/plain"})
			io.WriteString(s, "Hello!")
			s.End()
		}}
	case request.Method == "POST" && request.ContentLength >= 0:
		call := *request
		call.Fields = slices.Clone(request.Fields)
		for i := range call.Fields {
			if call.Fields[i].Name == "content-type" {
				call.Fields[i].Value = "application/grpc"
			}
		}
		return &protocol.Route{RPC: &call, Codec: &plain{wire.AppendPrefix(nil, false, int(request.ContentLength))}}
	}
	return nil
}

func (p *plain) DecodeContent(content []byte, _ bool, feed func(messages ...[]byte)) error {
	feed(p.prefix, content)
	p.prefix = nil
	return nil
}

// EncodeHead leaves the head to EncodeEnd, which knows the status. A real codec keeps the metadata until then.
func (p *plain) EncodeHead(string, iter.Seq2[string, string]) []byte { return nil }

func (p *plain) EncodeMessage(message []byte) []byte { return message[wire.PrefixLen:] }

func (p *plain) EncodeEnd(status wire.Status, message []byte, _ iter.Seq2[string, string]) protocol.End {
	if message == nil {
		return protocol.End{Head: fields.AppendStatus(nil, 500), Content: []byte(status.Code.String() + ": " + status.Message)}
	}
	return protocol.End{Head: fields.AppendStatus(nil, 200), Content: message[wire.PrefixLen:]}
}

// A protocol answers requests by itself, and makes RPCs of others, on a port where gRPC is served too.
func Example() {
	server := runtime.NewServer(runtime.ServerOptions{})
	shout := func(_ context.Context, request *runtime.RawMessage) (*runtime.RawMessage, error) {
		return &runtime.RawMessage{Data: bytes.ToUpper(request.Data)}, nil
	}
	if err := server.AddService(runtime.Service{
		Name: "example.Echo", Methods: map[string]*runtime.MethodHandler{"Shout": runtime.UnaryUnary(shout)},
	}); err != nil {
		log.Fatal(err)
	}
	protocol.Install(server, &protocol.Protocol{Route: route})
	port, err := server.AddInsecurePort("127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	if err := server.Start(); err != nil {
		log.Fatal(err)
	}
	defer func() { <-server.Stop(0) }()

	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	client, address := &http.Client{Transport: transport}, fmt.Sprintf("http://127.0.0.1:%d", port)
	show := func(response *http.Response, err error) {
		if err != nil {
			log.Fatal(err)
		}
		defer response.Body.Close()
		content, err := io.ReadAll(response.Body)
		fmt.Println(response.StatusCode, string(content), err)
	}
	show(client.Get(address + "/hello"))
	show(client.Post(address+"/example.Echo/Shout", "text/plain", strings.NewReader("who is there?")))
	show(client.Post(address+"/example.Echo/Whisper", "text/plain", strings.NewReader("nobody")))
	show(client.Get(address + "/none"))
	// Output:
	// 200 Hello! <nil>
	// 200 WHO IS THERE? <nil>
	// 500 Unimplemented: Method not found! <nil>
	// 405 gRPC requests are POST, not GET
	//  <nil>
}
