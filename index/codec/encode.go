package codec

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"slices"

	"github.com/pare-search/pare/simd"
)

// Document is what EncodeAll encodes: a vector per row, and their token ids or
// nil.
type Document struct {
	Vectors simd.Matrix
	IDs     []uint32
}

// Encoded is the payload of a document and the cells its vectors lie in,
// distinct and ascending.
type Encoded struct {
	Payload Payload
	Cells   []uint32
	// Residual is the sum of the squares of the vectors' distances from the
	// centroids of their cells: how well the cells fit the vectors.
	Residual float64
}

// Encode returns the payload of one document, a vector per row. ids are the
// vectors' token ids or nil. No rows make a payload without vectors.
//
// The same vectors give the same bytes. It is safe for concurrent use. The
// error wraps ErrShape or simd.ErrNotFinite.
func (c *Codebook) Encode(vectors simd.Matrix, ids []uint32) (Encoded, error) {
	var out [1]Encoded
	_, err := c.encodeBatch(context.Background(), out[:], []Document{{vectors, ids}})
	return out[0], err
}

// EncodeAll returns what Encode does for each of several documents. It uses all
// processors, and it is faster on one as well, for vectors of different
// documents are compared with cells together. The error is that of ctx, or
// wraps ErrShape or simd.ErrNotFinite and names the document by its number.
func (c *Codebook) EncodeAll(ctx context.Context, documents []Document) ([]Encoded, error) {
	batches := cutBatches(documents)
	out := make([]Encoded, len(documents))
	errs := make([]error, len(batches))
	parallel(ctx, len(batches)-1, 1, func(batch, _ int) {
		lo, hi := batches[batch], batches[batch+1]
		if bad, err := c.encodeBatch(ctx, out[lo:hi], documents[lo:hi]); err != nil {
			errs[batch] = fmt.Errorf("document %d: %w", lo+bad, err)
		}
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := cmp.Or(errs...); err != nil {
		return nil, err
	}
	return out, nil
}

// cutBatches returns the first document of every batch, and the end.
func cutBatches(documents []Document) []int {
	const batchVectors = 2048 // enough to fill tiles
	batches := []int{0}
	vectors := 0
	for i, d := range documents {
		if vectors > 0 && vectors+d.Vectors.Rows > batchVectors {
			batches = append(batches, i)
			vectors = 0
		}
		vectors += d.Vectors.Rows
	}
	return append(batches, len(documents))
}

// EncodeRefinement appends the document's refinement to dst: its vectors as
// int8 with a scale each, by which Scorer.Refine scores again what Score finds
// good. It is safe for concurrent use. The error is that of ctx or wraps ErrShape
// or simd.ErrNotFinite.
func (c *Codebook) EncodeRefinement(ctx context.Context, dst []byte, vectors simd.Matrix) ([]byte, error) {
	if err := c.checkDocument(Document{Vectors: vectors}); err != nil {
		return dst, err
	}
	if _, err := appendSquares(ctx, nil, vectors); err != nil {
		return dst, fmt.Errorf("encode: %w", err)
	}
	dst, p := c.start(dst, nil, Int8, vectors.Rows, 0)
	c.putInt8(ctx, &p, vectors)
	return dst, ctx.Err()
}

// checkDocument checks all but the vectors' values.
func (c *Codebook) checkDocument(d Document) error {
	if d.Vectors.Rows > 0 && d.Vectors.Dim != c.dim {
		return fmt.Errorf("%w: %d dimensions, the codebook has %d", ErrShape, d.Vectors.Dim, c.dim)
	}
	if d.IDs != nil && len(d.IDs) != d.Vectors.Rows {
		return fmt.Errorf("%w: %d token ids for %d vectors", ErrShape, len(d.IDs), d.Vectors.Rows)
	}
	if d.Vectors.Rows > math.MaxInt32 {
		return fmt.Errorf("%w: %d vectors in one document", ErrShape, d.Vectors.Rows)
	}
	return nil
}

// encoder is what encoding needs beside the codebook. It serves one goroutine
// at a time.
type encoder struct {
	finder
	squares  []float64 // of the vectors' lengths
	distinct []uint32  // the cells of a document
	places   []int32   // of each cell among them, counted from 1; zeros between documents
	coder    coder
}

// encodeBatch sets the payload and the cells of every document in out. An error is
// that of ctx or of the document with the returned number.
func (c *Codebook) encodeBatch(ctx context.Context, out []Encoded, documents []Document) (bad int, err error) {
	e, _ := c.encoders.Get().(*encoder)
	if e == nil {
		e = &encoder{finder: c.newFinder(), places: make([]int32, c.Cells()), coder: c.newCoder()}
	}
	defer func() {
		e.reset()
		c.encoders.Put(e)
	}()
	e.squares = e.squares[:0]
	for i, d := range documents {
		if err := c.checkDocument(d); err != nil {
			return i, err
		}
		if e.squares, err = appendSquares(ctx, e.squares, d.Vectors); err != nil {
			return i, fmt.Errorf("encode: %w", err)
		}
		parts(ctx, d.Vectors.Rows, rowsAtOnce(c.dim), func(lo, hi int) {
			for row := lo; row < hi; row++ {
				e.add(d.Vectors.Row(row), idOf(d.IDs, row), d.IDs != nil)
			}
		})
	}
	e.find(ctx)
	start := 0
	for i, d := range documents {
		if err := ctx.Err(); err != nil {
			return i, err
		}
		end := start + d.Vectors.Rows
		e.encode(ctx, &out[i], d.Vectors, e.cells[start:end], e.squares[start:end])
		start = end
	}
	return 0, ctx.Err()
}

// encode sets the payload and the cells of a document, given the cells that its
// vectors lie in and the squares of their lengths. When ctx ends it leaves it
// unfinished.
func (e *encoder) encode(ctx context.Context, out *Encoded, vectors simd.Matrix, rowCells []uint32, squares []float64) {
	c := e.book
	cells := e.distinct[:0]
	var coded [maxForms]int // rows of each form
	for _, cell := range rowCells {
		if e.places[cell] == 0 {
			e.places[cell] = 1
			cells = append(cells, cell)
		}
		if number := c.formNumber(cell); number > 0 && c.kind.Residual() {
			coded[number-1]++
		}
	}
	slices.Sort(cells)
	names := c.putCells(cells)
	size := 0
	for i := range c.forms {
		size += coded[i] * c.forms[i].bytes()
	}
	codes, p := c.start(nil, names, c.kind, vectors.Rows, size)
	*out, e.distinct = Encoded{Payload: Payload{names, codes}, Cells: slices.Clone(cells)}, cells
	parts(ctx, len(rowCells), rowsAtOnce(c.dim), func(lo, hi int) {
		for row := lo; row < hi; row++ {
			out.Residual += squaredDistance(vectors.Row(row), c.Centroid(int(rowCells[row])))
		}
	})
	for i, cell := range cells {
		e.places[cell] = int32(i + 1)
	}
	switch c.kind {
	case Int8:
		c.putInt8(ctx, &p, vectors)
	case Float32:
		for i, x := range vectors.Data {
			binary.LittleEndian.PutUint32(p.body[4*i:], math.Float32bits(x))
		}
	default:
		e.putResiduals(ctx, &p, coded, vectors, rowCells, squares)
	}
	for _, cell := range cells {
		e.places[cell] = 0
	}
}

// putResiduals stores the places and the codes of the vectors, of which the forms
// have so many.
func (e *encoder) putResiduals(ctx context.Context, p *payload, coded [maxForms]int, vectors simd.Matrix, rowCells []uint32, squares []float64) {
	c := e.book
	var bodies [maxForms][]byte // factors and planes
	rest := p.body
	for i := range c.forms {
		size := coded[i] * c.forms[i].bytes()
		bodies[i], rest = rest[:size], rest[size:]
	}
	var next [maxForms]int
	atOnce := max(rowsAtOnce(c.dim)/8, 1)
	for row, cell := range rowCells {
		if row%atOnce == 0 {
			if ctx.Err() != nil {
				return
			}
			runtime.Gosched() // see parts
		}
		p.setPlace(row, int(e.places[cell])-1)
		number := c.formNumber(cell)
		if number == 0 {
			continue
		}
		f, rows, at := &c.forms[number-1], coded[number-1], next[number-1]
		next[number-1]++
		factor := e.coder.code(f, vectors.Row(row), squares[row], cell)
		body := bodies[number-1]
		body[at] = f.factors.code(factor)
		putPlanes(body[rows:], rows, f.bits, at, e.coder.codes)
	}
}

// putCells returns the names of cells.
func (c *Codebook) putCells(cells []uint32) []byte {
	width := c.CellBytes()
	names := make([]byte, 0, width*len(cells))
	for _, cell := range cells {
		for b := range width {
			names = append(names, byte(cell>>(8*b)))
		}
	}
	return names
}

// start appends codes with a header and room for the rest, those of a document
// in the cells that are named with so many bytes in forms.
func (c *Codebook) start(dst, cells []byte, kind Kind, rows, inForms int) ([]byte, payload) {
	places, factors, body := c.layout(kind, int64(rows), int64(len(cells)/c.CellBytes()))
	size := int(places+factors+body) + inForms
	dst = slices.Grow(dst, payloadFixed+binary.MaxVarintLen32+size)
	dst = append(dst, payloadVersion, byte(kind))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(c.checksum))
	dst = binary.AppendUvarint(dst, uint64(rows))
	at := len(dst)
	dst = append(dst, make([]byte, size)...)
	return dst, cut(cells, dst[at:], int64(rows), places, factors)
}

// putInt8 stores the vectors, until ctx ends.
func (c *Codebook) putInt8(ctx context.Context, p *payload, vectors simd.Matrix) {
	var codes [simd.MaxDim]int8
	atOnce := rowsAtOnce(c.dim)
	for row := range vectors.Rows {
		if row%atOnce == 0 && ctx.Err() != nil {
			return
		}
		scale := simd.QuantizeInt8(codes[:c.dim], vectors.Row(row))
		binary.LittleEndian.PutUint32(p.factors[4*row:], math.Float32bits(scale))
		for d, x := range codes[:c.dim] {
			p.body[row*c.dim+d] = byte(x)
		}
	}
}

// coder codes the residuals of vectors, one at a time. It serves one goroutine.
type coder struct {
	book     *Codebook
	codes    []uint8     // of the vector coded last
	residual simd.Matrix // one row
	rebuilt  []float32
	on       []float32 // axes
}

func (c *Codebook) newCoder() coder {
	on := 0
	if len(c.axes.scale) > 0 {
		on = c.axes.packed.Stride()
	}
	return coder{
		book: c, codes: make([]uint8, c.dim), residual: simd.NewMatrix(1, c.dim),
		rebuilt: make([]float32, c.dim), on: make([]float32, on),
	}
}

// code sets the codes of a vector and returns the factor that gives what they
// stand for the length of the vector, of which it is given the square.
func (e *coder) code(f *form, v []float32, square float64, cell uint32) (factor float64) {
	c := e.book
	centroid := c.Centroid(int(cell))
	var inverse float32
	if scale := c.cellScale[cell]; scale > 0 {
		inverse = 1 / scale
	}
	e.codes = e.codes[:f.dims]
	var rebuilt float64
	if f.onAxes {
		e.toAxes(v, centroid, inverse, f.dims)
		f.levels.code(e.codes, e.on[:f.dims], zeros[:f.dims], 1)
		rebuilt = e.squareOnAxes(f, cell)
	} else {
		f.levels.code(e.codes, v, centroid, inverse)
		rebuilt = c.rebuiltSquare(f, e.codes, cell)
	}
	if rebuilt == 0 {
		return 1
	}
	return math.Sqrt(square / rebuilt)
}

// zeros is a residual's centroid.
var zeros [simd.MaxDim]float32

// toAxes sets the coordinates of a residual times inverse on the first axes.
func (e *coder) toAxes(v, centroid []float32, inverse float32, n int) {
	residual := e.residual.Row(0)
	for d, x := range v {
		residual[d] = (x - centroid[d]) * inverse
	}
	e.book.axes.coordinates(e.on, e.residual, n)
}

// squareOnAxes returns the squared length of what codes of 1 bit on axes stand for,
// before its factor.
func (e *coder) squareOnAxes(f *form, cell uint32) float64 {
	e.book.rebuild(e.rebuilt, f, e.codes, cell)
	return square(e.rebuilt)
}

// rebuiltSquare returns the squared length of what codes stand for, before its
// factor.
func (c *Codebook) rebuiltSquare(f *form, codes []uint8, cell uint32) float64 {
	var steps [1 << 4]float32
	step := c.cellScale[cell] * f.levels.scale
	for code, weight := range f.levels.weights {
		steps[code] = step * float32(weight)
	}
	// Four sums do not wait for each other.
	var sums [4]float64
	centroid := c.Centroid(int(cell))
	for ; len(codes) >= 4 && len(centroid) >= 4; codes, centroid = codes[4:], centroid[4:] {
		w := float64(centroid[0] + steps[codes[0]%16])
		x := float64(centroid[1] + steps[codes[1]%16])
		y := float64(centroid[2] + steps[codes[2]%16])
		z := float64(centroid[3] + steps[codes[3]%16])
		sums[0] += w * w
		sums[1] += x * x
		sums[2] += y * y
		sums[3] += z * z
	}
	return sums[0] + sums[1] + (sums[2] + sums[3])
}
