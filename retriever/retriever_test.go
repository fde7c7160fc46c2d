package retriever_test

import (
	"cmp"
	"context"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/retriever"
	"github.com/pare-search/pare/simd"
)

func TestSearch(t *testing.T) {
	for _, kind := range codec.Kinds {
		t.Run(kind.String(), func(t *testing.T) {
			r := build(t, orchard, buildOptions(kind))
			for query, want := range map[string]string{
				"when to prune a quince":       "quince",
				"silver leaf":                  "plum",
				"apples for cider":             "cider",
				"rootstocks and scions":        "graft",
				"a stake for an apple tree":    "apple",
				"Which bottle lures the WASP?": "wasps",
			} {
				for _, options := range []retriever.Options{retriever.DefaultOptions(), exhaustive(3), probing(t, "icf:2", 3, 1)} {
					hits := search(t, r, query, options).Hits
					if len(hits) == 0 || hits[0].ID != want {
						t.Errorf("%q with %v finds %v, want %s first", query, options.Pruner, hits, want)
					}
				}
			}
			if hits := search(t, r, "prune", exhaustive(100)).Hits; len(hits) != len(orchard)-1 {
				t.Errorf("%d documents found, want all but the empty one", len(hits))
			}
		})
	}
}

// TestSearchExact compares exhaustive search on uncompressed vectors with
// Rerank, which has no index.
func TestSearchExact(t *testing.T) {
	documents, queries := cranfield(t)
	r := build(t, documents, buildOptions(codec.Float32))
	texts := make([]string, len(documents))
	for i, d := range documents {
		texts[i] = d.Text
	}
	for _, query := range queries[:10] {
		hits := search(t, r, query, exhaustive(len(documents))).Hits
		ranked, err := retriever.Rerank(t.Context(), r.Encoder(), query, texts)
		if err != nil {
			t.Fatal(err)
		}
		if len(hits) != len(documents)-2 {
			t.Fatalf("%d hits, want all but the 2 empty documents", len(hits))
		}
		scores := map[string]float32{}
		for _, r := range ranked {
			scores[documents[r.Position].ID] = r.Score
		}
		// A document's exact score may be 1e-5 of it away, for the order of
		// the additions, and then two may change places.
		bound := 1e-5 * hits[0].Score
		for i, hit := range hits {
			exact := documents[ranked[i].Position].ID
			if hit.ID != exact && math.Abs(float64(scores[hit.ID]-scores[exact])) > float64(bound) {
				t.Fatalf("%q: rank %d is %s, want %s", query, i+1, hit.ID, exact)
			}
			if math.Abs(float64(hit.Score-scores[hit.ID])) > float64(bound) {
				t.Fatalf("%q: %s has the score %v, want %v", query, hit.ID, hit.Score, scores[hit.ID])
			}
		}
	}
}

