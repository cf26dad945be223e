package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"text/tabwriter"

	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime"
)

// total is how many requests the server has counted.
func total(stats runtime.ServerStats) (n uint64) {
	for _, method := range stats.Methods {
		n += sum(method.Handled)
	}
	return n + sum(stats.Rejected)
}

func sum(byCode map[codes.Code]uint64) (n uint64) {
	for _, count := range byCode {
		n += count
	}
	return n
}

// judge prints the tables, and returns what is not as it should be.
func (s *soaking) judge(last sample) (wrong []string) {
	wrong = append(wrong, s.sent.strange...)
	if s.sent.sent == 0 {
		wrong = append(wrong, "no call was made")
	}
	wrong = append(wrong, s.compareFifths()...)
	wrong = append(wrong, s.compareCodes(last.Stats)...)
	if last.Stats.Active != 0 || last.Stats.Queued != 0 {
		wrong = append(wrong, fmt.Sprintf("%d RPCs are active and %d queued after the last call", last.Stats.Active, last.Stats.Queued))
	}
	return append(wrong, last.Observed.judge(total(last.Stats))...)
}

// compareFifths compares the second fifth of the samples with the last.
func (s *soaking) compareFifths() (wrong []string) {
	n := len(s.samples) / 5
	before, after := s.samples[n:2*n], s.samples[len(s.samples)-n:]
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\nhighest\tin the 2nd fifth\tin the last\tallowed")
	for _, row := range []struct {
		name string
		of   func(s sample) float64
		more float64 // allowed in any case
		part float64 // allowed as part of what was before
	}{
		{"goroutines", func(s sample) float64 { return float64(s.Goroutines) }, clients * burst, 0},
		{"descriptors", func(s sample) float64 { return float64(s.Descriptors) }, clients / 4, 0},
		{"heap after GC, MiB", func(s sample) float64 { return mib(s.Heap) }, 1, 0.1},
		{"resident, MiB", func(s sample) float64 { return mib(s.Resident) }, 4, 0.1},
	} {
		was, is := highest(before, row.of), highest(after, row.of)
		allowed := was*(1+row.part) + row.more
		fmt.Fprintf(table, "%s\t%.2f\t%.2f\t%.2f\n", row.name, was, is, allowed)
		if is > allowed {
			wrong = append(wrong, fmt.Sprintf("%s grew from %.2f to %.2f", row.name, was, is))
		}
	}
	table.Flush()
	return wrong
}

func highest(samples []sample, of func(sample) float64) (most float64) {
	for _, s := range samples {
		most = max(most, of(s))
	}
	return most
}

// compareCodes compares the clients' view of all calls with the server's. That of plain calls is the same, code by code.
// Of the disturbed ones both may see another end, and those that the client gave up before they were sent the server
// has not seen.
func (s *soaking) compareCodes(stats runtime.ServerStats) (wrong []string) {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "\n%d calls\tcode\tclients\tserver\n", s.sent.sent)
	for _, path := range slices.Sorted(maps.Keys(s.sent.byCode)) {
		ours, theirs := s.sent.byCode[path], stats.Methods[path].Handled
		if theirs == nil {
			theirs = stats.Rejected // of the one method that is not known
		}
		all := maps.Clone(ours)
		maps.Copy(all, theirs)
		for _, code := range slices.Sorted(maps.Keys(all)) {
			fmt.Fprintf(table, "%s\t%v\t%d\t%d\n", path, code, ours[code], theirs[code])
		}
		if path != "/soak.Soak/Slow" && !maps.Equal(ours, theirs) || sum(theirs) > sum(ours) {
			wrong = append(wrong, fmt.Sprintf("%s: the clients count %v, the server %v", path, ours, theirs))
		}
	}
	table.Flush()
	slow := "/soak.Soak/Slow"
	fmt.Printf("\nsent %d = answered %d; the server counted %d, and did not see %d disturbed ones\n\n", s.sent.sent, answered(s.sent), total(stats),
		sum(s.sent.byCode[slow])-sum(stats.Methods[slow].Handled))
	return wrong
}

func answered(t *tally) (n uint64) {
	for _, byCode := range t.byCode {
		n += sum(byCode)
	}
	return n
}
