package dataset

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
)

// An .npy file holds one array. The format is that of NumPy (numpy.lib.format),
// of which this package reads and writes the part that token embeddings use:
//
//	 6 bytes  "\x93NUMPY"
//	 1 byte   major version, 1 or 2
//	 1 byte   minor version, 0
//	 2 bytes  length of the header, little-endian (4 bytes in version 2)
//	 n bytes  header: the text of a Python dictionary, then spaces so that the
//	          values begin at a multiple of 64 bytes, then a line feed
//	          {'descr': '<f4', 'fortran_order': False, 'shape': (3, 128), }
//	 m bytes  values, little-endian, row after row
//
// The shape must account for every byte of the file, which is checked before
// anything of that size is allocated. The files are not compressed: their size
// could not be checked then.

// DType is the type of the values of an .npy file, as NumPy spells it.
type DType string

// The types that token embeddings use, all little-endian.
const (
	Float16 DType = "<f2"
	Float32 DType = "<f4"
	Int32   DType = "<i4"
	Int64   DType = "<i8"
)

// size returns the bytes of one value, 0 for a type that is not supported.
func (t DType) size() int {
	switch t {
	case Float16:
		return 2
	case Float32, Int32:
		return 4
	case Int64:
		return 8
	}
	return 0
}

const (
	npyMagic = "\x93NUMPY"
	// maxNPYHeader is far above the 128 bytes of usual headers; it bounds what
	// version 2 may ask for.
	maxNPYHeader = 1 << 16
)

// NPYReader reads the values of an .npy file in order. It is not safe for
// concurrent use.
type NPYReader struct {
	Type  DType
	Shape []int // one or two dimensions

	name   string
	file   io.Closer
	r      *bufio.Reader
	left   int // values not read yet
	buffer []byte
}

// OpenNPY opens an .npy file of floats or integers with one or two dimensions
// in C order, reads its header and compares it with the size of the file. The
// errors wrap ErrFormat or what the file system says.
func OpenNPY(path string) (*NPYReader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("dataset: %w", err)
	}
	info, err := f.Stat()
	if err == nil {
		var n *NPYReader
		if n, err = newNPYReader(f, path, info.Size()); err == nil {
			n.file = f
			return n, nil
		}
	} else {
		err = fmt.Errorf("dataset: %w", err)
	}
	f.Close()
	return nil, err
}

// newNPYReader reads the header of an .npy file of the given size.
func newNPYReader(r io.Reader, name string, size int64) (*NPYReader, error) {
	n := &NPYReader{name: name, r: bufio.NewReaderSize(r, 1<<16)}
	start := make([]byte, len(npyMagic)+4)
	if _, err := io.ReadFull(n.r, start); err != nil || string(start[:len(npyMagic)]) != npyMagic {
		return nil, n.errorf("expected an .npy file, which begins with \\x93NUMPY")
	}
	begin := int64(len(start))
	version := start[len(npyMagic):]
	length := uint32(binary.LittleEndian.Uint16(version[2:]))
	switch {
	case version[0] == 1 && version[1] == 0:
	case version[0] == 2 && version[1] == 0:
		high := make([]byte, 2)
		if _, err := io.ReadFull(n.r, high); err != nil {
			return nil, n.errorf("the header is cut off")
		}
		begin += 2
		length |= uint32(binary.LittleEndian.Uint16(high)) << 16
	default:
		return nil, n.errorf("expected .npy version 1.0 or 2.0, found %d.%d", version[0], version[1])
	}
	if length > maxNPYHeader {
		return nil, n.errorf("the header claims %d bytes, at most %d are expected", length, maxNPYHeader)
	}
	header := make([]byte, length)
	if _, err := io.ReadFull(n.r, header); err != nil {
		return nil, n.errorf("the header is cut off")
	}
	if err := n.parseHeader(string(header)); err != nil {
		return nil, n.errorf("header: %w", err)
	}
	begin += int64(length)

	count, err := countValues(n.Shape)
	if err != nil {
		return nil, n.errorf("%w", err)
	}
	if have, item := size-begin, int64(n.Type.size()); have%item != 0 || have/item != int64(count) {
		return nil, n.errorf("shape %v of %s needs %d values of %d bytes, the file has %d bytes for them", n.Shape, n.Type, count, item, have)
	}
	n.left = count
	return n, nil
}

