package retriever

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/simd"
)

// Ranked is one of the texts given to Rerank.
type Ranked struct {
	// Position is the text's place in what was given.
	Position int
	// Score is its exact MaxSim with the query.
	Score float32
}

// Rerank orders texts by exact MaxSim with a query, best first; texts with
// equal scores keep their order. It needs no index: the texts are encoded on
// the spot. Texts without tokens come last; a query without tokens gives every
// text the score 0. The error is the encoder's, or wraps ErrEncoder for tokens
// that do not fit.
func Rerank(ctx context.Context, enc encoder.Encoder, query string, texts []string) ([]Ranked, error) {
	if enc == nil {
		return nil, fmt.Errorf("%w: it is nil", ErrEncoder)
	}
	tokens, err := enc.EncodeQuery(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("encoding the query: %w", err)
	}
	if err := tokens.Validate(enc.Dim()); err != nil {
		return nil, fmt.Errorf("%w: the query: %w", ErrEncoder, err)
	}
	documents, err := encodeTexts(ctx, enc, texts)
	if err != nil {
		return nil, err
	}
	packed := simd.PackQuery(tokens.Vectors)
	best := make([]float32, packed.Rows)
	ranked := make([]Ranked, len(texts))
	for i, document := range documents {
		simd.Reset(best)
		packed.MaxSim(document.Vectors, best)
		ranked[i] = Ranked{Position: i, Score: simd.Sum(best)}
	}
	empty := func(r Ranked) int {
		if documents[r.Position].Vectors.Rows == 0 {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(ranked, func(a, b Ranked) int {
		return cmp.Or(cmp.Compare(empty(a), empty(b)), cmp.Compare(b.Score, a.Score))
	})
	return ranked, nil
}
