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

// tiles are the centroids packed for comparisons with many vectors at once.
type tiles struct {
	ids    map[uint32]idCells
	groups simd.FloatQuery // the centroids of the groups
	all    []tile          // those of ids with many cells, then of each group or, without groups, of all
	far    int             // the first that belongs to no id
}

// idCells are the cells of a token id.
type idCells struct {
	lo, hi int
	tile   int // or noTile if they are few
}

// tile is a set of cells, ascending, whose centroids are packed.
type tile struct {
	cells  []uint32
	half   []float32 // half the squared length of each centroid
	packed simd.FloatQuery
}

const (
	noTile = -1
	// fewCells is the number of cells up to which dot products one by one are
	// faster: few vectors of a batch share them.
	fewCells = 8
)

// newTiles packs the centroids, which takes as much memory again for those of
// ids and as much for the groups.
func (c *Codebook) newTiles() *tiles {
	t := &tiles{ids: make(map[uint32]idCells, len(c.ids))}
	cells := make([]uint32, c.Cells())
	for cell := range cells {
		cells[cell] = uint32(cell)
	}
	for i, id := range c.ids {
		own := idCells{int(c.first[i]), int(c.first[i+1]), noTile}
		if own.hi-own.lo > fewCells {
			own.tile = len(t.all)
			t.add(c, cells[own.lo:own.hi])
		}
		t.ids[id] = own
	}
	t.far = len(t.all)
	if c.coarse.floats.Rows == 0 {
		t.add(c, cells)
		return t
	}
	t.groups.Reset(c.coarse.floats, nil)
	for g := range c.coarse.floats.Rows {
		members := slices.Clone(c.coarse.order[c.coarse.first[g]:c.coarse.first[g+1]])
		slices.Sort(members)
		t.add(c, members)
	}
	return t
}

func (t *tiles) add(c *Codebook, cells []uint32) {
	rows, half := make([]int, len(cells)), make([]float32, len(cells))
	for i, cell := range cells {
		rows[i], half[i] = int(cell), c.half[cell]
	}
	t.all = append(t.all, tile{cells: cells, half: half})
	t.all[len(t.all)-1].packed.Reset(c.floats, rows)
}

// finder finds the cells of many vectors at once: those to be compared with the
// same centroids are brought together. What it finds depends on each vector
// alone. It serves one goroutine at a time.
type finder struct {
	book    *Codebook
	tiles   *tiles
	vectors [][]float32
	cells   []uint32  // found, one for each vector
	scores  []float32 // dot product with the centroid minus half its square

	far     []int32 // vectors that look for groups first
	pairs   []pair
	ends    []int32 // of each tile in ordered
	ordered []int32 // the vectors of pairs by tile

	gathered simd.Matrix
	dots     []float32
}

// pair is a tile and a vector to be compared with its cells.
type pair struct{ tile, vector int32 }

// tileVectors is the number of vectors compared together at most.
const tileVectors = 96

func (c *Codebook) newFinder() finder {
	c.tilesOnce.Do(func() { c.tiles = c.newTiles() })
	return finder{book: c, tiles: c.tiles, gathered: simd.NewMatrix(tileVectors, c.dim)}
}

// reset forgets all vectors.
func (f *finder) reset() {
	clear(f.vectors)
	f.vectors, f.cells, f.scores = f.vectors[:0], f.cells[:0], f.scores[:0]
	f.far, f.pairs = f.far[:0], f.pairs[:0]
}

// add adds a vector, which must stay as it is until find, with its token id if
// it is known.
func (f *finder) add(v []float32, id uint32, known bool) {
	at := int32(len(f.vectors))
	var own idCells
	if known {
		own, known = f.tiles.ids[id]
	}
	cell := own.lo
	switch {
	case !known:
		f.far = append(f.far, at)
	case own.tile != noTile:
		f.pairs = append(f.pairs, pair{int32(own.tile), at})
	case own.hi-own.lo > 1:
		best, _ := nearest(f.book.floats.Slice(own.lo, own.hi), f.book.half[own.lo:own.hi], v)
		cell += best
	}
	f.vectors = append(f.vectors, v)
	f.cells = append(f.cells, uint32(cell))
	f.scores = append(f.scores, float32(math.Inf(-1)))
}

