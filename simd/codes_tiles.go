package simd

import (
	"encoding/binary"
	"math"
	"slices"
)

// The kernels for bytes take vectors apart into chunks of 128 dimensions, and
// those into segments: segment s of a chunk holds the 16 dimensions whose
// number is s modulo 8, those that are bit s of the chunk's bytes in a bit
// plane.
const (
	chunkDims   = 128
	segmentDims = 16

	// blockTokens is how many tokens lie together: segment by segment, 16 bytes
	// of each.
	blockTokens = 8
)

// chunksOf returns the number of chunks of so many dimensions.
func chunksOf(dim int) int { return (dim + chunkDims - 1) / chunkDims }

// segmentAt returns where the kernels look for segment s. Those for 4 bits find
// it by the order in which they decode.
func segmentAt(s, codeBits int) int {
	if codeBits == 4 {
		return s%4*2 + s/4
	}
	return s
}

// tileArgs are the arguments of the kernels for bytes: pointers and integers
// only, in the order that the generator knows.
type tileArgs struct {
	tokens int
	query  *int8    // panel of the block of rows
	start  *int32   // what the sums of each lane start at
	steps  *float32 // what the sums of each lane are multiplied with
	best   *float32 // of each lane

	tables                         *byte // what codes stand for
	planes                         *byte
	planeBytes, chunkBytes, chunks int // distances of planes and of their chunks

	cells       *uint32
	lastCell    int // past the last cell
	values      *int16
	stride      int // bytes
	residual    *float32
	factors     *byte
	factorTable *float32

	vectors    *byte
	multiplier int

	next, nextEnd *byte
	nextStep      int // bytes per turn of the inner loop

	unit    int // bits of a float32
	rowMask int // a bit for each row

	// For use by the kernels, which keep addresses in integers: those do not
	// outlive the call, and the garbage collector must not see them after it.
	half, other    *byte
	factorAt       uintptr
	token, chunkAt int
	codes          uintptr
}

// codeForm is how a kernel takes the weights of codes: less by the smallest of
// them and divided by step, so that they have no sign and are small.
type codeForm struct {
	least, step int32
	sums        int // products of four bytes that fit 16 bits, at levelAVX2
}

// formOf returns the form for weights and ok if there is a kernel for them.
func formOf(l level, weights []int8, dim int) (f codeForm, ok bool) {
	f = codeForm{least: int32(slices.Min(weights)), step: 1}
	if l == levelAVX512 {
		return f, true
	}
	var step, largest int32
	for _, w := range weights {
		step = gcd(step, int32(w)-f.least)
	}
	f.step = max(step, 1)
	largest = (int32(slices.Max(weights)) - f.least) / f.step
	products := func(n int32) bool { return n*largest*127 <= math.MaxInt16 }
	switch {
	case products(int32(chunksOf(dim) * chunkDims / 2)):
		f.sums = chunkDims / 4
	case products(8):
		f.sums = 4
	case products(4):
		f.sums = 2
	case products(2):
		f.sums = 1
	default:
		return f, false
	}
	return f, true
}

func gcd(a, b int32) int32 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// codeTiles are a query's rows as the kernels for codes read them, in blocks of
// 32, 16 or 8.
type codeTiles struct {
	level     level
	rows, dim int
	bits      int
	form      codeForm
	query     []int8
	start     []int32
	places    []int     // of each dimension in the panel of a block
	scale     []float32 // of each lane
	steps     []float32 // of each lane over the unit of a CellRows
	unit      float32
	tables    []byte
	scratch   []byte
	padded    []byte
	best      []float32
	args      tileArgs
	halves    [2]*byte // of scratch
}

