package codec

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/pare-search/pare/simd"
)

// A document's payload has two parts, little-endian, nothing aligned ("uv" is
// an unsigned varint). The cells say where the document's vectors lie:
//
//	cells, ascending        2 * distinct, or 3 * distinct above 65,536 cells
//
// and the codes what they are:
//
//	format version          1
//	kind                    1
//	codebook                2   low 16 bits of its checksum
//	rows                    uv  number of vectors
//
// then, for the residual kinds,
//
//	places                  1 * rows, 2 above 256 distinct cells, 3 above 65,536
//
// and for each form of codes (bands.go), of which residual1 to residual4 have one,
//
//	factors                 1 * rows of the form
//	plane 0                 dims/8 * rows of the form
//	plane 1                 dims/8 * rows of the form     2 and 4 bits
//	planes 2-3              dims/4 * rows of the form     4 bits
//
// for int8
//
//	scales, float32         4 * rows
//	values, int8            dim * rows
//
// and for float32
//
//	values                  4 * dim * rows
//
// The parts are apart because a search ranks many documents by their cells and
// scores few by their codes: cells of many documents that lie together are read
// at the speed of memory. So they have no header; who stores them says how long
// they are.
//
// Each document names a cell once: documents repeat their words, so this takes
// a quarter less than a cell for every vector, and centroid interaction reads
// nothing but these names. A vector's place is that of its cell among them.
// The cell tells the form of its vectors, so the places tell how many rows each
// form has; a form's rows are in the order of the vectors. Planes run from coarse
// to fine; package simd defines their bits. A residual vector is
//
//	factor * (centroid + residual scale of the cell * weight scale * weights)
//
// where the factor, by its number in the form's table (factors.go), gives it the
// length of the vector it stands for, and weights on axes are the sum of the axes
// times their weights. In a cell without codes a vector is the centroid, at the
// mean length of the cell's vectors.
//
// A refinement is the codes of kind int8, whatever the kind of the codebook.
const (
	payloadFixed   = 4 // bytes before the number of rows
	payloadVersion = 4 // 1 named a cell for every vector, 2 was of one part, 3 had one form
)

// Payload is what a document is stored as.
type Payload struct {
	// Cells names the cells of its vectors. Scorer.RankScore needs no more.
	Cells []byte
	// Codes is the rest, of no use without Cells.
	Codes []byte
}

// Size returns the number of bytes.
func (p Payload) Size() int { return len(p.Cells) + len(p.Codes) }

// payload is a parsed payload: views into its bytes.
type payload struct {
	rows    int
	cells   []byte
	places  []byte
	factors []byte // those of int8
	body    []byte // values, or what the forms have
}

// CellBytes is how many bytes name a cell in Payload.Cells.
func (c *Codebook) CellBytes() int {
	if c.Cells() <= 1<<16 {
		return 2
	}
	return 3
}

// placeBytes returns the width of a place among so many cells.
func placeBytes(distinct int) int {
	switch {
	case distinct <= 1<<8:
		return 1
	case distinct <= 1<<16:
		return 2
	}
	return 3
}

// layout returns the sizes of what follows the header of the codes, but those of
// a residual kind's forms.
func (c *Codebook) layout(kind Kind, rows, distinct int64) (places, factors, body int64) {
	switch kind {
	case Int8:
		return 0, 4 * rows, rows * int64(c.dim)
	case Float32:
		return 0, 0, 4 * rows * int64(c.dim)
	}
	return rows * int64(placeBytes(int(distinct))), 0, 0
}

// parse checks the header and the sizes of a payload. It reads nothing else.
func (c *Codebook) parse(data Payload) (payload, error) { return c.parseKind(data, c.kind) }

func (c *Codebook) parseKind(data Payload, kind Kind) (payload, error) {
	want := payloadVersion | uint32(kind)<<8 | uint32(uint16(c.checksum))<<16
	if len(data.Codes) < payloadFixed || binary.LittleEndian.Uint32(data.Codes) != want {
		return payload{}, c.notPayload(data.Codes, kind)
	}
	rows, rest, ok := readCount(data.Codes[payloadFixed:])
	if !ok {
		return payload{}, fmt.Errorf("%w: payload header: %d bytes", ErrCorrupt, len(data.Codes))
	}
	distinct, err := c.countCells(data.Cells)
	if err != nil {
		return payload{}, err
	}
	places, factors, body := c.layout(kind, rows, int64(distinct))
	size := int64(len(rest))
	if int64(distinct) > rows || size < places+factors+body || size > places+factors+body && !kind.Residual() {
		return payload{}, fmt.Errorf("%w: payload rows: %d rows in %d cells in %d bytes", ErrCorrupt, rows, distinct, len(data.Codes))
	}
	return cut(data.Cells, rest, rows, places, factors), nil
}

