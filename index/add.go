package index

import (
	"context"
	"fmt"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/simd"
)

// Add adds documents, whose ids must be new to the index. Vectors are coded
// in parallel. Nothing is added when an error wraps ErrInvalid or
// ErrDuplicate, or is that of ctx, which ends the coding and the training of a
// codebook, but not the writing of a segment that has become full.
func (w *Writer) Add(ctx context.Context, documents ...Document) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	documents, err := w.prepare(ctx, documents)
	if err != nil {
		return err
	}
	for _, d := range documents {
		_, _, found, err := w.find(d.ID)
		if err != nil {
			return w.fail(err)
		}
		if found {
			return fmt.Errorf("%w: %q is in the index already", ErrDuplicate, d.ID)
		}
	}
	return w.add(ctx, documents, nil)
}

// Update adds documents and deletes those that had their ids before.
func (w *Writer) Update(ctx context.Context, documents ...Document) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	documents, err := w.prepare(ctx, documents)
	if err != nil {
		return err
	}
	ids := make([]string, len(documents))
	for i, d := range documents {
		ids[i] = d.ID
	}
	return w.add(ctx, documents, ids)
}

// check refuses a batch that must not be added, before anything has changed.
func (w *Writer) check(ctx context.Context, documents []Document) error {
	if w.broken != nil {
		return w.broken
	}
	seen := make(map[string]bool, len(documents))
	for i, d := range documents {
		err := d.validate(ctx, w.manifest.Dim)
		if ended := ctx.Err(); ended != nil {
			return ended
		}
		if err != nil {
			return fmt.Errorf("%w: document %d of the batch: %w", ErrInvalid, i, err)
		}
		if seen[d.ID] {
			return fmt.Errorf("%w: %q stands twice in one batch", ErrDuplicate, d.ID)
		}
		seen[d.ID] = true
	}
	return nil
}

// prepare checks a batch and leaves of its vectors what is stored.
func (w *Writer) prepare(ctx context.Context, documents []Document) ([]Document, error) {
	if err := w.check(ctx, documents); err != nil || w.pruner == nil {
		return documents, err
	}
	tokens := make([]encoder.Tokens, len(documents))
	for i, d := range documents {
		tokens[i] = d.Tokens
	}
	pruned, err := w.pruner.PruneAll(ctx, tokens)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w: batch of documents %q to %q: %w", ErrInvalid, documents[0].ID, documents[len(documents)-1].ID, err)
	}
	documents = slices.Clone(documents)
	for i := range documents {
		documents[i].unpruned = tokens[i].Vectors.Rows
		documents[i].Tokens = pruned[i].Tokens
	}
	return documents, nil
}

// add adds documents in the place of those that are replaced.
func (w *Writer) add(ctx context.Context, documents []Document, replaced []string) error {
	if codebook := w.codebook(); codebook != nil {
		batch, err := w.code(ctx, codebook, documents)
		if err != nil {
			return err
		}
		if _, err := w.delete(replaced); err != nil {
			return w.fail(err)
		}
		return w.fail(w.gather(batch))
	}
	vectors := w.waitingVectors
	for _, d := range documents {
		vectors += d.Tokens.Vectors.Rows
	}
	if vectors >= w.manifest.Options.TrainingVectors {
		return w.train(ctx, documents, replaced)
	}
	if _, err := w.delete(replaced); err != nil {
		return w.fail(err)
	}
	for _, d := range documents {
		w.fresh[d.ID] = len(w.waiting)
		// The caller may use the slices again.
		d.Tokens.Vectors.Data = slices.Clone(d.Tokens.Vectors.Data)
		d.Tokens.IDs = slices.Clone(d.Tokens.IDs)
		d.Tokens.Spans = nil
		w.waiting = append(w.waiting, d)
		w.waitingVectors += d.Tokens.Vectors.Rows
	}
	return nil
}

// train trains the codebook on the waiting documents and more and codes them.
func (w *Writer) train(ctx context.Context, more []Document, replaced []string) error {
	gone := make(map[string]bool, len(replaced))
	for _, id := range replaced {
		gone[id] = true
	}
	var documents []Document
	for i, d := range w.waiting {
		if !w.freshDeleted.Contains(uint32(i)) && !gone[d.ID] {
			documents = append(documents, d)
		}
	}
	documents = append(documents, more...)
	sample := newSample(w.manifest.Dim)
	for _, d := range documents {
		sample.add(d.Tokens.Vectors, d.Tokens.IDs)
	}
	codebook, err := sample.train(ctx, w.manifest.Options.Codec, w.progress)
	if err != nil {
		return err
	}
	batch, err := w.code(ctx, codebook, documents)
	if err != nil {
		return err
	}
	if err := w.setCodebook(codebook, population{Vectors: int64(sample.vectors.Rows)}); err != nil {
		return w.fail(err)
	}
	w.waiting, w.waitingVectors = nil, 0
	clear(w.fresh)
	w.freshDeleted.Clear()
	return w.fail(w.gather(batch))
}

