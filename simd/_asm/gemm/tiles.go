package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// tile is a loop over the rows of a matrix, so many at a time, which are
// multiplied with one panel. The sums of a tile stay in registers. With AVX2
// these have room for half the columns, and the loop runs twice.
type tile struct {
	level
	rows, parts int // of the tile; parts registers hold the columns of a row
	sums        []VecVirtual

	stride, panelAt, column GPVirtual // column is that of a half, in bytes
	bases                   []GPVirtual
}

// perBase is how many rows share a base register, being 0, 1 and 2 strides
// away.
const perBase = 3

func newTile(l level) *tile {
	t := &tile{level: l, rows: 6, parts: 2}
	if l.wide {
		t.rows = 12
	}
	t.sums = l.registers(t.rows * t.parts)
	return t
}

// row is the operand for what lies disp bytes after the current place in row i.
func (t *tile) row(i, disp int) Mem {
	m := Mem{Base: t.bases[i/perBase], Disp: disp}
	if i%perBase > 0 {
		m.Index, m.Scale = t.stride, uint8(i%perBase)
	}
	return m
}

// panelPart is the operand for the columns of register j, disp bytes after the
// current place in the panel.
func (t *tile) panelPart(j, disp int) Mem {
	return Mem{Base: t.panelAt, Index: t.column, Scale: 1, Disp: disp + j*t.bytes()}
}

// columnPart is the operand for the columns of register j in a row of 32 values.
func (t *tile) columnPart(base GPVirtual, j int) Mem {
	return Mem{Base: base, Index: t.column, Scale: 1, Disp: j * t.bytes()}
}

// emit writes the loops. begin is run before the first row; start fills the
// sums with what does not depend on the row; step adds the products of 4 bytes
// of every row; and end makes row i's results of its sums.
//
// Rows are read to the end of the last tile and ignored there.
func (t *tile) emit(steps GPVirtual, begin, start func(), step func(row, panel int), end func(i int)) {
	dstStride := loadBytes("stride")
	t.column = GP64()
	XORQ(t.column, t.column)

	Label("columns")
	a, left, out := load("a"), load("rows"), load("dst")
	ADDQ(t.column, out)
	begin()

	Label("tile")
	t.bases = []GPVirtual{GP64()}
	MOVQ(a, t.bases[0])
	for i := perBase; i < t.rows; i += perBase {
		p := GP64()
		LEAQ(Mem{Base: t.bases[len(t.bases)-1], Index: t.stride, Scale: 2}, p)
		ADDQ(t.stride, p)
		t.bases = append(t.bases, p)
	}
	t.panelAt = load("panel")
	start()
	t.inner(steps, step)
	for i := range t.rows {
		end(i)
		for j := range t.parts {
			VMOVUPS(t.sums[i*t.parts+j], Mem{Base: out, Disp: j * t.bytes()})
		}
		ADDQ(dstStride, out)
		DECQ(left)
		JEQ(LabelRef("done"))
	}
	tileBytes := GP64()
	IMUL3Q(U8(t.rows), t.stride, tileBytes)
	ADDQ(tileBytes, a)
	JMP(LabelRef("tile"))

	Label("done")
	ADDQ(I32(t.parts*t.bytes()), t.column)
	CMPQ(t.column, U8(4*panel-1))
	JLE(LabelRef("columns"))
	t.level.end()
}

// inner is the loop over the steps, four at a time and then one by one.
func (t *tile) inner(steps GPVirtual, step func(row, panel int)) {
	turns := func(label string, n int) {
		Label(label)
		for i := range n {
			step(4*i, 4*panel*i)
		}
		for _, p := range t.bases {
			ADDQ(U8(4*n), p)
		}
		ADDQ(I32(4*panel*n), t.panelAt)
	}
	left := GP64()
	MOVQ(steps, left)
	SUBQ(U8(4), left)
	JB(LabelRef("rest"))
	turns("four", 4)
	SUBQ(U8(4), left)
	JAE(LabelRef("four"))
	Label("rest")
	ADDQ(U8(4), left)
	JEQ(LabelRef("store"))
	turns("one", 1)
	DECQ(left)
	JNE(LabelRef("one"))
	Label("store")
}

// floatTile multiplies float32 values. Every sum begins with the bias and adds
// its products in order, each by one fused multiply-add, so that a result does
// not depend on the level or on what else is computed with it.
func floatTile(l level) {
	l.kernel("floatTile", "dst *float32, stride int, a *float32, aStride, rows int, panel *float32, inner int, bias *float32",
		"multiplies rows with a panel and adds the bias.")
	t := newTile(l)
	t.stride = loadBytes("aStride")
	columns, value := l.registers(t.parts), l.register()
	t.emit(load("inner"), func() {}, func() {
		bias := load("bias")
		for i, s := range t.sums {
			if i < t.parts {
				VMOVUPS(t.columnPart(bias, i), s)
			} else {
				VMOVAPS(t.sums[i%t.parts], s)
			}
		}
	}, func(row, panel int) {
		for j, c := range columns {
			VMOVUPS(t.panelPart(j, panel), c)
		}
		for i := range t.rows {
			VBROADCASTSS(t.row(i, row), value)
			for j, c := range columns {
				VFMADD231PS(c, value, t.sums[i*t.parts+j])
			}
		}
	}, func(int) {})
}

