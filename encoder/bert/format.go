package bert

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"

	"github.com/pare-search/pare/encoder/table"
	"github.com/pare-search/pare/internal/fields"
	"github.com/pare-search/pare/simd"
)

// The saved form of an encoder, little endian. It names the model and does not
// hold it:
//
//	offset  bytes   field
//	0       8       magic "PAREBERT"
//	8       4       version, 3
//	12      32      fingerprint of the model, SHA-256
//	44      4       Dim of the options
//	48      4       QueryLength
//	52      4       DocumentLength
//	56      1       Int8, 0 or 1
//	57      8       Seed
//	65      4       length of the path
//	69      ...     absolute path of the model's folder, UTF-8
//	        4       rows of the projection, 0 for none
//	        4       columns of the projection
//	        4 x ... projection: float32, row by row
//	        4       bytes of a table of word pieces that is not the model's own,
//	                0 for none
//	        ...     the table, see package table
//	        4       CRC-32C of everything before

const (
	magic   = "PAREBERT"
	version = 3 // 3: tables of word pieces; 2: fingerprints tell the order of modules; 1: first version

	maxPathBytes = 1 << 16
)

// Kind names this package's encoders in an index.
const Kind = "bert"

// MarshalBinary returns the saved form. An encoder that still needs its
// projection cannot be saved.
func (e *Encoder) MarshalBinary() ([]byte, error) {
	if e.NeedsProjection() {
		return nil, fmt.Errorf("%w: its projection has not been learnt", ErrModel)
	}
	le := binary.LittleEndian
	b := fields.Begin(magic, version)
	b = append(b, e.fingerprint[:]...)
	b = le.AppendUint32(b, uint32(e.options.Dim))
	b = le.AppendUint32(b, uint32(e.options.QueryLength))
	b = le.AppendUint32(b, uint32(e.options.DocumentLength))
	if e.options.Int8 {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	b = le.AppendUint64(b, e.options.Seed)
	b = le.AppendUint32(b, uint32(len(e.dir)))
	b = append(b, e.dir...)
	b = le.AppendUint32(b, uint32(e.learnt.Rows))
	b = le.AppendUint32(b, uint32(e.learnt.Dim))
	for _, v := range e.learnt.Data {
		b = le.AppendUint32(b, math.Float32bits(v))
	}
	if e.added == nil {
		return fields.Seal(le.AppendUint32(b, 0)), nil
	}
	added, err := e.added.MarshalBinary()
	if err != nil {
		return nil, err
	}
	b = le.AppendUint32(b, uint32(len(added)))
	return fields.Seal(append(b, added...)), nil
}

// LoadOptions say where a saved encoder finds its model and how it computes.
type LoadOptions struct {
	// Dir is the model's folder, "" for where it was.
	Dir string
	// Workers is the number of goroutines that encode documents, 0 for one per
	// processor.
	Workers int
}

// Load opens the model of an encoder that MarshalBinary saved. It accepts any
// bytes. Errors wrap ErrCorrupt or ErrVersion for the bytes, ErrOtherModel when
// the folder does not hold the model that was saved, or are those of [Open].
func Load(data []byte, options LoadOptions) (*Encoder, error) {
	s, err := parseSaved(data)
	if err != nil {
		return nil, err
	}
	dir := s.dir
	switch {
	case options.Dir != "":
		dir = options.Dir
	case len(filepath.VolumeName(dir)) > len("C:"):
		// A share, where Windows would log on because an index says so.
		return nil, fmt.Errorf("%w: it was in %s, where nothing is looked for unless the caller says so", ErrOtherModel, dir)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	s.options.Workers = options.Workers
	f, err := openFolder(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrModel) || errors.Is(err, ErrUnsupported) {
		return nil, fmt.Errorf("%w: looked in %s for one with SHA-256 %s: %w", ErrOtherModel, dir, short(s.fingerprint), err)
	}
	if err != nil {
		return nil, err
	}
	e, err := newEncoder(dir, f, s.options, &s.fingerprint)
	if err != nil {
		return nil, err
	}
	if s.table != nil {
		if e, err = e.WithWords(s.table); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
	}
	if !e.projects && s.projection.Rows == 0 {
		return e, nil
	}
	if !e.projects || s.projection.Rows != e.dim || s.projection.Dim != e.config.Hidden {
		return nil, fmt.Errorf("%w: a projection of [%d %d] for a model of %d dimensions", ErrCorrupt, s.projection.Rows, s.projection.Dim, e.config.Hidden)
	}
	return e.withProjection(s.projection), nil
}

// short is the beginning of a fingerprint, as people compare it.
func short(fingerprint [sha256.Size]byte) string { return hex.EncodeToString(fingerprint[:8]) }

// saved is the parsed form.
type saved struct {
	fingerprint [sha256.Size]byte
	options     Options
	dir         string
	projection  simd.Matrix
	table       *table.Table // of word pieces; nil for the model's own embeddings
}

func parseSaved(data []byte) (*saved, error) {
	opened, err := fields.Open(data, magic, version, ErrCorrupt, ErrVersion)
	if err != nil {
		return nil, err
	}
	r := reader{opened}

	var s saved
	copy(s.fingerprint[:], r.Bytes("fingerprint", sha256.Size))
	s.options = Options{
		Dim:            int(r.Uint32("Dim")),
		QueryLength:    int(r.Uint32("QueryLength")),
		DocumentLength: int(r.Uint32("DocumentLength")),
	}
	if flag := r.Bytes("Int8", 1); len(flag) == 1 {
		s.options.Int8 = flag[0] != 0
	}
	s.options.Seed = r.Uint64("Seed")
	s.dir = string(r.Bytes("path", r.size("path", maxPathBytes)))
	s.projection.Rows = r.size("projection", simd.MaxDim)
	s.projection.Dim = r.size("projection", maxWidth)
	for values := r.Bytes("projection", 4*s.projection.Rows*s.projection.Dim); len(values) > 0; values = values[4:] {
		s.projection.Data = append(s.projection.Data, math.Float32frombits(binary.LittleEndian.Uint32(values)))
	}
	added := r.Bytes("table of word pieces", r.size("table of word pieces", math.MaxInt32))
	r.End()
	if r.Err() != nil {
		return nil, r.Err()
	}
	if len(added) > 0 {
		// A copy, since data may be reused.
		if s.table, err = table.Load(bytes.Clone(added)); err != nil {
			return nil, fmt.Errorf("%w: table of word pieces: %w", ErrCorrupt, err)
		}
	}
	if err := s.options.Validate(); err != nil {
		return nil, fmt.Errorf("%w: options: %w", ErrCorrupt, err)
	}
	if !filepath.IsAbs(s.dir) {
		return nil, fmt.Errorf("%w: path: %q is not absolute", ErrCorrupt, s.dir)
	}
	for i, v := range s.projection.Data {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return nil, fmt.Errorf("%w: projection: value %d is %v", ErrCorrupt, i, v)
		}
	}
	return &s, nil
}

// reader reads the parts of a saved encoder.
type reader struct{ *fields.Reader }

// size reads a number that must not be larger than limit.
func (r reader) size(field string, limit uint32) int {
	v := r.Uint32(field)
	if v > limit {
		r.Fail(field, "%d is too large", v)
		return 0
	}
	return int(v)
}
