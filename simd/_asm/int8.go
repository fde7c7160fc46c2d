package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// intKernels writes the integer tiles, all of them exact:
//
//	bytesDotsNAVX512   any unsigned byte by any signed byte: VPDPBUSD
//	bytesDotsNAVX2     unsigned bytes up to 63 by -127..127, so that four
//	                   products fit 16 bits
//	wordsDotsNAVX2     any bytes, each stored as 16 bits
//
// The products of one step lie side by side in the query: 4 bytes of each row
// of the block, or 2 words; more of each row where a block has too few rows to
// fill the registers, whose sums are added up at the end.
//
// The vectors' memory goes on for tileVectors.
func intKernels() {
	for _, s := range []struct{ rows, vectors int }{{4, 12}, {8, 12}, {16, 6}, {32, 6}} {
		bytesKernel512(s.rows, s.vectors)
	}
	for _, s := range []struct{ rows, vectors int }{{8, 6}, {16, 3}, {32, 2}} {
		bytesKernel2(s.rows, s.vectors)
	}
	for _, s := range []struct{ rows, vectors int }{{8, 8}, {16, 4}, {32, 2}} {
		wordsKernel2(s.rows, s.vectors)
	}
}

const bytesSignature = "func(dst *int32, stride int, query *int8, start *int32, vectors *byte, n, dim int)"

// bytesKernel512 puts 4 bytes of each of 32 rows or 8 of 16 rows in two
// registers, 8 of 8 rows or 16 of 4 rows in one, and multiplies them with as
// many bytes of a vector.
func bytesKernel512(rows, vectors int) {
	name := fmt.Sprintf("bytesDots%dAVX512", rows)
	function(name, bytesSignature, name+" writes start plus the dot products of unsigned with signed bytes.")
	parts := 1
	if rows >= 16 {
		parts = 2
	}
	group := 64 * parts / rows // bytes of a row in a step
	t := tile{vectors: vectors, elements: 1, unroll: 8 * min(group, 8), step: group, panel: 64 * parts}
	sums, query, value := registers(vectors*parts, true), registers(parts, true), ZMM()
	start := func() Mem {
		p := GP64()
		Load(Param("start"), p)
		return Mem{Base: p}
	}
	t.emitPadded(func() {
		if rows < 32 {
			for _, s := range sums {
				VPXORD(s, s, s)
			}
			return
		}
		start := start()
		for i, s := range sums {
			VMOVDQU32(start.Offset(64*(i%parts)), s)
		}
	}, func(vector, panel int) {
		for j, q := range query {
			VMOVDQU32(t.panelBytes(panel+64*j), q)
		}
		for i := range vectors {
			switch group {
			case 4:
				VPBROADCASTD(t.vectorAt(i, vector), value)
			case 8:
				VPBROADCASTQ(t.vectorAt(i, vector), value)
			case 16:
				VBROADCASTI32X4(t.vectorAt(i, vector), value)
			}
			for j, q := range query {
				VPDPBUSD(q, value, sums[i*parts+j])
			}
		}
	}, func() {
		switch rows {
		case 16: // each row has two sums, side by side
			start := start()
			for i := 0; i < len(sums); i += 2 {
				a, b := sums[i], sums[i+1]
				VSHUFPS(U8(0x88), b, a, value)
				VSHUFPS(U8(0xdd), b, a, a)
				VPADDD(value, a, a)
				VPADDD(start, a, a)
			}
		case 8: // the same; of two vectors, each quarter gets two rows
			first, order := ZMM(), ZMM()
			VBROADCASTI64X4(start(), first)
			VMOVDQU32(eighths, order)
			for i := 0; i < len(sums); i += 2 {
				a, b := sums[i], sums[i+1]
				VSHUFPS(U8(0x88), b, a, value)
				VSHUFPS(U8(0xdd), b, a, a)
				VPADDD(value, a, a)
				VPERMQ(a, order, a)
				VPADDD(first, a, a)
			}
		case 4:
			first := ZMM()
			VBROADCASTI32X4(start(), first)
			addQuarters(sums, first)
		}
	}, func(dst Mem, i int) {
		switch rows {
		case 4:
			VEXTRACTI32X4(U8(i%4), sums[i/4*4], dst)
		case 8:
			VEXTRACTI64X4(U8(i%2), sums[i/2*2], dst)
		case 16:
			VMOVDQU32(sums[2*i], dst)
		case 32:
			VMOVDQU32(sums[2*i], dst)
			VMOVDQU32(sums[2*i+1], dst.Offset(64))
		}
	})
}

