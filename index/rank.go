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

func (s *Searcher) rankRun(ctx context.Context, w *worker, lo, hi int) error {
	// The cells of a document are read faster than memory answers.
	const ahead = 6
	return s.payloads(ctx, w, s.documents[lo:hi], ahead, func(i int, payload, next []byte) error {
		score, err := w.scorer.RankScore(payload, next)
		s.keys[lo+i] = uint64(score)<<32 | uint64(^s.documents[lo+i])
		return err
	})
}
