package gemm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pare-search/pare/simd"
)

// BenchmarkMultiply measures a layer's product of 192 tokens, beside what the
// machine can do at best.
func BenchmarkMultiply(b *testing.B) {
	const rows = 192
	rng := rand.New(rand.NewPCG(1, 2))
	for _, size := range [][2]int{{384, 1152}, {384, 1536}, {1536, 384}} {
		inner, columns := size[0], size[1]
		products := float64(rows * inner * columns)
		values := randomFloats(rng, inner*columns)
		a, dst := randomRows(rng, rows, inner), Rows{make([]float32, rows*columns), rows, columns}
		w, w8, q := Pack(values, columns, inner, nil), PackInt8(values, columns, inner, nil), NewBytes(rows, inner)
		q.Quantize(a)
		levelsBench(b, fmt.Sprintf("%dx%d", inner, columns), func(b *testing.B) {
			b.Run("float", func(b *testing.B) {
				for b.Loop() {
					for p := range w.Panels() {
						w.Multiply(dst.Columns(p*Panel), a, p)
					}
				}
				report(b, products, simd.FloatPeak())
			})
			b.Run("int8", func(b *testing.B) {
				for b.Loop() {
					for p := range w8.Panels() {
						w8.Multiply(dst.Columns(p*Panel), q, rows, p)
					}
				}
				report(b, products, simd.Int8Peak())
			})
		})
	}
}

// BenchmarkRows measures the kernels between products, in nanoseconds per 1,000
// values.
func BenchmarkRows(b *testing.B) {
	const rows, n = 96, 384
	rng := rand.New(rand.NewPCG(1, 2))
	x, y, q := randomRows(rng, rows, n), randomRows(rng, rows, n), NewBytes(rows, n)
	panel := make([]float32, n*Panel)
	perPanel := func(f func(Rows)) func() {
		return func() {
			for c := 0; c < n; c += Panel {
				f(x.Columns(c))
			}
		}
	}
	for _, f := range []struct {
		name string
		run  func()
	}{
		{"gelu", perPanel(GELU)},
		{"gelu_new", perPanel(GELUTanh)},
		{"softmax", func() { Softmax(x, n, 0.1) }},
		{"softmax150", func() { Softmax(x, 150, 0.1) }},
		{"quantize", func() { q.Quantize(x) }},
		{"norm", func() {
			for i := range rows {
				row := x.Data[i*n:][:n]
				AddNorm(row, row, y.Data[i*n:][:n], y.Data[:n], y.Data[n:2*n], 1e-12)
			}
		}},
		{"transpose", func() {
			for i := 0; i < rows; i += Panel {
				Transpose(panel, x.From(i, i+Panel), n)
			}
		}},
	} {
		levelsBench(b, f.name, func(b *testing.B) {
			for b.Loop() {
				f.run()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(rows*n)*1000, "ns/1000")
		})
	}
}

func levelsBench(b *testing.B, name string, bench func(b *testing.B)) {
	for _, level := range simd.Levels()[1:] {
		b.Run(name+"/"+level, func(b *testing.B) {
			undo, err := simd.SetLevel(level)
			if err != nil {
				b.Fatal(err)
			}
			defer undo()
			bench(b)
		})
	}
}

// report gives the products per nanosecond and their share of the best of
// several runs of the peak loop.
func report(b *testing.B, products float64, peak simd.PeakLoop) {
	b.StopTimer()
	rate := products * float64(b.N) / float64(b.Elapsed().Nanoseconds())
	b.ReportMetric(rate, "products/ns")
	const turns = 20_000
	best := time.Duration(math.MaxInt64)
	for range 20 {
		start := time.Now()
		peak.Run(turns)
		best = min(best, time.Since(start))
	}
	b.ReportMetric(rate*float64(best.Nanoseconds())/float64(turns*peak.Products), "of-peak")
}
