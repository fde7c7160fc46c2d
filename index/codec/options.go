package codec

import (
	"errors"
	"fmt"

	"github.com/pare-search/pare/simd"
)

// ErrCorrupt reports bytes that are no valid payload or codebook, ErrVersion
// bytes of a format this version does not read, ErrShape vectors that do not
// fit the codebook.
var (
	ErrCorrupt = errors.New("codec: corrupt data")
	ErrVersion = errors.New("codec: unsupported format version")
	ErrShape   = errors.New("codec: vectors do not fit")
)

// Kind is how a vector is stored. The numbers are part of the file formats.
type Kind uint8

// The kinds of payload, with bytes per vector of dim dimensions, to which every
// document adds some 5 bytes and 2 for each distinct cell of its vectors (3
// above 65,536 cells). In documents of more than 256 distinct cells a place takes
// 2 bytes.
const (
	// Banded stores a place among the cells and, for words where it helps most,
	// a factor and 1 bit per coordinate on dim/4 or dim/2 axes or 1, 2 or 4 bits
	// per dimension: 1 + Options.CodeBytes in the mean.
	Banded Kind = 128
	// Residual1 stores a place among the cells, a factor and 1 bit per
	// dimension: 2 + dim/8.
	Residual1 Kind = 1
	// Residual2 stores 2 bits per dimension: 2 + dim/4. It is the default.
	Residual2 Kind = 2
	// Residual4 stores 4 bits per dimension: 2 + dim/2.
	Residual4 Kind = 4
	// Int8 stores a scale and 8 bits per dimension: 4 + dim.
	Int8 Kind = 8
	// Float32 stores the vector as it is: 4*dim.
	Float32 Kind = 32
)

// Kinds lists every kind, smallest first.
var Kinds = []Kind{Banded, Residual1, Residual2, Residual4, Int8, Float32}

// String returns the kind's name in settings, such as "residual2".
func (k Kind) String() string {
	switch k {
	case Banded:
		return "banded"
	case Residual1:
		return "residual1"
	case Residual2:
		return "residual2"
	case Residual4:
		return "residual4"
	case Int8:
		return "int8"
	case Float32:
		return "float32"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// ParseKind returns the kind of that name.
func ParseKind(name string) (Kind, error) {
	for _, k := range Kinds {
		if k.String() == name {
			return k, nil
		}
	}
	return 0, fmt.Errorf("codec: kind %q is not one of %v", name, Kinds)
}

// MarshalText returns the kind's name.
func (k Kind) MarshalText() ([]byte, error) {
	if !k.valid() {
		return nil, fmt.Errorf("codec: %v is not one of %v", k, Kinds)
	}
	return []byte(k.String()), nil
}

// UnmarshalText sets k to the kind of that name.
func (k *Kind) UnmarshalText(text []byte) (err error) {
	*k, err = ParseKind(string(text))
	return err
}

func (k Kind) valid() bool {
	switch k {
	case Banded, Residual1, Residual2, Residual4, Int8, Float32:
		return true
	}
	return false
}

// Residual tells whether vectors are stored as residuals to their cells.
func (k Kind) Residual() bool { return k == Banded || k.bits() > 0 }

// bits returns the bits per dimension of a residual kind with the same for all
// vectors, 0 for the others.
func (k Kind) bits() int {
	if k == Residual1 || k == Residual2 || k == Residual4 {
		return int(k)
	}
	return 0
}

// MaxCells is the largest number of cells of a codebook: what 3 bytes address.
const MaxCells = 1 << 24

// Options say how a codebook is trained.
type Options struct {
	// Kind is how vectors are stored.
	Kind Kind `json:"kind"`

	// Cells is the number of cells wanted; token ids may raise it, small
	// samples lower it. 0 chooses it from the number of vectors n. With token
	// ids that is n/VectorsPerCell, in small collections up to half as many again
	// but not beyond 16 sqrt(n); without ids 16 sqrt(n) rounded down to a power
	// of two, at most n/32.
	Cells int `json:"cells"`

	// VectorsPerCell is the number of vectors one cell stands for when Cells
	// is 0 and token ids are known.
	VectorsPerCell int `json:"vectors_per_cell"`

	// MinCellVectors is the number of sample vectors from which on a token id
	// has cells of its own. The vectors of all rarer ids share cells.
	MinCellVectors int `json:"min_cell_vectors"`

	// Total is the number of vectors in the collection the sample stands for,
	// 0 if the sample is all of it. Cells are chosen for this number.
	Total int `json:"total"`

	// CodeBytes is the mean number of bytes that the codes and the factor of a
	// vector take with kind Banded, from 0 to what 4 bits take. A word's cell is
	// nearly the word itself if it means the same in every text; the bytes are
	// better spent on words that do not. Training finds out in which of 20 bands
	// of words, by frequency, a byte takes most of the mean squared error of the
	// sample's vectors. Without token ids, bands are of cells by their vectors.
	CodeBytes float64 `json:"code_bytes"`

	// Iterations is the number of k-means rounds.
	Iterations int `json:"iterations"`

	// MaxSample limits the training vectors; of more, evenly spaced ones are
	// used.
	MaxSample int `json:"max_sample"`

	// Seed makes the choice of first centroids repeatable.
	Seed uint64 `json:"seed"`
}

// DefaultOptions returns the options for most collections: 2 bits per
// dimension and one cell per 128 vectors.
func DefaultOptions() Options {
	return Options{
		Kind:           Residual2,
		CodeBytes:      9,
		VectorsPerCell: 128,
		MinCellVectors: 16,
		Iterations:     8,
		MaxSample:      4_000_000,
		Seed:           1,
	}
}

// Validate reports every option out of range.
func (o Options) Validate() error {
	var errs []error
	bad := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("codec: "+format, args...))
		}
	}
	bad(o.Kind.valid(), "kind %v is not one of %v", o.Kind, Kinds)
	bad(o.Cells >= 0 && o.Cells <= MaxCells, "cells %d, want 0 to %d", o.Cells, MaxCells)
	bad(o.VectorsPerCell >= 1, "vectors per cell %d, want at least 1", o.VectorsPerCell)
	bad(o.MinCellVectors >= 1, "vectors for a cell of its own %d, want at least 1", o.MinCellVectors)
	bad(o.CodeBytes >= 0 && o.CodeBytes <= simd.MaxDim, "code bytes %v, want 0 to %d", o.CodeBytes, simd.MaxDim)
	bad(o.Total >= 0, "total %d, want at least 0", o.Total)
	bad(o.Iterations >= 1, "iterations %d, want at least 1", o.Iterations)
	bad(o.MaxSample >= 1, "largest sample %d, want at least 1", o.MaxSample)
	return errors.Join(errs...)
}
