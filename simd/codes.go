package simd

import (
	"math/bits"
)

// Bit planes
//
// The codes of a document are 1, 2 or 4 bits per dimension, from 0 (the
// smallest weight) up. They are stored as planes, coarse to fine, each plane
// for all tokens of the document together, so that the first planes alone are
// the document at a coarser level:
//
//	plane 0   tokens x dim/8 bytes   highest bit of the code
//	plane 1   tokens x dim/8 bytes   second bit     (2 and 4 bits)
//	plane 2   tokens x dim/8 bytes   third bit      (4 bits)
//	plane 3   tokens x dim/8 bytes   lowest bit     (4 bits)
//
// Dimension d is bit d%8 of byte d/8 of its token.

// PlaneBytes returns the size of the planes of so many tokens.
func PlaneBytes(tokens, dim, codeBits int) int { return tokens * (dim / 8) * codeBits }

// SetCode stores the code of one dimension of one token. The planes must have
// been zero there.
func SetCode(planes []byte, tokens, dim, codeBits, token, d int, code uint8) {
	at, size := token*(dim/8)+d/8, PlaneBytes(tokens, dim, 1)
	for p := range codeBits {
		planes[p*size+at] |= code >> (codeBits - 1 - p) & 1 << (d % 8)
	}
}

// Code returns what SetCode stored.
func Code(planes []byte, tokens, dim, codeBits, token, d int) (code uint8) {
	at, size := token*(dim/8)+d/8, PlaneBytes(tokens, dim, 1)
	for p := range codeBits {
		code = code<<1 | planes[p*size+at]>>(d%8)&1
	}
	return code
}

// CodedTokens are the tokens of a document, of which CodeQuery.Maxima needs
// more than their codes.
type CodedTokens struct {
	Planes []byte // codes, as laid out above

	Cells       []uint32      // the cell of each token; past the table it is a cell of zeros
	Factors     []byte        // of each token, as a number of FactorTable
	FactorTable *[256]float32 // zeros, or values of 1e-20 to 1e20 in size

	// Next, which may be empty, is memory that will be needed soon, as a rule
	// the planes of the next document.
	Next []byte
}

// CodeQuery is a selection of a query's rows packed for dot products with the
// weights that codes stand for. The zero value is ready for Reset; a value
// serves one goroutine at a time and allocates nothing once it is warm.
//
// Kernels turn some tokens' codes into weights that stay in the first cache
// and multiply those as bytes. In plain Go, eight bits of code (8, 4 or 2
// dimensions) select one of 256 sums that were made once per query: a dot
// product is a walk over dim*bits/8 table entries, and one walk serves three
// rows. No vector is rebuilt. The results are the same.
type CodeQuery struct {
	dim, rows, bits int
	level           level
	query           *Query
	selected        []int // nil for all rows
	weights         []int8
	scale           []float32 // of each row, times the weights' scale

	tiles codeTiles // at levels that have a kernel for the weights

	// At other levels, and for Dots.
	hasTables bool
	block     int          // bytes of code whose sums fit a lane
	tables    [][256]int64 // tables[g*width+i]: byte i of the code, rows 3g to 3g+2
	index     []byte       // the codes of a document, byte i of all tokens together
	sums      []int64
	dots      []int32
	steps     []float32 // scale over the unit of a CellRows
}

// Reset packs the given rows of q for a table of 2, 4 or 16 weights, the
// number of codes of 1, 2 or 4 bits; nil rows means all. Every row must lie in
// 0..q.Rows-1. A code stands for weightScale times its weight.
//
// With AVX2, weights should be few steps apart: less the smallest and divided
// by their greatest common divisor, they should be at most 63, better 31, and
// must be at most 127 or there is no kernel.
func (p *CodeQuery) Reset(q *Query, rows []int, weights []int8, weightScale float32) {
	p.dim, p.rows = q.Dim, selected(q.Rows, rows)
	p.bits = bits.Len(uint(len(weights))) - 1
	p.query, p.weights = q, append(p.weights[:0], weights...)
	p.selected = append(p.selected[:0], rows...)
	if rows == nil {
		p.selected = nil
	}
	p.scale = grow(p.scale, p.rows)
	for j := range p.scale {
		_, scale := q.Codes(rowOf(rows, j))
		p.scale[j] = scale * weightScale
	}
	p.hasTables = false
	p.level = current
	if p.level == levelGo {
		return
	}
	f, ok := formOf(p.level, weights, p.dim)
	if !ok {
		p.level = levelGo
		return
	}
	p.tiles.reset(q, rows, p.level, f, weights, p.bits, p.scale)
}

