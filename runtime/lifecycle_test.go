package runtime

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/ports"
)

// lifeStage is a stage, and what is left in it.
type lifeStage struct {
	stage              stage
	accepting, serving int
}

// lifeAt returns the life of a server in a stage. It has two ports, whose listeners are never asked for anything.
func lifeAt(t *testing.T, at lifeStage) (l *lifecycle, bound []*ports.Port) {
	t.Helper()
	l = newLifecycle(func() {})
	bound = []*ports.Port{ports.New(nil, nil), ports.New(nil, nil)}
	for _, p := range bound {
		_, err := l.add(p)
		check(t, err)
	}
	if at.stage == stopped {
		return l, bound
	}
	_, err := l.start()
	check(t, err)
	for range at.serving + 1 { // one more, so that it does not terminate on the way
		l.begin()
	}
	if at.stage == draining {
		l.drain()
	}
	if at.stage >= grace {
		l.stop(time.Hour)
	}
	for range len(bound) - at.accepting {
		l.endedAccepting()
	}
	l.ended()
	if got := (lifeStage{l.stage, l.accepting, l.serving}); got != at {
		t.Fatalf("got to %v, want %v", got, at)
	}
	return l, bound
}

// TestLifecycle has each event happen in each stage.
func TestLifecycle(t *testing.T) {
	type outcome struct {
		stage                stage
		accepting, serving   int
		unused, interrupted  bool
		clients              shutdown
		terminated, isClosed bool // the server has to terminate, or has
		err                  error
	}
	at := map[string]lifeStage{
		"stopped": {stopped, 0, 0}, "started": {started, 2, 1}, "startedAlone": {started, 2, 0}, "portless": {started, 0, 1}, "idle": {started, 0, 0},
		"draining": {draining, 2, 1}, "grace": {grace, 2, 1}, "lastPort": {grace, 1, 0}, "lastClient": {grace, 0, 1}, "terminated": {terminated, 0, 0},
	}
	for event, want := range map[string]map[string]outcome{
		"start": {
			"stopped": {stage: started, accepting: 2},
			"started": {stage: started, accepting: 2, serving: 1, err: ErrAlreadyStarted}, "draining": {stage: draining, accepting: 2, serving: 1, err: ErrAlreadyStarted},
			"grace": {stage: grace, accepting: 2, serving: 1, err: ErrAlreadyStarted}, "terminated": {stage: terminated, err: ErrStopped},
		},
		"add": {
			"stopped": {stage: stopped},
			"started": {stage: started, accepting: 3, serving: 1}, "draining": {stage: draining, accepting: 3, serving: 1},
			"grace": {stage: grace, accepting: 2, serving: 1, err: ErrStopped}, "terminated": {stage: terminated, err: ErrStopped},
		},
		"drain": {
			"stopped": {stage: stopped}, "started": {stage: draining, accepting: 2, serving: 1}, "draining": {stage: draining, accepting: 2, serving: 1},
			"grace": {stage: grace, accepting: 2, serving: 1}, "terminated": {stage: terminated},
		},
		"stop": {
			"stopped":  {stage: terminated, unused: true, isClosed: true},
			"started":  {stage: grace, accepting: 2, serving: 1, interrupted: true, clients: listenersClosed},
			"portless": {stage: grace, serving: 1, interrupted: true, clients: clientsAskedToLeave},
			"idle":     {stage: terminated, interrupted: true, clients: clientsAskedToLeave, terminated: true},
			"draining": {stage: grace, accepting: 2, serving: 1, interrupted: true, clients: listenersClosed},
			"grace":    {stage: grace, accepting: 2, serving: 1}, "terminated": {stage: terminated},
		},
		"stopNow": {
			"stopped": {stage: terminated, unused: true, isClosed: true},
			"started": {stage: grace, accepting: 2, serving: 1, interrupted: true, clients: forceClosed},
			"idle":    {stage: terminated, interrupted: true, clients: forceClosed, terminated: true},
			"grace":   {stage: grace, accepting: 2, serving: 1, clients: forceClosed}, "lastClient": {stage: grace, serving: 1, clients: forceClosed},
			"terminated": {stage: terminated},
		},
		"begin": {
			"started": {stage: started, accepting: 2, serving: 2}, "grace": {stage: grace, accepting: 2, serving: 2},
		},
		"ended": {
			"started": {stage: started, accepting: 2}, "portless": {stage: started}, "draining": {stage: draining, accepting: 2},
			"grace": {stage: grace, accepting: 2}, "lastClient": {stage: terminated, terminated: true},
		},
		"endedAccepting": {
			"started": {stage: started, accepting: 1, serving: 1}, "draining": {stage: draining, accepting: 1, serving: 1},
			"grace": {stage: grace, accepting: 1, serving: 1, clients: listenersClosed}, "lastPort": {stage: terminated, clients: clientsAskedToLeave, terminated: true},
		},
	} {
		for name, want := range want {
			runInBubble(t, event+"/"+name, func(t *testing.T) {
				l, bound := lifeAt(t, at[name])
				if l.timer != nil {
					defer l.timer.Stop()
				}
				var got outcome
				var e effects
				switch event {
				case "start":
					var serve []*ports.Port
					if serve, got.err = l.start(); got.err == nil && !slices.Equal(serve, bound) {
						t.Errorf("the ports to serve are %v", serve)
					}
				case "add":
					var serve bool
					if serve, got.err = l.add(ports.New(nil, nil)); serve != (want.accepting > at[name].accepting) {
						t.Errorf("a port is served: %v", serve)
					}
				case "drain":
					l.drain()
				case "stop":
					e = l.stop(time.Minute)
				case "stopNow":
					e = l.stop(0)
				case "begin":
					l.begin()
				case "ended":
					e = l.ended()
				case "endedAccepting":
					e = l.endedAccepting()
				}
				got.stage, got.accepting, got.serving = l.at(), l.accepting, l.serving
				got.unused, got.interrupted = slices.Equal(e.unused, bound), slices.Equal(e.interrupted, bound)
				got.clients, got.terminated, got.isClosed = e.clients, e.terminated, isClosed(l.done)
				if fmt.Sprint(got) != fmt.Sprint(want) || !errors.Is(got.err, want.err) {
					t.Errorf("got %+v, want %+v", got, want)
				}
				if isClosed(l.draining) != (got.stage >= draining) || isClosed(l.closing) != (got.stage >= grace) {
					t.Errorf("draining is closed: %v, closing: %v", isClosed(l.draining), isClosed(l.closing))
				}
			})
		}
	}
}

// TestLifecycle_GraceTimer has several graces given: the one that ends first counts, and none once the server has terminated.
func TestLifecycle_GraceTimer(t *testing.T) {
	for _, tt := range []struct {
		name   string
		graces []time.Duration
		ends   bool // the last client, after 10 s
		want   time.Duration
	}{
		{"One", []time.Duration{time.Minute}, false, time.Minute},
		{"Shorter", []time.Duration{time.Minute, time.Second}, false, time.Second},
		{"Longer", []time.Duration{time.Second, time.Minute}, false, time.Second},
		{"Ended", []time.Duration{time.Minute}, true, 0},
		{"EndedLate", []time.Duration{time.Second}, true, time.Second},
	} {
		runInBubble(t, tt.name, func(t *testing.T) {
			var over time.Duration
			began := time.Now()
			l := newLifecycle(func() { over = time.Since(began) })
			_, err := l.start()
			check(t, err)
			l.begin()
			for _, grace := range tt.graces {
				l.stop(grace)
			}
			time.Sleep(10 * time.Second)
			if tt.ends {
				l.ended()
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			if over != tt.want {
				t.Errorf("the grace was over after %v, want %v", over, tt.want)
			}
		})
	}
}
