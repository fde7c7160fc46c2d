package report

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"image/png"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// node is an element of a page.
type node struct {
	name     string
	attr     map[string]string
	text     string // its own and that of all below
	parent   *node
	children []*node
}

// parsePage reads a page as XML with HTML's empty elements, which is stricter than
// a browser: every tag is closed, every attribute quoted.
func parsePage(t *testing.T, page string) *node {
	t.Helper()
	root := &node{}
	at := root
	decoder := xml.NewDecoder(strings.NewReader(page))
	decoder.AutoClose, decoder.Entity = xml.HTMLAutoClose, xml.HTMLEntity
	decoder.Strict = false
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("the page is no markup: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			child := &node{name: token.Name.Local, attr: make(map[string]string), parent: at}
			for _, a := range token.Attr {
				child.attr[a.Name.Local] = a.Value
			}
			at.children = append(at.children, child)
			at = child
		case xml.EndElement:
			at = at.parent
		case xml.CharData:
			for n := at; n != nil; n = n.parent {
				n.text += string(token)
			}
		}
	}
	if at != root {
		t.Fatalf("<%s> is not closed", at.name)
	}
	return root
}

// all returns the nodes below that a test accepts.
func (n *node) all(accept func(*node) bool) []*node {
	var found []*node
	for _, child := range n.children {
		if accept(child) {
			found = append(found, child)
		}
		found = append(found, child.all(accept)...)
	}
	return found
}

func named(name string) func(*node) bool { return func(n *node) bool { return n.name == name } }

func (n *node) number(t *testing.T, attr string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(n.attr[attr], 64)
	if err != nil {
		t.Fatalf("<%s> %s: %v", n.name, attr, err)
	}
	return v
}

