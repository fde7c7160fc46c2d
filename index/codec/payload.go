package codec

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/pare-search/pare/simd"
)

// A document's payload, little-endian, nothing aligned:
//
//	format version          1
//	kind                    1
//	codebook                2   low 16 bits of its checksum
//	rows                    4   number of vectors
//
// then, for the residual kinds,
//
//	cells                   2 * rows, or 3 * rows above 65,536 cells
//	factors, float16        2 * rows
//	plane 0                 dim/8 * rows
//	plane 1                 dim/8 * rows    residual2 and residual4
//	planes 2-3              dim/4 * rows    residual4
//
// for int8
//
//	scales, float32         4 * rows
//	values, int8            dim * rows
//
// and for float32
//
//	values                  4 * dim * rows
//
// Planes run from coarse to fine, so the bytes that matter most come first;
// package simd defines their bits. A residual vector is
//
//	factor * (centroid + residual scale of the cell * weight scale * weights)
//
// where the factor gives it the length of the vector it stands for.
const (
	payloadHeader  = 8
	payloadVersion = 1 // version 1 is the first one
)

// payload is a parsed payload: views into its bytes.
type payload struct {
	rows    int
	cells   []byte
	factors []byte
	body    []byte // planes or values
}

// cellBytes returns the width of a cell id.
func (c *Codebook) cellBytes() int {
	if c.Cells() <= 1<<16 {
		return 2
	}
	return 3
}

// rowBytes returns how many bytes of cells, factors and values a vector takes.
func (c *Codebook) rowBytes() (cell, factor, body int) {
	switch c.kind {
	case Int8:
		return 0, 4, c.dim
	case Float32:
		return 0, 0, 4 * c.dim
	}
	return c.cellBytes(), 2, simd.PlaneBytes(1, c.dim, c.kind.bits())
}

// PayloadBytes returns the size of the payload of so many vectors.
func (c *Codebook) PayloadBytes(rows int) int {
	cell, factor, body := c.rowBytes()
	return payloadHeader + rows*(cell+factor+body)
}

// parse checks the header and the sizes of a payload. It reads nothing else.
func (c *Codebook) parse(data []byte) (payload, error) {
	if len(data) < payloadHeader {
		return payload{}, fmt.Errorf("%w: payload header: %d bytes", ErrCorrupt, len(data))
	}
	if data[0] != payloadVersion {
		return payload{}, fmt.Errorf("%w: payload format %d, want %d", ErrVersion, data[0], payloadVersion)
	}
	if Kind(data[1]) != c.kind {
		return payload{}, fmt.Errorf("%w: payload kind %v, the codebook's is %v", ErrCorrupt, Kind(data[1]), c.kind)
	}
	if tag := binary.LittleEndian.Uint16(data[2:]); tag != uint16(c.checksum) {
		return payload{}, fmt.Errorf("%w: payload is of codebook %04x, not %04x", ErrCorrupt, tag, uint16(c.checksum))
	}
	rows := int64(binary.LittleEndian.Uint32(data[4:]))
	cell, factor, body := c.rowBytes()
	if int64(len(data)-payloadHeader) != rows*int64(cell+factor+body) {
		return payload{}, fmt.Errorf("%w: payload rows: %d rows in %d bytes", ErrCorrupt, rows, len(data))
	}
	n := int(rows)
	rest := data[payloadHeader:]
	return payload{
		rows:    n,
		cells:   rest[:n*cell],
		factors: rest[n*cell : n*(cell+factor)],
		body:    rest[n*(cell+factor):],
	}, nil
}

// cellAt returns the cell of a row of a residual payload, whatever it says.
func (p *payload) cellAt(row int) uint32 {
	if len(p.cells) == 2*p.rows {
		return uint32(binary.LittleEndian.Uint16(p.cells[2*row:]))
	}
	return uint32(binary.LittleEndian.Uint16(p.cells[3*row:])) | uint32(p.cells[3*row+2])<<16
}

