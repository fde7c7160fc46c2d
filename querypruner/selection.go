package querypruner

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/pare-search/pare/simd"
)

// Selection says what each row of a query is used for, and why.
type Selection struct {
	// Probe lists the rows that look for candidates, ascending; nil means all
	// of them.
	Probe []int
	// Score lists the rows that count in a document's score, ascending; nil
	// means all of them.
	Score []int
	// Vectors are the rows that Probe and Score number, in place of the query's:
	// first those of the query, each times its weight, then the means of merged
	// rows. Where nothing was weighed or merged they are the query's own.
	Vectors simd.Matrix
	// Rarity holds the rarity of each of these rows' tokens, for a search to weigh
	// cells by in place of the cells' own; nil without Pruner.TokenRarity.
	Rarity []float64
	// Rows explains the choice, one entry per query row.
	Rows []Row
}

// RowOf returns the query row that a row of Vectors stands for: itself, or of a
// mean of merged rows the first.
func (s Selection) RowOf(vector int) int {
	mean := vector - len(s.Rows)
	if mean < 0 {
		return vector
	}
	for i, row := range s.Rows {
		if row.Kept && row.Members > 1 {
			if mean == 0 {
				return i
			}
			mean--
		}
	}
	return -1
}

// MeanOf returns how many query rows a row of Vectors is the mean of: 1 for a
// row of the query.
func (s Selection) MeanOf(vector int) int {
	if vector < len(s.Rows) {
		return 1
	}
	if row := s.RowOf(vector); row >= 0 {
		return s.Rows[row].Members
	}
	return 1
}

// Row explains what became of one query row.
type Row struct {
	Kept   bool
	Reason Reason
	// Rank is the row's place in the order of usefulness, 1 for the best; 0
	// where there is no order.
	Rank int
	// Frequency is how often the row's token occurs: the number that its rank
	// came from (collection frequency, document frequency or cell population), or
	// else its document frequency. It is -1 where nobody looked.
	Frequency int64
	// Weight multiplies the row.
	Weight float32
	// With is the row that looks in this one's place, or -1.
	With int
	// Members is the number of rows that this one looks for, itself among them;
	// 0 without merging.
	Members int
	// Cells is how many cells the row looked into and Postings how many entries
	// they had, set by a search. A cell that several rows want counts for the one
	// it promised most to.
	Cells, Postings int
}

// Reason tells why a row was kept or dropped; Row.String puts it in words.
type Reason uint8

// The reasons, with examples of their words.
const (
	All              Reason = iota // "all rows look"
	Useful                         // kept: "rank 2, frequency 17"
	LessUseful                     // dropped: "rank 9, frequency 5120"
	Unseen                         // either, by its rank: "rank 1, not in the collection"
	SpecialToken                   // dropped: "special token"
	StopWord                       // dropped: "stop word"
	TooFrequent                    // dropped: "in 4211 documents, too many"
	OnlyOne                        // "kept, since a query needs one row"
	NeverOccurs                    // "not in the collection, dropped"
	OccursModerately               // kept: "in 17 documents"
	NotSpecial                     // kept: "no special token"
	NoStopWord                     // kept: "no stop word"
	Merged                         // dropped: "looks together with token 3"
	Mask                           // dropped: "mask, counts for token 3"
	Flat                           // dropped by a search: "no cell stands out"
)

// String explains the row in a few words. Tokens are counted from 1.
func (r Row) String() string {
	words := []string{r.Reason.in(r)}
	if r.Weight != 1 && r.Weight != 0 {
		words = append(words, fmt.Sprintf("weight %.2f", r.Weight))
	}
	if r.Members > 1 {
		words = append(words, fmt.Sprintf("looks for %d tokens", r.Members))
	}
	if r.Cells > 0 {
		words = append(words, fmt.Sprintf("%d cells with %d postings", r.Cells, r.Postings))
	}
	return strings.Join(words, ", ")
}

