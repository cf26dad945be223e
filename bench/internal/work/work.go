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

// Echo begins a name that is greeted whole, however long it is.
const Echo = "echo "

// SayHello answers one request.
func SayHello(request *helloworld.HelloRequest) *helloworld.HelloReply {
	name := request.GetName()
	switch {
	case name == SlowName:
		time.Sleep(SlowTime)
	case len(name) > 1<<10 && !strings.HasPrefix(name, Echo):
		name = fmt.Sprint(len(name), " octets") // a large request has a small reply
	}
	return &helloworld.HelloReply{Message: "Hello, " + name + "!"}
}

// Collection is what CollectHellos keeps of the requests.
type Collection struct{ Names, Octets int }

// Add takes a request.
func (c *Collection) Add(request *helloworld.HelloRequest) {
	c.Names++
	c.Octets += len(request.GetName())
}

// Reply greets all of them.
func (c *Collection) Reply() *helloworld.HelloReply {
	return &helloworld.HelloReply{Message: fmt.Sprintf("Hello, %d names of %d octets!", c.Names, c.Octets)}
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

// ManyService is a service with as many methods as wanted, all of which say hello.
const ManyService = "bench.Many"

// ManyMethod is the name of the i-th method.
func ManyMethod(i int) string { return fmt.Sprint("SayHello", i) }
