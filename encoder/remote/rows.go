package remote

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"

	"github.com/pare-search/pare/simd"
)

// rows are the vectors of one text as a service sends them. The error is kept
// for the caller, who knows the name of the field.
type rows struct {
	simd.Matrix
	err error
}

// UnmarshalJSON reads an array of arrays of numbers, all of one length. It never
// returns an error but keeps it.
func (r *rows) UnmarshalJSON(data []byte) error {
	*r = rows{}
	depth, column := 0, 0
	for i := 0; i < len(data) && r.err == nil; {
		switch c := data[i]; c {
		case '[':
			depth, column = depth+1, 0
			if depth > 2 {
				r.fail("row %d holds a list, want numbers", r.Rows)
			}
			i++
		case ']':
			if depth == 2 {
				r.endRow(column)
			}
			depth--
			i++
		case ',', ' ', '\t', '\r', '\n':
			i++
		default:
			end := i
			for end < len(data) && data[end] != ',' && data[end] != ']' && data[end] > ' ' {
				end++
			}
			r.value(string(data[i:end]), depth, column)
			column++
			i = end
		}
	}
	return nil
}

func (r *rows) fail(format string, args ...any) { r.err = fmt.Errorf(format, args...) }

func (r *rows) value(text string, depth, column int) {
	if depth != 2 {
		r.fail("%.20s stands where a vector should", text)
		return
	}
	// Valid JSON has no other numbers than ParseFloat knows.
	value, err := strconv.ParseFloat(text, 32)
	if err != nil {
		r.fail("row %d, column %d is %.20s, want a finite number", r.Rows, column, text)
		return
	}
	r.Data = append(r.Data, float32(value))
}

func (r *rows) endRow(width int) {
	if r.Rows == 0 {
		r.Dim = width
	}
	if width != r.Dim {
		r.fail("row %d has %d values, the rows before have %d", r.Rows, width, r.Dim)
		return
	}
	r.Rows++
}

// unpack reads little-endian float32 values of the shape [rows, dim].
func (r *rows) unpack(data []byte, shape []int) {
	if len(shape) != 2 || shape[0] < 0 || shape[1] < 0 ||
		shape[0] == 0 && len(data) > 0 || shape[0] > 0 && (len(data)%shape[0] != 0 || len(data)/shape[0] != 4*shape[1]) {
		r.fail("%d bytes do not fill the shape %v", len(data), shape)
		return
	}
	r.Rows, r.Dim = shape[0], shape[1]
	r.Data = make([]float32, len(data)/4)
	for i := range r.Data {
		v := math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
		if v-v != 0 {
			r.fail("row %d, column %d is %v, want a finite number", i/r.Dim, i%r.Dim, v)
			return
		}
		r.Data[i] = v
	}
}
