package main

import (
	"encoding/xml"
	"slices"
	"strings"
	"testing"
	"time"
)

// image is what matters of an SVG.
type image struct {
	Width  float64 `xml:"width,attr"`
	Height float64 `xml:"height,attr"`
	Texts  []struct {
		X      float64 `xml:"x,attr"`
		Y      float64 `xml:"y,attr"`
		Size   int     `xml:"font-size,attr"`
		Anchor string  `xml:"text-anchor,attr"`
		Text   string  `xml:",chardata"`
	} `xml:"text"`
	Bars []struct {
		Class string `xml:"class,attr"`
		Width string `xml:"width,attr"`
	} `xml:"rect"`
}

// says reports whether one of the texts is this.
func (i *image) says(text string) bool {
	for _, t := range i.Texts {
		if t.Text == text {
			return true
		}
	}
	return false
}

// everything returns a run in which gogreeter's figures are all 1, and those of the others so many times that.
func everything(factor float64) *results {
	r := &results{Samples: make(map[string][]sample)}
	for _, s := range scenarios {
		for _, contender := range s.with {
			f := factor
			if contender == gogreeter {
				f = 1
			}
			wait := time.Duration(f * 1e6)
			r.add(s, contender, sample{CPU: f, P50: wait, P99: wait, P999: wait, KiB: f, MiB: f, Time: f, Rate: 1, Due: f})
		}
	}
	return r
}

// TestDraw checks of each chart that it is whole, that it is short, that no text is clipped, and that it says so if bars are cut.
func TestDraw(t *testing.T) {
	const most = 6 // rows that a reader takes in at once
	for _, factor := range []float64{0.1, 1, 4, 1000} {
		r := everything(factor)
		for _, c := range charts {
			svg, ok := r.draw(c)
			var drawn image
			if err := xml.Unmarshal([]byte(svg), &drawn); !ok || err != nil {
				t.Fatalf("%s: drawn: %v, %v", c.file, ok, err)
			}
			if len(c.rows) > most {
				t.Errorf("%s has %d rows, want %d at most", c.file, len(c.rows), most)
			}
			for _, text := range drawn.Texts {
				width := textWidth(text.Text, text.Size)
				left, right := text.X, text.X+width
				if text.Anchor == "end" {
					left, right = text.X-width, text.X
				}
				if left < 0 || right > drawn.Width || text.Y > drawn.Height {
					t.Errorf("%s: %q is clipped: from %.0f to %.0f of %.0f, at %.0f of %.0f", c.file, text.Text, left, right, drawn.Width, text.Y, drawn.Height)
				}
			}
			isCut := false
			for _, bar := range drawn.Bars {
				isCut = isCut || bar.Class == "cut"
				if strings.HasPrefix(bar.Width, "-") {
					t.Errorf("%s has a bar %s wide", c.file, bar.Width)
				}
			}
			if isCut != (factor > c.limit) || drawn.says(cutNote) != isCut {
				t.Errorf("%s, %v ×: cut: %v, limit %v, said: %v", c.file, factor, isCut, c.limit, drawn.says(cutNote))
			}
			for _, w := range c.rows {
				if !drawn.says(w.label) {
					t.Errorf("%s does not say %q", c.file, w.label)
				}
			}
		}
	}
}

// TestCharts checks that what charts refer to is measured, and that each server has a color.
func TestCharts(t *testing.T) {
	for _, c := range charts {
		for _, w := range c.rows {
			found := slices.ContainsFunc(scenarios, func(s scenario) bool {
				return s.name == w.scenario && s.hasPart(gogreeter) && (s.group == c.group || c.group == none)
			})
			if !found {
				t.Errorf("%s: there is no scenario %q in its table", c.file, w.scenario)
			}
		}
	}
	for _, c := range contenders {
		if colors[c.name] == "" && !slices.Contains(variants, c.name) {
			t.Errorf("%s has no color", c.name)
		}
	}
}

// TestDraw_Parts checks that there are only the rows that were measured, and that a server which can't keep up is said to.
func TestDraw_Parts(t *testing.T) {
	chart := charts[slices.IndexFunc(charts, func(c chart) bool { return c.file == "tail.svg" })]
	if _, ok := (&results{}).draw(chart); ok {
		t.Error("a chart of nothing was drawn")
	}
	r := &results{Samples: map[string][]sample{
		key(tail2k, gogreeter): {{P99: time.Millisecond, Rate: 2000, Due: 2000}},
		key(tail2k, grpcGo):    {{P99: 3 * time.Millisecond, Rate: 1000, Due: 2000}},
		key(tail10k, grpcGo):   {{P99: time.Millisecond, Rate: 2000, Due: 2000}},
	}}
	svg, _ := r.draw(chart)
	for _, want := range []string{">2,000 a second<", ">1ms<", ">can&#39;t keep up (1000/s)<"} {
		if !strings.Contains(svg, want) {
			t.Errorf("it does not have %s", want)
		}
	}
	for _, none := range []string{"10,000 a second", ">" + connectGo + "<", cutNote} {
		if strings.Contains(svg, none) {
			t.Errorf("it has %s", none)
		}
	}
}