// sample is what a codebook is trained on: vectors, and their token ids if all
// have some.
type sample struct {
	vectors simd.Matrix
	ids     []uint32
	without bool // some have none
}

func newSample(dim int) *sample { return &sample{vectors: simd.Matrix{Dim: dim}} }

func (s *sample) add(vectors simd.Matrix, ids []uint32) {
	s.vectors.Data = append(s.vectors.Data, vectors.Data...)
	s.vectors.Rows += vectors.Rows
	s.ids = append(s.ids, ids...)
	s.without = s.without || ids == nil && vectors.Rows > 0
}

func (s *sample) train(ctx context.Context, options codec.Options, progress func(done, total int)) (*codec.Codebook, error) {
	ids := s.ids
	if s.without {
		ids = nil
	}
	codebook, err := codec.Train(ctx, s.vectors, ids, options, progress)
	if err != nil {
		return nil, fmt.Errorf("training the codebook: %w", err)
	}
	return codebook, nil
}

// population returns how well the codebook fits the sample, as so many vectors.
func (s *sample) population(ctx context.Context, codebook *codec.Codebook, vectors int64) (population, error) {
	const rows = 1 << 10
	var parts []codec.Document
	for lo := 0; lo < s.vectors.Rows; lo += rows {
		hi := min(lo+rows, s.vectors.Rows)
		part := codec.Document{Vectors: s.vectors.Slice(lo, hi)}
		if !s.without {
			part.IDs = s.ids[lo:hi]
		}
		parts = append(parts, part)
	}
	encoded, err := codebook.EncodeAll(ctx, parts)
	if err != nil || len(parts) == 0 {
		return population{Vectors: vectors}, err
	}
	p := population{Vectors: vectors}
	for _, e := range encoded {
		p.Residual += e.Residual
	}
	p.Residual *= float64(vectors) / float64(s.vectors.Rows)
	return p, nil
}

// setCodebook writes the codebook that codes new documents from now on.
func (w *Writer) setCodebook(codebook *codec.Codebook, trained population) error {
	file := w.manifest.newFile("codebook")
	if err := w.folder.writeCodebook(file, codebook); err != nil {
		return err
	}
	w.codebooks[file] = codebook
	w.manifest.Codebooks = append(slices.Clone(w.manifest.Codebooks), codebookEntry{File: file, Trained: trained})
	return nil
}

// code turns documents into payloads, in parallel. It changes nothing.
func (w *Writer) code(ctx context.Context, codebook *codec.Codebook, documents []Document) ([]coded, error) {
	vectors := make([]codec.Document, len(documents))
	for i, d := range documents {
		vectors[i] = codec.Document{Vectors: d.Tokens.Vectors, IDs: d.Tokens.IDs}
	}
	encoded, err := codebook.EncodeAll(ctx, vectors)
	if err != nil {
		return nil, err
	}
	batch := make([]coded, len(documents))
	for i, d := range documents {
		batch[i] = coded{document: d, encoded: encoded[i]}
	}
	if w.manifest.Options.Refine {
		if err := refine(ctx, codebook, batch); err != nil {
			return nil, err
		}
	}
	return batch, nil
}

// refine makes the documents' refinements, in parallel.
func refine(ctx context.Context, codebook *codec.Codebook, batch []coded) error {
	var group errgroup.Group
	workers := runtime.GOMAXPROCS(0)
	for worker := range workers {
		group.Go(func() (err error) {
			for i := worker; i < len(batch); i += workers {
				if err := ctx.Err(); err != nil {
					return err
				}
				d := batch[i].document
				if batch[i].refined, err = codebook.EncodeRefinement(ctx, nil, d.Tokens.Vectors); err != nil {
					return fmt.Errorf("document %q: %w", d.ID, err)
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// gather puts payloads into the builder, in their order.
func (w *Writer) gather(batch []coded) error {
	for _, c := range batch {
		if b := w.builder; b != nil && (b.file != w.manifest.codebook() || b.full(w.manifest.Options.SegmentBytes, c)) {
			// The batch is half way in by now: it is no longer to be stopped.
			if err := w.flush(context.Background()); err != nil {
				return err
			}
		}
		if w.builder == nil {
			w.builder = newSegmentBuilder(w.codebook(), w.manifest.codebook(), w.manifest.Options.StoreText)
		}
		w.fresh[c.document.ID] = len(w.builder.ids)
		w.builder.add(c)
		w.added.add(population{int64(c.document.Tokens.Vectors.Rows), c.encoded.Residual})
	}
	return nil
}
