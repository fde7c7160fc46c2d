package table

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"

	"github.com/pare-search/pare/simd"
)

// element is how the numbers of an array are stored.
type element uint8

const (
	float32s element = iota
	// int8s are rows of a float32 scale and one signed byte for each value.
	int8s
	// unsigneds are whole numbers of some bits each, the first in the lowest bits
	// of the first byte, without gaps between rows; 7 bytes of zero follow, so that
	// any number can be read at once.
	unsigneds
)

const padding = 7

// array is a stored matrix of numbers.
type array struct {
	element       element
	bits          int // of unsigneds; else 0
	rows, columns int
	data          []byte
}

// bytes is how many the data has.
func (a array) bytes() (int, error) {
	if (a.element == unsigneds) != (a.bits > 0) || a.bits > 32 {
		return 0, fmt.Errorf("%d bits for element %d", a.bits, a.element)
	}
	high, count := bits.Mul64(uint64(a.rows), uint64(a.columns))
	if high != 0 || count > math.MaxInt/32 {
		return 0, fmt.Errorf("%d x %d numbers are too many", a.rows, a.columns)
	}
	switch a.element {
	case float32s:
		return 4 * int(count), nil
	case int8s:
		return int(count) + 4*a.rows, nil
	case unsigneds:
		return (int(count)*a.bits+7)/8 + padding, nil
	}
	return 0, fmt.Errorf("unknown element %d", a.element)
}

// sizeOf is the number of bytes that an array takes when saved.
func sizeOf(e element, bits, rows, columns int) int {
	n, err := array{element: e, bits: bits, rows: rows, columns: columns}.bytes()
	if err != nil {
		return math.MaxInt32
	}
	return arrayHeader + n
}

// floats stores a matrix in the precision of e.
func floats(e element, m simd.Matrix) array {
	a := array{element: e, rows: m.Rows, columns: m.Dim}
	if e == float32s {
		for _, v := range m.Data {
			a.data = binary.LittleEndian.AppendUint32(a.data, math.Float32bits(v))
		}
		return a
	}
	for i := range m.Rows {
		a.data = appendInt8(a.data, m.Row(i))
	}
	return a
}

// appendInt8 appends a row's scale, and its values over it, rounded.
func appendInt8(b []byte, row []float32) []byte {
	var largest float32
	for _, v := range row {
		largest = max(largest, float32(math.Abs(float64(v))))
	}
	scale := largest / math.MaxInt8
	b = binary.LittleEndian.AppendUint32(b, math.Float32bits(scale))
	for _, v := range row {
		code := 0.0
		if scale > 0 {
			code = math.RoundToEven(float64(v) / float64(scale))
		}
		b = append(b, byte(int8(min(max(code, -math.MaxInt8), math.MaxInt8))))
	}
	return b
}

// numbers stores unsigned numbers below 1<<bits, rows*columns of them.
func numbers(bits, rows, columns int, values []uint32) array {
	a := array{element: unsigneds, bits: bits, rows: rows, columns: columns}
	n, _ := a.bytes()
	a.data = make([]byte, n)
	for i, v := range values {
		at := i * bits
		window := a.data[at/8:]
		old := binary.LittleEndian.Uint64(window[:8])
		binary.LittleEndian.PutUint64(window[:8], old|uint64(v)<<(at%8))
	}
	return a
}

// bitsFor is how many bits the numbers below n need, at least 1.
func bitsFor(n int) int { return max(1, bits.Len(uint(n-1))) }

// number returns an unsigned number.
func (a *array) number(row, column int) uint32 {
	at := (row*a.columns + column) * a.bits
	return uint32(binary.LittleEndian.Uint64(a.data[at/8:]) >> (at % 8) & (1<<a.bits - 1))
}

// float returns a number that is stored as one of the floats.
func (a *array) float(row, column int) float32 {
	if a.element == float32s {
		return math.Float32frombits(binary.LittleEndian.Uint32(a.data[4*(row*a.columns+column):]))
	}
	data := a.data[row*(4+a.columns):]
	return math.Float32frombits(binary.LittleEndian.Uint32(data)) * float32(int8(data[4+column]))
}

// add adds factor times the floats of a row to dst, which is as wide.
func (a *array) add(dst []float32, row int, factor float32) {
	if a.element == float32s {
		data := a.data[4*row*a.columns:]
		for i := range dst {
			dst[i] += factor * math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
		}
		return
	}
	data := a.data[row*(4+a.columns):]
	factor *= math.Float32frombits(binary.LittleEndian.Uint32(data))
	for i, code := range data[4:][:len(dst)] {
		dst[i] += factor * float32(int8(code))
	}
}

// dot returns the inner product of a row of floats with v, which is as wide.
func (a *array) dot(v []float32, row int) (sum float32) {
	if a.element == float32s {
		data := a.data[4*row*a.columns:]
		for i, x := range v {
			sum += x * math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
		}
		return sum
	}
	data := a.data[row*(4+a.columns):]
	for i, code := range data[4:][:len(v)] {
		sum += v[i] * float32(int8(code))
	}
	return sum * math.Float32frombits(binary.LittleEndian.Uint32(data))
}

// below returns an error if one of the unsigned numbers is not below a limit. It looks at
// none if their bits do not allow that.
func (a *array) below(what string, limit int) error {
	if a.bits < 32 && limit >= 1<<a.bits {
		return nil
	}
	mask := uint64(1)<<a.bits - 1
	for i, at := 0, 0; i < a.rows*a.columns; i, at = i+1, at+a.bits {
		if n := binary.LittleEndian.Uint64(a.data[at/8:]) >> (at % 8) & mask; n >= uint64(limit) {
			return fmt.Errorf("%w: %s: row %d has %d of %d", ErrCorrupt, what, i/a.columns, n, limit)
		}
	}
	return nil
}

// wants returns an error unless the array has a shape, of floats or not.
func (a *array) wants(what string, ofFloats bool, rows, columns int) error {
	if a.rows != rows || a.columns != columns || (a.element != unsigneds) != ofFloats {
		return fmt.Errorf("%w: %s: %d x %d of element %d, want %d x %d", ErrCorrupt, what, a.rows, a.columns, a.element, rows, columns)
	}
	return a.finite(what)
}

// finite returns an error if one of the floats is not.
func (a *array) finite(what string) error {
	values := a.rows * a.columns
	fault := func(i int) error { return fmt.Errorf("%w: %s: number %d is not finite", ErrCorrupt, what, i) }
	switch a.element {
	case float32s:
		for i := range values {
			if binary.LittleEndian.Uint32(a.data[4*i:])>>23&0xff == 0xff {
				return fault(i)
			}
		}
	case int8s:
		for row := range a.rows {
			if binary.LittleEndian.Uint32(a.data[row*(4+a.columns):])>>23&0xff == 0xff {
				return fault(row * a.columns)
			}
		}
	}
	return nil
}
