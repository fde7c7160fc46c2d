package simd

import (
	"errors"
	"fmt"
	"math"
)

// MaxDim is the largest supported number of dimensions of a token vector.
const MaxDim = 1024

// ErrShape reports a matrix whose sizes do not fit together or are not
// supported, ErrNotFinite one that holds a NaN or an infinity.
var (
	ErrShape     = errors.New("simd: bad matrix shape")
	ErrNotFinite = errors.New("simd: value is not finite")
)

// Matrix is a row-major matrix of token vectors: Rows vectors of Dim float32
// values in one backing slice. The zero value is an empty matrix.
type Matrix struct {
	Rows, Dim int
	Data      []float32 // len(Data) == Rows*Dim
}

// NewMatrix returns a zero matrix of rows x dim.
func NewMatrix(rows, dim int) Matrix {
	return Matrix{Rows: rows, Dim: dim, Data: make([]float32, rows*dim)}
}

// Row returns row i as a view into the matrix.
func (m Matrix) Row(i int) []float32 {
	return m.Data[i*m.Dim : (i+1)*m.Dim : (i+1)*m.Dim]
}

// Slice returns rows lo to hi-1 as a view into the matrix.
func (m Matrix) Slice(lo, hi int) Matrix {
	return Matrix{Rows: hi - lo, Dim: m.Dim, Data: m.Data[lo*m.Dim : hi*m.Dim : hi*m.Dim]}
}

// CheckDim reports whether dim is a supported vector width: a multiple of 8
// from 8 to MaxDim.
func CheckDim(dim int) error {
	if dim < 8 || dim > MaxDim || dim%8 != 0 {
		return fmt.Errorf("%w: %d dimensions, want a multiple of 8 from 8 to %d", ErrShape, dim, MaxDim)
	}
	return nil
}

// Validate checks that the sizes agree, that the width is supported and that
// every value is finite. The error names the first bad row and column.
func (m Matrix) Validate() error {
	if err := m.ValidateShape(); err != nil {
		return err
	}
	for i, v := range m.Data {
		// The difference is NaN for NaN and for both infinities, else zero.
		if v-v != 0 {
			return fmt.Errorf("%w: row %d, column %d is %v", ErrNotFinite, i/m.Dim, i%m.Dim, v)
		}
	}
	return nil
}

// ValidateShape is Validate but for the values, so that it takes no time.
func (m Matrix) ValidateShape() error {
	if m.Rows < 0 || len(m.Data) != m.Rows*m.Dim {
		return fmt.Errorf("%w: %d rows of %d dimensions need %d values, have %d",
			ErrShape, m.Rows, m.Dim, m.Rows*m.Dim, len(m.Data))
	}
	if m.Rows == 0 && m.Dim == 0 {
		return nil
	}
	return CheckDim(m.Dim)
}

// Normalize scales every row to length 1 in place. Rows of length zero stay
// as they are.
func (m Matrix) Normalize() {
	for i := range m.Rows {
		row := m.Row(i)
		var sum float64
		for _, v := range row {
			sum += float64(v) * float64(v)
		}
		if sum == 0 {
			continue
		}
		inv := float32(1 / math.Sqrt(sum))
		for d := range row {
			row[d] *= inv
		}
	}
}
