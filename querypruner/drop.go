package querypruner

import (
	"cmp"
	"fmt"
	"math"
)

// Drop says which rows never look for candidates, as long as another can.
type Drop struct {
	// Specials drops special tokens: [CLS], [MASK] and their kind.
	Specials bool
	// StopShare, if above zero, drops the tokens that occur in more than this
	// share of the documents.
	StopShare float64
	// StopWords, if not empty, is the language whose stop words are dropped,
	// those of Vocabulary.Stop.
	StopWords string
	// Unseen drops tokens that do not occur in the collection, as the published
	// query embedding pruning does, since [MASK] tokens never occur in documents
	// (Tonellotto and Macdonald, CIKM 2021). Otherwise they are the rarest there
	// are.
	Unseen bool
}

// drop takes the first step.
func (c *choice) drop() error {
	if c.Drop.StopWords != "" && c.Vocabulary.Stop == nil {
		return fmt.Errorf("%w: no list of %q stop words goes with these tokens; drop them by their share of the documents",
			ErrInvalid, c.Drop.StopWords)
	}
	limit := c.Drop.StopShare * float64(c.stats.Documents())
	for i := range c.rows {
		switch {
		case c.Drop.Specials && c.special(i):
			c.dropRow(i, SpecialToken)
		case c.among(c.Vocabulary.Stop, i) && c.Drop.StopWords != "":
			c.dropRow(i, StopWord)
		case c.Drop.Unseen && c.count(i).documents == 0:
			c.dropRow(i, NeverOccurs)
		case c.Drop.StopShare > 0 && float64(c.count(i).documents) > limit:
			c.dropRow(i, TooFrequent)
		default:
			c.left = append(c.left, i)
		}
	}
	return nil
}

// compareDropped orders dropped rows: special tokens come last, and otherwise
// the rarest that occurs at all comes first.
func (c *choice) compareDropped(a, b int) int {
	special := func(i int) int {
		if reason := c.rows[i].Reason; reason == SpecialToken || reason == Mask {
			return 1
		}
		return 0
	}
	rarity := func(i int) int64 {
		if n := c.count(i).documents; n > 0 {
			return n
		}
		return math.MaxInt64
	}
	return cmp.Or(cmp.Compare(special(a), special(b)), cmp.Compare(rarity(a), rarity(b)))
}
