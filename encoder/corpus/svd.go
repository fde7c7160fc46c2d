package corpus

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"

	"github.com/pare-search/pare/simd"
)

const (
	// oversampling is how many more directions than asked for the random
	// subspace has, and powerIterations how often the matrix is applied to
	// it (Halko, Martinsson, Tropp 2011, sections 4.2 and 4.5).
	oversampling    = 16
	powerIterations = 4

	// rankTolerance ends the spectrum: squared singular values below it,
	// relative to the largest, are rounding errors.
	rankTolerance = 1e-12

	// rowGrain is the number of matrix rows one goroutine takes at a time.
	rowGrain = 1024
)

var errEigen = errors.New("corpus: eigenvalues did not converge")

// entry is one value of a sparse row.
type entry struct {
	column uint32
	value  float32
}

// sparse is a sparse matrix, one slice of entries per row.
type sparse [][]entry

// transpose returns the transposed matrix, which has n rows.
func (s sparse) transpose(n int) sparse {
	counts := make([]int, n)
	total := 0
	for _, row := range s {
		total += len(row)
		for _, e := range row {
			counts[e.column]++
		}
	}
	backing := make([]entry, total)
	out := make(sparse, n)
	for i, count := range counts {
		out[i], backing = backing[:0:count], backing[count:]
	}
	for i, row := range s {
		for _, e := range row {
			out[e.column] = append(out[e.column], entry{uint32(i), e.value})
		}
	}
	return out
}

// norm returns the Frobenius norm.
func (s sparse) norm() float64 {
	var sum float64
	for _, row := range s {
		for _, e := range row {
			sum += float64(e.value) * float64(e.value)
		}
	}
	return math.Sqrt(sum)
}

// addProduct adds scale * s * b to dst. Sums run in the order of the entries.
func (s sparse) addProduct(ctx context.Context, dst, b simd.Matrix, scale float32) error {
	return parallel(ctx, len(s), 64, func() func(lo, hi int) {
		return func(lo, hi int) {
			for i := lo; i < hi; i++ {
				out := dst.Row(i)
				for _, e := range s[i] {
					axpy(scale*e.value, b.Row(int(e.column)), out)
				}
			}
		}
	})
}

// axpy adds alpha * x to y.
func axpy(alpha float32, x, y []float32) {
	blas32.Axpy(alpha, blas32.Vector{N: len(x), Data: x, Inc: 1}, blas32.Vector{N: len(y), Data: y, Inc: 1})
}

// block is one of the matrices that stand side by side: scale * rows.
type block struct {
	rows    sparse
	columns sparse // the transpose of rows
	scale   float64
}

// newBlock scales a matrix to Frobenius norm 1.
func newBlock(rows, columns sparse) block {
	b := block{rows: rows, columns: columns}
	if norm := rows.norm(); norm > 0 {
		b.scale = 1 / norm
	}
	return b
}

// leftSingular returns the first singular vectors on the left and singular
// values of A, the n-row matrix of all blocks side by side: u is n x r,
// r <= rank the number of values that are not zero, largest first.
//
// It is the randomised subspace iteration of Halko, Martinsson and Tropp
// (2011, algorithm 4.4) on A*Aᵀ, which is applied block by block and never
// formed. The singular values come from the Rayleigh-Ritz step, the eigenvalues
// of Qᵀ*A*Aᵀ*Q.
func leftSingular(ctx context.Context, blocks []block, n, rank int, seed uint64, step func(done, total int)) (u simd.Matrix, s []float64, err error) {
	k := min(n, rank+oversampling)
	q := simd.NewMatrix(n, k)
	if k == n { // the whole space needs no search
		for i := range n {
			q.Row(i)[i] = 1
		}
	} else {
		rng := rand.New(rand.NewPCG(seed, 0x73766421))
		for i := range q.Data {
			q.Data[i] = float32(rng.NormFloat64())
		}
		for iteration := range powerIterations + 1 {
			step(iteration, powerIterations+2)
			if q, err = applyGram(ctx, blocks, q); err != nil {
				return simd.Matrix{}, nil, err
			}
			if q, err = orthonormalize(ctx, q); err != nil {
				return simd.Matrix{}, nil, err
			}
		}
		// One pass in float32 leaves small angles between the weakest
		// directions; the second removes them.
		if q, err = orthonormalize(ctx, q); err != nil {
			return simd.Matrix{}, nil, err
		}
	}
	step(powerIterations+1, powerIterations+2)

	small := mat.NewSymDense(max(q.Dim, 1), nil)
	for _, b := range blocks {
		z := simd.NewMatrix(len(b.columns), q.Dim)
		if err := b.columns.addProduct(ctx, z, q, float32(b.scale)); err != nil {
			return simd.Matrix{}, nil, err
		}
		g, err := gram(ctx, z)
		if err != nil {
			return simd.Matrix{}, nil, err
		}
		small.AddSym(small, g)
	}
	values, vectors, err := eigen(small)
	if err != nil {
		return simd.Matrix{}, nil, err
	}
	values = values[:min(rank, len(values))]
	s = make([]float64, len(values))
	turn := simd.NewMatrix(q.Dim, len(values))
	for j, value := range values {
		s[j] = math.Sqrt(value)
		for i := range q.Dim {
			turn.Row(i)[j] = float32(vectors.At(i, j))
		}
	}
	u, err = product(ctx, q, turn)
	step(powerIterations+2, powerIterations+2)
	return u, s, err
}

