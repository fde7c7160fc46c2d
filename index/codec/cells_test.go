package codec

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/pare-search/pare/simd"
)

// plainCell finds the cell of one vector by loops over groups and cells.
func plainCell(c *Codebook, v []float32, id uint32, known bool) uint32 {
	score := func(m simd.Matrix, row int) (sum float64) {
		for d, x := range m.Row(row) {
			sum += float64(x)*float64(v[d]) - float64(x)*float64(x)/2
		}
		return sum
	}
	best := func(cells []uint32) uint32 {
		return slices.MaxFunc(cells, func(a, b uint32) int {
			return cmp.Or(cmp.Compare(score(c.floats, int(a)), score(c.floats, int(b))), cmp.Compare(b, a))
		})
	}
	all := make([]uint32, c.Cells())
	for cell := range all {
		all[cell] = uint32(cell)
	}
	if i, found := slices.BinarySearch(c.ids, id); known && found {
		return best(all[c.first[i]:c.first[i+1]])
	}
	groups := make([]int, c.coarse.floats.Rows)
	for g := range groups {
		groups[g] = g
	}
	if len(groups) == 0 {
		return best(all)
	}
	slices.SortStableFunc(groups, func(a, b int) int {
		return cmp.Compare(score(c.coarse.floats, b), score(c.coarse.floats, a))
	})
	var near []uint32
	for _, g := range groups[:min(coarseProbes, len(groups))] {
		near = append(near, c.coarse.order[c.coarse.first[g]:c.coarse.first[g+1]]...)
	}
	return best(near)
}

// TestFinderMatchesPlainLoops has vectors of small whole numbers, for which
// every sum is exact and many cells are equally near.
func TestFinderMatchesPlainLoops(t *testing.T) {
	rng := rand.New(rand.NewPCG(36, 36))
	for _, shape := range []struct{ dim, cells, groups int }{
		{8, 1, 0}, {16, 30, 0}, {8, 100, 5}, {24, 700, 30}, {8, 700, 100},
	} {
		whole := func(rows int) simd.Matrix {
			m := simd.NewMatrix(rows, shape.dim)
			for i := range m.Data {
				m.Data[i] = float32(rng.IntN(5) - 2)
			}
			return m
		}
		c := &Codebook{dim: shape.dim, centroids: make([]int8, shape.cells*shape.dim)}
		for i, x := range whole(shape.cells).Data {
			c.centroids[i] = int8(x)
		}
		c.centroidScale = slices.Repeat([]float32{1}, shape.cells)
		// Every third id has cells: one more than the one before, while there
		// are enough.
		c.first = []uint32{0}
		for id, cells := uint32(0), uint32(1); c.first[len(c.ids)]+cells <= uint32(shape.cells); id, cells = id+3, cells+1 {
			c.ids = append(c.ids, id)
			c.first = append(c.first, c.first[len(c.ids)-1]+cells)
		}
		c.coarse = coarse{floats: whole(shape.groups), first: []uint32{0}}
		if shape.groups > 0 {
			members := make([][]uint32, shape.groups)
			for cell := range uint32(shape.cells) {
				g := rng.IntN(shape.groups)
				members[g] = append(members[g], cell)
			}
			for _, m := range members {
				c.coarse.order = append(c.coarse.order, m...)
				c.coarse.first = append(c.coarse.first, uint32(len(c.coarse.order)))
			}
		}
		c.expand()

		vectors := whole(400)
		f := c.newFinder()
		for range 2 { // the second time with what the first left behind
			f.reset()
			ids := make([]uint32, vectors.Rows)
			for i := range ids {
				ids[i] = uint32(rng.IntN(4*len(c.ids) + 1))
				f.add(vectors.Row(i), ids[i], i%5 > 0)
			}
			f.find(t.Context())
			for i, id := range ids {
				if want := plainCell(c, vectors.Row(i), id, i%5 > 0); f.cells[i] != want {
					t.Fatalf("%+v: vector %d of id %d lies in cell %d, want %d", shape, i, id, f.cells[i], want)
				}
			}
		}
	}
}

// TestLargestDifferences compares with a stable sort.
func TestLargestDifferences(t *testing.T) {
	rng := rand.New(rand.NewPCG(37, 37))
	for n := range 40 {
		a, b := make([]float32, n+rng.IntN(3)), make([]float32, n)
		order := make([]int32, n)
		for i := range b {
			a[i], b[i], order[i] = float32(rng.IntN(9)-6), float32(rng.IntN(3)), int32(i)
		}
		slices.SortStableFunc(order, func(i, j int32) int { return cmp.Compare(a[j]-b[j], a[i]-b[i]) })
		indices, found := largestDifferences(a, b)
		if want := order[:min(n, coarseProbes)]; !slices.Equal(indices[:found], want) {
			t.Errorf("%v less %v: indices %v, want %v", a, b, indices[:found], want)
		}
		if n == 0 {
			continue
		}
		largest := a[order[0]] - b[order[0]]
		for _, bound := range []float32{largest - 1, largest, largest + 1} {
			index, value := largestDifference(a, b, bound)
			if bound <= largest && (index != int(order[0]) || value != largest) || bound > largest && index >= 0 {
				t.Errorf("%v less %v: index %d, want %d", a, b, index, order[0])
			}
		}
	}
}
