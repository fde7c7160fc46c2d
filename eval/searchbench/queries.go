package searchbench

import (
	"errors"
	"fmt"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/eval"
	"github.com/pare-search/pare/eval/dataset"
	"github.com/pare-search/pare/simd"
)

// ErrInvalid reports embeddings, settings or options that nothing can be
// measured with.
var ErrInvalid = errors.New("searchbench: invalid")

// Query is an encoded query.
type Query struct {
	ID     string
	Tokens encoder.Tokens
}

// Queries reads the queries of a folder of embeddings into memory. Queries
// without tokens are left out: no search finds anything for them.
func Queries(e *dataset.Embeddings) ([]Query, error) {
	if e.Queries == nil {
		return nil, fmt.Errorf("%w: %s has no queries.npy", ErrInvalid, e.Path)
	}
	var queries []Query
	for text, err := range e.Queries.All() {
		if err != nil {
			return nil, err
		}
		tokens, err := tokensOf(text, e.Dim)
		if err != nil {
			return nil, fmt.Errorf("query %q: %w", text.ID, err)
		}
		if tokens.Vectors.Rows > 0 {
			queries = append(queries, Query{text.ID, tokens})
		}
	}
	if len(queries) == 0 {
		return nil, fmt.Errorf("%w: %s: there is no query with tokens", ErrInvalid, e.Path)
	}
	return queries, nil
}

// tokensOf returns an embedded text as tokens, checked.
func tokensOf(text dataset.Embedded, dim int) (encoder.Tokens, error) {
	tokens := encoder.Tokens{
		IDs:     text.TokenIDs,
		Vectors: simd.Matrix{Rows: len(text.Vectors) / dim, Dim: dim, Data: text.Vectors},
	}
	return tokens, tokens.Validate(dim)
}

// judgementsOf returns the judgements of the queries that are asked.
func judgementsOf(queries []Query, qrels eval.Qrels) eval.Qrels {
	asked := make(eval.Qrels)
	for _, q := range queries {
		if judgements, ok := qrels[q.ID]; ok {
			asked[q.ID] = judgements
		}
	}
	return asked
}
