package querypruner

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/pare-search/pare/encoder"
)

// ErrInvalid reports a pruner whose settings make no sense.
var ErrInvalid = errors.New("querypruner: invalid setting")

// Strategy is a way to order the rows of a query by their use in finding
// candidates.
type Strategy uint8

const (
	// KeepAll lets every row look for candidates: no pruning.
	KeepAll Strategy = iota
	// ICF keeps the rows whose tokens are rarest among the stored vectors
	// (inverse collection frequency; Tonellotto and Macdonald, CIKM 2021,
	// section 3).
	ICF
	// IDF keeps the rows whose tokens occur in the fewest documents.
	IDF
	// First keeps the leading rows.
	First
	// Random keeps rows drawn by Seed and the query itself, so that the same
	// query always keeps the same rows: the control that any strategy has to beat.
	Random
	// Population keeps the rows whose nearest cell is in the fewest documents.
	// It needs no token ids; ICF, IDF and DropStopWords count the same way when
	// a query has none.
	Population
	// DropSpecials drops the rows of special tokens ([CLS], [MASK] and their
	// kind, listed in Special) and keeps all others.
	DropSpecials
	// DropStopWords drops the rows whose tokens occur in more than Keep.Share
	// of the documents and keeps all others.
	DropStopWords
)

// Keep is how many rows survive: Count rows, or Share of the query's rows
// rounded up when Count is zero.
type Keep struct {
	Count int
	Share float64
}

// of returns the number of rows to keep of n, at least one of a query that
// has any.
func (k Keep) of(n int) int {
	kept := k.Count
	if kept == 0 {
		// The small number forgives rounding: 0.07 * 100 is a little above 7.
		kept = int(math.Ceil(k.Share*float64(n) - 1e-9))
	}
	return min(max(kept, 1), n)
}

// Pruner selects query rows. The zero value keeps all of them.
type Pruner struct {
	Strategy Strategy
	Keep     Keep
	// DropUnseen ranks tokens that do not occur in the collection last instead
	// of first and drops them. The published method does so, since [MASK] tokens
	// never occur in documents; by default they are kept as the rarest there are.
	// It acts where the strategy looks at frequencies.
	DropUnseen bool
	// Special lists the token ids that never look for candidates, whatever
	// the strategy, as long as another row can.
	Special []uint32
	// Seed drives Random.
	Seed uint64
	// ScoreKept restricts scoring to the kept rows too. That changes the
	// scoring model and costs quality; it is off by default.
	ScoreKept bool
}

// Statistics describes the collection that the query is pruned for.
type Statistics interface {
	// Documents is the number of documents that the frequencies count.
	Documents() int64
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
	if p.Strategy > DropStopWords {
		faults = append(faults, fmt.Errorf("%w: unknown strategy %d", ErrInvalid, p.Strategy))
	}
	if p.Keep.Count < 0 {
		faults = append(faults, fmt.Errorf("%w: cannot keep %d rows", ErrInvalid, p.Keep.Count))
	}
	if !(p.Keep.Share >= 0 && p.Keep.Share <= 1) {
		faults = append(faults, fmt.Errorf("%w: share %v is not between 0 and 1", ErrInvalid, p.Keep.Share))
	}
	if p.Strategy.ranks() && p.Keep.Count == 0 && p.Keep.Share == 0 {
		faults = append(faults, fmt.Errorf("%w: %s needs a number or share of rows to keep", ErrInvalid, p.Strategy))
	}
	if p.Strategy == DropStopWords && p.Keep.Share == 0 {
		faults = append(faults, fmt.Errorf("%w: %s needs a share of the documents", ErrInvalid, p.Strategy))
	}
	return errors.Join(faults...)
}

// ranks tells whether the strategy orders rows and keeps the first ones.
func (s Strategy) ranks() bool {
	return s >= ICF && s <= Population
}

// Select decides for each row of q. Ties are decided by position, earlier
// rows first. A query with at least one row keeps at least one: when all are to
// be dropped, the rarest that occurs, special tokens last. The error wraps
// ErrInvalid or encoder.ErrInvalid.
func (p Pruner) Select(q encoder.Tokens, stats Statistics) (Selection, error) {
	if err := errors.Join(p.Validate(), q.Validate(q.Vectors.Dim)); err != nil {
		return Selection{}, err
	}
	rows := make([]Row, q.Vectors.Rows)
	switch {
	case p.Strategy == DropStopWords:
		p.dropStopWords(rows, q, stats)
	case p.Strategy.ranks():
		p.rank(rows, q, stats)
	default:
		for i := range rows {
			switch {
			case p.special(q, i):
				rows[i] = Row{Reason: SpecialToken, Frequency: -1}
			case p.Strategy == DropSpecials:
				rows[i] = Row{Kept: true, Reason: NotSpecial, Frequency: -1}
			default:
				rows[i] = Row{Kept: true, Reason: All, Frequency: -1}
			}
		}
	}
	return p.selection(rows), nil
}

