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
	plotWidth  = 860
	labelWidth = 360
	valueWidth = 70
	barHeight  = 14
	groupGap   = 10
	topMargin  = 46
)

var colors = map[string]string{
	gogreeter: "#0b7285", inline: "#66d9e8", grpcGo: "#e8590c", connectGo: "#868e96", grpcPython: "#f2c037",
}

// chart is a bar chart: a group of bars for each scenario. Bars longer than limit are cut, and their labels tell.
type chart struct {
	file, title string
	rows        []scenario
	value       func(s scenario, contender string) (float64, bool)
	format      string
	limit       float64
}

// plot writes the charts for which something was measured.
func (r *results) plot(directory string) error {
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return err
	}
	charts := []chart{
		{
			"cpu.svg", "Server CPU time for each message, as a multiple of gogreeter's (less is better)", r.measured(perMessage),
			func(s scenario, c string) (float64, bool) { return r.ratio(s.name, c, gogreeter, cpu) }, "%.1f ×", 15,
		},
		{
			"throughput.svg", "Messages per second, as a multiple of gogreeter's (more is better)", r.measured(perMessage),
			func(s scenario, c string) (float64, bool) {
				return r.ratio(s.name, c, gogreeter, func(one sample) float64 { return one.Rate })
			}, "%.2f ×", 2,
		},
		{
			"growth.svg", "Server CPU time for each small unary RPC, in µs (less is better)", r.measured(growth),
			func(s scenario, c string) (float64, bool) { return median(r, s.name, c, cpu) }, "%.1f µs", 60,
		},
		{
			"memory.svg", "Resident memory for each, in KiB (less is better)", r.measured(memory),
			func(s scenario, c string) (float64, bool) {
				return median(r, s.name, c, func(one sample) float64 { return one.KiB })
			}, "%.1f KiB", 60,
		},
	}
	for _, c := range charts {
		if len(c.rows) == 0 {
			continue
		}
		if err := os.WriteFile(filepath.Join(directory, c.file), []byte(c.draw(r.present(c.rows))), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// draw returns the chart as SVG.
func (c chart) draw(names []string) string {
	var body strings.Builder
	y := topMargin
	scale := float64(plotWidth-labelWidth-valueWidth) / c.limit
	for _, s := range c.rows {
		fmt.Fprintf(&body, `<text x="%d" y="%d" text-anchor="end" font-size="12">%s</text>`+"\n", labelWidth-8, y+11, html.EscapeString(s.name))
		for _, name := range names {
			v, ok := c.value(s, name)
			if !ok {
				continue
			}
			width := max(min(v, c.limit), 0) * scale
			fmt.Fprintf(&body, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", labelWidth, y, width, barHeight-2, colors[name])
			fmt.Fprintf(&body, `<text x="%.1f" y="%d" font-size="10">`+c.format+`</text>`+"\n", labelWidth+width+4, y+10, v)
			y += barHeight
		}
		y += groupGap
	}
	var legend strings.Builder
	x := labelWidth
	for _, name := range names {
		fmt.Fprintf(&legend, `<rect x="%d" y="28" width="10" height="10" fill="%s"/><text x="%d" y="37" font-size="11">%s</text>`+"\n", x, colors[name], x+14, name)
		x += 30 + 7*len(name)
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif">`+"\n"+
		`<rect width="100%%" height="100%%" fill="white"/><text x="8" y="18" font-size="14" font-weight="bold">%s</text>`+"\n%s%s</svg>\n",
		plotWidth, y, html.EscapeString(c.title), legend.String(), body.String())
}
