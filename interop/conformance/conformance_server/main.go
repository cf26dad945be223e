// Command conformance_server is the server under test of connectrpc.com/conformance. It reads a ServerCompatRequest
// from standard input, serves conformance.v1.ConformanceService as it says, and writes a ServerCompatResponse to
// standard output. Each of the two is preceded by its length, four octets in network byte order.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"google.golang.org/protobuf/proto"

	pb "github.com/gogreeter/gogreeter/interop/conformance/conformancepb"
	"github.com/gogreeter/gogreeter/runtime"
)

// maxRequestBytes bounds what is taken for a ServerCompatRequest.
const maxRequestBytes = 1 << 20

var workers = flag.Int("workers", 0, "how many handlers run at a time; 0 is no bound")

func main() {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "conformance_server:", err)
		os.Exit(1)
	}
}

// serve returns once ctx is done.
func serve(ctx context.Context, in io.Reader, out io.Writer) error {
	request := &pb.ServerCompatRequest{}
	if err := read(in, request); err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	server := runtime.NewServer(runtime.ServerOptions{
		// The suite takes what a server writes for a complaint, and sends much that is worth one.
		Logger:                 slog.New(slog.DiscardHandler),
		Grace:                  -1,
		Workers:                *workers,
		MaxReceiveMessageBytes: int(request.GetMessageReceiveLimit()), // 0: the default
	})
	if err := pb.AddConformanceServiceToServer(servicer{}, server); err != nil {
		return err
	}
	port, err := addPort(server, request)
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	response := &pb.ServerCompatResponse{Host: "127.0.0.1", Port: uint32(port), PemCert: request.GetServerCreds().GetCert()}
	if err := write(out, response); err != nil {
		return err
	}
	<-ctx.Done()
	<-server.Stop(0)
	return nil
}

func addPort(server *runtime.Server, request *pb.ServerCompatRequest) (port int, err error) {
	if !request.GetUseTls() {
		return server.AddInsecurePort("127.0.0.1:0")
	}
	credentials := request.GetServerCreds()
	certificate, err := tls.X509KeyPair(credentials.GetCert(), credentials.GetKey())
	if err != nil {
		return 0, err
	}
	config := &tls.Config{Certificates: []tls.Certificate{certificate}}
	if trusted := request.GetClientTlsCert(); len(trusted) > 0 {
		config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		if !config.ClientCAs.AppendCertsFromPEM(trusted) {
			return 0, errors.New("the client's certificate is no PEM")
		}
	}
	return server.AddSecurePort("127.0.0.1:0", config)
}

func read(in io.Reader, message proto.Message) error {
	var length uint32
	if err := binary.Read(in, binary.BigEndian, &length); err != nil {
		return err
	}
	if length > maxRequestBytes {
		return fmt.Errorf("it has %d octets", length)
	}
	octets := make([]byte, length)
	if _, err := io.ReadFull(in, octets); err != nil {
		return err
	}
	return proto.Unmarshal(octets, message)
}

func write(out io.Writer, message proto.Message) error {
	octets, err := proto.Marshal(message)
	if err != nil {
		return err
	}
	_, err = out.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(octets))), octets...))
	return err
}
