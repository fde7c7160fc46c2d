// Package fields frames the saved forms of encoders, and reads the fields of those that may come
// from anywhere: little-endian numbers and runs of bytes, one after the other.
//
//	magic
//	format version   4
//	fields
//	CRC-32C          4   of all before
package fields

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const checksumBytes = 4

// Begin returns the first bytes of a saved form, to which its fields are
// appended, and then Seal.
func Begin(magic string, version uint32) []byte {
	return binary.LittleEndian.AppendUint32([]byte(magic), version)
}

// Seal appends the checksum.
func Seal(data []byte) []byte {
	return binary.LittleEndian.AppendUint32(data, crc32.Checksum(data, castagnoli))
}

// Open returns a reader of the fields of a saved form once its magic, version and
// checksum are right. Errors, also the reader's, wrap corrupt, or unsupported for
// another version, and name the field.
func Open(data []byte, magic string, version uint32, corrupt, unsupported error) (*Reader, error) {
	if !bytes.HasPrefix(data, []byte(magic)) {
		return nil, fmt.Errorf("%w: magic: not a saved encoder", corrupt)
	}
	r := NewReader(data[len(magic):], corrupt)
	if v := r.Uint32("version"); r.err == nil && v != version {
		return nil, fmt.Errorf("%w: version is %d, want %d", unsupported, v, version)
	}
	if len(r.data) < checksumBytes {
		return nil, fmt.Errorf("%w: checksum: it ends early", corrupt)
	}
	body := len(data) - checksumBytes
	if binary.LittleEndian.Uint32(data[body:]) != crc32.Checksum(data[:body], castagnoli) {
		return nil, fmt.Errorf("%w: checksum does not match", corrupt)
	}
	r.data = r.data[:len(r.data)-checksumBytes]
	return r, nil
}

// Reader reads fields from the front of some bytes. After the first error it
// reads zeros and keeps that error, so a parser reads on and looks at Err once.
type Reader struct {
	corrupt error
	data    []byte
	err     error
}

// NewReader returns a reader of data whose errors wrap corrupt and name the
// field.
func NewReader(data []byte, corrupt error) *Reader { return &Reader{corrupt: corrupt, data: data} }

// Err returns the first error.
func (r *Reader) Err() error { return r.err }

// Fail notes that a field cannot be what it is, unless there was an error
// before. Nothing is read after it.
func (r *Reader) Fail(field, format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s: "+format, append([]any{r.corrupt, field}, args...)...)
	}
	r.data = nil
}

// End fails if bytes are left.
func (r *Reader) End() {
	if len(r.data) > 0 {
		r.Fail("end", "%d bytes too many", len(r.data))
	}
}

// Bytes returns the next n bytes as a view, nil on error.
func (r *Reader) Bytes(field string, n int) []byte {
	if r.err != nil {
		return nil
	}
	if n < 0 || n > len(r.data) {
		r.Fail(field, "needs %d bytes, %d are left", n, len(r.data))
		return nil
	}
	out := r.data[:n]
	r.data = r.data[n:]
	return out
}

// Uint8 reads one byte.
func (r *Reader) Uint8(field string) uint8 {
	if b := r.Bytes(field, 1); b != nil {
		return b[0]
	}
	return 0
}

// Uint32 reads four bytes.
func (r *Reader) Uint32(field string) uint32 {
	if b := r.Bytes(field, 4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// Uint64 reads eight bytes.
func (r *Reader) Uint64(field string) uint64 {
	if b := r.Bytes(field, 8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}
