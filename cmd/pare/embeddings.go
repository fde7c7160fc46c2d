package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/pare-search/pare/eval/dataset"
	"github.com/pare-search/pare/eval/precomputed"
	"github.com/pare-search/pare/eval/sweep"
	"github.com/pare-search/pare/retriever"
)

// encodingFlags say what encodes and how, which given queries have no need of.
var encodingFlags = []string{"encoder", "quantize", "service", "service-model"}

// givenAlready refuses flags about encoding where vectors are given.
func givenAlready(c *cobra.Command, flags ...string) error {
	for _, name := range flags {
		if c.Flags().Changed(name) {
			return usage(fmt.Errorf("--%s does not go with --embeddings, which are encoded already", name), "")
		}
	}
	return nil
}

// readQueryVectors reads the encoded queries of a folder of embeddings.
func readQueryVectors(dir string) (*dataset.Embeddings, *precomputed.Queries, error) {
	embeddings, err := precomputed.Open(dir)
	if err != nil {
		return nil, nil, err
	}
	queries, err := precomputed.ReadQueries(embeddings)
	return embeddings, queries, err
}

// openWithQueries opens the index in a folder for given queries, whatever
// encoder it has.
func openWithQueries(dir string, queries *precomputed.Queries) (*retriever.Retriever, error) {
	snapshot, err := openIndex(dir)
	if err != nil {
		return nil, err
	}
	return retriever.New(snapshot, queries)
}

// embedded are the documents and queries of --embeddings.
func (e *evaluation) embedded(ctx context.Context) (*material, error) {
	embeddings, queries, err := readQueryVectors(e.embeddings)
	if err != nil {
		return nil, err
	}
	m := &material{name: filepath.Base(e.embeddings), documents: len(embeddings.Documents.IDs), qrels: embeddings.Qrels}
	for _, id := range queries.IDs {
		if _, judged := m.qrels[id]; judged {
			m.queries = append(m.queries, sweep.Query{ID: id, Text: id})
		}
	}
	switch missing := len(m.qrels) - len(m.queries); {
	case len(m.qrels) == 0:
		return nil, fmt.Errorf("%s has no judgements to measure with, in qrels.tsv", e.embeddings)
	case len(m.queries) == 0:
		return nil, fmt.Errorf("%s: none of the %d queries has judgements", e.embeddings, len(queries.IDs))
	case missing > 0:
		e.note(e.stderr, "%d judged queries have no vectors in %s and are left out", missing, e.embeddings)
	}
	if e.index != "" {
		r, err := openWithQueries(e.index, queries)
		if err != nil {
			return nil, err
		}
		e.cleanup = append(e.cleanup, r.Close)
		m.retrievers, m.codecs = []*retriever.Retriever{r}, []string{""}
		return m, e.checkIndex(sweep.CheckIDs(r.Snapshot(), embeddings.Documents.IDs))
	}
	documents := precomputed.Documents(embeddings, nil)
	bars := e.stages(e.stderr)
	defer bars.done()
	m.retrievers, m.codecs, err = e.buildEach(func(dir string, options retriever.BuildOptions) (*retriever.Retriever, error) {
		options.Progress = bars.report
		options.Queries = queries.Vectors()
		if err := retriever.BuildEmbeddings(ctx, dir, documents, options); err != nil {
			return nil, err
		}
		return openWithQueries(dir, queries)
	})
	return m, err
}

// checkIndex says what to do about an index of other documents.
func (e *evaluation) checkIndex(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, sweep.ErrOtherIndex) {
		err = withHint(err, "leave out --index to have one built")
	}
	return indexError(e.index, fmt.Errorf("--index %s: %w", e.index, err))
}
