package searchbench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/simd"
)

// ShardOptions say what Shards compares.
type ShardOptions struct {
	// Shards are numbers of shards, or of goroutines with cells of their own.
	Shards []int
	// Search finds the candidates.
	Search index.SearchOptions
}

// DefaultShardOptions compares 2 to 16 shards at the default budget.
func DefaultShardOptions() ShardOptions {
	options := index.DefaultSearchOptions()
	options.Plan = index.Probe
	return ShardOptions{Shards: []int{2, 4, 8, 16}, Search: options}
}

// Validate reports every option that makes no sense.
func (o ShardOptions) Validate() error {
	faults := []error{o.Search.Validate()}
	if len(o.Shards) == 0 {
		faults = append(faults, fmt.Errorf("%w: no number of shards", ErrInvalid))
	}
	for _, n := range o.Shards {
		if n < 1 {
			faults = append(faults, fmt.Errorf("%w: %d shards", ErrInvalid, n))
		}
	}
	return errors.Join(faults...)
}

// CostModel is what reading a posting list costs, fitted by least squares to
// measured times.
type CostModel struct {
	// ListNanoseconds is the cost of a list, PostingNanoseconds that of each of its
	// postings.
	ListNanoseconds    float64 `json:"list_ns"`
	PostingNanoseconds float64 `json:"posting_ns"`
	// R2 is the share of the variance of times that the model explains.
	R2 float64 `json:"r2"`
}

func (m CostModel) of(postings int) float64 {
	return m.ListNanoseconds + m.PostingNanoseconds*float64(postings)
}

// Placement is one way to give cells to shards, judged by queries that it has not
// seen.
type Placement struct {
	Name   string `json:"name"`
	Shards int    `json:"shards"`
	// Load is the cost of the busiest shard over all queries, as a multiple of the
	// mean of shards; Query is the same within a query, averaged: what a query waits
	// for when shards work at the same time.
	Load  float64 `json:"load"`
	Query float64 `json:"query"`
}

// ShardReport is the outcome of Shards.
type ShardReport struct {
	Queries    int         `json:"queries"` // that judge; as many have taught
	Cells      int         `json:"cells"`   // read by those that have taught
	Model      CostModel   `json:"model"`
	Placements []Placement `json:"placements"`
}

// Shards compares ways to share the cells of an index out to shards. Every second
// query tells how often each cell is read; a cost model of posting lists, fitted to
// times measured here, makes loads of that; the other queries judge the placements:
//
//   - by number: cell c to shard c mod n, which knows nothing
//   - by postings: longest list first to the shard with the fewest postings
//   - by cost: the cell with the largest expected load first to the shard with the
//     least (Graham's longest processing time rule, 1969)
//
// AutoShard (Zha et al., arXiv 2208.06399) learns costs and placements of embedding
// tables; costs of posting lists are linear in their length, so that a line and the
// greedy rule are all that is needed.
func Shards(ctx context.Context, snapshot *index.Snapshot, queries []Query, o ShardOptions) (*ShardReport, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if len(queries) < 2 {
		return nil, fmt.Errorf("%w: %d queries, want at least two", ErrInvalid, len(queries))
	}
	read, err := cellsRead(ctx, snapshot, queries, o.Search)
	if err != nil {
		return nil, err
	}
	model, err := fitCosts(snapshot, slices.Concat(read...))
	if err != nil {
		return nil, err
	}
	var taught, judging [][]uint32
	for i, cells := range read {
		if i%2 == 0 {
			taught = append(taught, cells)
		} else {
			judging = append(judging, cells)
		}
	}
	cells := snapshot.Codebook().Cells()
	times := make([]int, cells)
	for _, cell := range slices.Concat(taught...) {
		times[cell]++
	}
	costs, postings, loads := make([]float64, cells), make([]float64, cells), make([]float64, cells)
	counts, err := snapshot.PostingCounts()
	if err != nil {
		return nil, err
	}
	report := &ShardReport{Queries: len(judging), Model: model}
	for cell := range cells {
		n := int(counts[cell])
		costs[cell], postings[cell] = model.of(n), float64(n)
		// A cell that no query has read yet may be read by the next one.
		loads[cell] = costs[cell] * (float64(times[cell]) + 0.5)
		if times[cell] > 0 {
			report.Cells++
		}
	}
	for _, n := range o.Shards {
		byNumber := make([]int, cells)
		for cell := range byNumber {
			byNumber[cell] = cell % n
		}
		for _, p := range []struct {
			name   string
			shards []int
		}{{"by number", byNumber}, {"by postings", longestFirst(postings, n)}, {"by cost", longestFirst(loads, n)}} {
			load, query := imbalance(judging, p.shards, costs, n)
			report.Placements = append(report.Placements, Placement{p.name, n, load, query})
		}
	}
	return report, nil
}

