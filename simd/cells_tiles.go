package simd

import (
	"cmp"
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
)

// packedCells are centroids as the kernels of a level read them: in blocks of
// 8, each in chunks and segments like a document's decoded codes. The last
// block is filled up with zeros.
type packedCells struct {
	level  level
	chunks int    // of 128 bytes of a cell
	offset int32  // what the bytes are larger than the values
	sums   int    // products of four bytes that fit 16 bits, or 0 for words; at levelAVX2
	data   []byte // the values, cell by cell, at levelGo
}

// pack returns the centroids for a level, made when they are first needed.
func (t *CellTable) pack(l level) *packedCells {
	p := &t.packed[l]
	t.packedOnce[l].Do(func() { p.make(t, l) })
	return p
}

func (p *packedCells) make(t *CellTable, l level) {
	p.level = l
	if l == levelGo {
		p.data = make([]byte, len(t.centroids))
		for i, v := range t.centroids {
			p.data[i] = byte(v)
		}
		return
	}
	p.offset, p.chunks = 128, chunksOf(t.Dim)
	if l == levelAVX2 {
		switch {
		case t.largest <= 31:
			p.offset, p.sums = 31, 2
		case t.largest <= 63:
			p.offset, p.sums = 63, 1
		default:
			p.offset, p.chunks = 0, chunksOf(2*t.Dim)
		}
	}
	blockBytes := p.chunks * blockTokens * chunkDims
	p.data = make([]byte, (t.Cells+blockTokens-1)/blockTokens*blockBytes)
	for c := range t.Cells {
		to := p.data[c/blockTokens*blockBytes+c%blockTokens*segmentDims:]
		for d, v := range t.centroids[c*t.Dim : (c+1)*t.Dim] {
			if p.words() {
				binary.LittleEndian.PutUint16(to[wordAt(d):], uint16(int16(v)))
			} else {
				to[byteAt(d)] = byte(int32(v) + p.offset)
			}
		}
	}
}

// words tells whether values are stored as 16 bits.
func (p *packedCells) words() bool { return p.level == levelAVX2 && p.sums == 0 }

// byteAt returns where dimension d of a block's first vector is, wordAt the
// same for values of 16 bits. A block's segments are 128 bytes long, 16 of each
// vector.
func byteAt(d int) int {
	return d/segmentDims*segmentDims*blockTokens + d%segmentDims
}

func wordAt(d int) int { return byteAt(2 * d) }

// scanPanel is a query's rows as the scanning kernels read them.
type scanPanel struct {
	level  level
	packed *packedCells
	rows   int
	query  []int8
	start  []int32
	scales []float32 // of each lane
	wide   []int8

	int8s Int8Query // at levelGo
	dots  []int32
}

// reset packs rows of q, whose scales are given.
func (p *scanPanel) reset(q *Query, rows []int, packed *packedCells, scales []float32) {
	p.level, p.packed = packed.level, packed
	p.rows = selected(q.Rows, rows)
	if p.level == levelGo {
		p.int8s.Reset(q, rows)
		return
	}
	lanes := strideOf(p.rows)
	p.query = grow(p.query, roundUp(lanes, largestBlock)*packed.chunks*chunkDims)
	clear(p.query)
	p.start, p.scales = grow(p.start, lanes), grow(p.scales, lanes)
	clear(p.start)
	clear(p.scales)
	for j := range p.rows {
		first := j / largestBlock * largestBlock
		n := tileRows(p.level, p.rows-first)
		pl := placeOf(p.level, n, j-first, packedLanes)
		codes, _ := q.Codes(rowOf(rows, j))
		panel := p.query[first*packed.chunks*chunkDims:]
		if packed.words() {
			p.wide = widenCodes(p.wide, codes)
			codes = p.wide
		}
		pl.put(panel, n, codes)
		var sum int32
		for _, v := range codes {
			sum += int32(v)
		}
		p.start[first+pl.lane] = -packed.offset * sum
		p.scales[first+pl.lane] = scales[j]
	}
}

// widenCodes writes values as pairs of bytes, which are words.
func widenCodes(dst, codes []int8) []int8 {
	dst = grow(dst, 2*len(codes))
	for d, v := range codes {
		dst[2*d], dst[2*d+1] = v, v>>7
	}
	return dst
}

