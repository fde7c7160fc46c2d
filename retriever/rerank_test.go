package retriever_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/retriever"
)

// maxSim is the sum over the query's rows of the largest dot product with a
// row of the document, in float64.
func maxSim(query, document encoder.Tokens) (sum float64) {
	for i := range query.Vectors.Rows {
		best := math.Inf(-1)
		for j := range document.Vectors.Rows {
			var dot float64
			for d, x := range query.Vectors.Row(i) {
				dot += float64(x) * float64(document.Vectors.Row(j)[d])
			}
			best = max(best, dot)
		}
		sum += best
	}
	return sum
}

func TestRerank(t *testing.T) {
	documents := babble(100, 60)
	texts := make([]string, len(documents))
	for i, d := range documents {
		texts[i] = d.Text
	}
	texts[10], texts[40] = "", " "
	texts[60], texts[20] = texts[30], texts[30]
	query := texts[50]
	ranked, err := retriever.Rerank(t.Context(), toy, query, texts)
	if err != nil {
		t.Fatal(err)
	}
	if len(ranked) != len(texts) {
		t.Fatalf("%d texts came back, want %d", len(ranked), len(texts))
	}
	tokens, _ := toy.EncodeQuery(t.Context(), query)
	seen := map[int]bool{}
	for i, r := range ranked {
		seen[r.Position] = true
		if i > 0 {
			before := ranked[i-1]
			if i < 98 && (r.Score > before.Score || r.Score == before.Score && r.Position < before.Position) {
				t.Errorf("%v comes after %v", r, before)
			}
		}
		document, _ := toy.EncodeQuery(t.Context(), texts[r.Position])
		if document.Vectors.Rows == 0 {
			continue
		}
		if want := maxSim(tokens, document); math.Abs(float64(r.Score)-want) > 1e-4 {
			t.Errorf("text %d has the score %v, want %v", r.Position, r.Score, want)
		}
	}
	if len(seen) != len(texts) {
		t.Errorf("%d different texts came back, want %d", len(seen), len(texts))
	}
	if ranked[0].Position != 50 {
		t.Errorf("text %d is first, want the query itself, 50", ranked[0].Position)
	}
	if a, b := ranked[98], ranked[99]; a.Position != 10 || b.Position != 40 || a.Score != 0 || b.Score != 0 {
		t.Errorf("the last two are %v and %v, want the empty texts 10 and 40", a, b)
	}
}

// TestRerankNegative checks that an empty text comes after one whose score is
// below zero.
func TestRerankNegative(t *testing.T) {
	enc := encoder.Func{Width: 8, Encode: func(ctx context.Context, text string, query bool) (encoder.Tokens, error) {
		tokens := encoder.Tokens{}
		if text == "" {
			return tokens, nil
		}
		tokens.Vectors.Rows, tokens.Vectors.Dim, tokens.Vectors.Data = 1, 8, make([]float32, 8)
		tokens.Vectors.Data[0] = 1
		if !query {
			tokens.Vectors.Data[0] = -1
		}
		return tokens, nil
	}}
	ranked, err := retriever.Rerank(t.Context(), enc, "q", []string{"", "against", "", "against"})
	if err != nil {
		t.Fatal(err)
	}
	want := []retriever.Ranked{{Position: 1, Score: -1}, {Position: 3, Score: -1}, {Position: 0}, {Position: 2}}
	for i := range want {
		if ranked[i] != want[i] {
			t.Fatalf("ranking %v, want %v", ranked, want)
		}
	}
	if ranked, err = retriever.Rerank(t.Context(), enc, "", []string{"", "b", "c"}); err != nil {
		t.Fatal(err)
	}
	want = []retriever.Ranked{{Position: 1}, {Position: 2}, {Position: 0}}
	for i := range want {
		if ranked[i] != want[i] {
			t.Fatalf("ranking for an empty query %v, want %v", ranked, want)
		}
	}
	if ranked, err := retriever.Rerank(t.Context(), enc, "q", nil); err != nil || len(ranked) != 0 {
		t.Errorf("no texts give %v, error %v", ranked, err)
	}
}

func TestRerankErrors(t *testing.T) {
	failure := errors.New("out of memory")
	enc := encoder.Func{Width: 24, Encode: func(ctx context.Context, text string, query bool) (encoder.Tokens, error) {
		if text == "fail" {
			return encoder.Tokens{}, failure
		}
		return toy.Encode(ctx, text, query) // 16 wide
	}}
	for query, texts := range map[string][]string{"fail": {"a"}, "": {"", "fail"}} {
		if _, err := retriever.Rerank(t.Context(), enc, query, texts); !errors.Is(err, failure) {
			t.Errorf("%q: error %v, want the encoder's", query, err)
		}
	}
	for query, texts := range map[string][]string{"wide": {"a"}, "": {"", "wide"}} {
		_, err := retriever.Rerank(t.Context(), enc, query, texts)
		if !errors.Is(err, encoder.ErrInvalid) || !strings.Contains(err.Error(), "16 dimensions, want 24") {
			t.Errorf("%q: error %v, want encoder.ErrInvalid", query, err)
		}
	}
}

func TestRerankWithoutEncoder(t *testing.T) {
	if _, err := retriever.Rerank(t.Context(), nil, "query", []string{"text"}); !errors.Is(err, retriever.ErrEncoder) {
		t.Errorf("got %v, want ErrEncoder", err)
	}
}
