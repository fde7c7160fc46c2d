package codec

import (
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
	squares, err := appendSquares(ctx, nil, vectors)
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	if ids != nil && len(ids) != vectors.Rows {
		return nil, fmt.Errorf("%w: train: %d token ids for %d vectors", ErrShape, len(ids), vectors.Rows)
	}
	rows := spaced(sequence(vectors.Rows), opts.MaxSample)

	c := &Codebook{kind: opts.Kind, dim: vectors.Dim, first: []uint32{0}, forms: formsOf(opts.Kind, vectors.Dim)}
	report := reporter(2*len(rows), progress)
	clusters := &clustering{ctx: ctx, vectors: vectors, iterations: opts.Iterations, seed: opts.Seed, done: report}
	if err := c.trainCells(clusters, rows, ids, opts); err != nil {
		return nil, err
	}
	if c.kind.Residual() {
		s := sample{vectors: vectors, rows: rows, ids: ids, squares: squares, cells: make([]uint32, len(rows))}
		if err := c.trainResiduals(ctx, s, opts.CodeBytes, report); err != nil {
			return nil, err
		}
	}
	// What ends early leaves its work unfinished and says nothing.
	if err := ctx.Err(); err != nil {
		return nil, err
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
	byID, rest := groupByID(clusters.ctx, rows, ids, opts.MinCellVectors)
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
	parts(clusters.ctx, all.Rows, rowsAtOnce(c.dim), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			c.centroidScale[i] = simd.QuantizeInt8(c.centroids[i*c.dim:(i+1)*c.dim], all.Row(i))
		}
	})
	c.expand()
	return c.trainCoarse(clusters)
}

