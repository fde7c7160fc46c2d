package parebleve

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/simd"
)

// TestCodeMaterial: vectors that cannot be coded are told, with the reason, and
// keep no other document from its own.
func TestCodeMaterial(t *testing.T) {
	codebook, err := untrained(8)
	if err != nil {
		t.Fatal(err)
	}
	book := newBook(codebook)
	refused := errors.New("refused")
	made := make([]material, 4)
	made[3].err = refused
	tokens := make([]encoder.Tokens, len(made))
	for i := range tokens {
		tokens[i].Vectors = simd.NewMatrix(2, 8)
		tokens[i].Vectors.Data[9] = 1
	}
	tokens[1].Vectors.Data[9] = float32(math.NaN())
	encoded, err := codeMaterial(t.Context(), book, made, tokens)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []error{nil, simd.ErrNotFinite, nil, refused} {
		if !errors.Is(made[i].err, want) || (encoded[i].Payload.Codes != nil) != (i != 1) {
			t.Errorf("document %d: error %v, want %v, and %d bytes", i, made[i].err, want, len(encoded[i].Payload.Codes))
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := codeMaterial(ended, book, made, tokens); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
}