// reset packs rows of q. The row scales are scale.
func (p *codeTiles) reset(q *Query, rows []int, l level, f codeForm, weights []int8, codeBits int, scale []float32) {
	p.level, p.form, p.bits = l, f, codeBits
	p.rows, p.dim = len(scale), q.Dim
	lanes, chunks := strideOf(p.rows), chunksOf(p.dim)
	// A block of up to 8 rows may take as much as one of 32.
	p.query = grow(p.query, roundUp(lanes, largestBlock)*chunks*chunkDims)
	clear(p.query)
	p.places = grow(p.places, p.dim)
	p.start, p.scale = grow(p.start, lanes+8*16), grow(p.scale, lanes)
	clear(p.start)
	clear(p.scale)
	p.unit = 0
	for j := range p.rows {
		first := j / largestBlock * largestBlock
		n := tileRows(l, p.rows-first)
		pl := placeOf(l, n, j-first, splitLanes)
		codes, _ := q.Codes(rowOf(rows, j))
		if j == first {
			for d := range p.places {
				chunk, d := d/chunkDims, d%chunkDims
				p.places[chunk*chunkDims+d] = pl.at(n, chunk*chunkDims+segmentAt(d%8, codeBits)*segmentDims+d/8)
			}
		}
		panel := p.query[first*chunks*chunkDims+pl.offset():]
		var sum int32
		for d, v := range codes {
			sum += int32(v)
			at := p.places[d]
			panel[at] = v
			for range pl.copies - 1 {
				at += pl.group
				panel[at] = v
			}
		}
		if pl.copies == 1 {
			p.start[first+pl.lane] = f.least * sum
		} else { // one of a row's four sums for each token
			for t := range pl.copies {
				p.start[first+j%largestBlock*16+t*4] = f.least * sum
			}
		}
		p.scale[first+pl.lane] = scale[j]
	}
	p.resetTables(weights)
	p.args.tables = &p.tables[0]
	if l == levelAVX512 {
		half := roundUp(blockTokens*(8+4*largestBlock)+chunks*blockTokens*chunkDims, 64)
		p.scratch = grow(p.scratch, 2*half)
		p.halves = [2]*byte{&p.scratch[0], &p.scratch[half]}
	}
}

// tileRows returns the rows of the kernel for bytes that takes the next block
// when so many are left.
func tileRows(l level, rows int) int {
	switch {
	case rows <= 4 && l == levelAVX512:
		return 4
	case rows > 16 && rows <= 24:
		return 24 // of the 32 lanes
	}
	return blockOf(rows)
}

// place tells where a row of a block is: its lane of the sums, and its slot
// among those of all rows, of which group dimensions lie together, so many
// copies side by side.
type place struct{ lane, slot, group, copies int }

// laneOrder is how rows are spread over the lanes of an AVX-512 kernel.
type laneOrder uint8

const (
	plainLanes laneOrder = iota

	// splitLanes: the first half has the even rows, so that both halves of the
	// dwords of a CellRows line are in place.
	splitLanes

	// packedLanes: rows are in order after the two registers of 32 lanes are
	// packed into one, quarter by quarter.
	packedLanes
)

func (o laneOrder) lane(n, row int) int {
	switch {
	case o == splitLanes && n > 4:
		return row/2 + row%2*(n/2)
	case o == packedLanes && n == 32:
		return row/8*4 + row%4 + row/4%2*16
	}
	return row
}

// placeOf returns the place of a row of a block of n.
//
// With AVX-512, the kernel for 16 rows, with two registers of 8 rows each, adds
// up sums most easily when pairs of lanes alternate between the registers, and
// those for 8 and 4 rows multiply every row with four tokens at once.
func placeOf(l level, n, row int, order laneOrder) place {
	if l != levelAVX512 {
		return place{row, row, 4, 1}
	}
	switch n {
	case 4, 8:
		return place{order.lane(n, row), row, segmentDims, 4}
	case 24:
		if row >= 16 {
			return place{row, row, 8, 1}
		}
		fallthrough
	case 16:
		lane := order.lane(16, row)
		return place{lane, lane/2%2*8 + lane/4*2 + lane%2, 8, 1}
	}
	lane := order.lane(n, row)
	return place{lane, lane, 4, 1}
}