// scanArgs are the arguments of the scanning kernels: pointers and integers
// only, in the order that the generator knows.
type scanArgs struct {
	blocks     int
	query      *int8
	start      *int32
	scales     *float32
	chunks     int
	vectors    *byte
	cellScale  *float32
	cellRank   *float32
	perByte    int // bits of a float32
	values     *int16
	bytes      *uint8
	maxima     *int16 // of each block
	stride     int
	multiplier int
}

// scan writes the values and bytes of cells lo to hi-1, and the maxima of blocks
// of 8 of them; lo is a multiple of 8.
func (p *scanPanel) scan(c *CellRows, lo, hi int) {
	if p.level == levelGo {
		p.scanInGo(c, lo, hi)
		return
	}
	for first := 0; first < p.rows; first += largestBlock {
		scanCells(p.level, tileRows(p.level, p.rows-first), p.packed.sums, &scanArgs{
			blocks: (hi - lo + blockTokens - 1) / blockTokens,
			query:  &p.query[first*p.packed.chunks*chunkDims], start: &p.start[first], scales: &p.scales[first],
			chunks: p.packed.chunks, vectors: &p.packed.data[lo*p.packed.chunks*chunkDims],
			cellScale: &c.table.Scale[lo], cellRank: &c.table.RankWeight[lo], perByte: int(math.Float32bits(c.perByte)),
			values: &c.values[lo*c.stride+first], bytes: &c.bytes[lo*c.stride+first],
			maxima: &c.rough[lo/blockTokens*c.stride+first], stride: c.stride,
			multiplier: 1,
		})
	}
}

// takeMaxima writes the maxima of the blocks.
func (c *CellRows) takeMaxima() {
	n := c.table.Cells
	from, cells := c.values, c.block // of a block
	if c.panel.level != levelGo && c.block >= blockTokens {
		// The kernels did most of it, except that the last cells' maxima may
		// include those of zeros.
		c.maximaOf(c.rough[n/blockTokens*c.stride:], c.values[n/blockTokens*blockTokens*c.stride:], blockTokens, n%blockTokens)
		from, cells, n = c.rough, c.block/blockTokens, (n+blockTokens-1)/blockTokens
	}
	c.maximaOf(c.maxima, from, cells, n)
}

// maximaOf writes the largest of each row in blocks of so many lines of from,
// which has n of them.
func (c *CellRows) maximaOf(dst, from []int16, block, n int) {
	full := n / block
	if c.panel.level == levelGo {
		for i := range n {
			line, out := from[i*c.stride:][:c.stride], dst[i/block*c.stride:][:c.stride]
			if i%block == 0 {
				copy(out, line)
				continue
			}
			for j, v := range line {
				out[j] = max(out[j], v)
			}
		}
		return
	}
	for first := 0; first < c.rows; first += largestBlock {
		rows := blockOf(c.rows - first)
		if full > 0 {
			blockMaxima(rows, &dst[first], &from[first], c.stride, block, full)
		}
		if rest := n % block; rest > 0 {
			blockMaxima(rows, &dst[full*c.stride+first], &from[full*block*c.stride+first], c.stride, rest, 1)
		}
	}
}

// aboveCells is how many lines one call of a kernel looks at.
const aboveCells = 4096

// aboveByKernel is Above at levels with kernels. Where there are maxima of
// blocks of 8 cells it looks at those first.
func (c *CellRows) aboveByKernel(dst []RowCell, thresholds []int16) []RowCell {
	c.limits = grow(c.limits, c.stride)
	for j := range c.limits {
		c.limits[j] = NoCell
		if j < c.rows {
			c.limits[j] = max(thresholds[j], -maxValue) - 1
		}
	}
	n := c.table.Cells
	if c.block < blockTokens {
		for lo := 0; lo < n; lo += aboveCells {
			dst = c.aboveAmong(dst, lo, min(aboveCells, n-lo))
		}
		return dst
	}
	blocks := (n + blockTokens - 1) / blockTokens
	c.found = grow(c.found, blocks)
	clear(c.found)
	for first := 0; first < c.rows; first += largestBlock {
		for lo := 0; lo < blocks; lo += aboveCells {
			for _, hit := range c.aboveLimits(c.rough, first, lo, min(aboveCells, blocks-lo)) {
				c.found[uint32(hit)] = true
			}
		}
	}
	for b, found := range c.found {
		if found {
			dst = c.aboveAmong(dst, b*blockTokens, min(blockTokens, n-b*blockTokens))
		}
	}
	return dst
}

