package main

import (
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gogreeter/gogreeter/example/helloworld"
)

// A servicer is an ordinary value with ordinary methods: its tests need no server and no connection.

func TestGreeter_SaysHello(t *testing.T) {
	reply, err := new(greeter).SayHello(t.Context(), &helloworld.HelloRequest{Name: "Ada"})
	if err != nil || reply.GetMessage() != "Hello, Ada!" {
		t.Errorf("SayHello(Ada) = %v, %v; want Hello, Ada!", reply, err)
	}
}

func TestGreeter_Works_UntilNobodyWaits(t *testing.T) {
	cases := []struct {
		name     string
		delay    time.Duration
		deadline time.Duration
		took     time.Duration // on a clock that costs no time
		err      error
	}{
		{"in time", time.Second, time.Minute, time.Second, nil},
		{"too slow", time.Hour, time.Minute, time.Minute, context.DeadlineExceeded},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), c.deadline)
				defer cancel()
				start := time.Now()
				_, err := (&greeter{delay: c.delay}).SayHello(ctx, &helloworld.HelloRequest{})
				if took := time.Since(start); !errors.Is(err, c.err) || took != c.took {
					t.Errorf("SayHello took %v and returned %v, want %v and %v", took, err, c.took, c.err)
				}
			})
		})
	}
}

func TestGreeter_CollectsHellos(t *testing.T) {
	cases := []struct {
		names []string
		want  string
	}{
		{nil, "Hello, !"},
		{[]string{"Ada"}, "Hello, Ada!"},
		{[]string{"Ada", "Grace"}, "Hello, Ada and Grace!"},
		{[]string{"Ada", "Grace", "Barbara"}, "Hello, Ada, Grace and Barbara!"},
	}
	for _, c := range cases {
		reply, err := new(greeter).CollectHellos(t.Context(), &requestList{names: c.names})
		if err != nil || reply.GetMessage() != c.want {
			t.Errorf("CollectHellos(%q) = %v, %v; want %s", c.names, reply, err, c.want)
		}
	}
}

func TestGreeter_ReturnsError_ThatEndedTheRequests(t *testing.T) {
	broken := errors.New("broken off")
	requests := &requestList{names: []string{"Ada"}, end: broken}
	if _, err := new(greeter).CollectHellos(t.Context(), requests); !errors.Is(err, broken) {
		t.Errorf("CollectHellos returned %v, want %v", err, broken)
	}
}

func TestGreeter_GreetsEach_AsTheyCome(t *testing.T) {
	var replies replyList
	err := new(greeter).SayHelloBidiStream(t.Context(), &requestList{names: []string{"Ada", "Grace"}}, &replies)
	if want := (replyList{"Hello, Ada!", "Hello, Grace!"}); err != nil || !slices.Equal(replies, want) {
		t.Errorf("SayHelloBidiStream sent %q, %v; want %q", replies, err, want)
	}
}

// requestList is a request iterator over names.
type requestList struct {
	names []string
	end   error // comes after the names, instead of io.EOF
}

func (l *requestList) Next() (*helloworld.HelloRequest, error) {
	if len(l.names) == 0 {
		if l.end != nil {
			return nil, l.end
		}
		return nil, io.EOF
	}
	name := l.names[0]
	l.names = l.names[1:]
	return &helloworld.HelloRequest{Name: name}, nil
}

func (l *requestList) All() iter.Seq2[*helloworld.HelloRequest, error] {
	return func(yield func(*helloworld.HelloRequest, error) bool) {
		for {
			request, err := l.Next()
			if errors.Is(err, io.EOF) || !yield(request, err) || err != nil {
				return
			}
		}
	}
}

// replyList is a response stream that keeps the messages.
type replyList []string

func (l *replyList) Send(reply *helloworld.HelloReply) error {
	*l = append(*l, reply.GetMessage())
	return nil
}
