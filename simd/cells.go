package simd

import (
	"math"
	"sync"
)

// CellTable holds the centroids of an index's cells as CellRows.Scan and the
// scoring of codes need them, made once per codebook. It is immutable and safe
// for concurrent use. Values per cell have one element more, for a cell of
// zeros that ids past the table stand for.
type CellTable struct {
	Dim, Cells int

	// Scale turns a cell's int8 values into its centroid. ResidualScale is the
	// step of its vectors' codes, RankWeight 1/sqrt(length of the centroid) or
	// 0 for a centroid of zeros.
	Scale, ResidualScale, RankWeight []float32

	// MaxLength is the length of the longest centroid, MaxRank the largest
	// product of a centroid's length and RankWeight.
	MaxLength, MaxRank float32

	centroids []int8 // cells x dim
	largest   int    // of their sizes

	packed     [levelAVX512 + 1]packedCells
	packedOnce [levelAVX512 + 1]sync.Once
}

// NewCellTable returns a table of len(scale) cells: centroid c is scale[c]
// times its dim int8 values. residualScale has a value for each cell, or is nil
// for cells without codes. All values must be finite, scales not negative, and
// dim pass CheckDim. The table keeps centroids, which must not change.
//
// With AVX2, a Scan takes two thirds of the time where no int8 value is larger
// than 31.
func NewCellTable(dim int, centroids []int8, scale, residualScale []float32) *CellTable {
	n := len(scale)
	perCell := func(values []float32) []float32 {
		return append(make([]float32, 0, roundUp(n+1, blockTokens)), values...)[:n]
	}
	t := &CellTable{
		Dim: dim, Cells: n, Scale: perCell(scale), ResidualScale: perCell(residualScale), RankWeight: perCell(nil),
		centroids: centroids[:n*dim],
	}
	for c, s := range scale {
		length := float64(s) * lengthInt8(t.centroids[c*dim:(c+1)*dim])
		t.MaxLength = max(t.MaxLength, float32(length))
		if length > 0 {
			t.RankWeight[c] = float32(1 / math.Sqrt(length))
			t.MaxRank = max(t.MaxRank, float32(math.Sqrt(length)))
		}
	}
	for _, v := range t.centroids {
		t.largest = max(t.largest, int(v), -int(v))
	}
	return t
}

// lengthInt8 returns the Euclidean length of v.
func lengthInt8(v []int8) float64 {
	var sum int64
	for _, x := range v {
		sum += int64(x) * int64(x)
	}
	return math.Sqrt(float64(sum))
}

// CellRows holds the similarities of a query's rows with all cells of a table:
// what a search finds, ranks and scores documents with. The zero value is ready
// for Scan; a value serves one goroutine at a time and allocates nothing once
// it is warm.
//
// For cell c and packed row j, whose int8 values have the exact dot product I
// with the cell's, and with every operation rounded to float32,
//
//	x     = clamp((I * Scale[c]) * (row scale[j] / Unit), -32766, 32766)
//	value = x rounded half to even, an int16
//	byte  = x * (255 * RankWeight[c] / largest) rounded the same way, 0 if negative
//
// where Unit is the least power of two that keeps values within these bounds
// and largest what x * RankWeight can be. Unit * value is the similarity.
// Results are the same bits on every machine.
type CellRows struct {
	table  *CellTable
	rows   int
	stride int
	unit   float32

	values []int16 // of cell c from c*stride on; those past rows are zeros
	bytes  []uint8
	maxima []int16 // of blocks of cells
	block  int     // cells

	panel   scanPanel
	scales  []float32 // of each lane, over unit
	perByte float32   // what x is multiplied with for a byte, times the RankWeight
	rough   []int16   // like maxima, of blocks of 8 cells
	hits    []uint64
	limits  []int16
	found   []bool
}

const (
	// maxValue bounds the values of CellRows.
	maxValue = 32766
	// NoCell is a threshold for CellRows.Above that no cell reaches.
	NoCell = 32767
	// maxBlocks bounds the blocks of CellRows.BlockMaxima.
	maxBlocks = 512
	// scanWork bounds the multiplications of one call of a kernel, which the
	// scheduler cannot interrupt, to some 30 microseconds.
	scanWork = 1 << 24
)

// Scan compares the given rows of q, nil for all, with all cells.
func (c *CellRows) Scan(q *Query, rows []int, cells *CellTable) {
	n := cells.Cells
	c.table, c.rows = cells, selected(q.Rows, rows)
	c.stride = strideOf(c.rows)
	// Kernels write whole blocks of cells, of which those past the table, at
	// least one, are zeros.
	all := roundUp(n+1, blockTokens)
	c.values = grow(c.values, all*c.stride+largestBlock)
	c.bytes = grow(c.bytes, all*c.stride+largestBlock)
	clear(c.values[n*c.stride:])
	clear(c.bytes[n*c.stride:])
	c.block = max((n+maxBlocks-1)/maxBlocks, 1)
	if c.block > blockTokens {
		c.block = roundUp(c.block, blockTokens)
	}
	c.maxima = grow(c.maxima, (n+c.block-1)/c.block*c.stride)
	c.rough = grow(c.rough, all/blockTokens*c.stride+largestBlock)
	if c.rows == 0 || n == 0 {
		c.unit = 1
		return
	}
	c.setScales(q, rows)
	c.panel.reset(q, rows, cells.pack(current), c.scales)
	step := max(scanWork/(c.stride*cells.Dim)/blockTokens, 1) * blockTokens
	for lo := 0; lo < n; lo += step {
		c.panel.scan(c, lo, min(lo+step, n))
	}
	c.takeMaxima()
}

