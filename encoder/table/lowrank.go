package table

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/pare-search/pare/simd"
	"github.com/pare-search/pare/simd/gemm"
)

// factors are rows that are the product of a short row of their own and a matrix
// that all share.
//
//	kind 'f'
//	left   rows x rank
//	right  rank x dim
type factors struct{ left, right array }

func (f *factors) row(dst []float32, id int) {
	clear(dst)
	for r := range f.left.columns {
		f.right.add(dst, r, f.left.float(id, r))
	}
}

func openFactors(n node, rows, dim int) (form, error) {
	if len(n.arrays) != 2 || len(n.parts) > 0 {
		return nil, fmt.Errorf("%w: factors: %d arrays and %d parts", ErrCorrupt, len(n.arrays), len(n.parts))
	}
	f := &factors{n.arrays[0], n.arrays[1]}
	if err := f.left.wants("left factor", true, rows, f.left.columns); err != nil {
		return nil, err
	}
	return f, f.right.wants("right factor", true, f.left.columns, dim)
}

func factorsSize(e element, rows, rank, dim int) int {
	return nodeHeader + sizeOf(e, 0, rows, rank) + sizeOf(e, 0, rank, dim)
}

// fitFactors projects rows on their first principal directions.
func fitFactors(ctx context.Context, p problem, directions simd.Matrix, rank int, e element) (node, error) {
	right := directions.Slice(0, rank)
	left, err := multiplied(ctx, p.Matrix, right)
	return node{kind: kindFactors, arrays: []array{floats(e, left), floats(e, right)}}, err
}

// bands are runs of the rows in some order, each of a rank of its own.
type bands struct {
	order  []int32
	counts []int
}

// frequencyBands cuts the rows, most frequent first, into bands of so many rows
// as shares say.
func (p problem) frequencyBands(shares ...float64) bands {
	b := bands{order: p.byWeight()}
	end, sum := 0, 0.0
	for _, share := range shares {
		sum += share
		next := max(end+1, min(p.Rows, int(math.Round(sum*float64(p.Rows)))))
		if next > p.Rows || end == p.Rows {
			break
		}
		b.counts = append(b.counts, next-end)
		end = next
	}
	b.counts[len(b.counts)-1] += p.Rows - end
	return b
}

// doubling are the shares of bands each of which has twice as many rows as the one
// before: frequencies fall about as Zipf's law says.
func doubling(n int) []float64 {
	shares, total := make([]float64, n), math.Exp2(float64(n))-1
	for i := range shares {
		shares[i] = math.Exp2(float64(i)) / total
	}
	return shares
}

// each returns the problem of each band.
func (b bands) each(p problem) []problem {
	problems, begin := make([]problem, len(b.counts)), 0
	for i, count := range b.counts {
		problems[i] = p.of(b.order[begin:begin+count], 0)
		begin += count
	}
	return problems
}

// size is that of bands of ranks.
func (b bands) size(p problem, e element, ranks []int) int {
	size := groupsSize(b.order, p.Rows, p.Rows, len(b.counts))
	for i, count := range b.counts {
		size += factorsSize(e, count, ranks[i], p.Dim)
	}
	return size
}

// fit factors each band.
func (b bands) fit(ctx context.Context, p problem, e element, ranks []int) (node, error) {
	parts := make([]node, len(b.counts))
	for i, q := range b.each(p) {
		directions, _, err := q.principal(ctx)
		if err != nil {
			return node{}, err
		}
		if parts[i], err = fitFactors(ctx, q, directions, ranks[i], e); err != nil {
			return node{}, err
		}
	}
	return groups(p.Rows, b.order, b.counts, parts), nil
}

// ranked fits bands whose ranks stand in the proportion of shares, as large as the
// budget allows. Factors of 8 bits lose far less than the rank they make room for
// gains, so that float32 is for budgets that have room for full rank.
func (b bands) ranked(ctx context.Context, p problem, shares []float64) (node, error) {
	full := slices.Repeat([]int{p.Dim}, len(b.counts))
	if b.size(p, float32s, full) <= p.budget {
		return b.fit(ctx, p, float32s, full)
	}
	ranks, ok := inProportion(shares, p.Dim, func(ranks []int) bool { return b.size(p, int8s, ranks) <= p.budget })
	if !ok {
		return node{}, p.tooSmall(b.size(p, int8s, ranks))
	}
	return b.fit(ctx, p, int8s, ranks)
}

