package searchbench

import (
	"context"
	"errors"
	"fmt"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/eval"
	"github.com/pare-search/pare/eval/dataset"
	"github.com/pare-search/pare/eval/precomputed"
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
	all, err := precomputed.ReadQueries(e)
	if err != nil {
		return nil, err
	}
	var queries []Query
	for _, id := range all.IDs {
		tokens, err := all.EncodeQuery(context.Background(), id)
		if err != nil {
			return nil, err
		}
		if tokens.Vectors.Rows > 0 {
			queries = append(queries, Query{id, tokens})
		}
	}
	if len(queries) == 0 {
		return nil, fmt.Errorf("%w: %s: there is no query with tokens", ErrInvalid, e.Path)
	}
	return queries, nil
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