// find sets the cells of the vectors: of each the nearest of its token id's
// cells or, if the id has none or is not known, the nearest in the nearest
// groups or, without groups, of all. Of equally near ones it is the first.
func (f *finder) find() {
	f.pairFar()
	f.sortPairs()
	start := int32(0)
	for t, end := range f.ends {
		tile := &f.tiles.all[t]
		f.eachDots(&tile.packed, f.ordered[start:end], func(vector int32, dots []float32) {
			at, score := largestDifference(dots, tile.half)
			cell := tile.cells[at]
			if score > f.scores[vector] || score == f.scores[vector] && cell < f.cells[vector] {
				f.cells[vector], f.scores[vector] = cell, score
			}
		})
		start = end
	}
}

// pairFar pairs the vectors without an id's cells with the nearest groups.
func (f *finder) pairFar() {
	if f.book.coarse.floats.Rows == 0 {
		for _, vector := range f.far {
			f.pairs = append(f.pairs, pair{int32(f.tiles.far), vector})
		}
		return
	}
	half := f.book.coarse.half
	f.eachDots(&f.tiles.groups, f.far, func(vector int32, dots []float32) {
		var best [coarseProbes]int32
		for _, g := range best[:largestDifferences(best[:], dots, half)] {
			f.pairs = append(f.pairs, pair{int32(f.tiles.far) + g, vector})
		}
	})
}

// sortPairs orders the vectors of all pairs by tile.
func (f *finder) sortPairs() {
	f.ends = grow(f.ends, len(f.tiles.all))
	clear(f.ends)
	for _, p := range f.pairs {
		f.ends[p.tile]++
	}
	sum := int32(0)
	for t, n := range f.ends {
		f.ends[t] = sum // where the tile starts, for now
		sum += n
	}
	f.ordered = grow(f.ordered, len(f.pairs))
	for _, p := range f.pairs {
		f.ordered[f.ends[p.tile]] = p.vector
		f.ends[p.tile]++
	}
}

// eachDots calls use with the dot products of each of the given vectors with
// what is packed.
func (f *finder) eachDots(packed *simd.FloatQuery, vectors []int32, use func(vector int32, dots []float32)) {
	stride := packed.Stride()
	f.dots = grow(f.dots, min(tileVectors, len(vectors))*stride)
	for len(vectors) > 0 {
		part := vectors[:min(tileVectors, len(vectors))]
		vectors = vectors[len(part):]
		for i, vector := range part {
			copy(f.gathered.Row(i), f.vectors[vector])
		}
		packed.Dots(f.dots, f.gathered.Slice(0, len(part)))
		for i, vector := range part {
			use(vector, f.dots[i*stride:])
		}
	}
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

// largestDifference returns the first index at which a[i]-b[i] is largest, and
// the difference.
func largestDifference(a, b []float32) (index int32, largest float32) {
	largest = float32(math.Inf(-1))
	for i, x := range b {
		if v := a[i] - x; v > largest {
			index, largest = int32(i), v
		}
	}
	return index, largest
}

// largestDifferences writes the indices at which a[i]-b[i] is largest to best,
// the largest first and of equals the first, and returns how many there are.
func largestDifferences(best []int32, a, b []float32) (n int) {
	var values [coarseProbes]float32
	for i, x := range b {
		v := a[i] - x
		if n == len(best) && v <= values[n-1] {
			continue
		}
		n = min(n+1, len(best))
		at := n - 1
		for ; at > 0 && values[at-1] < v; at-- {
			best[at], values[at] = best[at-1], values[at-1]
		}
		best[at], values[at] = int32(i), v
	}
	return n
}
