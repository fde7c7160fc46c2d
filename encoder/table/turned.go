package table

import (
	"context"
	"fmt"
	"math"
	"sync"

	"gonum.org/v1/gonum/mat"

	"github.com/pare-search/pare/simd"
)

// turned are rows that a part makes in other axes.
//
//	kind 'u'
//	axes  dim x dim: column d of the part's rows is the coordinate along axis d
//	part  the rows in those axes
type turned struct {
	axes array
	part form
	pool sync.Pool // of *[]float32, coordinates
}

func (t *turned) row(dst []float32, id int) {
	coordinates := t.pool.Get().(*[]float32)
	t.part.row(*coordinates, id)
	clear(dst)
	for d, v := range *coordinates {
		t.axes.add(dst, d, v)
	}
	t.pool.Put(coordinates)
}

func openTurned(n node, rows, dim int) (form, error) {
	if len(n.arrays) != 1 || len(n.parts) != 1 {
		return nil, fmt.Errorf("%w: axes: %d arrays and %d parts", ErrCorrupt, len(n.arrays), len(n.parts))
	}
	t := &turned{axes: n.arrays[0]}
	t.pool.New = func() any { coordinates := make([]float32, dim); return &coordinates }
	if err := t.axes.wants("axes", true, dim, dim); err != nil {
		return nil, err
	}
	var err error
	t.part, err = n.parts[0].open(rows, dim)
	return t, err
}

const turnRounds = 4

// fitOPQ is product quantisation in axes that suit it (Ge, He, Ke and Sun, optimized
// product quantization, PAMI 2014): principal axes shared out so that all sub-vectors
// spread alike, then rounds of quantising and of the rotation that brings rows nearest
// to their codes.
func fitOPQ(ctx context.Context, p problem) (node, error) {
	frame := nodeHeader + sizeOf(int8s, 0, p.Dim, p.Dim)
	q := p
	q.budget -= frame
	books, _ := q.bestBooks()
	if books == 0 {
		return node{}, p.tooSmall(frame + booksSize(p.Rows, float32s, 2, []int{p.Dim}))
	}
	directions, squares, err := p.principal(ctx)
	if err != nil {
		return node{}, err
	}
	axes := shareOut(directions, squares, widthsOf(p.Dim, books))
	for round := range turnRounds {
		stored := floats(int8s, axes)
		for d := range p.Dim { // rounded, as they will be
			clear(axes.Row(d))
			stored.add(axes.Row(d), d, 1)
		}
		if q.Matrix, err = multiplied(ctx, p.Matrix, axes); err != nil {
			return node{}, err
		}
		last := round == turnRounds-1
		iterations := roughIterations
		if last {
			iterations = kmeansIterations
		}
		part, err := q.product(ctx, iterations)
		if err != nil {
			return node{}, err
		}
		if last {
			return node{kind: kindTurned, arrays: []array{stored}, parts: []node{part}}, nil
		}
		if axes, err = p.nearestAxes(part); err != nil {
			return node{}, err
		}
	}
	panic("unreachable")
}

// shareOut orders directions so that the products of the squares of all sub-vectors
// are about the same: each direction, largest first, goes to the sub-vector with the
// smallest product that has room.
func shareOut(directions simd.Matrix, squares []float64, widths []int) simd.Matrix {
	type part struct {
		product float64 // its logarithm
		taken   []int
	}
	parts := make([]part, len(widths))
	tiny := squares[0] * 1e-9
	for d, s := range squares {
		best := -1
		for i := range parts {
			if len(parts[i].taken) < widths[i] && (best < 0 || parts[i].product < parts[best].product) {
				best = i
			}
		}
		parts[best].taken = append(parts[best].taken, d)
		parts[best].product += math.Log((s + tiny) / (squares[len(squares)-1] + tiny))
	}
	out := simd.NewMatrix(directions.Rows, directions.Dim)
	at := 0
	for _, part := range parts {
		for _, d := range part.taken {
			copy(out.Row(at), directions.Row(d))
			at++
		}
	}
	return out
}

// nearestAxes returns the rotation in which rows lie nearest to what was fitted:
// U·Vᵀ for the singular value decomposition of the sum of w * x * codeᵀ (Schönemann,
// 1966).
func (p problem) nearestAxes(part node) (simd.Matrix, error) {
	f, err := part.open(p.Rows, p.Dim)
	if err != nil {
		return simd.Matrix{}, err
	}
	row := make([]float32, p.Dim)
	sums := make([]float64, p.Dim*p.Dim) // code x row
	for i := range p.Rows {
		f.row(row, i)
		for c, v := range row {
			w := p.weights[i] * float64(v)
			line := sums[c*p.Dim:][:p.Dim]
			for d, x := range p.Row(i) {
				line[d] += w * float64(x)
			}
		}
	}
	var svd mat.SVD
	if !svd.Factorize(mat.NewDense(p.Dim, p.Dim, sums), mat.SVDFull) {
		return simd.Matrix{}, errEigen
	}
	var u, v, product mat.Dense
	svd.UTo(&u)
	svd.VTo(&v)
	product.Mul(&u, v.T())
	axes := simd.NewMatrix(p.Dim, p.Dim)
	for c := range p.Dim {
		for d := range p.Dim {
			axes.Row(c)[d] = float32(product.At(c, d))
		}
	}
	return axes, nil
}
