package codec

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"

	"github.com/pare-search/pare/simd"
)

// Train learns a codebook from a sample of vectors, one row each. ids are
// their token ids, or nil, NoID where one is not known; with ids, k-means runs inside each id. Unit length
// is usual, but any vectors will do, none included, with components up to
// MaxComponent in size.
//
// It uses all processors; the result depends only on the arguments. progress,
// if not nil, is told how much of the work is done, from one goroutine at a
// time. The error is that of ctx or wraps ErrShape or the package simd's.
func Train(ctx context.Context, vectors simd.Matrix, ids []uint32, opts Options, progress func(done, total int)) (*Codebook, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	if err := simd.CheckDim(vectors.Dim); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	squares, err := appendSquares(nil, vectors)
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	if ids != nil && len(ids) != vectors.Rows {
		return nil, fmt.Errorf("%w: train: %d token ids for %d vectors", ErrShape, len(ids), vectors.Rows)
	}
	rows := spaced(sequence(vectors.Rows), opts.MaxSample)

	c := &Codebook{kind: opts.Kind, dim: vectors.Dim, first: []uint32{0}}
	report := reporter(2*len(rows), progress)
	clusters := &clustering{ctx: ctx, vectors: vectors, iterations: opts.Iterations, seed: opts.Seed, done: report}
	if err := c.trainCells(clusters, rows, ids, opts); err != nil {
		return nil, err
	}
	if c.kind.bits() > 0 {
		s := sample{vectors: vectors, rows: rows, ids: ids, squares: squares, cells: make([]uint32, len(rows))}
		if err := c.trainResiduals(ctx, s, opts.UncodedShare, report); err != nil {
			return nil, err
		}
	}
	c.seal()
	return c, nil
}

// reporter returns a function that adds to the work done and tells progress.
func reporter(total int, progress func(done, total int)) func(int) {
	if progress == nil {
		return func(int) {}
	}
	var mu sync.Mutex
	done := 0
	return func(n int) {
		mu.Lock()
		defer mu.Unlock()
		done += n
		progress(done, total)
	}
}

// trainCells finds the centroids: those of each id in the order of ids, then
// those of the vectors whose ids are too rare to have cells of their own.
func (c *Codebook) trainCells(clusters *clustering, rows []int32, ids []uint32, opts Options) error {
	byID, rest := groupByID(rows, ids, opts.MinCellVectors)
	own := slices.Sorted(maps.Keys(byID))
	var groups []group
	for _, id := range own {
		groups = append(groups, group{rows: byID[id]})
	}
	if len(rest) > 0 {
		groups = append(groups, group{rows: rest})
	}
	share(clusters.ctx, clusters.vectors, groups, cellBudget(len(rows), ids != nil, opts))
	means, err := clusters.run(groups)
	if err != nil {
		return err
	}
	for i := range own {
		c.first = append(c.first, c.first[i]+uint32(means[i].Rows))
	}
	c.ids = own

	all := stack(c.dim, means)
	if all.Rows == 0 {
		all = simd.NewMatrix(1, c.dim)
	}
	c.centroids = make([]int8, len(all.Data))
	c.centroidScale = make([]float32, all.Rows)
	for i := range all.Rows {
		c.centroidScale[i] = simd.QuantizeInt8(c.centroids[i*c.dim:(i+1)*c.dim], all.Row(i))
	}
	c.expand()
	return c.trainCoarse(clusters)
}

// groupByID sorts rows into those of each id and the rest: rows of rare ids,
// or all if there are no ids.
func groupByID(rows []int32, ids []uint32, minimum int) (byID map[uint32][]int32, rest []int32) {
	if ids == nil {
		return nil, rows
	}
	byID = make(map[uint32][]int32)
	for _, r := range rows {
		byID[ids[r]] = append(byID[ids[r]], r)
	}
	maps.DeleteFunc(byID, func(id uint32, rows []int32) bool { return len(rows) < minimum || id == NoID })
	for _, r := range rows {
		if _, ok := byID[ids[r]]; !ok {
			rest = append(rest, r)
		}
	}
	return byID, rest
}

// cellBudget returns the number of cells to share out.
func cellBudget(sample int, withIDs bool, opts Options) int {
	if opts.Cells > 0 {
		return opts.Cells
	}
	total := max(sample, opts.Total)
	root := 16 * math.Sqrt(float64(max(total, 1))) // the rule of ColBERTv2
	if !withIDs {
		cells := int(math.Exp2(math.Floor(math.Log2(root))))
		return min(cells, max(sample/32, 1), MaxCells)
	}
	cells := total / opts.VectorsPerCell
	return min(max(cells, min(3*cells/2, int(root)), 1), MaxCells)
}