// inProportion returns the largest numbers from 1 to dim, in the proportion of shares,
// that fit; or, and false, the smallest ones if these do not. Beyond the number dim of
// the largest share the others go on to theirs.
func inProportion(shares []float64, dim int, fits func(counts []int) bool) (counts []int, ok bool) {
	largest := slices.Max(shares)
	at := func(step int) []int {
		out := make([]int, len(shares))
		for i, share := range shares {
			out[i] = min(dim, max(1, int(math.Round(float64(step)/steps*float64(dim)*share/largest))))
		}
		return out
	}
	// With more than one step for each number none is passed over.
	step := most(0, int(steps*largest/slices.Min(shares)), func(step int) bool { return fits(at(step)) })
	return at(max(step, 0)), step >= 0
}

const steps = 1 << 12

// fitDistilled projects all rows to fewer dimensions by weighted principal
// components: Mou et al.'s encoding layer, linear and fitted to the rows instead of
// a task.
func fitDistilled(ctx context.Context, p problem) (node, error) {
	e := int8s
	if factorsSize(float32s, p.Rows, p.Dim, p.Dim) <= p.budget {
		e = float32s
	}
	rank := most(1, p.Dim, func(rank int) bool { return factorsSize(e, p.Rows, rank, p.Dim) <= p.budget })
	if rank < 1 {
		return node{}, p.tooSmall(factorsSize(e, p.Rows, 1, p.Dim))
	}
	directions, _, err := p.principal(ctx)
	if err != nil {
		return node{}, err
	}
	return fitFactors(ctx, p, directions, rank, e)
}

const mixedBands = 8

// fitMixedDims gives a band of rows dimensions by a power of its mean frequency,
// which Ginart et al. train and which are principal components here. Frequent rows
// get more of them.
func fitMixedDims(ctx context.Context, p problem) (node, error) { return p.mixedDims(ctx, popularity) }

// fitMixedDimsInverse gives rare rows more dimensions: they are what tells documents
// apart.
func fitMixedDimsInverse(ctx context.Context, p problem) (node, error) {
	return p.mixedDims(ctx, -popularity)
}

// popularity is the power that Ginart et al. found best.
const popularity = 0.3

func (p problem) mixedDims(ctx context.Context, power float64) (node, error) {
	b := p.frequencyBands(doubling(mixedBands)...)
	shares := make([]float64, len(b.counts))
	for i, weight := range b.meanWeights(p) {
		shares[i] = math.Pow(weight, power)
	}
	return b.ranked(ctx, p, shares)
}

// meanWeights returns the mean weight of the rows of each band.
func (b bands) meanWeights(p problem) []float64 {
	means, begin := make([]float64, len(b.counts)), 0
	for i, count := range b.counts {
		sum := 0.0
		for _, id := range b.order[begin : begin+count] {
			sum += p.weights[id]
		}
		means[i] = sum / float64(count)
		begin += count
	}
	return means
}

// fitAdaptiveDims has three bands of rows, each with a quarter of the dimensions of
// the band before it, as Baevski and Auli's adaptive input representations, with
// principal components for their learnt projections.
func fitAdaptiveDims(ctx context.Context, p problem) (node, error) {
	b := p.frequencyBands(0.1, 0.3, 0.6)
	return b.ranked(ctx, p, []float64{1, 1. / 4, 1. / 16}[:len(b.counts)])
}

