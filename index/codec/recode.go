package codec

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/pare-search/pare/simd"
)

// NoID is a token id that stands for none, for vectors of which it is not known.
// No encoder makes it.
const NoID = math.MaxUint32

// TokenIDs returns the token ids of a payload's vectors, given what they decode
// to: those that their cells belong to, and NoID for vectors in cells of many
// ids. It returns nil if the codebook was trained without ids. Payloads do not
// hold ids; this is to code vectors again. The error wraps ErrCorrupt or
// ErrVersion.
func (c *Codebook) TokenIDs(data Payload, vectors simd.Matrix) ([]uint32, error) {
	if len(c.ids) == 0 {
		return nil, nil
	}
	p, err := c.parse(data)
	if err != nil {
		return nil, err
	}
	var cells []uint32
	if c.kind.Residual() {
		var g groups
		err = g.split(c, &p)
		if err == nil {
			cells = make([]uint32, p.rows)
			err = p.rowCells(cells, g.distinct)
		}
	} else {
		cells, err = c.nearestOf(&p, vectors)
	}
	if err != nil {
		return nil, err
	}
	ids := make([]uint32, len(cells))
	for row, cell := range cells {
		ids[row] = c.idOf(cell)
	}
	return ids, nil
}

// idOf returns the token id that a cell belongs to, or NoID.
func (c *Codebook) idOf(cell uint32) uint32 {
	// The last id whose cells do not begin after this one.
	i, exact := slices.BinarySearch(c.first, cell)
	if !exact {
		i--
	}
	if i < 0 || i >= len(c.ids) {
		return NoID
	}
	return c.ids[i]
}

// nearestOf returns which of a payload's cells each of its vectors is nearest
// to: payloads of the kinds that are no residuals do not say.
func (c *Codebook) nearestOf(p *payload, vectors simd.Matrix) ([]uint32, error) {
	distinct, err := c.appendCells(nil, p.cells)
	if err != nil {
		return nil, err
	}
	if vectors.Rows != p.rows || len(distinct) == 0 && p.rows > 0 {
		return nil, fmt.Errorf("%w: %d vectors in %d cells, want %d", ErrCorrupt, vectors.Rows, len(distinct), p.rows)
	}
	cells := make([]uint32, p.rows)
	for row := range cells {
		best := float32(math.Inf(-1))
		for _, cell := range distinct {
			if s := simd.Dot(vectors.Row(row), c.Centroid(int(cell))) - c.half[cell]; s > best {
				best, cells[row] = s, cell
			}
		}
	}
	return cells, nil
}

// DecodeRefinement returns the vectors a refinement stands for. The error wraps
// ErrCorrupt or ErrVersion.
func (c *Codebook) DecodeRefinement(data []byte) (simd.Matrix, error) {
	p, err := c.parseKind(Payload{Codes: data}, Int8)
	if err != nil {
		return simd.Matrix{}, err
	}
	out := simd.NewMatrix(p.rows, c.dim)
	if err := c.decodeInt8(out, &p); err != nil {
		return simd.Matrix{}, err
	}
	return out, nil
}

// AdoptRefinement returns a valid refinement of another codebook as one of this:
// of the codebook it holds nothing but the name.
func (c *Codebook) AdoptRefinement(data []byte) []byte {
	data = slices.Clone(data)
	binary.LittleEndian.PutUint16(data[2:], uint16(c.checksum))
	return data
}
