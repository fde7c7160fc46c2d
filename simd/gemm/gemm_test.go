package gemm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/pare-search/pare/simd"
)

// levels runs a test at every level of the machine.
func levels(t *testing.T, test func(t *testing.T)) {
	for _, name := range simd.Levels() {
		t.Run(name, func(t *testing.T) {
			undo, err := simd.SetLevel(name)
			if err != nil {
				t.Fatal(err)
			}
			defer undo()
			test(t)
		})
	}
}

// mark is what memory holds that must not be written.
const mark = 77

// guarded returns rows amid marked memory: around them and between the columns
// from width on. check tells whether it was written to.
func guarded(count, stride, width int) (rows Rows, check func(t *testing.T)) {
	const guard = 64
	all := make([]float32, guard+count*stride+guard)
	for i := range all {
		all[i] = mark
	}
	rows = Rows{all[guard : guard+count*stride], count, stride}
	return rows, func(t *testing.T) {
		t.Helper()
		for i, v := range all {
			inside := i >= guard && i < guard+count*stride && (i-guard)%stride < width
			if !inside && v != mark {
				t.Fatalf("value %d outside the rows was written", i-guard)
			}
		}
	}
}

func randomFloats(rng *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(rng.NormFloat64())
	}
	return v
}

// randomRows returns rows with memory for whole tiles.
func randomRows(rng *rand.Rand, count, stride int) Rows {
	return Rows{randomFloats(rng, TileRows(count)*stride), count, stride}
}

var testRows = []int{1, 2, 5, 6, 7, 11, 12, 13, 18, 23, 24, 25, 40}

// TestMultiply compares with float64. A sum of n products, each rounded once
// or twice, is off by at most n+1 half units of the sum of their sizes.
func TestMultiply(t *testing.T) {
	levels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		for _, rows := range testRows {
			for _, inner := range []int{1, 2, 3, 4, 5, 8, 31, 32, 100, 384} {
				a := randomRows(rng, rows, inner+rng.IntN(3))
				panel := randomFloats(rng, inner*Panel)
				bias := [Panel]float32(randomFloats(rng, Panel))
				dst, intact := guarded(rows, Panel+8, Panel)
				Multiply(dst, a, panel, inner, &bias)
				intact(t)
				for i := range rows {
					for c := range Panel {
						want, size := float64(bias[c]), math.Abs(float64(bias[c]))
						for k := range inner {
							p := float64(a.Data[i*a.Stride+k]) * float64(panel[k*Panel+c])
							want, size = want+p, size+math.Abs(p)
						}
						got := float64(dst.Data[i*dst.Stride+c])
						if bound := size * float64(inner+1) * 0x1p-23; math.Abs(got-want) > bound {
							t.Fatalf("%d rows, inner %d: [%d, %d] is %g, want %g ± %g", rows, inner, i, c, got, want, bound)
						}
					}
				}
			}
		}
	})
}

// TestMultiplyAlike has the same rows multiplied in other company: not a bit
// may differ.
func TestMultiplyAlike(t *testing.T) {
	levels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(3, 4))
		const inner, rows = 77, 30
		a := randomRows(rng, rows+tileRows, inner)
		w := Pack(randomFloats(rng, Panel*inner), Panel, inner, randomFloats(rng, Panel))
		q := NewBytes(rows, 96)
		q.Quantize(randomRows(rng, rows, 96))
		w8 := PackInt8(randomFloats(rng, Panel*96), Panel, 96, nil)
		whole, whole8 := make([]float32, rows*Panel), make([]float32, rows*Panel)
		w.Multiply(Rows{whole, rows, Panel}, a.From(0, rows), 0)
		w8.Multiply(Rows{whole8, rows, Panel}, q, rows, 0)
		for i := range rows {
			one := make([]float32, Panel)
			w.Multiply(Rows{one, 1, Panel}, a.From(i, i+1), 0)
			if [Panel]float32(one) != [Panel]float32(whole[i*Panel:]) {
				t.Fatalf("row %d alone differs", i)
			}
			w8.Multiply(Rows{one, 1, Panel}, Bytes{append(q.Data[i*96:], make([]byte, 12*96)...), q.Scales[i:], 96}, 1, 0)
			if [Panel]float32(one) != [Panel]float32(whole8[i*Panel:]) {
				t.Fatalf("row %d of bytes alone differs", i)
			}
		}
	})
}