// cut divides what follows the header of the codes into its parts.
func cut(cells, rest []byte, rows, places, factors int64) payload {
	p := payload{rows: int(rows), cells: cells}
	p.places, rest = rest[:places], rest[places:]
	p.factors, p.body = rest[:factors], rest[factors:]
	return p
}

// countCells returns how many cells are named; it checks the size only.
func (c *Codebook) countCells(cells []byte) (int, error) {
	width, n := c.CellBytes(), len(cells)/2
	if width == 3 {
		n = len(cells) / 3 // dividing by width would take as long as a few cells
	}
	if n*width != len(cells) {
		return 0, fmt.Errorf("%w: payload cells: %d bytes of cells of %d", ErrCorrupt, len(cells), width)
	}
	return n, nil
}

// notPayload says what is wrong with the first bytes.
func (c *Codebook) notPayload(data []byte, kind Kind) error {
	switch {
	case len(data) < payloadFixed:
		return fmt.Errorf("%w: payload header: %d bytes", ErrCorrupt, len(data))
	case data[0] != payloadVersion:
		return fmt.Errorf("%w: payload format %d, want %d", ErrVersion, data[0], payloadVersion)
	case Kind(data[1]) != kind:
		return fmt.Errorf("%w: payload kind %v, want %v", ErrCorrupt, Kind(data[1]), kind)
	}
	tag := binary.LittleEndian.Uint16(data[2:])
	return fmt.Errorf("%w: payload is of codebook %04x, not %04x", ErrCorrupt, tag, uint16(c.checksum))
}

// readCount reads a varint of at most 32 bits.
func readCount(data []byte) (count int64, rest []byte, ok bool) {
	if len(data) > 0 && data[0] < 0x80 {
		return int64(data[0]), data[1:], true
	}
	v, n := binary.Uvarint(data)
	if n <= 0 || v > math.MaxUint32 || data[n-1] == 0 {
		return 0, nil, false
	}
	return int64(v), data[n:], true
}

// appendCells appends the cells that are named to dst. They must be ascending
// and exist, which makes them distinct.
func (c *Codebook) appendCells(dst []uint32, cells []byte) ([]uint32, error) {
	all, last := uint32(c.Cells()), int64(-1)
	width := c.CellBytes()
	for at := 0; at < len(cells); at += width {
		cell := uint32(binary.LittleEndian.Uint16(cells[at:]))
		if width == 3 {
			cell |= uint32(cells[at+2]) << 16
		}
		if cell >= all || int64(cell) <= last {
			return dst, fmt.Errorf("%w: payload cell %d: cell %d of %d after %d", ErrCorrupt, at/width, cell, all, last)
		}
		last = int64(cell)
		dst = append(dst, cell)
	}
	return dst, nil
}

// placeAt returns the place of a row's cell, whatever it says.
func (p *payload) placeAt(row int) int {
	switch len(p.places) {
	case p.rows:
		return int(p.places[row])
	case 2 * p.rows:
		return int(binary.LittleEndian.Uint16(p.places[2*row:]))
	}
	return int(binary.LittleEndian.Uint16(p.places[3*row:])) | int(p.places[3*row+2])<<16
}

// setPlace stores the place of a row's cell.
func (p *payload) setPlace(row, place int) {
	width := len(p.places) / p.rows
	for i := range width {
		p.places[width*row+i] = byte(place >> (8 * i))
	}
}

// groups are the rows of a residual payload by their forms. The zero value is
// ready for use and is reused over payloads.
type groups struct {
	distinct []uint32 // cells of the payload
	bare     []uint32 // those without codes
	forms    [maxForms]formRows

	lists []uint32 // of the cells of rows: room for all rows in each form and in none
}

// formRows are the rows of one form.
type formRows struct {
	cells           []uint32
	factors, planes []byte
}

// split sorts the rows of a payload by their forms and cuts their codes. It leaves
// nothing that is out of range of the codebook and the payload.
func (g *groups) split(c *Codebook, p *payload) (err error) {
	if g.distinct, err = c.appendCells(g.distinct[:0], p.cells); err != nil {
		return err
	}
	g.bare = g.bare[:0]
	if c.formOf == nil {
		g.lists = grow(g.lists, p.rows)
		g.forms[0].cells = g.lists
		err = p.rowCells(g.lists, g.distinct)
	} else {
		err = g.sort(c, p)
	}
	if err != nil {
		return err
	}
	rest := p.body
	for i := range c.forms {
		form, f := &g.forms[i], &c.forms[i]
		rows := len(form.cells)
		if int64(rows)*int64(f.bytes()) > int64(len(rest)) {
			return fmt.Errorf("%w: payload rows: no room for the codes of %d rows", ErrCorrupt, rows)
		}
		form.factors, rest = rest[:rows], rest[rows:]
		form.planes, rest = rest[:rows*f.planeBytes()], rest[rows*f.planeBytes():]
	}
	if len(rest) > 0 {
		return fmt.Errorf("%w: payload rows: %d bytes belong to none", ErrCorrupt, len(rest))
	}
	return nil
}