// cell returns the cell of a row of a residual payload.
func (c *Codebook) cell(p *payload, row int) (uint32, error) {
	cell := p.cellAt(row)
	if int(cell) >= c.Cells() {
		return 0, fmt.Errorf("%w: payload row %d: cell %d of %d", ErrCorrupt, row, cell, c.Cells())
	}
	return cell, nil
}

// factor returns the factor or scale of a row.
func (c *Codebook) factor(p *payload, row int) (float32, error) {
	var f float32
	ok := true
	switch {
	case c.kind == Float32:
		return 1, nil
	case c.kind == Int8:
		f = math.Float32frombits(binary.LittleEndian.Uint32(p.factors[4*row:]))
		ok = f >= 0 && f-f == 0
	default:
		f, ok = fromFloat16(binary.LittleEndian.Uint16(p.factors[2*row:]))
	}
	if !ok {
		return 0, fmt.Errorf("%w: payload row %d: factor is negative or not finite", ErrCorrupt, row)
	}
	return f, nil
}

// floatRow reads a row of a float32 payload into dst.
func (c *Codebook) floatRow(dst []float32, p *payload, row int) error {
	values := p.body[4*c.dim*row : 4*c.dim*(row+1)]
	const exponent = 0xff << 23 // all ones in NaN and the infinities
	for d := range dst {
		bits := binary.LittleEndian.Uint32(values)
		values = values[4:]
		if bits&exponent == exponent {
			return fmt.Errorf("%w: payload row %d, column %d is %v", ErrCorrupt, row, d, math.Float32frombits(bits))
		}
		dst[d] = math.Float32frombits(bits)
	}
	return nil
}

// Encode appends the payload of one document, a vector per row, to dst and
// returns it with the cells its vectors lie in, distinct and ascending. ids
// are the vectors' token ids or nil. No rows make a payload without vectors.
//
// The same vectors give the same bytes. It is safe for concurrent use. The
// error wraps ErrShape or simd.ErrNotFinite.
func (c *Codebook) Encode(dst []byte, vectors simd.Matrix, ids []uint32) (payload []byte, cells []uint32, err error) {
	if vectors.Rows > 0 && vectors.Dim != c.dim {
		return dst, nil, fmt.Errorf("%w: %d dimensions, the codebook has %d", ErrShape, vectors.Dim, c.dim)
	}
	if ids != nil && len(ids) != vectors.Rows {
		return dst, nil, fmt.Errorf("%w: %d token ids for %d vectors", ErrShape, len(ids), vectors.Rows)
	}
	if err := checkVectors(vectors); err != nil {
		return dst, nil, fmt.Errorf("encode: %w", err)
	}
	n := vectors.Rows
	start := len(dst)
	dst = append(dst, make([]byte, c.PayloadBytes(n))...)
	out := dst[start:]
	out[0], out[1] = payloadVersion, byte(c.kind)
	binary.LittleEndian.PutUint16(out[2:], uint16(c.checksum))
	binary.LittleEndian.PutUint32(out[4:], uint32(n))
	p, err := c.parse(out)
	if err != nil {
		return dst[:start], nil, err
	}

	cells = make([]uint32, n)
	for row := range n {
		v := vectors.Row(row)
		cells[row] = c.cellOf(v, idOf(ids, row), ids != nil)
		switch c.kind {
		case Int8:
			c.putInt8(&p, row, v)
		case Float32:
			for d, x := range v {
				binary.LittleEndian.PutUint32(p.body[4*(row*c.dim+d):], math.Float32bits(x))
			}
		default:
			c.putResidual(&p, row, v, cells[row])
		}
	}
	slices.Sort(cells)
	return dst, slices.Compact(cells), nil
}

func (c *Codebook) putInt8(p *payload, row int, v []float32) {
	var codes [simd.MaxDim]int8
	scale := simd.QuantizeInt8(codes[:c.dim], v)
	binary.LittleEndian.PutUint32(p.factors[4*row:], math.Float32bits(scale))
	for d, x := range codes[:c.dim] {
		p.body[row*c.dim+d] = byte(x)
	}
}