// needTables makes the tables for sums if there are none yet.
func (p *CodeQuery) needTables() {
	if !p.hasTables {
		p.resetTables(p.query, p.selected, p.weights)
		p.hasTables = true
	}
}

func (p *CodeQuery) resetTables(q *Query, rows []int, weights []int8) {
	largest := 1
	for _, w := range weights {
		largest = max(largest, int(w), -int(w))
	}
	perByte := 8 / p.bits
	p.block = laneMax / (largest * 127 * perByte)
	width := p.dim / perByte
	groups := (p.rows + laneRows - 1) / laneRows
	p.tables = grow(p.tables, groups*width)
	for g := range groups {
		lanes := q.laneCodes(rows, g)
		for i := range width {
			p.fill(&p.tables[g*width+i], lanes, i*perByte, weights)
		}
	}
}

// Rows returns the number of packed rows.
func (p *CodeQuery) Rows() int { return p.rows }

// Stride returns how many values of Dots belong to a token: Rows, rounded up.
func (p *CodeQuery) Stride() int { return strideOf(p.rows) }

// fill makes the table of the dimensions from d on: first the words of each
// dimension and code, then, dimension by dimension, all sums of them.
func (p *CodeQuery) fill(table *[256]int64, lanes [laneRows][]int8, d int, weights []int8) {
	var word [laneRows]int32
	n := 1
	table[0] = 0
	for k := range 8 / p.bits {
		for j, codes := range lanes {
			if codes != nil {
				word[j] = int32(codes[d+k])
			}
		}
		row := packLanes(word[0], word[1], word[2])
		for c := len(weights) - 1; c >= 0; c-- {
			add := row * int64(weights[c])
			for x := range n {
				table[c*n+x] = table[x] + add
			}
		}
		n *= len(weights)
	}
}

// Dots writes the exact dot products of every token with every packed row:
//
//	dst[t*Stride+j] = sum over d of row[j][d] * weights[code of token t at d]
//
// planes holds the codes of so many tokens as laid out above. The values of a
// token past Rows are undefined. It is in plain Go at every level, for when the
// token that Maxima found is wanted.
func (p *CodeQuery) Dots(dst []int32, planes []byte, tokens int) {
	dst = dst[:tokens*p.Stride()]
	planes = planes[:PlaneBytes(tokens, p.dim, p.bits)]
	if tokens == 0 || p.rows == 0 {
		return
	}
	p.needTables()
	p.dotsByTable(dst, planes, tokens)
}

// Maxima raises best[j] to the largest similarity of packed row j with one of
// the tokens. The packed rows must be the first ones of those that cells was
// made with. For the dot product I of row and weights, cell c and factor F, it
// is
//
//	Unit * (F * (value of c + ((row scale * weightScale / Unit) * ResidualScale[c]) * I))
//
// where every operation is rounded to float32, so that the result is the same
// on every machine.
func (p *CodeQuery) Maxima(best []float32, doc CodedTokens, cells *CellRows) {
	tokens, stride := len(doc.Cells), p.Stride()
	if tokens == 0 || p.rows == 0 {
		return
	}
	best = best[:p.rows]
	if p.level != levelGo {
		p.tiles.maxima(best, &doc, cells)
		return
	}
	factors := doc.Factors[:tokens]
	p.dots = grow(p.dots, tokens*stride)
	p.Dots(p.dots, doc.Planes, tokens)
	p.steps = grow(p.steps, p.rows)
	for j, s := range p.scale {
		p.steps[j] = s / cells.unit
	}
	for t, cell := range doc.Cells {
		at := min(int(cell), cells.table.Cells)
		values, residual := cells.values[at*cells.stride:][:p.rows], cells.table.ResidualScale[:at+1][at]
		factor, dots := doc.FactorTable[factors[t]], p.dots[t*stride:]
		for j, b := range best {
			// The conversions keep the compiler from fusing operations, which
			// would round differently on some machines.
			step := float32(p.steps[j] * residual)
			v := factor * float32(float32(values[j])+float32(step*float32(dots[j])))
			best[j] = larger(float32(cells.unit*v), b)
		}
	}
}

