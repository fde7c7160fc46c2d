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
	forms     []form
	used      [maxForms]bool // some cell has this form
	formOf    []uint8        // of each cell, counted from 1, 0 for no codes; nil if all have the only form
	axes      axes

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

// form returns how the vectors of a cell are coded, nil if they have no codes.
func (c *Codebook) form(cell uint32) *form {
	at := c.formNumber(cell)
	if at == 0 {
		return nil
	}
	return &c.forms[at-1]
}

// formNumber returns the number of the form of a cell, counted from 1, or 0.
func (c *Codebook) formNumber(cell uint32) int {
	if c.formOf == nil {
		return 1
	}
	return int(c.formOf[cell])
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
	codes := 0
	for i := range c.forms {
		codes += formBytes(c.forms[i].bits)
	}
	return []Section{
		{"header", headerBytes},
		{"codes", codes},
		{"axes", len(c.axes.values) + len(c.axes.scale)*4},
		{"centroids", len(c.centroids)},
		{"centroid scales", len(c.centroidScale) * 4},
		{"residual scales", len(c.cellScale)*4 + len(c.formOf)},
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
//	for each form
//	  weight scale, float32            4
//	  cuts, float32                    4 * (2^bits - 1)
//	  weights, int8                    2^bits
//	  smallest factor, float32         4
//	  ratio of factors, float32        4
//	axes, int8                         dim/2 * dim          banded, see below
//	axis scales, float32               4 * dim/2            banded
//	centroids, int8                    cells * dim
//	centroid scales, float32           4 * cells
//	residual scales, float32           4 * cells            residual kinds
//	form of each cell, from 1, or 0    cells                banded
//	token ids, ascending               4 * ids
//	first cell of each id, and end     4 * (ids + 1)
//	coarse centroids, float32          4 * groups * dim
//	first member of each group, end    4 * (groups + 1)
//	cells by group                     4 * cells, or nothing without groups
//	CRC-64 (ECMA) of all before        8
//
// The forms of a banded codebook are 1 bit on the first dim/4 axes, if that is a
// multiple of 8, 1 bit on the first dim/2 axes, if that is, and 1, 2 and 4 bits for
// each dimension. There are as many axes as forms need. Other residual kinds have
// the form of their bits, int8 and float32 none.
const (
	magic         = "PARECODE"
	headerBytes   = 24
	checksumBytes = 8

	// Version 1 had no factors and no cells without codes, 2 no forms.
	codebookVersion = 3
)

// formBytes returns the size of a form of so many bits.
func formBytes(bits int) int { return 4 + 4*(1<<bits-1) + 1<<bits + 8 }

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
	for _, f := range c.forms {
		b = appendFloats(b, []float32{f.levels.scale})
		b = appendFloats(b, f.levels.cuts)
		b = appendInt8s(b, f.levels.weights)
		b = appendFloats(b, []float32{f.factors.low, f.factors.ratio})
	}
	b = appendInt8s(b, c.axes.values)
	b = appendFloats(b, c.axes.scale)
	b = appendInt8s(b, c.centroids)
	b = appendFloats(b, c.centroidScale)
	b = appendFloats(b, c.cellScale)
	b = append(b, c.formOf...)
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

	d := decoder{rest: body[headerBytes:]}
	c.forms = formsOf(c.kind, c.dim)
	for i := range c.forms {
		f := &c.forms[i]
		f.levels.scale = d.float()
		f.levels.cuts = d.floats(1<<f.bits - 1)
		f.levels.weights = d.int8s(1 << f.bits)
		f.factors = newFactors(d.float(), d.float())
	}
	c.axes.values = d.int8s(axesOf(c.forms) * c.dim)
	c.axes.scale = d.floats(axesOf(c.forms))
	c.centroids = d.int8s(cells * c.dim)
	c.centroidScale = d.floats(cells)
	if len(c.forms) > 0 {
		c.cellScale = d.floats(cells)
	}
	if c.kind == Banded {
		c.formOf = d.take(cells)
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
	for i := range c.forms {
		c.forms[i].levels.setDigits()
	}
	c.axes.prepare(c.dim)
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
	for i := range c.forms {
		switch f := &c.forms[i]; {
		case !scales([]float32{f.levels.scale}):
			return corrupt("weight scale")
		case !moderate(f.levels.cuts) || !slices.IsSorted(f.levels.cuts):
			return corrupt("cuts")
		case !f.weightsFit():
			return corrupt("weights")
		case !f.factors.valid():
			return corrupt("factors")
		}
	}
	switch {
	case slices.Contains(c.axes.values, math.MinInt8):
		return corrupt("axes")
	case !scales(c.axes.scale):
		return corrupt("axis scales")
	case slices.ContainsFunc(c.formOf, func(f uint8) bool { return int(f) > len(c.forms) }):
		return corrupt("forms of cells")
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
func (f *form) weightsFit() bool {
	limit := weightLimit(f.bits)
	return !slices.ContainsFunc(f.levels.weights, func(w int8) bool { return int(w) > limit || int(w) < -limit })
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
	c.used = [maxForms]bool{}
	for cell := range c.Cells() {
		if at := c.formNumber(uint32(cell)); at > 0 {
			c.used[at-1] = true
		}
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
