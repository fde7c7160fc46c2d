//go:build !noasm

package simd

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/viterin/vek/vek32"
)

// BenchmarkKernels compares each kernel with the machine's peak for its
// instructions and with a double loop over vek32.Dot. The three take turns in
// every iteration, so that all see the same clock and the same neighbours; the
// best time of each counts.
//
//	go test -run - -bench Kernels ./simd
func BenchmarkKernels(b *testing.B) {
	const dim, vectors = 128, 120
	rng := rand.New(rand.NewPCG(1, 1))
	docs := randomMatrix(rng, vectors, dim)
	codes := make([]byte, vectors*dim)
	for i := range codes {
		codes[i] = byte(rng.Uint32())
	}
	for l := levelAVX2; l <= bestLevel(); l++ {
		floatPeak, intPeak := peaks(l)
		for _, rows := range []int{4, 8, 16, 32} {
			query := randomMatrix(rng, rows, dim)
			name := func(kernel string) string { return fmt.Sprintf("%s/%v/rows=%d", kernel, l, rows) }

			b.Run(name("float-dots"), func(b *testing.B) {
				defer setLevel(l)()
				var q FloatQuery
				q.Reset(query, nil)
				dots := make([]float32, vectors*q.Stride())
				compare(b, rows*vectors, dim, floatPeak, query, docs, func() { q.Dots(dots, docs) })
			})
			b.Run(name("float-maxsim"), func(b *testing.B) {
				defer setLevel(l)()
				q := PackQuery(query)
				best := make([]float32, rows)
				compare(b, rows*vectors, dim, floatPeak, query, docs, func() { q.MaxSim(docs, best) })
			})
			b.Run(name("int8"), func(b *testing.B) {
				defer setLevel(l)()
				var q Int8Query
				q.Reset(PackQuery(query), nil)
				dots := make([]int32, vectors*q.Stride())
				compare(b, rows*vectors, dim, intPeak, query, docs, func() { q.Dots(dots, codes) })
			})
			for _, codeBits := range []int{1, 2, 4} {
				b.Run(name(fmt.Sprintf("codes%d", codeBits)), func(b *testing.B) {
					defer setLevel(l)()
					var q CodeQuery
					q.Reset(PackQuery(query), nil, weightsOf(codeBits))
					dots := make([]int32, vectors*q.Stride())
					planes := codes[:PlaneBytes(vectors, dim, codeBits)]
					compare(b, rows*vectors, dim, intPeak, query, docs, func() { q.Dots(dots, planes, vectors) })
				})
				b.Run(name(fmt.Sprintf("codes%d-maxsim", codeBits)), func(b *testing.B) {
					defer setLevel(l)()
					var q CodeQuery
					q.Reset(PackQuery(query), nil, weightsOf(codeBits))
					planes := codes[:PlaneBytes(vectors, dim, codeBits)]
					tokens := make([]Token, vectors)
					for i := range tokens {
						tokens[i] = Token{Line: int32(i % 64), Scale: 1, Factor: 1}
					}
					scales, lines := make([]float32, q.Stride()), make([]float32, 64*q.Stride())
					best := make([]float32, rows)
					compare(b, rows*vectors, dim, intPeak, query, docs, func() {
						q.Maxima(best, planes, tokens, scales, lines)
					})
				})
			}
		}
	}
}

// weightsOf returns weights as large as the codec's.
func weightsOf(codeBits int) []int8 {
	return map[int][]int8{
		1: {-31, 31},
		2: {-31, -10, 10, 31},
		4: {-63, -50, -41, -33, -26, -19, -12, -6, 0, 6, 12, 19, 26, 33, 46, 63},
	}[codeBits]
}

// peak is a loop of independent instructions.
type peak struct {
	run      func(turns int)
	products int // of one turn
}

// peaks returns the peak loops of a level for float32 and int8.
func peaks(l level) (float, int8s peak) {
	if l == levelAVX512 {
		return peak{peakFloatAVX512, 12 * 16}, peak{peakInt8AVX512, 12 * 64}
	}
	return peak{peakFloatAVX2, 12 * 8}, peak{peakInt8AVX2, 12 * 64}
}

// compare measures kernel, which compares so many pairs of vectors, and
// reports million pairs per second, the share of the peak and the ratio to the
// loop over vek32.Dot.
func compare(b *testing.B, pairs, dim int, p peak, query, docs Matrix, kernel func()) {
	b.Helper()
	var sum float32
	loop := func() {
		for t := range docs.Rows {
			for j := range query.Rows {
				sum += vek32.Dot(query.Row(j), docs.Row(t))
			}
		}
	}
	const fast, turns = 8, 4096
	best := [3]time.Duration{time.Hour, time.Hour, time.Hour}
	for b.Loop() {
		for i, f := range []func(){
			func() {
				for range fast {
					kernel()
				}
			},
			func() { p.run(turns) },
			loop,
		} {
			start := time.Now()
			f()
			best[i] = min(best[i], time.Since(start))
		}
	}
	rate := func(products int, d time.Duration) float64 {
		return float64(products) / float64(dim) / d.Seconds() / 1e6
	}
	mine := rate(fast*pairs*dim, best[0])
	b.ReportMetric(mine, "Mpair/s")
	b.ReportMetric(100*mine/rate(turns*p.products, best[1]), "%peak")
	b.ReportMetric(mine/rate(pairs*dim, best[2]), "x-vek")
	b.ReportMetric(0, "ns/op") // of all three: says nothing
}