// trainCoarse groups the cells if they are many.
func (c *Codebook) trainCoarse(clusters *clustering) error {
	c.coarse = coarse{floats: simd.Matrix{Dim: c.dim}, first: []uint32{0}}
	if c.Cells() <= flatCells {
		return nil
	}
	over := &clustering{
		ctx: clusters.ctx, vectors: c.floats, iterations: clusters.iterations,
		seed: clusters.seed, done: func(int) {},
	}
	cells := sequence(c.Cells())
	k := int(math.Sqrt(float64(len(cells))))
	means, err := over.run([]group{{cells, min(k, flatMeans)}})
	if err != nil {
		return err
	}
	assigned := make([]int32, len(cells))
	over.assign(assigned, cells, means[0], true)
	members := make([][]uint32, means[0].Rows)
	for cell, g := range assigned {
		members[g] = append(members[g], uint32(cell))
	}
	if err := clusters.ctx.Err(); err != nil {
		return err
	}
	for _, m := range members {
		c.coarse.order = append(c.coarse.order, m...)
		c.coarse.first = append(c.coarse.first, uint32(len(c.coarse.order)))
	}
	c.coarse.floats = means[0]
	c.coarse.half = halfSquares(means[0])
	return nil
}

// sample are the vectors that residuals are learned from.
type sample struct {
	vectors simd.Matrix
	rows    []int32   // those of vectors that count
	ids     []uint32  // of vectors, or nil
	squares []float64 // of the lengths of vectors
	cells   []uint32  // of each of rows
}

// trainResiduals finds each cell's residual scale, the cells without codes, the
// levels of the codes and the factors.
func (c *Codebook) trainResiduals(ctx context.Context, s sample, uncoded float64, report func(int)) error {
	distances := make([]float64, len(s.rows)) // squares of the residuals' lengths
	parallel(ctx, len(s.rows), 2048, func(lo, hi int) {
		f := c.newFinder()
		for _, row := range s.rows[lo:hi] {
			f.add(s.vectors.Row(int(row)), idOf(s.ids, int(row)), s.ids != nil)
		}
		f.find()
		copy(s.cells[lo:hi], f.cells)
		for i, cell := range f.cells {
			distances[lo+i] = squaredDistance(f.vectors[i], c.Centroid(int(cell)))
		}
		report(hi - lo)
	})
	if err := ctx.Err(); err != nil {
		return err
	}

	// A cell seen few times is not believed: its mean square is drawn towards
	// that of all cells. Nor is a scale believed that is nothing against the
	// vectors, as where they all are equal.
	const prior = 4    // vectors that the mean of all cells counts for
	const floor = 1e-4 // of a vector's mean square: 1/100 of its length
	sums := make([]float64, c.Cells())
	counts := make([]float64, c.Cells())
	var all, size float64
	for i, cell := range s.cells {
		sums[cell] += distances[i]
		counts[cell]++
		all += distances[i]
		size += s.squares[s.rows[i]]
	}
	n := float64(max(len(s.rows), 1))
	mean := max(all/n, floor*size/n)
	if size == 0 {
		// No vector was seen, or only zeros. Those to come are taken to be of
		// length 1 with nothing of it in the centroid.
		mean = 1
	}
	c.cellScale = make([]float32, c.Cells())
	for cell := range c.cellScale {
		square := max((sums[cell]+prior*mean)/(counts[cell]+prior), floor*size/n)
		c.cellScale[cell] = float32(math.Sqrt(square / float64(c.dim)))
	}
	c.chooseUncoded(counts, uncoded)
	if c.anyBare {
		c.lengthenBare(s, counts)
	}
	c.levels = trainLevels(c.scaledResiduals(s), c.kind.bits())
	c.factors = trainFactors(c.sampleFactors(s))
	return nil
}

// chooseUncoded takes the codes from the cells of the rarest token ids, with
// all vectors of no id that has cells first, until they hold the given share
// of the vectors. A codebook without ids goes by the vectors of each cell.
func (c *Codebook) chooseUncoded(counts []float64, share float64) {
	c.uncoded = make([]byte, (c.Cells()+7)/8)
	if share <= 0 {
		return
	}
	var bands [][2]uint32 // first cell and end
	for i := range c.ids {
		bands = append(bands, [2]uint32{c.first[i], c.first[i+1]})
	}
	rest := [2]uint32{c.first[len(c.ids)], uint32(c.Cells())}
	if len(c.ids) == 0 {
		for cell := rest[0]; cell < rest[1]; cell++ {
			bands = append(bands, [2]uint32{cell, cell + 1})
		}
	}
	size := func(band [2]uint32) (n float64) {
		for _, count := range counts[band[0]:band[1]] {
			n += count
		}
		return n
	}
	slices.SortStableFunc(bands, func(a, b [2]uint32) int { return cmp.Compare(size(a), size(b)) })
	if len(c.ids) > 0 {
		bands = slices.Insert(bands, 0, rest)
	}
	var all, bare float64
	for _, count := range counts {
		all += count
	}
	for _, band := range bands {
		bare += size(band)
		if bare > share*all {
			break
		}
		for cell := band[0]; cell < band[1]; cell++ {
			c.uncoded[cell/8] |= 1 << (cell % 8)
			c.anyBare = true
		}
	}
}

