// Package reservoir draws a sample of fixed size from a stream of unknown length
// (Vitter, Random Sampling with a Reservoir, ACM TOMS 11 (1), 1985, algorithm R).
package reservoir

import "math/rand/v2"

// Sample is a sample in which every item offered so far is with the same
// probability. It is not safe for concurrent use.
type Sample[T any] struct {
	// Items are the sample: all items in order as long as they are no more than its
	// size, later ones in the places of those they replace.
	Items []T

	size, offered int
	random        *rand.Rand
}

// New returns an empty sample of so many items at most. It takes a number from random
// for every item that is offered once it is full.
func New[T any](size int, random *rand.Rand) *Sample[T] {
	return &Sample[T]{size: size, random: random}
}

// Offer puts an item into the sample or leaves it out. The item is made if it is
// put there.
func (s *Sample[T]) Offer(item func() T) {
	s.offered++
	if len(s.Items) < s.size {
		s.Items = append(s.Items, item())
	} else if i := s.random.IntN(s.offered); i < s.size {
		s.Items[i] = item()
	}
}

// Add is Offer with an item that is made already.
func (s *Sample[T]) Add(item T) { s.Offer(func() T { return item }) }

// Offered returns how many items were offered.
func (s *Sample[T]) Offered() int { return s.offered }
