package main

import (
	"context"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/eval/dataset"
	"github.com/pare-search/pare/retriever"
	"github.com/pare-search/pare/simd"
)

// overflowing encodes every text to one vector that is not finite.
type overflowing struct{}

func (overflowing) Dim() int { return 8 }

func (overflowing) EncodeQuery(context.Context, string) (encoder.Tokens, error) {
	vectors := simd.NewMatrix(1, 8)
	vectors.Data[3] = float32(math.NaN())
	return encoder.Tokens{Vectors: vectors}, nil
}

func (o overflowing) EncodeDocuments(ctx context.Context, texts []string) ([]encoder.Tokens, error) {
	out := make([]encoder.Tokens, len(texts))
	for i, text := range texts {
		out[i], _ = o.EncodeQuery(ctx, text)
	}
	return out, nil
}

// TestEncodeChecks wants vectors checked before they are written, as when an
// index is built.
func TestEncodeChecks(t *testing.T) {
	dir := t.TempDir()
	corpus := filepath.Join(dir, "corpus.jsonl")
	if err := os.WriteFile(corpus, []byte(`{"_id": "d1", "text": "words"}`+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	collection, err := dataset.Open(corpus)
	if err != nil {
		t.Fatal(err)
	}
	out, err := dataset.NewDocumentWriter(dir, 8)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	var e encoded
	bars := (&app{quiet: true}).stages(io.Discard)
	for text, err := range map[string]error{
		"document d1": e.writeDocuments(t.Context(), out, collection, overflowing{}, bars),
		"query q1":    e.writeQueries(t.Context(), out, []dataset.Query{{ID: "q1", Text: "words"}}, overflowing{}),
	} {
		if !errors.Is(err, retriever.ErrEncoder) || !errors.Is(err, encoder.ErrInvalid) || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: error %v, want ErrEncoder that names it", text, err)
		}
	}
}
