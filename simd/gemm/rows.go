package gemm

import "math"

// GELU replaces x by x·Φ(x), Φ being the normal distribution's, in 32 columns
// of every row. The absolute error is below 1e-6 for |x| up to 4 and 3e-6
// beyond.
func GELU(x Rows) {
	need("x", len(x.Data), x.Count, x.Stride, Panel)
	if x.Count > 0 {
		gelu(x)
	}
}

// GELUTanh replaces x by ½x(1 + tanh(√(2/π)(x + 0.044715x³))), the form of GELU
// that is called gelu_new, in 32 columns of every row. The absolute error is
// below 1e-6 for |x| up to 4.
func GELUTanh(x Rows) {
	need("x", len(x.Data), x.Count, x.Stride, Panel)
	if x.Count > 0 {
		geluTanh(x)
	}
}

// ReLU replaces x by max(x, 0) in 32 columns of every row.
func ReLU(x Rows) {
	need("x", len(x.Data), x.Count, x.Stride, Panel)
	if x.Count > 0 {
		relu(x)
	}
}

// Softmax replaces the first n values of every row by exp(scale·x) over their
// sum. Rows have memory for a multiple of 32 values; what lies after the first
// n is overwritten.
func Softmax(x Rows, n int, scale float32) {
	need("x", len(x.Data), x.Count, x.Stride, RoundUp(n))
	if x.Count > 0 && n > 0 {
		softmax(x, n, scale)
	}
}

// AddNorm is layer normalisation of the sum of two rows v = a+b of a multiple
// of 8 values: (v - mean(v)) / sqrt(variance(v)+epsilon) · gamma + beta. dst may
// be a or b. All slices have the length of dst.
func AddNorm(dst, a, b, gamma, beta []float32, epsilon float32) {
	n := len(dst)
	if len(a) != n || len(b) != n || len(gamma) != n || len(beta) != n || n%8 != 0 {
		panic("gemm: rows to normalise differ in length or are no multiple of 8")
	}
	if n > 0 {
		addNorm(dst, a, b, gamma, beta, epsilon)
	}
}

// each applies f to 32 columns of every row.
func each(x Rows, f func(float64) float64) {
	for i := range x.Count {
		row := x.Data[i*x.Stride:][:Panel]
		for c, v := range row {
			row[c] = float32(f(float64(v)))
		}
	}
}

func geluOf(x float64) float64 { return x * 0.5 * math.Erfc(-x/math.Sqrt2) }

func geluTanhOf(x float64) float64 {
	return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
}

func reluOf(x float64) float64 { return max(x, 0) }

func softmaxGo(x Rows, n int, scale float32) {
	for i := range x.Count {
		row := x.Data[i*x.Stride:][:n]
		top := row[0]
		for _, v := range row {
			top = max(top, v)
		}
		var sum float64
		for c, v := range row {
			e := math.Exp(float64((v - top) * scale))
			row[c] = float32(e)
			sum += e
		}
		inverse := float32(1 / sum)
		for c := range row {
			row[c] *= inverse
		}
	}
}

func addNormGo(dst, a, b, gamma, beta []float32, epsilon float32) {
	n := float64(len(dst))
	var mean, variance float64
	for i := range dst {
		dst[i] = a[i] + b[i]
		mean += float64(dst[i])
	}
	mean /= n
	for _, v := range dst {
		variance += (float64(v) - mean) * (float64(v) - mean)
	}
	inverse := 1 / math.Sqrt(variance/n+float64(epsilon))
	for i, v := range dst {
		dst[i] = float32((float64(v)-mean)*inverse)*gamma[i] + beta[i]
	}
}