// special tells whether row i is a special token. KeepAll means all.
func (p Pruner) special(q encoder.Tokens, i int) bool {
	return p.Strategy != KeepAll && q.IDs != nil && slices.Contains(p.Special, q.IDs[i])
}

func (p Pruner) selection(rows []Row) Selection {
	s := Selection{Rows: rows}
	for i, r := range rows {
		if r.Kept {
			s.Probe = append(s.Probe, i)
		}
	}
	if len(s.Probe) == 0 && len(rows) > 0 {
		best := 0
		for i, r := range rows {
			if r.compareDropped(rows[best]) < 0 {
				best = i
			}
		}
		rows[best].Kept, rows[best].Reason = true, OnlyOne
		s.Probe = []int{best}
	}
	if p.ScoreKept {
		s.Score = slices.Clone(s.Probe)
	}
	return s
}

// compareDropped orders dropped rows: special tokens come last, and otherwise
// the rarest that occurs at all comes first.
func (r Row) compareDropped(other Row) int {
	special := func(r Row) int {
		if r.Reason == SpecialToken {
			return 1
		}
		return 0
	}
	rarity := func(r Row) int64 {
		if r.Frequency <= 0 {
			return math.MaxInt64
		}
		return r.Frequency
	}
	return cmp.Or(cmp.Compare(special(r), special(other)), cmp.Compare(rarity(r), rarity(other)))
}

func (p Pruner) dropStopWords(rows []Row, q encoder.Tokens, stats Statistics) {
	limit := p.Keep.Share * float64(stats.Documents())
	for i := range rows {
		frequency := p.frequency(q, i, stats)
		switch {
		case p.special(q, i):
			rows[i] = Row{Reason: SpecialToken, Frequency: frequency}
		case frequency == 0 && p.DropUnseen:
			rows[i] = Row{Reason: NeverOccurs}
		case frequency == 0:
			rows[i] = Row{Kept: true, Reason: Unseen}
		case float64(frequency) > limit:
			rows[i] = Row{Reason: StopWord, Frequency: frequency}
		default:
			rows[i] = Row{Kept: true, Reason: OccursModerately, Frequency: frequency}
		}
	}
}

// rank orders the rows by the strategy's importance and keeps the first ones.
func (p Pruner) rank(rows []Row, q encoder.Tokens, stats Statistics) {
	var generator *rand.Rand
	if p.Strategy == Random {
		generator = rand.New(rand.NewPCG(p.Seed, fingerprint(q)))
	}
	importance := make([]float64, len(rows))
	eligible := make([]int, 0, len(rows))
	for i := range rows {
		switch p.Strategy {
		case First:
			rows[i].Frequency, importance[i] = -1, -float64(i)
		case Random:
			rows[i].Frequency, importance[i] = -1, generator.Float64()
		default:
			rows[i].Frequency = p.frequency(q, i, stats)
			importance[i] = -float64(rows[i].Frequency)
		}
		switch {
		case p.special(q, i):
			rows[i].Reason = SpecialToken
		case p.DropUnseen && rows[i].Frequency == 0:
			rows[i].Reason = NeverOccurs
		default:
			eligible = append(eligible, i)
		}
	}
	slices.SortStableFunc(eligible, func(a, b int) int {
		return cmp.Compare(importance[b], importance[a])
	})
	kept := 0
	if len(eligible) > 0 {
		kept = min(p.Keep.of(len(rows)), len(eligible))
	}
	for rank, i := range eligible {
		rows[i].Rank, rows[i].Kept = rank+1, rank < kept
		switch {
		case rows[i].Frequency == 0:
			rows[i].Reason = Unseen
		case rank < kept:
			rows[i].Reason = Useful
		default:
			rows[i].Reason = LessUseful
		}
	}
}

// frequency is the count that the strategy ranks row i by.
func (p Pruner) frequency(q encoder.Tokens, i int, stats Statistics) int64 {
	if q.IDs == nil || p.Strategy == Population {
		return stats.CellPopulation(q.Vectors.Row(i))
	}
	collection, documents := stats.TokenFrequency(q.IDs[i])
	if p.Strategy == ICF {
		return collection
	}
	return documents
}

// fingerprint tells queries apart (FNV-1a over ids, or the first components
// where there are none).
func fingerprint(q encoder.Tokens) uint64 {
	hash := uint64(14695981039346656037)
	mix := func(word uint32) { hash = (hash ^ uint64(word)) * 1099511628211 }
	mix(uint32(q.Vectors.Rows))
	for i := range q.Vectors.Rows {
		if q.IDs != nil {
			mix(q.IDs[i])
		} else {
			mix(math.Float32bits(q.Vectors.Row(i)[0]))
		}
	}
	return hash
}
