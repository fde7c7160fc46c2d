package retriever

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"

	"github.com/pare-search/pare/index"
)

// Embeddings are documents that another program has encoded.
type Embeddings struct {
	// Dim is the width of every vector.
	Dim int
	// Documents and Vectors are how many there are in all.
	Documents, Vectors int
	// All yields the documents, the same ones in the same order each time. What
	// it yields must stay as it is until a few documents later: Build keeps up
	// to BuildOptions.Batch of them.
	All iter.Seq2[index.Document, error]
}

// batchVectorBytes is the size of vectors at which a batch is not filled up any
// more.
const batchVectorBytes = 16 << 20

// BuildEmbeddings makes an index of vectors that are there already, in the
// folder dir, which must not exist or be empty. It goes through them twice, to
// sample vectors for the codebook and to index, and holds no more in memory than
// one batch, the sample (Index.TrainingVectors vectors) and one segment.
//
// If options.Encoder is not nil it must be the one that made the vectors, and
// the index keeps it as Build does. Without it the index is searched by vectors:
// open it with New and no encoder and call SearchTokens. options.Corpus is of no
// use here. Errors and what is left behind are as with Build; ErrChanged also
// stands for documents or vectors that are not as many as announced.
func BuildEmbeddings(ctx context.Context, dir string, embeddings Embeddings, options BuildOptions) error {
	if options.Progress == nil {
		options.Progress = func(Stage, int, int) {}
	}
	options.Index.Dim = embeddings.Dim
	if err := embeddings.validate(options); err != nil {
		return err
	}
	if err := index.CheckEmpty(dir); err != nil {
		return err
	}
	learnt, err := embeddings.learn(ctx, options)
	if err != nil {
		return err
	}
	return writeIndex(dir, options.Index, learnt, options.Encoder, func(writer *index.Writer) error {
		return embeddings.fill(ctx, writer, options)
	})
}

// validate reports all that makes no sense.
func (e Embeddings) validate(options BuildOptions) error {
	faults := []error{options.Pruner.Validate(), options.Index.Validate()}
	if options.Batch < 1 {
		faults = append(faults, fmt.Errorf("retriever: batches of %d documents", options.Batch))
	}
	if enc := options.Encoder; enc != nil && enc.Dim() != e.Dim {
		faults = append(faults, fmt.Errorf("%w: it makes vectors of %d dimensions, these have %d", ErrEncoder, enc.Dim(), e.Dim))
	}
	if e.Documents < 1 {
		faults = append(faults, ErrNoDocuments)
	}
	return errors.Join(faults...)
}

// each goes through all documents, checked, up to the first error or until use
// returns false.
func (e Embeddings) each(ctx context.Context, use func(index.Document) (more bool, err error)) error {
	for document, err := range e.All {
		if err := cmp.Or(err, ctx.Err()); err != nil {
			return err
		}
		if err := document.Tokens.Validate(e.Dim); err != nil {
			return fmt.Errorf("document %q: %w", document.ID, err)
		}
		if more, err := use(document); err != nil || !more {
			return err
		}
	}
	return nil
}

// learn learns from vectors of documents drawn evenly which to store and how.
func (e Embeddings) learn(ctx context.Context, options BuildOptions) (index.CreateOptions, error) {
	random := rand.New(rand.NewPCG(options.Seed, 0))
	sample := newSample(e.Dim, e.Vectors, options)
	err := e.each(ctx, func(document index.Document) (bool, error) {
		if sample.draw(random) {
			sample.add(document.Tokens)
		}
		return !sample.full(), nil
	})
	if err != nil {
		return index.CreateOptions{}, err
	}
	return sample.train(ctx, options.Encoder, options)
}

// fill adds all documents and commits them.
func (e Embeddings) fill(ctx context.Context, writer *index.Writer, options BuildOptions) error {
	var batch []index.Document
	documents, vectors, size := 0, 0, 0
	flush := func() error {
		err := writer.Add(ctx, batch...)
		batch, size = batch[:0], 0
		options.Progress(Indexing, min(documents, e.Documents), e.Documents)
		return err
	}
	err := e.each(ctx, func(document index.Document) (bool, error) {
		documents++
		vectors += document.Tokens.Vectors.Rows
		batch = append(batch, document)
		if size += 4 * len(document.Tokens.Vectors.Data); len(batch) < options.Batch && size < batchVectorBytes {
			return true, nil
		}
		return true, flush()
	})
	if err != nil {
		return err
	}
	if documents != e.Documents || vectors != e.Vectors {
		return fmt.Errorf("%w: %d documents with %d vectors were announced, there are %d with %d", ErrChanged, e.Documents, e.Vectors, documents, vectors)
	}
	if len(batch) > 0 {
		if err := flush(); err != nil {
			return err
		}
	}
	return writer.Commit(ctx)
}
