package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

var testDims = []int{8, 24, 40, 96, 128, 384, 768, 1024}

// randomQuery returns a query with int8 values of full range: every row holds
// its largest value.
func randomQuery(rng *rand.Rand, rows, dim int) *Query {
	m := NewMatrix(rows, dim)
	for i := range m.Data {
		m.Data[i] = float32(rng.NormFloat64())
	}
	return PackQuery(m)
}

// flatQuery returns a query whose int8 values are all 127 or -127.
func flatQuery(rows, dim int, sign float32) *Query {
	m := NewMatrix(rows, dim)
	for i := range m.Data {
		m.Data[i] = sign
	}
	return PackQuery(m)
}

// guarded returns a slice of n values amid others, and a check that those are
// untouched.
func guarded[T int32 | float32 | byte](n int) (s []T, check func(*testing.T)) {
	const guard, mark = 16, 77
	all := make([]T, n+2*guard)
	for i := range all {
		all[i] = mark
	}
	return all[guard : guard+n : guard+n], func(t *testing.T) {
		t.Helper()
		for i := range guard {
			if all[i] != mark || all[guard+n+i] != mark {
				t.Fatalf("value %d outside the slice was written", i)
			}
		}
	}
}

var selections = []struct {
	name  string
	query int
	rows  []int
}{
	{"none", 3, []int{}},
	{"one", 5, []int{4}},
	{"all of 7", 7, nil},
	{"some", 9, []int{8, 0, 3, 3}},
	{"all of 64", 64, nil},
}

func TestInt8QueryDots(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var packed Int8Query
	for _, dim := range testDims {
		for _, sel := range selections {
			for _, tokens := range []int{0, 1, 3, 10} {
				q := randomQuery(rng, sel.query, dim)
				codes, intact := guarded[byte](tokens * dim)
				for i := range codes {
					codes[i] = byte(rng.Uint32())
				}
				packed.Reset(q, sel.rows)
				checkInt8(t, q, sel.rows, &packed, codes, fmt.Sprint(dim, " ", sel.name, " ", tokens))
				intact(t)
			}
		}
	}
}

// TestInt8QueryExtremes drives every lane to its limit in both directions.
func TestInt8QueryExtremes(t *testing.T) {
	for _, dim := range testDims {
		for _, sign := range []float32{1, -1} {
			for _, code := range []int8{-128, -127, 127} {
				codes := make([]byte, 2*dim)
				for i := range codes {
					codes[i] = byte(code)
				}
				var packed Int8Query
				q := flatQuery(4, dim, sign)
				packed.Reset(q, nil)
				checkInt8(t, q, nil, &packed, codes, fmt.Sprint(dim, " ", sign, " ", code))
			}
		}
	}
}

func checkInt8(t *testing.T, q *Query, rows []int, packed *Int8Query, codes []byte, name string) {
	t.Helper()
	if rows == nil {
		rows = allRows(q.Rows)
	}
	tokens := len(codes) / q.Dim
	dst, intact := guarded[int32](tokens * packed.Stride())
	packed.Dots(dst, codes)
	intact(t)
	for i, row := range rows {
		values, _ := q.Codes(row)
		for token := range tokens {
			var want int32
			for d, v := range values {
				want += int32(v) * int32(int8(codes[token*q.Dim+d]))
			}
			if got := dst[token*packed.Stride()+i]; got != want {
				t.Fatalf("%s: token %d, row %d: %d, want %d", name, token, row, got, want)
			}
		}
	}
}

func allRows(n int) []int {
	rows := make([]int, n)
	for i := range rows {
		rows[i] = i
	}
	return rows
}

// randomPlanes returns random codes and the planes that hold them.
func randomPlanes(rng *rand.Rand, tokens, dim, codeBits int, planes []byte) [][]uint8 {
	clear(planes)
	codes := make([][]uint8, tokens)
	for t := range codes {
		codes[t] = make([]uint8, dim)
		for d := range codes[t] {
			codes[t][d] = uint8(rng.IntN(1 << codeBits))
			SetCode(planes, tokens, dim, codeBits, t, d, codes[t][d])
		}
	}
	return codes
}

func TestCodeQueryDots(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var packed CodeQuery
	for _, codeBits := range []int{1, 2, 4} {
		weights := make([]int8, 1<<codeBits)
		for _, dim := range testDims {
			for _, sel := range selections {
				for _, tokens := range []int{0, 1, 3, 10} {
					for i := range weights {
						weights[i] = int8(rng.IntN(255) - 127)
					}
					q := randomQuery(rng, sel.query, dim)
					planes, intact := guarded[byte](PlaneBytes(tokens, dim, codeBits))
					codes := randomPlanes(rng, tokens, dim, codeBits, planes)
					packed.Reset(q, sel.rows, weights, 1)
					checkCodes(t, q, sel.rows, weights, &packed, planes, codes,
						fmt.Sprint(codeBits, " bits ", dim, " ", sel.name, " ", tokens))
					intact(t)
				}
			}
		}
	}
}

