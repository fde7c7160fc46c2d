package searchbench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pare-search/pare/eval/dataset"
	"github.com/pare-search/pare/retriever"
)

// WriteCollection writes the collection that Scale makes for the only size in
// o.Passages, and the queries of e (as many as o.Queries), to a new folder of
// token embeddings, for other programs. There are no judgements: nobody has read
// what was made up. Of the options, SourceVectors, Noise and Seed make the
// documents.
//
// Documents are made and written some at a time; their ids and token ids stay in
// memory, 8 bytes a vector. The folder appears when it is complete. Errors wrap
// ErrInvalid, fs.ErrExist for a folder that is there, ErrSpace when the disk has
// no room, or what the file system says.
func WriteCollection(ctx context.Context, dir string, e *dataset.Embeddings, o ScaleOptions) (err error) {
	if len(o.Passages) != 1 {
		return fmt.Errorf("%w: sizes %v, want one to write", ErrInvalid, o.Passages)
	}
	if err := o.Validate(); err != nil {
		return err
	}
	dir = filepath.Clean(dir)
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, &fs.PathError{Op: "write", Path: dir, Err: fs.ErrExist})
	}
	queries, err := Queries(e)
	if err != nil {
		return err
	}
	queries = queries[:min(o.Queries, len(queries))]
	source, err := newSynthesizer(e, o.SourceVectors, o.Noise, o.Seed)
	if err != nil {
		return err
	}
	documents := source.documents(o.Passages[0])
	parent := filepath.Dir(dir)
	// A vector has 4 bytes for each dimension and 4 for its token.
	if err := checkFree(parent, int64(documents.Vectors)*int64(4*e.Dim+4), "the vectors need"); err != nil {
		return err
	}

	site, err := os.MkdirTemp(parent, "."+filepath.Base(dir)+".writing-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(site)) }()
	fresh := filepath.Join(site, "embeddings")
	if err := os.Mkdir(fresh, 0o755); err != nil {
		return err
	}
	if err := writeDocuments(ctx, fresh, documents, o.Progress); err != nil {
		return err
	}
	if err := writeQueries(fresh, e.Dim, queries); err != nil {
		return err
	}
	return os.Rename(fresh, dir)
}

// writeDocuments stops between two documents when ctx ends.
func writeDocuments(ctx context.Context, dir string, documents retriever.Embeddings, progress func(stage string, done, total int)) (err error) {
	w, err := dataset.NewDocumentWriter(dir, documents.Dim)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	done := 0
	for document, err := range documents.All {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if err := w.Add(dataset.Embedded{ID: document.ID, TokenIDs: document.Tokens.IDs, Vectors: document.Tokens.Vectors.Data}); err != nil {
			return err
		}
		if done++; progress != nil {
			progress("writing", done, documents.Documents)
		}
	}
	return nil
}

func writeQueries(dir string, dim int, queries []Query) (err error) {
	w, err := dataset.NewQueryWriter(dir, dim)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	for _, query := range queries {
		if err := w.Add(dataset.Embedded{ID: query.ID, TokenIDs: query.Tokens.IDs, Vectors: query.Tokens.Vectors.Data}); err != nil {
			return err
		}
	}
	return nil
}
