package index

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
)

// MergeOptions say when a writer merges segments by itself, and when it trains
// another codebook.
type MergeOptions struct {
	// Manual leaves merging to Writer.Merge.
	Manual bool `json:"manual,omitempty"`
	// Factor is how many segments of about the same size become one: sizes count
	// as about the same from one power of Factor to the next. The higher it is,
	// the less is copied and the more segments there are.
	Factor int `json:"factor"`
	// MaxDeleted is the share of deleted documents above which a segment is
	// written anew without them.
	MaxDeleted float64 `json:"max_deleted"`
	// MaxBytes is the size above which a segment is merged with no other.
	MaxBytes int64 `json:"max_bytes"`
	// Growth is how many times as many vectors as the codebook was trained for
	// call for another codebook; 0 never does. Vectors are coded again from their
	// refinements, and nothing is lost, or, where none are stored, from what their
	// codes stand for, which loses a little each time: of the ten best by MiniLM's
	// vectors of Cranfield, two bits find .935, and .927, .915 and .903 when coded
	// again once, twice and three times, that is after the collection has grown
	// eightfold. To lose nothing, build the index again from its texts.
	Growth float64 `json:"growth"`
	// Drift is how many times as far from their cells as those that the codebook
	// was trained for, in the mean square, new vectors call for another one; 0
	// never does.
	Drift float64 `json:"drift"`
}

// DefaultMergeOptions keeps an index within a quarter of the size and of the work
// of one made afresh.
func DefaultMergeOptions() MergeOptions {
	return MergeOptions{Factor: 4, MaxDeleted: 0.15, MaxBytes: 1 << 30, Growth: 2, Drift: 1.25}
}

// Validate reports every option that makes no sense.
func (o MergeOptions) Validate() error {
	var faults []error
	if o.Factor < 2 {
		faults = append(faults, fmt.Errorf("%w: a merge factor of %d, want at least 2", ErrInvalid, o.Factor))
	}
	if !(o.MaxDeleted >= 0.01 && o.MaxDeleted <= 1) {
		faults = append(faults, fmt.Errorf("%w: up to %v of a segment deleted, want 0.01 to 1", ErrInvalid, o.MaxDeleted))
	}
	if o.MaxBytes < 0 {
		faults = append(faults, fmt.Errorf("%w: merges up to %d bytes", ErrInvalid, o.MaxBytes))
	}
	if o.Growth != 0 && !(o.Growth > 1 && o.Growth <= math.MaxFloat32) {
		faults = append(faults, fmt.Errorf("%w: a new codebook for %v times the vectors, want 0 or more than 1", ErrInvalid, o.Growth))
	}
	if o.Drift != 0 && !(o.Drift > 1 && o.Drift <= math.MaxFloat32) {
		faults = append(faults, fmt.Errorf("%w: a new codebook for %v times the residuals, want 0 or more than 1", ErrInvalid, o.Drift))
	}
	return errors.Join(faults...)
}

// smallestTier is the size in bytes up to which segments are all the same.
const smallestTier = 128 << 10

// segmentState is what the choice of merges depends on.
type segmentState struct {
	bytes     int64 // without what is deleted
	documents uint64
	live      uint64
	codebook  string
}

func (s segmentState) deletedShare() float64 { return 1 - float64(s.live)/float64(s.documents) }

// choose returns which segments to merge next, ascending, or nil: those of a
// tier that is full or, if no tier is, the one of which most is deleted. It is the
// tiered policy of Lucene and others: every document is copied once for each
// tier, whose number is a logarithm of the index, and once for each time that a
// MaxDeleted share of its segment is replaced.
func (o MergeOptions) choose(segments []segmentState) []int {
	type tier struct {
		codebook string
		level    int
	}
	tiers := make(map[tier][]int)
	for i, s := range segments {
		if s.bytes > o.MaxBytes {
			continue
		}
		level := 0
		for size := s.bytes / smallestTier; size > 0; size /= int64(o.Factor) {
			level++
		}
		t := tier{s.codebook, level}
		tiers[t] = append(tiers[t], i)
	}
	var full []tier
	for t, members := range tiers {
		if len(members) >= o.Factor {
			full = append(full, t)
		}
	}
	if len(full) > 0 {
		return tiers[slices.MinFunc(full, func(a, b tier) int {
			return cmp.Or(cmp.Compare(a.level, b.level), cmp.Compare(a.codebook, b.codebook))
		})]
	}
	worst, share := -1, o.MaxDeleted
	for i, s := range segments {
		if d := s.deletedShare(); d > share {
			worst, share = i, d
		}
	}
	if worst < 0 {
		return nil
	}
	return []int{worst}
}

// retrainVectors is the number of vectors below which a codebook does for all:
// so small a collection is scored document by document.
const retrainVectors = 1 << 12

// outgrown tells whether the codebook of new documents should be replaced, given
// the number of vectors that are there.
func (o MergeOptions) outgrown(c codebookEntry, vectors int64) bool {
	if vectors < retrainVectors || c.Trained.Vectors == 0 {
		return false
	}
	if o.Growth > 0 && float64(vectors) >= o.Growth*float64(c.Trained.Vectors) {
		return true
	}
	// Few vectors say nothing.
	if o.Drift == 0 || c.Trained.Residual == 0 || c.Added.Vectors < max(retrainVectors, c.Trained.Vectors/10) {
		return false
	}
	return c.Added.Residual/float64(c.Added.Vectors) > o.Drift*c.Trained.Residual/float64(c.Trained.Vectors)
}

// grow notes vectors that a commit has added. The first commit's are those that
// the codebook was trained for. Later ones fade as others come, lest an index
// that was the same for long does not notice a change.
func (c *codebookEntry) grow(added population) {
	switch {
	case added.Vectors == 0:
	case c.Trained.Residual == 0:
		vectors := max(c.Trained.Vectors, added.Vectors)
		c.Trained = population{vectors, added.Residual / float64(added.Vectors) * float64(vectors)}
	default:
		c.Added.add(added)
		if c.Added.Vectors > max(c.Trained.Vectors/2, 2*retrainVectors) {
			c.Added.Vectors /= 2
			c.Added.Residual /= 2
		}
	}
}