// TestCodeQueryExtremes drives every lane to its limit in both directions.
func TestCodeQueryExtremes(t *testing.T) {
	var packed CodeQuery
	for _, codeBits := range []int{1, 2, 4} {
		for _, dim := range testDims {
			for _, limit := range []int8{31, 63, 127} {
				weights := make([]int8, 1<<codeBits)
				for i := range weights {
					weights[i] = limit
					if i%2 == 0 {
						weights[i] = -limit
					}
				}
				for _, fill := range []byte{0x00, 0xff} {
					planes := make([]byte, PlaneBytes(2, dim, codeBits))
					codes := [][]uint8{make([]uint8, dim), make([]uint8, dim)}
					for i := range planes {
						planes[i] = fill
					}
					for d := range dim {
						codes[0][d] = fill & (1<<codeBits - 1)
						codes[1][d] = codes[0][d]
					}
					q := flatQuery(4, dim, 1)
					packed.Reset(q, nil, weights, 1)
					checkCodes(t, q, nil, weights, &packed, planes, codes, fmt.Sprint(codeBits, dim, limit, fill))
				}
			}
		}
	}
}

func checkCodes(t *testing.T, q *Query, rows []int, weights []int8, packed *CodeQuery, planes []byte, codes [][]uint8, name string) {
	t.Helper()
	if rows == nil {
		rows = allRows(q.Rows)
	}
	dst, intact := guarded[int32](len(codes) * packed.Stride())
	packed.Dots(dst, planes, len(codes))
	intact(t)
	for i, row := range rows {
		values, _ := q.Codes(row)
		for token, code := range codes {
			var want int32
			for d, v := range values {
				want += int32(v) * int32(weights[code[d]])
			}
			if got := dst[token*packed.Stride()+i]; got != want {
				t.Fatalf("%s: token %d, row %d: %d, want %d", name, token, row, got, want)
			}
		}
	}
}

// TestIntegerTails meets every number of rows and tokens around the tiles.
func TestIntegerTails(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	for _, rows := range []int{1, 3, 4, 5, 8, 9, 16, 17, 32, 33, 36, 37, 41, 64, 65} {
		for _, tokens := range []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 16, 17, 25, 97} {
			for _, dim := range []int{56, 64} {
				checkIntegers(t, rng, rows, tokens, dim)
			}
		}
	}
	for _, dim := range []int{8, 120, 128, 192, 1024} {
		checkIntegers(t, rng, 33, 50, dim)
	}
}

// checkIntegers compares random codes of every kind.
func checkIntegers(t *testing.T, rng *rand.Rand, rows, tokens, dim int) {
	t.Helper()
	q := randomQuery(rng, rows, dim)
	name := fmt.Sprintf("%d rows, %d tokens of %d dimensions", rows, tokens, dim)
	codes := make([]byte, tokens*dim)
	for i := range codes {
		codes[i] = byte(rng.Uint32())
	}
	var int8s Int8Query
	int8s.Reset(q, nil)
	checkInt8(t, q, nil, &int8s, codes, name)

	var packed CodeQuery
	for _, codeBits := range []int{1, 2, 4} {
		for _, limit := range []int{31, 127} {
			weights := make([]int8, 1<<codeBits)
			for i := range weights {
				weights[i] = int8(rng.IntN(2*limit+1) - limit)
			}
			planes := make([]byte, PlaneBytes(tokens, dim, codeBits))
			codes := randomPlanes(rng, tokens, dim, codeBits, planes)
			packed.Reset(q, nil, weights, 1)
			checkCodes(t, q, nil, weights, &packed, planes, codes, fmt.Sprintf("%d bits, %s", codeBits, name))
		}
	}
}

