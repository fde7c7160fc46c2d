package table

import (
	"context"
	"errors"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/pare-search/pare/simd"
	"github.com/pare-search/pare/simd/gemm"
)

var errEigen = errors.New("eigenvalues did not converge")

// gramGrain is how many rows are summed in float32 before float64 takes over.
const gramGrain = 4096

// gram returns the sum of w * x * xᵀ over all rows x and their weights w.
func (p problem) gram(ctx context.Context) (*mat.SymDense, error) {
	total := mat.NewSymDense(p.Dim, nil)
	for lo := 0; lo < p.Rows; lo += gramGrain {
		hi := min(lo+gramGrain, p.Rows)
		scaled := simd.NewMatrix(p.Dim, hi-lo) // transposed
		for i := lo; i < hi; i++ {
			root := float32(math.Sqrt(p.weights[i]))
			for d, v := range p.Row(i) {
				scaled.Data[d*scaled.Dim+i-lo] = root * v
			}
		}
		sums := make([]float64, p.Dim*p.Dim)
		err := times(ctx, scaled, scaled, nil, func(lo, hi int, product gemm.Rows) {
			for i := lo; i < hi; i++ {
				for d, v := range product.Data[(i-lo)*product.Stride:][:p.Dim] {
					sums[i*p.Dim+d] = float64(v)
				}
			}
		})
		if err != nil {
			return nil, err
		}
		total.AddSym(total, mat.NewSymDense(p.Dim, sums))
	}
	return total, nil
}

// principal returns the directions in which the weighted rows spread, one per row
// of the matrix, and the weighted squares along each, largest first: eigenvectors
// and eigenvalues of gram.
func (p problem) principal(ctx context.Context) (directions simd.Matrix, squares []float64, err error) {
	g, err := p.gram(ctx)
	if err != nil {
		return simd.Matrix{}, nil, err
	}
	return eigenvectors(g)
}

// eigenvectors returns the eigenvectors of a matrix without negative eigenvalues,
// one per row, and its eigenvalues, largest first.
func eigenvectors(g *mat.SymDense) (vectors simd.Matrix, values []float64, err error) {
	var eigen mat.EigenSym
	if !eigen.Factorize(g, true) {
		return simd.Matrix{}, nil, errEigen
	}
	var columns mat.Dense
	eigen.VectorsTo(&columns)
	ascending := eigen.Values(nil)
	n := len(ascending)
	vectors, values = simd.NewMatrix(n, n), make([]float64, n)
	for r := range n {
		from := n - 1 - r
		values[r] = max(0, ascending[from])
		for d := range n {
			vectors.Row(r)[d] = float32(columns.At(d, from))
		}
	}
	return vectors, values, nil
}

// multiplied returns a·bᵀ.
func multiplied(ctx context.Context, a, b simd.Matrix) (simd.Matrix, error) {
	out := simd.NewMatrix(a.Rows, b.Rows)
	err := times(ctx, a, b, nil, func(lo, hi int, product gemm.Rows) {
		for i := lo; i < hi; i++ {
			copy(out.Row(i), product.Data[(i-lo)*product.Stride:])
		}
	})
	return out, err
}