// TestWeights multiplies by matrices of odd sizes: columns beyond the last are
// zero.
func TestWeights(t *testing.T) {
	levels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(5, 6))
		for _, columns := range []int{1, 8, 31, 32, 33, 64, 100} {
			for _, inner := range []int{1, 8, 20, 40} {
				w, bias := randomFloats(rng, columns*inner), randomFloats(rng, columns)
				packed := Pack(w, columns, inner, bias)
				if packed.Inner() != inner || packed.Panels() != (columns+31)/32 {
					t.Fatalf("%d x %d: inner %d, %d panels", columns, inner, packed.Inner(), packed.Panels())
				}
				const rows = 7
				a := randomRows(rng, rows, inner)
				width := packed.Panels() * Panel
				dst, intact := guarded(rows, width, width)
				for p := range packed.Panels() {
					packed.Multiply(dst.Columns(p*Panel), a, p)
				}
				intact(t)
				for i := range rows {
					for c := range width {
						var want float64
						if c < columns {
							want = float64(bias[c])
							for k := range inner {
								want += float64(a.Data[i*inner+k]) * float64(w[c*inner+k])
							}
						}
						if got := float64(dst.Data[i*width+c]); math.Abs(got-want) > 1e-5 {
							t.Fatalf("%d x %d: [%d, %d] is %g, want %g", columns, inner, i, c, got, want)
						}
					}
				}
			}
		}
	})
}

// quantized is a plain reading of how a row becomes integers.
func quantized(row []float32) (values []int, scale float64) {
	largest := 1e-30
	for _, v := range row {
		largest = max(largest, math.Abs(float64(v)))
	}
	scale = largest / 127
	for _, v := range row {
		values = append(values, int(math.RoundToEven(float64(v)/scale)))
	}
	return values, scale
}

// TestQuantize allows a value that lies half between two integers to become
// either.
func TestQuantize(t *testing.T) {
	levels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(7, 8))
		for _, columns := range []int{32, 64, 96, 384} {
			for _, size := range []float32{0, 1e-38, 1e-6, 1, 1e6, 1e30} {
				a := randomRows(rng, 3, columns+5)
				for i := range a.Data {
					a.Data[i] *= size
				}
				q := NewBytes(3, columns)
				q.Quantize(a)
				for i := range 3 {
					row := a.Data[i*a.Stride:][:columns]
					want, scale := quantized(row)
					if math.Abs(float64(q.Scales[i])-scale) > 1e-6*scale {
						t.Fatalf("size %g: scale %g, want %g", size, q.Scales[i], scale)
					}
					for c, v := range row {
						got := int(q.Data[i*columns+c]) - 128
						if got != want[c] && math.Abs(float64(v)/scale-float64(got)) > 0.5001 || got < -127 {
							t.Fatalf("size %g: %g became %d, want %d", size, v, got, want[c])
						}
					}
				}
			}
		}
	})
}

// TestQuantizeAlike compares levels: the bytes are the same, and so are the
// scales.
func TestQuantizeAlike(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	a := randomRows(rng, 50, 384)
	var first Bytes
	levels(t, func(t *testing.T) {
		q := NewBytes(50, 384)
		q.Quantize(a)
		if first.Data == nil {
			first = q
		}
		for i, v := range q.Data[:50*384] {
			if v != first.Data[i] || q.Scales[i/384] != first.Scales[i/384] {
				t.Fatalf("row %d, column %d: %d, want %d", i/384, i%384, v, first.Data[i])
			}
		}
	})
}

// TestMultiplyInt8 compares with a plain loop over integers, which is exact;
// values at their limits drive every sum of two products to its own.
func TestMultiplyInt8(t *testing.T) {
	fill := map[string]func(rng *rand.Rand) float32{
		"random": func(rng *rand.Rand) float32 { return float32(rng.NormFloat64()) },
		"high":   func(*rand.Rand) float32 { return 1 },
		"low":    func(*rand.Rand) float32 { return -1 },
	}
	levels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(11, 12))
		for left, leftValue := range fill {
			for right, rightValue := range fill {
				for _, rows := range testRows {
					for _, size := range [][2]int{{32, 1}, {32, 32}, {40, 33}, {8, 384}, {32, 1536}} {
						columns, inner := size[0], size[1]
						name := fmt.Sprintf("%s x %s, %d rows, %d x %d", left, right, rows, columns, inner)
						w, bias := make([]float32, columns*inner), randomFloats(rng, columns)
						for i := range w {
							w[i] = rightValue(rng)
						}
						packed := PackInt8(w, columns, inner, bias)
						a := Rows{make([]float32, rows*packed.Inner()), rows, packed.Inner()}
						for i := range rows {
							for c := range inner {
								a.Data[i*a.Stride+c] = leftValue(rng)
							}
						}
						q := NewBytes(rows, packed.Inner())
						q.Quantize(a)
						checkInt8(t, name, packed, q, rows, w, columns, inner, bias)
					}
				}
			}
		}
	})
}

