package fields

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

func TestAppendField(t *testing.T) {
	d := hpack.NewDecoder(0, nil) // no dynamic table: the blocks must not need one
	for _, n := range []int{0, 1, 126, 127, 128, 254, 255, 256, 16_000, 16_511, 16_512, 70_000} {
		block := AppendField(AppendStatus(nil, 200), strings.Repeat("n", max(n, 1)), strings.Repeat("v", n))
		fields, err := d.DecodeFull(block)
		if err != nil || len(fields) != 2 || fields[0].Value != "200" || len(fields[1].Name) != max(n, 1) || len(fields[1].Value) != n {
			t.Errorf("%d octets: %v", n, err)
		}
		if !leavesTableAlone(block) {
			t.Errorf("%d octets: changes the table", n)
		}
	}
	for _, status := range []int{100, 200, 204, 404, 405, 415, 500} {
		fields, err := d.DecodeFull(AppendStatus(nil, status))
		if err != nil || len(fields) != 1 || fields[0].Name != ":status" || fields[0].Value != fmt.Sprint(status) {
			t.Errorf("status %d: %v, %v", status, fields, err)
		}
	}
}