func htmlOf(t *testing.T, r *Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestPageHasNoScript checks that text of users does not become markup, and that the
// page asks nobody for anything.
func TestPageHasNoScript(t *testing.T) {
	page := htmlOf(t, newTestReport(t, 80))
	root := parsePage(t, page)
	scripts := root.all(named("script"))
	if len(scripts) != 1 || scripts[0].attr["type"] != "application/json" {
		t.Errorf("%d scripts, want the data alone", len(scripts))
	}
	for _, n := range root.all(func(*node) bool { return true }) {
		for name, value := range n.attr {
			if strings.HasPrefix(name, "on") || strings.Contains(value, "://") || name == "src" {
				t.Errorf("<%s %s=%q>", n.name, name, value)
			}
		}
		if n.name == "link" && n.attr["href"] != "data:," {
			t.Errorf("link to %s", n.attr["href"])
		}
	}
	var data Study
	if err := json.Unmarshal([]byte(scripts[0].text), &data); err != nil {
		t.Fatalf("the data: %v", err)
	}
	if _, err := New(data); err != nil || !strings.Contains(data.Collections[1].Name, evil) {
		t.Errorf("the data make no report: %v", err)
	}
	if !strings.Contains(root.text, "beta "+evil) {
		t.Error("the name of a collection is not shown as it is")
	}
}

// TestPointsHaveRows checks the promise of every plot: what is plotted stands in the
// table too.
func TestPointsHaveRows(t *testing.T) {
	checkPoints(t, parsePage(t, htmlOf(t, newTestReport(t, 80))))
}

func checkPoints(t *testing.T, root *node) {
	t.Helper()
	ids := make(map[string]int)
	for _, n := range root.all(func(n *node) bool { return n.attr["id"] != "" }) {
		ids[n.attr["id"]]++
	}
	for id, n := range ids {
		if n > 1 {
			t.Errorf("%d elements have the id %q", n, id)
		}
	}
	points := 0
	for _, mark := range root.all(func(n *node) bool { return n.attr["data-x"] != "" && n.name == "path" }) {
		points++
		if href, _ := strings.CutPrefix(mark.parent.attr["href"], "#"); ids[href] != 1 {
			t.Errorf("a point leads to %q, which is no row", href)
		}
	}
	for _, link := range root.all(func(n *node) bool { return n.name == "a" }) {
		if href, _ := strings.CutPrefix(link.attr["href"], "#"); ids[href] != 1 {
			t.Errorf("a link leads to %q, which is nowhere", href)
		}
	}
	if points < 60 {
		t.Errorf("%d points in all plots", points)
	}
}

var place = regexp.MustCompile(`^M([-0-9.]+) ([-0-9.]+)`)

// TestMarksStandAtTheirValues reads every plot as a person does, by its ticks, and
// compares with the values: those of the marks, and those of the study.
func TestMarksStandAtTheirValues(t *testing.T) {
	r := newTestReport(t, 80)
	values := make(map[string]*row)
	for _, c := range r.collections {
		for _, row := range c.rows {
			values[c.anchor(row)] = row
		}
	}
	checked := 0
	for _, svg := range parsePage(t, htmlOf(t, r)).all(func(n *node) bool { return n.name == "svg" && n.attr["viewBox"] != "" }) {
		var xs, ys [][2]float64 // value, place
		for _, tick := range svg.all(func(n *node) bool { return n.attr["data-tick"] != "" }) {
			at := [2]float64{tick.number(t, "data-tick"), tick.number(t, "x")}
			if tick.attr["text-anchor"] == "middle" {
				xs = append(xs, at)
			} else {
				ys = append(ys, [2]float64{at[0], tick.number(t, "y") - 4})
			}
		}
		title := svg.all(named("title"))[0].text
		for _, mark := range svg.all(func(n *node) bool { return n.attr["data-x"] != "" }) {
			m := place.FindStringSubmatch(mark.attr["d"])
			x, _ := strconv.ParseFloat(m[1], 64)
			y, _ := strconv.ParseFloat(m[2], 64)
			// The shape begins at its left or at a corner.
			if math.Abs(readAt(xs, mark.number(t, "data-x"))-x) > 5 {
				t.Errorf("%s: a mark of %s stands at %v", title, mark.attr["data-x"], x)
			}
			if math.Abs(readAt(ys, mark.number(t, "data-y"))-y) > 5 {
				t.Errorf("%s: a mark of %s stands at height %v", title, mark.attr["data-y"], y)
			}
			row := values[strings.TrimPrefix(mark.parent.attr["href"], "#")]
			if !slices.Contains([]float64{row.p50, row.perDoc, row.candidates, row.scored, row.perToken, row.stored}, mark.number(t, "data-x")) ||
				!slices.Contains([]float64{row.means["nDCG@10"], row.ratio(), row.overlap}, mark.number(t, "data-y")) {
				t.Errorf("%s: %s has a mark of %s and %s", title, row.Name, mark.attr["data-x"], mark.attr["data-y"])
			}
			checked++
		}
	}
	if checked < 60 {
		t.Errorf("%d marks", checked)
	}
}

// readAt returns the place of a value by the ticks around it, evenly or by the
// logarithm, whichever the ticks say.
func readAt(ticks [][2]float64, value float64) float64 {
	a, b := ticks[0], ticks[len(ticks)-1]
	even := func(x float64) float64 { return a[1] + (x-a[0])/(b[0]-a[0])*(b[1]-a[1]) }
	if len(ticks) > 2 && math.Abs(even(ticks[1][0])-ticks[1][1]) > 1 || len(ticks) == 2 && a[0] > 0 && b[0] >= 10*a[0] {
		return a[1] + math.Log(value/a[0])/math.Log(b[0]/a[0])*(b[1]-a[1])
	}
	return even(value)
}

// TestLettersKeepClear checks that no letter of a plot covers another or a point.
func TestLettersKeepClear(t *testing.T) {
	for _, c := range newTestReport(t, 80).collections {
		plots := append(c.budgetCurves(), c.pareto("", "ms", func(r *row) float64 { return r.p50 }))
		for _, p := range plots {
			for i, l := range p.Labels {
				for _, other := range p.Labels[i+1:] {
					if l.box().overlaps(other.box()) && (l.Class != "series" || other.Class != "series") {
						t.Errorf("%s: %q covers %q", p.Title, l.Text, other.Text)
					}
				}
				for _, at := range p.Points {
					if l.Class != "series" && l.box().overlaps(box{at.X - 2, at.Y - 2, at.X + 2, at.Y + 2}) {
						t.Errorf("%s: %q covers the point of %q", p.Title, l.Text, at.Letter)
					}
				}
			}
		}
	}
}

func TestForestShowsTheIntervals(t *testing.T) {
	for _, c := range newTestReport(t, 80).collections {
		f := c.forest()
		n := 0
		value := func(at float64) float64 {
			first, last := f.Ticks[0], f.Ticks[len(f.Ticks)-1]
			return first.Value + (at-first.At)/(last.At-first.At)*(last.Value-first.Value)
		}
		for _, group := range f.Groups {
			for _, l := range group.Lines {
				n++
				shown := func(x float64) float64 { return min(max(x, f.Ticks[0].Value), f.Ticks[len(f.Ticks)-1].Value) }
				low, high := shown(l.Low), shown(l.High)
				if math.Abs(value(l.WideFrom)-low) > 0.1 || math.Abs(value(l.WideFrom+l.WideIs)-high) > 0.1 {
					t.Errorf("%s: drawn from %v to %v, is %v to %v", l.Name, value(l.WideFrom), value(l.WideFrom+l.WideIs), l.Low, l.High)
				}
				if l.CutLeft != (l.Low < f.Ticks[0].Value) || l.CutRight != (l.High > f.Ticks[len(f.Ticks)-1].Value) {
					t.Errorf("%s: cut %v %v, is %v to %v", l.Name, l.CutLeft, l.CutRight, l.Low, l.High)
				}
			}
		}
		if n != len(c.rows)-1 {
			t.Errorf("%d lines for %d settings", n, len(c.rows)-1)
		}
	}
}

// TestHeatBorder walks around every cell: a border stands just between settings that
// may take the baseline's place and others.
func TestHeatBorder(t *testing.T) {
	for _, c := range newTestReport(t, 300).collections {
		h := c.heat()
		good := func(i, j int) bool {
			return i >= 0 && j >= 0 && i < len(h.Rows) && j < len(h.Columns) && h.Rows[i].Cells[j].asGood()
		}
		borders := 0
		for i, line := range h.Rows {
			for j, cell := range line.Cells {
				for _, side := range []struct {
					drawn  bool
					di, dj int
				}{{cell.Top, -1, 0}, {cell.Bottom, 1, 0}, {cell.Left, 0, -1}, {cell.Right, 0, 1}} {
					if side.drawn != (good(i, j) && !good(i+side.di, j+side.dj)) {
						t.Errorf("%s, %s: border to %d %d is %v", line.Name, h.Columns[j], side.di, side.dj, side.drawn)
					}
					if side.drawn {
						borders++
					}
				}
			}
		}
		if borders == 0 {
			t.Error("nothing is enclosed")
		}
	}
}

func TestMostHurtQueries(t *testing.T) {
	c := newTestReport(t, 80).collections[0]
	panels := c.queryPanels()
	if len(panels) == 0 {
		t.Fatal("no setting is looked at query by query")
	}
	for _, p := range panels {
		if p.Wins+p.Ties+p.Losses != 80 || len(p.Hurt) != 10 {
			t.Errorf("%s: %d + %d + %d queries, %d of them hurt", p.Name, p.Wins, p.Ties, p.Losses, len(p.Hurt))
		}
		for _, q := range p.Hurt {
			if len(q.Words) != 3 || q.Words[0].Dropped || !q.Words[1].Dropped || q.Words[2].Dropped {
				t.Errorf("words %+v, want the second struck through and [CLS] left out", q.Words)
			}
		}
	}
}

// TestContrast measures the colours of both modes as WCAG 2.2 does (success criterion
// 1.4.3): text has a contrast of 4.5 on whatever it may stand.
func TestContrast(t *testing.T) {
	day, night, found := strings.Cut(styles, "@media (prefers-color-scheme: dark)")
	if !found {
		t.Fatal("no dark mode")
	}
	night, _, _ = strings.Cut(night, "* {")
	day, _, _ = strings.Cut(day, "@media")
	variable := regexp.MustCompile(`--([a-z0-9]+): #([0-9a-f]{6})`)
	for mode, text := range map[string]string{"day": day, "night": night} {
		luminance := make(map[string]float64)
		for _, m := range variable.FindAllStringSubmatch(text, -1) {
			rgb, err := strconv.ParseUint(m[2], 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			linear := func(shift int) float64 {
				c := float64(rgb>>shift&255) / 255
				if c <= 0.04045 {
					return c / 12.92
				}
				return math.Pow((c+0.055)/1.055, 2.4)
			}
			luminance[m[1]] = 0.2126*linear(16) + 0.7152*linear(8) + 0.0722*linear(0)
		}
		check := func(ink, paper string, least float64) {
			a, b := luminance[ink], luminance[paper]
			if contrast := (max(a, b) + 0.05) / (min(a, b) + 0.05); contrast < least {
				t.Errorf("%s: %s on %s has a contrast of %.2f, want %v", mode, ink, paper, contrast, least)
			}
		}
		for _, paper := range []string{"page", "panel", "band"} {
			for _, ink := range []string{"text", "soft", "link", "equivalent", "worse", "better", "undecided"} {
				check(ink, paper, 4.5)
			}
		}
		for i := range colours {
			check(fmt.Sprint("c", i+1), "page", 4.5)
			check(fmt.Sprint("c", i+1), "band", 3) // lines and marks, 1.4.11
		}
		for i := range 6 {
			check("text", fmt.Sprint("h", i), 4.5)
		}
		check("text", "share", 4.5)
	}
}

func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no Chromium on this machine")
	return ""
}

// TestBrowser opens the page in Chromium, where there is one, by day on a wide screen
// and by night on a phone.
func TestBrowser(t *testing.T) {
	browser := chromium(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "report.html")
	if err := os.WriteFile(path, []byte(htmlOf(t, newTestReport(t, 80))), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(flags ...string) (stdout, stderr string) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		command := exec.CommandContext(ctx, browser, append([]string{
			"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
			"--disable-component-update", "--disable-sync", "--enable-logging=stderr", "--user-data-dir=" + filepath.Join(dir, "profile"),
		}, flags...)...)
		var out, err bytes.Buffer
		command.Stdout, command.Stderr = &out, &err
		if e := command.Run(); e != nil {
			t.Fatalf("Chromium: %v\n%s", e, err.String())
		}
		for line := range strings.Lines(err.String()) {
			if strings.Contains(line, ":CONSOLE") {
				t.Errorf("the console says: %s", line)
			}
		}
		return out.String(), err.String()
	}
	for _, look := range []struct {
		width                int
		flag                 string
		leastPaper, maxPaper int // brightness
	}{
		{1200, "--blink-settings=preferredColorScheme=1", 200, 255},
		{390, "--blink-settings=preferredColorScheme=0", 0, 60},
	} {
		shot := filepath.Join(dir, fmt.Sprintf("%d.png", look.width))
		run(look.flag, fmt.Sprintf("--window-size=%d,1400", look.width), "--hide-scrollbars", "--screenshot="+shot, "file://"+path)
		paper, inks := lookAt(t, shot)
		if inks < 5 || paper < look.leastPaper || paper > look.maxPaper {
			t.Errorf("%d pixels wide: %d colours on paper of a brightness of %d, want %d to %d", look.width, inks, paper, look.leastPaper, look.maxPaper)
		}
	}
	dom, _ := run("--dump-dom", "file://"+path)
	checkDOM(t, dom)
}

// lookAt returns the brightness of a picture's corner and the number of its colours.
func lookAt(t *testing.T, path string) (paper, inks int) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	picture, err := png.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[[3]uint32]int)
	bounds := picture.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y += 2 {
		for x := bounds.Min.X; x < bounds.Max.X; x += 2 {
			r, g, b, _ := picture.At(x, y).RGBA()
			seen[[3]uint32{r >> 13, g >> 13, b >> 13}]++
		}
	}
	r, g, b, _ := picture.At(bounds.Min.X+2, bounds.Min.Y+2).RGBA()
	return int(r+g+b) / 3 >> 8, len(seen)
}

var (
	domID    = regexp.MustCompile(` id="([^"]*)"`)
	domPoint = regexp.MustCompile(`<a href="#([^"]*)"[^>]*><path class="mark`)
)

// checkDOM checks that what the browser made of the page has a row for every point.
func checkDOM(t *testing.T, dom string) {
	t.Helper()
	ids := make(map[string]bool)
	for _, m := range domID.FindAllStringSubmatch(dom, -1) {
		ids[m[1]] = true
	}
	points := domPoint.FindAllStringSubmatch(dom, -1)
	for _, m := range points {
		if !ids[m[1]] {
			t.Errorf("a point leads to %q, which is no row", m[1])
		}
	}
	if len(points) < 60 {
		t.Errorf("the browser sees %d points", len(points))
	}
}
