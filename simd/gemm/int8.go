package gemm

import "math"

// maxInt8 is what the largest size in a row of activations, and among an
// output's weights, becomes.
const maxInt8 = 127

// Bytes is a row-major matrix quantised row by row: the value in column c of
// row i is Scales[i] * (Data[i*Stride+c] - 128).
type Bytes struct {
	Data   []byte
	Scales []float32
	Stride int
}

// NewBytes returns memory for rows of a multiple of 32 columns, whole tiles of
// them.
func NewBytes(rows, columns int) Bytes {
	rows = TileRows(rows)
	return Bytes{make([]byte, rows*columns), make([]float32, rows), columns}
}

// Quantize writes the rows of a to q, whose Stride is the number of columns.
// The largest size in a row becomes 127, and values are rounded to the nearest,
// ties to even.
func (q Bytes) Quantize(a Rows) {
	need("a", len(a.Data), a.Count, a.Stride, q.Stride)
	need("q", len(q.Data), a.Count, q.Stride, q.Stride)
	if q.Stride <= 0 || q.Stride%Panel != 0 {
		panic("gemm: bytes need a multiple of 32 columns")
	}
	for i := range a.Count {
		quantizeRow(q.Data[i*q.Stride:][:q.Stride], &q.Scales[i], a.Data[i*a.Stride:][:q.Stride])
	}
}

// Int8Weights is a matrix packed for multiplication with bytes. Every column
// has a scale of its own. It is immutable and safe for concurrent use.
type Int8Weights struct {
	inner  int    // rounded up to whole panels
	panels []int8 // panel p holds inner/4 rows of 32 columns of 4 values
	start  []int32
	scales []float32
	bias   []float32
}

// PackInt8 packs the weights w of columns outputs, each of inner inputs, as
// [Pack] does, each output's rounded to its scale times -127..127.
func PackInt8(w []float32, columns, inner int, bias []float32) *Int8Weights {
	need("w", len(w), columns, inner, inner)
	padded := RoundUp(columns)
	p := &Int8Weights{
		inner:  RoundUp(inner),
		panels: make([]int8, padded*RoundUp(inner)),
		start:  make([]int32, padded),
		scales: make([]float32, padded),
		bias:   make([]float32, padded),
	}
	copy(p.bias[:columns], bias)
	for c := range columns {
		row := w[c*inner:][:inner]
		var largest float64
		for _, v := range row {
			largest = max(largest, math.Abs(float64(v)))
		}
		if largest == 0 {
			continue
		}
		scale := largest / maxInt8
		p.scales[c] = float32(scale)
		panel := p.panels[c/Panel*Panel*p.inner:]
		for k, v := range row {
			q := int8(math.RoundToEven(float64(v) / scale))
			panel[k/4*4*Panel+c%Panel*4+k%4] = q
			// The bytes are 128 more than the values they stand for.
			p.start[c] -= 128 * int32(q)
		}
	}
	return p
}

// Inner is the number of columns that the left matrix must have: the number of
// inputs, rounded up to a multiple of 32.
func (w *Int8Weights) Inner() int { return w.inner }

// Panels is the number of panels of 32 outputs.
func (w *Int8Weights) Panels() int { return len(w.bias) / Panel }

// Multiply writes the outputs of one panel for the first rows of a to 32
// columns of dst. The products and their sum are exact; only scaling it rounds.
func (w *Int8Weights) Multiply(dst Rows, a Bytes, rows, panel int) {
	need("dst", len(dst.Data), rows, dst.Stride, Panel)
	need("a", len(a.Data), TileRows(rows), a.Stride, w.inner)
	need("a's scales", len(a.Scales), rows, 1, 1)
	if rows <= 0 || w.inner == 0 {
		return
	}
	size := Panel * w.inner
	at := panel * Panel
	multiplyBytes(dst, a, rows, bytesPanel{
		values: w.panels[panel*size:][:size],
		inner:  w.inner,
		start:  (*[Panel]int32)(w.start[at:]),
		scales: (*[Panel]float32)(w.scales[at:]),
		bias:   (*[Panel]float32)(w.bias[at:]),
	})
}

// bytesPanel is one panel of Int8Weights.
type bytesPanel struct {
	values       []int8
	inner        int
	start        *[Panel]int32
	scales, bias *[Panel]float32
}

func multiplyBytesGo(dst Rows, a Bytes, rows int, p bytesPanel) {
	for i := range rows {
		sums := *p.start
		for k := 0; k < p.inner; k += 4 {
			v := (*[4]byte)(a.Data[i*a.Stride+k:])
			w := (*[4 * Panel]int8)(p.values[k*Panel:])
			for c := range sums {
				sums[c] += int32(v[0])*int32(w[4*c]) + int32(v[1])*int32(w[4*c+1]) +
					int32(v[2])*int32(w[4*c+2]) + int32(v[3])*int32(w[4*c+3])
			}
		}
		out := (*[Panel]float32)(dst.Data[i*dst.Stride:])
		for c, s := range sums {
			out[c] = float32(s)*p.scales[c]*a.Scales[i] + p.bias[c]
		}
	}
}

func quantizeGo(dst []byte, scale *float32, src []float32) {
	var largest float32
	for _, v := range src {
		largest = max(largest, float32(math.Abs(float64(v))))
	}
	*scale = max(largest, tiniest) / maxInt8
	inverse := 1 / *scale
	for i, v := range src {
		dst[i] = byte(128 + int32(math.RoundToEven(float64(v*inverse))))
	}
}

// tiniest is what the largest size in a row counts for at least, so that a row
// of zeros has a scale.
const tiniest = 1e-30
