package codec

import (
	"cmp"
	"context"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/pare-search/pare/simd"
)

// A form is a way to code residuals: so many bits for each of dims numbers, which
// are the residual's components or, on axes, its coordinates on as many of the
// codebook's axes.
type form struct {
	bits, dims int
	onAxes     bool
	levels     levels
	factors    factors
}

// maxForms is the largest number of forms of a codebook.
const maxForms = 5

// formsOf returns the forms that a kind of payload mixes, those of the fewest
// bytes first, with nothing learned yet.
func formsOf(kind Kind, dim int) (forms []form) {
	if kind != Banded {
		if bits := kind.bits(); bits > 0 {
			forms = append(forms, form{bits: bits, dims: dim})
		}
		return forms
	}
	for _, part := range []int{4, 2} {
		if dim%(8*part) == 0 {
			forms = append(forms, form{bits: 1, dims: dim / part, onAxes: true})
		}
	}
	for _, bits := range []int{1, 2, 4} {
		forms = append(forms, form{bits: bits, dims: dim})
	}
	return forms
}

// bytes returns what a vector takes: a factor and the planes.
func (f *form) bytes() int { return 1 + f.planeBytes() }

func (f *form) planeBytes() int { return f.dims / 8 * f.bits }

// axes are the directions in which the residuals of a sample, divided by the
// scales of their cells, vary most, as long as they vary: their coordinates have
// a variance of 1. An axis is its scale times int8 values.
type axes struct {
	values []int8    // axes x dim
	scale  []float32 // of each axis

	floats  simd.Matrix
	sums    simd.Matrix     // row n is the sum of the first n axes
	inverse []float32       // one over the squared length of each axis, or 0
	packed  simd.FloatQuery // of floats
	table   *simd.CellTable
}

// axesOf returns the number of axes that forms need.
func axesOf(forms []form) (n int) {
	for _, f := range forms {
		if f.onAxes {
			n = max(n, f.dims)
		}
	}
	return n
}

// trainAxes finds n axes from residuals divided by the scales of their cells, so
// many vectors of so many components. The error is that of ctx.
func trainAxes(ctx context.Context, residuals []float32, dim, n int) (axes, error) {
	a := axes{values: make([]int8, n*dim), scale: make([]float32, n)}
	vectors := len(residuals) / dim
	if n == 0 || vectors == 0 {
		return a, ctx.Err()
	}
	squares := mat.NewSymDense(dim, nil)
	var wide []float64
	parts(ctx, vectors, max(1<<22/(dim*dim), 8), func(lo, hi int) {
		wide = wide[:0]
		for _, x := range residuals[lo*dim : hi*dim] {
			wide = append(wide, float64(x))
		}
		squares.SymRankK(squares, 1/float64(vectors), mat.NewDense(hi-lo, dim, wide).T())
	})
	var eigen mat.EigenSym
	if ok, err := factorize(ctx, &eigen, squares); err != nil || !ok {
		return a, err // axes of length 0, which no vector is coded on
	}
	values := eigen.Values(nil) // ascending
	var directions mat.Dense
	eigen.VectorsTo(&directions)
	// Directions in which hardly any vector lies are as good as any other, and of
	// length 0.
	const least = 1e-6 // of the largest variance
	axis := make([]float32, dim)
	for k := range n {
		column := dim - 1 - k
		if values[column] <= least*values[dim-1] {
			break
		}
		length := math.Sqrt(values[column])
		for d := range axis {
			axis[d] = float32(length * directions.At(d, column))
		}
		a.scale[k] = simd.QuantizeInt8(a.values[k*dim:(k+1)*dim], axis)
	}
	return a, nil
}

