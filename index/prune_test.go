package index

import (
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/index/docpruner"
)

// fitPruner fits a pruner to documents.
func fitPruner(t testing.TB, spec string, documents []Document) *docpruner.Fitted {
	t.Helper()
	p := must[docpruner.Pruner](t)(docpruner.Parse(spec))
	return must[*docpruner.Fitted](t)(p.Fit(t.Context(), func(yield func(encoder.Tokens, error) bool) {
		for _, d := range documents {
			if !yield(d.Tokens, nil) {
				return
			}
		}
	}, docpruner.DefaultFitOptions()))
}

// TestPruner builds an index with a pruner in two sessions and compares it with
// one of documents that were pruned before.
func TestPruner(t *testing.T) {
	documents := randomDocuments(rand.New(rand.NewPCG(8, 8)), 60, 16, true)
	for _, spec := range []string{"idf:2", "ward:2+protect=1", "voronoi:50%", "voronoi:70%+ward:2"} {
		pruner := fitPruner(t, spec, documents[:30])
		pruned := slices.Clone(documents)
		unpruned := 0
		for i, d := range documents {
			unpruned += d.Tokens.Vectors.Rows
			pruned[i].Tokens = must[docpruner.Pruned](t)(pruner.Prune(d.Tokens)).Tokens
		}
		options := smallOptions(16, codec.Residual2)
		add := func(documents []Document, more CreateOptions) *Snapshot {
			dir := filepath.Join(t.TempDir(), "index")
			w := must[*Writer](t)(Create(dir, options, more))
			check(t, w.Add(t.Context(), documents[:30]...))
			check(t, w.Commit(t.Context()))
			check(t, w.Close())
			w = must[*Writer](t)(OpenWriter(dir))
			check(t, w.Update(t.Context(), documents[20:]...))
			check(t, w.Commit(t.Context()))
			check(t, w.Close())
			check(t, Verify(dir))
			return open(t, dir)
		}
		got, want := add(documents, CreateOptions{Pruner: pruner}), add(pruned, CreateOptions{})
		if got.Codebook().Checksum() != want.Codebook().Checksum() || got.Vectors() != want.Vectors() {
			t.Errorf("%s: another codebook, or %d vectors for %d", spec, got.Vectors(), want.Vectors())
		}
		for document := range uint32(got.Documents()) {
			a, b := must[codec.Payload](t)(got.Payload(document)), must[codec.Payload](t)(want.Payload(document))
			if !slices.Equal(a.Cells, b.Cells) || !slices.Equal(a.Codes, b.Codes) {
				t.Fatalf("%s: document number %d is stored differently", spec, document)
			}
		}
		info := must[Info](t)(got.Inspect())
		for _, d := range documents[20:30] { // they were added twice
			unpruned += d.Tokens.Vectors.Rows
		}
		if info.Pruner != spec || info.UnprunedVectors != int64(unpruned) || info.Vectors != got.Vectors() {
			t.Errorf("%s: described as %q, %d of %d vectors", spec, info.Pruner, info.Vectors, info.UnprunedVectors)
		}
		if got.Pruner().Pruner().String() != spec || want.Pruner() != nil || want.UnprunedVectors() != want.Vectors() {
			t.Errorf("%s: %v and %v", spec, got.Pruner(), want.Pruner())
		}
	}
}

// TestPrunerRefuses adds what cannot be pruned to an index that goes on.
func TestPrunerRefuses(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	documents := randomDocuments(rng, 20, 16, true)
	w := must[*Writer](t)(Create(filepath.Join(t.TempDir(), "index"), smallOptions(16, codec.Residual2), CreateOptions{Pruner: fitPruner(t, "idf:2", documents)}))
	defer w.Close()
	err := w.Add(t.Context(), documents[0], Document{ID: "strange", Tokens: randomTokens(rng, 3, 16, false)})
	if !errors.Is(err, ErrInvalid) || !errors.Is(err, docpruner.ErrNoIDs) || !strings.Contains(err.Error(), `"strange"`) {
		t.Errorf("error %v, want ErrInvalid and ErrNoIDs that names the document", err)
	}
	check(t, w.Add(t.Context(), documents...))
	check(t, w.Commit(t.Context()))
	_, err = Create(filepath.Join(t.TempDir(), "index"), smallOptions(24, codec.Residual2), CreateOptions{Pruner: fitPruner(t, "voronoi:50%", documents)})
	if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "pruner is for 16 dimensions") {
		t.Errorf("error %v, want ErrInvalid for another width", err)
	}
}
