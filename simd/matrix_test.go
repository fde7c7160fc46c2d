package simd

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

func TestValidate(t *testing.T) {
	inf := NewMatrix(2, 8)
	inf.Data[9] = float32(math.Inf(-1))
	for _, test := range []struct {
		m    Matrix
		want error
	}{
		{Matrix{}, nil},
		{Matrix{Dim: 8}, nil},
		{NewMatrix(3, MaxDim), nil},
		{NewMatrix(3, 12), ErrShape},
		{NewMatrix(3, MaxDim+8), ErrShape},
		{Matrix{Rows: -1, Dim: 8}, ErrShape},
		{Matrix{Rows: 2, Dim: 8, Data: make([]float32, 15)}, ErrShape},
		{inf, ErrNotFinite},
	} {
		if err := test.m.Validate(); !errors.Is(err, test.want) {
			t.Errorf("%d x %d: %v, want %v", test.m.Rows, test.m.Dim, err, test.want)
		}
	}
}

func TestNormalize(t *testing.T) {
	m := NewMatrix(2, 8)
	m.Data[1], m.Data[2] = 3, -4
	m.Normalize()
	if m.Data[1] != 0.6 || m.Data[2] != -0.8 {
		t.Errorf("3, -4 became %v", m.Row(0))
	}
	for _, x := range m.Row(1) {
		if x != 0 {
			t.Errorf("the zero row became %v", m.Row(1))
		}
	}
}

func TestMaxSim(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for _, dim := range testDims {
		q, doc := randomQuery(rng, 5, dim), randomQuery(rng, 9, dim).Float()
		best := make([]float32, q.Rows)
		Reset(best)
		q.MaxSim(doc.Slice(0, 4), best)
		q.MaxSim(doc.Slice(4, 9), best)
		var sum float64
		for i := range q.Rows {
			want := math.Inf(-1)
			var size float64
			for token := range doc.Rows {
				var dot float64
				for d, x := range doc.Row(token) {
					dot += float64(x) * float64(q.Float().Row(i)[d])
					size = max(size, math.Abs(float64(x)))
				}
				want = max(want, dot)
			}
			sum += want
			if diff := math.Abs(float64(best[i]) - want); diff > 1e-6*size*float64(dim) {
				t.Errorf("%d dimensions, row %d: %v, want %v", dim, i, best[i], want)
			}
		}
		if diff := math.Abs(float64(Sum(best)) - sum); diff > 1e-4*float64(dim) {
			t.Errorf("%d dimensions: sum %v, want %v", dim, Sum(best), sum)
		}
	}
}

func TestEmptySums(t *testing.T) {
	best := make([]float32, 3)
	Reset(best)
	(&Query{Rows: 3, Dim: 8}).MaxSim(Matrix{Dim: 8}, best)
	if got := Sum(best); got != 0 {
		t.Errorf("a document without vectors scores %v", got)
	}
	best[1] = 2
	if got := Sum(best); got != 2 {
		t.Errorf("one matched row sums to %v, want 2", got)
	}
	if got := Dot(nil, nil); got != 0 {
		t.Errorf("empty dot product is %v", got)
	}
	Add(nil, nil)
}
