package codec

import (
	"context"
	"math"
	"runtime"
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
		cell += nearest(f.book.floats.Slice(own.lo, own.hi), f.book.half[own.lo:own.hi], v)
	}
	f.vectors = append(f.vectors, v)
	f.cells = append(f.cells, uint32(cell))
	f.scores = append(f.scores, float32(math.Inf(-1)))
}

// find sets the cells of the vectors: of each the nearest of its token id's
// cells or, if the id has none or is not known, the nearest in the nearest
// groups or, without groups, of all. Of equally near ones it is the first. It
// stops when ctx ends.
func (f *finder) find(ctx context.Context) {
	f.pairFar(ctx)
	f.sortPairs(ctx)
	start := int32(0)
	for t, end := range f.ends {
		tile := &f.tiles.all[t]
		f.eachDots(ctx, &tile.packed, f.ordered[start:end], func(vector int32, dots []float32) {
			at, score := largestDifference(dots, tile.half, f.scores[vector])
			if at >= 0 && (score > f.scores[vector] || tile.cells[at] < f.cells[vector]) {
				f.cells[vector], f.scores[vector] = tile.cells[at], score
			}
		})
		start = end
	}
}

// pairFar pairs the vectors without an id's cells with the nearest groups.
func (f *finder) pairFar(ctx context.Context) {
	if f.book.coarse.floats.Rows == 0 {
		for _, vector := range f.far {
			f.pairs = append(f.pairs, pair{int32(f.tiles.far), vector})
		}
		return
	}
	half := f.book.coarse.half
	f.eachDots(ctx, &f.tiles.groups, f.far, func(vector int32, dots []float32) {
		groups, n := largestDifferences(dots, half)
		for _, g := range groups[:n] {
			f.pairs = append(f.pairs, pair{int32(f.tiles.far) + g, vector})
		}
	})
}

// sortPairs orders the vectors of all pairs by tile, unless ctx ends.
func (f *finder) sortPairs(ctx context.Context) {
	f.ends = grow(f.ends, len(f.tiles.all))
	clear(f.ends)
	parts(ctx, len(f.pairs), numbersAtOnce, func(lo, hi int) {
		for _, p := range f.pairs[lo:hi] {
			f.ends[p.tile]++
		}
	})
	sum := int32(0)
	for t, n := range f.ends {
		f.ends[t] = sum // where the tile starts, for now
		sum += n
	}
	f.ordered = grow(f.ordered, len(f.pairs))
	parts(ctx, len(f.pairs), numbersAtOnce, func(lo, hi int) {
		for _, p := range f.pairs[lo:hi] {
			f.ordered[f.ends[p.tile]] = p.vector
			f.ends[p.tile]++
		}
	})
}

// eachDots calls use with the dot products of each of the given vectors with
// what is packed, until ctx ends.
func (f *finder) eachDots(ctx context.Context, packed *simd.FloatQuery, vectors []int32, use func(vector int32, dots []float32)) {
	stride := packed.Stride()
	f.dots = grow(f.dots, min(tileVectors, len(vectors))*stride)
	for len(vectors) > 0 && ctx.Err() == nil {
		part := vectors[:min(tileVectors, len(vectors))]
		vectors = vectors[len(part):]
		for i, vector := range part {
			copy(f.gathered.Row(i), f.vectors[vector])
		}
		packed.Dots(f.dots, f.gathered.Slice(0, len(part)))
		for i, vector := range part {
			use(vector, f.dots[i*stride:])
		}
		runtime.Gosched() // see parts
	}
}

// nearest returns the row of m with the least Euclidean distance to v, the
// first of equals: the largest dot product minus half the squared length.
func nearest(m simd.Matrix, half, v []float32) (row int) {
	best := float32(math.Inf(-1))
	for i, h := range half {
		if s := simd.Dot(v, m.Row(i)) - h; s > best {
			row, best = i, s
		}
	}
	return row
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
// the difference, if any is at least bound; else -1 and bound. b is not longer
// than a.
func largestDifference(a, b []float32, bound float32) (index int, largest float32) {
	index, largest = -1, bound
	a = a[:len(b)]
	i := 0
	for ; len(b)-i >= 8; i += 8 {
		x, y := (*[8]float32)(a[i:]), (*[8]float32)(b[i:])
		v0, v1, v2, v3 := x[0]-y[0], x[1]-y[1], x[2]-y[2], x[3]-y[3]
		v4, v5, v6, v7 := x[4]-y[4], x[5]-y[5], x[6]-y[6], x[7]-y[7]
		// Seldom true, so it costs little.
		if v0 >= largest || v1 >= largest || v2 >= largest || v3 >= largest ||
			v4 >= largest || v5 >= largest || v6 >= largest || v7 >= largest {
			for j, v := range [...]float32{v0, v1, v2, v3, v4, v5, v6, v7} {
				if v > largest || v == largest && index < 0 {
					index, largest = i+j, v
				}
			}
		}
	}
	for ; i < len(b); i++ {
		if v := a[i] - b[i]; v > largest || v == largest && index < 0 {
			index, largest = i, v
		}
	}
	return index, largest
}

// largestDifferences returns the indices at which a[i]-b[i] is largest, the
// largest first and of equals the first, and how many there are. b is not
// longer than a.
func largestDifferences(a, b []float32) (indices [coarseProbes]int32, n int) {
	// A key is a difference and then an index, ordered like a number. The
	// largest keys pass from one to the next without branches, which would be
	// mispredicted, in variables, which stay in registers.
	var k0, k1, k2, k3, k4, k5, k6, k7 uint64
	a = a[:len(b)]
	for i, x := range b {
		bits := math.Float32bits(a[i] - x)
		bits ^= uint32(int32(bits)>>31) | 1<<31
		k := uint64(bits)<<32 | uint64(^uint32(i))
		if k < k7 {
			continue
		}
		k0, k = max(k0, k), min(k0, k)
		k1, k = max(k1, k), min(k1, k)
		k2, k = max(k2, k), min(k2, k)
		k3, k = max(k3, k), min(k3, k)
		k4, k = max(k4, k), min(k4, k)
		k5, k = max(k5, k), min(k5, k)
		k6, k = max(k6, k), min(k6, k)
		k7 = max(k7, k)
	}
	for i, k := range [coarseProbes]uint64{k0, k1, k2, k3, k4, k5, k6, k7} {
		indices[i] = int32(^uint32(k))
	}
	return indices, min(len(b), coarseProbes)
}