// setScales chooses the unit and the scales of lanes and cells.
func (c *CellRows) setScales(q *Query, rows []int) {
	var longest float64
	for j := range c.rows {
		codes, scale := q.Codes(rowOf(rows, j))
		longest = max(longest, float64(scale)*lengthInt8(codes))
	}
	const smallest, largest = -100, 100 // keep everything below finite
	_, exponent := math.Frexp(longest * float64(c.table.MaxLength) / maxValue)
	c.unit = float32(math.Ldexp(1, min(max(exponent, smallest), largest)))
	c.scales = grow(c.scales, c.stride)
	clear(c.scales)
	for j := range c.rows {
		_, scale := q.Codes(rowOf(rows, j))
		c.scales[j] = scale / c.unit
	}
	perByte := float32(255 * float64(c.unit) / (float64(c.table.MaxRank) * longest))
	if !(perByte < math.MaxFloat32) {
		perByte = 0
	}
	c.perByte = perByte
}

// Rows returns the number of packed rows.
func (c *CellRows) Rows() int { return c.rows }

// Stride returns how many values belong to a cell: Rows, rounded up.
func (c *CellRows) Stride() int { return c.stride }

// Unit returns what a value is multiplied with to give a similarity.
func (c *CellRows) Unit() float32 { return c.unit }

// Value returns the value of a cell and row of the table and the query.
func (c *CellRows) Value(cell uint32, row int) int16 { return c.values[int(cell)*c.stride+row] }

// Values returns the values of a cell as a view of Stride elements, zeros past
// Rows. They are valid until the next Scan and must not be changed.
func (c *CellRows) Values(cell uint32) []int16 {
	return c.values[int(cell)*c.stride : (int(cell)+1)*c.stride : (int(cell)+1)*c.stride]
}

// BlockMaxima returns the largest value of every row in every block of cells,
// Stride elements for each block, zeros past Rows: a row's n-th largest block
// maximum is a value that at least n cells reach. There are at most 512 blocks
// of equal size, up to the last one. They are valid until the next Scan.
func (c *CellRows) BlockMaxima() []int16 { return c.maxima }

// RowCell is a pair of a cell and a row and its value.
type RowCell struct {
	Cell  uint32
	Row   uint16
	Value int16
}

// Above appends all pairs of a cell and a row whose value is at least
// thresholds[row] to dst, by cell and then row. There is a threshold for every
// row; NoCell excludes all its pairs.
func (c *CellRows) Above(dst []RowCell, thresholds []int16) []RowCell {
	if c.rows == 0 || c.table.Cells == 0 {
		return dst
	}
	thresholds = thresholds[:c.rows]
	if c.panel.level != levelGo {
		return c.aboveByKernel(dst, thresholds)
	}
	for cell := range c.table.Cells {
		values := c.values[cell*c.stride:]
		for row, threshold := range thresholds {
			if v := values[row]; v >= threshold {
				dst = append(dst, RowCell{Cell: uint32(cell), Row: uint16(row), Value: v})
			}
		}
	}
	return dst
}

// RankScore estimates the MaxSim of a document from its tokens' cells alone,
// like the centroid interaction of PLAID (Santhanam et al., 2022, section 4.2):
// the sum over the rows of the largest byte among the cells; 0 without cells.
// The vectors of a wide cell are longer than its centroid, which RankWeight
// makes up for in part.
//
// cells holds little-endian ids of width 2 or 3 bytes; ids past the table count
// as a cell of zeros. next, which may be empty, is memory that will be needed
// soon, as a rule the ids of the next document.
func (c *CellRows) RankScore(cells []byte, width int, next []byte) uint32 {
	if c.rows == 0 || c.table.Cells == 0 || len(cells) < width {
		return 0
	}
	if c.panel.level != levelGo {
		return c.rankByKernel(cells, width, next)
	}
	var best [256]uint8
	var sum uint32
	for first := 0; first < c.rows; first += len(best) {
		n := min(len(best), c.rows-first)
		clear(best[:n])
		for ids := cells; len(ids) >= width; ids = ids[width:] {
			cell := int(ids[0]) | int(ids[1])<<8
			if width == 3 {
				cell |= int(ids[2]) << 16
			}
			bytes := c.bytes[min(cell, c.table.Cells)*c.stride+first:]
			for j, b := range bytes[:n] {
				best[j] = max(best[j], b)
			}
		}
		for _, b := range best[:n] {
			sum += uint32(b)
		}
	}
	return sum
}

// Maxima raises best[j] to the largest similarity of packed row j with one of
// the given cells times the cell's weight:
//
//	Unit * (weights[cell] * value)
//
// Ids past the table count as a cell of zeros.
func (c *CellRows) Maxima(best []float32, cells []uint32, weights []float32) {
	if c.rows == 0 || len(cells) == 0 {
		return
	}
	best = best[:c.rows]
	weights = weights[:c.table.Cells]
	if c.panel.level != levelGo && len(weights) > 0 {
		c.maximaByKernel(best, cells, weights)
		return
	}
	for _, cell := range cells {
		var w float32
		if int(cell) < len(weights) {
			w = weights[cell]
		}
		values := c.values[min(int(cell), c.table.Cells)*c.stride:]
		for j, b := range best {
			best[j] = larger(c.unit*float32(w*float32(values[j])), b)
		}
	}
}
