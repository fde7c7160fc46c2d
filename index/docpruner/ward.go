package docpruner

import (
	"cmp"
	"slices"

	"github.com/pare-search/pare/simd"
)

// maxBlock is the number of vectors that are compared with each other at most;
// it must not exceed simd.MaxDim. Longer documents are pruned in parts of equal
// length, so that memory and time grow no faster than the document: time with
// its length, memory not at all.
const maxBlock = 1024

// blocks yields the bounds of the parts of n vectors.
func blocks(n int) func(yield func(lo, hi int) bool) {
	parts := (n + maxBlock - 1) / maxBlock
	return func(yield func(lo, hi int) bool) {
		for i := range parts {
			if !yield(i*n/parts, (i+1)*n/parts) {
				return
			}
		}
	}
}

// groups returns the group that each vector is merged into, numbered in the
// order of their first vectors, and how many there are.
func (s Step) groups(m simd.Matrix, work *wardScratch) (groups []int, count int) {
	groups = make([]int, m.Rows)
	protect := s.Protect
	for lo, hi := range blocks(m.Rows) {
		alone := min(protect, hi-lo)
		protect -= alone
		for i := range alone {
			groups[lo+i] = count + i
		}
		count += alone
		if rest := hi - lo - alone; rest > 0 {
			left := max(int(float64(hi-lo)/s.Factor)-alone, 1)
			count += work.cluster(groups[lo+alone:hi], count, m.Slice(lo+alone, hi), left, s.Rows)
		}
	}
	return groups, count
}

// wardScratch is the memory of hierarchical clustering.
type wardScratch struct {
	query     simd.FloatQuery
	dots      []float32
	rows      simd.Matrix
	distances []float64 // n x n: Ward's squared distance of two clusters
	sizes     []float64
	clusters  []int // those that are left, by their first points, ascending
	chain     []int
	merges    []merge
	parents   []int
}

// merge is one of two clusters, each named by its first point.
type merge struct {
	a, b     int
	distance float64
}

// cluster puts points into the given number of clusters by Ward's criterion
// (Ward, 1963): of all pairs those are merged first that increase the sum of
// squared distances to the centres least. It numbers them from first on in the
// order of their first points.
func (w *wardScratch) cluster(groups []int, first int, points simd.Matrix, count int, rows bool) int {
	n := points.Rows
	if count >= n {
		for i := range groups {
			groups[i] = first + i
		}
		return n
	}
	if rows {
		points = w.distanceRows(points)
	}
	w.compare(points)
	w.link(n)
	// Any order of equal distances is one that merging the closest could take.
	slices.SortStableFunc(w.merges, func(x, y merge) int { return cmp.Compare(x.distance, y.distance) })
	w.cut(groups, first, n-count)
	return count
}

// distanceRows returns the rows of the matrix of cosine distances, with zeros
// up to a width that is a multiple of 8. Vectors have length 1, or else it is 1
// minus their dot products.
func (w *wardScratch) distanceRows(points simd.Matrix) simd.Matrix {
	n, stride := points.Rows, w.multiply(points)
	width := (n + 7) / 8 * 8
	w.rows = simd.Matrix{Rows: n, Dim: width, Data: slices.Grow(w.rows.Data[:0], n*width)[:n*width]}
	clear(w.rows.Data)
	for i := range n {
		row := w.rows.Row(i)
		for j, dot := range w.dots[i*stride:][:n] {
			row[j] = 1 - dot
		}
	}
	return w.rows
}

// multiply sets dots to those of all pairs and returns their stride.
func (w *wardScratch) multiply(points simd.Matrix) (stride int) {
	w.query.Reset(points, nil)
	stride = w.query.Stride()
	w.dots = slices.Grow(w.dots[:0], points.Rows*stride)[:points.Rows*stride]
	w.query.Dots(w.dots, points)
	return stride
}

// compare sets the squared Euclidean distances of all pairs.
func (w *wardScratch) compare(points simd.Matrix) {
	n, stride := points.Rows, w.multiply(points)
	w.distances = slices.Grow(w.distances[:0], n*n)[:n*n]
	for i := range n {
		w.distances[i*n+i] = 0
		for j := range i {
			d := float64(w.dots[i*stride+i]) + float64(w.dots[j*stride+j]) - 2*float64(w.dots[i*stride+j])
			w.distances[i*n+j], w.distances[j*n+i] = max(d, 0), max(d, 0)
		}
	}
}

// link merges until one cluster is left, by chains of nearest neighbours
// (Murtagh, 1983): each step goes to the nearest cluster of the last, until two
// are each other's nearest. Ward's distance never falls when such two are
// merged, so they are merges of the greedy algorithm too, in another order, in
// O(n²).
func (w *wardScratch) link(n int) {
	w.merges, w.chain, w.clusters = w.merges[:0], w.chain[:0], w.clusters[:0]
	w.sizes = slices.Grow(w.sizes[:0], n)[:n]
	for i := range n {
		w.sizes[i] = 1
		w.clusters = append(w.clusters, i)
	}
	for len(w.clusters) > 1 {
		if len(w.chain) == 0 {
			w.chain = append(w.chain, w.clusters[0])
		}
		last := w.chain[len(w.chain)-1]
		before := -1
		if len(w.chain) > 1 {
			before = w.chain[len(w.chain)-2]
		}
		nearest := w.nearest(n, last, before)
		if nearest != before {
			w.chain = append(w.chain, nearest)
			continue
		}
		w.chain = w.chain[:len(w.chain)-2]
		w.unite(n, min(last, before), max(last, before))
	}
}

// nearest returns the cluster closest to another; of equals the preferred one,
// without which a chain might run in a circle, and then the first.
func (w *wardScratch) nearest(n, cluster, preferred int) int {
	row := w.distances[cluster*n:][:n]
	nearest := preferred
	for _, other := range w.clusters {
		if other != cluster && (nearest < 0 || row[other] < row[nearest]) {
			nearest = other
		}
	}
	return nearest
}

// unite merges b into a and updates distances (Lance and Williams, 1967).
func (w *wardScratch) unite(n, a, b int) {
	between := w.distances[a*n+b]
	w.merges = append(w.merges, merge{a, b, between})
	at, _ := slices.BinarySearch(w.clusters, b)
	w.clusters = slices.Delete(w.clusters, at, at+1)
	rowA, rowB := w.distances[a*n:][:n], w.distances[b*n:][:n]
	sizeA, sizeB := w.sizes[a], w.sizes[b]
	for _, k := range w.clusters {
		if k == a {
			continue
		}
		size := w.sizes[k]
		d := ((size+sizeA)*rowA[k] + (size+sizeB)*rowB[k] - size*between) / (size + sizeA + sizeB)
		rowA[k], w.distances[k*n+a] = d, d
	}
	w.sizes[a] += sizeB
}

// cut numbers the clusters that the first so many merges make.
func (w *wardScratch) cut(groups []int, first, merges int) {
	n := len(groups)
	w.parents = slices.Grow(w.parents[:0], n)[:n]
	for i := range w.parents {
		w.parents[i] = i
	}
	root := func(i int) int {
		for w.parents[i] != i {
			i = w.parents[i]
		}
		return i
	}
	for _, m := range w.merges[:merges] {
		a, b := root(m.a), root(m.b)
		w.parents[max(a, b)] = min(a, b)
	}
	next := first
	for i := range n {
		if r := root(i); r < i {
			groups[i] = groups[r]
			continue
		}
		groups[i] = next
		next++
	}
}