// addQuarters leaves the sums of vectors i to i+3, each start plus four sums of
// four rows, in the quarters of register i.
func addQuarters(sums []VecVirtual, start VecVirtual) {
	index, a, b := ZMM(), ZMM(), ZMM()
	VMOVDQU32(quarters, index)
	for ; len(sums) > 0; sums = sums[4:] {
		for _, pair := range [][]VecVirtual{sums[:2], sums[2:4]} {
			VPUNPCKLDQ(pair[1], pair[0], a)
			VPUNPCKHDQ(pair[1], pair[0], b)
			VPADDD(a, b, pair[0])
		}
		VPUNPCKLQDQ(sums[2], sums[0], a)
		VPUNPCKHQDQ(sums[2], sums[0], b)
		VPADDD(a, b, sums[0])
		VPERMD(sums[0], index, sums[0])
		VPADDD(start, sums[0], sums[0])
	}
}

// bytesKernel2 adds four products in 16 bits before it widens them.
func bytesKernel2(rows, vectors int) {
	name := fmt.Sprintf("bytesDots%dAVX2", rows)
	function(name, bytesSignature, name+" writes start plus the dot products of bytes up to 63 with -127..127.")
	parts := rows / 8
	t := tile{vectors: vectors, elements: 1, unroll: 32, step: 8, panel: 8 * rows}
	sums, ones := registers(vectors*parts, false), YMM()
	VPCMPEQW(ones, ones, ones)
	VPSRLW(U8(15), ones, ones)
	first, second, a, b := YMM(), YMM(), YMM(), YMM()
	t.emitPadded(func() {
		start := GP64()
		Load(Param("start"), start)
		for i, s := range sums {
			VMOVDQU(Mem{Base: start, Disp: 32 * (i % parts)}, s)
		}
	}, func(vector, panel int) {
		for i := range vectors {
			VPBROADCASTD(t.vectorAt(i, vector), first)
			VPBROADCASTD(t.vectorAt(i, vector+4), second)
			for j := range parts {
				VPMADDUBSW(t.panelBytes(panel+32*j), first, a)
				VPMADDUBSW(t.panelBytes(panel+4*rows+32*j), second, b)
				VPADDW(a, b, a)
				VPMADDWD(ones, a, a)
				VPADDD(a, sums[i*parts+j], sums[i*parts+j])
			}
		}
	}, nothing, func(dst Mem, i int) {
		for j := range parts {
			VMOVDQU(sums[i*parts+j], dst.Offset(32*j))
		}
	})
}

func wordsKernel2(rows, vectors int) {
	name := fmt.Sprintf("wordsDots%dAVX2", rows)
	function(name, "func(dst *int32, stride int, query, vectors *int16, n, dim int)",
		name+" writes the dot products of 16 bit values of the size of bytes.")
	parts := rows / 8
	t := tile{vectors: vectors, elements: 2, unroll: 32, step: 4, panel: 4 * rows}
	sums, query := registers(vectors*parts, false), registers(parts, false)
	value, product := YMM(), YMM()
	t.emitPadded(func() {
		for _, s := range sums {
			VPXOR(s, s, s)
		}
	}, func(vector, panel int) {
		for j, q := range query {
			VMOVDQU(t.panelBytes(panel+32*j), q)
		}
		for i := range vectors {
			VPBROADCASTD(t.vectorAt(i, vector), value)
			for j, q := range query {
				VPMADDWD(q, value, product)
				VPADDD(product, sums[i*parts+j], sums[i*parts+j])
			}
		}
	}, nothing, func(dst Mem, i int) {
		for j := range parts {
			VMOVDQU(sums[i*parts+j], dst.Offset(32*j))
		}
	})
}
