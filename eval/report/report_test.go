package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pare-search/pare/eval/stats"
)

// evil is text that must not become markup.
const evil = `<script>alert("x")</script>`

// testStudy makes a study of two collections out of random numbers: settings that are
// as good as the baseline, a little worse, much worse and better, in series, in the
// heat map, with and without an index.
func testStudy(queries int) Study {
	rng := rand.New(rand.NewPCG(7, 7))
	study := Study{Method: Method{
		Command: "pare sweep " + evil, Grid: "grid: " + evil, Measures: []string{"nDCG@10", "R@100"}, Repeat: 3,
		Stats: stats.Options{Margin: 0.02, Resamples: 200, Seed: 1},
	}}
	for _, name := range []string{"alpha", "beta " + evil} {
		c := Collection{Name: name, Documents: 1000, Vectors: 50_000, Dim: 128, Encoder: "model", Fingerprint: "00"}
		base := make([]float64, queries)
		for q := range queries {
			c.Queries = append(c.Queries, Query{ID: fmt.Sprint("q", q), Text: "the " + evil, Words: []string{" [CLS]", " the", " " + evil, "s"}})
			base[q] = rng.Float64()
		}
		c.Results = append(c.Results, testResult(rng, "unpruned", "unpruned", base, 0, 0, 1))
		c.Results[0].Baseline = true
		for i, cost := range []float64{0.02, 0.05, 0.1, 0.3} {
			loss := []float64{0.2, 0.05, 0.004, 0.0005}[i]
			c.Results = append(c.Results,
				testResult(rng, fmt.Sprintf("icf:%d", i+1), "icf", base, loss, 0.01, cost),
				testResult(rng, fmt.Sprintf("random:%d", i+1), "random "+evil, base, 2*loss, 0.02, cost))
			for j, bits := range []string{"two", "one"} {
				r := testResult(rng, fmt.Sprintf("%s, budget %d", bits, i), "cross, "+bits, base, loss*float64(1+j), 0.005, cost/2)
				r.Row, r.Column = bits, fmt.Sprintf("budget %d", i)
				r.Index.Bytes >>= j
				c.Results = append(c.Results, r)
			}
		}
		words := testResult(rng, "BM25", "BM25", base, -0.1, 0.05, 0.01)
		words.Index, words.Probed, words.Reach, words.System, words.Estimate = nil, nil, nil, "bm25", make([]float64, queries)
		c.Results = append(c.Results, words)
		study.Collections = append(study.Collections, c)
	}
	return study
}

func testResult(rng *rand.Rand, name, series string, base []float64, loss, spread, cost float64) Result {
	n := len(base)
	r := Result{
		Name: name, Series: series, System: "maxsim", Setting: map[string]string{"search.prune": evil},
		Index: &Index{Bytes: 2_000_000, Vectors: 50_000}, Measures: map[string][]float64{"nDCG@10": make([]float64, n), "R@100": make([]float64, n)},
		Overlap: make([]float64, n), Milliseconds: make([]float64, n), Estimate: make([]float64, n),
		Work:  Work{make([]int, n), make([]int, n), make([]int, n), make([]int, n), make([]int, n), make([]int64, n)},
		Reach: &Reach{make([]float64, n), make([]float64, n), make([]float64, n)}, Probed: make([][]int, n), Lost: make([]Lost, n),
	}
	for q := range n {
		r.Measures["nDCG@10"][q] = base[q]*(1-loss) + spread*rng.NormFloat64()
		r.Measures["R@100"][q] = base[q]
		r.Overlap[q] = math.Round(10*(1-loss)) / 10
		r.Milliseconds[q], r.Estimate[q] = 10*cost*(0.5+rng.Float64()), 5*cost
		r.Work.RowsKept[q], r.Work.Candidates[q], r.Work.Scored[q], r.Work.Pairs[q] = 2, int(1000*cost)+q%7, int(500*cost), int64(10_000*cost)
		r.Reach.Candidates[q], r.Reach.Scored[q], r.Reach.Top[q] = 1, 0.9, 0.8
		r.Probed[q] = []int{1, 3}
		r.Lost[q] = Lost{evil, 3, true}
	}
	return r
}