// listener notes the cells whose posting lists a search reads.
type listener struct {
	index.Source
	cells []uint32
}

// AppendPostings notes the cell.
func (l *listener) AppendPostings(dst []uint32, cell uint32) ([]uint32, error) {
	l.cells = append(l.cells, cell)
	return l.Source.AppendPostings(dst, cell)
}

// cellsRead returns the cells that each query reads.
func cellsRead(ctx context.Context, snapshot *index.Snapshot, queries []Query, options index.SearchOptions) ([][]uint32, error) {
	heard := &listener{Source: snapshot}
	searcher := index.NewSearcher(heard)
	read := make([][]uint32, len(queries))
	for i, q := range queries {
		heard.cells = nil
		if _, _, err := searcher.Search(ctx, simd.PackQuery(q.Tokens.Vectors), querypruner.Selection{}, options); err != nil {
			return nil, err
		}
		read[i] = heard.cells
	}
	return read, nil
}

// fitCosts times the posting lists of cells and fits a line.
func fitCosts(source index.Source, cells []uint32) (CostModel, error) {
	const repeats = 5
	slices.Sort(cells)
	cells = slices.Compact(cells)
	var list []uint32
	lengths, times := make([]float64, len(cells)), make([]float64, len(cells))
	for i := range times {
		times[i] = math.Inf(1)
	}
	for range repeats {
		for i, cell := range cells {
			began := time.Now()
			var err error
			if list, err = source.AppendPostings(list[:0], cell); err != nil {
				return CostModel{}, err
			}
			times[i] = min(times[i], float64(time.Since(began).Nanoseconds()))
			lengths[i] = float64(len(list))
		}
	}
	return fitLine(lengths, times), nil
}

// fitLine is least squares of a line that nowhere costs less than nothing.
func fitLine(x, y []float64) CostModel {
	n := float64(len(x))
	if n == 0 {
		return CostModel{}
	}
	meanX, meanY := 0.0, 0.0
	for i := range x {
		meanX, meanY = meanX+x[i]/n, meanY+y[i]/n
	}
	xx, xy, yy := 0.0, 0.0, 0.0
	for i := range x {
		xx += (x[i] - meanX) * (x[i] - meanX)
		xy += (x[i] - meanX) * (y[i] - meanY)
		yy += (y[i] - meanY) * (y[i] - meanY)
	}
	if xx == 0 || yy == 0 {
		return CostModel{ListNanoseconds: meanY}
	}
	slope := xy / xx
	start := meanY - slope*meanX
	switch {
	case slope < 0:
		return CostModel{ListNanoseconds: meanY}
	case start >= 0:
		return CostModel{ListNanoseconds: start, PostingNanoseconds: slope, R2: xy * xy / (xx * yy)}
	}
	// Through the origin the slope is another one.
	slope = (xy + n*meanX*meanY) / (xx + n*meanX*meanX)
	left := 0.0
	for i := range x {
		left += (y[i] - slope*x[i]) * (y[i] - slope*x[i])
	}
	return CostModel{PostingNanoseconds: slope, R2: max(0, 1-left/yy)}
}

// longestFirst gives each cell, the one with the largest load first, to the shard
// that has the least.
func longestFirst(loads []float64, shards int) []int {
	order := make([]int, len(loads))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(loads[b], loads[a]) })
	placed, sums := make([]int, len(loads)), make([]float64, shards)
	for _, cell := range order {
		least := 0
		for s, sum := range sums {
			if sum < sums[least] {
				least = s
			}
		}
		placed[cell] = least
		sums[least] += loads[cell]
	}
	return placed
}

// imbalance is the busiest shard over the mean, of all queries together and within
// a query.
func imbalance(queries [][]uint32, placed []int, costs []float64, shards int) (load, query float64) {
	ratio := func(sums []float64) float64 {
		total := 0.0
		for _, sum := range sums {
			total += sum
		}
		if total == 0 {
			return 1
		}
		return slices.Max(sums) * float64(len(sums)) / total
	}
	all := make([]float64, shards)
	for _, cells := range queries {
		own := make([]float64, shards)
		for _, cell := range cells {
			own[placed[cell]] += costs[cell]
			all[placed[cell]] += costs[cell]
		}
		query += ratio(own) / float64(len(queries))
	}
	return ratio(all), query
}
