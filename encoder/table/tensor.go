package table

import (
	"context"
	"fmt"

	"gonum.org/v1/gonum/mat"

	"github.com/pare-search/pare/simd"
)

// tensorTrain is a matrix seen as a tensor of three modes, each a part of the
// token's number together with a part of the column's, as a product of three cores.
//
//	kind 't'
//	sizes   2 x 3: v1 v2 v3 of tokens, v1*v2*v3 >= rows; d1 d2 d3 of columns,
//	        d1*d2*d3 = dim
//	first   v1*d1 x r1
//	second  v2*d2*r1 x r2
//	third   v3*d3 x r2
type tensorTrain struct {
	v, d                 [3]int
	first, second, third array
}

func (t *tensorTrain) row(dst []float32, id int) {
	i2, i3 := id/t.v[2]%t.v[1], id%t.v[2]
	i1 := id / (t.v[1] * t.v[2])
	r1 := t.first.columns
	var sums [maxRank]float32
	sum := sums[:t.second.columns]
	for a1 := range t.d[0] {
		for a2 := range t.d[1] {
			clear(sum)
			for r := range r1 {
				t.second.add(sum, (i2*t.d[1]+a2)*r1+r, t.first.float(i1*t.d[0]+a1, r))
			}
			for a3 := range t.d[2] {
				dst[(a1*t.d[1]+a2)*t.d[2]+a3] = t.third.dot(sum, i3*t.d[2]+a3)
			}
		}
	}
}

// maxRank bounds the second rank, sums of which lie on the stack.
const maxRank = 1024

func openTensorTrain(n node, rows, dim int) (form, error) {
	if len(n.arrays) != 4 || len(n.parts) > 0 {
		return nil, fmt.Errorf("%w: tensor train: %d arrays and %d parts", ErrCorrupt, len(n.arrays), len(n.parts))
	}
	t := &tensorTrain{first: n.arrays[1], second: n.arrays[2], third: n.arrays[3]}
	sizes := &n.arrays[0]
	if err := sizes.wants("sizes of modes", false, 2, 3); err != nil {
		return nil, err
	}
	tokens, width := 1, 1
	for i := range 3 {
		t.v[i], t.d[i] = int(sizes.number(0, i)), int(sizes.number(1, i))
		if t.v[i] > rows || t.d[i] > dim {
			return nil, fmt.Errorf("%w: sizes of modes: %d and %d", ErrCorrupt, t.v[i], t.d[i])
		}
		tokens, width = tokens*t.v[i], width*t.d[i]
	}
	r1, r2 := t.first.columns, t.third.columns
	if tokens < rows || width != dim || r2 > maxRank {
		return nil, fmt.Errorf("%w: sizes of modes: %d and %d for %d x %d, ranks %d and %d", ErrCorrupt, t.v, t.d, rows, dim, r1, r2)
	}
	if err := t.first.wants("first core", true, t.v[0]*t.d[0], r1); err != nil {
		return nil, err
	}
	if err := t.second.wants("second core", true, t.v[1]*t.d[1]*r1, r2); err != nil {
		return nil, err
	}
	return t, t.third.wants("third core", true, t.v[2]*t.d[2], r2)
}

// modes cuts n into three factors near its cube root: exactly, or with a product
// that is a little larger.
func modes(n int, exactly bool) [3]int {
	best, cost := [3]int{1, 1, n}, n*n
	for a := 1; a*a*a <= n; a++ {
		if exactly && n%a != 0 {
			continue
		}
		rest := (n + a - 1) / a
		for b := a; b*b <= rest; b++ {
			if exactly && rest%b != 0 {
				continue
			}
			c := (rest + b - 1) / b
			if candidate := (c-a)*(c-a) + a*b*c - n; candidate < cost {
				best, cost = [3]int{a, b, c}, candidate
			}
		}
	}
	return best
}

