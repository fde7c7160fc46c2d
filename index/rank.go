package index

import (
	"context"
	"slices"
)

// rank keeps the depth candidates that are best by codec.Scorer.RankScore. They
// stay in the order of their numbers, in which payloads lie in the files.
func (s *Searcher) rank(ctx context.Context, depth int) error {
	s.keys = s.keys[:0]
	next, err := s.source.Payload(s.documents[0])
	if err != nil {
		return err
	}
	for i, document := range s.documents {
		if i%checkEvery == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		payload := next
		if next = nil; i+1 < len(s.documents) {
			if next, err = s.source.Payload(s.documents[i+1]); err != nil {
				return err
			}
		}
		score, err := s.scorer.RankScore(payload, next)
		if err != nil {
			return s.fault("payload", document, err)
		}
		s.keys = append(s.keys, uint64(score)<<32|uint64(^document))
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