func (n *NPYReader) errorf(format string, args ...any) error {
	return fmt.Errorf("%w: %s: %w", ErrFormat, n.name, fmt.Errorf(format, args...))
}

// countValues multiplies the sizes of the dimensions.
func countValues(shape []int) (int, error) {
	if len(shape) != 1 && len(shape) != 2 {
		return 0, fmt.Errorf("expected 1 or 2 dimensions, found %d", len(shape))
	}
	count := 1
	for _, d := range shape {
		if d < 0 {
			return 0, fmt.Errorf("shape %v has a negative size", shape)
		}
		// The largest values have 8 bytes, and their bytes must be countable.
		if d > 0 && count > math.MaxInt/8/d {
			return 0, fmt.Errorf("shape %v has too many values", shape)
		}
		count *= d
	}
	return count, nil
}

// parseHeader reads the dictionary: exactly the three keys, in any order.
func (n *NPYReader) parseHeader(header string) error {
	s := scanner{strings.TrimRight(header, " \n")}
	if !s.take("{") {
		return errors.New("expected a dictionary")
	}
	seen := map[string]bool{}
	for !s.take("}") {
		key, err := s.quoted()
		if err != nil {
			return err
		}
		if seen[key] || !s.take(":") {
			return fmt.Errorf("expected the key %q once, with a colon", key)
		}
		seen[key] = true
		switch key {
		case "descr":
			err = n.parseType(&s)
		case "fortran_order":
			if !s.take("False") {
				err = errors.New("expected fortran_order False: rows must be contiguous")
			}
		case "shape":
			n.Shape, err = s.shape()
		default:
			err = fmt.Errorf("unknown key %q", key)
		}
		if err != nil {
			return err
		}
		if !s.take(",") && !s.next("}") {
			return fmt.Errorf("expected a comma after the value of %q", key)
		}
	}
	if s.text != "" {
		return fmt.Errorf("expected nothing after the dictionary, found %.20q", s.text)
	}
	if len(seen) != 3 {
		return errors.New("expected the keys descr, fortran_order and shape")
	}
	return nil
}

func (n *NPYReader) parseType(s *scanner) error {
	name, err := s.quoted()
	if err != nil {
		return err
	}
	n.Type = DType(name)
	if n.Type.size() == 0 {
		return fmt.Errorf("type %q is not supported, want little-endian %s, %s, %s or %s", name, Float16, Float32, Int32, Int64)
	}
	return nil
}

// scanner takes a Python literal apart.
type scanner struct{ text string }

func (s *scanner) next(token string) bool {
	s.text = strings.TrimLeft(s.text, " ")
	return strings.HasPrefix(s.text, token)
}

func (s *scanner) take(token string) bool {
	if !s.next(token) {
		return false
	}
	s.text = s.text[len(token):]
	return true
}

