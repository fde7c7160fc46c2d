package querypruner

import (
	"errors"
	"fmt"
	"slices"

	"github.com/pare-search/pare/encoder"
)

// ErrInvalid reports a pruner whose settings make no sense.
var ErrInvalid = errors.New("querypruner: invalid setting")

// Pruner selects query rows in steps, of which the zero value takes none and
// keeps all rows. Each step works on the rows that the one before has left:
//
//	Drop      rows that are worth nothing never look
//	Weights   rows count more or less
//	Merge     rows that say the same look as one
//	Strategy  the other rows are put in order,
//	Keep      and the first of them look
type Pruner struct {
	Drop     Drop
	Weights  Weights
	Merge    float64 // see merge.go: cosine from which rows are merged, up to 1; 0 for never
	Strategy Strategy
	Keep     Keep
	// Seed drives Random.
	Seed uint64
	// ScoreKept restricts scoring to the rows that look. That changes the
	// scoring model and costs quality; it is off by default.
	ScoreKept bool
	// TokenRarity makes a search that weighs cells by rarity
	// (index.SearchOptions.Budget) take the rarity of the row's token, or with
	// Population of its cell, in place of each cell's own.
	TokenRarity bool
	// Vocabulary says what token ids stand for, where a step asks. The packages
	// above, which know the encoder, set it where it is empty.
	Vocabulary Vocabulary
}

// Vocabulary names the token ids that are no ordinary words.
type Vocabulary struct {
	// Special lists the tokens that every text has, [CLS] and its kind. Where it
	// is empty, tokens that cover no text are special (encoder.Span).
	Special []uint32
	// Masks lists the tokens that queries are filled up with.
	Masks []uint32
	// Stop lists the stop words of the language Drop.StopWords; nil where
	// nobody knows them.
	Stop []uint32
}

// Empty tells whether nothing is known.
func (v Vocabulary) Empty() bool { return v.Special == nil && v.Masks == nil && v.Stop == nil }

// NeedsVocabulary tells whether a step asks what token ids stand for.
func (p Pruner) NeedsVocabulary() bool {
	return p.Drop.Specials || p.Drop.StopWords != "" || p.Weights == MaskCounts
}

// Statistics describes the collection that the query is pruned for.
type Statistics interface {
	// Documents is the number of documents that the frequencies count.
	Documents() int64
	// Vectors is the number of stored vectors.
	Vectors() int64
	// TokenFrequency returns the number of stored vectors with this token id
	// and the number of documents that have one.
	TokenFrequency(id uint32) (collection, documents int64)
	// CellPopulation returns the number of documents with a vector in the cell
	// nearest to the given one.
	CellPopulation(vector []float32) int64
}

// Validate reports all settings that make no sense.
func (p Pruner) Validate() error {
	var faults []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...))
		}
	}
	check(p.Strategy <= Population, "unknown strategy %d", p.Strategy)
	check(p.Weights <= MaskCounts, "unknown weights %d", p.Weights)
	check(p.Keep.Count >= 0, "cannot keep %d rows", p.Keep.Count)
	check(isShare(p.Keep.Share), "share %v is not between 0 and 1", p.Keep.Share)
	check(isShare(p.Keep.Mass), "mass %v is not between 0 and 1", p.Keep.Mass)
	check(p.Keep.Cost >= 0, "cost %d is below 0", p.Keep.Cost)
	check(isShare(p.Merge), "merging from a cosine of %v, which is not between 0 and 1", p.Merge)
	check(isShare(p.Drop.StopShare), "stop words from a share of %v, which is not between 0 and 1", p.Drop.StopShare)
	check(p.Drop.StopShare == 0 || p.Drop.StopWords == "", "stop words both by a list and by their share of the documents")
	if p.Strategy == KeepAll {
		check(p.Keep == Keep{}, "%s keeps all rows, however many", p.Strategy)
	} else if p.Strategy <= Population {
		check(p.Keep != Keep{}, "%s needs a number, share, mass or cost of the rows to keep", p.Strategy)
	}
	return errors.Join(faults...)
}

func isShare(x float64) bool { return x >= 0 && x <= 1 }

// Select decides for each row of q. Ties are decided by position, earlier
// rows first. A query with at least one row keeps at least one: when all are to
// be dropped, the rarest that occurs, special tokens last. The error wraps
// ErrInvalid or encoder.ErrInvalid.
func (p Pruner) Select(q encoder.Tokens, stats Statistics) (Selection, error) {
	if err := errors.Join(p.Validate(), q.Validate(q.Vectors.Dim)); err != nil {
		return Selection{}, err
	}
	c := newChoice(p, q, stats)
	if err := c.drop(); err != nil {
		return Selection{}, err
	}
	c.weigh()
	c.merge()
	c.rank()
	return c.selection(), nil
}

// choice is a Selection in the making.
type choice struct {
	Pruner
	query encoder.Tokens
	stats Statistics
	rows  []Row

	counts []count   // by row, as far as somebody asked
	left   []int     // rows that may look, ascending
	scored []bool    // rows that count in scores
	weight []float32 // by row; nil for 1 each
	groups [][]int   // by row: the rows that it stands for, itself first; nil without merging
}

// count is how many vectors and documents have a row's token.
type count struct {
	known                 bool
	collection, documents int64
}

func newChoice(p Pruner, q encoder.Tokens, stats Statistics) *choice {
	n := q.Vectors.Rows
	c := &choice{
		Pruner: p, query: q, stats: stats,
		rows: make([]Row, n), counts: make([]count, n), scored: make([]bool, n), left: make([]int, 0, n),
	}
	for i := range n {
		c.rows[i].Frequency, c.rows[i].Weight, c.rows[i].With = -1, 1, -1
		c.scored[i] = true
	}
	return c
}

// count counts a row's token, or cell if there is no token or the strategy
// wants it so.
func (c *choice) count(i int) count {
	known := &c.counts[i]
	switch {
	case known.known:
	case c.query.IDs == nil || c.Strategy == Population:
		n := c.stats.CellPopulation(c.query.Vectors.Row(i))
		*known = count{true, n, n}
	default:
		collection, documents := c.stats.TokenFrequency(c.query.IDs[i])
		*known = count{true, collection, documents}
	}
	c.rows[i].Frequency = known.documents
	if c.Strategy == ICF {
		c.rows[i].Frequency = known.collection
	}
	return *known
}

// among tells whether a row's token is one of ids.
func (c *choice) among(ids []uint32, i int) bool {
	return c.query.IDs != nil && slices.Contains(ids, c.query.IDs[i])
}

// special tells whether a row is a special token, a mask among them.
func (c *choice) special(i int) bool {
	if c.among(c.Vocabulary.Masks, i) {
		return true
	}
	if len(c.Vocabulary.Special) == 0 && c.query.Spans != nil {
		return c.query.Spans[i].Start == c.query.Spans[i].End
	}
	return c.among(c.Vocabulary.Special, i)
}

// dropRow keeps a row from looking.
func (c *choice) dropRow(i int, reason Reason) { c.rows[i].Kept, c.rows[i].Reason = false, reason }