// TestSearchPruned checks that a pruned query finds what lies in the cells
// nearest to its kept rows, found here by sorting all cells, and scores it as
// the whole query does.
func TestSearchPruned(t *testing.T) {
	documents, queries := cranfield(t)
	r := build(t, documents, buildOptions(codec.Residual2))
	var found, whole int
	parallel := "flow flow flow flow past a wing" // whose rows are merged, and as long together as they are apart
	for _, query := range append(slices.Clone(queries[:15]), parallel) {
		scores := map[string]float32{}
		for _, hit := range search(t, r, query, exhaustive(len(documents))).Hits {
			scores[hit.ID] = hit.Score
		}
		for _, pruner := range []string{
			"all", "icf:1", "icf:4", "idf:3", "first:2", "random:3", "population:50%", "nostopwords:10%",
			"icf+mass:0.6", "idf:4+cost:60", "icf:4+merge:0.4", "nostopwords:english+merge:0.4",
		} {
			options := probing(t, pruner, len(documents), 150)
			results := search(t, r, query, options)
			want := reachable(t, r.Snapshot(), results.Selection.Vectors, results.Selection.Probe, 150)
			var got []string
			for _, hit := range results.Hits {
				got = append(got, hit.ID)
				if hit.Score != scores[hit.ID] {
					t.Fatalf("%q, %s: %s has the score %v, the whole query gives %v", query, pruner, hit.ID, hit.Score, scores[hit.ID])
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Fatalf("%q, %s: %d documents found, want %d", query, pruner, len(got), len(want))
			}
			if results.Stats.DocumentsScored != len(want) || results.Stats.RowsKept != len(results.Selection.Probe) || results.Stats.Rows != results.Query.Vectors.Rows {
				t.Fatalf("%q, %s: stats %+v for %d documents", query, pruner, results.Stats, len(want))
			}
			if pruner == "icf:4" {
				found, whole = found+len(got), whole+len(scores)
			}
		}
	}
	if found*2 > whole {
		t.Errorf("four rows scored %d documents, the whole queries %d: pruning saves too little", found, whole)
	}
}

// reachable returns the ids of the documents in the cells nearest to the rows,
// of each row as many cells as hold so many postings.
func reachable(t *testing.T, s *index.Snapshot, query simd.Matrix, rows []int, neighbors int) []string {
	t.Helper()
	ids := map[string]bool{}
	scorer := s.Codebook().NewScorer()
	if err := scorer.Reset(simd.PackQuery(query), nil, nil); err != nil {
		t.Fatal(err)
	}
	similarities := scorer.Scan()
	for _, row := range rows {
		cells := make([]uint32, s.Codebook().Cells())
		for cell := range cells {
			cells[cell] = uint32(cell)
		}
		slices.SortStableFunc(cells, func(a, b uint32) int {
			return cmp.Compare(similarities.Value(b, row), similarities.Value(a, row))
		})
		read := 0
		for _, cell := range cells {
			if read >= neighbors {
				break
			}
			list, err := s.AppendPostings(nil, cell)
			if err != nil {
				t.Fatal(err)
			}
			read += len(list)
			for _, document := range list {
				id, err := s.ID(document)
				if err != nil {
					t.Fatal(err)
				}
				ids[id] = true
			}
		}
	}
	var out []string
	for id := range ids {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

func TestSearchScoreKept(t *testing.T) {
	r := build(t, orchard, buildOptions(codec.Float32))
	const query = "never prune a plum in winter"
	options := probing(t, "icf:2+scorekept", 10, 1000)
	kept := search(t, r, query, options)
	if len(kept.Selection.Score) != 2 {
		t.Fatalf("rows %v score, want two", kept.Selection.Score)
	}
	// The kept rows alone, as a query of their own.
	part := encoder.Tokens{Vectors: simd.Matrix{Dim: kept.Query.Vectors.Dim}}
	for _, row := range kept.Selection.Score {
		part.Vectors.Data = append(part.Vectors.Data, kept.Query.Vectors.Row(row)...)
		part.Vectors.Rows++
	}
	alone, err := r.SearchTokens(t.Context(), part, exhaustive(10))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(kept.Hits, alone.Hits) {
		t.Errorf("hits %v, the kept rows alone give %v", kept.Hits, alone.Hits)
	}
	options.Pruner.ScoreKept = false
	if slices.Equal(search(t, r, query, options).Hits, kept.Hits) {
		t.Error("scores are the same without ScoreKept: options do not travel with the call")
	}
}

func TestSearchTimes(t *testing.T) {
	r := build(t, orchard, buildOptions(codec.Residual2))
	options := retriever.DefaultOptions()
	if s := search(t, r, "plum", options).Stats; s.EncodeTime != 0 || s.PruneTime != 0 || s.ScoreTime != 0 {
		t.Errorf("times were taken unasked: %+v", s)
	}
	options.Search.Times = true
	if s := search(t, r, "plum", options).Stats; s.EncodeTime <= 0 || s.PruneTime <= 0 || s.ScoreTime <= 0 {
		t.Errorf("times are missing: %+v", s)
	}
}

func TestSearchNothing(t *testing.T) {
	r := build(t, orchard, buildOptions(codec.Residual2))
	for _, query := range []string{"", " ?! "} {
		for _, options := range []retriever.Options{retriever.DefaultOptions(), exhaustive(5), probing(t, "first:3", 5, 10)} {
			results := search(t, r, query, options)
			if len(results.Hits) != 0 || results.Stats.DocumentsScored != 0 {
				t.Errorf("%q finds %v", query, results.Hits)
			}
		}
		e, err := r.Explain(t.Context(), query, "plum", retriever.DefaultOptions())
		if err != nil || e.Score != 0 || len(e.Rows) != 0 || e.Text != orchard[1].Text {
			t.Errorf("%q explains plum by %+v, error %v", query, e, err)
		}
	}
	options := retriever.DefaultOptions()
	options.Search.K = 0
	if hits := search(t, r, "plum", options).Hits; len(hits) != 0 {
		t.Errorf("no hits wanted, got %v", hits)
	}
	// Stop words alone are a query like any other.
	search(t, r, "the of and", retriever.DefaultOptions())
}

func TestErrors(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "index")
	options := buildOptions(codec.Residual1)
	options.Encoder = toy
	if err := retriever.Build(t.Context(), dir, retriever.Documents(orchard...), options); err != nil {
		t.Fatal(err)
	}
	if _, err := retriever.Open(dir); !errors.Is(err, retriever.ErrEncoder) {
		t.Errorf("opened without an encoder: error %v, want ErrEncoder", err)
	}
	if _, err := retriever.Open(t.TempDir()); !errors.Is(err, index.ErrNotIndex) {
		t.Errorf("opened an empty folder: error %v, want ErrNotIndex", err)
	}
	snapshot, err := index.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := retriever.New(snapshot, encoder.Func{Width: 24, Encode: toy.Encode}); !errors.Is(err, retriever.ErrEncoder) {
		t.Errorf("opened with an encoder of 24 dimensions: error %v, want ErrEncoder", err)
	}

	r := open(t, dir, toy)
	ctx, search := t.Context(), retriever.DefaultOptions()
	if _, err := r.Explain(ctx, "plum", "medlar", search); !errors.Is(err, retriever.ErrNotFound) || !strings.Contains(err.Error(), "medlar") {
		t.Errorf("explained an unknown document: error %v, want ErrNotFound", err)
	}
	if _, err := r.Text("medlar"); !errors.Is(err, retriever.ErrNotFound) {
		t.Errorf("text of an unknown document: error %v, want ErrNotFound", err)
	}
	wide := encoder.Tokens{Vectors: simd.NewMatrix(1, 24)}
	if _, err := r.SearchTokens(ctx, wide, search); !errors.Is(err, encoder.ErrInvalid) {
		t.Errorf("searched 24 dimensions in 16: error %v, want encoder.ErrInvalid", err)
	}
	bad := search
	bad.Search.Neighbors, bad.Pruner = -1, querypruner.Pruner{Strategy: querypruner.ICF}
	if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), "neighbors") || !strings.Contains(err.Error(), "keep") {
		t.Errorf("error %v, want both faults", err)
	}
	if _, err := r.Search(ctx, "plum", bad); err == nil {
		t.Error("searched with options that make no sense")
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := r.Search(gone, "plum", search); !errors.Is(err, context.Canceled) {
		t.Errorf("searched after the end: error %v, want context.Canceled", err)
	}

	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	_, searched := r.Search(ctx, "plum", search)
	_, tokens := r.SearchTokens(ctx, encoder.Tokens{}, search)
	_, explained := r.Explain(ctx, "plum", "plum", search)
	_, text := r.Text("plum")
	_, unknown := r.UnknownWords(encoder.Tokens{})
	for _, err := range []error{searched, tokens, explained, text, unknown} {
		if !errors.Is(err, retriever.ErrClosed) {
			t.Errorf("used after Close: error %v, want ErrClosed", err)
		}
	}
}

// TestWithoutEncoder checks what works with tokens alone.
func TestWithoutEncoder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "index")
	options := buildOptions(codec.Int8)
	options.Encoder = toy
	if err := retriever.Build(t.Context(), dir, retriever.Documents(orchard...), options); err != nil {
		t.Fatal(err)
	}
	snapshot, err := index.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	r, err := retriever.New(snapshot, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Search(t.Context(), "plum", exhaustive(1)); !errors.Is(err, retriever.ErrEncoder) {
		t.Errorf("searched a text: error %v, want ErrEncoder", err)
	}
	if _, err := r.Explain(t.Context(), "plum", "plum", exhaustive(1)); !errors.Is(err, retriever.ErrEncoder) {
		t.Errorf("explained a text: error %v, want ErrEncoder", err)
	}
	tokens, err := toy.EncodeQuery(t.Context(), "silver leaf")
	if err != nil {
		t.Fatal(err)
	}
	for _, withIDs := range []bool{true, false} {
		if !withIDs {
			tokens.IDs = nil
		}
		results, err := r.SearchTokens(t.Context(), tokens, probing(t, "icf:1", 1, 1))
		if err != nil || len(results.Hits) != 1 || results.Hits[0].ID != "plum" {
			t.Errorf("tokens with ids %v find %v, error %v", withIDs, results.Hits, err)
		}
	}
}

