package gemm

import "fmt"

// Panel is the number of columns of a panel.
const Panel = 32

// tileRows is a multiple of the rows of every kernel's tile.
const tileRows = 12

// RoundUp returns the number of columns of whole panels that n columns need.
func RoundUp(n int) int { return (n + Panel - 1) / Panel * Panel }

// TileRows returns how many rows the kernels read when they are given n: whole
// tiles. What lies in the rows from n on does not matter.
func TileRows(n int) int { return (n + tileRows - 1) / tileRows * tileRows }

// Rows is a view of a row-major matrix: Count rows, each beginning Stride
// values after the one before.
type Rows struct {
	Data          []float32
	Count, Stride int
}

// From returns the rows from lo to hi-1. The view's data goes on to the end.
func (r Rows) From(lo, hi int) Rows {
	return Rows{Data: r.Data[lo*r.Stride:], Count: hi - lo, Stride: r.Stride}
}

// Columns returns the view without the first n columns.
func (r Rows) Columns(n int) Rows {
	return Rows{Data: r.Data[n:], Count: r.Count, Stride: r.Stride}
}

// need panics when there are fewer values than the rows need.
func need(what string, have, rows, stride, width int) {
	if n := (rows-1)*stride + width; rows > 0 && (have < n || stride < 0 || width < 0) {
		panic(fmt.Sprintf("gemm: %s has %d values, %d rows of %d, %d apart, need %d", what, have, rows, width, stride, n))
	}
}

// Multiply writes bias + a·panel, 32 columns, to dst. The panel holds inner
// rows of 32 values, and bias one row; a has inner columns, and memory for
// [TileRows] of its rows. A result is the bias, to which inner products are
// added in order, each rounded once but in plain Go twice.
func Multiply(dst, a Rows, panel []float32, inner int, bias *[Panel]float32) {
	need("dst", len(dst.Data), a.Count, dst.Stride, Panel)
	need("a", len(a.Data), TileRows(a.Count), a.Stride, inner)
	need("panel", len(panel), inner, Panel, Panel)
	if a.Count > 0 && inner > 0 {
		multiply(dst, a, panel, inner, bias)
	}
}

// Weights is a matrix packed for multiplication, with a bias for each column.
// It is immutable and safe for concurrent use.
type Weights struct {
	inner  int
	panels []float32 // panel p holds inner rows of 32 columns
	bias   []float32
}

// Pack packs the weights w of columns outputs, each of inner inputs: the matrix
// [columns x inner], row-major, as model files have it. A nil bias is zero.
func Pack(w []float32, columns, inner int, bias []float32) *Weights {
	need("w", len(w), columns, inner, inner)
	p := &Weights{
		inner:  inner,
		panels: make([]float32, RoundUp(columns)*inner),
		bias:   make([]float32, RoundUp(columns)),
	}
	copy(p.bias[:columns], bias)
	for first := 0; first < columns; first += Panel {
		panel := p.panels[first*inner:][:Panel*inner]
		if columns-first >= Panel && inner%8 == 0 {
			Transpose(panel, Rows{w[first*inner:], Panel, inner}, inner)
			continue
		}
		for c := range min(Panel, columns-first) {
			for k, v := range w[(first+c)*inner:][:inner] {
				panel[k*Panel+c] = v
			}
		}
	}
	return p
}

// Inner is the number of inputs, Panels that of panels of 32 outputs.
func (w *Weights) Inner() int { return w.inner }

// Panels is the number of panels of 32 outputs.
func (w *Weights) Panels() int { return len(w.bias) / Panel }

// Multiply writes the outputs of one panel for every row of a to 32 columns of
// dst. The outputs of columns beyond the last are zero. See [Multiply] for the
// memory that a needs.
func (w *Weights) Multiply(dst, a Rows, panel int) {
	size := Panel * w.inner
	Multiply(dst, a, w.panels[panel*size:][:size], w.inner, (*[Panel]float32)(w.bias[panel*Panel:]))
}

// Transpose writes 32 rows of inner values as a panel, so that a product with
// it is one with the rows' transpose. inner is a multiple of 8. There must be
// memory for 32 rows whatever src.Count is; the columns of rows from src.Count
// on hold what lies there.
func Transpose(panel []float32, src Rows, inner int) {
	need("panel", len(panel), inner, Panel, Panel)
	need("src", len(src.Data), Panel, src.Stride, inner)
	if inner%8 != 0 {
		panic(fmt.Sprintf("gemm: %d values to transpose are no multiple of 8", inner))
	}
	if inner > 0 {
		transposePanel(panel, src, inner)
	}
}

func multiplyGo(dst, a Rows, panel []float32, inner int, bias *[Panel]float32) {
	for i := range a.Count {
		sums := *bias
		for k, v := range a.Data[i*a.Stride:][:inner] {
			p := (*[Panel]float32)(panel[k*Panel:])
			for c := range sums {
				sums[c] += v * p[c]
			}
		}
		copy(dst.Data[i*dst.Stride:][:Panel], sums[:])
	}
}

func transposeGo(panel []float32, src Rows, inner int) {
	for c := range Panel {
		for k, v := range src.Data[c*src.Stride:][:inner] {
			panel[k*Panel+c] = v
		}
	}
}
