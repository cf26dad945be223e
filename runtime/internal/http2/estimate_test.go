package http2

import (
	"testing"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/clock"
)

// estimateAt begins an estimate that has measured a round trip already, unless that is 0, with a window of 64 KiB.
func estimateAt(now clock.Instant, trip time.Duration) *estimate {
	e := &estimate{window: 64 << 10}
	e.begin()
	if trip > 0 {
		e.trip, e.measured, e.need = trip, now, e.window
	}
	return e
}

// TestEstimate_Ping has batches of DATA come, and looks beside which of them the PING goes.
func TestEstimate_Ping(t *testing.T) {
	type batch struct {
		after  time.Duration
		octets int
	}
	const trip = 40 * time.Millisecond
	many := func(n int, b batch) (all []batch) {
		for range n {
			all = append(all, b)
		}
		return all
	}
	for _, row := range []struct {
		name    string
		trip    time.Duration
		batches []batch
		ping    int // the batch, counted from 1; 0: none
	}{
		{"too little for the first", 0, []batch{{0, firstMeasurement - 1}}, 0},
		{"enough for the first", 0, []batch{{0, firstMeasurement}}, 1},
		{"enough in several batches", 0, []batch{{0, 8000}, {time.Hour, 8000}, {time.Hour, 8000}}, 3},
		{"no DATA", 0, []batch{{0, 0}, {0, 0}}, 0},
		{"a burst, and the next", trip, []batch{{0, 32 << 10}, {0, 32 << 10}, {trip, 32 << 10}}, 3},
		{"within a burst", trip, []batch{{0, 32 << 10}, {0, 32 << 10}, {0, 32 << 10}}, 0},
		{"a burst that does not end", trip, many(9, batch{0, 32 << 10}), 5},
		{"so slow that no window is full", trip, many(100, batch{trip / 2, 8 << 10}), 56}, // a second is over
		{"almost so slow", trip, many(9, batch{trip / 2, 16 << 10}), 4},
		{"a second later", trip, []batch{{time.Second, 32 << 10}, {0, 32 << 10}, {trip, 1}}, 3},
		{"little, a second later", trip, many(10, batch{time.Second, 1000}), 0},
	} {
		now := clock.Now()
		e := estimateAt(now, row.trip)
		ping := 0
		for i, b := range row.batches {
			now = now.Add(b.after)
			e.counted += b.octets
			if e.endBatch(now) {
				ping = i + 1
				break
			}
		}
		if ping != row.ping {
			t.Errorf("%s: the PING goes beside batch %d, want %d", row.name, ping, row.ping)
		}
		if ping > 0 && (e.counted != row.batches[ping-1].octets || !e.acknowledges(e.payload())) {
			t.Errorf("%s: %d octets count in the measurement", row.name, e.counted)
		}
	}
}

// TestEstimate_End has a measurement with so many octets, of which one stream has some.
func TestEstimate_End(t *testing.T) {
	const stream, conn = 100_000, 1_000_000
	for _, row := range []struct {
		name                 string
		octets, largest      int
		rate                 float64 // when windows grew last
		since                time.Duration
		wantStream, wantConn int
	}{
		{"little", 10_000, 10_000, 0, 0, 0, 0},
		{"half of a stream's window", 50_000, 50_000, 0, 0, 200_000, 0},
		{"less than half of it", 49_999, 49_999, 0, 0, 0, 0},
		{"of many streams", 499_999, 49_999, 0, 0, 0, 0},
		{"half of the connection's window, of many streams", 500_000, 40_000, 0, 0, 0, 2_000_000},
		{"both", 600_000, 600_000, 0, 0, 2_400_000, 2_400_000},
		{"faster than before by a quarter", 100_000, 100_000, 8_000_000 * 0.99, 0, 400_000, 0},
		{"hardly faster", 100_000, 100_000, 8_000_000 * 1.01, 0, 0, 0},
		{"slower than long ago", 100_000, 100_000, 100_000_000, rateForgotten, 400_000, 0},
	} {
		begun := clock.Now()
		e := estimateAt(begun, 0)
		e.counted = firstMeasurement
		if !e.endBatch(begun) {
			t.Fatal("no PING")
		}
		e.counted, e.largest = row.octets, row.largest
		now := begun.Add(10 * time.Millisecond)
		e.rate, e.grown = row.rate, now.Add(-row.since)
		gotStream, gotConn := e.end(now, stream, conn)
		if gotStream != row.wantStream || gotConn != row.wantConn || e.trip != 10*time.Millisecond {
			t.Errorf("%s: %d and %d, want %d and %d; the round trip is %v", row.name, gotStream, gotConn, row.wantStream, row.wantConn, e.trip)
		}
		if e.acknowledges(e.payload()) {
			t.Errorf("%s: the PING can be acknowledged again", row.name)
		}
	}
}

// TestEstimate_Streams has streams share batches. The most that one of them has sent counts, of the batch beside which the PING went
// and of what came behind it.
func TestEstimate_Streams(t *testing.T) {
	now := clock.Now()
	e := estimateAt(now, 0)
	e.need = 150
	var a, b round
	for i, row := range []struct {
		a, b    int
		ping    bool
		largest int
	}{{50, 10, false, 0}, {70, 30, true, 70}, {10, 100, false, 130}} {
		e.count(&a, row.a)
		e.count(&b, row.b)
		e.counted += row.a + row.b
		if ping := e.endBatch(now); ping != row.ping || e.largest != row.largest {
			t.Errorf("batch %d: PING %v; one stream has sent %d, want %d", i, ping, e.largest, row.largest)
		}
	}
	e.end(now, 1000, 1000)
	if e.count(&a, 5); e.largest != 5 {
		t.Errorf("after the measurement, one stream has sent %d", e.largest)
	}
}

// TestEstimate_Stop has nothing measured until the estimate begins again, but for what is under way.
func TestEstimate_Stop(t *testing.T) {
	now := clock.Now()
	e := estimateAt(now, 0)
	e.counted = 1 << 20
	if !e.endBatch(now) {
		t.Fatal("no PING")
	}
	e.stop()
	e.end(now, 10, 10)
	for range 100 {
		e.counted += 1 << 20
		if now = now.Add(time.Hour); e.endBatch(now) {
			t.Fatal("a PING, although the estimate was stopped")
		}
	}
	e.begin()
	e.counted += firstMeasurement
	if !e.endBatch(now) {
		t.Error("no PING, although the estimate has begun again")
	}
}