// factorize takes some milliseconds at 128 dimensions and seconds at 1024, and
// cannot be stopped: when ctx ends, nobody waits for it any longer.
func factorize(ctx context.Context, eigen *mat.EigenSym, m *mat.SymDense) (ok bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	done := make(chan bool, 1)
	var found mat.EigenSym
	go func() { done <- found.Factorize(m, true) }()
	select {
	case ok = <-done:
		*eigen = found
		return ok, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// prepare makes what coding and scoring need, once values and scales are set.
func (a *axes) prepare(dim int) {
	n := len(a.scale)
	a.floats = simd.NewMatrix(n, dim)
	a.sums = simd.NewMatrix(n+1, dim)
	a.inverse = make([]float32, n)
	for k, scale := range a.scale {
		axis := a.floats.Row(k)
		for d, v := range a.values[k*dim : (k+1)*dim] {
			axis[d] = scale * float32(v)
		}
		if s := square(axis); s > 0 {
			a.inverse[k] = float32(1 / s)
		}
		copy(a.sums.Row(k+1), a.sums.Row(k))
		simd.Add(a.sums.Row(k+1), axis)
	}
	if n > 0 {
		a.packed.Reset(a.floats, nil)
		a.table = simd.NewCellTable(dim, a.values, a.scale, nil)
	}
}

// coordinates writes those of a residual on the first axes to dst, which has room
// for those of all, rounded up. residual is a vector of one row.
func (a *axes) coordinates(dst []float32, residual simd.Matrix, n int) {
	a.packed.Dots(dst[:a.packed.Stride()], residual)
	for k, inverse := range a.inverse[:n] {
		dst[k] *= inverse
	}
}

// band is a set of cells whose vectors are coded alike.
type band struct {
	cells   []uint32
	vectors float64               // of the sample
	errors  [1 + maxForms]float64 // mean squared errors without codes and in each form
	seen    float64               // vectors that errors are the mean of
	form    int                   // chosen: one more than its number, or 0 for none
}

// bandCount is how many bands of about equally many vectors there are, one more
// with those of no id of their own.
const bandCount = 20

// cutBands returns the bands of the codebook: token ids by the number of their
// vectors in the sample, rare ones first, after the cells that belong to no id; in
// a codebook without ids, cells by the number of their vectors.
func (c *Codebook) cutBands(counts []float64) []band {
	type unit struct {
		lo, hi  uint32
		vectors float64
	}
	var units []unit
	add := func(lo, hi uint32) {
		u := unit{lo: lo, hi: hi}
		for _, n := range counts[lo:hi] {
			u.vectors += n
		}
		units = append(units, u)
	}
	own, end := c.first[len(c.ids)], uint32(c.Cells())
	for i := range c.ids {
		add(c.first[i], c.first[i+1])
	}
	if len(c.ids) == 0 {
		for cell := own; cell < end; cell++ {
			add(cell, cell+1)
		}
	}
	slices.SortStableFunc(units, func(a, b unit) int { return cmp.Compare(a.vectors, b.vectors) })
	var all float64
	for _, u := range units {
		all += u.vectors
	}

	bands := make([]band, bandCount)
	var sum float64
	for _, u := range units {
		at := 0
		if all > 0 {
			at = min(int((sum+u.vectors/2)*bandCount/all), bandCount-1)
		}
		b := &bands[at]
		for cell := u.lo; cell < u.hi; cell++ {
			b.cells = append(b.cells, cell)
		}
		b.vectors += u.vectors
		sum += u.vectors
	}
	if len(c.ids) > 0 && own < end {
		add(own, end)
		rest := band{vectors: units[len(units)-1].vectors}
		for cell := own; cell < end; cell++ {
			rest.cells = append(rest.cells, cell)
		}
		bands = append(bands, rest)
	}
	return slices.DeleteFunc(bands, func(b band) bool { return len(b.cells) == 0 })
}

// allocate chooses the form of every band: again and again the step up that takes
// most of the squared error for each byte, until vectors take the given number of
// bytes in the mean. A sample of nothing but zeros says nothing; then all have
// one bit.
func allocate(bands []band, forms []form, bytes float64) {
	var all, errors float64
	for i := range bands {
		all += bands[i].vectors
		errors += bands[i].vectors * bands[i].errors[0]
	}
	if errors == 0 {
		for i := range bands {
			bands[i].form = 1 + slices.IndexFunc(forms, func(f form) bool { return !f.onAxes })
		}
		return
	}
	price := func(choice int) float64 {
		if choice == 0 {
			return 0
		}
		return float64(forms[choice-1].bytes())
	}
	for left := all * bytes; ; {
		var best *band
		var choice int
		var gain, cost float64
		for i := range bands {
			b := &bands[i]
			for next := b.form + 1; next <= len(forms); next++ {
				c := b.vectors * (price(next) - price(b.form))
				g := b.vectors * (b.errors[b.form] - b.errors[next])
				if c <= left && g > 0 && (best == nil || g*cost > gain*c) {
					best, choice, gain, cost = b, next, g, c
				}
			}
		}
		if best == nil {
			return
		}
		best.form = choice
		left -= cost
	}
}