func newTestReport(t *testing.T, queries int) *Report {
	t.Helper()
	r, err := New(testStudy(queries))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestVerdictsAreTheCorrectedIntervals(t *testing.T) {
	seen := make(map[stats.Verdict]int)
	for _, queries := range []int{12, 80, 300} {
		for _, c := range newTestReport(t, queries).collections {
			for _, r := range c.rows[1:] {
				inside := -r.comparison.Margin < r.wide[0] && r.wide[1] < r.comparison.Margin
				if inside != (r.Verdict == stats.Equivalent) {
					t.Errorf("%s on %d queries: %v, interval %v, margin %v", r.Name, queries, r.Verdict, r.wide, r.comparison.Margin)
				}
				seen[r.Verdict]++
			}
		}
	}
	for _, v := range []stats.Verdict{stats.Equivalent, stats.Worse, stats.Better, stats.Undecided} {
		if seen[v] == 0 {
			t.Errorf("no setting is %v: %v", v, seen)
		}
	}
}

// TestHolmLevels checks that comparing with the levels is comparing the adjusted
// values with alpha, on families of every kind.
func TestHolmLevels(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		p := make([]float64, 1+rng.IntN(12))
		for i := range p {
			p[i] = math.Pow(rng.Float64(), float64(1+rng.IntN(6)))
		}
		levels := holmLevels(p)
		for i, adjusted := range stats.Holm(p) {
			if (adjusted < alpha) != (p[i] < levels[i]) {
				t.Fatalf("family %v: adjusted %v, levels %v", p, stats.Holm(p), levels)
			}
		}
	}
}

func TestFront(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		rows := make([]*row, 1+rng.IntN(20))
		for i := range rows {
			rows[i] = &row{candidates: float64(rng.IntN(8)), overlap: float64(rng.IntN(8))}
		}
		cost, quality := func(r *row) float64 { return r.candidates }, func(r *row) float64 { return r.overlap }
		on := front(rows, cost, quality)
		places := make(map[[2]float64]bool)
		for _, r := range rows {
			dominated := slices.ContainsFunc(rows, func(o *row) bool {
				return cost(o) <= cost(r) && quality(o) >= quality(r) && (cost(o) < cost(r) || quality(o) > quality(r))
			})
			if on[r] && dominated {
				t.Fatalf("%v is on the front and dominated", *r)
			}
			if on[r] {
				places[[2]float64{cost(r), quality(r)}] = true
			}
		}
		for _, r := range rows {
			dominated := slices.ContainsFunc(rows, func(o *row) bool {
				return cost(o) <= cost(r) && quality(o) >= quality(r) && (cost(o) < cost(r) || quality(o) > quality(r))
			})
			if !dominated && !places[[2]float64{cost(r), quality(r)}] {
				t.Fatalf("%v is not dominated, and its place is not on the front", *r)
			}
		}
	}
}

func TestScales(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 3000 {
		values := make([]float64, 1+rng.IntN(5))
		for i := range values {
			values[i] = math.Pow(10, 8*rng.Float64()-4)
		}
		for _, s := range []scale{linear(values, 5), logarithmic(values)} {
			lo, hi := limits(values)
			switch {
			case s.at(lo) < -1e-9 || s.at(hi) > 1+1e-9:
				t.Fatalf("%v: the scale %v does not hold the values", values, s)
			case len(s.ticks) > 13 || !s.log && len(s.ticks) < 2:
				t.Fatalf("%v: %d ticks %v", values, len(s.ticks), s.ticks)
			case !slices.IsSorted(s.ticks):
				t.Fatalf("%v: ticks %v", values, s.ticks)
			}
			texts := make(map[string]bool)
			for i, text := range tickTexts(s.ticks) {
				tick := s.ticks[i]
				if texts[text] || len(text) > 8 || s.at(tick) < -1e-9 || s.at(tick) > 1+1e-9 {
					t.Fatalf("%v: tick %v is written %q, ticks %v", values, tick, text, s.ticks)
				}
				texts[text] = true
			}
		}
	}
}