// sort sets the cells of each form's rows and those without codes.
func (g *groups) sort(c *Codebook, p *payload) error {
	// A cell's name takes 24 bits; above it is the number of its form.
	const nameBits = 24
	for i, cell := range g.distinct {
		number := c.formOf[cell]
		if number == 0 {
			g.bare = append(g.bare, cell)
		}
		g.distinct[i] |= uint32(number) << nameBits
	}
	// Rows are written behind each other in the list of their form without asking
	// which that is: a branch would be mispredicted.
	var ends [8]int // maxForms and none, and never out of range
	lists := 1 + len(c.forms)
	g.lists = grow(g.lists, lists*p.rows)
	for i := range lists {
		ends[i] = i * p.rows
	}
	all := g.lists
	if len(p.places) == p.rows {
		for row, place := range p.places {
			if int(place) >= len(g.distinct) {
				return p.badPlace(row, len(g.distinct))
			}
			cell := g.distinct[place]
			end := &ends[cell>>nameBits%8]
			all[*end] = cell & (1<<nameBits - 1)
			*end++
		}
	} else {
		for row := range p.rows {
			place := p.placeAt(row)
			if place >= len(g.distinct) {
				return p.badPlace(row, len(g.distinct))
			}
			cell := g.distinct[place]
			end := &ends[cell>>nameBits%8]
			all[*end] = cell & (1<<nameBits - 1)
			*end++
		}
	}
	for i := range g.distinct {
		g.distinct[i] &= 1<<nameBits - 1
	}
	for i := range c.forms {
		g.forms[i].cells = all[(1+i)*p.rows : ends[1+i]]
	}
	return nil
}

// rowCells writes the cell of every row of a residual payload to dst, given its
// distinct cells.
func (p *payload) rowCells(dst, distinct []uint32) error {
	if len(p.places) == p.rows {
		for row, place := range p.places {
			if int(place) >= len(distinct) {
				return p.badPlace(row, len(distinct))
			}
			dst[row] = distinct[place]
		}
		return nil
	}
	for row := range dst {
		place := p.placeAt(row)
		if place >= len(distinct) {
			return p.badPlace(row, len(distinct))
		}
		dst[row] = distinct[place]
	}
	return nil
}

func (p *payload) badPlace(row, distinct int) error {
	return fmt.Errorf("%w: payload row %d: place %d of %d cells", ErrCorrupt, row, p.placeAt(row), distinct)
}

// scaleAt returns the scale of a row of an int8 payload, whatever it says.
func (p *payload) scaleAt(row int) float32 {
	return math.Float32frombits(binary.LittleEndian.Uint32(p.factors[4*row:]))
}

// isScale tells whether encoding can have made a scale.
func isScale(x float32) bool { return x >= 0 && x <= MaxComponent }

func (p *payload) badScale(row int) error {
	return fmt.Errorf("%w: payload row %d: scale is %v", ErrCorrupt, row, p.scaleAt(row))
}

// floatRow reads a row of a float32 payload into dst.
func (c *Codebook) floatRow(dst []float32, p *payload, row int) error {
	values := p.body[4*c.dim*row : 4*c.dim*(row+1)]
	for d := range dst {
		x := math.Float32frombits(binary.LittleEndian.Uint32(values))
		values = values[4:]
		if !(x >= -MaxComponent && x <= MaxComponent) {
			return fmt.Errorf("%w: payload row %d, column %d is %v", ErrCorrupt, row, d, x)
		}
		dst[d] = x
	}
	return nil
}

// Check validates a payload of untrusted origin completely and returns its
// number of vectors: it is one that encoding can have made, but for two things that
// nothing in it tells. Those are the cells of the kinds int8 and float32, whose rows
// do not name them, and whether values are those of some document. The error wraps
// ErrCorrupt or ErrVersion.
func (c *Codebook) Check(data Payload) (rows int, err error) {
	p, err := c.parse(data)
	if err != nil {
		return 0, err
	}
	if _, err := c.appendCells(nil, p.cells); err != nil {
		return 0, err
	}
	switch c.kind {
	case Int8:
		err = p.checkScales()
	case Float32:
		var values [simd.MaxDim]float32
		for row := 0; row < p.rows && err == nil; row++ {
			err = c.floatRow(values[:c.dim], &p, row)
		}
	default:
		var g groups
		if err = g.split(c, &p); err == nil {
			err = p.checkNamed(len(g.distinct))
		}
	}
	return p.rows, err
}

