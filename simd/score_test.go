package simd

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestMaxima compares the similarities of tokens with a plain loop over exact
// dot products: every bit must agree.
func TestMaxima(t *testing.T) {
	levels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(15, 16))
		for _, rows := range []int{0, 1, 4, 8, 9, 17, 32, 33, 41, 64, 65} {
			for _, tokens := range []int{0, 1, 5, 6, 7, 24, 120} {
				for _, dim := range []int{40, 128} {
					checkMaxima(t, rng, rows, tokens, dim)
				}
			}
		}
	})
}

func checkMaxima(t *testing.T, rng *rand.Rand, rows, tokens, dim int) {
	t.Helper()
	const lines = 5
	q := randomQuery(rng, rows, dim)
	stride := strideOf(rows)
	values := func(n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(rng.NormFloat64())
		}
		return v
	}
	scales, table, factors := values(stride), values(lines*stride), values(tokens)
	described := make([]Token, tokens)
	for i := range described {
		described[i] = Token{Line: rng.Int32N(lines), Scale: rng.Float32(), Factor: factors[i]}
	}
	if tokens > 2 { // no maximum is NaN
		factors[1], described[2].Factor = float32(math.NaN()), float32(math.NaN())
	}
	compare := func(name string, maxima func([]float32), similarity func(token, row int) float32) {
		t.Helper()
		want := values(rows)
		got, intact := guarded[float32](rows)
		copy(got, want)
		for token := range tokens {
			for row := range want {
				if s := similarity(token, row); s > want[row] {
					want[row] = s
				}
			}
		}
		maxima(got)
		intact(t)
		if !slices.Equal(got, want) {
			t.Fatalf("%s: %d rows, %d tokens of %d dimensions: %v, want %v", name, rows, tokens, dim, got, want)
		}
	}

	for _, codeBits := range []int{1, 2, 4} {
		weights := make([]int8, 1<<codeBits)
		for i := range weights {
			weights[i] = int8(rng.IntN(63) - 31)
		}
		planes := make([]byte, PlaneBytes(tokens, dim, codeBits))
		codes := randomPlanes(rng, tokens, dim, codeBits, planes)
		var packed CodeQuery
		packed.Reset(q, nil, weights)
		compare(fmt.Sprint(codeBits, " bits"), func(best []float32) {
			packed.Maxima(best, planes, described, scales, table)
		}, func(token, row int) float32 {
			values, _ := q.Codes(row)
			var dot int32
			for d, v := range values {
				dot += int32(v) * int32(weights[codes[token][d]])
			}
			of := described[token]
			step := float32(scales[row] * of.Scale)
			inner := float32(step * float32(dot))
			sum := float32(table[int(of.Line)*stride+row] + inner)
			return of.Factor * sum
		})
	}

	codes := make([]byte, tokens*dim)
	for i := range codes {
		codes[i] = byte(rng.Uint32())
	}
	var packed Int8Query
	packed.Reset(q, nil)
	compare("int8", func(best []float32) {
		packed.Maxima(best, codes, factors, scales)
	}, func(token, row int) float32 {
		values, _ := q.Codes(row)
		var dot int32
		for d, v := range values {
			dot += int32(v) * int32(int8(codes[token*dim+d]))
		}
		inner := float32(scales[row] * float32(dot))
		return factors[token] * inner
	})
}

// FuzzMaxima gives every level the same tokens, with any factors and scales,
// and wants the bits of plain Go.
func FuzzMaxima(f *testing.F) {
	f.Add(uint64(1), uint8(5), uint8(7), []byte("\x00\x00\x80\x7f\x00\x00\xc0\x7f"))
	f.Fuzz(func(t *testing.T, seed uint64, rows, tokens uint8, data []byte) {
		const dim, lines = 64, 3
		rng := rand.New(rand.NewPCG(seed, 0))
		r, n := int(rows%70), int(tokens%40)
		value := func() float32 {
			if len(data) < 4 {
				return float32(rng.NormFloat64())
			}
			bits := binary.LittleEndian.Uint32(data)
			data = data[4:]
			return math.Float32frombits(bits)
		}
		described := make([]Token, n)
		for i := range described {
			described[i] = Token{Line: rng.Int32N(lines), Scale: value(), Factor: value()}
		}
		scales, table := make([]float32, strideOf(r)), make([]float32, lines*strideOf(r))
		for _, v := range [][]float32{scales, table} {
			for i := range v {
				v[i] = value()
			}
		}
		planes := make([]byte, PlaneBytes(n, dim, 2))
		for i := range planes {
			planes[i] = byte(rng.Uint32())
		}
		q := randomQuery(rng, r, dim)
		var want []float32
		for l := levelGo; l <= bestLevel(); l++ {
			undo := setLevel(l)
			var packed CodeQuery
			packed.Reset(q, nil, []int8{-31, -9, 11, 31})
			best := make([]float32, r)
			Reset(best)
			packed.Maxima(best, planes, described, scales, table)
			undo()
			if l == levelGo {
				want = best
			}
			for i := range best {
				if math.Float32bits(best[i]) != math.Float32bits(want[i]) {
					t.Fatalf("%v, row %d: %v, want %v", l, i, best[i], want[i])
				}
			}
		}
	})
}
