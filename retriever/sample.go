package retriever

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/simd"
)

// sample gathers vectors to train a codebook on: those of documents drawn
// evenly, at most Index.TrainingVectors, with their ids if all of them have some.
type sample struct {
	expected, limit int
	vectors         simd.Matrix
	ids             []uint32
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
	}
	wanted := min(s.expected, s.limit)
	s.progress(min(s.vectors.Rows, wanted), wanted)
}

// train ends the sample and trains a codebook on it.
func (s *sample) train(ctx context.Context, options BuildOptions) (*codec.Codebook, error) {
	wanted := min(s.expected, s.limit)
	s.progress(wanted, wanted)
	if !s.withIDs {
		s.ids = nil
	}
	shape := options.Index.Codec
	shape.Total = max(s.expected, s.vectors.Rows)
	codebook, err := codec.Train(ctx, s.vectors, s.ids, shape, func(done, total int) {
		options.Progress(TrainingCodebook, done, total)
	})
	if err != nil {
		return nil, fmt.Errorf("training the codebook: %w", err)
	}
	return codebook, nil
}
