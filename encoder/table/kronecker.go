package table

import (
	"context"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/pare-search/pare/simd"
)

// kroneckers are matrices that are sums of Kronecker products A_k ⊗ B_k: the value
// in row i1*v2 + i2 and column a1*d2 + a2 is the sum of A_k[i1, a1] * B_k[i2, a2].
//
//	kind 'k'
//	sizes  1 x 4: v1, v2 of tokens, v1*v2 >= rows; d1, d2 of columns, d1*d2 = dim
//	a      v1*d1 x rank
//	b      v2*d2 x rank
type kroneckers struct {
	v2, d1, d2 int
	a, b       array
}

func (k *kroneckers) row(dst []float32, id int) {
	var sums [maxRank]float32
	from := sums[:k.a.columns]
	for a1 := range k.d1 {
		clear(from)
		k.a.add(from, id/k.v2*k.d1+a1, 1)
		for a2 := range k.d2 {
			dst[a1*k.d2+a2] = k.b.dot(from, id%k.v2*k.d2+a2)
		}
	}
}

func openKroneckers(n node, rows, dim int) (form, error) {
	if len(n.arrays) != 3 || len(n.parts) > 0 {
		return nil, fmt.Errorf("%w: Kronecker products: %d arrays and %d parts", ErrCorrupt, len(n.arrays), len(n.parts))
	}
	sizes := &n.arrays[0]
	if err := sizes.wants("sizes of factors", false, 1, 4); err != nil {
		return nil, err
	}
	v1, v2 := int(sizes.number(0, 0)), int(sizes.number(0, 1))
	k := &kroneckers{v2: v2, d1: int(sizes.number(0, 2)), d2: int(sizes.number(0, 3)), a: n.arrays[1], b: n.arrays[2]}
	rank := k.a.columns
	if v1 > rows || v2 > rows || v1*v2 < rows || k.d1 > dim || k.d1*k.d2 != dim || rank > maxRank {
		return nil, fmt.Errorf("%w: sizes of factors: %d x %d, %d x %d of rank %d for %d x %d", ErrCorrupt, v1, v2, k.d1, k.d2, rank, rows, dim)
	}
	if err := k.a.wants("first factors", true, v1*k.d1, rank); err != nil {
		return nil, err
	}
	return k, k.b.wants("second factors", true, v2*k.d2, rank)
}

// fitWord2KetXS is the whole matrix as a sum of Kronecker products, the word2ketXS
// of Panahi et al., found by rearrangement and a singular value decomposition (Van
// Loan and Pitsianis, 1993) where they train. Frequencies do not count.
func fitWord2KetXS(ctx context.Context, p problem) (node, error) {
	d1, d2 := pair(p.Dim)
	// The shorter side of what is decomposed bounds the rank, and the time.
	v1 := min(p.Rows, max(1, maxRank/d1))
	v2 := (p.Rows + v1 - 1) / v1
	size := func(e element, rank int) int {
		return nodeHeader + sizeOf(unsigneds, 32, 1, 4) + sizeOf(e, 0, v1*d1, rank) + sizeOf(e, 0, v2*d2, rank)
	}
	full := min(v1*d1, v2*d2)
	e := int8s
	if size(float32s, full) <= p.budget {
		e = float32s
	}
	rank := most(1, full, func(rank int) bool { return size(e, rank) <= p.budget })
	if rank < 1 {
		return node{}, p.tooSmall(size(int8s, 1))
	}
	rearranged := simd.NewMatrix(v1*d1, v2*d2)
	for id := range p.Rows {
		for c, x := range p.Row(id) {
			rearranged.Row(id/v2*d1 + c/d2)[id%v2*d2+c%d2] = x
		}
	}
	if rearranged.Rows > rearranged.Dim {
		b, a, err := split(ctx, transposed(rearranged), rank)
		return kroneckerNode(e, []int{v1, v2, d1, d2}, transposed(a), b), err
	}
	a, b, err := split(ctx, rearranged, rank)
	return kroneckerNode(e, []int{v1, v2, d1, d2}, a, transposed(b)), err
}

func kroneckerNode(e element, sizes []int, a, b simd.Matrix) node {
	var stored []uint32
	for _, s := range sizes {
		stored = append(stored, uint32(s))
	}
	return node{kind: kindKroneckers, arrays: []array{numbers(32, 1, len(stored), stored), floats(e, a), floats(e, b)}}
}

