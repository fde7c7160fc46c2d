package bert

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"

	"github.com/blevesearch/mmap-go"
)

// A safetensors file (https://github.com/huggingface/safetensors):
//
//	0  length of the header                 u64, little endian
//	8  header, JSON:                        at most maxHeaderBytes
//	     name -> dtype, shape, data_offsets   offsets are relative to the data
//	     "__metadata__" -> strings            ignored
//	   data, little endian                  every byte belongs to one tensor
//
// safetensors is such a file, mapped into memory. It checks the whole header
// when it is opened and reads nothing else until a tensor is asked for.
type safetensors struct {
	path    string
	data    mmap.MMap // the whole file
	body    []byte    // the part of data behind the header
	tensors map[string]tensorInfo
}

// tensorInfo is one entry of the header.
type tensorInfo struct {
	DType   string    `json:"dtype"`
	Shape   []uint64  `json:"shape"`
	Offsets [2]uint64 `json:"data_offsets"`
}

const maxHeaderBytes = 100_000_000 // the reference implementation's limit

// dtypeSizes are the bytes of an element; those of less than a byte are left out.
var dtypeSizes = map[string]uint64{
	"BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "F8_E8M0": 1,
	"I16": 2, "U16": 2, "F16": 2, "BF16": 2,
	"I32": 4, "U32": 4, "F32": 4,
	"I64": 8, "U64": 8, "F64": 8, "C64": 8,
}

// openSafetensors maps a file and checks its header. Errors wrap ErrModel.
func openSafetensors(path string) (*safetensors, error) {
	file, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() // the mapping stays
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() < 8 {
		return nil, fmt.Errorf("%w: %s: %d bytes are no safetensors file", ErrModel, path, info.Size())
	}
	data, err := mmap.Map(file, mmap.RDONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("mapping %s: %w", path, err)
	}
	s, err := parseSafetensors(data)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), data.Unmap())
	}
	s.path, s.data = path, data
	return s, nil
}

// Close unmaps the file.
func (s *safetensors) Close() error {
	s.body, s.tensors = nil, nil
	return s.data.Unmap()
}

// parseSafetensors reads the header of a file.
func parseSafetensors(data []byte) (*safetensors, error) {
	if len(data) < 8 {
		return nil, fmt.Errorf("%w: safetensors: %d bytes are too few", ErrModel, len(data))
	}
	length := binary.LittleEndian.Uint64(data)
	switch {
	case length > maxHeaderBytes:
		return nil, fmt.Errorf("%w: safetensors: header of %d bytes; this is another kind of file", ErrModel, length)
	case length > uint64(len(data)-8):
		return nil, fmt.Errorf("%w: safetensors: header of %d bytes in a file of %d; it is cut off", ErrModel, length, len(data))
	}
	header, body := data[8:8+length], data[8+length:]
	tensors, err := parseHeader(header)
	if err != nil {
		return nil, err
	}
	if err := checkTensors(tensors, uint64(len(body))); err != nil {
		return nil, err
	}
	return &safetensors{body: body, tensors: tensors}, nil
}

// parseHeader reads the header's JSON, in which no name may come twice.
func parseHeader(header []byte) (map[string]tensorInfo, error) {
	fail := func(err error) (map[string]tensorInfo, error) {
		return nil, fmt.Errorf("%w: safetensors: header: %w", ErrModel, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(header))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return fail(cmp.Or(err, fmt.Errorf("begins with %v, want {", start)))
	}
	tensors := make(map[string]tensorInfo)
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return fail(err)
		}
		name := token.(string) // the decoder lets nothing else be a key
		if name == "__metadata__" {
			var ignored json.RawMessage
			if err := decoder.Decode(&ignored); err != nil {
				return fail(err)
			}
			continue
		}
		var tensor tensorInfo
		if err := decoder.Decode(&tensor); err != nil {
			return fail(fmt.Errorf("tensor %q: %w", name, err))
		}
		if _, twice := tensors[name]; twice {
			return fail(fmt.Errorf("tensor %q comes twice", name))
		}
		tensors[name] = tensor
	}
	if _, err := decoder.Token(); err != nil {
		return fail(err)
	}
	if rest := bytes.TrimSpace(header[decoder.InputOffset():]); len(rest) > 0 {
		return fail(fmt.Errorf("%d bytes behind its end", len(rest)))
	}
	return tensors, nil
}

