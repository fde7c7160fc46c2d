package docpruner

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc64"
	"math"
	"slices"
)

// Errors of Load.
var (
	// ErrCorrupt: the bytes are no saved Fitted.
	ErrCorrupt = errors.New("docpruner: corrupt data")
	// ErrVersion: they were written by a later version.
	ErrVersion = errors.New("docpruner: unsupported format version")
)

// A Fitted's bytes, little-endian:
//
//	magic "PAREPRUN"                    8
//	format version                      4
//	dimensions, 0 for any               4
//	length of the short form            4
//	short form, as Parse reads it       that many
//	what each step knows, in order:
//	  stopwords, idf, docidf:
//	    number of token ids             4
//	    token ids, most frequent first  4 each
//	  voronoi:
//	    threshold, float64              8
//	    number of directions            4     0 when the seed draws them
//	    directions, int8                dimensions each
//	CRC-64 (ECMA) of all before         8
const (
	magic         = "PAREPRUN"
	formatVersion = 1
	checksumBytes = 8
)

var crcTable = crc64.MakeTable(crc64.ECMA)

// MarshalBinary returns the fitted pruner as bytes for Load.
func (f *Fitted) MarshalBinary() ([]byte, error) {
	le := binary.LittleEndian
	spec := f.pruner.String()
	b := le.AppendUint32([]byte(magic), formatVersion)
	b = le.AppendUint32(b, uint32(f.dim))
	b = le.AppendUint32(b, uint32(len(spec)))
	b = append(b, spec...)
	for _, s := range f.steps {
		switch {
		case s.needsIDs():
			b = le.AppendUint32(b, uint32(len(s.ids)))
			for _, id := range s.ids {
				b = le.AppendUint32(b, id)
			}
		case s.Strategy == Voronoi:
			b = le.AppendUint64(b, math.Float64bits(s.threshold))
			b = le.AppendUint32(b, uint32(len(s.directions.codes)/f.dim))
			for _, c := range s.directions.codes {
				b = append(b, byte(c))
			}
		}
	}
	return seal(b), nil
}

// seal appends the checksum.
func seal(b []byte) []byte {
	return binary.LittleEndian.AppendUint64(b, crc64.Checksum(b, crcTable))
}

// Load reads what MarshalBinary returned. It is safe for bytes of any origin; the
// error wraps ErrCorrupt or ErrVersion.
func Load(data []byte) (*Fitted, error) {
	corrupt := func(format string, args ...any) (*Fitted, error) {
		return nil, fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
	}
	le := binary.LittleEndian
	if len(data) < len(magic)+4+checksumBytes || string(data[:len(magic)]) != magic {
		return corrupt("does not begin with %q", magic)
	}
	if v := le.Uint32(data[len(magic):]); v != formatVersion {
		return nil, fmt.Errorf("%w: %d, this program reads %d", ErrVersion, v, formatVersion)
	}
	body, sum := data[:len(data)-checksumBytes], data[len(data)-checksumBytes:]
	if crc64.Checksum(body, crcTable) != le.Uint64(sum) {
		return corrupt("the checksum is wrong")
	}
	r := reader{data: body[len(magic)+4:]}
	f := &Fitted{dim: int(r.uint32())}
	spec := string(r.bytes(uint64(r.uint32())))
	if r.bad {
		return corrupt("it ends too early")
	}
	var err error
	if f.pruner, err = Parse(spec); err != nil {
		return corrupt("%v", err)
	}
	for _, step := range f.pruner.Steps {
		s := fittedStep{Step: step}
		switch {
		case step.needsIDs():
			s.setIDs(r.uint32s(uint64(r.uint32())))
		case step.Strategy == Voronoi:
			s.threshold = math.Float64frombits(r.uint64())
			n := r.uint32()
			codes := r.bytes(uint64(n) * uint64(f.dim))
			if r.bad || f.dim < 8 || f.dim > 1024 || f.dim%8 != 0 || (n == 0) != (step.Source == Uniform) || n > maxDirections || math.IsNaN(s.threshold) {
				return corrupt("impossible directions of %s", step)
			}
			if n == 0 {
				s.directions.vectors = UniformDirections(f.dim, step.directions(), f.pruner.Seed)
				break
			}
			signed := make([]int8, len(codes))
			for i, c := range codes {
				signed[i] = int8(c)
			}
			s.directions = decodeDirections(signed, f.dim)
		}
		f.steps = append(f.steps, s)
	}
	if r.bad || len(r.data) > 0 {
		return corrupt("its length is wrong")
	}
	return f, nil
}

// reader reads bytes that may be too few. The first failure sticks.
type reader struct {
	data []byte
	bad  bool
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.data)) {
		r.bad, r.data = true, nil
		return nil
	}
	part := r.data[:n]
	r.data = r.data[n:]
	return part
}

func (r *reader) uint32() uint32 {
	if part := r.bytes(4); part != nil {
		return binary.LittleEndian.Uint32(part)
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if part := r.bytes(8); part != nil {
		return binary.LittleEndian.Uint64(part)
	}
	return 0
}

func (r *reader) uint32s(n uint64) []uint32 {
	part := r.bytes(4 * n)
	ids := make([]uint32, 0, len(part)/4)
	for chunk := range slices.Chunk(part, 4) {
		ids = append(ids, binary.LittleEndian.Uint32(chunk))
	}
	return ids
}
