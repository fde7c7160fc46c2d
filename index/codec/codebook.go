package codec

import (
	"encoding/binary"
	"fmt"
	"hash/crc64"
	"math"
	"slices"
	"sync"

	"github.com/pare-search/pare/simd"
)

// Codebook is what training learned: the cells and the meaning of the codes.
// It is immutable and safe for concurrent use.
type Codebook struct {
	kind Kind
	dim  int

	// A centroid is centroidScale * int8; floats holds these products.
	centroids     []int8 // cells x dim
	centroidScale []float32
	floats        simd.Matrix
	half          []float32       // half the squared length of each centroid
	table         *simd.CellTable // the same for the kernels

	// cellScale is the root mean square of the residual components of each
	// cell; codes describe residuals divided by it. In a cell without codes it
	// is what gives the centroid the mean length of the cell's vectors.
	// Residual kinds only, like what follows.
	cellScale []float32
	uncoded   []byte // bitmap of the cells without codes
	anyBare   bool   // some cell has no codes
	levels    levels
	factors   factors

	// The cells of ids[i] are first[i] to first[i+1]-1; cells from the last
	// first on belong to no id.
	ids   []uint32
	first []uint32

	coarse coarse

	data     []byte // the marshalled form
	checksum uint64

	// For encoding, made when it is asked for.
	tilesOnce sync.Once
	tiles     *tiles
	encoders  sync.Pool // of *encoder
}

// Kind returns how vectors are stored.
func (c *Codebook) Kind() Kind { return c.kind }

// Dim returns the number of dimensions of a vector.
func (c *Codebook) Dim() int { return c.dim }

// Cells returns the number of cells, at least 1.
func (c *Codebook) Cells() int { return c.floats.Rows }

// Centroid returns the centroid of a cell, 0 <= cell < Cells. It must not be
// changed.
func (c *Codebook) Centroid(cell int) []float32 { return c.floats.Row(cell) }

// coded tells whether the vectors of a cell have codes.
func (c *Codebook) coded(cell uint32) bool {
	return !c.anyBare || c.uncoded[cell/8]>>(cell%8)&1 == 0
}

// Checksum identifies the codebook: the CRC-64 (ECMA) of its marshalled form.
func (c *Codebook) Checksum() uint64 { return c.checksum }

// MarshalBinary returns the codebook as bytes for Load. They must not be
// changed.
func (c *Codebook) MarshalBinary() ([]byte, error) { return c.data, nil }

// Section is one part of a codebook and its size in bytes.
type Section struct {
	Name  string
	Bytes int
}

// Sections lists the parts of the marshalled codebook, in file order.
func (c *Codebook) Sections() []Section {
	return []Section{
		{"header", headerBytes},
		{"codes", len(c.levels.cuts)*4 + len(c.levels.weights) + factorBytes*min(len(c.levels.weights), 1)},
		{"centroids", len(c.centroids)},
		{"centroid scales", len(c.centroidScale) * 4},
		{"residual scales", len(c.cellScale)*4 + len(c.uncoded)},
		{"token ids", len(c.ids)*4 + len(c.first)*4},
		{"coarse cells", len(c.coarse.floats.Data)*4 + len(c.coarse.first)*4 + len(c.coarse.order)*4},
		{"checksum", checksumBytes},
	}
}

// A codebook's bytes, little-endian:
//
//	magic "PARECODE"                   8
//	format version                     1
//	kind                               1
//	dim                                2
//	cells                              4
//	token ids with cells               4
//	coarse groups                      4
//	weight scale, float32              4
//	cuts, float32                      4 * (2^bits - 1)     residual kinds
//	weights, int8                      2^bits               residual kinds
//	smallest factor, float32           4                    residual kinds
//	ratio of factors, float32          4                    residual kinds
//	centroids, int8                    cells * dim
//	centroid scales, float32           4 * cells
//	residual scales, float32           4 * cells            residual kinds
//	cells without codes, bitmap        (cells + 7) / 8      residual kinds
//	token ids, ascending               4 * ids
//	first cell of each id, and end     4 * (ids + 1)
//	coarse centroids, float32          4 * groups * dim
//	first member of each group, end    4 * (groups + 1)
//	cells by group                     4 * cells, or nothing without groups
//	CRC-64 (ECMA) of all before        8
const (
	magic         = "PARECODE"
	headerBytes   = 28
	factorBytes   = 8
	checksumBytes = 8

	// Version 1 had no factors and no cells without codes.
	codebookVersion = 2
)

var crcTable = crc64.MakeTable(crc64.ECMA)

