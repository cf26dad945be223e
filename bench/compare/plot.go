package main

import (
	"fmt"
	"html"
	"os"
	"path/filepath"
	"strings"
)

// What a plot looks like, in pixels.
const (
	plotWidth  = 760
	labelWidth = 250
	barHeight  = 14
	groupGap   = 14
	topMargin  = 46
)

var colors = map[string]string{
	"gogreeter": "#0b7285", "gogreeter inline": "#66d9e8", "grpc-go": "#e8590c", "connect-go": "#868e96", "grpc-python": "#f2c037",
}

// plot writes two plots: CPU time as a multiple of gogreeter's, and throughput.
func (r *results) plot(directory string) error {
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return err
	}
	own := r.contenders[0].name
	err := r.bar(filepath.Join(directory, "cpu.svg"), "Server CPU time per message, as a multiple of gogreeter's (less is better)",
		func(s scenario, c contender) (float64, bool) { return r.ratio(s, c.name, own) }, "%.1f ×", 20)
	if err != nil {
		return err
	}
	return r.bar(filepath.Join(directory, "throughput.svg"), "Messages per second, as a multiple of gogreeter's (more is better)",
		func(s scenario, c contender) (float64, bool) {
			rate := func(one sample) float64 { return one.rate }
			mine, ok1 := median(r, s.name, own, rate)
			theirs, ok2 := median(r, s.name, c.name, rate)
			return theirs / mine, ok1 && ok2
		}, "%.2f ×", 2)
}

// bar writes a bar chart: a group of bars for each scenario. Bars longer than limit are cut, and say so by their label.
func (r *results) bar(file, title string, value func(scenario, contender) (float64, bool), format string, limit float64) error {
	var body strings.Builder
	y := topMargin
	scale := float64(plotWidth-labelWidth-70) / limit
	for _, s := range r.scenarios {
		fmt.Fprintf(&body, `<text x="%d" y="%d" text-anchor="end" font-size="12">%s</text>`+"\n", labelWidth-8, y+11, html.EscapeString(s.name))
		for _, c := range r.contenders {
			v, ok := value(s, c)
			if !ok {
				continue
			}
			width := min(v, limit) * scale
			fmt.Fprintf(&body, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", labelWidth, y, width, barHeight-2, colors[c.name])
			fmt.Fprintf(&body, `<text x="%.1f" y="%d" font-size="10">`+format+`</text>`+"\n", labelWidth+width+4, y+10, v)
			y += barHeight
		}
		y += groupGap
	}
	var legend strings.Builder
	x := labelWidth
	for _, c := range r.contenders {
		fmt.Fprintf(&legend, `<rect x="%d" y="28" width="10" height="10" fill="%s"/><text x="%d" y="37" font-size="11">%s</text>`+"\n", x, colors[c.name], x+14, c.name)
		x += 30 + 7*len(c.name)
	}
	svg := fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif">`+"\n"+
		`<rect width="100%%" height="100%%" fill="white"/><text x="8" y="18" font-size="14" font-weight="bold">%s</text>`+"\n%s%s</svg>\n",
		plotWidth, y, html.EscapeString(title), legend.String(), body.String())
	return os.WriteFile(file, []byte(svg), 0o644)
}