// checkNamed checks that every one of so many cells of a residual payload, whose
// places are known to be among them, is some row's: a cell of none would count for
// the document when it is ranked.
func (p *payload) checkNamed(cells int) error {
	named := make([]bool, cells)
	for row := range p.rows {
		named[p.placeAt(row)] = true
	}
	if cell := slices.Index(named, false); cell >= 0 {
		return fmt.Errorf("%w: payload cell %d is of no row", ErrCorrupt, cell)
	}
	return nil
}

// CheckRefinement validates a refinement of untrusted origin completely and
// returns its number of vectors. The error wraps ErrCorrupt or ErrVersion.
func (c *Codebook) CheckRefinement(data []byte) (rows int, err error) {
	p, err := c.parseKind(Payload{Codes: data}, Int8)
	if err != nil {
		return 0, err
	}
	return p.rows, p.checkScales()
}

func (p *payload) checkScales() error {
	for row := range p.rows {
		if !isScale(p.scaleAt(row)) {
			return p.badScale(row)
		}
	}
	return nil
}

// Rows returns the number of vectors of a payload; it checks the sizes only.
func (c *Codebook) Rows(data Payload) (int, error) {
	p, err := c.parse(data)
	return p.rows, err
}

// DocumentCells returns the cells that Payload.Cells names, distinct and
// ascending. The error wraps ErrCorrupt.
func (c *Codebook) DocumentCells(cells []byte) ([]uint32, error) {
	distinct, err := c.countCells(cells)
	if err != nil {
		return nil, err
	}
	return c.appendCells(make([]uint32, 0, distinct), cells)
}

// Decode returns the vectors a payload stands for.
func (c *Codebook) Decode(data Payload) (simd.Matrix, error) {
	p, err := c.parse(data)
	if err != nil {
		return simd.Matrix{}, err
	}
	out := simd.NewMatrix(p.rows, c.dim)
	switch c.kind {
	case Int8:
		err = c.decodeInt8(out, &p)
	case Float32:
		for row := 0; row < p.rows && err == nil; row++ {
			err = c.floatRow(out.Row(row), &p, row)
		}
	default:
		err = c.decodeResidual(out, &p)
	}
	if err != nil {
		return simd.Matrix{}, err
	}
	return out, nil
}

func (c *Codebook) decodeInt8(out simd.Matrix, p *payload) error {
	for row := range p.rows {
		scale := p.scaleAt(row)
		if !isScale(scale) {
			return p.badScale(row)
		}
		for d := range out.Row(row) {
			out.Row(row)[d] = scale * float32(int8(p.body[row*c.dim+d]))
		}
	}
	return nil
}

func (c *Codebook) decodeResidual(out simd.Matrix, p *payload) error {
	var g groups
	if err := g.split(c, p); err != nil {
		return err
	}
	var next [maxForms]int // row of each form
	codes := make([]uint8, c.dim)
	for row := range p.rows {
		dst, cell := out.Row(row), g.distinct[p.placeAt(row)]
		number := c.formNumber(cell)
		if number == 0 {
			for d, x := range c.Centroid(int(cell)) {
				dst[d] = c.cellScale[cell] * x
			}
			continue
		}
		f, form := &c.forms[number-1], &g.forms[number-1]
		at := next[number-1]
		next[number-1]++
		codes = codes[:f.dims]
		for d := range codes {
			codes[d] = simd.Code(form.planes, len(form.cells), f.dims, f.bits, at, d)
		}
		c.rebuild(dst, f, codes, cell)
		factor := f.factors.table[form.factors[at]]
		for d := range dst {
			dst[d] *= factor
		}
	}
	return nil
}

// rebuild writes what the codes of a vector stand for, before its factor.
func (c *Codebook) rebuild(dst []float32, f *form, codes []uint8, cell uint32) {
	var steps [1 << 4]float32
	step := c.cellScale[cell] * f.levels.scale
	for code, weight := range f.levels.weights {
		steps[code] = step * float32(weight)
	}
	centroid := c.Centroid(int(cell))
	if !f.onAxes {
		dst, centroid = dst[:len(codes)], centroid[:len(codes)]
		for d, code := range codes {
			dst[d] = centroid[d] + steps[code%16]
		}
		return
	}
	// All axes have the lower weight, and those of code 1 the step to the higher.
	clear(dst)
	for k, code := range codes {
		if code == 1 {
			simd.Add(dst, c.axes.floats.Row(k))
		}
	}
	low, more := steps[0], steps[1]-steps[0]
	for d, x := range c.axes.sums.Row(len(codes)) {
		// The conversions keep the compiler from fusing operations.
		dst[d] = centroid[d] + float32(float32(low*x)+float32(more*dst[d]))
	}
}