// seal marshals the finished codebook and sets its checksum.
func (c *Codebook) seal() {
	le := binary.LittleEndian
	b := []byte(magic)
	b = append(b, codebookVersion, byte(c.kind))
	b = le.AppendUint16(b, uint16(c.dim))
	b = le.AppendUint32(b, uint32(c.Cells()))
	b = le.AppendUint32(b, uint32(len(c.ids)))
	b = le.AppendUint32(b, uint32(c.coarse.floats.Rows))
	b = le.AppendUint32(b, math.Float32bits(c.levels.scale))
	b = appendFloats(b, c.levels.cuts)
	b = appendInt8s(b, c.levels.weights)
	if c.kind.bits() > 0 {
		b = appendFloats(b, []float32{c.factors.low, c.factors.ratio})
	}
	b = appendInt8s(b, c.centroids)
	b = appendFloats(b, c.centroidScale)
	b = appendFloats(b, c.cellScale)
	b = append(b, c.uncoded...)
	b = appendUints(b, c.ids)
	b = appendUints(b, c.first)
	b = appendFloats(b, c.coarse.floats.Data)
	b = appendUints(b, c.coarse.first)
	b = appendUints(b, c.coarse.order)
	c.checksum = crc64.Checksum(b, crcTable)
	c.data = le.AppendUint64(b, c.checksum)
	c.prepare()
}

// Load reads a codebook from its bytes, which must not change afterwards. The
// error wraps ErrVersion or ErrCorrupt and names the field.
func Load(data []byte) (*Codebook, error) {
	if len(data) < headerBytes+checksumBytes || string(data[:len(magic)]) != magic {
		return nil, fmt.Errorf("%w: codebook magic: not a codebook", ErrCorrupt)
	}
	if v := data[8]; v != codebookVersion {
		return nil, fmt.Errorf("%w: codebook format %d, want %d", ErrVersion, v, codebookVersion)
	}
	le := binary.LittleEndian
	body := data[:len(data)-checksumBytes]
	c := &Codebook{
		kind:     Kind(data[9]),
		dim:      int(le.Uint16(data[10:])),
		data:     data,
		checksum: le.Uint64(data[len(body):]),
	}
	if sum := crc64.Checksum(body, crcTable); sum != c.checksum {
		return nil, fmt.Errorf("%w: codebook checksum: stored %016x, computed %016x", ErrCorrupt, c.checksum, sum)
	}
	if err := c.checkHeader(le.Uint32(data[12:]), le.Uint32(data[16:]), le.Uint32(data[20:])); err != nil {
		return nil, err
	}
	cells, ids, groups := int(le.Uint32(data[12:])), int(le.Uint32(data[16:])), int(le.Uint32(data[20:]))

	d := decoder{rest: body[headerBytes-4:]} // from the weight scale on
	bits := c.kind.bits()
	c.levels.scale = d.float()
	if bits > 0 {
		c.levels.cuts = d.floats(1<<bits - 1)
		c.levels.weights = d.int8s(1 << bits)
		c.factors = newFactors(d.float(), d.float())
	}
	c.centroids = d.int8s(cells * c.dim)
	c.centroidScale = d.floats(cells)
	if bits > 0 {
		c.cellScale = d.floats(cells)
		c.uncoded = d.take((cells + 7) / 8)
	}
	c.ids = d.uints(ids)
	c.first = d.uints(ids + 1)
	c.coarse.floats = simd.Matrix{Rows: groups, Dim: c.dim, Data: d.floats(groups * c.dim)}
	c.coarse.first = d.uints(groups + 1)
	if groups > 0 {
		c.coarse.order = d.uints(cells)
	}
	if d.short || len(d.rest) > 0 {
		return nil, fmt.Errorf("%w: codebook length %d does not fit its sizes", ErrCorrupt, len(data))
	}
	if err := c.checkFields(); err != nil {
		return nil, err
	}
	if bits > 0 {
		c.levels.setDigits()
	}
	c.expand()
	c.prepare()
	return c, nil
}

// checkHeader checks the sizes before anything is read by them.
func (c *Codebook) checkHeader(cells, ids, groups uint32) error {
	size := int64(len(c.data))
	if !c.kind.valid() {
		return fmt.Errorf("%w: codebook kind %d", ErrCorrupt, uint8(c.kind))
	}
	if err := simd.CheckDim(c.dim); err != nil {
		return fmt.Errorf("%w: codebook dim %d", ErrCorrupt, c.dim)
	}
	if cells < 1 || cells > MaxCells {
		return fmt.Errorf("%w: codebook cells %d", ErrCorrupt, cells)
	}
	if int64(cells)*int64(c.dim) > size || 4*int64(groups)*int64(c.dim) > size {
		return fmt.Errorf("%w: codebook length %d does not fit its sizes", ErrCorrupt, size)
	}
	if ids > cells {
		return fmt.Errorf("%w: codebook token ids %d of %d cells", ErrCorrupt, ids, cells)
	}
	if groups > cells {
		return fmt.Errorf("%w: codebook coarse groups %d of %d cells", ErrCorrupt, groups, cells)
	}
	return nil
}

