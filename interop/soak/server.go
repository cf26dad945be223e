package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	goruntime "runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gogreeter/gogreeter/runtime"
)

// payload is the message of all methods.
type payload = wrapperspb.BytesValue

// hello is the server's first line.
type hello struct {
	Plain, Secure string // addresses
	Certificate   []byte
}

// serve is the server. For each line on stdin it writes a sample to stdout, and it ends when stdin does.
func serve() error {
	certificate, err := selfSigned()
	if err != nil {
		return err
	}
	observed := &watch{}
	server := runtime.NewServer(runtime.ServerOptions{Compression: runtime.Gzip, Observers: []runtime.Observer{observed}})
	if err := server.AddService(runtime.Service{Name: "soak.Soak", Methods: methods}); err != nil {
		return err
	}
	plain, err := server.AddInsecurePort("127.0.0.1:0")
	if err != nil {
		return err
	}
	secure, err := server.AddSecurePort("127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	address := func(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
	out.Encode(hello{address(plain), address(secure), certificate.Certificate[0]})
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if err := out.Encode(measure(server, observed)); err != nil {
			return err
		}
	}
	<-server.Stop(time.Second)
	return nil
}

// methods are the service soak.Soak. Slow waits until its RPC is over, if need be for ever.
var methods = map[string]*runtime.MethodHandler{
	"Echo":   runtime.UnaryUnary(func(_ context.Context, request *payload) (*payload, error) { return request, nil }),
	"Inline": runtime.UnaryUnary(func(_ context.Context, request *payload) (*payload, error) { return request, nil }).WithExecutor(runtime.Inline),
	"Fail": runtime.UnaryUnary(func(_ context.Context, request *payload) (*payload, error) {
		return nil, status.Error(codes.Code(request.GetValue()[0]), "as you wish")
	}),
	"Download": runtime.UnaryStream(func(_ context.Context, request *payload, responses runtime.ResponseStream[payload]) error {
		for range chunks {
			if err := responses.Send(request); err != nil {
				return err
			}
		}
		return nil
	}),
	"Upload": runtime.StreamUnary(func(_ context.Context, requests runtime.RequestIterator[payload]) (*payload, error) {
		n := 0
		for request, err := range requests.All() {
			if err != nil {
				return nil, err
			}
			n += len(request.GetValue())
		}
		return wrapperspb.Bytes([]byte(strconv.Itoa(n))), nil
	}),
	"Chat": runtime.StreamStream(chat),
	"Slow": runtime.StreamStream(func(ctx context.Context, requests runtime.RequestIterator[payload], responses runtime.ResponseStream[payload]) error {
		if err := chat(ctx, requests, responses); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	}),
}

func chat(_ context.Context, requests runtime.RequestIterator[payload], responses runtime.ResponseStream[payload]) error {
	for request, err := range requests.All() {
		if err != nil {
			return err
		}
		if err := responses.Send(request); err != nil {
			return err
		}
	}
	return nil
}

// sample is what the server holds at a moment, and what it has counted.
type sample struct {
	Goroutines, Descriptors int
	Heap, Resident          uint64 // octets
	Stats                   runtime.ServerStats
	Observed                observed

	after time.Duration
}

func (s sample) String() string {
	return fmt.Sprintf("after %6s: %4d goroutines, %3d descriptors, heap %6.2f MiB, resident %6.2f MiB; %d connections, %d of %d RPCs active",
		s.after, s.Goroutines, s.Descriptors, mib(s.Heap), mib(s.Resident), s.Stats.Connections, s.Stats.Active, total(s.Stats))
}

func mib(octets uint64) float64 { return float64(octets) / (1 << 20) }

// measure takes a sample, after a garbage collection.
func measure(server *runtime.Server, observed *watch) sample {
	goruntime.GC() // what the pools hold
	debug.FreeOSMemory()
	var memory goruntime.MemStats
	goruntime.ReadMemStats(&memory)
	s := sample{Goroutines: goruntime.NumGoroutine(), Heap: memory.HeapAlloc, Stats: server.Stats(), Observed: observed.read()}
	if descriptors, err := os.ReadDir("/proc/self/fd"); err == nil {
		s.Descriptors = len(descriptors)
	}
	if pages, err := os.ReadFile("/proc/self/statm"); err == nil {
		if fields := strings.Fields(string(pages)); len(fields) > 1 {
			n, _ := strconv.ParseUint(fields[1], 10, 64)
			s.Resident = n * uint64(os.Getpagesize())
		}
	}
	return s
}

func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(48 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// server is the server's process, as the clients' process sees it.
type server struct {
	hello
	pool    *x509.CertPool
	command *exec.Cmd
	in      io.WriteCloser
	out     *json.Decoder
	log     bytes.Buffer
}

// startServer starts this program as a server.
func startServer(ctx context.Context) (*server, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &server{command: exec.Command(program, "-serve"), pool: x509.NewCertPool()}
	s.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C is for the clients, who end the server
	s.command.Stderr = &s.log
	if s.in, err = s.command.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.out = json.NewDecoder(out)
	if err := s.command.Start(); err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { s.in.Close() })
	if err := s.out.Decode(&s.hello); err != nil {
		return nil, fmt.Errorf("the server did not say where it listens: %w", err)
	}
	certificate, err := x509.ParseCertificate(s.Certificate)
	if err != nil {
		return nil, err
	}
	s.pool.AddCert(certificate)
	return s, nil
}

// sample asks the server for a sample.
func (s *server) sample() (now sample, err error) {
	if _, err := s.in.Write([]byte("\n")); err != nil {
		return now, fmt.Errorf("the server has ended: %w", err)
	}
	if err := s.out.Decode(&now); err != nil {
		return now, fmt.Errorf("the server has ended: %w", err)
	}
	return now, nil
}

// inlineBlocks is what the server may say: on a machine that is busy with something else, it does not get back to an
// inline handler for so long that the handler seems to block.
const inlineBlocks = "An inline handler blocks"

// settled asks the server for samples until no RPC is active any more, or half a minute is over.
func (s *server) settled() (now sample, err error) {
	for range 300 {
		if now, err = s.sample(); err != nil || now.Stats.Active == 0 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	return now, err
}

// stop ends the server, and returns what is wrong with its end.
func (s *server) stop() (wrong []string) {
	s.in.Close()
	if err := s.command.Wait(); err != nil {
		wrong = append(wrong, "the server: "+err.Error())
	}
	for line := range strings.Lines(s.log.String()) {
		if !strings.Contains(line, inlineBlocks) {
			wrong = append(wrong, "the server has logged: "+strings.TrimSpace(line))
		}
	}
	return wrong
}
