// Package work is what the methods of the servers under measurement do, so that what differs is the server around it.
package work

import (
	"fmt"
	"strings"
	"time"

	"github.com/gogreeter/gogreeter/example/helloworld"
)

// SlowName is the name for which SayHello takes SlowTime.
const (
	SlowName = "slow"
	SlowTime = 10 * time.Millisecond
)

// SayHello answers one request.
func SayHello(request *helloworld.HelloRequest) *helloworld.HelloReply {
	name := request.GetName()
	switch {
	case name == SlowName:
		time.Sleep(SlowTime)
	case len(name) > 1<<10:
		name = fmt.Sprint(len(name), " octets") // a large request has a small reply
	}
	return &helloworld.HelloReply{Message: "Hello, " + name + "!"}
}

// Replies reads a request for a stream of replies, which names their number and their size, and makes one.
func Replies(request *helloworld.HelloRequest) (n int, reply *helloworld.HelloReply, err error) {
	var size int
	if _, err := fmt.Sscanf(request.GetName(), "%d,%d", &n, &size); err != nil {
		return 0, nil, err
	}
	return n, &helloworld.HelloReply{Message: strings.Repeat("x", size)}, nil
}

// RepliesName is the name that asks for n replies of a size.
func RepliesName(n, size int) string { return fmt.Sprintf("%d,%d", n, size) }
