package sweep_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pare-search/pare/eval"
	"github.com/pare-search/pare/eval/dataset"
	"github.com/pare-search/pare/eval/stats"
	"github.com/pare-search/pare/eval/sweep"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/retriever"
)

// ranking is a system that answers from a table, whatever k is.
func ranking(name string, work sweep.Work, answers map[string][]string) sweep.System {
	return sweep.System{Name: name, Search: func(_ context.Context, query string, k int) ([]eval.Result, sweep.Work, error) {
		ids, ok := answers[query]
		if !ok {
			return nil, work, fmt.Errorf("asked %q", query)
		}
		var results []eval.Result
		for i, id := range ids[:min(k, len(ids))] {
			results = append(results, eval.Result{ID: id, Score: float64(100 - i)})
		}
		return results, work, nil
	}}
}

func options(t *testing.T, measures ...string) sweep.Options {
	t.Helper()
	parsed, err := eval.ParseMeasures(measures...)
	if err != nil {
		t.Fatal(err)
	}
	return sweep.Options{Measures: parsed, Depth: 10, Stats: stats.DefaultOptions()}
}

func TestRunComparesWithTheFirstSystem(t *testing.T) {
	queries := []sweep.Query{{"1", "one"}, {"2", "two"}, {"3", "nobody judged this"}}
	qrels := eval.Qrels{"1": {"a": 1}, "2": {"b": 1}, "4": {"a": 1}}
	systems := []sweep.System{
		ranking("full", sweep.Work{DocumentsScored: 10}, map[string][]string{"one": {"a", "b"}, "two": {"a", "b"}}),
		ranking("half", sweep.Work{DocumentsScored: 4, RowsKept: 2}, map[string][]string{"one": {"b", "a"}, "two": {"a", "b"}}),
	}
	calls := 0
	o := options(t, "RR@10", "R@1")
	o.Workers = 1
	o.Progress = func(_, total int) {
		calls++
		if total != 2 {
			t.Errorf("progress of %d queries, want the 2 judged ones", total)
		}
	}
	report, err := sweep.Run(t.Context(), systems, queries, qrels, o)
	if err != nil {
		t.Fatal(err)
	}
	if calls != 2 || report.Queries != 2 || report.Headline != "RR@10" {
		t.Errorf("%d calls, %d queries, headline %s", calls, report.Queries, report.Headline)
	}
	full, half := report.Systems[0], report.Systems[1]
	// Reciprocal ranks by hand: full 1 and 1/2, half 1/2 and 1/2.
	if full.Measures["RR@10"] != 0.75 || half.Measures["RR@10"] != 0.5 {
		t.Errorf("RR@10 %v and %v, want .75 and .5", full.Measures["RR@10"], half.Measures["RR@10"])
	}
	if !full.Baseline || full.Verdict != nil || full.Delta != nil {
		t.Error("the baseline is compared with itself")
	}
	if half.Baseline || half.Delta["RR@10"] != -0.25 || half.Delta["R@1"] != -0.5 || *half.Verdict != stats.Undecided {
		t.Errorf("half: %+v, verdict %v", half.Delta, half.Verdict)
	}
	if full.Stats.DocumentsScored != 10 || half.Stats.DocumentsScored != 4 || half.Stats.RowsKept != 2 {
		t.Errorf("costs %+v and %+v", full.Stats, half.Stats)
	}
	if half.Overlap10 != 1 {
		t.Errorf("overlap %v, want 1: both list the same documents", half.Overlap10)
	}
	if half.Stats.P50 > half.Stats.P95 {
		t.Error("the median is above the 95th percentile")
	}
}