// liar promises 16 dimensions and returns what it was given.
type liar struct {
	encoder.Func
	query     encoder.Tokens
	documents []encoder.Tokens
}

func (l liar) EncodeQuery(context.Context, string) (encoder.Tokens, error) { return l.query, nil }

func (l liar) EncodeDocuments(context.Context, []string) ([]encoder.Tokens, error) {
	return l.documents, nil
}

// TestUntrustedEncoder checks that no encoder makes anything panic.
func TestUntrustedEncoder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "index")
	options := buildOptions(codec.Residual4)
	options.Encoder = toy
	if err := retriever.Build(t.Context(), dir, retriever.Documents(orchard...), options); err != nil {
		t.Fatal(err)
	}
	good := encoder.Tokens{Vectors: simd.NewMatrix(1, 16)}
	wide := encoder.Tokens{Vectors: simd.NewMatrix(1, 24)}
	short := encoder.Tokens{Vectors: simd.Matrix{Rows: 2, Dim: 16, Data: make([]float32, 9)}}
	ids := encoder.Tokens{Vectors: simd.NewMatrix(2, 16), IDs: []uint32{1}}
	backwards := encoder.Tokens{Vectors: simd.NewMatrix(1, 16), Spans: []encoder.Span{{Start: 3, End: -3}}}
	far := encoder.Tokens{Vectors: simd.NewMatrix(1, 16), Spans: []encoder.Span{{Start: 3, End: 1 << 30}}}
	width := encoder.Func{Width: 16}

	for name, tokens := range map[string]encoder.Tokens{"wide": wide, "short": short, "ids": ids, "backwards": backwards} {
		lie := liar{width, tokens, []encoder.Tokens{good}}
		r := open(t, dir, lie)
		if _, err := r.Search(t.Context(), "plum", exhaustive(1)); !errors.Is(err, retriever.ErrEncoder) || !errors.Is(err, encoder.ErrInvalid) {
			t.Errorf("searched with %s query: error %v", name, err)
		}
		if _, err := r.Explain(t.Context(), "plum", "plum", exhaustive(1)); !errors.Is(err, retriever.ErrEncoder) {
			t.Errorf("explained with %s query: error %v", name, err)
		}
		if _, err := retriever.Rerank(t.Context(), lie, "plum", []string{"plum"}); !errors.Is(err, retriever.ErrEncoder) {
			t.Errorf("reranked with %s query: error %v", name, err)
		}
		lie = liar{width, good, []encoder.Tokens{tokens}}
		if _, err := open(t, dir, lie).Explain(t.Context(), "plum", "plum", exhaustive(1)); !errors.Is(err, retriever.ErrEncoder) {
			t.Errorf("explained with %s text: error %v", name, err)
		}
		if _, err := retriever.Rerank(t.Context(), lie, "plum", []string{"plum"}); !errors.Is(err, retriever.ErrEncoder) {
			t.Errorf("reranked with %s text: error %v", name, err)
		}
		options.Encoder = lie
		err := retriever.Build(t.Context(), filepath.Join(t.TempDir(), "index"), retriever.Documents(orchard[:1]...), options)
		if !errors.Is(err, retriever.ErrEncoder) {
			t.Errorf("built with %s text: error %v", name, err)
		}
	}
	lie := liar{width, good, nil}
	if _, err := open(t, dir, lie).Explain(t.Context(), "plum", "plum", exhaustive(1)); !errors.Is(err, retriever.ErrEncoder) {
		t.Errorf("explained with no text: error %v", err)
	}
	e, err := open(t, dir, liar{width, far, []encoder.Tokens{far}}).Explain(t.Context(), "plum", "plum", exhaustive(1))
	if err != nil || e.Rows[0].Token != "" || e.Rows[0].MatchToken != "" || len(e.Marks()) != 0 {
		t.Errorf("explained with spans outside the text: %+v, error %v", e, err)
	}
}

