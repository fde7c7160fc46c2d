package retriever_test

import (
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/index/docpruner"
	"github.com/pare-search/pare/retriever"
	"github.com/pare-search/pare/simd"
)

func parsePruner(t testing.TB, spec string) docpruner.Pruner {
	t.Helper()
	p, err := docpruner.Parse(spec)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestBuildPruned builds indexes of pruned documents and checks that what is
// found is explained by the right places of the text.
func TestBuildPruned(t *testing.T) {
	documents := babble(150, 60)
	for _, spec := range []string{"idf:30", "docidf:12", "first:40%", "random:40%+seed=3", "ward:2", "ward:3+protect=1", "voronoi:50%", "voronoi:70%+tokens+ward:2"} {
		options := buildOptions(codec.Float32)
		options.Encoder, options.Pruner = toy, parsePruner(t, spec)
		r := build(t, documents, options)
		info, err := r.Snapshot().Inspect()
		if err != nil {
			t.Fatal(err)
		}
		whole := encodeAll(t, documents)
		vectors := 0
		for _, tokens := range whole {
			vectors += tokens.Vectors.Rows
		}
		if info.Pruner != spec || info.UnprunedVectors != int64(vectors) || info.Vectors >= int64(vectors*3/4) {
			t.Errorf("%s: described as %q, %d of %d vectors, want fewer than three in four of %d", spec, info.Pruner, info.Vectors, info.UnprunedVectors, vectors)
		}
		query := documents[17].Text
		tokens, err := toy.EncodeQuery(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		for _, hit := range search(t, r, query, exhaustive(20)).Hits {
			e, err := r.Explain(t.Context(), query, hit.ID, exhaustive(20))
			if err != nil {
				t.Fatal(err)
			}
			if e.Score != hit.Score {
				t.Errorf("%s: %s has the score %v, explained as %v", spec, hit.ID, hit.Score, e.Score)
			}
			checkPlaces(t, spec, e, tokens, whole[hit.ID], r.Snapshot().Pruner())
		}
	}
}

func encodeAll(t testing.TB, documents []retriever.Document) map[string]encoder.Tokens {
	t.Helper()
	whole := make(map[string]encoder.Tokens)
	for _, d := range documents {
		tokens, err := toy.EncodeDocuments(t.Context(), []string{d.Text})
		if err != nil {
			t.Fatal(err)
		}
		whole[d.ID] = tokens[0]
	}
	return whole
}

// checkPlaces holds the places that an explanation gives against the vectors
// they stand for.
func checkPlaces(t *testing.T, spec string, e retriever.Explanation, query, whole encoder.Tokens, pruner *docpruner.Fitted) {
	t.Helper()
	pruned, err := pruner.Prune(whole)
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range e.Rows {
		at := -1
		for j, span := range whole.Spans {
			if span == row.MatchSpan {
				at = j
			}
		}
		if at < 0 || row.MatchToken != row.MatchSpan.In(e.Text) || pruned.Place(at) != row.Match {
			t.Fatalf("%s: row %d matches vector %d, explained by %q, token %d of the document", spec, i, row.Match, row.MatchToken, at)
		}
		stored := simd.Dot(query.Vectors.Row(i), pruned.Vectors.Row(row.Match))
		if math.Abs(float64(row.Similarity-stored)) > 1e-5 {
			t.Errorf("%s: row %d has similarity %v, that of vector %d is %v", spec, i, row.Similarity, row.Match, stored)
		}
		similarity := simd.Dot(query.Vectors.Row(i), whole.Vectors.Row(at))
		for j := range whole.Vectors.Rows {
			if pruned.Place(j) == row.Match && simd.Dot(query.Vectors.Row(i), whole.Vectors.Row(j)) > similarity+1e-5 {
				t.Errorf("%s: row %d is explained by token %d, but token %d is closer", spec, i, at, j)
			}
		}
	}
}

// TestUpdatePruned adds documents to a pruned index later.
func TestUpdatePruned(t *testing.T) {
	documents := babble(100, 60)
	options := buildOptions(codec.Residual2)
	options.Encoder, options.Pruner = toy, parsePruner(t, "voronoi:50%")
	dir := filepath.Join(t.TempDir(), "index")
	if err := retriever.Build(t.Context(), dir, retriever.Documents(documents[:80]...), options); err != nil {
		t.Fatal(err)
	}
	writer, err := index.OpenWriter(dir)
	if err != nil {
		t.Fatal(err)
	}
	whole := encodeAll(t, documents)
	for _, d := range documents[80:] {
		if err := writer.Add(t.Context(), index.Document{ID: d.ID, Text: d.Text, Tokens: whole[d.ID]}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(writer.Commit(t.Context()), writer.Close()); err != nil {
		t.Fatal(err)
	}
	r := open(t, dir, toy)
	want := 0
	for _, d := range documents {
		pruned, err := r.Snapshot().Pruner().Prune(whole[d.ID])
		if err != nil {
			t.Fatal(err)
		}
		want += pruned.Vectors.Rows
	}
	if got := r.Snapshot().Vectors(); got != int64(want) {
		t.Errorf("%d vectors, want %d", got, want)
	}
}

func TestBuildPrunedErrors(t *testing.T) {
	for spec, says := range map[string]string{
		"stopwords:english":   "the token ids of these words are not known",
		"voronoi:50%+queries": "needs vectors of queries",
	} {
		options := buildOptions(codec.Residual2)
		options.Encoder, options.Pruner = toy, parsePruner(t, spec)
		err := retriever.Build(t.Context(), filepath.Join(t.TempDir(), "index"), retriever.Documents(babble(20, 20)...), options)
		if !errors.Is(err, docpruner.ErrInvalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: error %v, want docpruner.ErrInvalid that says %q", spec, err, says)
		}
	}
	options := buildOptions(codec.Residual2)
	options.Pruner = docpruner.Pruner{Steps: []docpruner.Step{{Strategy: docpruner.Ward}}}
	if err := options.Validate(); !errors.Is(err, docpruner.ErrInvalid) {
		t.Errorf("error %v, want docpruner.ErrInvalid", err)
	}
}
