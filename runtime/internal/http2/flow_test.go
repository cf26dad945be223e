package http2

import (
	"math/rand/v2"
	"testing"
)

func TestInflow_Consume(t *testing.T) {
	for _, row := range []struct {
		name       string
		target     int32
		received   int
		consumed   int
		increment  uint32
		windowLeft int32
	}{
		{"nothing", 100, 0, 0, 0, 100},
		{"less than half", 100, 49, 49, 0, 51},
		{"half", 100, 50, 50, 50, 100},
		{"all", 100, 100, 100, 100, 100},
		{"received and kept", 100, 100, 0, 0, 0},
		{"received and kept but for half", 100, 100, 50, 50, 50},
		{"a window of 1", 1, 1, 1, 1, 1},
		{"the largest window", maxWindow, maxWindow, maxWindow, maxWindow, maxWindow},
	} {
		f := newInflow(row.target)
		if !f.receive(row.received) {
			t.Fatalf("%s: not received", row.name)
		}
		if got := f.consume(row.consumed); got != row.increment || f.window != row.windowLeft {
			t.Errorf("%s: increment %d, window %d", row.name, got, f.window)
		}
	}
}

func TestInflow_Receive(t *testing.T) {
	f := newInflow(100)
	for _, row := range []struct {
		n  int
		ok bool
	}{{60, true}, {41, false}, {40, true}, {0, true}, {1, false}} {
		if got := f.receive(row.n); got != row.ok {
			t.Errorf("%d octets: %v", row.n, got)
		}
	}
}

// TestInflow_Expect has 70 of 100 octets received, of which some are of what is expected.
func TestInflow_Expect(t *testing.T) {
	for _, row := range []struct {
		name      string
		some      int
		n         int32
		increment uint32
		window    int32
	}{
		{"has come", 70, 0, 0, 30},
		{"fits", 70, 30, 0, 30},
		{"as much again behind it", 70, 31, 101, 131},
		{"behind others", 20, 31, 51, 81},
		{"nothing of it behind it", 0, 5000, 4970, 5000},
		{"the largest window", 70, maxWindow, maxWindow - 30, maxWindow},
		{"nonsense", 70, -5, 0, 30},
	} {
		f := newInflow(100)
		f.receive(70)
		if got := f.expect(row.some, row.n); got != row.increment || f.window != row.window {
			t.Errorf("%s: increment %d, window %d", row.name, got, f.window)
		}
		if got := f.expect(row.some, row.n); got != 0 {
			t.Errorf("%s: another %d", row.name, got)
		}
		if got := f.consume(70); row.n > 30 && got != 0 {
			t.Errorf("%s: %d given back beyond what was expected", row.name, got)
		}
	}
	f := newInflow(100)
	f.receive(60)
	f.receive(40)
	f.expect(40, 100) // behind 60 others
	if f.window != 140 {
		t.Errorf("window %d behind more than half", f.window)
	}
	f.receive(140)
	if got := f.consume(60); got != 0 { // the message of 140 is still held
		t.Errorf("increment %d while more than the target is held", got)
	}
	if got := f.consume(180); got != 100 {
		t.Errorf("increment %d once all is consumed", got)
	}
}

// Whatever happens, the window that the peer has is the sum of what it was told, never negative, never above 2^31-1;
// and if everything has been consumed, it is more than half of the target: the peer is never stuck.
func TestInflow_Invariants(t *testing.T) {
	r := rand.New(rand.NewPCG(9113, 69))
	for range 200 {
		target := 1 + r.Int32N(1<<uint(1+r.IntN(30)))
		f := newInflow(target)
		told, held := int64(target), int64(0)
		for range 500 {
			switch r.IntN(4) {
			case 0, 1:
				n := r.IntN(int(f.window) + 2)
				ok := f.receive(n)
				if ok != (int64(n) <= told) {
					t.Fatalf("target %d: %d octets received with a window of %d: %v", target, n, told, ok)
				}
				if ok {
					told, held = told-int64(n), held+int64(n)
				}
			case 2:
				n := r.Int64N(held + 1)
				held -= n
				told += int64(f.consume(int(n)))
			case 3:
				if r.IntN(10) == 0 {
					told += int64(f.expect(r.IntN(int(min(held, 1<<30))+1), r.Int32N(1<<uint(1+r.IntN(30)))))
				}
			}
			if int64(f.window) != told || int64(f.held) != held || told < 0 || told > maxWindow {
				t.Fatalf("target %d: window %d, peer has %d; held %d, want %d", target, f.window, told, f.held, held)
			}
		}
		told += int64(f.consume(int(held)))
		if told <= int64(target)/2-1 {
			t.Fatalf("target %d: all consumed, and the peer has a window of %d", target, told)
		}
	}
}

func TestAddWindow(t *testing.T) {
	for _, row := range []struct {
		window    int32
		increment int64
		ok        bool
	}{
		{0, 1, true},
		{65535, maxWindow - 65535, true},
		{65535, maxWindow - 65534, false},
		{maxWindow, 1, false},
		{maxWindow, maxWindow, false},
		{-maxWindow, maxWindow, true},
		{-1, maxWindow, true},
	} {
		window := row.window
		ok := addWindow(&window, row.increment)
		want := row.window
		if row.ok {
			want += int32(row.increment)
		}
		if ok != row.ok || window != want {
			t.Errorf("%d and %d: %d, %v", row.window, row.increment, window, ok)
		}
	}
}