// TestConcurrentSearch runs the same searches from many goroutines and closes
// the retriever under them.
func TestConcurrentSearch(t *testing.T) {
	options := buildOptions(codec.Residual2)
	options.Encoder = toy
	documents := babble(400, 300)
	r := build(t, documents, options)
	queries := make([]string, 20)
	want := make([][]index.Hit, len(queries))
	settings := make([]retriever.Options, len(queries))
	for i := range queries {
		queries[i] = documents[i*7].Text
		settings[i] = probing(t, []string{"all", "icf:2", "first:3"}[i%3], 5+i, 20+i)
		want[i] = search(t, r, queries[i], settings[i]).Hits
	}
	var started, group sync.WaitGroup
	for worker := range 8 {
		started.Add(1)
		group.Go(func() {
			for i := range 1 << 20 {
				at := (i + worker) % len(queries)
				results, err := r.Search(t.Context(), queries[at], settings[at])
				if i == 0 {
					started.Done()
				}
				if errors.Is(err, retriever.ErrClosed) {
					return
				}
				if err != nil || !slices.Equal(results.Hits, want[at]) {
					t.Errorf("query %d finds %v, error %v, want %v", at, results.Hits, err, want[at])
					return
				}
				if i%5 == 0 {
					if _, err := r.Explain(t.Context(), queries[at], want[at][0].ID, settings[at]); err != nil && !errors.Is(err, retriever.ErrClosed) {
						t.Errorf("explaining: %v", err)
					}
				}
			}
		})
	}
	started.Wait()
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	group.Wait()
}