// checkTensors checks that every tensor has the bytes that its shape needs and
// that all together cover size bytes without gap or overlap.
func checkTensors(tensors map[string]tensorInfo, size uint64) error {
	names := make([]string, 0, len(tensors))
	for name := range tensors {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		x, y := tensors[a].Offsets, tensors[b].Offsets
		return cmp.Or(cmp.Compare(x[0], y[0]), cmp.Compare(x[1], y[1]), strings.Compare(a, b))
	})
	next := uint64(0)
	for _, name := range names {
		tensor := tensors[name]
		fail := func(format string, args ...any) error {
			return fmt.Errorf("%w: safetensors: tensor %q: %s", ErrModel, name, fmt.Sprintf(format, args...))
		}
		start, end := tensor.Offsets[0], tensor.Offsets[1]
		switch {
		case end < start:
			return fail("ends at byte %d, before its start %d", end, start)
		case end > size:
			return fail("ends at byte %d of %d; the file is cut off", end, size)
		case start < next:
			return fail("begins at byte %d, inside another that ends at %d", start, next)
		case start > next:
			return fail("begins at byte %d, leaving a gap from %d", start, next)
		}
		next = end
		element, known := dtypeSizes[tensor.DType]
		if !known {
			continue // an error once it is asked for
		}
		if want, ok := product(tensor.Shape, element); !ok || want != end-start {
			return fail("shape %v of %s does not fit its %d bytes", tensor.Shape, tensor.DType, end-start)
		}
	}
	if next != size {
		return fmt.Errorf("%w: safetensors: %d bytes behind the last tensor", ErrModel, size-next)
	}
	return nil
}

// product multiplies a shape with the size of an element, false on overflow.
func product(shape []uint64, element uint64) (uint64, bool) {
	total := element
	for _, n := range shape {
		high, low := bits.Mul64(total, n)
		if high != 0 || low > math.MaxInt64 {
			return 0, false
		}
		total = low
	}
	return total, true
}

// find returns the name in the file of a tensor of BertModel's, which may have
// "bert." before it, and in files of the oldest kind other words at the end of
// those for layer normalisation.
func (s *safetensors) find(name string) (string, bool) {
	old := name
	if layer, ok := strings.CutSuffix(name, "LayerNorm.weight"); ok {
		old = layer + "LayerNorm.gamma"
	} else if layer, ok := strings.CutSuffix(name, "LayerNorm.bias"); ok {
		old = layer + "LayerNorm.beta"
	}
	for _, found := range []string{name, "bert." + name, old, "bert." + old} {
		if _, ok := s.tensors[found]; ok {
			return found, true
		}
	}
	return "", false
}

// Tensor returns a tensor by its name in a plain BertModel, converted to
// float32. Errors name the tensor and wrap ErrModel, also for sizes of zero and
// for values that are not finite, or, for a type of element that weights do not
// have, ErrUnsupported.
func (s *safetensors) Tensor(name string) (shape []int, data []float32, err error) {
	found, ok := s.find(name)
	if !ok {
		return nil, nil, fmt.Errorf("%w: no tensor %q", ErrModel, name)
	}
	return s.convert(found, s.tensors[found])
}

func (s *safetensors) convert(name string, tensor tensorInfo) ([]int, []float32, error) {
	shape := make([]int, len(tensor.Shape))
	for i, n := range tensor.Shape {
		if n == 0 || n > math.MaxInt32 {
			return nil, nil, fmt.Errorf("%w: tensor %q is %d", ErrModel, name, tensor.Shape)
		}
		shape[i] = int(n)
	}
	raw := s.body[tensor.Offsets[0]:tensor.Offsets[1]]
	var data []float32
	switch tensor.DType {
	case "F32":
		data = make([]float32, len(raw)/4)
		for i := range data {
			data[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
	case "BF16":
		data = make([]float32, len(raw)/2)
		for i := range data {
			data[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(raw[2*i:])) << 16)
		}
	case "F16":
		data = make([]float32, len(raw)/2)
		for i := range data {
			data[i] = float16(binary.LittleEndian.Uint16(raw[2*i:]))
		}
	default:
		return nil, nil, fmt.Errorf("%w: tensor %q is of %s, want F32, F16 or BF16", ErrUnsupported, name, tensor.DType)
	}
	if i := slices.IndexFunc(data, func(v float32) bool { return v-v != 0 }); i >= 0 {
		return nil, nil, fmt.Errorf("%w: tensor %q: value %d is %v", ErrModel, name, i, data[i])
	}
	return shape, data, nil
}

// float16 converts an IEEE 754 half.
func float16(h uint16) float32 {
	sign, exponent, fraction := uint32(h)>>15<<31, uint32(h)>>10&0x1F, uint32(h)&0x3FF
	switch exponent {
	case 0: // zero or subnormal: fraction * 2^-24
		return math.Float32frombits(sign | math.Float32bits(float32(fraction)/(1<<24)))
	case 0x1F: // infinity or not a number
		return math.Float32frombits(sign | 0xFF<<23 | fraction<<13)
	default:
		return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
	}
}
