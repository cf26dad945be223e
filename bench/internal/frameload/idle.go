package frameload

import (
	"errors"
	"sync"
	"time"
)

// Idle are open connections on which nothing happens until they are told.
type Idle struct {
	mu          sync.Mutex
	connections []*connection
}

// dialers is how many connections are made at a time, fewer than any server's backlog.
const dialers = 32

// Open opens n connections to the server at address and exchanges settings on each. The connections there are stay,
// also if it fails.
func (i *Idle) Open(address string, n int) error {
	return inParallel(n, func(int) error {
		c, err := Load{}.dial(address)
		if err != nil {
			return err
		}
		i.mu.Lock()
		i.connections = append(i.connections, c)
		i.mu.Unlock()
		c.nc.SetDeadline(time.Now().Add(timeLimit))
		c.in = make([]byte, 1<<10)
		for !c.acknowledged {
			if err := c.turn(); err != nil {
				return err
			}
		}
		return c.flush()
	})
}

// Run puts a load on each of the connections, whose number is not the load's.
func (i *Idle) Run(l Load) error {
	return inParallel(len(i.connections), func(n int) error {
		c := i.connections[n]
		c.load = l
		_, err := c.run()
		if c.have == 0 {
			c.in = nil
		}
		return err
	})
}

// Close closes the connections.
func (i *Idle) Close() {
	for _, c := range i.connections {
		c.nc.Close()
	}
}

// inParallel calls f with 0 to n-1.
func inParallel(n int, f func(i int) error) error {
	errs := make([]error, dialers)
	var group sync.WaitGroup
	for d := range dialers {
		group.Go(func() {
			for i := d; i < n && errs[d] == nil; i += dialers {
				errs[d] = f(i)
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}
