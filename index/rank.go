package index

import (
	"context"
	"slices"
)

// rank keeps the depth candidates that are best by codec.Scorer.RankScore. They
// stay in the order of their numbers, in which payloads lie in the files.
func (s *Searcher) rank(ctx context.Context, depth, workers int) error {
	s.keys = slices.Grow(s.keys[:0], len(s.documents))[:len(s.documents)]
	if err := s.share(ctx, workers, (*Searcher).rankRun); err != nil {
		return err
	}
	s.stats.DocumentsRanked = len(s.documents)
	selectLargest(s.keys, depth)
	s.documents = s.documents[:0]
	for _, key := range s.keys[:depth] {
		s.documents = append(s.documents, documentOf(key))
	}
	slices.Sort(s.documents)
	return nil
}

func (s *Searcher) rankRun(ctx context.Context, w *worker, first, end int) error {
	// The cells of a document are read faster than memory answers.
	const ahead = 6
	return checked(ctx, end-first, func(lo, hi int) (err error) {
		lo, hi = first+lo, first+hi
		w.cells, err = s.source.AppendCells(w.cells[:0], s.documents[lo:min(hi+ahead, end)])
		if err != nil {
			return err
		}
		for i, document := range s.documents[lo:hi] {
			var next []byte
			if i+ahead < len(w.cells) {
				next = w.cells[i+ahead]
			}
			score, err := w.scorer.RankScore(w.cells[i], next)
			if err != nil {
				return s.fault("payload", document, err)
			}
			s.keys[lo+i] = uint64(score)<<32 | uint64(^document)
		}
		return nil
	})
}
