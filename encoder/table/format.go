package table

import (
	"encoding/binary"
	"math"
	"runtime"
	"slices"

	"github.com/pare-search/pare/internal/fields"
)

// A saved table, little endian:
//
//	bytes  field
//	8      magic "PARETABL"
//	4      version, 1
//	1 + n  method: length and name
//	4      rows
//	4      dimensions
//	...    the root node
//	4      CRC-32C of everything before
//
// A node is one way to make rows, with what it needs:
//
//	1      kind, a letter
//	1      number of arrays
//	1      number of parts
//	...    arrays: element u8, bits u8, rows u32, columns u32, data
//	...    parts: nodes whose rows this one puts together
//
// The data of an array is read where it lies, so that a mapped file costs only
// the pages that are looked at once its checksum has been compared.

const (
	magic   = "PARETABL"
	version = 1 // 1: first version

	nodeHeader  = 3
	arrayHeader = 10
	maxDim      = 1 << 16
	maxParts    = 255
	maxDepth    = 8 // of parts of parts
)

// node is a form before it is opened.
type node struct {
	kind   byte
	arrays []array
	parts  []node
}

// size is the number of bytes that the node takes when saved.
func (n node) size() int {
	size := nodeHeader
	for _, a := range n.arrays {
		size += arrayHeader + len(a.data)
	}
	for _, part := range n.parts {
		size += part.size()
	}
	return size
}

func (n node) append(b []byte) []byte {
	b = append(b, n.kind, byte(len(n.arrays)), byte(len(n.parts)))
	for _, a := range n.arrays {
		b = append(b, byte(a.element), byte(a.bits))
		b = binary.LittleEndian.AppendUint32(b, uint32(a.rows))
		b = binary.LittleEndian.AppendUint32(b, uint32(a.columns))
		b = append(b, a.data...)
	}
	for _, part := range n.parts {
		b = part.append(b)
	}
	return b
}

func save(method string, rows, dim int, root node) []byte {
	b := fields.Begin(magic, version)
	b = append(b, byte(len(method)))
	b = append(b, method...)
	b = binary.LittleEndian.AppendUint32(b, uint32(rows))
	b = binary.LittleEndian.AppendUint32(b, uint32(dim))
	return fields.Seal(root.append(b))
}

// MarshalBinary returns a copy of the saved form. It never fails.
func (t *Table) MarshalBinary() ([]byte, error) {
	saved := slices.Clone(t.saved)
	runtime.KeepAlive(t) // with it a mapping may go
	return saved, nil
}

// Load opens what MarshalBinary returned. It accepts any bytes; the table reads
// its rows from them, so they must not change, and stay mapped if they are. All of
// the bytes are read once for the checksum. Errors wrap ErrCorrupt or ErrVersion
// and name the field.
func Load(data []byte) (*Table, error) {
	opened, err := fields.Open(data, magic, version, ErrCorrupt, ErrVersion)
	if err != nil {
		return nil, err
	}
	r := reader{opened}
	t := &Table{saved: data}
	t.method = string(r.Bytes("method", int(r.Uint8("method"))))
	t.rows, t.dim = r.count("rows", math.MaxInt32), r.count("dimensions", maxDim)
	root := r.node(maxDepth)
	r.End()
	if r.Err() != nil {
		return nil, r.Err()
	}
	if t.form, err = root.open(t.rows, t.dim); err != nil {
		return nil, err
	}
	return t, nil
}

// reader reads the parts of a saved table.
type reader struct{ *fields.Reader }

// count reads a number from 1 to most.
func (r reader) count(field string, most int) int {
	n := r.Uint32(field)
	if r.Err() == nil && (n < 1 || uint64(n) > uint64(most)) {
		r.Fail(field, "%d, want 1 to %d", n, most)
	}
	return int(n)
}

func (r reader) node(depth int) node {
	if depth == 0 {
		r.Fail("part", "nested too deep")
		return node{}
	}
	n := node{kind: r.Uint8("kind")}
	arrays, parts := r.Uint8("number of arrays"), r.Uint8("number of parts")
	for range arrays {
		if r.Err() != nil {
			return n
		}
		n.arrays = append(n.arrays, r.array())
	}
	for range parts {
		if r.Err() != nil {
			return n
		}
		n.parts = append(n.parts, r.node(depth-1))
	}
	return n
}

func (r reader) array() array {
	a := array{element: element(r.Uint8("element")), bits: int(r.Uint8("bits"))}
	a.rows, a.columns = r.count("rows of an array", math.MaxInt32), r.count("columns of an array", math.MaxInt32)
	if r.Err() != nil {
		return a
	}
	size, err := a.bytes()
	if err != nil {
		r.Fail("array", "%w", err)
		return a
	}
	a.data = r.Bytes("data of an array", size)
	return a
}