// aboveLimits returns which of n lines from lo on exceed the limit of a row of
// the block that begins with first; see above. It is valid until the next call.
func (c *CellRows) aboveLimits(lines []int16, first, lo, n int) []uint64 {
	c.hits = grow(c.hits, n+1)
	found := above(blockOf(c.rows-first), &c.hits[0], &lines[lo*c.stride+first], &c.limits[first], c.stride, lo, n)
	return c.hits[:found]
}

// aboveAmong appends the pairs of the n cells from lo on.
func (c *CellRows) aboveAmong(dst []RowCell, lo, n int) []RowCell {
	start := len(dst)
	for first := 0; first < c.rows; first += largestBlock {
		for _, hit := range c.aboveLimits(c.values, first, lo, n) {
			dst = c.appendHit(dst, hit, first)
		}
	}
	if c.rows > largestBlock {
		slices.SortStableFunc(dst[start:], func(a, b RowCell) int { return cmp.Compare(a.Cell, b.Cell) })
	}
	return dst
}

// appendHit appends the rows, from first on, of a cell that above found.
func (c *CellRows) appendHit(dst []RowCell, hit uint64, first int) []RowCell {
	cell := uint32(hit)
	values := c.values[int(cell)*c.stride+first:]
	for rows := uint32(hit >> 32); rows != 0; rows &= rows - 1 {
		j := bits.TrailingZeros32(rows)
		dst = append(dst, RowCell{Cell: cell, Row: uint16(first + j), Value: values[j]})
	}
	return dst
}

// rankByKernel is RankScore at levels with kernels.
func (c *CellRows) rankByKernel(cells []byte, width int, next []byte) uint32 {
	n := len(cells) / width
	fetch := &cells[0]
	if len(next) > 0 {
		fetch = &next[0]
	}
	var sum uint64
	for first := 0; first < c.rows; first += largestBlock {
		sum += rankCells(blockOf(c.rows-first), width, &cells[0], n, &c.bytes[first], c.stride, c.table.Cells, fetch)
	}
	return uint32(sum)
}

// maximaByKernel is Maxima at levels with kernels.
func (c *CellRows) maximaByKernel(best []float32, cells []uint32, weights []float32) {
	var lanes [largestBlock]float32
	for first := 0; first < c.rows; first += largestBlock {
		for j := range lanes {
			lanes[j] = float32(math.Inf(-1))
		}
		cellMaxima(blockOf(c.rows-first), &lanes[0], &c.values[first], c.stride, &cells[0], len(cells), c.table.Cells, &weights[0])
		rows := best[first:min(first+largestBlock, c.rows)]
		for j, b := range rows {
			rows[j] = larger(float32(c.unit*lanes[j]), b)
		}
	}
}

// scanInGo writes the values and bytes of cells lo to hi-1.
func (p *scanPanel) scanInGo(c *CellRows, lo, hi int) {
	const part = 64 // cells
	dim := c.table.Dim
	p.dots = grow(p.dots, part*c.stride)
	for ; lo < hi; lo += part {
		n := min(part, hi-lo)
		p.int8s.Dots(p.dots, p.packed.data[lo*dim:(lo+n)*dim])
		for i := range n {
			c.convert(lo+i, p.dots[i*c.stride:][:c.stride])
		}
	}
}

// convert writes the values and bytes of a cell from its dot products.
func (c *CellRows) convert(cell int, dots []int32) {
	values, bytes := c.values[cell*c.stride:][:c.stride], c.bytes[cell*c.stride:][:c.stride]
	clear(values)
	clear(bytes)
	scale, rank := c.table.Scale[cell], float32(c.table.RankWeight[cell]*c.perByte)
	for j, dot := range dots[:c.rows] {
		// The conversions keep the compiler from fusing operations, which
		// would round differently on some machines.
		x := float32(float32(dot)*scale) * c.scales[j]
		if !(x < maxValue) {
			x = maxValue
		}
		if !(x > -maxValue) {
			x = -maxValue
		}
		values[j] = int16(math.RoundToEven(float64(x)))
		bytes[j] = uint8(min(max(math.RoundToEven(float64(float32(x*rank))), 0), 255))
	}
}
