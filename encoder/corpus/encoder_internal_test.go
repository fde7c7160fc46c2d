package corpus

import (
	"slices"
	"testing"
)

// TestContextCancelsWord: where neighbours point the other way, nothing may be
// left of a mixed vector; then the word keeps its own.
func TestContextCancelsWord(t *testing.T) {
	opts := Options{Dim: 8, Window: 1, LocalMix: 0.4, GlobalMix: 0.2, MinDocumentFrequency: 1, MaxVocabulary: 2, MaxTrainingTokens: 1}
	vocab := vocabulary{texts: 2, words: []string{"left", "right"}, df: []uint32{1, 1}}
	e := newEncoder(opts, vocab, newCodes([]int8{0, 127, 0, 0, 0, 0, 0, 0, 0, -127, 0, 0, 0, 0, 0, 0}, opts.Dim))
	documents, err := e.EncodeDocuments(t.Context(), []string{"left right"})
	if err != nil {
		t.Fatal(err)
	}
	want := []float32{0, 1, 0, 0, 0, 0, 0, 0, 0, -1, 0, 0, 0, 0, 0, 0}
	if got := documents[0].Vectors.Data; !slices.Equal(got, want) {
		t.Errorf("vectors %v, want %v", got, want)
	}
}
