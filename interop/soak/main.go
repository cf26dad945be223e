// Command soak keeps a server busy for a long time with everything that clients do, and then says whether anything has
// grown, and whether each call is accounted for.
//
//	go run ./soak -time 30m
//
// The server is this program again, as a process of its own (server.go). Sixteen clients of grpc-go, half of them with TLS,
// make calls of all cardinalities in small bursts at a bounded rate (calls.go): plain ones whose outcome is known, and
// disturbed ones that are cancelled, have a deadline that passes, or lose their connection. Every now and then all
// clients pause, and the server says what it holds: goroutines, heap after a garbage collection, resident memory, open
// descriptors (report.go). At the end the samples of the second fifth of the time are compared with those of the last,
// and the clients' count of each code with the server's Stats.
//
// It exits with 1 if something has grown, if a call is missing or was counted twice, or if the server wrote a log line.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

var (
	serving  = flag.Bool("serve", false, "be the server; used by the program itself")
	duration = flag.Duration("time", 30*time.Minute, "`time` to run")
	rate     = flag.Float64("rate", 2500, "`calls` per second, all clients together, as far as the machine can make them")
)

const (
	clients   = 16
	burst     = 8  // calls that a client has open at a time, at most
	perDial   = 50 // bursts on one connection, at most
	samples   = 20
	trimPause = 11 * time.Second // after which the server's warm goroutines have gone home
)

func main() {
	flag.Parse()
	run := soak
	if *serving {
		run = serve
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// soak runs the clients against a server of their own.
func soak() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	server, err := startServer(ctx)
	if err != nil {
		return err
	}
	defer server.command.Process.Kill()
	s := &soaking{server: server, sent: newTally()}
	if err := s.run(ctx); err != nil {
		return err
	}
	last, err := server.settled()
	if err != nil {
		return err
	}
	report := s.judge(last)
	report = append(report, server.stop()...)
	if len(report) > 0 {
		for _, line := range report {
			fmt.Println("FAIL:", line)
		}
		return fmt.Errorf("%d things are not as they should be", len(report))
	}
	fmt.Println("ok: nothing has grown, and every call is accounted for")
	return nil
}

// soaking is one run.
type soaking struct {
	server  *server
	sent    *tally
	pause   sync.RWMutex // held for reading during a burst, for writing while everything pauses
	samples []sample
}

// run has the clients call until the time is over, and takes samples meanwhile.
func (s *soaking) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, *duration)
	defer cancel()
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() { s.client(ctx, i) })
	}
	began := time.Now()
	every := *duration / samples
	settle := min(trimPause, every/4)
	for i := range samples {
		select {
		case <-time.After(time.Until(began.Add(time.Duration(i+1)*every - settle))):
		case <-ctx.Done():
		}
		s.pause.Lock()
		time.Sleep(settle)
		now, err := s.server.settled()
		s.pause.Unlock()
		if err != nil {
			cancel()
			wg.Wait()
			return err
		}
		now.after = time.Since(began).Round(time.Second)
		s.samples = append(s.samples, now)
		fmt.Println(now)
	}
	cancel()
	wg.Wait()
	return nil
}

// client makes bursts of calls on one connection after another.
func (s *soaking) client(ctx context.Context, number int) {
	random := rand.New(rand.NewPCG(uint64(number), 1))
	perSecond := *rate / clients
	next := time.Now() // when the next burst is due
	for ctx.Err() == nil {
		c := dial(s.server, number%2 == 1, s.sent)
		for range 1 + random.IntN(perDial) {
			if ctx.Err() != nil || c.killed {
				break
			}
			calls := 1 + random.IntN(burst)
			s.pause.RLock()
			c.burst(random, calls)
			s.pause.RUnlock()
			next = next.Add(time.Duration(random.ExpFloat64() * float64(calls) / perSecond * float64(time.Second)))
			if late := time.Since(next); late > time.Second {
				next = next.Add(late) // everything paused, or the machine cannot make more
			}
			time.Sleep(time.Until(next))
		}
		s.pause.RLock()
		c.close()
		s.pause.RUnlock()
	}
}