// quoted takes a string without escapes.
func (s *scanner) quoted() (string, error) {
	for _, quote := range []string{"'", `"`} {
		if !s.take(quote) {
			continue
		}
		text, rest, ok := strings.Cut(s.text, quote)
		if !ok || strings.Contains(text, `\`) {
			break
		}
		s.text = rest
		return text, nil
	}
	return "", fmt.Errorf("expected a string, found %.20q", s.text)
}

// shape takes a tuple of sizes: "(3,)", "(3, 128)".
func (s *scanner) shape() ([]int, error) {
	if !s.take("(") {
		return nil, errors.New("expected shape to be a tuple")
	}
	var shape []int
	for comma := true; !s.take(")"); comma = s.take(",") {
		digits := len(s.text) - len(strings.TrimLeft(s.text, "0123456789"))
		size, err := strconv.Atoi(s.text[:digits])
		if err != nil || !comma {
			return nil, fmt.Errorf("expected a size of the shape, found %.20q", s.text)
		}
		s.text = s.text[digits:]
		shape = append(shape, size)
	}
	return shape, nil
}

// Len returns the number of values that have not been read yet.
func (n *NPYReader) Len() int { return n.left }

// ReadFloats fills dst with the next values of a Float16 or Float32 file. It is
// an error to ask for more than Len.
func (n *NPYReader) ReadFloats(dst []float32) error {
	switch n.Type {
	case Float16:
		return n.read(len(dst), func(at int, b []byte) {
			for ; len(b) >= 2; at, b = at+1, b[2:] {
				dst[at] = float16To32(binary.LittleEndian.Uint16(b))
			}
		})
	case Float32:
		return n.read(len(dst), func(at int, b []byte) {
			for ; len(b) >= 4; at, b = at+1, b[4:] {
				dst[at] = math.Float32frombits(binary.LittleEndian.Uint32(b))
			}
		})
	}
	return n.errorf("expected floats, found type %s", n.Type)
}

// ReadInts fills dst with the next values of an Int32 or Int64 file. It is an
// error to ask for more than Len.
func (n *NPYReader) ReadInts(dst []int64) error {
	switch n.Type {
	case Int32:
		return n.read(len(dst), func(at int, b []byte) {
			for ; len(b) >= 4; at, b = at+1, b[4:] {
				dst[at] = int64(int32(binary.LittleEndian.Uint32(b)))
			}
		})
	case Int64:
		return n.read(len(dst), func(at int, b []byte) {
			for ; len(b) >= 8; at, b = at+1, b[8:] {
				dst[at] = int64(binary.LittleEndian.Uint64(b))
			}
		})
	}
	return n.errorf("expected integers, found type %s", n.Type)
}

// read hands the bytes of the next count values to convert, some at a time, with
// the number of the first.
func (n *NPYReader) read(count int, convert func(at int, values []byte)) error {
	if count > n.left {
		return n.errorf("expected %d more values, found %d", count, n.left)
	}
	item := n.Type.size()
	if n.buffer == nil {
		n.buffer = make([]byte, 1<<16)
	}
	for done := 0; done < count; {
		batch := min(count-done, len(n.buffer)/item)
		b := n.buffer[:batch*item]
		if _, err := io.ReadFull(n.r, b); err != nil {
			return fmt.Errorf("dataset: %s: %w", n.name, err)
		}
		convert(done, b)
		done += batch
		n.left -= batch
	}
	return nil
}

// Close closes the file.
func (n *NPYReader) Close() error {
	if n.file == nil {
		return nil
	}
	return n.file.Close()
}

// ReadNPYFloats reads a whole .npy file of floats: its values, row after row,
// and its shape.
func ReadNPYFloats(path string) (values []float32, shape []int, err error) {
	n, err := OpenNPY(path)
	if err != nil {
		return nil, nil, err
	}
	defer n.Close()
	values = make([]float32, n.Len())
	if err := n.ReadFloats(values); err != nil {
		return nil, nil, err
	}
	return values, n.Shape, nil
}

// ReadNPYInts reads a whole .npy file of integers with one dimension.
func ReadNPYInts(path string) ([]int64, error) {
	n, err := OpenNPY(path)
	if err != nil {
		return nil, err
	}
	defer n.Close()
	if len(n.Shape) != 1 {
		return nil, n.errorf("expected one dimension, found shape %v", n.Shape)
	}
	values := make([]int64, n.Len())
	if err := n.ReadInts(values); err != nil {
		return nil, err
	}
	return values, nil
}

// WriteNPYFloats writes an .npy file of Float32 or Float16, which rounds to
// the nearest value, ties to even. The shape has one or two dimensions.
func WriteNPYFloats(path string, t DType, values []float32, shape ...int) error {
	var put func(b []byte, i int) []byte
	switch t {
	case Float16:
		put = func(b []byte, i int) []byte {
			return binary.LittleEndian.AppendUint16(b, float32To16(values[i]))
		}
	case Float32:
		put = func(b []byte, i int) []byte {
			return binary.LittleEndian.AppendUint32(b, math.Float32bits(values[i]))
		}
	default:
		return fmt.Errorf("%w: %s: floats cannot be written as %q", ErrFormat, path, t)
	}
	return writeNPY(path, t, len(values), shape, put)
}

// WriteNPYInts writes an .npy file of Int32 or Int64 with one dimension.
func WriteNPYInts(path string, t DType, values []int64) error {
	var put func(b []byte, i int) []byte
	switch t {
	case Int32:
		if i := slices.IndexFunc(values, func(v int64) bool { return v != int64(int32(v)) }); i >= 0 {
			return fmt.Errorf("%w: %s: value %d is %d, which has more than 32 bits", ErrFormat, path, i, values[i])
		}
		put = func(b []byte, i int) []byte { return binary.LittleEndian.AppendUint32(b, uint32(values[i])) }
	case Int64:
		put = func(b []byte, i int) []byte { return binary.LittleEndian.AppendUint64(b, uint64(values[i])) }
	default:
		return fmt.Errorf("%w: %s: integers cannot be written as %q", ErrFormat, path, t)
	}
	return writeNPY(path, t, len(values), []int{len(values)}, put)
}

func writeNPY(path string, t DType, count int, shape []int, put func(b []byte, i int) []byte) error {
	if want, err := countValues(shape); err != nil || want != count {
		return fmt.Errorf("%w: %s: %d values do not fill shape %v", ErrFormat, path, count, shape)
	}
	return replaceFile(path, func(w io.Writer) error {
		out := bufio.NewWriterSize(w, 1<<16)
		out.WriteString(npyHeader(t, shape))
		for i := range count {
			out.Write(put(out.AvailableBuffer(), i))
		}
		if err := out.Flush(); err != nil {
			return fmt.Errorf("dataset: %w", err)
		}
		return nil
	})
}

// npyHeader returns all that precedes the values, in version 1.
func npyHeader(t DType, shape []int) string {
	tuple := fmt.Sprintf("(%d,)", shape[0])
	if len(shape) == 2 {
		tuple = fmt.Sprintf("(%d, %d)", shape[0], shape[1])
	}
	dict := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': %s, }", t, tuple)
	const fixed = len(npyMagic) + 4
	length := (fixed+len(dict)+1+63)/64*64 - fixed
	prefix := binary.LittleEndian.AppendUint16([]byte(npyMagic+"\x01\x00"), uint16(length))
	return string(prefix) + dict + strings.Repeat(" ", length-len(dict)-1) + "\n"
}

// float16To32 is exact: every half-precision number is a float32.
func float16To32(h uint16) float32 {
	sign, exponent, mantissa := uint32(h>>15)<<31, uint32(h>>10)&31, uint32(h)&0x3ff
	switch exponent {
	case 0: // zero and subnormal numbers: multiples of 2^-24
		return math.Float32frombits(sign | math.Float32bits(float32(mantissa)/(1<<24)))
	case 31: // infinities and NaN
		return math.Float32frombits(sign | 0xff<<23 | mantissa<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | mantissa<<13)
}

// float32To16 rounds to the nearest half-precision number, ties to even.
func float32To16(f float32) uint16 {
	bits := math.Float32bits(f)
	sign, abs := uint16(bits>>16)&0x8000, bits&0x7fffffff
	switch {
	case abs > 0xff<<23: // NaN
		return sign | 0x7e00
	case abs >= 0x477ff000: // 65520, from where on the nearest is infinity
		return sign | 0x7c00
	case abs < (127-14)<<23: // below the smallest normal number, 2^-14
		return sign | uint16(math.RoundToEven(float64(math.Float32frombits(abs))*(1<<24)))
	}
	abs += 0xfff + abs>>13&1
	return sign | uint16((abs-(127-15)<<23)>>13)
}