func TestInterpolation(t *testing.T) {
	s := series{rows: []*row{{candidates: 1000, overlap: 0.9}, {candidates: 10, overlap: 0.5}, {candidates: 100, overlap: 0.7}}}
	overlap := func(r *row) float64 { return r.overlap }
	for level, want := range map[float64]float64{10: 0.5, math.Sqrt(1000): 0.6, 100: 0.7, 1000: 0.9} {
		if got, ok := s.at(level, candidatesOf, overlap); !ok || math.Abs(got-want) > 1e-9 {
			t.Errorf("at %v candidates: %v, %v, want %v", level, got, ok, want)
		}
		if got, ok := s.cost(want, candidatesOf); !ok || math.Abs(got/level-1) > 1e-9 {
			t.Errorf("for an overlap of %v: %v, %v, want %v candidates", want, got, ok, level)
		}
	}
	for _, outside := range []float64{9, 1001} {
		if _, ok := s.at(outside, candidatesOf, overlap); ok {
			t.Errorf("%v candidates are outside of the series", outside)
		}
	}
}

// TestSeriesKeepWhatTheHeatMapShares checks that a setting which stands in the heat
// map too stays in its series, and that series of the heat map alone are left out.
func TestSeriesKeepWhatTheHeatMapShares(t *testing.T) {
	study := testStudy(30)
	for i := range study.Collections[0].Results {
		if r := &study.Collections[0].Results[i]; r.Name == "icf:2" || r.Name == "icf:3" {
			r.Row, r.Column = "all", r.Name
		}
	}
	r, err := New(study)
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string]int)
	for _, s := range r.collections[0].comparedSeries(candidatesOf) {
		rows[s.name] = len(s.rows)
	}
	if rows["icf"] != 4 || rows["cross, two"] != 0 {
		t.Errorf("series %v, want four settings of icf and none of the heat map", rows)
	}
}

func TestLetters(t *testing.T) {
	for n, want := range map[int]string{0: "A", 25: "Z", 26: "AA", 51: "AZ", 52: "BA", 701: "ZZ", 702: "AAA"} {
		if got := letter(n); got != want {
			t.Errorf("setting %d is %s, want %s", n, got, want)
		}
	}
}

func TestText(t *testing.T) {
	r := newTestReport(t, 80)
	for _, ascii := range []bool{false, true} {
		var b bytes.Buffer
		if err := r.WriteText(&b, TextOptions{ASCII: ascii}); err != nil {
			t.Fatal(err)
		}
		rows := 0
		for line := range strings.Lines(b.String()) {
			line = strings.TrimRight(line, "\n")
			if strings.Contains(line, "icf:") && strings.HasSuffix(line, "%") {
				rows++
				if n := utf8.RuneCountInString(line); n != 46 {
					t.Errorf("%d columns, want 46: %q", n, line)
				}
			}
			if i := strings.IndexFunc(line, func(r rune) bool { return r > unicodeLimit || r < ' ' }); ascii && i >= 0 {
				t.Errorf("not ASCII: %q", line)
			}
		}
		if rows != 8 {
			t.Errorf("%d lines of ICF, want 4 on each collection:\n%s", rows, b.String())
		}
	}
}

func TestCSVHasTheData(t *testing.T) {
	study := testStudy(80)
	r, err := New(study)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := r.WriteCSV(&b, ','); err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) int {
		i := slices.Index(lines[0], name)
		if i < 0 {
			t.Fatalf("no column %q in %q", name, lines[0])
		}
		return i
	}
	next := 1
	for _, c := range study.Collections {
		for _, result := range c.Results {
			line := lines[next]
			next++
			sum, base := 0.0, 0.0
			for q := range c.Queries {
				sum += result.Measures["nDCG@10"][q]
				base += c.Results[0].Measures["nDCG@10"][q]
			}
			n := float64(len(c.Queries))
			if line[at("setting")] != result.Name || line[at("collection")] != c.Name {
				t.Fatalf("line %q, want one of %s on %s", line, result.Name, c.Name)
			}
			for name, want := range map[string]float64{"nDCG@10": sum / n, "delta": (sum - base) / n} {
				if result.Baseline && name != "nDCG@10" {
					continue
				}
				if got, err := strconv.ParseFloat(line[at(name)], 64); err != nil || math.Abs(got-want) > 1e-5 {
					t.Errorf("%s of %s: %q, want %v", name, result.Name, line[at(name)], want)
				}
			}
		}
	}
	if next != len(lines) {
		t.Errorf("%d lines, want %d", len(lines), next)
	}
}