func (p *CodeQuery) dotsByTable(dst []int32, planes []byte, tokens int) {
	clear(dst)
	width, stride := p.dim*p.bits/8, p.Stride()
	p.index = grow(p.index, tokens*width)
	p.sums = grow(p.sums, tokens)
	gatherCodes(p.index, planes, tokens, p.dim, p.bits)
	for g := 0; g*laneRows < p.rows; g++ {
		lo, hi := g*laneRows, min((g+1)*laneRows, p.rows)
		for i := 0; i < width; i += p.block {
			end := min(i+p.block, width)
			lookup(p.sums, p.tables[g*width+i:g*width+end], p.index[i*tokens:end*tokens])
			for t, sum := range p.sums {
				addLanes(dst[t*stride+lo:t*stride+hi], sum)
			}
		}
	}
}

// lookup sets sums[t] to the sum over i of tables[i][index[i*len(sums)+t]].
func lookup(sums []int64, tables [][256]int64, index []byte) {
	clear(sums)
	n := len(sums)
	for ; len(tables) >= 4; tables = tables[4:] {
		t0, t1, t2, t3 := &tables[0], &tables[1], &tables[2], &tables[3]
		i0, i1, i2, i3 := index[:n], index[n:2*n], index[2*n:3*n], index[3*n:4*n]
		for t := range sums {
			sums[t] += t0[i0[t]] + t1[i1[t]] + t2[i2[t]] + t3[i3[t]]
		}
		index = index[4*n:]
	}
	for i := range tables {
		table, ix := &tables[i], index[i*n:(i+1)*n]
		for t, x := range ix {
			sums[t] += table[x]
		}
	}
}

// gatherCodes turns planes into bytes of whole codes, the first dimension in
// the lowest bits. Byte i of every token comes before byte i+1 of any.
func gatherCodes(dst, planes []byte, tokens, dim, codeBits int) {
	width := dim / 8
	plane0 := planes[:tokens*width]
	switch codeBits {
	case 1:
		for t := range tokens {
			for i, b := range plane0[t*width : (t+1)*width] {
				dst[i*tokens+t] = b
			}
		}
	case 2:
		plane1 := planes[tokens*width : 2*tokens*width]
		for t := range tokens {
			fine := plane1[t*width : (t+1)*width]
			for i, b := range plane0[t*width : (t+1)*width] {
				out := dst[2*i*tokens+t:]
				out[0] = every2[b&15]<<1 | every2[fine[i]&15]
				out[tokens] = every2[b>>4]<<1 | every2[fine[i]>>4]
			}
		}
	case 4:
		plane1 := planes[tokens*width : 2*tokens*width]
		plane2, plane3 := planes[2*tokens*width:3*tokens*width], planes[3*tokens*width:4*tokens*width]
		for t := range tokens {
			for i := t * width; i < (t+1)*width; i++ {
				for k := range 4 {
					dst[(4*(i-t*width)+k)*tokens+t] = every4[plane0[i]>>(2*k)&3]<<3 | every4[plane1[i]>>(2*k)&3]<<2 |
						every4[plane2[i]>>(2*k)&3]<<1 | every4[plane3[i]>>(2*k)&3]
				}
			}
		}
	}
}

// every2 and every4 move the bits of a number 2 and 4 places apart.
var (
	every2 = [16]byte{0x00, 0x01, 0x04, 0x05, 0x10, 0x11, 0x14, 0x15, 0x40, 0x41, 0x44, 0x45, 0x50, 0x51, 0x54, 0x55}
	every4 = [4]byte{0x00, 0x01, 0x10, 0x11}
)