// checkFields checks what the sizes do not tell.
func (c *Codebook) checkFields() error {
	corrupt := func(field string) error { return fmt.Errorf("%w: codebook %s", ErrCorrupt, field) }
	scales := func(v []float32) bool {
		return !slices.ContainsFunc(v, func(x float32) bool { return !(x >= 0 && x <= MaxComponent) })
	}
	moderate := func(v []float32) bool {
		return !slices.ContainsFunc(v, func(x float32) bool { return !(x >= -MaxComponent && x <= MaxComponent) })
	}
	cells := len(c.centroidScale)
	switch {
	case !scales([]float32{c.levels.scale}):
		return corrupt("weight scale")
	case !moderate(c.levels.cuts) || !slices.IsSorted(c.levels.cuts):
		return corrupt("cuts")
	case !c.weightsFit():
		return corrupt("weights")
	case c.kind.bits() > 0 && !c.factors.valid():
		return corrupt("factors")
	case slices.Contains(c.centroids, math.MinInt8):
		return corrupt("centroids")
	case !scales(c.centroidScale):
		return corrupt("centroid scales")
	case !scales(c.cellScale):
		return corrupt("residual scales")
	case !ascending(c.ids):
		return corrupt("token ids")
	case c.first[0] != 0 || !ascending(c.first) || int(c.first[len(c.ids)]) > cells:
		return corrupt("first cells")
	case !moderate(c.coarse.floats.Data):
		return corrupt("coarse centroids")
	case !c.coarse.valid(cells):
		return corrupt("cells by group")
	}
	return nil
}

// weightsFit reports whether the weights are as small as training makes them,
// which kernels rely on.
func (c *Codebook) weightsFit() bool {
	limit := weightLimit(c.kind.bits())
	return !slices.ContainsFunc(c.levels.weights, func(w int8) bool { return int(w) > limit || int(w) < -limit })
}

// expand makes the float centroids.
func (c *Codebook) expand() {
	c.floats = simd.NewMatrix(len(c.centroidScale), c.dim)
	for cell, scale := range c.centroidScale {
		row := c.floats.Row(cell)
		for d, v := range c.centroids[cell*c.dim : (cell+1)*c.dim] {
			row[d] = scale * float32(v)
		}
	}
	c.half = halfSquares(c.floats)
	c.coarse.half = halfSquares(c.coarse.floats)
}

// prepare makes what scoring needs, once all fields are set.
func (c *Codebook) prepare() {
	c.table = simd.NewCellTable(c.dim, c.centroids, c.centroidScale, c.cellScale)
	cells := uint32(c.Cells())
	c.anyBare = false
	for cell := uint32(0); cell < cells && len(c.uncoded) > 0; cell++ {
		c.anyBare = c.anyBare || c.uncoded[cell/8]>>(cell%8)&1 == 1
	}
}

// ascending reports whether each value is larger than the one before.
func ascending(v []uint32) bool {
	for i := 1; i < len(v); i++ {
		if v[i] <= v[i-1] {
			return false
		}
	}
	return true
}

func appendFloats(b []byte, v []float32) []byte {
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

func appendUints(b []byte, v []uint32) []byte {
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, x)
	}
	return b
}

func appendInt8s(b []byte, v []int8) []byte {
	for _, x := range v {
		b = append(b, byte(x))
	}
	return b
}

// decoder reads fields one after the other; short stays set once bytes ran
// out, and every read after that returns zeros of length 0 or 1.
type decoder struct {
	rest  []byte
	short bool
}

func (d *decoder) take(n int) []byte {
	if n < 0 || n > len(d.rest) {
		d.short, d.rest = true, nil
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) float() float32 {
	if b := d.take(4); b != nil {
		return math.Float32frombits(binary.LittleEndian.Uint32(b))
	}
	return 0
}

func (d *decoder) floats(n int) []float32 {
	b := d.take(4 * n)
	v := make([]float32, len(b)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return v
}

func (d *decoder) uints(n int) []uint32 {
	b := d.take(4 * n)
	v := make([]uint32, len(b)/4)
	for i := range v {
		v[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return v
}

func (d *decoder) int8s(n int) []int8 {
	b := d.take(n)
	v := make([]int8, len(b))
	for i := range v {
		v[i] = int8(b[i])
	}
	return v
}