func TestRunRefuses(t *testing.T) {
	one := ranking("one", sweep.Work{}, map[string][]string{"q": {"a"}})
	query := []sweep.Query{{"1", "q"}}
	qrels := eval.Qrels{"1": {"a": 1}}
	failing := sweep.System{Name: "failing", Search: func(context.Context, string, int) ([]eval.Result, sweep.Work, error) {
		return nil, sweep.Work{}, errors.New("out of order")
	}}
	for name, run := range map[string]func() error{
		"no system": func() error { _, err := sweep.Run(t.Context(), nil, query, qrels, options(t, "RR")); return err },
		"equal names": func() error {
			_, err := sweep.Run(t.Context(), []sweep.System{one, one}, query, qrels, options(t, "RR"))
			return err
		},
		"nothing judged": func() error {
			_, err := sweep.Run(t.Context(), []sweep.System{one}, query, eval.Qrels{"2": {"a": 1}}, options(t, "RR"))
			return err
		},
		"no measure": func() error {
			_, err := sweep.Run(t.Context(), []sweep.System{one}, query, qrels, options(t))
			return err
		},
		"a failing system": func() error {
			_, err := sweep.Run(t.Context(), []sweep.System{one, failing}, query, qrels, options(t, "RR"))
			return err
		},
		"fewer results than a measure looks at": func() error {
			_, err := sweep.Run(t.Context(), []sweep.System{one}, query, qrels, options(t, "RR@10", "R@11"))
			return err
		},
		"a run of other queries": func() error {
			other := eval.Run{Tag: "other", Results: map[string][]eval.Result{"2": {{ID: "a", Score: 1}}}}
			_, err := sweep.Compare([]eval.Run{other}, qrels, options(t, "RR"))
			return err
		},
		"no runs": func() error { _, err := sweep.Compare(nil, qrels, options(t, "RR")); return err },
	} {
		if err := run(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// An empty run is bad, but it is one of these queries.
func TestCompareTakesAnEmptyRun(t *testing.T) {
	qrels := eval.Qrels{"1": {"a": 1}}
	full := eval.Run{Tag: "full", Results: map[string][]eval.Result{"1": {{ID: "a", Score: 1}}, "2": {{ID: "a", Score: 1}}}}
	report, err := sweep.Compare([]eval.Run{full, {Tag: "empty"}}, qrels, options(t, "RR"))
	if err != nil || report.Systems[0].Measures["RR"] != 1 || report.Systems[1].Measures["RR"] != 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

// Each system is the first as often as the others, and costs are plain means.
func TestSystemsTakeTurns(t *testing.T) {
	var order []string
	system := func(name string, rows int) sweep.System {
		return sweep.System{Name: name, Search: func(context.Context, string, int) ([]eval.Result, sweep.Work, error) {
			order = append(order, name)
			return nil, sweep.Work{RowsKept: rows}, nil
		}}
	}
	var queries []sweep.Query
	qrels := eval.Qrels{}
	for i := range 21 {
		id := fmt.Sprint(i)
		queries = append(queries, sweep.Query{ID: id, Text: id})
		qrels[id] = map[string]int{"a": 1}
	}
	o := options(t, "RR")
	o.Workers = 1
	report, err := sweep.Run(t.Context(), []sweep.System{system("a", 2), system("b", 7), system("c", 3)}, queries, qrels, o)
	if err != nil {
		t.Fatal(err)
	}
	first := map[string]int{}
	for turn := range slices.Chunk(order, 3) {
		first[turn[0]]++
		if slices.Sort(turn); !slices.Equal(turn, []string{"a", "b", "c"}) {
			t.Errorf("a query was put to %q", turn)
		}
	}
	if first["a"] != 7 || first["b"] != 7 || first["c"] != 7 {
		t.Errorf("first were %v", first)
	}
	for i, want := range []float64{2, 7, 3} {
		if got := report.Systems[i].Stats.RowsKept; got != want {
			t.Errorf("system %d keeps %v rows, want %v", i, got, want)
		}
	}
}

func TestCheapest(t *testing.T) {
	value := func(x float64) *float64 { return &x }
	system := func(name string, scored, equivalence, difference, delta float64) sweep.SystemReport {
		return sweep.SystemReport{
			Name: name, Stats: &sweep.Cost{Candidates: scored}, Delta: map[string]float64{"RR": delta},
			PEquivalence: value(equivalence), PDifference: value(difference),
		}
	}
	r := sweep.Report{Headline: "RR", Systems: []sweep.SystemReport{
		{Name: "full", Baseline: true, Stats: &sweep.Cost{Candidates: 1}},
		system("equivalent", 50, 0.01, 0.9, -0.001),
		system("better", 40, 1, 0.01, 0.1),
		system("worse", 10, 1, 0.01, -0.1),
		system("undecided after adjusting", 20, 0.06, 0.9, -0.001),
		system("not asked for", 5, 0, 1, 0),
	}}
	for _, test := range []struct {
		names []string
		want  string
	}{
		{[]string{"full", "equivalent", "better", "worse", "undecided after adjusting"}, "better"},
		{[]string{"equivalent"}, "equivalent"},
	} {
		if got := r.Cheapest(test.names...); got == nil || got.Name != test.want {
			t.Errorf("of %q: %+v, want %s", test.names, got, test.want)
		}
	}
	if got := r.Cheapest("full", "worse"); got != nil {
		t.Errorf("%s is as good as the baseline", got.Name)
	}
}

func TestWriteRuns(t *testing.T) {
	dir := t.TempDir()
	r := sweep.Report{}
	for _, name := range []string{"unpruned int8", "icf:4", "icf:50%+scorekept", "BM25 + icf:4"} {
		r.Systems = append(r.Systems, sweep.SystemReport{Name: name, Run: eval.Run{
			Tag: name, Results: map[string][]eval.Result{"q": {{ID: name[:1], Score: 1}}},
		}})
	}
	for path, want := range map[string][]string{
		"out.trec.gz": {
			"out.unpruned-int8.trec.gz", "out.icf-4.trec.gz", "out.icf-50pct-scorekept.trec.gz", "out.BM25-icf-4.trec.gz",
		},
		"plain": {"plain.unpruned-int8.trec", "plain.icf-4.trec", "plain.icf-50pct-scorekept.trec", "plain.BM25-icf-4.trec"},
	} {
		written, err := r.WriteRuns(filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			want[i] = filepath.Join(dir, want[i])
		}
		if !slices.Equal(written, want) {
			t.Errorf("%s: wrote %q, want %q", path, written, want)
		}
		run, err := dataset.ReadRunFile(want[1])
		if err != nil || run.Tag != "icf-4" || len(run.Results["q"]) != 1 {
			t.Errorf("%s: read %+v, %v", want[1], run, err)
		}
	}
	if written, err := r.WriteRuns(filepath.Join(dir, "nowhere", "out")); err == nil || len(written) != 0 {
		t.Errorf("wrote %q, error %v", written, err)
	}
}

// Holm's adjustment of a family can only raise p values, and the largest stays.
func TestAdjustedForAllSystems(t *testing.T) {
	qrels := eval.Qrels{}
	runs := make([]eval.Run, 4)
	for i := range runs {
		runs[i] = eval.Run{Tag: fmt.Sprint("run ", i), Results: map[string][]eval.Result{}}
	}
	for q := range 30 {
		id := fmt.Sprint(q)
		qrels[id] = map[string]int{"a": 1}
		for i := range runs {
			results := []eval.Result{{ID: "b", Score: 2}, {ID: "a", Score: 1}}
			if q%(i+2) == 0 {
				slices.Reverse(results)
				results[0].Score, results[1].Score = 2, 1
			}
			runs[i].Results[id] = results
		}
	}
	report, err := sweep.Compare(runs, qrels, options(t, "RR@10"))
	if err != nil {
		t.Fatal(err)
	}
	var raw, adjusted []float64
	for _, s := range report.Systems[1:] {
		c := s.Comparisons["RR@10"]
		raw, adjusted = append(raw, c.PDifference), append(adjusted, *s.PDifference)
		if s.Stats != nil {
			t.Error("a given run has costs")
		}
	}
	for i := range raw {
		if adjusted[i] < raw[i] || adjusted[i] > 1 {
			t.Errorf("p %v became %v", raw[i], adjusted[i])
		}
	}
	if want := math.Min(1, slices.Min(raw)*3); math.Abs(slices.Min(adjusted)-want) > 1e-12 {
		t.Errorf("the smallest p %v became %v, want three times as much", slices.Min(raw), slices.Min(adjusted))
	}
}

func TestStandardSystems(t *testing.T) {
	texts := []string{"wings stall at low speed", "rivers carry water to the sea", "a wing lifts the aircraft", "bread is baked in an oven"}
	documents := func(yield func(retriever.Document, error) bool) {
		for i, text := range texts {
			if !yield(retriever.Document{ID: fmt.Sprint(i), Text: text}, nil) {
				return
			}
		}
	}
	dir := filepath.Join(t.TempDir(), "index")
	build := retriever.DefaultBuildOptions()
	build.Corpus.MinDocumentFrequency = 1
	if err := retriever.Build(t.Context(), dir, documents, build); err != nil {
		t.Fatal(err)
	}
	r, err := retriever.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var forBM25 []retriever.Document
	for i, text := range texts {
		forBM25 = append(forBM25, retriever.Document{ID: fmt.Sprint(i), Text: text})
	}
	bm25, err := sweep.NewBM25(t.Context(), forBM25, sweep.DefaultBM25Options())
	if err != nil {
		t.Fatal(err)
	}
	defer bm25.Close()
	pruner := querypruner.Pruner{Strategy: querypruner.ICF, Keep: querypruner.Keep{Count: 1}}
	for name, test := range map[string]struct {
		documents []retriever.Document
		want      string
	}{
		"the same":     {forBM25, ""},
		"one fewer":    {forBM25[1:], "it has 4 documents, the collection 3"},
		"another id":   {append([]retriever.Document{{ID: "x", Text: texts[0]}}, forBM25[1:]...), `no document "x"`},
		"another text": {append([]retriever.Document{{ID: "0", Text: "else"}}, forBM25[1:]...), `"0" has another text`},
		"one more":     {append(slices.Clone(forBM25), retriever.Document{ID: "5"}), `no document "5"`},
		"no documents": {nil, "it has 4 documents"},
	} {
		err := sweep.CheckIndex(r.Snapshot(), test.documents)
		if test.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		} else if !errors.Is(err, sweep.ErrOtherIndex) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	systems := sweep.Standard(r, bm25, []querypruner.Pruner{pruner}, retriever.DefaultOptions())
	var names []string
	for _, s := range systems {
		names = append(names, s.Name)
		results, work, err := s.Search(t.Context(), "stalling wings", 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(results) == 0 || results[0].ID != "0" || len(results) > 2 {
			t.Errorf("%s answers %v", s.Name, results)
		}
		if pruned := strings.Contains(s.Name, ":") || strings.Contains(s.Name, "all"); pruned != (work.CellsProbed > 0) {
			t.Errorf("%s probed %d cells", s.Name, work.CellsProbed)
		}
		if s.Name == "unpruned" && work.DocumentsScored != len(texts) {
			t.Errorf("%s scored %d documents, want all %d", s.Name, work.DocumentsScored, len(texts))
		}
	}
	if want := []string{"unpruned", "icf:1", "BM25", "BM25 + all"}; !slices.Equal(names, want) {
		t.Errorf("systems %q, want %q", names, want)
	}
	if got := len(sweep.Standard(r, nil, nil, retriever.Options{Search: index.DefaultSearchOptions()})); got != 1 {
		t.Errorf("%d systems without BM25 and pruners, want the unpruned one", got)
	}
}