// fitSearchedDims spends the budget direction by direction, each time on the band
// where one more takes away most weighted error per byte: AutoDim's search with the
// error of rows in place of a model's loss, for which greedy choice is the best there
// is, since squares along principal directions fall.
func fitSearchedDims(ctx context.Context, p problem) (node, error) {
	b := p.frequencyBands(doubling(mixedBands)...)
	full := slices.Repeat([]int{p.Dim}, len(b.counts))
	if b.size(p, float32s, full) <= p.budget {
		return b.fit(ctx, p, float32s, full)
	}
	squares := make([][]float64, len(b.counts))
	directions := make([]simd.Matrix, len(b.counts))
	problems := b.each(p)
	for i, q := range problems {
		var err error
		if directions[i], squares[i], err = q.principal(ctx); err != nil {
			return node{}, err
		}
	}
	ranks := slices.Repeat([]int{1}, len(b.counts))
	spare := p.budget - b.size(p, int8s, ranks)
	if spare < 0 {
		return node{}, p.tooSmall(b.size(p, int8s, ranks))
	}
	for {
		best, gain := -1, 0.0
		for i, count := range b.counts {
			cost := count + 4 + p.Dim // a column of the left factor, a row of the right one
			if ranks[i] < p.Dim && cost <= spare && squares[i][ranks[i]]/float64(cost) > gain {
				best, gain = i, squares[i][ranks[i]]/float64(cost)
			}
		}
		if best < 0 {
			break
		}
		spare -= b.counts[best] + 4 + p.Dim
		ranks[best]++
	}
	parts := make([]node, len(ranks))
	for i, q := range problems {
		var err error
		if parts[i], err = fitFactors(ctx, q, directions[i], ranks[i], int8s); err != nil {
			return node{}, err
		}
	}
	return groups(p.Rows, b.order, b.counts, parts), nil
}

const (
	reduceBands  = 5
	reduceRounds = 4
)

// fitGroupReduce is GroupReduce (Chen et al., NeurIPS 2018): bands of frequency, a
// weighted low-rank approximation of each with a rank by its mean frequency, and
// rounds in which every row moves to the band whose directions keep most of it. Bands
// keep their sizes, so that the bytes stay the same: rows move in the order of what
// they gain, and with that not all to their best band, so that a round can lose too. The
// grouping that loses least is kept.
func fitGroupReduce(ctx context.Context, p problem) (node, error) {
	b := p.frequencyBands(doubling(reduceBands)...)
	shares := make([]float64, len(b.counts))
	for i, weight := range b.meanWeights(p) {
		shares[i] = math.Sqrt(weight)
	}
	first, err := b.ranked(ctx, p, shares)
	if err != nil || first.parts[0].arrays[0].element == float32s {
		return first, err
	}
	ranks := make([]int, len(b.counts))
	for i, part := range first.parts {
		ranks[i] = part.arrays[0].columns
	}
	best := first
	least, err := p.loss(first)
	if err != nil {
		return node{}, err
	}
	for range reduceRounds {
		if err := b.regroup(ctx, p, ranks); err != nil {
			return node{}, err
		}
		n, err := b.fit(ctx, p, int8s, ranks)
		if err != nil {
			return node{}, err
		}
		loss, err := p.loss(n)
		if err != nil {
			return node{}, err
		}
		if loss < least && n.size() <= p.budget { // places of rows that were in order take room
			best, least = n, loss
		}
	}
	return best, nil
}

// regroup moves rows between bands of given sizes, so that more of their weighted
// squares lie in the directions of their band: those that gain most choose first.
func (b *bands) regroup(ctx context.Context, p problem, ranks []int) error {
	kept := make([][]float64, len(ranks)) // by band and row: weighted squares
	for i, q := range b.each(p) {
		directions, _, err := q.principal(ctx)
		if err != nil {
			return err
		}
		kept[i] = make([]float64, p.Rows)
		err = times(ctx, p.Matrix, directions.Slice(0, ranks[i]), nil, func(lo, hi int, product gemm.Rows) {
			for row := lo; row < hi; row++ {
				kept[i][row] = p.weights[row] * float64(square(product.Data[(row-lo)*product.Stride:][:ranks[i]]))
			}
		})
		if err != nil {
			return err
		}
	}
	type wish struct {
		row, band int32
		gain      float64
	}
	var wishes []wish
	for row := range p.Rows {
		least := math.Inf(1)
		for i := range kept {
			least = min(least, kept[i][row])
		}
		for i := range kept {
			wishes = append(wishes, wish{int32(row), int32(i), kept[i][row] - least})
		}
	}
	slices.SortStableFunc(wishes, func(a, b wish) int { return cmp.Compare(b.gain, a.gain) })
	free := slices.Clone(b.counts)
	members := make([][]int32, len(ranks))
	placed := make([]bool, p.Rows)
	for _, w := range wishes {
		if !placed[w.row] && free[w.band] > 0 {
			placed[w.row] = true
			free[w.band]--
			members[w.band] = append(members[w.band], w.row)
		}
	}
	b.order = slices.Concat(members...)
	return nil
}
