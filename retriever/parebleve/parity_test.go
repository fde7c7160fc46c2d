package parebleve_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/blevesearch/bleve/v2"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/retriever"
	"github.com/pare-search/pare/retriever/parebleve"
	"github.com/pare-search/pare/simd"
)

// trainToy trains a codebook on the vectors of pages.
func trainToy(t testing.TB, pages map[string]page, kind codec.Kind) *codec.Codebook {
	t.Helper()
	sample := simd.Matrix{Dim: toyDim}
	var tokenIDs []uint32
	for _, id := range slices.Sorted(maps.Keys(pages)) {
		tokens, err := toy.EncodeQuery(t.Context(), pages[id].Body)
		if err != nil {
			t.Fatal(err)
		}
		sample.Data = append(sample.Data, tokens.Vectors.Data...)
		sample.Rows += tokens.Vectors.Rows
		tokenIDs = append(tokenIDs, tokens.IDs...)
	}
	options := codec.DefaultOptions()
	options.Kind = kind
	options.VectorsPerCell = 32
	codebook, err := codec.Train(t.Context(), sample, tokenIDs, options, nil)
	if err != nil {
		t.Fatal(err)
	}
	return codebook
}

// fileIndex makes a Pare index of pages with the codebook.
func fileIndex(t testing.TB, pages map[string]page, codebook *codec.Codebook) *retriever.Retriever {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "pages.pare")
	options := index.DefaultOptions(toyDim)
	options.Codec.Kind = codebook.Kind()
	w, err := index.Create(dir, options, index.CreateOptions{Codebook: codebook})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, id := range slices.Sorted(maps.Keys(pages)) {
		tokens, err := toy.EncodeQuery(t.Context(), pages[id].Body)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Add(t.Context(), index.Document{ID: id, Tokens: tokens}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	snapshot, err := index.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	r, err := retriever.New(snapshot, toy)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// TestParity holds a bleve index against a Pare index of the same documents:
// same settings, same ids, same scores.
func TestParity(t *testing.T) {
	pages := babble(600, 1)
	for _, kind := range codec.Kinds {
		codebook := trainToy(t, pages, kind)
		files := fileIndex(t, pages, codebook)
		options := toyOptions()
		options.Codebook, options.TokenStatistics = codebook, true
		idx := create(t, pages, options)
		for _, spec := range []string{
			"all", "icf:3", "idf:2", "first:2", "population:3", "nostopwords:20%", "icf:2+scorekept",
			"idf+mass:0.5", "icf:4+merge:0.5", "merge:0.5+weigh:idf+scorekept",
		} {
			pruner, err := querypruner.Parse(spec)
			if err != nil {
				t.Fatal(err)
			}
			for _, search := range []index.SearchOptions{
				{K: 10, Plan: index.Exhaustive, Neighbors: 1},
				{K: 10, Plan: index.Interaction, Neighbors: 1, Depth: 40},
				{K: 10, Plan: index.Probe, Neighbors: 20},
				{K: 7, Plan: index.Probe, Budget: 60, MarginShare: 0.5},
				{K: 10, Plan: index.Probe, Neighbors: 40, Depth: 30, Workers: 2},
				{K: 25, Budget: 150},
			} {
				t.Run(fmt.Sprint(kind, " ", spec, " ", search.Plan, " ", search.Neighbors+search.Budget), func(t *testing.T) {
					text := pages["d0017"].Body
					want, err := files.Search(t.Context(), text, retriever.Options{Pruner: pruner, Search: search})
					if err != nil {
						t.Fatal(err)
					}
					q := parebleve.NewQuery("body", text)
					q.SetPruning(pruner)
					q.SetSearch(search)
					got := find(t, idx, bleve.NewSearchRequestOptions(q, search.K, 0, false))
					sameHits(t, got, want.Hits)
					if int(got.Total) != want.Stats.Candidates {
						t.Errorf("%d documents found, the file index found %d", got.Total, want.Stats.Candidates)
					}
				})
			}
		}
	}
}

// sameHits compares hits; those of equal scores may change places, since bleve
// orders them by document number.
func sameHits(t *testing.T, got *bleve.SearchResult, want []index.Hit) {
	t.Helper()
	if len(got.Hits) != len(want) {
		t.Fatalf("%d hits, want %d", len(got.Hits), len(want))
	}
	scores := make(map[string]float64)
	for i, hit := range got.Hits {
		scores[hit.ID] = hit.Score
		if hit.Score != float64(want[i].Score) {
			t.Errorf("hit %d has the score %v, want %v", i, hit.Score, want[i].Score)
		}
	}
	for _, hit := range want {
		if scores[hit.ID] != float64(hit.Score) {
			t.Errorf("%s has the score %v, want %v", hit.ID, scores[hit.ID], hit.Score)
		}
	}
}

// TestExhaustive compares the scores of an index without a trained codebook
// with MaxSim by plain loops.
func TestExhaustive(t *testing.T) {
	pages := babble(50, 2)
	idx := create(t, pages, toyOptions())
	const text = "w1 w17 w230"
	result := find(t, idx, bleve.NewSearchRequestOptions(parebleve.NewQuery("body", text), 50, 0, false))
	if len(result.Hits) != 50 || result.Total != 50 {
		t.Fatalf("%d hits of %d, want 50", len(result.Hits), result.Total)
	}
	for _, hit := range result.Hits {
		// int8 has 8 bits in every component of both vectors.
		if want := maxSim(t, text, pages[hit.ID].Body); math.Abs(hit.Score-want) > 0.03 {
			t.Errorf("%s has the score %v, want %v", hit.ID, hit.Score, want)
		}
	}
}

// failing is an encoder that fails.
var failing = encoder.Func{Width: toyDim, Encode: func(context.Context, string, bool) (encoder.Tokens, error) {
	return encoder.Tokens{}, errFailing
}}

var errFailing = fmt.Errorf("no model")
