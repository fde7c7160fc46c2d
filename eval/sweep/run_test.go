package sweep_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/pare-search/pare/eval"
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
		"no runs": func() error { _, err := sweep.Compare(nil, qrels, options(t, "RR")); return err },
	} {
		if err := run(); err == nil {
			t.Errorf("%s: no error", name)
		}
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
	var forBM25 []sweep.BM25Document
	for i, text := range texts {
		forBM25 = append(forBM25, sweep.BM25Document{ID: fmt.Sprint(i), Text: text})
	}
	bm25, err := sweep.NewBM25(t.Context(), forBM25, sweep.DefaultBM25Options())
	if err != nil {
		t.Fatal(err)
	}
	defer bm25.Close()
	pruner := querypruner.Pruner{Strategy: querypruner.ICF, Keep: querypruner.Keep{Count: 1}}
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
		if s.Name == "unpruned" && work.DocumentsScored != len(texts) {
			t.Errorf("%s scored %d documents, want all %d", s.Name, work.DocumentsScored, len(texts))
		}
	}
	if want := []string{"unpruned", "icf:1", "BM25", "BM25 + icf:4"}; !slices.Equal(names, want) {
		t.Errorf("systems %q, want %q", names, want)
	}
	if got := len(sweep.Standard(r, nil, nil, retriever.Options{Search: index.DefaultSearchOptions()})); got != 1 {
		t.Errorf("%d systems without BM25 and pruners, want the unpruned one", got)
	}
}