// TestOutbox_WindowOverflow has the largest difference that a stream's window can have to the initial one, and the largest
// initial one: their sum is beyond an int of 32 bits.
func TestOutbox_WindowOverflow(t *testing.T) {
	o := outbox{}
	s := new(sender)
	if !o.open(s, maxWindow) {
		t.Fatal("2^31-1 is permitted")
	}
	o.peerWindow = maxWindow
	if o.open(s, 0) {
		t.Errorf("a window of 2^32-2 passes; ownWindow is %d", o.ownWindow(s))
	}
}

// TestInflow_Resize has a window of 100 that has become 40 and larger again, with octets held and others expected.
func TestInflow_Resize(t *testing.T) {
	for _, row := range []struct {
		name      string
		received  int
		expected  int32
		by        int32
		increment uint32
		window    int32
		open      bool // an octet may come then
	}{
		{"larger", 30, 0, 50, 0, 120, true},
		{"smaller", 30, 0, -60, 0, 10, true},
		{"to nothing", 30, 0, -70, 0, 0, false},
		{"below nothing", 90, 0, -60, 0, -50, false},
		{"less than expected", 90, 10, -60, 60, 10, true},
		{"as much as expected", 30, 10, -60, 0, 10, true},
		{"some of what is expected", 30, 70, -60, 60, 70, true},
	} {
		f := newInflow(100)
		if !f.receive(row.received) || f.expect(0, row.expected) != 0 {
			t.Fatalf("%s: it does not begin as it should", row.name)
		}
		if got := f.resize(row.by); got != row.increment || f.window != row.window || f.target != 100+row.by {
			t.Errorf("%s: increment %d, window %d, target %d", row.name, got, f.window, f.target)
		}
		if f.receive(max(int(f.window), 0)+1) || f.receive(1) != row.open || !f.receive(0) {
			t.Errorf("%s: the window is not what it says", row.name)
		}
	}
}

// TestInflow_ExpectBelowZero has a window below zero become as large as it can.
func TestInflow_ExpectBelowZero(t *testing.T) {
	f := newInflow(1000)
	f.receive(1000)
	f.resize(-900)
	if got := f.expect(0, maxWindow); got != maxWindow || f.window != maxWindow-900 || f.expected != f.window {
		t.Errorf("increment %d, window %d, of which %d expected", got, f.window, f.expected)
	}
	f = newInflow(1000)
	f.receive(1000)
	f.resize(-900)
	if got := f.expect(0, 5); got != 905 || f.window != 5 {
		t.Errorf("increment %d, window %d", got, f.window)
	}
}

// TestInflow_Retarget has a window of 100, of which 30 octets are left, get another target.
func TestInflow_Retarget(t *testing.T) {
	for _, row := range []struct {
		target    int32
		increment uint32
	}{{100, 0}, {200, 100}, {30, 0}, {10, 0}, {maxWindow, maxWindow - 100}} {
		f := newInflow(100)
		f.receive(70)
		if got := f.retarget(row.target); got != row.increment || f.window != 30+int32(row.increment) || f.target != row.target {
			t.Errorf("target %d: increment %d, window %d", row.target, got, f.window)
		}
		if got := f.consume(70); int64(got) != max(int64(row.target)-30-int64(row.increment), 0) && got != 0 {
			t.Errorf("target %d: increment %d once all is consumed", row.target, got)
		}
	}
}

// TestInflow_Resizes does everything at random. The window is what the peer has been told, as it reckons itself.
func TestInflow_Resizes(t *testing.T) {
	r := rand.New(rand.NewPCG(9113, 692))
	for range 300 {
		f := newInflow(defaultWindow)
		told, held, expected := int64(defaultWindow), int64(0), int64(0)
		for range 300 {
			switch r.IntN(5) {
			case 0, 1:
				n := r.IntN(max(int(f.window), 0) + 2)
				if ok := f.receive(n); ok != (n == 0 || int64(n) <= told) {
					t.Fatalf("%d octets received with a window of %d: %v", n, told, ok)
				} else if ok {
					told, held, expected = told-int64(n), held+int64(n), max(expected-int64(n), 0)
				}
			case 2:
				n := r.Int64N(held + 1)
				held -= n
				told += int64(f.consume(int(n)))
			case 3:
				n := r.Int32N(1 << uint(1+r.IntN(24)))
				told += int64(f.expect(r.IntN(int(min(held, 1<<30))+1), n))
				expected = int64(n)
			case 4:
				by := 1 + r.Int32N(1<<uint(1+r.IntN(24))) - f.target
				told += int64(by) + int64(f.resize(by))
			}
			if int64(f.window) != told || f.held != held || told < expected && expected > 0 || told > maxWindow {
				t.Fatalf("window %d, the peer has %d, of which %d are expected; held %d, want %d", f.window, told, expected, f.held, held)
			}
		}
		if told += int64(f.consume(int(held))); told <= int64(f.target)/2-1 {
			t.Fatalf("target %d: all consumed, and the peer has a window of %d", f.target, told)
		}
	}
}

// TestInflow_ResizeGivesBack has a window become smaller of which nearly as much was consumed as is worth a frame. It does not stay
// below zero: nothing is left that could be consumed.
func TestInflow_ResizeGivesBack(t *testing.T) {
	f := newInflow(16 << 20)
	n := int(f.worthwhile()) - 1
	f.receive(n)
	if got := f.consume(n); got != 0 {
		t.Fatalf("increment %d", got)
	}
	if got := f.resize(defaultWindow - 16<<20); int(got) != n || f.window != defaultWindow {
		t.Errorf("increment %d, want %d; window %d", got, n, f.window)
	}
}
