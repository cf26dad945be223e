package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/gogreeter/gogreeter/bench/internal/line"
	"github.com/gogreeter/gogreeter/example/helloworld"
)

// lineDelay is how long an octet takes from one end of the line to the other.
const lineDelay = 25 * time.Millisecond

// laterUploads is how many uploads follow the first on a connection; their median counts.
const laterUploads = 5

// overLine is a scenario in which grpc-go's client uploads over a line with a delay, and waits for the answer.
func overLine(name string, upload func(client *grpc.ClientConn) error) scenario {
	measure := func(b *bench, c contender, s scenario) (sample, error) { return measureLine(b, c, s, upload) }
	return scenario{name: name, group: overALine, measure: measure, with: []string{gogreeter, grpcGo}}
}

// measureLine takes the time of the first upload on a connection, for which the server's windows are small, and that of later ones.
func measureLine(b *bench, c contender, s scenario, upload func(client *grpc.ClientConn) error) (one sample, err error) {
	server, err := b.start(c, s)
	if err != nil {
		return sample{}, err
	}
	defer server.Stop()
	address, end, err := line.Delay(server.Address, lineDelay)
	if err != nil {
		return sample{}, err
	}
	defer end()
	client, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return sample{}, err
	}
	defer client.Close()
	if err := sayHelloOver(client, "Ada"); err != nil { // connects
		return sample{}, err
	}
	var times []time.Duration
	for range 1 + laterUploads {
		start := time.Now()
		if err := upload(client); err != nil {
			return sample{}, err
		}
		times = append(times, time.Since(start))
	}
	later := slices.Sorted(slices.Values(times[1:]))
	return sample{First: times[0], Later: later[len(later)/2]}, nil
}

// stream uploads a number of messages with a name of some octets, on one stream.
func stream(messages, octets int) func(client *grpc.ClientConn) error {
	request := &helloworld.HelloRequest{Name: strings.Repeat("x", octets)}
	return func(client *grpc.ClientConn) error {
		st, err := client.NewStream(context.Background(), &grpc.StreamDesc{ClientStreams: true}, collect)
		if err != nil {
			return err
		}
		for range messages {
			if err := st.SendMsg(request); err != nil {
				return err
			}
		}
		if err := st.CloseSend(); err != nil {
			return err
		}
		reply := new(helloworld.HelloReply)
		if err := st.RecvMsg(reply); err != nil {
			return err
		}
		if want := fmt.Sprintf("Hello, %d names of %d octets!", messages, messages*octets); reply.GetMessage() != want {
			return fmt.Errorf("the reply is %q, want %q", reply.GetMessage(), want)
		}
		return nil
	}
}

// callsAtOnce makes a number of unary calls at once, whose requests have a name of some octets.
func callsAtOnce(n, octets int) func(client *grpc.ClientConn) error {
	name := strings.Repeat("x", octets)
	return func(client *grpc.ClientConn) error {
		results := make(chan error, n)
		for range n {
			go func() { results <- sayHelloOver(client, name) }()
		}
		var err error
		for range n {
			if one := <-results; one != nil {
				err = one
			}
		}
		return err
	}
}

func sayHelloOver(client *grpc.ClientConn, name string) error {
	return client.Invoke(context.Background(), sayHello, &helloworld.HelloRequest{Name: name}, new(helloworld.HelloReply))
}

func first(one sample) float64 { return float64(one.First) }
func later(one sample) float64 { return float64(one.Later) }

// lineBars are for each scenario: the first upload on a connection, and later ones.
func lineBars(scenario string) []bar {
	figure := func(figure func(sample) float64) func(r *results) (float64, bool) {
		return func(r *results) (float64, bool) {
			ratio, ok := r.ratio(scenario, grpcGo, gogreeter, figure)
			return 1 / ratio, ok
		}
	}
	return []bar{
		{what: "time, " + scenario + ", the first, next to grpc-go's", figure: figure(first), limit: 1, format: times},
		{what: "time, " + scenario + ", later, next to grpc-go's", figure: figure(later), limit: 1, format: times},
	}
}

// writeLines writes the table of uploads over a line.
func (r *results) writeLines(w *strings.Builder) {
	rows := r.measured(overALine)
	if len(rows) == 0 {
		return
	}
	title := fmt.Sprintf("Time of uploads by grpc-go's client, over a line with a round trip of %v", 2*lineDelay)
	r.header(w, title, overALine, "upload", []string{"server", "the first on a connection", "", "later", ""})
	for _, s := range rows {
		for _, name := range r.present(rows) {
			fmt.Fprintf(w, "| %s | %s |", s.name, name)
			for _, figure := range []func(sample) float64{first, later} {
				value, ok := median(r, s.name, name, figure)
				ratio, compared := r.ratio(s.name, name, gogreeter, figure)
				fmt.Fprintf(w, " %s | %s |", dash(ok, time.Duration(value).Round(time.Millisecond).String()), dash(compared && name != gogreeter, times(ratio)))
			}
			fmt.Fprintln(w)
		}
	}
	fmt.Fprintln(w)
}
