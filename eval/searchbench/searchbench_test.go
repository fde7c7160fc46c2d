package searchbench_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/pare-search/pare/eval"
	"github.com/pare-search/pare/eval/dataset"
	"github.com/pare-search/pare/eval/precomputed"
	"github.com/pare-search/pare/eval/searchbench"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/index/codec"
)

// bruteForce ranks all documents of a query with plain loops in float64.
func bruteForce(t *testing.T, e *dataset.Embeddings, query searchbench.Query) []eval.Result {
	t.Helper()
	var all []eval.Result
	for text, err := range e.Documents.All() {
		must(t, err)
		score := 0.0
		for i := range query.Tokens.Vectors.Rows {
			best := math.Inf(-1)
			for at := 0; at < len(text.Vectors); at += e.Dim {
				dot := 0.0
				for d, x := range query.Tokens.Vectors.Row(i) {
					dot += float64(x) * float64(text.Vectors[at+d])
				}
				best = max(best, dot)
			}
			score += best
		}
		if len(text.Vectors) > 0 {
			all = append(all, eval.Result{ID: text.ID, Score: score})
		}
	}
	return eval.Rank(all, eval.TiesDescending)
}

func TestExact(t *testing.T) {
	e := openEmbeddings(t)
	queries, err := searchbench.Queries(e)
	must(t, err)
	for _, k := range []int{1, 10, testDocuments + 1} {
		calls := 0
		run, err := searchbench.Exact(t.Context(), e, queries, k, func(done, total int) {
			calls++
			if done > total || total != testDocuments {
				t.Errorf("progress %d of %d", done, total)
			}
		})
		must(t, err)
		if calls == 0 {
			t.Error("no progress")
		}
		for _, query := range queries {
			want := bruteForce(t, e, query)
			want = want[:min(k, len(want))]
			got := run.Results[query.ID]
			if len(got) != len(want) {
				t.Fatalf("k %d: %d results, want %d", k, len(got), len(want))
			}
			for i := range got {
				if got[i].ID != want[i].ID || math.Abs(got[i].Score-want[i].Score) > 1e-5 {
					t.Fatalf("k %d, query %s, rank %d: %v, want %v", k, query.ID, i+1, got[i], want[i])
				}
			}
		}
	}
	if _, err := searchbench.Exact(t.Context(), e, queries, 0, nil); !errors.Is(err, searchbench.ErrInvalid) {
		t.Errorf("the best 0: error %v", err)
	}
}

func TestCachedExact(t *testing.T) {
	e := openEmbeddings(t)
	queries, err := searchbench.Queries(e)
	must(t, err)
	path := searchbench.ExactPath(e, 10)
	computed := 0
	progress := func(int, int) { computed++ }
	first, err := searchbench.CachedExact(t.Context(), path, e, queries, 10, progress)
	must(t, err)
	before := computed
	again, err := searchbench.CachedExact(t.Context(), path, e, queries, 10, progress)
	must(t, err)
	if computed != before {
		t.Error("the ranking was computed again")
	}
	if eval.Overlap(first, again, 10) != 1 || first.Tag != again.Tag {
		t.Error("the ranking that was read is another")
	}
	// Vectors that were written anew may be others.
	later := time.Now().Add(time.Hour)
	must(t, os.Chtimes(filepath.Join(e.Path, "docs.npy"), later, later))
	_, err = searchbench.CachedExact(t.Context(), path, e, queries, 10, progress)
	must(t, err)
	if computed == before {
		t.Error("the ranking of older vectors was taken")
	}
	must(t, os.WriteFile(path, []byte("no run\n"), 0o644))
	if _, err := searchbench.CachedExact(t.Context(), path, e, queries, 10, progress); !errors.Is(err, dataset.ErrFormat) {
		t.Errorf("a file that is no run: error %v", err)
	}
}

// build makes an index of the embeddings, with vectors stored as they are, so
// that a search of all documents is exact.
func build(t testing.TB, e *dataset.Embeddings, kind codec.Kind) *index.Snapshot {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "index")
	options := index.DefaultOptions(e.Dim)
	options.Codec.Kind = kind
	built, err := searchbench.Build(t.Context(), dir, precomputed.Documents(e, nil), options, nil)
	must(t, err)
	if built.Seconds <= 0 || built.TrainSeconds > built.Seconds {
		t.Errorf("built in %+v", built)
	}
	snapshot, err := index.Open(dir)
	must(t, err)
	t.Cleanup(func() { snapshot.Close() })
	return snapshot
}