func TestMarkdown(t *testing.T) {
	var b bytes.Buffer
	if err := newTestReport(t, 80).WriteMarkdown(&b); err != nil {
		t.Fatal(err)
	}
	columns := 0
	for line := range strings.Lines(b.String()) {
		if !strings.HasPrefix(line, "|") {
			columns = 0
			continue
		}
		n := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|")
		if columns > 0 && n != columns {
			t.Fatalf("%d cells after lines of %d: %s", n-1, columns-1, line)
		}
		columns = n
	}
}

func TestJSONMakesTheSameReport(t *testing.T) {
	var first, second, page, again bytes.Buffer
	r := newTestReport(t, 30)
	if err := r.WriteJSON(&first); err != nil {
		t.Fatal(err)
	}
	var study Study
	if err := json.Unmarshal(first.Bytes(), &study); err != nil {
		t.Fatal(err)
	}
	copied, err := New(study)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(copied.WriteJSON(&second), r.WriteHTML(&page), copied.WriteHTML(&again)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) || !bytes.Equal(page.Bytes(), again.Bytes()) {
		t.Error("a report changes when its study is written and read")
	}
}

func TestNewRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*Study){
		"no collection":   func(s *Study) { s.Collections = nil },
		"no measure":      func(s *Study) { s.Method.Measures = nil },
		"same collection": func(s *Study) { s.Collections[1].Name = s.Collections[0].Name },
		"same setting":    func(s *Study) { s.Collections[0].Results[2].Name = s.Collections[0].Results[1].Name },
		"two baselines":   func(s *Study) { s.Collections[0].Results[2].Baseline = true },
		"no baseline":     func(s *Study) { s.Collections[0].Results[0].Baseline = false },
		"missing values":  func(s *Study) { s.Collections[1].Results[3].Measures["nDCG@10"] = nil },
		"missing counts":  func(s *Study) { s.Collections[1].Results[3].Work.Scored = nil },
		"not a number":    func(s *Study) { s.Collections[0].Results[1].Overlap[0] = math.NaN() },
		"no such token":   func(s *Study) { s.Collections[0].Results[1].Probed[0] = []int{4} },
		"margin":          func(s *Study) { s.Method.Stats.Margin = 2 },
		"no documents":    func(s *Study) { s.Collections[0].Documents = 0 },
	} {
		study := testStudy(12)
		spoil(&study)
		if _, err := New(study); !errors.Is(err, ErrStudy) && !errors.Is(err, stats.ErrOptions) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// TestPooled checks that the verdict over all collections is the interval, and what
// the ratio of means is.
func TestPooled(t *testing.T) {
	seen := make(map[stats.Verdict]int)
	for _, queries := range []int{12, 300} {
		r := newTestReport(t, queries)
		for name, p := range r.pool() {
			inside := 1-r.pooledMargin() <= p.lower && p.upper <= 1+r.pooledMargin()
			if inside != (p.verdict == stats.Equivalent) {
				t.Errorf("%s on %d queries: %v, ratio %v to %v", name, queries, p.verdict, p.lower, p.upper)
			}
			seen[p.verdict]++
			base, system := 0.0, 0.0
			for _, c := range r.collections {
				base += c.rows[0].means["nDCG@10"]
				system += c.row(name).means["nDCG@10"]
			}
			if math.Abs(p.ratio-system/base) > 1e-9 {
				t.Errorf("%s: ratio %v, want %v", name, p.ratio, system/base)
			}
		}
	}
	if len(seen) < 3 {
		t.Errorf("too few kinds of verdicts: %v", seen)
	}
	study := testStudy(12)
	study.Collections = study.Collections[:1]
	if r, err := New(study); err != nil || r.pool() != nil || r.overview() != nil {
		t.Errorf("one collection is compared with itself (%v)", err)
	}
}

func TestHeadline(t *testing.T) {
	if text := newTestReport(t, 300).headline().text(); !strings.Contains(text, "keeps nDCG@10 within 2\u00a0%") {
		t.Errorf("with many queries: %s", text)
	}
	study := testStudy(12)
	study.Method.Stats.Margin = 1e-5
	r, err := New(study)
	if err != nil {
		t.Fatal(err)
	}
	text := r.headline().text()
	if !strings.HasPrefix(text, "No setting is shown to keep nDCG@10 within 0.001\u00a0%") || !strings.Contains(text, "comes nearest") {
		t.Errorf("with few queries: %s", text)
	}
}
