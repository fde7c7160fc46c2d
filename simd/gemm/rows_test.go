package gemm

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestActivations compares with float64 over the range where the functions
// bend, and beyond it.
func TestActivations(t *testing.T) {
	for _, f := range []struct {
		name  string
		apply func(Rows)
		want  func(x float64) float64
	}{
		{"gelu", GELU, func(x float64) float64 { return x * (1 + math.Erf(x/math.Sqrt2)) / 2 }},
		{"gelu_new", GELUTanh, func(x float64) float64 {
			return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
		}},
		{"relu", ReLU, func(x float64) float64 { return max(x, 0) }},
	} {
		t.Run(f.name, func(t *testing.T) {
			levels(t, func(t *testing.T) {
				for _, span := range []struct{ limit, bound float64 }{{1e-3, 1e-9}, {1, 2e-7}, {4, 1e-6}, {12, 3e-6}, {1e4, 2e-3}} {
					const rows, stride = 201, 40
					x, intact := guarded(rows, stride, Panel)
					for i := range rows {
						for c := range Panel {
							x.Data[i*stride+c] = float32((float64(i*Panel+c)/(rows*Panel)*2 - 1) * span.limit)
						}
					}
					before := append([]float32(nil), x.Data...)
					f.apply(x)
					intact(t)
					for i := range rows {
						for c := range Panel {
							v := float64(before[i*stride+c])
							if got, want := float64(x.Data[i*stride+c]), f.want(v); !(math.Abs(got-want) <= span.bound) {
								t.Fatalf("f(%g) is %g, want %g ± %g", v, got, want, span.bound)
							}
						}
					}
				}
			})
		})
	}
}

func TestSoftmax(t *testing.T) {
	levels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		for _, n := range []int{1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 100, 301} {
			for _, spread := range []float64{0, 1, 30, 1e4} {
				const rows, scale = 5, 0.176
				width := RoundUp(n)
				x, intact := guarded(rows, width+8, width)
				values := make([]float64, rows*n)
				for i := range rows {
					for c := range width {
						x.Data[i*x.Stride+c] = float32(math.NaN()) // must not matter
					}
					for c := range n {
						x.Data[i*x.Stride+c] = float32(rng.NormFloat64()*spread - 3)
						values[i*n+c] = float64(x.Data[i*x.Stride+c])
					}
				}
				Softmax(x, n, scale)
				intact(t)
				for i := range rows {
					row := values[i*n:][:n]
					top, sum := math.Inf(-1), 0.0
					for _, v := range row {
						top = max(top, v)
					}
					for _, v := range row {
						sum += math.Exp((v - top) * float64(float32(scale)))
					}
					for c, v := range row {
						want := math.Exp((v-top)*float64(float32(scale))) / sum
						// The exponent is rounded at the size of the values.
						bound := want*(2e-6+0x1p-22*scale*max(math.Abs(v), math.Abs(top))) + 1e-37
						if got := float64(x.Data[i*x.Stride+c]); !(math.Abs(got-want) <= bound) {
							t.Fatalf("n %d, spread %g: [%d, %d] is %g, want %g ± %g", n, spread, i, c, got, want, bound)
						}
					}
				}
			}
		}
	})
}

func TestAddNorm(t *testing.T) {
	levels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(3, 4))
		for _, n := range []int{8, 16, 24, 32, 56, 128, 312, 384, 1024} {
			for _, mean := range []float32{0, 3, -100} {
				const epsilon = 1e-12
				a, b, gamma, beta := randomFloats(rng, n), randomFloats(rng, n), randomFloats(rng, n), randomFloats(rng, n)
				for i := range a {
					a[i] += mean
				}
				dst, intact := guarded(1, n, n)
				AddNorm(dst.Data, a, b, gamma, beta, epsilon)
				intact(t)
				var m, v float64
				for i := range a {
					m += float64(a[i] + b[i])
				}
				m /= float64(n)
				for i := range a {
					v += (float64(a[i]+b[i]) - m) * (float64(a[i]+b[i]) - m)
				}
				inverse := 1 / math.Sqrt(v/float64(n)+epsilon)
				for i := range a {
					want := (float64(a[i]+b[i])-m)*inverse*float64(gamma[i]) + float64(beta[i])
					bound := 1e-5 + 1e-6*math.Abs(float64(mean))*math.Abs(float64(gamma[i]))
					if got := float64(dst.Data[i]); !(math.Abs(got-want) <= bound) {
						t.Fatalf("n %d, mean %g: [%d] is %g, want %g", n, mean, i, got, want)
					}
				}
				AddNorm(a, a, b, gamma, beta, epsilon)
				for i := range a {
					if a[i] != dst.Data[i] {
						t.Fatalf("n %d: in place differs", n)
					}
				}
			}
		}
	})
}