// lengthenBare sets the scale of cells without codes.
func (c *Codebook) lengthenBare(s sample, counts []float64) {
	lengths := make([]float64, c.Cells())
	for i, cell := range s.cells {
		lengths[cell] += math.Sqrt(s.squares[s.rows[i]])
	}
	for cell := range c.cellScale {
		if c.coded(uint32(cell)) {
			continue
		}
		c.cellScale[cell] = 1
		if length := math.Sqrt(2 * float64(c.half[cell])); length > 0 && counts[cell] > 0 {
			c.cellScale[cell] = float32(lengths[cell] / counts[cell] / length)
		}
	}
}

// sampleComponents is how many components of vectors the codes and factors are
// learned from.
const sampleComponents = 1 << 19

// eachSpaced calls use with evenly spaced vectors and their cells, if those
// have codes.
func (c *Codebook) eachSpaced(s sample, use func(row int, cell uint32)) {
	n := min(len(s.rows), max(sampleComponents/c.dim, 1))
	for i := range n {
		at := int(int64(i) * int64(len(s.rows)) / int64(n))
		if cell := s.cells[at]; c.coded(cell) {
			use(int(s.rows[at]), cell)
		}
	}
}

// sampleFactors returns the factors of evenly spaced vectors.
func (c *Codebook) sampleFactors(s sample) (factors []float64) {
	codes := make([]uint8, c.dim)
	c.eachSpaced(s, func(row int, cell uint32) {
		factors = append(factors, c.codeResidual(codes, s.vectors.Row(row), s.squares[row], cell))
	})
	return factors
}

// scaledResiduals returns residual components of evenly spaced vectors.
func (c *Codebook) scaledResiduals(s sample) (components []float32) {
	c.eachSpaced(s, func(row int, cell uint32) {
		scale, centroid := c.cellScale[cell], c.Centroid(int(cell))
		if scale == 0 {
			return
		}
		for d, x := range s.vectors.Row(row) {
			components = append(components, (x-centroid[d])/scale)
		}
	})
	return components
}

// MaxComponent is the largest size of a vector's component: squares and dot
// products of such vectors stay finite.
const MaxComponent = 1e15

// appendSquares appends the squared length of every vector to dst and checks
// sizes and values.
func appendSquares(dst []float64, m simd.Matrix) ([]float64, error) {
	if m.Rows < 0 || len(m.Data) != m.Rows*m.Dim || simd.CheckDim(m.Dim) != nil {
		return dst, m.Validate()
	}
	dst = slices.Grow(dst, m.Rows)
	for i := range m.Rows {
		s := square(m.Row(i))
		// A square within the bound says the same of every component.
		if !(s <= MaxComponent*MaxComponent) {
			if err := checkVector(m, i); err != nil {
				return dst, err
			}
		}
		dst = append(dst, s)
	}
	return dst, nil
}

// checkVector checks the values of row i.
func checkVector(m simd.Matrix, i int) error {
	for d, x := range m.Row(i) {
		if x-x != 0 {
			return fmt.Errorf("%w: row %d, column %d is %v", simd.ErrNotFinite, i, d, x)
		}
		if x > MaxComponent || x < -MaxComponent {
			return fmt.Errorf("%w: row %d, column %d is %v, beyond %g", ErrShape, i, d, x, MaxComponent)
		}
	}
	return nil
}

// square returns the squared length of a vector.
func square(v []float32) float64 {
	// Four sums do not wait for each other.
	var a, b, c, d float64
	for ; len(v) >= 4; v = v[4:] {
		w, x, y, z := float64(v[0]), float64(v[1]), float64(v[2]), float64(v[3])
		a += w * w
		b += x * x
		c += y * y
		d += z * z
	}
	return a + b + (c + d)
}

// squaredDistance returns the square of the distance between two vectors.
func squaredDistance(u, v []float32) float64 {
	var a, b, c, d float64
	for ; len(u) >= 4 && len(v) >= 4; u, v = u[4:], v[4:] {
		w, x := float64(u[0])-float64(v[0]), float64(u[1])-float64(v[1])
		y, z := float64(u[2])-float64(v[2]), float64(u[3])-float64(v[3])
		a += w * w
		b += x * x
		c += y * y
		d += z * z
	}
	return a + b + (c + d)
}

// idOf returns ids[i], or 0 if there are no ids.
func idOf(ids []uint32, i int) uint32 {
	if ids == nil {
		return 0
	}
	return ids[i]
}