func TestMeasure(t *testing.T) {
	e := openEmbeddings(t)
	queries, err := searchbench.Queries(e)
	must(t, err)
	truth, err := searchbench.Exact(t.Context(), e, queries, 100, nil)
	must(t, err)
	snapshot := build(t, e, codec.Float32)

	options := searchbench.DefaultOptions()
	options.Repeats, options.Threads, options.ThreadTime = 2, 2, 10*time.Millisecond
	exhaustive, err := searchbench.ParseGrid("plan=exhaustive")
	must(t, err)
	few, err := searchbench.ParseGrid("budget=1,100000")
	must(t, err)
	options.Settings = slices.Concat(exhaustive, few)
	last := 0
	options.Progress = func(done, total int) {
		if last = done; done > total {
			t.Errorf("progress %d of %d", done, total)
		}
	}
	report, err := searchbench.Measure(t.Context(), snapshot, queries, truth, e.Qrels, options)
	must(t, err)
	if want := 3 * 2 * len(queries); last != want {
		t.Errorf("progress ended at %d, want %d", last, want)
	}

	all, one, every := report.Results[0], report.Results[1], report.Results[2]
	if all.Recall10 != 1 || all.Recall100 != 1 || all.NDCG10 != report.ExactNDCG10 || all.Plan != "exhaustive" {
		t.Errorf("exhaustive search of float32 vectors is not exact: %+v", all)
	}
	// Document 7 has no vectors, but it lies in the index.
	if all.Work.Candidates != testDocuments || all.Work.Postings != 0 {
		t.Errorf("exhaustive search has the work %+v", all.Work)
	}
	if one.Recall10 >= all.Recall10 || one.Work.Candidates >= every.Work.Candidates || every.Recall10 < 0.9 {
		t.Errorf("a small budget: %+v, a large one: %+v", one, every)
	}
	for _, r := range report.Results {
		if r.P50 <= 0 || r.P95 < r.P50 || r.Mean <= 0 || r.Stages.Score <= 0 || r.Work.Rows < 4 {
			t.Errorf("%+v", r)
		}
	}
	if report.ExactNDCG10 <= 0 || report.ExactNDCG10 > 1 {
		t.Errorf("nDCG@10 of the truth %v", report.ExactNDCG10)
	}
	for _, b := range report.Best {
		if b.Result == nil {
			t.Errorf("%s: nothing reaches it, but the exhaustive search does", b.Target)
		}
	}
	if s := report.Throughput; s == nil || s.Threads != 2 || s.One <= 0 || s.All <= 0 {
		t.Errorf("throughput %+v", s)
	}
}

func TestMeasureStops(t *testing.T) {
	e := openEmbeddings(t)
	queries, err := searchbench.Queries(e)
	must(t, err)
	snapshot := build(t, e, codec.Residual2)
	options := searchbench.DefaultOptions()
	options.Repeats = 0
	if _, err := searchbench.Measure(t.Context(), snapshot, queries, eval.Run{}, nil, options); !errors.Is(err, searchbench.ErrInvalid) {
		t.Errorf("no repeats: error %v", err)
	}
	options = searchbench.DefaultOptions()
	if _, err := searchbench.Measure(t.Context(), snapshot, nil, eval.Run{}, nil, options); !errors.Is(err, searchbench.ErrInvalid) {
		t.Errorf("no queries: error %v", err)
	}
}

func TestBuildLeavesNothing(t *testing.T) {
	e := openEmbeddings(t)
	dir := filepath.Join(t.TempDir(), "index")
	ctx, cancel := context.WithCancel(t.Context())
	options := index.DefaultOptions(e.Dim)
	_, err := searchbench.Build(ctx, dir, precomputed.Documents(e, nil), options, func(stage string, _, _ int) {
		if stage == "indexing" {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		t.Errorf("%v is left", entries)
	}
}

func TestNoQueries(t *testing.T) {
	e := openEmbeddings(t)
	e.Queries = nil
	if _, err := searchbench.Queries(e); !errors.Is(err, dataset.ErrLayout) {
		t.Errorf("error %v", err)
	}
}
