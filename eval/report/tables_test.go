package report

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/pare-search/pare/eval/stats"
	"github.com/pare-search/pare/eval/tablebench"
)

// testTables compares methods with one another, one of which can never keep to the
// smallest budget, and all of whose ratios are made up.
func testTables(methods int) *tablebench.Report {
	r := &tablebench.Report{
		Rows: 30_522, Dim: 384, Bytes: 46_881_792, Used: 9000, Margin: 0.01, Measures: []string{"nDCG@10", "RR@10"},
		Baseline: []tablebench.Quality{{Collection: "alpha"}, {Collection: "beta " + evil}},
	}
	for i := range r.Baseline {
		r.Baseline[i].Measures = map[string]float64{"nDCG@10": 0.4, "RR@10": 0.5}
	}
	for m := range methods {
		name := fmt.Sprintf("method %d", m)
		if m == 1 {
			name += evil
		}
		for i, factor := range []float64{2, 4, 8, 16, 32} {
			row := tablebench.Row{Method: name, Factor: factor}
			if factor == 32 && m%5 == 0 {
				row.Fault = "too small"
				r.Tables = append(r.Tables, row)
				continue
			}
			row.Bytes = int(float64(r.Bytes)/factor) - 7*m
			row.Ratio = 1 - 0.002*float64(i*i*(1+m%7))
			row.CI90 = stats.Interval{row.Ratio - 0.004, row.Ratio + 0.004}
			if m == 3 {
				row.CI90 = stats.Interval{0, math.Inf(1)}
			}
			row.Verdict = stats.Decide(stats.Interval{row.CI90[0] - 1, row.CI90[1] - 1}, r.Margin)
			for _, q := range r.Baseline {
				row.Qualities = append(row.Qualities, tablebench.Quality{Collection: q.Collection, Measures: q.Measures, Cosine: 0.9, Overlap10: 0.8})
			}
			r.Tables = append(r.Tables, row)
		}
	}
	return r
}

func tablesOf(t *testing.T, r *tablebench.Report) *node {
	t.Helper()
	var b bytes.Buffer
	if err := WriteTables(&b, r, Method{Command: "pare table compare " + evil}); err != nil {
		t.Fatal(err)
	}
	return parsePage(t, b.String())
}

// TestTables checks that every point has its row, with the same figures, and that text
// does not become markup.
func TestTables(t *testing.T) {
	r := testTables(23)
	root := tablesOf(t, r)
	if n := len(root.all(named("script"))); n > 0 {
		t.Errorf("%d scripts", n)
	}
	for _, text := range []string{"beta " + evil, "method 1" + evil, "compare " + evil} {
		if !strings.Contains(root.text, text) {
			t.Errorf("%q is not shown as it is", text)
		}
	}
	checkPoints(t, root)
	rows := make(map[string]string)
	for _, n := range root.all(named("tr")) {
		rows[n.attr["id"]] = n.text
	}
	panels, plotted := 0, make(map[string]bool)
	for _, svg := range root.all(named("svg")) {
		panels++
		if svg.attr["aria-label"] == "" {
			t.Error("a chart says nothing to those who cannot see it")
		}
		for _, mark := range svg.all(func(n *node) bool { return n.attr["data-x"] != "" }) {
			id := strings.TrimPrefix(mark.parent.attr["href"], "#")
			plotted[id] = true
			for _, want := range []string{count(mark.number(t, "data-x")), fmt.Sprintf("%.4f", mark.number(t, "data-y"))} {
				if !strings.Contains(rows[id], want) {
					t.Errorf("the row %s of a point does not have %s: %s", id, want, rows[id])
				}
			}
		}
	}
	if panels != 24 {
		t.Errorf("%d charts of 23 methods", panels)
	}
	for i, row := range r.Tables {
		id := fmt.Sprintf("table-%d", i+1)
		if plotted[id] == (row.Fault != "") {
			t.Errorf("%s %vx is plotted: %v", row.Method, row.Factor, plotted[id])
		}
		if _, ok := rows[id]; !ok {
			t.Errorf("%s %vx has no row", row.Method, row.Factor)
		}
	}
}

// TestTablesMarks reads the charts by their ticks: marks, and the ends of intervals.
func TestTablesMarks(t *testing.T) {
	r := testTables(6)
	root := tablesOf(t, r)
	stroke := regexp.MustCompile(`^M([-0-9.]+) ([-0-9.]+)V([-0-9.]+)$`)
	for _, svg := range root.all(named("svg")) {
		var xs, ys [][2]float64
		for _, tick := range svg.all(func(n *node) bool { return n.attr["data-tick"] != "" }) {
			if tick.attr["text-anchor"] == "middle" {
				xs = append(xs, [2]float64{tick.number(t, "data-tick"), tick.number(t, "x")})
			} else {
				ys = append(ys, [2]float64{tick.number(t, "data-tick"), tick.number(t, "y") - 4})
			}
		}
		marks := svg.all(func(n *node) bool { return n.attr["data-x"] != "" })
		var strokes [][]string
		for _, path := range svg.all(named("path")) {
			if m := stroke.FindStringSubmatch(path.attr["d"]); m != nil {
				strokes = append(strokes, m)
			}
		}
		if len(strokes) != len(marks) {
			t.Fatalf("%d intervals of %d points", len(strokes), len(marks))
		}
		for i, mark := range marks {
			at, err := strconv.ParseFloat(strokes[i][1], 64)
			if err != nil || math.Abs(at-readAt(xs, mark.number(t, "data-x"))) > 1 {
				t.Errorf("the interval of %s bytes stands at %v, want %v", mark.attr["data-x"], at, readAt(xs, mark.number(t, "data-x")))
			}
			id, err := strconv.Atoi(strings.TrimPrefix(mark.parent.attr["href"], "#table-"))
			if err != nil {
				t.Fatal(err)
			}
			for end, v := range r.Tables[id-1].CI90 {
				got, err := strconv.ParseFloat(strokes[i][2+end], 64)
				want := readAt(ys, min(max(v, ys[0][0]), ys[len(ys)-1][0]))
				if err != nil || math.Abs(got-want) > 1 {
					t.Errorf("the interval of %s bytes ends at %v, want %v", mark.attr["data-x"], got, want)
				}
			}
		}
	}
}

// TestTablesClaim is what the page says first.
func TestTablesClaim(t *testing.T) {
	r := testTables(3)
	if got := tablesOf(t, r).all(named("h1"))[0].text; !strings.HasPrefix(got, "4 times smaller, the embedding matrix keeps 99.8") {
		t.Errorf("got %q", got)
	}
	for i := range r.Tables {
		r.Tables[i] = tablebench.Row{Method: r.Tables[i].Method, Factor: r.Tables[i].Factor, Fault: "too small"}
	}
	root := tablesOf(t, r)
	if got := root.all(named("h1"))[0].text; !strings.HasPrefix(got, "No compressed matrix") || len(root.all(named("svg"))) > 0 {
		t.Errorf("got %q", got)
	}
}
