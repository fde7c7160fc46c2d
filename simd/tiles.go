package simd

// form is how integer operands are handed to a kernel. All forms are exact.
type form uint8

const (
	// formBytes: the vectors' bytes plus 128 without sign, as VPDPBUSD wants
	// one operand; the 128 is taken off by what the sums start at.
	formBytes form = iota
	// formSmallBytes: bytes from -31 to 32 plus 31. Four products of at most
	// 63*127 can be added up in 16 bits.
	formSmallBytes
	// formWords: all values as 16 bits, for AVX2 and any byte.
	formWords
)

// offset is what the form adds to the vectors' values.
func (f form) offset() int32 { return [...]int32{128, 31, 0}[f] }

// dimBlock is what the integer kernels' dimensions are rounded up to. Rows
// hold zeros there, so that the vectors may hold anything.
const dimBlock = 64

func roundUp(n, step int) int { return (n + step - 1) / step * step }

// scratchBytes bounds the vectors prepared for one call of an integer kernel,
// which should find them in the first cache.
const scratchBytes = 12 << 10

// int8Tiles are query rows in the order in which the integer kernels read
// them: in every block, for each group of dimensions, those of all rows
// together.
type int8Tiles struct {
	rows, dim int // dim is rounded up
	level     level
	form      form
	bytes     []int8
	words     []int16
	start     []int32 // what each row's sums start at
}

// reset packs rows of q.
func (p *int8Tiles) reset(q *Query, rows []int, l level, f form) {
	p.rows, p.dim = selected(q.Rows, rows), roundUp(q.Dim, dimBlock)
	p.level, p.form = l, f
	lanes := strideOf(p.rows)
	p.start = grow(p.start, lanes)
	clear(p.start)
	if f == formWords {
		p.words = grow(p.words, lanes*p.dim)
		clear(p.words)
	} else {
		p.bytes = grow(p.bytes, lanes*p.dim)
		clear(p.bytes)
	}
	for j := range p.rows {
		first := j / largestBlock * largestBlock
		lanes := p.blockOf(p.rows - first)
		group := p.group(lanes)
		codes, _ := q.Codes(rowOf(rows, j))
		var sum int32
		for _, c := range codes {
			sum += int32(c)
		}
		p.start[j] = -f.offset() * sum
		at, step := first*p.dim+p.slot(lanes, j-first)*group, lanes*group
		if f == formWords {
			for d := 0; d < len(codes); d += group {
				p.words[at], p.words[at+1] = int16(codes[d]), int16(codes[d+1])
				at += step
			}
			continue
		}
		for len(codes) > 0 {
			n := copy(p.bytes[at:at+group], codes)
			codes = codes[n:]
			at += step
		}
	}
}

// blockOf returns the number of rows of the kernel that takes the next block.
func (p *int8Tiles) blockOf(rows int) int {
	if rows <= 4 && p.level == levelAVX512 {
		return 4
	}
	return blockOf(rows)
}

// group returns how many dimensions of a row lie together.
func (p *int8Tiles) group(lanes int) int {
	switch {
	case p.form == formWords:
		return 2
	case p.form == formBytes && lanes == 4:
		return 16
	case p.form == formBytes && lanes < 32:
		return 8
	}
	return 4
}

// slot returns where a row's dimensions lie among those of the block. The
// AVX-512 kernel for 16 rows, with two registers of 8 rows each, adds up sums
// most easily when pairs of rows alternate between the registers.
func (p *int8Tiles) slot(lanes, row int) int {
	if p.form == formBytes && lanes == 16 {
		return row/2%2*8 + row/4*2 + row%2
	}
	return row
}

// vectorsPerCall returns how many of n vectors to prepare at a time, rounded
// up to whole tiles.
func (p *int8Tiles) vectorsPerCall(n int) int {
	most := max(scratchBytes/p.dim/tileVectors, 1) * tileVectors
	return min(most, roundUp(n, tileVectors))
}

// dots writes the dot products of n vectors, in vectors or, as words, in
// wide, with all rows. Those have room for n rounded up to whole tiles, whose
// contents do not matter.
func (p *int8Tiles) dots(dst []int32, vectors []byte, wide []int16, n int) {
	stride := strideOf(p.rows)
	dst = dst[:n*stride]
	for first := 0; first < p.rows; first += largestBlock {
		lanes := p.blockOf(p.rows - first)
		if p.form == formWords {
			wordsDots(lanes, &dst[first], stride, &p.words[first*p.dim], &wide[:roundUp(n, tileVectors)*p.dim][0], n, p.dim)
		} else {
			bytesDots(p.level, lanes, &dst[first], stride, &p.bytes[first*p.dim], &p.start[first],
				&vectors[:roundUp(n, tileVectors)*p.dim][0], n, p.dim)
		}
	}
}