// at returns where a value at a place of a vector is in the panel of a block of
// n rows, for the row of slot 0.
func (p place) at(n, place int) int {
	return place/p.group*n*p.group*p.copies + place%p.group
}

// offset returns how much further those of the row are.
func (p place) offset() int { return p.slot * p.group * p.copies }

// put stores a vector's values from the first on in the panel of a block of n
// rows.
func (p place) put(panel []int8, n int, values []int8) {
	for i := 0; len(values) > 0; i += p.group {
		at := p.at(n, i) + p.offset()
		k := min(p.group, len(values))
		for range p.copies {
			copy(panel[at:at+k], values)
			at += p.group
		}
		values = values[k:]
	}
}

// resetTables makes the tables of what the kernels find in a byte of codes.
func (p *codeTiles) resetTables(weights []int8) {
	value := func(code int) byte { return byte((int32(weights[code]) - p.form.least) / p.form.step) }
	mask := len(weights) - 1
	if p.level == levelAVX512 {
		p.tables = grow(p.tables, 64) // by six bits, of which the lowest count
		for i := range p.tables {
			p.tables[i] = value(i & mask)
		}
		return
	}
	p.tables = grow(p.tables, 16*4/p.bits) // by four bits, for each of their codes
	for i := range p.tables {
		p.tables[i] = value(i % 16 >> (i / 16 * p.bits) & mask)
	}
}

// maxima is CodeQuery.Maxima.
func (p *codeTiles) maxima(best []float32, doc *CodedTokens, cells *CellRows) {
	tokens := len(doc.Cells)
	planes, chunks := doc.Planes[:PlaneBytes(tokens, p.dim, p.bits)], 1
	if p.dim != chunkDims {
		planes, chunks = p.pad(planes, tokens), chunksOf(p.dim)
	}
	factors := doc.Factors[:tokens]
	p.useUnit(cells.unit)
	a := &p.args
	a.tokens, a.chunks = tokens, chunks
	a.planes, a.planeBytes, a.chunkBytes = &planes[0], tokens*segmentDims*chunks, tokens*segmentDims
	a.cells, a.lastCell, a.stride = &doc.Cells[0], cells.table.Cells, 2*cells.stride
	a.residual = &cells.table.ResidualScale[:1][0]
	a.factors, a.factorTable = &factors[0], &doc.FactorTable[0]
	if p.level == levelAVX2 {
		p.maximaByPart(best, planes, doc, cells)
		return
	}
	if p.rows <= 4 && p.bits == 1 {
		a.prefetch(doc.Next, 4*blockTokens, 2*64*p.bits)
	} else {
		a.prefetch(doc.Next, 2*blockTokens, 64*p.bits)
	}
	for first := 0; first < p.rows; first += largestBlock {
		p.useBlock(first, cells)
		a.planes = &planes[0]
		a.half, a.other = p.halves[0], p.halves[1]
		a.token, a.chunkAt, a.factorAt, a.codes = 0, 0, 0, 0
		a.best = &best[first]
		a.rowMask = 1<<min(largestBlock, p.rows-first) - 1
		codeMaxima(p.bits, tileRows(p.level, p.rows-first), a)
		a.prefetch(nil, 1, 1)
	}
	a.forget()
}

// forget lets go of the document's memory.
func (a *tileArgs) forget() {
	a.planes, a.cells, a.factors, a.factorTable, a.best, a.next, a.nextEnd = nil, nil, nil, nil, nil, nil, nil
}

