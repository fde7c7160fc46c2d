package fusion

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
)

// ErrInvalid reports arguments that no fusion rule can work with: a score or
// weight that is NaN or infinite, a negative weight, or a number of weights
// that is not the number of lists.
var ErrInvalid = errors.New("fusion: invalid argument")

// DefaultK is the rank constant of the paper that introduced reciprocal rank
// fusion; a larger one flattens the difference between the first ranks.
const DefaultK = 60

// Hit is one document of a ranked list.
type Hit struct {
	ID    string
	Score float64 // higher is better
}

// List is one system's answer to one query.
type List []Hit

// Sort orders the list in place by descending score, equal scores by
// descending id.
func (l List) Sort() { slices.SortFunc(l, Compare) }

// Compare orders hits the way ranked lists are ordered here: it is negative
// when a ranks above b, that is when a scores higher or, at equal scores, when
// a has the greater id.
func Compare(a, b Hit) int {
	if c := cmp.Compare(b.Score, a.Score); c != 0 {
		return c
	}
	return cmp.Compare(b.ID, a.ID)
}

// ReciprocalRank gives each document the sum over the lists of
// weight / (k + rank), with ranks from 1; a list that lacks the document adds
// nothing. k must not be negative, DefaultK is usual. Nil weights mean 1 for
// every list.
//
// Cormack, Clarke and Büttcher: Reciprocal Rank Fusion outperforms Condorcet
// and individual Rank Learning Methods, SIGIR 2009.
func ReciprocalRank(k float64, weights []float64, lists ...List) (List, error) {
	if !(k >= 0) || math.IsInf(k, 0) {
		return nil, fmt.Errorf("%w: rank constant %v, want a finite number of at least 0", ErrInvalid, k)
	}
	return fuse(weights, lists, func(list List) (List, float64) {
		for i := range list {
			list[i].Score = 1 / (k + float64(i+1))
		}
		return list, 0
	})
}

// StandardisedSum gives each document the weighted sum of its z-scores: every
// list is standardised over its own scores (mean 0, population standard
// deviation 1). Nil weights mean 1 for every list.
//
// A document that a list lacks gets the lowest z-score of that list. The list
// ended before it, so it scored at most that much there; taking the mean (0)
// instead would lift an unlisted document above half of the listed ones. A
// list whose scores are all equal, a list of one hit included, says nothing
// about order and adds 0 to every document.
func StandardisedSum(weights []float64, lists ...List) (List, error) {
	return fuse(weights, lists, func(list List) (List, float64) {
		if len(list) == 0 {
			return list, 0
		}
		scaleDown(list)
		if list[0].Score == list[len(list)-1].Score {
			for i := range list {
				list[i].Score = 0
			}
			return list, 0
		}
		n := float64(len(list))
		var mean, variance float64
		for _, hit := range list {
			mean += hit.Score / n
		}
		for _, hit := range list {
			variance += (hit.Score - mean) * (hit.Score - mean) / n
		}
		deviation := math.Sqrt(variance)
		for i := range list {
			list[i].Score = (list[i].Score - mean) / deviation
		}
		return list, list[len(list)-1].Score
	})
}

// MinMax gives each document the weighted sum of its scores after every list
// was stretched to the range 0 (its lowest) to 1 (its highest), also known as
// relative score fusion. A document that a list lacks gets 0 there, as if it
// had come last. Where all scores of a list are equal each listed document
// gets 1, so that being found still counts. Nil weights mean 1 for every list.
func MinMax(weights []float64, lists ...List) (List, error) {
	return fuse(weights, lists, func(list List) (List, float64) {
		if len(list) == 0 {
			return list, 0
		}
		scaleDown(list)
		highest, lowest := list[0].Score, list[len(list)-1].Score
		for i := range list {
			if highest == lowest {
				list[i].Score = 1
			} else {
				list[i].Score = (list[i].Score - lowest) / (highest - lowest)
			}
		}
		return list, 0
	})
}

// fuse sums the lists' normalised scores. normalise gets a list sorted and
// without duplicates, which it may change, and returns it with the score of a
// document that is not in it.
func fuse(weights []float64, lists []List, normalise func(List) (List, float64)) (List, error) {
	if weights != nil && len(weights) != len(lists) {
		return nil, fmt.Errorf("%w: %d weights for %d lists", ErrInvalid, len(weights), len(lists))
	}
	for i, w := range weights {
		if !(w >= 0) || math.IsInf(w, 0) {
			return nil, fmt.Errorf("%w: weight %d is %v, want a finite number of at least 0", ErrInvalid, i, w)
		}
	}

	// A document's sum starts from what it would get if no list had it, then
	// each list that has it replaces its share.
	sums := make(map[string]float64)
	var missing float64
	for i, list := range lists {
		clean, err := prepare(list)
		if err != nil {
			return nil, fmt.Errorf("list %d: %w", i, err)
		}
		weight := 1.0
		if weights != nil {
			weight = weights[i]
		}
		scored, absent := normalise(clean)
		missing += weight * absent
		for _, hit := range scored {
			sums[hit.ID] += weight * (hit.Score - absent)
		}
	}

	fused := make(List, 0, len(sums))
	for id, sum := range sums {
		fused = append(fused, Hit{ID: id, Score: sum + missing})
	}
	fused.Sort()
	return fused, nil
}

// prepare returns a sorted copy of the list with the best hit of each id.
func prepare(list List) (List, error) {
	for _, hit := range list {
		if math.IsNaN(hit.Score) || math.IsInf(hit.Score, 0) {
			return nil, fmt.Errorf("%w: document %q has score %v", ErrInvalid, hit.ID, hit.Score)
		}
	}
	sorted := slices.Clone(list)
	sorted.Sort()
	seen := make(map[string]bool, len(sorted))
	return slices.DeleteFunc(sorted, func(hit Hit) bool {
		again := seen[hit.ID]
		seen[hit.ID] = true
		return again
	}), nil
}

// scaleDown divides the scores by the largest magnitude, which changes neither
// z-scores nor min-max scores but keeps their sums and squares from
// overflowing or vanishing.
func scaleDown(list List) {
	largest := max(math.Abs(list[0].Score), math.Abs(list[len(list)-1].Score))
	if largest == 0 {
		return
	}
	for i := range list {
		list[i].Score /= largest
	}
}
