package simd

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// levels calls f once for every level of this machine.
func levels(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	for l := levelGo; l <= bestLevel(); l++ {
		t.Run(l.String(), func(t *testing.T) {
			defer setLevel(l)()
			f(t)
		})
	}
}

func TestSetLevel(t *testing.T) {
	best := Level()
	undo := setLevel(levelGo)
	if Level() != "go" {
		t.Errorf("level %q, want go", Level())
	}
	undo()
	if Level() != best {
		t.Errorf("level %q, want %q again", Level(), best)
	}
	defer setLevel(levelAVX512)()
	if Level() != best {
		t.Errorf("level %q is more than this machine's %q", Level(), best)
	}
}

// Lengths around every tile and block.
var (
	floatRows    = []int{0, 1, 7, 8, 9, 16, 17, 31, 32, 33, 40, 48, 49, 64, 65}
	floatVectors = []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 16, 17, 24, 25}
)

func TestFloatQueryDots(t *testing.T) {
	levels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(9, 10))
		for _, dim := range []int{8, 24, 128} {
			for _, rows := range floatRows {
				for _, vectors := range floatVectors {
					checkFloats(t, randomMatrix(rng, rows, dim), randomMatrix(rng, vectors, dim))
				}
			}
		}
		for _, dim := range []int{384, 1024} { // several calls for one matrix
			checkFloats(t, randomMatrix(rng, 33, dim), randomMatrix(rng, 200, dim))
		}
	})
}

func randomMatrix(rng *rand.Rand, rows, dim int) Matrix {
	m := NewMatrix(rows, dim)
	for i := range m.Data {
		m.Data[i] = float32(rng.NormFloat64())
	}
	return m
}

// checkFloats compares Dots and Maxima with plain sums in float64, and each
// dot product with that of the two vectors alone.
func checkFloats(t *testing.T, query, vectors Matrix) {
	t.Helper()
	var all, pair FloatQuery
	all.Reset(query, nil)
	n := all.Stride()
	dots, intact := guarded[float32](vectors.Rows * n)
	all.Dots(dots, vectors)
	intact(t)
	best, intact := guarded[float32](query.Rows)
	Reset(best)
	all.Maxima(best, vectors, vectors.Data)
	intact(t)

	name := fmt.Sprintf("%d rows, %d vectors of %d dimensions", query.Rows, vectors.Rows, query.Dim)
	want := make([]float32, query.Rows)
	Reset(want)
	for j := range query.Rows {
		pair.Reset(query, []int{j})
		one := make([]float32, pair.Stride())
		for i := range vectors.Rows {
			got := dots[i*n+j]
			want[j] = max(want[j], got)
			var sum, size float64
			for d, x := range vectors.Row(i) {
				product := float64(x) * float64(query.Row(j)[d])
				sum += product
				size += math.Abs(product)
			}
			if math.Abs(float64(got)-sum) > size*float64(query.Dim)/(1<<23) {
				t.Fatalf("%s: vector %d, row %d: %v, want %v", name, i, j, got, sum)
			}
			if i < 10 || i == vectors.Rows-1 {
				if pair.Dots(one, vectors.Slice(i, i+1)); one[0] != got {
					t.Fatalf("%s: vector %d, row %d: %v, alone %v", name, i, j, got, one[0])
				}
			}
		}
	}
	if !slices.Equal(best, want) {
		t.Fatalf("%s: maxima %v, want %v", name, best, want)
	}
}

// TestFloatLevelsAgree checks that the levels with fused multiply-adds give the
// same bits.
func TestFloatLevelsAgree(t *testing.T) {
	if bestLevel() < levelAVX512 {
		t.Skip("this machine has no two such levels")
	}
	rng := rand.New(rand.NewPCG(11, 12))
	query, vectors := randomMatrix(rng, 60, 96), randomMatrix(rng, 29, 96)
	var dots [2][]float32
	for i, l := range []level{levelAVX2, levelAVX512} {
		undo := setLevel(l)
		var q FloatQuery
		q.Reset(query, nil)
		dots[i] = make([]float32, vectors.Rows*q.Stride())
		q.Dots(dots[i], vectors)
		undo()
	}
	if !slices.Equal(dots[0], dots[1]) {
		t.Error("avx2 and avx512 differ")
	}
}

// FuzzFloatQuery runs every level on the same values.
func FuzzFloatQuery(f *testing.F) {
	f.Add(uint8(5), uint8(3), uint8(1), []byte("any bytes will do"))
	f.Fuzz(func(t *testing.T, rows, vectors, eights uint8, data []byte) {
		dim := 8 * (1 + int(eights%16))
		query, docs := NewMatrix(int(rows%70), dim), NewMatrix(int(vectors%30), dim)
		for _, m := range []Matrix{query, docs} {
			for i := range m.Data {
				if len(data) < 2 {
					break
				}
				m.Data[i] = float32(int16(binary.LittleEndian.Uint16(data)))
				data = data[2:]
			}
		}
		for l := levelGo; l <= bestLevel(); l++ {
			undo := setLevel(l)
			checkFloats(t, query, docs)
			undo()
		}
	})
}
