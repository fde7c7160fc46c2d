package table

import (
	"cmp"
	"context"
	"slices"
)

const bandedRetrieval = "banded-retrieval"

// fitBanded stores rotated rows in as many bits per value as they are worth, from none to
// eight: each time the bit that takes away most weighted error per byte, until the
// budget is spent. A rotated row is as good as normal, so that what a bit takes away is a
// share of the row's squares that depends on nothing else, and the greedy choice is the
// best there is (reverse water-filling; Shoham and Gersho, IEEE Trans. ASSP 36 (9),
// 1988). Rows then lie in bands of equal bits in the order of their weighted squares; those
// without bits share their mean.
func fitBanded(ctx context.Context, p problem) (node, error) {
	p.sensitivities = nil
	return fitBandedRetrieval(ctx, p)
}

// fitBandedRetrieval is the same with errors that count as much as searches were found to
// suffer from them, see Options.Sensitivities.
func fitBandedRetrieval(ctx context.Context, p problem) (node, error) {
	return p.inRotation(ctx, problem.banded)
}

func (p problem) banded() (node, error) {
	worth := make([]float64, p.Rows)
	order := make([]int32, p.Rows)
	for i := range order {
		order[i] = int32(i)
		worth[i] = p.weights[i] * float64(square(p.Row(i)))
		if p.sensitivities != nil {
			worth[i] *= p.sensitivities[i]
		}
	}
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(worth[b], worth[a]) })
	bits := p.bitsByWorth(order, worth)
	if bits == nil {
		return node{}, p.tooSmall(p.bandsSize(order, []int{p.Rows}))
	}
	counts := countBits(bits)
	var sizes []int
	var parts []node
	begin := 0
	for bits := len(counts) - 1; bits >= 0; bits-- {
		rows := order[begin : begin+counts[bits]]
		begin += len(rows)
		switch {
		case len(rows) == 0:
		case bits == 0:
			sizes, parts = append(sizes, 1), append(parts, plainRows(p.mean(rows)))
		default:
			sizes, parts = append(sizes, len(rows)), append(parts, p.of(rows, 0).scaledLevels(bits))
		}
	}
	return groups(p.Rows, order, sizes, parts), nil
}

// bitsByWorth returns how many bits the values of each row of order have, never more
// than those of the row before; nil if the budget has no room for rows without bits.
func (p problem) bitsByWorth(order []int32, worth []float64) []uint8 {
	// A step gives a row one more bit, and its first a scale too.
	type step struct {
		place int32
		gain  float64 // error taken away per byte
	}
	left := normal().left
	steps := make([]step, 0, p.Rows*maxLevelBits)
	for place, row := range order {
		cost := float64(p.Dim)/8 + 4
		for bits := range maxLevelBits {
			steps = append(steps, step{int32(place), worth[row] * (left[bits] - left[bits+1]) / cost})
			cost = float64(p.Dim) / 8
		}
	}
	slices.SortFunc(steps, func(a, b step) int {
		return cmp.Or(cmp.Compare(b.gain, a.gain), cmp.Compare(a.place, b.place))
	})
	after := func(taken int) []uint8 {
		bits := make([]uint8, p.Rows)
		for _, s := range steps[:taken] {
			bits[s.place]++
		}
		return bits
	}
	taken := most(0, len(steps), func(n int) bool { return p.bandsSize(order, countBits(after(n))) <= p.budget })
	if taken < 0 {
		return nil
	}
	return after(taken)
}

// countBits returns how many rows have each number of bits.
func countBits(bits []uint8) []int {
	counts := make([]int, maxLevelBits+1)
	for _, b := range bits {
		counts[b]++
	}
	return counts
}

// bandsSize is the size of bands with so many rows of each number of bits.
func (p problem) bandsSize(order []int32, counts []int) int {
	size, places, parts := 0, 0, 0
	for bits, rows := range counts {
		switch {
		case rows == 0:
			continue
		case bits == 0:
			size += nodeHeader + sizeOf(float32s, 0, 1, p.Dim)
			places++
		default:
			size += p.scaledLevelsSize(bits, rows)
			places += rows
		}
		parts++
	}
	return size + groupsSize(order, p.Rows, places, parts)
}
