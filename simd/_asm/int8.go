package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// byteFields are those of byteArgs in package simd.
var byteFields = []string{
	"tokens", "query", "start", "scales", "best", "rowMask",
	"vectors", "dim", "factors", "next", "nextEnd", "nextStep",
}

// byteTile is how the int8 values of vectors are multiplied with rows: with so
// many bytes of each row that 8 or 16 rows, or twice 16 or 8, fill a register.
type byteTile struct {
	rows   int
	tokens int // at least that many must be there
	parts  int // registers of the query
	group  int // bytes of a row
}

var byteTiles = []byteTile{{4, 12, 1, 16}, {8, 12, 1, 8}, {16, 6, 2, 8}, {32, 6, 2, 4}}

// byteKernel scores int8 vectors, whose bytes it makes unsigned. The last tile
// ends with the last vector, wherever it begins: a maximum may be taken twice.
func byteKernel(t byteTile) {
	name := fmt.Sprintf("int8Maxima%dAVX512", t.rows)
	function(name, "func(args *int)", fmt.Sprintf("%s scores int8 vectors with %d rows.", name, t.rows))
	args := loadRecord(byteFields)
	sums, query, value := registers(t.tokens*t.parts, true), registers(t.parts, true), ZMM()
	best := registers(max(t.rows/16, 1), true)
	for _, b := range best {
		VBROADCASTSS(infinity, b)
	}
	high := ZMM()
	VPBROADCASTD(selectors.Offset(16), high)
	temp, dims := GP64(), GP64()
	width, vectors, factors, next := args.load("dim"), args.load("vectors"), args.load("factors"), args.load("next")
	left := args.load("tokens")
	lower := K()
	MOVL(U32(255), temp.As32())
	KMOVW(temp.As32(), lower)

	Label("tile")
	const perBase = 3
	var base []Register
	for i := 0; i < t.tokens; i += perBase {
		p := GP64()
		if i == 0 {
			MOVQ(vectors, p)
		} else {
			LEAQ(Mem{Base: base[len(base)-1], Index: width, Scale: 2}, p)
			ADDQ(width, p)
		}
		base = append(base, p)
	}
	for _, s := range sums {
		VPXORD(s, s, s)
	}
	panel := args.load("query")
	// multiply takes so many bytes of each vector.
	multiply := func(bytes int) {
		for g := 0; g < bytes; g += t.group {
			for j, q := range query {
				VMOVDQU32(Mem{Base: panel, Disp: 64*t.parts*(g/t.group) + 64*j}, q)
			}
			for i := range t.tokens {
				at := Mem{Base: base[i/perBase], Disp: g}
				if i%perBase > 0 {
					at.Index, at.Scale = width, uint8(i%perBase)
				}
				switch t.group {
				case 4:
					VPXORD_BCST(at, high, value)
				case 8:
					VPXORQ_BCST(at, high, value)
				default:
					VBROADCASTI32X4(at, value)
					VPXORD(high, value, value)
				}
				for j, q := range query {
					VPDPBUSD(q, value, sums[i*t.parts+j])
				}
			}
		}
		for _, p := range base {
			ADDQ(U8(bytes), p)
		}
		ADDQ(U32(64*t.parts*bytes/t.group), panel)
	}
	MOVQ(width, dims)
	SUBQ(U8(32), dims)
	JL(LabelRef("rest"))
	Label("dims")
	multiply(32)
	for i := range t.tokens/2 + 1 {
		PREFETCHT0(Mem{Base: next, Disp: 64 * i})
	}
	ADDQ(args.field("nextStep"), next)
	SUBQ(U8(32), dims)
	JGE(LabelRef("dims"))
	Label("rest")
	ADDQ(U8(32), dims)
	JEQ(LabelRef("score"))
	Label("few")
	few := max(t.group, 8)
	multiply(few)
	SUBQ(U8(few), dims)
	JNE(LabelRef("few"))

	Label("score")
	CMPQ(next, args.field("nextEnd"))
	CMOVQHI(args.field("nextEnd"), next)
	start, scales := Mem{Base: args.load("start")}, Mem{Base: args.load("scales")}
	raise := func(x, scale VecVirtual, factor func(VecVirtual), best VecVirtual) {
		VCVTDQ2PS(x, x)
		VMULPS(scale, x, x)
		factor(x)
		VMAXPS(best, x, best)
	}
	switch t.rows {
	case 32, 16:
		for i := range t.tokens {
			factor := func(x VecVirtual) { VMULPS_BCST(Mem{Base: factors, Disp: 4 * i}, x, x) }
			x := sums[2*i : 2*i+2]
			if t.rows == 16 { // each row has two sums, side by side
				VSHUFPS(U8(0x88), x[1], x[0], value)
				VSHUFPS(U8(0xdd), x[1], x[0], x[0])
				VPADDD(value, x[0], x[0])
				x = x[:1]
			}
			for j, x := range x {
				scale := ZMM()
				VPADDD(start.Offset(64*j), x, x)
				VMOVUPS(scales.Offset(64*j), scale)
				raise(x, scale, factor, best[j])
			}
		}
	case 8: // the same; of two vectors, each quarter gets two rows
		order, first, scale, both := ZMM(), ZMM(), ZMM(), ZMM()
		VMOVDQU32(eighths, order)
		VBROADCASTI64X4(start, first)
		VBROADCASTF64X4(scales, scale)
		for i := 0; i < t.tokens; i += 2 {
			a, b := sums[i], sums[i+1]
			VSHUFPS(U8(0x88), b, a, value)
			VSHUFPS(U8(0xdd), b, a, a)
			VPADDD(value, a, a)
			VPERMQ(a, order, a)
			VPADDD(first, a, a)
			VBROADCASTSS(Mem{Base: factors, Disp: 4*i + 4}, both)
			VBROADCASTSS(Mem{Base: factors, Disp: 4 * i}, lower, both)
			raise(a, scale, func(x VecVirtual) { VMULPS(both, x, x) }, best[0])
		}
	case 4:
		first, scale, four, quarter := ZMM(), ZMM(), ZMM(), ZMM()
		VMOVDQU32(quarterNumbers, quarter)
		VBROADCASTI32X4(start, first)
		VBROADCASTF32X4(scales, scale)
		for i := 0; i < t.tokens; i += 4 {
			x := addQuarters(sums[i:i+4], value)
			VPADDD(first, x, x)
			VBROADCASTF32X4(Mem{Base: factors, Disp: 4 * i}, four)
			VPERMILPS(quarter, four, four)
			raise(x, scale, func(x VecVirtual) { VMULPS(four, x, x) }, best[0])
		}
	}
	// Go on with the next tile, or with one that ends with the last vector.
	SUBQ(U8(t.tokens), left)
	JEQ(LabelRef("done"))
	MOVQ(U32(t.tokens), temp)
	CMPQ(left, temp)
	CMOVQLT(left, temp)
	LEAQ(Mem{Base: factors, Index: temp, Scale: 4}, factors)
	IMULQ(width, temp)
	ADDQ(temp, vectors)
	CMPQ(left, U8(t.tokens))
	JGE(LabelRef("tile"))
	MOVQ(U32(t.tokens), left)
	JMP(LabelRef("tile"))

	Label("done")
	if t.rows < 16 {
		VEXTRACTF64X4(U8(1), best[0], value.AsY())
		VMAXPS(value.AsY(), best[0].AsY(), best[0].AsY())
		if t.rows == 4 {
			VEXTRACTF32X4(U8(1), best[0].AsY(), value.AsX())
			VMAXPS(value.AsX(), best[0].AsX(), best[0].AsX())
		}
	}
	to, mask := Mem{Base: args.load("best")}, K()
	MOVQ(args.field("rowMask"), temp)
	for j, b := range best {
		KMOVW(temp.As32(), mask)
		VMOVUPS_Z(to.Offset(64*j), mask, value)
		VMAXPS(value, b, b)
		VMOVUPS(b, mask, to.Offset(64*j))
		SHRQ(U8(16), temp)
	}
	VZEROUPPER()
	RET()
}

// addQuarters returns the sums of each row of four vectors, which has one in
// every quarter of each of the registers: a vector's are in a quarter.
func addQuarters(sums []VecVirtual, temp VecVirtual) VecVirtual {
	index := ZMM()
	VMOVDQU32(quarters, index)
	x := addUp(sums[0], sums[1], sums[2], sums[3], temp)
	VPERMD(x, index, x)
	return x
}
