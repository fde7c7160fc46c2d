package table

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"

	"github.com/pare-search/pare/simd"
)

var (
	// ErrInvalid reports a matrix, frequencies or options that no table can be
	// made of.
	ErrInvalid = errors.New("table: invalid input")
	// ErrBudget reports a budget that is below what a method needs for the
	// matrix.
	ErrBudget = errors.New("table: budget too small")
	// ErrCorrupt reports saved bytes that are no table or are damaged, ErrVersion
	// ones of a version that this package does not read. The text names the
	// field.
	ErrCorrupt = errors.New("table: corrupt table")
	ErrVersion = errors.New("table: unsupported table version")
)

// Options say how a matrix is compressed.
type Options struct {
	// Budget is what the saved table may have in bytes, everything counted.
	Budget int
	// Frequencies are how often the row of each token is looked up: what an error
	// in it weighs, and which rows get more of the budget. nil means equally
	// often. A frequency of zero counts a little, since it may be wrong.
	Frequencies []int64
	// Sensitivities are how much worse searches become with the same squared error in a
	// look-up of each row, by any scale: what "banded-retrieval" chooses bits by. nil
	// means alike.
	Sensitivities []float64
	// Unknown is the row that "used-rows" gives all tokens that do not occur, such as
	// that of [UNK]; nil gives them the mean of their own rows. Other methods have no
	// use for it.
	Unknown *int
	// Seed of everything that is drawn.
	Seed uint64
}

// problem is what a method is given: a matrix that is valid, and a weight above
// zero for each of its rows.
type problem struct {
	simd.Matrix
	weights       []float64
	sensitivities []float64 // nil if all are alike
	budget        int
	seed          uint64
	unknown       *int
}

// Table gives the rows of a compressed matrix. It is immutable and safe for
// concurrent use.
type Table struct {
	method    string
	rows, dim int
	form      form
	saved     []byte
}

// form makes rows from what is stored. It writes all of dst, which has the
// table's width.
type form interface {
	row(dst []float32, id int)
}

// Fit compresses a matrix of one row per token to a budget by a method of
// Methods. The same input gives the same table, whatever the number of
// processors. Errors wrap ErrInvalid or ErrBudget, or are the context's.
func Fit(ctx context.Context, method string, matrix simd.Matrix, options Options) (*Table, error) {
	m, err := find(method)
	if err != nil {
		return nil, err
	}
	weights, err := check(matrix, options)
	if err != nil {
		return nil, err
	}
	overhead := len(save(method, matrix.Rows, matrix.Dim, node{})) - node{}.size()
	root, err := fitAll(ctx, problem{matrix, weights, options.Sensitivities, options.Budget - overhead, options.Seed, options.Unknown}, m.fit)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	saved := save(method, matrix.Rows, matrix.Dim, root)
	if len(saved) > options.Budget {
		return nil, fmt.Errorf("%s: %w: needs %d bytes, may have %d", method, ErrBudget, len(saved), options.Budget)
	}
	return Load(saved)
}

// Plain returns a table of the rows as they are, in float32. The error wraps
// ErrInvalid.
func Plain(matrix simd.Matrix) (*Table, error) {
	if _, err := check(matrix, Options{Budget: math.MaxInt}); err != nil {
		return nil, err
	}
	return Load(save("plain", matrix.Rows, matrix.Dim, plainRows(matrix)))
}

// unseen is the weight of a row that is never looked up; every look-up adds 1.
const unseen = 1

// largest bounds the values of a matrix: weighted squares of much larger ones are
// not finite in float32.
const largest = 1e6

// check returns the rows' weights.
func check(matrix simd.Matrix, options Options) ([]float64, error) {
	if matrix.Rows < 1 || matrix.Dim < 1 || matrix.Rows > math.MaxInt32 || matrix.Dim > maxDim {
		return nil, fmt.Errorf("%w: a matrix of %d x %d", ErrInvalid, matrix.Rows, matrix.Dim)
	}
	if len(matrix.Data) != matrix.Rows*matrix.Dim {
		return nil, fmt.Errorf("%w: a matrix of %d x %d with %d values", ErrInvalid, matrix.Rows, matrix.Dim, len(matrix.Data))
	}
	for i, v := range matrix.Data {
		if !(v >= -largest && v <= largest) {
			return nil, fmt.Errorf("%w: row %d, column %d is %v", ErrInvalid, i/matrix.Dim, i%matrix.Dim, v)
		}
	}
	if options.Budget < 1 {
		return nil, fmt.Errorf("%w: %d bytes", ErrBudget, options.Budget)
	}
	if u := options.Unknown; u != nil && (*u < 0 || *u >= matrix.Rows) {
		return nil, fmt.Errorf("%w: row %d of %d for unknown tokens", ErrInvalid, *u, matrix.Rows)
	}
	if n := len(options.Sensitivities); options.Sensitivities != nil && n != matrix.Rows {
		return nil, fmt.Errorf("%w: %d sensitivities for %d rows", ErrInvalid, n, matrix.Rows)
	}
	for i, s := range options.Sensitivities {
		if !(s >= 0 && s <= math.MaxFloat32) {
			return nil, fmt.Errorf("%w: the sensitivity of row %d is %v", ErrInvalid, i, s)
		}
	}
	weights := slices.Repeat([]float64{unseen}, matrix.Rows)
	if options.Frequencies == nil {
		return weights, nil
	}
	if len(options.Frequencies) != matrix.Rows {
		return nil, fmt.Errorf("%w: %d frequencies for %d rows", ErrInvalid, len(options.Frequencies), matrix.Rows)
	}
	for i, f := range options.Frequencies {
		if f < 0 {
			return nil, fmt.Errorf("%w: the frequency of row %d is %d", ErrInvalid, i, f)
		}
		weights[i] += float64(f)
	}
	return weights, nil
}

// Method is the name of the method that made the table.
func (t *Table) Method() string { return t.method }

// Rows is the number of rows.
func (t *Table) Rows() int { return t.rows }

// Dim is the width of a row.
func (t *Table) Dim() int { return t.dim }

// Size is the number of bytes of the saved table.
func (t *Table) Size() int { return len(t.saved) }

// Row writes row id to dst, which has Dim values. It allocates nothing. An id
// that is no row panics, as an index does.
func (t *Table) Row(dst []float32, id int) {
	if uint(id) >= uint(t.rows) || len(dst) != t.dim {
		panic(fmt.Sprintf("table: row %d of %d, %d of %d dimensions", id, t.rows, len(dst), t.dim))
	}
	t.form.row(dst, id)
	runtime.KeepAlive(t) // with it a mapping may go
}

// Matrix returns all rows.
func (t *Table) Matrix() simd.Matrix {
	m := simd.NewMatrix(t.rows, t.dim)
	for id := range t.rows {
		t.form.row(m.Row(id), id)
	}
	runtime.KeepAlive(t)
	return m
}