// fitTensorTrain finds the cores by two truncated singular value decompositions,
// one after the other (TT-SVD, Oseledets, SIAM J. Sci. Comput. 33 (5), 2011).
// Khrulkov et al. train the cores. Frequencies do not count: the decomposition has
// no weights.
func fitTensorTrain(ctx context.Context, p problem) (node, error) {
	v, d := modes(p.Rows, false), modes(p.Dim, true)
	m1, m2, m3 := v[0]*d[0], v[1]*d[1], v[2]*d[2]
	size := func(e element, r1, r2 int) int {
		return nodeHeader + sizeOf(unsigneds, 32, 2, 3) + sizeOf(e, 0, m1, r1) + sizeOf(e, 0, m2*r1, r2) + sizeOf(e, 0, m3, r2)
	}
	// The ranks stand in the proportion of the largest that make sense.
	full1, full2 := min(m1, m2*m3), min(m3, m1*m2, maxRank)
	ranks := func(step int) (int, int) {
		return max(1, full1*step/steps), max(1, full2*step/steps)
	}
	e := int8s
	if size(float32s, full1, full2) <= p.budget {
		e = float32s
	}
	step := most(0, steps, func(step int) bool {
		r1, r2 := ranks(step)
		return size(e, r1, r2) <= p.budget
	})
	if step < 0 {
		return node{}, p.tooSmall(size(int8s, 1, 1))
	}
	r1, r2 := ranks(step)

	// First unfolding: a row for each (i1, a1), a column for all the rest.
	unfolded := simd.NewMatrix(m1, m2*m3)
	for id := range p.Rows {
		i1, i2, i3 := id/(v[1]*v[2]), id/v[2]%v[1], id%v[2]
		for c, x := range p.Row(id) {
			a1, a2, a3 := c/(d[1]*d[2]), c/d[2]%d[1], c%d[2]
			unfolded.Row(i1*d[0] + a1)[(i2*d[1]+a2)*m3+i3*d[2]+a3] = x
		}
	}
	first, rest, err := split(ctx, unfolded, r1)
	if err != nil {
		return node{}, err
	}
	// Second: the rows (i2, a2, r1) of what is left, the columns (i3, a3).
	middle := simd.NewMatrix(m2*r1, m3)
	for r := range r1 {
		for i := range m2 {
			copy(middle.Row(i*r1+r), rest.Row(r)[i*m3:(i+1)*m3])
		}
	}
	// The smaller side is the last, so that the turned matrix is split.
	third, turned, err := split(ctx, transposed(middle), r2)
	if err != nil {
		return node{}, err
	}
	sizes := []uint32{uint32(v[0]), uint32(v[1]), uint32(v[2]), uint32(d[0]), uint32(d[1]), uint32(d[2])}
	return node{kind: kindTensorTrain, arrays: []array{
		numbers(32, 2, 3, sizes), floats(e, first), floats(e, transposed(turned)), floats(e, third),
	}}, nil
}

// split returns the best approximation of m of a rank as a product of left, m.Rows x
// rank with orthonormal columns, and right, rank x m.Dim.
func split(ctx context.Context, m simd.Matrix, rank int) (left, right simd.Matrix, err error) {
	g := mat.NewSymDense(m.Rows, nil)
	for lo := 0; lo < m.Dim; lo += gramGrain {
		part := columns(m, lo, min(gramGrain, m.Dim-lo))
		product, err := multiplied(ctx, part, part)
		if err != nil {
			return left, right, err
		}
		for i := range m.Rows {
			for j := i; j < m.Rows; j++ {
				g.SetSym(i, j, g.At(i, j)+float64(product.Row(i)[j]))
			}
		}
	}
	directions, _, err := eigenvectors(g)
	if err != nil {
		return left, right, err
	}
	turned := directions.Slice(0, rank)
	right, err = multiplied(ctx, turned, transposed(m))
	return transposed(turned), right, err
}

func transposed(m simd.Matrix) simd.Matrix {
	t := simd.NewMatrix(m.Dim, m.Rows)
	for i := range m.Rows {
		for j, v := range m.Row(i) {
			t.Data[j*t.Dim+i] = v
		}
	}
	return t
}
