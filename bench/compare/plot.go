package main

import (
	"fmt"
	"html"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// What a plot looks like, in pixels.
const (
	plotWidth    = 760
	margin       = 10
	titleSize    = 16
	textSize     = 12
	legendSquare = 11
	firstLegend  = 62 // the line that the first legend stands on
	barHeight    = 15
	barGap       = 2
	rowGap       = 12
	lineHeight   = 18
	breakWidth   = 5 // the gap in a bar that is cut
)

var colors = map[string]string{
	cppCallback: "#2b8a3e",
	gogreeter:   "#0b7285", grpcGo: "#e8590c", connectGo: "#868e96", grpcPython: "#f2c037",
}

// variants are servers that plots leave out: each is close to another, and the tables have it.
var variants = []string{inline, cppAsync}

// cutNote is what a plot says that has cut bars.
const cutNote = "A bar with a gap is cut: it is longer than drawn, as its label says."

// plot writes the charts for which something was measured.
func (r *results) plot(directory string) error {
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return err
	}
	for _, c := range charts {
		drawing, ok := r.draw(c)
		if !ok {
			continue
		}
		if err := os.WriteFile(filepath.Join(directory, c.file), []byte(drawing), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// textWidth returns how wide a text is at most, whatever font without serifs there is.
func textWidth(text string, size int) float64 {
	return 0.62 * float64(size) * float64(len([]rune(text)))
}

// drawing is a chart that is being drawn.
type drawing struct {
	body  strings.Builder
	y     int     // where the next thing goes
	left  float64 // of the bars
	scale float64 // pixels for one unit of length
	limit float64
	isCut bool
}

// draw returns a chart as SVG; ok is false if nothing was measured of it.
func (r *results) draw(c chart) (svg string, ok bool) {
	names, rows := r.drawn(c)
	if len(rows) == 0 {
		return "", false
	}
	d := &drawing{y: firstLegend}
	d.legend(r, names)
	d.fit(r, names, rows, c.limit)
	for _, w := range rows {
		d.row(r, names, w)
	}
	if d.isCut {
		d.text(margin, d.y+textSize, "", cutNote)
		d.y += lineHeight
	}
	head := fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" role="img" aria-label="%s">`,
		plotWidth, d.y+margin, html.EscapeString(c.question))
	title := fmt.Sprintf(`<text x="%d" y="24" font-size="%d" font-weight="bold">%s</text>`, margin, titleSize, html.EscapeString(c.question))
	unit := fmt.Sprintf(`<text x="%d" y="44" font-size="%d">%s</text>`, margin, textSize, html.EscapeString(c.unit))
	background := `<rect width="100%" height="100%" fill="white"/>`
	return strings.Join([]string{head, background, title, unit, d.body.String() + "</svg>\n"}, "\n"), true
}

// drawn returns the servers and the rows of a chart of which something was measured. A row without gogreeter compares nothing.
func (r *results) drawn(c chart) (names []string, drawn []row) {
	for _, w := range c.rows {
		if _, _, ok := w.measure(r, w.scenario, gogreeter); ok {
			drawn = append(drawn, w)
		}
	}
	for _, contender := range contenders {
		measured := func(w row) bool {
			_, _, ok := w.measure(r, w.scenario, contender.name)
			return ok
		}
		if !slices.Contains(variants, contender.name) && slices.ContainsFunc(drawn, measured) {
			names = append(names, contender.name)
		}
	}
	return names, drawn
}

// legend draws which color is which server's, on as many lines as that takes.
func (d *drawing) legend(r *results, names []string) {
	x := float64(margin)
	for _, name := range names {
		title := r.titled(name)
		width := legendSquare + 5 + textWidth(title, textSize) + 2*margin
		if x+width > plotWidth && x > margin {
			x = margin
			d.y += lineHeight
		}
		d.rectangle(x, d.y, legendSquare, legendSquare, name)
		d.text(x+legendSquare+5, d.y+legendSquare-1, "", title)
		x += width
	}
	d.y += lineHeight + rowGap
}

// fit leaves room for the labels, and chooses the scale so that the longest bar takes what is left.
func (d *drawing) fit(r *results, names []string, rows []row, limit float64) {
	var labels, figures, longest float64
	for _, w := range rows {
		labels = max(labels, textWidth(w.label, textSize))
		for _, name := range names {
			if length, figure, ok := w.measure(r, w.scenario, name); ok {
				longest, figures = max(longest, length), max(figures, textWidth(figure, textSize))
			}
		}
	}
	d.left = margin + labels + margin
	d.limit = min(longest, limit)
	d.scale = (plotWidth - d.left - figures - 2*margin) / d.limit
}

// row draws the bars of a row.
func (d *drawing) row(r *results, names []string, w row) {
	first := d.y
	for _, name := range names {
		length, figure, ok := w.measure(r, w.scenario, name)
		if !ok {
			continue
		}
		width := min(length, d.limit) * d.scale
		d.rectangle(d.left, d.y, width, barHeight, name)
		if length > d.limit {
			d.isCut = true
			fmt.Fprintf(&d.body, `<rect class="cut" x="%.1f" y="%d" width="%d" height="%d" fill="white"/>`+"\n",
				d.left+width-5*breakWidth, d.y, breakWidth, barHeight)
		}
		d.text(d.left+width+5, d.y+barHeight-3, "", figure)
		d.y += barHeight + barGap
	}
	d.text(d.left-margin, (first+d.y)/2+textSize/2-2, "end", w.label)
	d.y += rowGap
}

func (d *drawing) rectangle(x float64, y int, width float64, height int, server string) {
	fmt.Fprintf(&d.body, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", x, y, width, height, colors[server])
}

// text writes a text that begins at x, or ends there if anchor is "end".
func (d *drawing) text(x float64, y int, anchor, text string) {
	if anchor != "" {
		anchor = fmt.Sprintf(` text-anchor="%s"`, anchor)
	}
	fmt.Fprintf(&d.body, `<text x="%.1f" y="%d"%s font-size="%d">%s</text>`+"\n", x, y, anchor, textSize, html.EscapeString(text))
}
