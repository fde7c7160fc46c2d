package eval

import (
	"bufio"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// fields reads a file of testdata as lines of fields.
func fields(t *testing.T, name string) [][]string {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var lines [][]string
	for sc := bufio.NewScanner(f); sc.Scan(); {
		lines = append(lines, strings.Fields(sc.Text()))
	}
	return lines
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func testQrels(t *testing.T) Qrels {
	qrels := Qrels{}
	for _, f := range fields(t, "qrels.txt") {
		if qrels[f[0]] == nil {
			qrels[f[0]] = map[string]int{}
		}
		qrels[f[0]][f[2]] = int(number(t, f[3]))
	}
	return qrels
}

func testRun(t *testing.T, name string) Run {
	run := Run{Results: map[string][]Result{}}
	for _, f := range fields(t, name) {
		run.Results[f[0]] = append(run.Results[f[0]], Result{f[2], number(t, f[4])})
		run.Tag = f[5]
	}
	return run
}

func measure(t *testing.T, name string) Measure {
	t.Helper()
	m, err := ParseMeasure(name)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAgainstOtherSoftware(t *testing.T) {
	qrels, run := testQrels(t), testRun(t, "run.txt")
	expected := fields(t, "expected.tsv")
	var measures []Measure
	for _, f := range expected {
		if m := measure(t, f[2]); !slices.Contains(measures, m) {
			measures = append(measures, m)
		}
	}
	reports := map[string]Report{
		"descending": EvaluateTies(qrels, run, measures, TiesDescending),
		"ascending":  EvaluateTies(qrels, run, measures, TiesAscending),
	}
	differ := false
	for _, f := range expected {
		rep, m, want := reports[f[1]], measure(t, f[2]), number(t, f[4])
		got, _ := rep.Mean(m)
		if f[3] != "all" {
			got = rep.PerQuery(m)[slices.Index(rep.Queries, f[3])]
		} else {
			desc, _ := reports["descending"].Mean(m)
			asc, _ := reports["ascending"].Mean(m)
			differ = differ || desc != asc
		}
		if math.Abs(got-want) > 1e-9 {
			t.Errorf("%s, ties %s, %s of query %s: %g, want %g", f[0], f[1], f[2], f[3], got, want)
		}
	}
	if !differ {
		t.Error("the fixture has no ties that matter")
	}

	rep := reports["descending"]
	if len(rep.Missing) == 0 || !slices.Equal(rep.Unjudged, []string{"q99"}) || !slices.IsSorted(rep.Queries) {
		t.Errorf("missing %v, unjudged %v, queries %v", rep.Missing, rep.Unjudged, rep.Queries)
	}
}

func TestRBOAgainstOtherSoftware(t *testing.T) {
	a, b := testRun(t, "run.txt"), testRun(t, "other.txt")
	for _, f := range fields(t, "rbo.tsv") {
		p, want := number(t, f[1]), number(t, f[2])
		if got := RBOAt(a.Results[f[0]], b.Results[f[0]], p); math.Abs(got-want) > 1e-9 {
			t.Errorf("query %s, p %g: %g, want %g", f[0], p, got, want)
		}
		x, y := RBOAt(b.Results[f[0]], a.Results[f[0]], p), RBOAt(a.Results[f[0]], a.Results[f[0]], p)
		if math.Abs(x-want) > 1e-9 || math.Abs(y-1) > 1e-9 {
			t.Errorf("query %s: swapped %g, want %g; with itself %g, want 1", f[0], x, want, y)
		}
	}
}

func TestOverlap(t *testing.T) {
	list := func(ids ...string) []Result {
		var out []Result
		for i, id := range ids {
			out = append(out, Result{id, -float64(i)})
		}
		return out
	}
	tests := []struct {
		a, b []Result
		k    int
		want float64
	}{
		{list("a", "b", "c"), list("c", "b", "a"), 3, 1},
		{list("a", "b", "c"), list("c", "b", "a"), 1, 0},
		{list("a", "b", "c", "d"), list("c", "x", "a", "y"), 4, 0.5},
		{list("a", "b"), list("a"), 10, 0.5},
		{list("a", "b"), nil, 10, 0},
		{nil, nil, 10, 1},
		{list("a"), list("a"), 0, 1},
	}
	for _, tt := range tests {
		if got := OverlapAt(tt.a, tt.b, tt.k); got != tt.want {
			t.Errorf("overlap of %v and %v at %d: %g, want %g", tt.a, tt.b, tt.k, got, tt.want)
		}
	}

	a := Run{Results: map[string][]Result{"1": list("a", "b"), "2": list("a")}}
	b := Run{Results: map[string][]Result{"1": list("b", "x"), "3": list("a")}}
	if got, want := Overlap(a, b, 2), (0.5+0+0)/3; math.Abs(got-want) > 1e-15 {
		t.Errorf("overlap of runs: %g, want %g", got, want)
	}
	if got := RBO(a, a, 0.9); math.Abs(got-1) > 1e-12 {
		t.Errorf("RBO of a run with itself: %g", got)
	}
	for _, p := range []float64{0, 1, -1, math.NaN()} {
		if got := RBOAt(list("a"), list("a"), p); !math.IsNaN(got) {
			t.Errorf("RBO with p = %g: %g, want NaN", p, got)
		}
	}
}

func TestRank(t *testing.T) {
	results := []Result{{"a", 1}, {"c", 1 + 1e-9}, {"n", math.NaN()}, {"b", 1}, {"z", 2}, {"a", 0}, {"m", math.Inf(-1)}}
	before := slices.Clone(results[:2])
	for ties, want := range map[TieOrder]string{TiesDescending: "zcbamn", TiesAscending: "zabcmn"} {
		got := ""
		for _, res := range Rank(results, ties) {
			got += res.ID
		}
		if got != want {
			t.Errorf("order %d: %s, want %s", ties, got, want)
		}
	}
	if !slices.Equal(results[:2], before) {
		t.Error("Rank changed its argument")
	}
}

func TestValidate(t *testing.T) {
	good := Run{Results: map[string][]Result{"q": {{"a", 1}, {"b", math.Inf(1)}}}}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	bad := Run{Results: map[string][]Result{
		"q1": {{"a", 1}, {"a", 2}}, "q2": {{"", 1}}, "q3": {{"b", math.NaN()}}, "q4": {{"c", 1}},
	}}
	err := bad.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"q1", "q2", "q3", "listed twice", "empty document id", "no number"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %q: %v", want, err)
		}
	}
}

func TestEvaluateNothing(t *testing.T) {
	m := measure(t, "nDCG@10")
	rep := Evaluate(nil, Run{}, []Measure{m, {}})
	if mean, ok := rep.Mean(m); !ok || mean != 0 || len(rep.Queries) != 0 {
		t.Errorf("%+v", rep)
	}
	if _, ok := rep.Mean(measure(t, "AP")); ok || rep.PerQuery(measure(t, "AP")) != nil {
		t.Error("a measure that was not asked for has a value")
	}
}

func TestParseMeasure(t *testing.T) {
	for name, want := range map[string]string{
		"nDCG@10": "nDCG@10", "ndcg": "nDCG", "RR": "RR", "MRR@10": "RR@10", "R@100": "R@100", "Recall@5": "R@5",
		"P(rel=2)@5": "P(rel=2)@5", "P(rel=1)@5": "P@5", " AP ": "AP", "AP@1000": "AP@1000", "AP( rel = 3 )": "AP(rel=3)",
		"Success@5": "Success@5", "Judged@10": "Judged@10", "NumRet": "NumRet", "NumRet(rel=2)": "NumRet(rel=2)",
		"NumRel": "NumRel", "NumRelRet": "NumRet(rel=1)", "Rprec": "Rprec", "Rprec(rel=2)": "Rprec(rel=2)",
		"ndcg_cut_10": "nDCG@10", "ndcg_cut.10": "nDCG@10", "recip_rank": "RR", "map": "AP", "map_cut_1000": "AP@1000",
		"recall_100": "R@100", "P_5": "P@5", "P.10": "P@10", "success_5": "Success@5", "num_ret": "NumRet",
		"num_rel": "NumRel", "num_rel_ret": "NumRet(rel=1)", "recip_rank(rel=2)@10": "RR(rel=2)@10",
	} {
		m := measure(t, name)
		if m.String() != want {
			t.Errorf("%q reads as %s, want %s", name, m, want)
		}
		var again Measure
		if text, _ := m.MarshalText(); again.UnmarshalText(text) != nil || again != m {
			t.Errorf("%s does not read back", m)
		}
	}
	for _, name := range []string{
		"", "@", "@10", "DCG", "nDCG@", "nDCG@0", "nDCG@-1", "nDCG@+1", "nDCG@1e3", "nDCG@99999999999", "nDCG(rel=2)@10", "P", "R",
		"Success", "Rprec@5", "NumRet@10", "P(rel=2@5", "P(rel=0)@5", "P(rel=x)@5", "P()@5", "P(min=2)@5", "Judged(rel=1)",
		"ndcg_cut", "nDCG(dcg='exp-log2')@10", "RR@10@5", "P(rel=2)(rel=3)@5",
	} {
		if m, err := ParseMeasure(name); err == nil {
			t.Errorf("%q reads as %s, want an error", name, m)
		} else if !strings.Contains(err.Error(), "Success@k") {
			t.Errorf("the error does not list what exists: %v", err)
		}
	}
	if _, err := ParseMeasures("AP", "x", "y"); err == nil || strings.Count(err.Error(), "unknown measure") != 2 {
		t.Errorf("two bad names: %v", err)
	}
}

func FuzzParseMeasure(f *testing.F) {
	for _, s := range []string{"nDCG@10", "P(rel=2)@5", "ndcg_cut_10", "Rprec", "(", "@", "_1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		m, err := ParseMeasure(name)
		if err != nil {
			return
		}
		if again, err := ParseMeasure(m.String()); err != nil || again != m {
			t.Errorf("%q reads as %s, which reads as %s (%v)", name, m, again, err)
		}
	})
}