// maximaByPart decodes some tokens, few enough to stay in the first cache, and
// scores them with every block of rows, and so on.
func (p *codeTiles) maximaByPart(best []float32, planes []byte, doc *CodedTokens, cells *CellRows) {
	const partBytes = 8 << 10
	a := &p.args
	step := max(partBytes/(a.chunks*chunkDims)/blockTokens, 1) * blockTokens
	p.scratch = grow(p.scratch, step*a.chunks*chunkDims)
	p.best = grow(p.best, strideOf(p.rows))
	for j := range p.best {
		p.best[j] = float32(math.Inf(-1))
	}
	a.vectors, a.multiplier = &p.scratch[0], int(p.form.step)
	for t, next := 0, doc.Next; t < len(doc.Cells); t += step {
		left := len(doc.Cells) - t
		a.tokens = min(step, left)
		a.planes, a.cells, a.factors = &planes[t*segmentDims], &doc.Cells[t], &doc.Factors[t]
		decodePlanes(p.bits, a)
		ahead := (len(next)*a.tokens + left - 1) / left
		for first := 0; first < p.rows; first += largestBlock {
			p.useBlock(first, cells)
			rows := tileRows(p.level, p.rows-first)
			a.prefetch(next[:ahead], 64/rows, 64)
			next, ahead = next[ahead:], 0
			a.best = &p.best[first]
			tileMaxima(rows, p.form.sums, a)
		}
	}
	a.forget()
	for j, b := range best {
		best[j] = larger(float32(cells.unit*p.best[j]), b)
	}
}

// useBlock sets the arguments for the block of rows that begins with the given
// one.
func (p *codeTiles) useBlock(first int, cells *CellRows) {
	a := &p.args
	a.query = &p.query[first*a.chunks*chunkDims]
	a.start, a.steps = &p.start[first], &p.steps[first]
	a.values = &cells.values[first]
}

// prefetch spreads reading memory over the turns of a kernel's inner loop, each
// of so many tokens by 16 dimensions and able to read so many bytes.
func (a *tileArgs) prefetch(next []byte, tokensPerTurn, bytesPerTurn int) {
	if len(next) == 0 {
		a.next, a.nextEnd, a.nextStep = a.factors, a.factors, 0
		return
	}
	turns := max(a.tokens*8*a.chunks/tokensPerTurn, 1)
	a.next, a.nextEnd = &next[0], &next[len(next)-1]
	a.nextStep = min((len(next)+turns-1)/turns, bytesPerTurn)
}

// useUnit sets the steps of the lanes.
func (p *codeTiles) useUnit(unit float32) {
	if p.unit == unit {
		return
	}
	p.unit = unit
	p.steps = grow(p.steps, len(p.scale))
	if p.level == levelAVX512 {
		unit /= 1 << 16
		p.args.unit = int(math.Float32bits(unit))
	}
	for i, s := range p.scale {
		p.steps[i] = s / unit
	}
}

// pad returns planes of whole chunks: for each plane, for each chunk, 16 bytes
// of each token.
func (p *codeTiles) pad(planes []byte, tokens int) []byte {
	chunks, width := chunksOf(p.dim), p.dim/8
	p.padded = grow(p.padded, p.bits*chunks*tokens*segmentDims)
	out := p.padded
	switch width {
	case 8: // half a chunk and a quarter, of which one bit is the usual code
		for i := range p.bits * tokens {
			binary.LittleEndian.PutUint64(out[i*segmentDims:], binary.LittleEndian.Uint64(planes[i*8:]))
			binary.LittleEndian.PutUint64(out[i*segmentDims+8:], 0)
		}
		return out
	case 4:
		for i := range p.bits * tokens {
			binary.LittleEndian.PutUint64(out[i*segmentDims:], uint64(binary.LittleEndian.Uint32(planes[i*4:])))
			binary.LittleEndian.PutUint64(out[i*segmentDims+8:], 0)
		}
		return out
	}
	for ; len(planes) > 0; planes = planes[tokens*width:] {
		for c := range chunks {
			part := planes[c*segmentDims:]
			n := min(width-c*segmentDims, segmentDims)
			for t := range tokens {
				clear(out[copy(out, part[t*width:t*width+n]):segmentDims])
				out = out[segmentDims:]
			}
		}
	}
	return p.padded
}