// in puts the reason in words.
func (reason Reason) in(r Row) string {
	switch reason {
	case Useful, LessUseful:
		if r.Frequency < 0 {
			return fmt.Sprintf("rank %d", r.Rank)
		}
		return fmt.Sprintf("rank %d, frequency %d", r.Rank, r.Frequency)
	case Unseen:
		if r.Rank == 0 {
			return "not in the collection"
		}
		return fmt.Sprintf("rank %d, not in the collection", r.Rank)
	case NeverOccurs:
		return "not in the collection, dropped"
	case SpecialToken:
		return "special token"
	case NotSpecial:
		return "no special token"
	case StopWord:
		return "stop word"
	case NoStopWord:
		return "no stop word"
	case TooFrequent:
		return fmt.Sprintf("in %d documents, too many", r.Frequency)
	case OccursModerately:
		return fmt.Sprintf("in %d documents", r.Frequency)
	case OnlyOne:
		return "kept, since a query needs one row"
	case Merged:
		return fmt.Sprintf("looks together with token %d", r.With+1)
	case Mask:
		return fmt.Sprintf("mask, counts for token %d", r.With+1)
	case Flat:
		return "no cell stands out"
	default:
		return "all rows look"
	}
}

// selection puts together what the steps have left.
func (c *choice) selection() Selection {
	n := len(c.rows)
	if len(c.left) == 0 && n > 0 {
		best := 0
		for i := range c.rows {
			if c.compareDropped(i, best) < 0 {
				best = i
			}
		}
		c.rows[best].Kept, c.rows[best].Reason = true, OnlyOne
		c.left, c.scored[best] = append(c.left, best), true
	}
	s := Selection{Probe: c.left, Rows: c.rows, Vectors: c.query.Vectors}
	if n == 0 {
		s.Probe = nil
		return s
	}
	c.scale(&s)
	switch {
	case c.ScoreKept:
		c.mergeInPlace(&s)
		s.Score = slices.Clone(s.Probe)
	case c.groups != nil || slices.Contains(c.scored, false):
		for i, scored := range c.scored {
			if scored {
				s.Score = append(s.Score, i)
			}
		}
		c.appendMeans(&s)
	}
	if c.TokenRarity {
		c.rarities(&s)
	}
	return s
}

// scale multiplies the rows by their weights.
func (c *choice) scale(s *Selection) {
	if c.weight == nil {
		return
	}
	s.Vectors.Data = slices.Clone(s.Vectors.Data)
	for i, w := range c.weight {
		row := s.Vectors.Row(i)
		for d := range row {
			row[d] *= w
		}
	}
}

// mergeInPlace puts the sum of a group in the place of its first row.
func (c *choice) mergeInPlace(s *Selection) {
	if c.groups == nil {
		return
	}
	s.Vectors.Data = slices.Clone(s.Vectors.Data)
	for _, i := range s.Probe {
		for _, j := range c.members(i) {
			add(s.Vectors.Row(i), s.Vectors.Row(j))
		}
	}
}

// appendMeans makes rows of the means of groups, which look in place of their
// first rows. They are means, since a row that is longer than those that score
// would make the steps coarser in which similarities are found, and so change
// the scores; see Selection.MeanOf for their weight.
func (c *choice) appendMeans(s *Selection) {
	if c.groups == nil {
		return
	}
	s.Vectors.Data = slices.Clone(s.Vectors.Data)
	for at, i := range s.Probe {
		members := c.members(i)
		if len(members) == 0 {
			continue
		}
		s.Vectors.Data = append(s.Vectors.Data, s.Vectors.Row(i)...)
		s.Probe[at] = s.Vectors.Rows
		s.Vectors.Rows++
		mean := s.Vectors.Row(s.Probe[at])
		for _, j := range members {
			add(mean, s.Vectors.Row(j))
		}
		for d := range mean {
			mean[d] /= float32(len(members) + 1)
		}
	}
	slices.Sort(s.Probe)
}

// members returns the rows of a group besides its first.
func (c *choice) members(i int) []int {
	if len(c.groups[i]) == 0 { // kept since a query needs one row
		return nil
	}
	return c.groups[i][1:]
}

func add(sum, row []float32) {
	for d, v := range row {
		sum[d] += v
	}
}

// rarities weighs a token like a cell with as many postings: ln(V / n).
func (c *choice) rarities(s *Selection) {
	s.Rarity = make([]float64, s.Vectors.Rows)
	vectors := float64(c.stats.Vectors() + 1)
	rarity := func(i int) float64 { return math.Log(vectors / float64(c.count(i).documents+1)) }
	for i := range c.rows {
		s.Rarity[i] = rarity(i)
	}
	means := s.Rarity[len(c.rows):]
	for i, group := range c.groups {
		if len(group) < 2 || !c.rows[i].Kept {
			continue
		}
		best := rarity(c.rarest(i))
		if c.ScoreKept {
			s.Rarity[i] = best
			continue
		}
		means[0], means = best, means[1:]
	}
}
