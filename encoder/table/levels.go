package table

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sort"
	"sync"

	"github.com/pare-search/pare/simd"
)

// levels are rows whose every value is one of the few levels of its column, times
// the scale of the row if rows have scales.
//
//	kind 'l'
//	codes   rows x dim: numbers of levels
//	levels  1 x 2^bits, or dim x 2^bits: those of all columns, or of each
//	scales  optional, rows x 1
type levels struct{ codes, levels, scales array }

func (l *levels) row(dst []float32, id int) {
	for column := range dst {
		dst[column] = l.levels.float(min(column, l.levels.rows-1), int(l.codes.number(id, column)))
	}
	if l.scales.rows == 0 {
		return
	}
	scale := l.scales.float(id, 0)
	for column := range dst {
		dst[column] *= scale
	}
}

func openLevels(n node, rows, dim int) (form, error) {
	if len(n.arrays) < 2 || len(n.arrays) > 3 || len(n.parts) > 0 {
		return nil, fmt.Errorf("%w: levels: %d arrays and %d parts", ErrCorrupt, len(n.arrays), len(n.parts))
	}
	l := &levels{codes: n.arrays[0], levels: n.arrays[1]}
	if err := l.codes.wants("codes", false, rows, dim); err != nil {
		return nil, err
	}
	tables := l.levels.rows
	if l.codes.bits > maxLevelBits || tables != 1 && tables != dim {
		return nil, fmt.Errorf("%w: levels: %d bits, levels of %d columns", ErrCorrupt, l.codes.bits, tables)
	}
	if err := l.levels.wants("levels", true, tables, 1<<l.codes.bits); err != nil {
		return nil, err
	}
	if len(n.arrays) == 3 {
		l.scales = n.arrays[2]
		return l, l.scales.wants("scales", true, rows, 1)
	}
	return l, nil
}

const (
	maxLevelBits    = 8
	lloydIterations = 30
)

// fitLloyd rounds every value to one of the levels that minimise the weighted
// squared error of its column (Lloyd, IEEE Trans. Inf. Theory 28 (2), 1982;
// Andrews has one set for the whole matrix). Where the budget is between two
// numbers of bits, the most frequent rows get one more.
func fitLloyd(ctx context.Context, p problem) (node, error) {
	return p.byRow(maxLevelBits, func(q problem, bits int) (node, error) {
		table, err := lloydLevels(ctx, q, bits)
		if err != nil {
			return node{}, err
		}
		return levelsOf(q, bits, table, nil), nil
	}, func(bits, rows int) int {
		return nodeHeader + sizeOf(unsigneds, bits, rows, p.Dim) + sizeOf(float32s, 0, p.Dim, 1<<bits)
	})
}

// byRow spends a budget on a number n, up to the largest, that every row can have: of bits,
// of terms. All rows get as much as there is room for, the most frequent ones one more
// as far as the rest reaches.
func (p problem) byRow(largest int, fit func(p problem, n int) (node, error), size func(n, rows int) int) (node, error) {
	if p.budget < size(1, p.Rows) {
		return node{}, p.tooSmall(size(1, p.Rows))
	}
	all := most(1, largest, func(n int) bool { return size(n, p.Rows) <= p.budget })
	if all == largest {
		return fit(p, all)
	}
	order := p.byWeight()
	frame := groupsSize(order, p.Rows, p.Rows, 2)
	richer := most(1, p.Rows-1, func(rows int) bool {
		return frame+size(all+1, rows)+size(all, p.Rows-rows) <= p.budget
	})
	if richer < 1 {
		return fit(p, all)
	}
	parts := make([]node, 2)
	for i, rows := range [][]int32{order[:richer], order[richer:]} {
		var err error
		if parts[i], err = fit(p.of(rows, 0), all+1-i); err != nil {
			return node{}, err
		}
	}
	return groups(p.Rows, order, []int{richer, p.Rows - richer}, parts), nil
}

// lloydLevels returns the levels of each column, ascending.
func lloydLevels(ctx context.Context, p problem, bits int) (simd.Matrix, error) {
	table := simd.NewMatrix(p.Dim, 1<<bits)
	err := parallel(ctx, p.Dim, func(column int) error {
		values := make([]weighted, p.Rows)
		for i := range values {
			values[i] = weighted{p.Row(i)[column], p.weights[i]}
		}
		lloydMax(table.Row(column), values)
		return nil
	})
	return table, err
}

type weighted struct {
	value  float32
	weight float64
}