// groupByID sorts rows into those of each id and the rest: rows of rare ids,
// or all if there are no ids. It stops when ctx ends.
func groupByID(ctx context.Context, rows []int32, ids []uint32, minimum int) (byID map[uint32][]int32, rest []int32) {
	if ids == nil {
		return nil, rows
	}
	const atOnce = 1 << 13
	byID = make(map[uint32][]int32)
	parts(ctx, len(rows), atOnce, func(lo, hi int) {
		for _, r := range rows[lo:hi] {
			byID[ids[r]] = append(byID[ids[r]], r)
		}
	})
	maps.DeleteFunc(byID, func(id uint32, rows []int32) bool { return len(rows) < minimum || id == NoID })
	parts(ctx, len(rows), atOnce, func(lo, hi int) {
		for _, r := range rows[lo:hi] {
			if _, ok := byID[ids[r]]; !ok {
				rest = append(rest, r)
			}
		}
	})
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

// trainResiduals finds each cell's residual scale, the axes, the levels and factors
// of every form and, where there are several, the form of every cell.
func (c *Codebook) trainResiduals(ctx context.Context, s sample, codeBytes float64, report func(int)) error {
	distances := make([]float64, len(s.rows)) // squares of the residuals' lengths
	parallel(ctx, len(s.rows), 2048, func(lo, hi int) {
		f := c.newFinder()
		parts(ctx, hi-lo, rowsAtOnce(c.dim), func(from, to int) {
			for _, row := range s.rows[lo+from : lo+to] {
				f.add(s.vectors.Row(int(row)), idOf(s.ids, int(row)), s.ids != nil)
			}
		})
		f.find(ctx)
		if ctx.Err() != nil {
			return
		}
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
	if err := c.trainForms(ctx, s); err != nil {
		return err
	}
	if c.kind == Banded {
		return c.chooseForms(ctx, s, counts, codeBytes)
	}
	return nil
}

// trainForms learns the axes and the levels and factors of every form.
func (c *Codebook) trainForms(ctx context.Context, s sample) (err error) {
	if n := axesOf(c.forms); n > 0 {
		// As many vectors as take a second or two at most.
		few := max(min(1<<14, 1<<30/(c.dim*c.dim)), 1)
		if c.axes, err = trainAxes(ctx, c.scaledResiduals(ctx, s, few), c.dim, n); err != nil {
			return err
		}
		c.axes.prepare(c.dim)
	}
	few := max(sampleComponents/c.dim, 1)
	coder := c.newCoder()
	for i := range c.forms {
		f := &c.forms[i]
		var numbers []float32
		if f.onAxes {
			s.eachSpaced(ctx, few, func(row int, cell uint32) {
				if scale := c.cellScale[cell]; scale > 0 {
					coder.toAxes(s.vectors.Row(row), c.Centroid(int(cell)), 1/scale, f.dims)
					numbers = append(numbers, coder.on[:f.dims]...)
				}
			})
		} else {
			numbers = c.scaledResiduals(ctx, s, few)
		}
		if f.levels, err = trainLevels(ctx, numbers, f.bits); err != nil {
			return err
		}
		var factors []float64
		s.eachSpaced(ctx, few, func(row int, cell uint32) {
			factors = append(factors, coder.code(f, s.vectors.Row(row), s.squares[row], cell))
		})
		f.factors = trainFactors(factors)
	}
	return ctx.Err()
}

// chooseForms gives every band of cells a form or none, for a mean of so many
// bytes, and sets the scale of cells without codes.
func (c *Codebook) chooseForms(ctx context.Context, s sample, counts []float64, bytes float64) error {
	bare := c.bareScales(s, counts)
	bands := c.cutBands(counts)
	bandOf := make([]int, c.Cells())
	for i, b := range bands {
		for _, cell := range b.cells {
			bandOf[cell] = i
		}
	}
	coder := c.newCoder()
	decoded := make([]float32, c.dim)
	s.eachSpaced(ctx, bandSample, func(row int, cell uint32) {
		b := &bands[bandOf[cell]]
		b.seen++
		v := s.vectors.Row(row)
		for d, x := range c.Centroid(int(cell)) {
			decoded[d] = bare[cell] * x
		}
		b.errors[0] += squaredDistance(v, decoded)
		for i := range c.forms {
			f := &c.forms[i]
			code := f.factors.code(coder.code(f, v, s.squares[row], cell))
			c.rebuild(decoded, f, coder.codes, cell)
			for d := range decoded {
				decoded[d] *= f.factors.table[code]
			}
			b.errors[1+i] += squaredDistance(v, decoded)
		}
	})
	if err := ctx.Err(); err != nil {
		return err
	}
	for i := range bands {
		for j := range bands[i].errors {
			bands[i].errors[j] /= max(bands[i].seen, 1)
		}
	}
	allocate(bands, c.forms, bytes)
	c.formOf = make([]uint8, c.Cells())
	for _, b := range bands {
		for _, cell := range b.cells {
			c.formOf[cell] = uint8(b.form)
			if b.form == 0 {
				c.cellScale[cell] = bare[cell]
			}
		}
	}
	return nil
}

// bareScales returns, for each cell, what its centroid is multiplied by to have
// the mean length of its vectors.
func (c *Codebook) bareScales(s sample, counts []float64) []float32 {
	lengths := make([]float64, c.Cells())
	for i, cell := range s.cells {
		lengths[cell] += math.Sqrt(s.squares[s.rows[i]])
	}
	scales := make([]float32, c.Cells())
	for cell := range scales {
		scales[cell] = 1
		if length := math.Sqrt(2 * float64(c.half[cell])); length > 0 && counts[cell] > 0 {
			scales[cell] = float32(lengths[cell] / counts[cell] / length)
		}
	}
	return scales
}

// sampleComponents is how many components of vectors the levels and factors are
// learned from, bandSample how many vectors show the errors of bands.
const (
	sampleComponents = 1 << 19
	bandSample       = 1 << 14
)

// eachSpaced calls use with at most n evenly spaced vectors and their cells, until
// ctx ends.
func (s *sample) eachSpaced(ctx context.Context, n int, use func(row int, cell uint32)) {
	n = min(len(s.rows), n)
	parts(ctx, n, max(rowsAtOnce(s.vectors.Dim)/8, 1), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			at := int(int64(i) * int64(len(s.rows)) / int64(n))
			use(int(s.rows[at]), s.cells[at])
		}
	})
}

// scaledResiduals returns the residual components of at most n evenly spaced
// vectors.
func (c *Codebook) scaledResiduals(ctx context.Context, s sample, n int) (components []float32) {
	s.eachSpaced(ctx, n, func(row int, cell uint32) {
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
// sizes and values. The error may be that of ctx.
func appendSquares(ctx context.Context, dst []float64, m simd.Matrix) ([]float64, error) {
	if m.Rows < 0 || len(m.Data) != m.Rows*m.Dim || simd.CheckDim(m.Dim) != nil {
		return dst, m.Validate()
	}
	dst = slices.Grow(dst, m.Rows)
	atOnce := rowsAtOnce(m.Dim)
	for i := range m.Rows {
		if i%atOnce == 0 && ctx.Err() != nil {
			return dst, ctx.Err()
		}
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
