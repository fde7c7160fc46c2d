package searchbench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"time"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/eval/dataset"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/simd"
)

// Built is what building an index took.
type Built struct {
	Seconds float64 `json:"seconds"`
	// TrainSeconds is the part of Seconds that the codebook took.
	TrainSeconds float64 `json:"train_seconds"`
	// CPUSeconds is the processor time of all threads, 0 where the system does
	// not tell it.
	CPUSeconds float64 `json:"cpu_seconds,omitempty"`
	// PeakBytes is the most memory that the process had meanwhile, 0 where the
	// system does not tell it.
	PeakBytes int64 `json:"peak_bytes,omitempty"`
}

// Build makes an index of the documents of a folder of embeddings in dir, which
// must not exist or be empty; options.Dim is taken from the folder. The codebook
// is trained on the vectors of documents drawn evenly, at most
// options.TrainingVectors of them. When it fails nothing is left in dir. progress, if not nil, is told how far each stage is.
func Build(ctx context.Context, dir string, e *dataset.Embeddings, options index.Options, progress func(stage string, done, total int)) (Built, error) {
	source := documents{
		count:   len(e.Documents.IDs),
		vectors: e.Documents.Tokens,
		all: func(yield func(index.Document, error) bool) {
			for text, err := range e.Documents.All() {
				var tokens encoder.Tokens
				if err == nil {
					if tokens, err = tokensOf(text, e.Dim); err != nil {
						err = fmt.Errorf("document %q: %w", text.ID, err)
					}
				}
				if !yield(index.Document{ID: text.ID, Tokens: tokens}, err) {
					return
				}
			}
		},
	}
	options.Dim = e.Dim
	return source.build(ctx, dir, options, progress)
}

// documents can be gone through again and again, always the same.
type documents struct {
	count, vectors int
	all            iter.Seq2[index.Document, error]
}

func (d documents) build(ctx context.Context, dir string, options index.Options, progress func(stage string, done, total int)) (built Built, err error) {
	if progress == nil {
		progress = func(string, int, int) {}
	}
	if err := options.Validate(); err != nil {
		return built, err
	}
	if err := index.CheckEmpty(dir); err != nil {
		return built, err
	}
	resetPeakMemory()
	start, cpu := time.Now(), processorTime()
	codebook, err := d.train(ctx, options, progress)
	if err != nil {
		return built, err
	}
	built.TrainSeconds = time.Since(start).Seconds()
	writer, err := index.Create(dir, options, index.CreateOptions{Codebook: codebook})
	if err != nil {
		return built, err
	}
	if err := errors.Join(d.fill(ctx, writer, progress), writer.Close()); err != nil {
		return built, errors.Join(err, os.RemoveAll(dir))
	}
	built.Seconds = time.Since(start).Seconds()
	built.CPUSeconds = (processorTime() - cpu).Seconds()
	built.PeakBytes = peakMemory()
	return built, nil
}

// train trains a codebook on documents drawn evenly.
func (d documents) train(ctx context.Context, options index.Options, progress func(stage string, done, total int)) (*codec.Codebook, error) {
	limit := options.TrainingVectors
	wanted := min(limit, d.vectors)
	share := float64(limit) / float64(max(d.vectors, 1))
	random := rand.New(rand.NewPCG(options.Codec.Seed, 0))
	sample := simd.Matrix{Dim: options.Dim, Data: make([]float32, 0, wanted*options.Dim)}
	var ids []uint32
	withIDs := true
	for document, err := range d.all {
		if err := cmp.Or(err, ctx.Err()); err != nil {
			return nil, err
		}
		rows := min(document.Tokens.Vectors.Rows, limit-sample.Rows)
		if rows == 0 || random.Float64() >= share {
			continue
		}
		sample.Data = append(sample.Data, document.Tokens.Vectors.Data[:rows*options.Dim]...)
		sample.Rows += rows
		if withIDs = withIDs && document.Tokens.IDs != nil; withIDs {
			ids = append(ids, document.Tokens.IDs[:rows]...)
		}
		if progress("sampling vectors", sample.Rows, wanted); sample.Rows == limit {
			break
		}
	}
	if !withIDs {
		ids = nil
	}
	options.Codec.Total = d.vectors
	return codec.Train(ctx, sample, ids, options.Codec, func(done, total int) { progress("training the codebook", done, total) })
}

// fill adds all documents and commits them.
func (d documents) fill(ctx context.Context, writer *index.Writer, progress func(stage string, done, total int)) error {
	batch := make([]index.Document, 0, batchDocuments)
	done := 0
	flush := func() error {
		if err := writer.Add(ctx, batch...); err != nil {
			return err
		}
		done += len(batch)
		progress("indexing", done, d.count)
		batch = batch[:0]
		return nil
	}
	for document, err := range d.all {
		if err != nil {
			return err
		}
		if batch = append(batch, document); len(batch) == batchDocuments {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := flush(); err != nil {
		return err
	}
	return writer.Commit(ctx)
}