// bytesTile multiplies unsigned bytes, which stand for 128 less, with signed
// ones. The panel holds 4 values of every column side by side. Both levels are
// exact:
//
//	AVX512  adds products with the unsigned bytes to what start gives, which
//	        makes good for the 128
//	AVX2    has an instruction that adds two such products in 16 bits, too few
//	        for bytes over 128; so it multiplies the size of what a byte stands
//	        for with the other value, which gets the byte's sign
func bytesTile(l level) {
	l.kernel("bytesTile", "dst *float32, stride int, a *byte, aStride, rows int, scales *float32, panel *int8, inner int, start *int32, columnScales, bias *float32",
		"multiplies rows with a panel, scales and adds the bias.")
	t := newTile(l)
	t.stride = load("aStride")
	steps := load("inner")
	SHRQ(U8(2), steps)
	value := l.register()
	var scales GPVirtual
	begin := func() { scales = load("scales") }
	start := func() {
		start := load("start")
		for i, s := range t.sums {
			if i < t.parts {
				VMOVUPS(t.columnPart(start, i), s)
			} else {
				VMOVAPS(t.sums[i%t.parts], s)
			}
		}
	}
	step := func(row, panel int) {
		columns := l.registers(t.parts)
		for j, c := range columns {
			VMOVUPS(t.panelPart(j, panel), c)
		}
		for i := range t.rows {
			VPBROADCASTD(t.row(i, row), value)
			for j, c := range columns {
				VPDPBUSD(c, value, t.sums[i*t.parts+j])
			}
		}
	}
	if !l.wide {
		start = func() {
			for _, s := range t.sums {
				VPXOR(s, s, s)
			}
		}
		size, product := l.register(), l.register()
		step = func(row, panel int) {
			for i := range t.rows {
				VPBROADCASTD(t.row(i, row), value)
				VPXOR(bits(0x80808080), value, value)
				VPABSB(value, size)
				for j := range t.parts {
					sum := t.sums[i*t.parts+j]
					VMOVDQU(t.panelPart(j, panel), product)
					VPSIGNB(value, product, product)
					VPMADDUBSW(product, size, product)
					VPMADDWD(bits(0x00010001), product, product)
					VPADDD(product, sum, sum)
				}
			}
		}
	}
	t.emit(steps, begin, start, step, func(i int) {
		columnScales, bias := load("columnScales"), load("bias")
		VBROADCASTSS(Mem{Base: scales}, value)
		ADDQ(U8(4), scales)
		for j := range t.parts {
			sum := t.sums[i*t.parts+j]
			VCVTDQ2PS(sum, sum)
			VMULPS(t.columnPart(columnScales, j), sum, sum)
			VFMADD213PS(t.columnPart(bias, j), value, sum)
		}
	})
}

// transpose makes a panel of 32 rows. It swaps blocks of 8 by 8.
func transpose() {
	l := levels[0]
	l.kernel("transpose", "panel, src *float32, stride, inner int",
		"writes 32 rows of a multiple of 8 values as a panel.")
	src, stride, dst := load("src"), loadBytes("stride"), load("panel")
	rows, left := GP64(), GP64()
	MOVQ(U32(panel/8), rows)
	a, b := l.registers(8), l.registers(8)

	Label("rows")
	from, to := GP64(), GP64()
	MOVQ(src, from)
	MOVQ(dst, to)
	Load(Param("inner"), left)
	Label("block")
	at := GP64()
	MOVQ(from, at)
	for i := range 8 {
		VMOVUPS(Mem{Base: at}, a[i])
		ADDQ(stride, at)
	}
	for i := 0; i < 8; i += 2 {
		VUNPCKLPS(a[i+1], a[i], b[i])
		VUNPCKHPS(a[i+1], a[i], b[i+1])
	}
	for i := 0; i < 8; i += 4 {
		VUNPCKLPD(b[i+2], b[i], a[i])
		VUNPCKHPD(b[i+2], b[i], a[i+1])
		VUNPCKLPD(b[i+3], b[i+1], a[i+2])
		VUNPCKHPD(b[i+3], b[i+1], a[i+3])
	}
	for i := range 4 {
		VPERM2F128(U8(0x20), a[i+4], a[i], b[i])
		VPERM2F128(U8(0x31), a[i+4], a[i], b[i+4])
	}
	for i := range 8 {
		VMOVUPS(b[i], Mem{Base: to, Disp: 4 * panel * i})
	}
	ADDQ(U8(32), from)
	ADDQ(I32(4*panel*8), to)
	SUBQ(U8(8), left)
	JNE(LabelRef("block"))
	LEAQ(Mem{Base: src, Index: stride, Scale: 8}, src)
	ADDQ(U8(32), dst)
	DECQ(rows)
	JNE(LabelRef("rows"))
	l.end()
}