// lloydMax places levels so that the weighted squared distance of values to the
// nearest is near a local minimum. It begins with levels as dense as the cube root of the
// values' density, which is best for many levels (Panter and Dite, Proc. IRE 39 (1),
// 1951), and sorts values.
func lloydMax(levels []float32, values []weighted) {
	slices.SortFunc(values, func(a, b weighted) int { return cmp.Compare(a.value, b.value) })
	// Sums up to each value make the mean of a run two look-ups.
	weights, sums := make([]float64, len(values)+1), make([]float64, len(values)+1)
	for i, v := range values {
		weights[i+1] = weights[i] + v.weight
		sums[i+1] = sums[i] + v.weight*float64(v.value)
	}
	beginLevels(levels, values)
	for range lloydIterations {
		begin, changed := 0, false
		for l := range levels {
			end := len(values)
			if l+1 < len(levels) {
				middle := (levels[l] + levels[l+1]) / 2
				end = begin + sort.Search(len(values)-begin, func(i int) bool { return values[begin+i].value > middle })
			}
			if w := weights[end] - weights[begin]; w > 0 {
				mean := float32((sums[end] - sums[begin]) / w)
				changed = changed || mean != levels[l]
				levels[l] = mean
			}
			begin = end
		}
		if !changed {
			return
		}
	}
}

// beginLevels sets ascending levels to quantiles of the cube root of the density of
// sorted values.
func beginLevels(levels []float32, values []weighted) {
	const bins = 1 << 10
	lo, hi := float64(values[0].value), float64(values[len(values)-1].value)
	var density, sums [bins + 1]float64
	for _, v := range values {
		if hi > lo {
			density[int((float64(v.value)-lo)/(hi-lo)*(bins-1))] += v.weight
		}
	}
	for b := range bins {
		sums[b+1] = sums[b] + math.Cbrt(density[b])
	}
	for l := range levels {
		share := (float64(l) + 0.5) / float64(len(levels)) * sums[bins]
		b := max(1, sort.SearchFloat64s(sums[:], share)) // the bin before has it
		levels[l] = float32(lo + (hi-lo)/(bins-1)*(float64(b-1)+(share-sums[b-1])/max(sums[b]-sums[b-1], math.SmallestNonzeroFloat64)))
	}
}

// levelsOf makes the node of rows that are rounded to the nearest levels, after
// division by their scale where rows have one.
func levelsOf(p problem, bits int, table simd.Matrix, scales []float32) node {
	codes := make([]uint32, p.Rows*p.Dim)
	for i := range p.Rows {
		scale := float32(1)
		if scales != nil {
			scale = scales[i]
		}
		for column, v := range p.Row(i) {
			codes[i*p.Dim+column] = nearestLevel(table.Row(min(column, table.Rows-1)), v, scale)
		}
	}
	n := node{kind: kindLevels, arrays: []array{numbers(bits, p.Rows, p.Dim, codes), floats(float32s, table)}}
	if scales != nil {
		n.arrays = append(n.arrays, floats(float32s, simd.Matrix{Rows: p.Rows, Dim: 1, Data: scales}))
	}
	return n
}

// nearestLevel returns the number of the ascending level that is nearest to v
// once it is multiplied by scale.
func nearestLevel(levels []float32, v, scale float32) uint32 {
	at := sort.Search(len(levels), func(l int) bool { return levels[l]*scale >= v })
	if at == len(levels) || at > 0 && v-levels[at-1]*scale < levels[at]*scale-v {
		at--
	}
	return uint32(at)
}

// gaussian is what rounding does to a normal distribution, by bits: the Lloyd-Max levels
// (Max, IRE Trans. Inf. Theory 6 (1), 1960), and the share of the squares that is left
// as error. Both come from a fine grid of quantiles.
type gaussian struct {
	levels [maxLevelBits + 1][]float32
	left   [maxLevelBits + 1]float64
}

// normal is computed once: it takes longer than fitting a small matrix.
var normal = sync.OnceValue(func() *gaussian {
	const grid = 1 << 14
	values := make([]weighted, grid)
	for i := range values {
		q := (float64(i) + 0.5) / grid
		values[i] = weighted{float32(math.Sqrt2 * math.Erfinv(2*q-1)), 1}
	}
	g := &gaussian{}
	g.levels[0], g.left[0] = []float32{0}, 1
	for bits := 1; bits <= maxLevelBits; bits++ {
		levels := make([]float32, 1<<bits)
		lloydMax(levels, values)
		for _, v := range values {
			e := float64(v.value - levels[nearestLevel(levels, v.value, 1)])
			g.left[bits] += e * e / grid
		}
		g.levels[bits] = levels
	}
	return g
})