// pair returns the two factors of n that are nearest to each other, the smaller
// first.
func pair(n int) (a, b int) {
	for a = 1; (a+1)*(a+1) <= n; a++ {
	}
	for n%a != 0 {
		a--
	}
	return a, n / a
}

// products are rows each of which is a sum of products of two short vectors of its
// own.
//
//	kind 'x'
//	sizes  1 x 2: d1, d2, d1*d2 = dim
//	rows   rows * rank x d1+d2
type products struct {
	d1, d2, rank int
	rows         array
}

func (k *products) row(dst []float32, id int) {
	clear(dst)
	for r := id * k.rank; r < (id+1)*k.rank; r++ {
		for a1 := range k.d1 {
			first := k.rows.float(r, a1)
			for a2 := range k.d2 {
				dst[a1*k.d2+a2] += first * k.rows.float(r, k.d1+a2)
			}
		}
	}
}

func openProducts(n node, rows, dim int) (form, error) {
	if len(n.arrays) != 2 || len(n.parts) > 0 {
		return nil, fmt.Errorf("%w: products: %d arrays and %d parts", ErrCorrupt, len(n.arrays), len(n.parts))
	}
	sizes := &n.arrays[0]
	if err := sizes.wants("sizes of factors", false, 1, 2); err != nil {
		return nil, err
	}
	k := &products{d1: int(sizes.number(0, 0)), d2: int(sizes.number(0, 1)), rows: n.arrays[1]}
	k.rank = k.rows.rows / rows
	if k.d1 > dim || k.d1*k.d2 != dim || k.rank < 1 {
		return nil, fmt.Errorf("%w: sizes of factors: %d x %d of rank %d for %d", ErrCorrupt, k.d1, k.d2, k.rank, dim)
	}
	return k, k.rows.wants("factors", true, rows*k.rank, k.d1+k.d2)
}

// fitWord2Ket makes each row a sum of rank products of two vectors (Panahi et al.'s
// word2ket of order 2), by the singular value decomposition of the row as a small
// matrix. The most frequent rows get a rank more as far as the budget reaches.
func fitWord2Ket(ctx context.Context, p problem) (node, error) {
	d1, d2 := pair(p.Dim)
	size := func(e element, rows, rank int) int {
		return nodeHeader + sizeOf(unsigneds, 32, 1, 2) + sizeOf(e, 0, rows*rank, d1+d2)
	}
	fit := func(q problem, e element, rank int) (node, error) {
		parts := make([]simd.Matrix, q.Rows)
		err := parallel(ctx, q.Rows, func(i int) (err error) {
			parts[i], err = productsOf(simd.Matrix{Rows: d1, Dim: d2, Data: q.Row(i)}, rank)
			return err
		})
		all := simd.Matrix{Rows: q.Rows * rank, Dim: d1 + d2}
		for _, part := range parts {
			all.Data = append(all.Data, part.Data...)
		}
		sizes := numbers(32, 1, 2, []uint32{uint32(d1), uint32(d2)})
		return node{kind: kindProducts, arrays: []array{sizes, floats(e, all)}}, err
	}
	if size(float32s, p.Rows, d1) <= p.budget {
		return fit(p, float32s, d1)
	}
	return p.byRow(d1, func(q problem, rank int) (node, error) { return fit(q, int8s, rank) },
		func(rank, rows int) int { return size(int8s, rows, rank) })
}

// productsOf returns rank rows of a left and a right vector whose products add up to
// the best approximation of m.
func productsOf(m simd.Matrix, rank int) (simd.Matrix, error) {
	var svd mat.SVD
	dense := mat.NewDense(m.Rows, m.Dim, nil)
	for i := range m.Rows {
		for j, v := range m.Row(i) {
			dense.Set(i, j, float64(v))
		}
	}
	if !svd.Factorize(dense, mat.SVDThin) {
		return simd.Matrix{}, errEigen
	}
	var u, v mat.Dense
	svd.UTo(&u)
	svd.VTo(&v)
	values := svd.Values(nil)
	out := simd.NewMatrix(rank, m.Rows+m.Dim)
	for r := range rank {
		// Both get half of the value, so that a row's scale suits both.
		root := math.Sqrt(values[r])
		for i := range m.Rows {
			out.Row(r)[i] = float32(root * u.At(i, r))
		}
		for j := range m.Dim {
			out.Row(r)[m.Rows+j] = float32(root * v.At(j, r))
		}
	}
	return out, nil
}