// FuzzIntegers compares dot products with plain sums.
func FuzzIntegers(f *testing.F) {
	f.Add(uint8(5), uint8(3), uint8(1), uint8(2), []byte("some weights and codes"))
	f.Fuzz(func(t *testing.T, rows, tokens, eights, bits uint8, data []byte) {
		r, n, dim, codeBits := int(rows%70), int(tokens%40), 8*(1+int(eights%20)), 1<<(bits%3)
		next := func() byte {
			if len(data) == 0 {
				return 0
			}
			b := data[0]
			data = data[1:]
			return b
		}
		weights := make([]int8, 1<<codeBits)
		for i := range weights {
			weights[i] = int8(next())
		}
		m := NewMatrix(r, dim)
		for i := range m.Data {
			m.Data[i] = float32(int8(next()))
		}
		bytes := make([]byte, n*dim)
		planes := make([]byte, PlaneBytes(n, dim, codeBits))
		for i := range bytes {
			bytes[i] = next()
		}
		codes := make([][]uint8, n)
		for token := range codes {
			codes[token] = make([]uint8, dim)
			for d := range dim {
				codes[token][d] = bytes[token*dim+d] & (1<<codeBits - 1)
				SetCode(planes, n, dim, codeBits, token, d, codes[token][d])
			}
		}
		q := PackQuery(m)
		var int8s Int8Query
		int8s.Reset(q, nil)
		checkInt8(t, q, nil, &int8s, bytes, "int8")
		var packed CodeQuery
		packed.Reset(q, nil, weights, 1)
		checkCodes(t, q, nil, weights, &packed, planes, codes, "codes")
	})
}

func TestCodeReturnsWhatWasSet(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, codeBits := range []int{1, 2, 4} {
		planes := make([]byte, PlaneBytes(5, 24, codeBits))
		for token, codes := range randomPlanes(rng, 5, 24, codeBits, planes) {
			for d, want := range codes {
				if got := Code(planes, 5, 24, codeBits, token, d); got != want {
					t.Fatalf("%d bits: token %d, dimension %d: %d, want %d", codeBits, token, d, got, want)
				}
			}
		}
	}
}

func TestQuantizeInt8(t *testing.T) {
	const tiny = math.SmallestNonzeroFloat32
	for _, v := range [][]float32{
		{0, 0}, {1, -1}, {1, 0.5}, {3, -2.5}, {1e30, -3e38}, {tiny, 0}, {1e-40, -3e-39},
	} {
		codes := make([]int8, len(v))
		scale := QuantizeInt8(codes, v)
		for i, x := range v {
			back := float64(scale) * float64(codes[i])
			if math.Abs(back-float64(x)) > 0.51*float64(scale) && math.Abs(float64(x)) > 127*tiny {
				t.Errorf("%v: %v came back as %v with scale %v", v, x, back, scale)
			}
			if codes[i] == -128 {
				t.Errorf("%v gave -128", v)
			}
		}
	}
}

func BenchmarkCodeQueryDots(b *testing.B) {
	const rows, tokens, dim = 32, 120, 128
	rng := rand.New(rand.NewPCG(1, 1))
	q := randomQuery(rng, rows, dim)
	for _, codeBits := range []int{1, 2, 4} {
		b.Run(fmt.Sprintf("%dbit", codeBits), func(b *testing.B) {
			planes := make([]byte, PlaneBytes(tokens, dim, codeBits))
			randomPlanes(rng, tokens, dim, codeBits, planes)
			weights := make([]int8, 1<<codeBits)
			for i := range weights {
				weights[i] = int8(i*8 - 31)
			}
			var packed CodeQuery
			packed.Reset(q, nil, weights, 1)
			dst := make([]int32, packed.Stride()*tokens)
			for b.Loop() {
				packed.Dots(dst, planes, tokens)
			}
			reportPairs(b, rows*tokens)
		})
	}
}

func BenchmarkCodeQueryReset(b *testing.B) {
	q := randomQuery(rand.New(rand.NewPCG(1, 1)), 32, 128)
	for _, codeBits := range []int{1, 2, 4} {
		b.Run(fmt.Sprintf("%dbit", codeBits), func(b *testing.B) {
			var packed CodeQuery
			for b.Loop() {
				packed.Reset(q, nil, make([]int8, 1<<codeBits), 1)
			}
		})
	}
}

func BenchmarkInt8QueryDots(b *testing.B) {
	const rows, tokens, dim = 32, 120, 128
	q := randomQuery(rand.New(rand.NewPCG(1, 1)), rows, dim)
	var packed Int8Query
	packed.Reset(q, nil)
	codes := make([]byte, tokens*dim)
	dst := make([]int32, packed.Stride()*tokens)
	for b.Loop() {
		packed.Dots(dst, codes)
	}
	reportPairs(b, rows*tokens)
}

func BenchmarkMaxSim(b *testing.B) {
	const rows, tokens, dim = 32, 120, 128
	q := randomQuery(rand.New(rand.NewPCG(1, 1)), rows, dim)
	doc := randomQuery(rand.New(rand.NewPCG(1, 2)), tokens, dim).Float()
	best := make([]float32, rows)
	for b.Loop() {
		q.MaxSim(doc, best)
	}
	reportPairs(b, rows*tokens)
}

// reportPairs reports the (query row, token) pairs compared per second.
func reportPairs(b *testing.B, pairs int) {
	b.Helper()
	b.ReportMetric(float64(pairs)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mpair/s")
}
