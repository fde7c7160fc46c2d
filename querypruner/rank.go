package querypruner

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/pare-search/pare/encoder"
)

// Strategy is a way to order the rows of a query by their use in finding
// candidates. Each gives a row an importance, which Keep.Mass adds up.
type Strategy uint8

const (
	// KeepAll lets every row look for candidates: no order.
	KeepAll Strategy = iota
	// ICF puts the rows first whose tokens are rarest among the stored vectors
	// (inverse collection frequency; Tonellotto and Macdonald, CIKM 2021,
	// section 3). A row's importance is ln((V + 1) / (n + 1)) for n of V vectors.
	ICF
	// IDF puts the rows first whose tokens occur in the fewest documents, of the
	// importance that IDFWeights has.
	IDF
	// First puts the leading rows first; the importance of row i is 1/(i+1).
	First
	// Random puts rows in an order drawn by Seed and the query itself, so that the
	// same query always keeps the same rows: the control that any strategy has to
	// beat. Importance is uniform in 0..1.
	Random
	// Population puts the rows first whose nearest cell is in the fewest
	// documents, with the importance of IDF. It needs no token ids; what else
	// counts tokens counts the same way when a query has none.
	Population
)

var strategyNames = [...]string{
	KeepAll: "all", ICF: "icf", IDF: "idf", First: "first", Random: "random", Population: "population",
}

// String returns the strategy's name as Parse reads it.
func (s Strategy) String() string {
	if int(s) < len(strategyNames) {
		return strategyNames[s]
	}
	return fmt.Sprintf("strategy(%d)", uint8(s))
}

// Keep is how many of the ordered rows look. Where there are several limits,
// the one that lets the fewest through counts, but one row always looks. Count
// and Share are the same for all queries; Mass and Cost adapt to each.
type Keep struct {
	// Count is a number of rows.
	Count int
	// Share, where Count is zero, is a share of the query's rows, rounded up.
	Share float64
	// Mass keeps the fewest rows that hold this share of the importance of all
	// that are in order.
	Mass float64
	// Cost keeps rows as long as the documents with their tokens, which is what
	// looking for them is expected to read, are together no more than this, as
	// selective pruning chooses its aggressiveness by a query's predicted cost
	// (Tonellotto, Macdonald and Ounis, WSDM 2013).
	Cost int
}

// rank takes the last steps.
func (c *choice) rank() {
	if c.Strategy == KeepAll {
		for _, i := range c.left {
			c.rows[i].Kept, c.rows[i].Reason = true, c.remained(i)
		}
		return
	}
	importance := c.importance()
	ordered := slices.Clone(c.left)
	slices.SortStableFunc(ordered, func(a, b int) int { return cmp.Compare(importance[b], importance[a]) })
	kept := c.kept(ordered, importance)
	c.left = append(c.left[:0], ordered[:kept]...)
	slices.Sort(c.left)
	for rank, i := range ordered {
		row := &c.rows[i]
		row.Rank, row.Kept, row.Reason = rank+1, rank < kept, LessUseful
		switch {
		case row.Frequency == 0:
			row.Reason = Unseen
		case row.Kept:
			row.Reason = Useful
		}
	}
}

// remained says why a row looks that no step has dropped.
func (c *choice) remained(i int) Reason {
	switch {
	case c.Drop.StopShare > 0 && c.count(i).documents == 0:
		return Unseen
	case c.Drop.StopShare > 0:
		return OccursModerately
	case c.Drop.StopWords != "":
		return NoStopWord
	case c.Drop.Specials:
		return NotSpecial
	}
	return All
}

// importance returns that of the rows left; the others' means nothing.
func (c *choice) importance() []float64 {
	importance := make([]float64, len(c.rows))
	if c.Strategy == Random {
		generator := rand.New(rand.NewPCG(c.Seed, fingerprint(c.query)))
		for i := range importance {
			importance[i] = generator.Float64()
		}
		return importance
	}
	documents, vectors := c.stats.Documents(), c.stats.Vectors()
	for _, i := range c.left {
		if c.Strategy == First {
			importance[i] = 1 / float64(i+1)
			continue
		}
		rarest := c.rarest(i)
		n := c.count(rarest)
		c.count(i)
		c.rows[i].Frequency = c.rows[rarest].Frequency
		if c.Strategy == ICF {
			importance[i] = math.Log(float64(vectors+1) / float64(min(n.collection, vectors)+1))
		} else {
			importance[i] = inverseFrequency(n.documents, documents)
		}
	}
	return importance
}

// kept returns how many of the ordered rows look.
func (c *choice) kept(ordered []int, importance []float64) int {
	kept := len(ordered)
	switch {
	case c.Keep.Count > 0:
		kept = min(kept, c.Keep.Count)
	case c.Keep.Share > 0:
		// The small number forgives rounding: 0.07 * 100 is a little above 7.
		kept = min(kept, int(math.Ceil(c.Keep.Share*float64(len(c.rows))-1e-9)))
	}
	if c.Keep.Mass > 0 {
		var all, sum float64
		for _, i := range ordered {
			all += importance[i]
		}
		for n, i := range ordered[:kept] {
			if sum += importance[i]; sum >= c.Keep.Mass*all*(1-1e-9) {
				kept = n + 1
				break
			}
		}
	}
	if c.Keep.Cost > 0 {
		var sum int64
		for n, i := range ordered[:kept] {
			if sum += c.count(c.rarest(i)).documents; sum > int64(c.Keep.Cost) {
				kept = n
				break
			}
		}
	}
	return min(max(kept, 1), len(ordered))
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