// applyGram returns A * Aᵀ * q.
func applyGram(ctx context.Context, blocks []block, q simd.Matrix) (simd.Matrix, error) {
	out := simd.NewMatrix(q.Rows, q.Dim)
	for _, b := range blocks {
		z := simd.NewMatrix(len(b.columns), q.Dim)
		if err := b.columns.addProduct(ctx, z, q, float32(b.scale)); err != nil {
			return simd.Matrix{}, err
		}
		if err := b.rows.addProduct(ctx, out, z, float32(b.scale)); err != nil {
			return simd.Matrix{}, err
		}
	}
	return out, nil
}

// orthonormalize returns an orthonormal basis of the columns of y, fewer of
// them when y has no full rank: y * V * Λ^-1/2 for yᵀy = V * Λ * Vᵀ. A tall
// matrix is read twice only, where Householder QR would need many passes.
func orthonormalize(ctx context.Context, y simd.Matrix) (simd.Matrix, error) {
	g, err := gram(ctx, y)
	if err != nil {
		return simd.Matrix{}, err
	}
	values, vectors, err := eigen(g)
	if err != nil {
		return simd.Matrix{}, err
	}
	turn := simd.NewMatrix(y.Dim, len(values))
	for j, value := range values {
		for i := range y.Dim {
			turn.Row(i)[j] = float32(vectors.At(i, j) / math.Sqrt(value))
		}
	}
	return product(ctx, y, turn)
}

// gram returns yᵀ * y, summed in float64 chunk by chunk.
func gram(ctx context.Context, y simd.Matrix) (*mat.SymDense, error) {
	k := max(y.Dim, 1)
	partial := make([]*mat.SymDense, (y.Rows+rowGrain-1)/rowGrain)
	err := parallel(ctx, y.Rows, rowGrain, func() func(lo, hi int) {
		row := make([]float64, y.Dim)
		return func(lo, hi int) {
			sum := make([]float64, k*k)
			for r := lo; r < hi; r++ {
				for i, v := range y.Row(r) {
					row[i] = float64(v)
				}
				for i, v := range row {
					x := blas64.Vector{N: len(row) - i, Data: row[i:], Inc: 1}
					blas64.Axpy(v, x, blas64.Vector{N: x.N, Data: sum[i*k+i : (i+1)*k], Inc: 1})
				}
			}
			partial[lo/rowGrain] = mat.NewSymDense(k, sum)
		}
	})
	total := mat.NewSymDense(k, nil)
	for _, p := range partial {
		if p != nil {
			total.AddSym(total, p)
		}
	}
	return total, err
}

// eigen returns the eigenvalues of g that are not zero, largest first, and the
// matrix whose columns are their eigenvectors.
func eigen(g *mat.SymDense) (values []float64, vectors *mat.Dense, err error) {
	var e mat.EigenSym
	if !e.Factorize(g, true) {
		return nil, nil, errEigen
	}
	ascending := e.Values(nil)
	var all mat.Dense
	e.VectorsTo(&all)
	n := len(ascending)
	vectors = mat.NewDense(n, n, nil)
	for j := range n {
		value := ascending[n-1-j]
		if value <= 0 || value < rankTolerance*ascending[n-1] {
			break
		}
		values = append(values, value)
		for i := range n {
			vectors.Set(i, j, all.At(i, n-1-j))
		}
	}
	return values, vectors, nil
}

// product returns y * t for a tall y and a small t.
func product(ctx context.Context, y, t simd.Matrix) (simd.Matrix, error) {
	out := simd.NewMatrix(y.Rows, t.Dim)
	err := parallel(ctx, y.Rows, rowGrain, func() func(lo, hi int) {
		return func(lo, hi int) {
			for r := lo; r < hi; r++ {
				dst := out.Row(r)
				for i, v := range y.Row(r) {
					axpy(v, t.Row(i), dst)
				}
			}
		}
	})
	return out, err
}
