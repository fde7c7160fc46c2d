package retriever

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/index/docpruner"
	"github.com/pare-search/pare/simd"
)

// sample gathers vectors to train a codebook on: those of documents drawn
// evenly, at most Index.TrainingVectors, with their ids if all of them have some.
type sample struct {
	expected, limit int
	vectors         simd.Matrix
	ids             []uint32
	ends            []int // of each document's vectors
	withIDs         bool
	progress        func(done, total int)
}

// newSample begins a sample of a collection that is expected to have so many
// vectors.
func newSample(dim, expected int, options BuildOptions) *sample {
	limit := options.Index.TrainingVectors
	return &sample{
		expected: expected,
		limit:    limit,
		vectors:  simd.Matrix{Dim: dim, Data: make([]float32, 0, min(expected, limit)*dim)},
		withIDs:  true,
		progress: func(done, total int) { options.Progress(SamplingVectors, done, total) },
	}
}

// draw tells whether a document belongs to the sample.
func (s *sample) draw(random *rand.Rand) bool {
	return random.Float64() < float64(s.limit)/float64(max(s.expected, 1))
}

// full tells whether no more vectors are taken.
func (s *sample) full() bool { return s.vectors.Rows == s.limit }

// add takes the vectors of a document, as many as there is room for.
func (s *sample) add(t encoder.Tokens) {
	rows := min(t.Vectors.Rows, s.limit-s.vectors.Rows)
	if rows > 0 {
		s.vectors.Data = append(s.vectors.Data, t.Vectors.Data[:rows*s.vectors.Dim]...)
		s.vectors.Rows += rows
		if s.withIDs = s.withIDs && t.IDs != nil; s.withIDs {
			s.ids = append(s.ids, t.IDs[:rows]...)
		}
		s.ends = append(s.ends, s.vectors.Rows)
	}
	wanted := min(s.expected, s.limit)
	s.progress(min(s.vectors.Rows, wanted), wanted)
}

// train ends the sample and learns from it: which vectors to store and how. enc
// is what made the vectors, or nil.
func (s *sample) train(ctx context.Context, enc encoder.Encoder, options BuildOptions) (learnt index.CreateOptions, err error) {
	wanted := min(s.expected, s.limit)
	s.progress(wanted, wanted)
	if !s.withIDs {
		s.ids = nil
	}
	if learnt.Pruner, err = s.prune(ctx, enc, options); err != nil {
		return learnt, err
	}
	shape := options.Index.Codec
	shape.Total = max(s.expected, s.vectors.Rows)
	learnt.Codebook, err = codec.Train(ctx, s.vectors, s.ids, shape, func(done, total int) {
		options.Progress(TrainingCodebook, done, total)
	})
	if err != nil {
		return learnt, fmt.Errorf("training the codebook: %w", err)
	}
	return learnt, nil
}

// prune fits the pruner to the sample and leaves of it what is stored. Without a
// pruner it returns nil.
func (s *sample) prune(ctx context.Context, enc encoder.Encoder, options BuildOptions) (*docpruner.Fitted, error) {
	if len(options.Pruner.Steps) == 0 {
		return nil, nil
	}
	fitted, err := options.Pruner.Fit(ctx, func(yield func(encoder.Tokens, error) bool) {
		for _, t := range s.documents() {
			if !yield(t, nil) {
				return
			}
		}
	}, learnFrom(options, enc, s.vectors.Rows))
	if err != nil {
		return nil, fmt.Errorf("learning which vectors to store: %w", err)
	}
	pruned, err := fitted.PruneAll(ctx, s.documents())
	if err != nil {
		return nil, err
	}
	before := s.vectors.Rows
	s.vectors, s.ids, s.ends = simd.Matrix{Dim: s.vectors.Dim}, nil, nil
	for _, p := range pruned {
		s.vectors.Data = append(s.vectors.Data, p.Vectors.Data...)
		s.vectors.Rows += p.Vectors.Rows
		s.ids = append(s.ids, p.IDs...)
	}
	if before > 0 {
		s.expected = int(float64(s.expected) * float64(s.vectors.Rows) / float64(before))
	}
	return fitted, nil
}

// documents returns the documents of the sample.
func (s *sample) documents() []encoder.Tokens {
	documents := make([]encoder.Tokens, len(s.ends))
	start := 0
	for i, end := range s.ends {
		documents[i].Vectors = s.vectors.Slice(start, end)
		if s.ids != nil {
			documents[i].IDs = s.ids[start:end]
		}
		start = end
	}
	return documents
}
