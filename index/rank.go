package index

import (
	"context"
	"math"
	"slices"
)

// rank keeps the depth best candidates by codec.Scorer.RankScore. They stay in
// the order of their numbers, in which payloads lie in the files.
func (s *Searcher) rank(ctx context.Context, rows []int, depth int) error {
	if len(s.documents) <= depth || !s.source.Codebook().Kind().StoresCells() {
		return nil
	}
	best := rankHeap{depth, s.ranked[:0]}
	for i, document := range s.documents {
		if i%256 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		payload, err := s.source.Payload(document)
		if err != nil {
			return err
		}
		score, err := s.scorer.RankScore(payload, rows)
		if err != nil {
			return s.fault(document, err)
		}
		best.add(rankKey(score, document))
	}
	s.ranked = best.keys
	s.documents = s.documents[:0]
	for _, key := range best.keys {
		s.documents = append(s.documents, ^uint32(key))
	}
	slices.Sort(s.documents)
	return nil
}

// rankKey is larger the better a document ranks: by score, equal scores by
// ascending number.
func rankKey(score float32, document uint32) uint64 {
	// The bits of floats are ordered like integers once negative ones are
	// turned round. Adding zero makes -0 and 0 the same.
	bits := math.Float32bits(score + 0)
	if bits>>31 == 1 {
		bits = ^bits
	} else {
		bits |= 1 << 31
	}
	return uint64(bits)<<32 | uint64(^document)
}

// rankHeap keeps the largest keys, the smallest of them on top.
type rankHeap struct {
	size int
	keys []uint64
}

func (h *rankHeap) add(key uint64) {
	switch {
	case len(h.keys) < h.size:
		h.keys = append(h.keys, key)
		if len(h.keys) == h.size {
			slices.Sort(h.keys) // which makes it a heap
		}
	case key > h.keys[0]:
		h.replace(key)
	}
}

// replace puts key in the place of the smallest.
func (h *rankHeap) replace(key uint64) {
	i := 0
	for {
		child := 2*i + 1
		if child >= len(h.keys) {
			break
		}
		if child+1 < len(h.keys) && h.keys[child+1] < h.keys[child] {
			child++
		}
		if key <= h.keys[child] {
			break
		}
		h.keys[i] = h.keys[child]
		i = child
	}
	h.keys[i] = key
}