func checkInt8(t *testing.T, name string, packed *Int8Weights, q Bytes, rows int, w []float32, columns, inner int, bias []float32) {
	t.Helper()
	width := packed.Panels() * Panel
	dst, intact := guarded(rows, width, width)
	for p := range packed.Panels() {
		packed.Multiply(dst.Columns(p*Panel), q, rows, p)
	}
	intact(t)
	for c := range columns {
		var largest float64
		for _, v := range w[c*inner:][:inner] {
			largest = max(largest, math.Abs(float64(v)))
		}
		scale := largest / 127
		for i := range rows {
			var sum int
			for k, v := range w[c*inner:][:inner] {
				sum += (int(q.Data[i*q.Stride+k]) - 128) * int(math.RoundToEven(float64(v)/scale))
			}
			want := float64(sum)*scale*float64(q.Scales[i]) + float64(bias[c])
			got := float64(dst.Data[i*width+c])
			// Three roundings of the product and one of the sum; half an
			// integer's worth would show.
			if math.Abs(got-want) > 4*0x1p-24*(math.Abs(want)+2*math.Abs(float64(bias[c]))) {
				t.Fatalf("%s: [%d, %d] is %g, want %g", name, i, c, got, want)
			}
		}
	}
}

func TestTranspose(t *testing.T) {
	levels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(13, 14))
		for _, inner := range []int{8, 16, 32, 64, 72} {
			src := Rows{randomFloats(rng, Panel*(inner+3)), 5, inner + 3}
			dst, intact := guarded(inner, Panel, Panel)
			Transpose(dst.Data, src, inner)
			intact(t)
			for k := range inner {
				for c := range Panel {
					if got, want := dst.Data[k*Panel+c], src.Data[c*src.Stride+k]; got != want {
						t.Fatalf("inner %d: [%d, %d] is %g, want %g", inner, k, c, got, want)
					}
				}
			}
		}
	})
}

func TestShortSlicesPanic(t *testing.T) {
	rows := func(n int) Rows { return Rows{make([]float32, n), 3, Panel} }
	w := Pack(make([]float32, Panel*Panel), Panel, Panel, nil)
	w8 := PackInt8(make([]float32, Panel*Panel), Panel, Panel, nil)
	q := NewBytes(3, Panel)
	full, row := rows(12*Panel), make([]float32, 8)
	for name, call := range map[string]func(){
		"dst":       func() { w.Multiply(rows(3*Panel-1), full, 0) },
		"a":         func() { w.Multiply(full, rows(12*Panel-1), 0) },
		"panel":     func() { w.Multiply(full, full, 1) },
		"int8 dst":  func() { w8.Multiply(rows(3*Panel-1), q, 3, 0) },
		"int8 a":    func() { w8.Multiply(full, q, 13, 0) },
		"quantize":  func() { q.Quantize(rows(3*Panel - 1)) },
		"softmax":   func() { Softmax(full, 400, 1) },
		"gelu":      func() { GELU(rows(1)) },
		"norm":      func() { AddNorm(row, row, row[:4], row, row, 0) },
		"transpose": func() { Transpose(make([]float32, 7), full, 8) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			call()
		})
	}
}

// FuzzMultiply compares the machine's kernels with plain Go.
func FuzzMultiply(f *testing.F) {
	f.Add(uint64(1), uint8(13), uint16(100))
	f.Fuzz(func(t *testing.T, seed uint64, rows uint8, inner uint16) {
		n, k := int(rows%50)+1, int(inner%500)+1
		rng := rand.New(rand.NewPCG(seed, 0))
		a, panel, bias := randomRows(rng, n, k), randomFloats(rng, k*Panel), [Panel]float32(randomFloats(rng, Panel))
		got, want := Rows{make([]float32, n*Panel), n, Panel}, Rows{make([]float32, n*Panel), n, Panel}
		Multiply(got, a, panel, k, &bias)
		multiplyGo(want, a, panel, k, &bias)
		for i, w := range want.Data {
			if math.Abs(float64(got.Data[i]-w)) > 1e-5*float64(k) {
				t.Fatalf("%d rows, inner %d: %g, want %g", n, k, got.Data[i], w)
			}
		}
	})
}