func (c *Codebook) putResidual(p *payload, row int, v []float32, cell uint32) {
	p.cells[len(p.cells)/p.rows*row] = byte(cell)
	p.cells[len(p.cells)/p.rows*row+1] = byte(cell >> 8)
	if len(p.cells) == 3*p.rows {
		p.cells[3*row+2] = byte(cell >> 16)
	}
	centroid := c.Centroid(int(cell))
	var inverse float32
	if scale := c.cellScale[cell]; scale > 0 {
		inverse = 1 / scale
	}
	step := c.cellScale[cell] * c.levels.scale
	var length, rebuilt float64
	for d, x := range v {
		code := c.levels.code((x - centroid[d]) * inverse)
		simd.SetCode(p.body, p.rows, c.dim, c.kind.bits(), row, d, code)
		r := float64(centroid[d] + float32(step*float32(c.levels.weights[code])))
		length += float64(x) * float64(x)
		rebuilt += r * r
	}
	factor := float32(1)
	if rebuilt > 0 {
		factor = float32(math.Sqrt(length / rebuilt))
	}
	binary.LittleEndian.PutUint16(p.factors[2*row:], float16(factor))
}

// Check validates a payload of untrusted origin completely and returns its
// number of vectors. The error wraps ErrCorrupt or ErrVersion.
func (c *Codebook) Check(data []byte) (rows int, err error) {
	p, err := c.parse(data)
	if err != nil {
		return 0, err
	}
	var values [simd.MaxDim]float32
	for row := range p.rows {
		if c.kind.bits() > 0 {
			_, err = c.cell(&p, row)
		} else if c.kind == Float32 {
			err = c.floatRow(values[:c.dim], &p, row)
		}
		if err != nil {
			return 0, err
		}
		if _, err := c.factor(&p, row); err != nil {
			return 0, err
		}
	}
	return p.rows, nil
}

// Rows returns the number of vectors of a payload; it checks the sizes only.
func (c *Codebook) Rows(data []byte) (int, error) {
	p, err := c.parse(data)
	return p.rows, err
}

// DocumentCells returns the distinct cells of a payload's vectors, ascending.
// For the int8 and float32 kinds, which do not store cells, it finds each
// vector's nearest cell among all.
func (c *Codebook) DocumentCells(data []byte) ([]uint32, error) {
	p, err := c.parse(data)
	if err != nil {
		return nil, err
	}
	cells := make([]uint32, p.rows)
	if c.kind.bits() > 0 {
		for row := range cells {
			if cells[row], err = c.cell(&p, row); err != nil {
				return nil, err
			}
		}
	} else {
		vectors, err := c.Decode(data)
		if err != nil {
			return nil, err
		}
		for row := range cells {
			cells[row] = c.cellOf(vectors.Row(row), 0, false)
		}
	}
	slices.Sort(cells)
	return slices.Compact(cells), nil
}

// Decode returns the vectors a payload stands for.
func (c *Codebook) Decode(data []byte) (simd.Matrix, error) {
	p, err := c.parse(data)
	if err != nil {
		return simd.Matrix{}, err
	}
	out := simd.NewMatrix(p.rows, c.dim)
	for row := range p.rows {
		if err := c.decodeRow(out.Row(row), &p, row); err != nil {
			return simd.Matrix{}, err
		}
	}
	return out, nil
}

func (c *Codebook) decodeRow(dst []float32, p *payload, row int) error {
	if c.kind == Float32 {
		return c.floatRow(dst, p, row)
	}
	factor, err := c.factor(p, row)
	if err != nil {
		return err
	}
	if c.kind == Int8 {
		for d := range dst {
			dst[d] = factor * float32(int8(p.body[row*c.dim+d]))
		}
		return nil
	}
	cell, err := c.cell(p, row)
	if err != nil {
		return err
	}
	centroid := c.Centroid(int(cell))
	step := c.cellScale[cell] * c.levels.scale
	for d := range dst {
		code := simd.Code(p.body, p.rows, c.dim, c.kind.bits(), row, d)
		dst[d] = factor * (centroid[d] + float32(step*float32(c.levels.weights[code])))
	}
	return nil
}
