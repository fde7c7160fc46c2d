package precomputed

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/eval/dataset"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/retriever"
	"github.com/pare-search/pare/simd"
)

// Errors that callers test for.
var (
	// ErrText: the texts are not those of the documents, or in another order.
	ErrText = errors.New("precomputed: the texts do not fit")
	// ErrQuery: there is no query with this id.
	ErrQuery = errors.New("precomputed: no such query")
)

// Open opens a folder of embeddings, whose vectors must have a width that an
// index can have.
func Open(dir string) (*dataset.Embeddings, error) {
	e, err := dataset.OpenEmbeddings(dir)
	if err != nil {
		return nil, err
	}
	if err := simd.CheckDim(e.Dim); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", dataset.ErrFormat, filepath.Join(dir, "docs.npy"), err)
	}
	return e, nil
}

// Documents returns the documents of a folder, one in memory at a time. Their
// texts, if there are any, come from a collection: texts yields them in the order
// of the folder's ids; those of other documents in between are skipped. Without
// texts it is nil.
func Documents(e *dataset.Embeddings, texts iter.Seq2[retriever.Document, error]) retriever.Embeddings {
	return retriever.Embeddings{
		Dim:       e.Dim,
		Documents: len(e.Documents.IDs),
		Vectors:   e.Documents.Tokens,
		All: func(yield func(index.Document, error) bool) {
			textOf := func(string) (string, error) { return "", nil }
			if texts != nil {
				next, stop := iter.Pull2(texts)
				defer stop()
				textOf = func(id string) (string, error) { return find(next, id) }
			}
			for text, err := range read(e, e.Documents, "docs.npy") {
				document := index.Document{ID: text.id, Tokens: text.tokens}
				if err == nil {
					document.Text, err = textOf(text.id)
				}
				if !yield(document, err) || err != nil {
					return
				}
			}
		},
	}
}

// find goes on to the text of a document.
func find(next func() (retriever.Document, error, bool), id string) (string, error) {
	for {
		document, err, more := next()
		switch {
		case !more:
			return "", fmt.Errorf("%w: there is none for document %q, or it comes before that of a document further up in doc_ids.txt", ErrText, id)
		case err != nil:
			return "", err
		case document.ID == id:
			return document.Text, nil
		}
	}
}

// text is an encoded text of a folder.
type text struct {
	id     string
	tokens encoder.Tokens
}

// read yields the texts of a file of vectors and checks their values.
func read(e *dataset.Embeddings, set *dataset.EmbeddedSet, file string) iter.Seq2[text, error] {
	return func(yield func(text, error) bool) {
		row := 0
		for embedded, err := range set.All() {
			t := text{id: embedded.ID}
			if err == nil {
				rows := len(embedded.Vectors) / e.Dim
				t.tokens = encoder.Tokens{
					IDs:     embedded.TokenIDs,
					Vectors: simd.Matrix{Rows: rows, Dim: e.Dim, Data: embedded.Vectors},
				}
				if err = checkValues(embedded, e.Dim, row); err != nil {
					err = fmt.Errorf("%w: %s: %w", dataset.ErrFormat, filepath.Join(e.Path, file), err)
				}
				row += rows
			}
			if !yield(t, err) || err != nil {
				return
			}
		}
	}
}

// checkValues refuses values that cannot be scored. The first vector is in the
// given row of the file.
func checkValues(text dataset.Embedded, dim, row int) error {
	for i, x := range text.Vectors {
		if !(x >= -codec.MaxComponent && x <= codec.MaxComponent) {
			return fmt.Errorf("row %d, column %d is %v, want a number between -%g and %g (token %d of %q)",
				row+i/dim, i%dim, x, codec.MaxComponent, codec.MaxComponent, i/dim, text.ID)
		}
	}
	return nil
}

// Queries are the queries of a folder. It is the encoder.Encoder of a retriever
// that is asked for ids: the query "q17" is the one with the id q17. Documents
// cannot be encoded. It is safe for concurrent use.
type Queries struct {
	// IDs are in the order of the folder.
	IDs []string

	path   string
	dim    int
	tokens map[string]encoder.Tokens
}

// ReadQueries reads the queries of a folder into memory. The error wraps
// dataset.ErrLayout when it has none.
func ReadQueries(e *dataset.Embeddings) (*Queries, error) {
	if e.Queries == nil {
		return nil, fmt.Errorf("%w: %s has no queries.npy", dataset.ErrLayout, e.Path)
	}
	q := &Queries{IDs: e.Queries.IDs, path: e.Path, dim: e.Dim, tokens: make(map[string]encoder.Tokens, len(e.Queries.IDs))}
	for text, err := range read(e, e.Queries, "queries.npy") {
		if err != nil {
			return nil, err
		}
		q.tokens[text.id] = text.tokens
	}
	return q, nil
}

// Dim returns the width of the vectors.
func (q *Queries) Dim() int { return q.dim }

// Vectors returns the vectors of all queries, one after the other.
func (q *Queries) Vectors() simd.Matrix {
	all := simd.Matrix{Dim: q.dim}
	for _, id := range q.IDs {
		vectors := q.tokens[id].Vectors
		all.Data = append(all.Data, vectors.Data...)
		all.Rows += vectors.Rows
	}
	return all
}

// EncodeQuery returns the query with an id. The error wraps ErrQuery.
func (q *Queries) EncodeQuery(_ context.Context, id string) (encoder.Tokens, error) {
	tokens, ok := q.tokens[id]
	if !ok {
		return encoder.Tokens{}, fmt.Errorf("%w: %s has none with the id %q", ErrQuery, q.path, id)
	}
	return tokens, nil
}

// EncodeDocuments always fails: there is nothing to encode with.
func (q *Queries) EncodeDocuments(context.Context, []string) ([]encoder.Tokens, error) {
	return nil, fmt.Errorf("precomputed: %s holds vectors, which encode no texts", q.path)
}
