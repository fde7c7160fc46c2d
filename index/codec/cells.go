package codec

import (
	"math"
	"slices"

	"github.com/pare-search/pare/simd"
)

// coarse finds a vector's cell among many: groups of cells with a centroid
// each. Few cells have no groups and are all compared.
type coarse struct {
	floats simd.Matrix // groups x dim
	half   []float32
	first  []uint32 // the members of group g are order[first[g]:first[g+1]]
	order  []uint32
}

const (
	// flatCells is the number of cells up to which all are compared.
	flatCells = 512
	// coarseProbes is how many groups are searched. Eight find the nearest
	// cell for nearly all vectors.
	coarseProbes = 8
)

// valid reports whether every cell is in exactly one group.
func (g *coarse) valid(cells int) bool {
	if g.floats.Rows == 0 {
		return g.first[0] == 0
	}
	if g.first[0] != 0 || !slices.IsSorted(g.first) || int(g.first[g.floats.Rows]) != cells {
		return false
	}
	seen := make([]bool, cells)
	for _, cell := range g.order {
		if int(cell) >= cells || seen[cell] {
			return false
		}
		seen[cell] = true
	}
	return true
}

// cellOf returns the cell of a vector: the nearest of its token id's cells, or
// of all cells if the id has none or is not known.
func (c *Codebook) cellOf(v []float32, id uint32, known bool) uint32 {
	if known {
		if i, found := slices.BinarySearch(c.ids, id); found {
			lo, hi := int(c.first[i]), int(c.first[i+1])
			best, _ := nearest(c.floats.Slice(lo, hi), c.half[lo:hi], v)
			return uint32(lo + best)
		}
	}
	if c.coarse.floats.Rows == 0 {
		best, _ := nearest(c.floats, c.half, v)
		return uint32(best)
	}
	return c.probe(v)
}

// probe searches the groups nearest to v.
func (c *Codebook) probe(v []float32) uint32 {
	type group struct {
		index int
		score float32
	}
	var probes [coarseProbes]group
	n := 0
	for g, half := range c.coarse.half {
		score := simd.Dot(v, c.coarse.floats.Row(g)) - half
		if n == coarseProbes && score <= probes[n-1].score {
			continue
		}
		n = min(n+1, coarseProbes)
		at := n - 1
		for ; at > 0 && probes[at-1].score < score; at-- {
			probes[at] = probes[at-1]
		}
		probes[at] = group{g, score}
	}
	var best uint32
	top := float32(math.Inf(-1))
	for _, p := range probes[:n] {
		for _, cell := range c.coarse.order[c.coarse.first[p.index]:c.coarse.first[p.index+1]] {
			score := simd.Dot(v, c.floats.Row(int(cell))) - c.half[cell]
			if score > top || score == top && cell < best {
				best, top = cell, score
			}
		}
	}
	return best
}

// nearest returns the row of m with the least Euclidean distance to v, the
// first of equals: the largest dot product minus half the squared length.
func nearest(m simd.Matrix, half, v []float32) (row int, score float32) {
	score = float32(math.Inf(-1))
	for i, h := range half {
		if s := simd.Dot(v, m.Row(i)) - h; s > score {
			row, score = i, s
		}
	}
	return row, score
}

// halfSquares returns half the squared length of every row.
func halfSquares(m simd.Matrix) []float32 {
	half := make([]float32, m.Rows)
	for i := range half {
		half[i] = simd.Dot(m.Row(i), m.Row(i)) / 2
	}
	return half
}
