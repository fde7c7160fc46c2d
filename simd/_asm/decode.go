package main

import (
	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Constants of the kernels.
var (
	quarters                 Mem // dword 4*i+k is 4*k+i
	eighths                  Mem // quadword 4*i+k is 2*k+i
	spread                   Mem // byte i of a dword eight times, for i = 0 to 3
	eachBit                  Mem // byte i has bit i%8 only, for one quadword
	pairs                    Mem // byte i is 2*i, for one quadword
	cellMasks                Mem // byte i has i bits
	halves                   Mem // eight dwords 16, eight 0
	valueBounds              Mem // float32
	quarterNumbers           Mem // dword i is i/4
	packOrder                Mem // dwords of two packed halves in order
	quarterMasks             Mem // word i has 4*i bits
	infinity                 Mem // a float32, negative
	interleave, interleave16 Mem // dword i is i/2, or 16 or 8 more if i is odd
	selectors                Mem // dwords of bytes 0xaa, 0xcc
	tokenMasks               Mem // quadword 4+i has 16 bits for each of i tokens, at most 4
	masks                    Mem // dwords whose bytes are 3, 4, 8 and 128
)

func constants() {
	cellMasks = GLOBL("cellMasks", attr.RODATA|attr.NOPTR)
	for i := range 9 {
		DATA(i, U8(1<<i-1))
	}
	selectors = GLOBL("selectors", attr.RODATA|attr.NOPTR)
	DATA(0, U32(0xaaaaaaaa))
	DATA(4, U32(0xcccccccc))
	DATA(8, U32(0xffff0000))
	DATA(12, U32(0x0f0f0f0f))
	quarterMasks = GLOBL("quarterMasks", attr.RODATA|attr.NOPTR)
	for i := range 5 {
		DATA(2*i, U16(1<<(4*i)-1))
	}
	valueBounds = GLOBL("valueBounds", attr.RODATA|attr.NOPTR)
	DATA(0, F32(-32766))
	DATA(4, F32(32766))
	quarterNumbers = GLOBL("quarterNumbers", attr.RODATA|attr.NOPTR)
	for i := range 16 {
		DATA(4*i, U32(i/4))
	}
	packOrder = GLOBL("packOrder", attr.RODATA|attr.NOPTR)
	for i := range 8 {
		DATA(4*i, U32(i%2*4+i/2))
	}
	infinity = GLOBL("infinity", attr.RODATA|attr.NOPTR)
	DATA(0, U32(0xff800000))
	interleave = GLOBL("interleave", attr.RODATA|attr.NOPTR)
	for i := range 32 {
		DATA(4*i, U32(i/2+i%2*16))
	}
	interleave16 = GLOBL("interleave16", attr.RODATA|attr.NOPTR)
	for i := range 16 {
		DATA(4*i, U32(i/2+i%2*8))
	}
	halves = GLOBL("halves", attr.RODATA|attr.NOPTR)
	for i := range 16 {
		DATA(4*i, U32(16*(1-i/8)))
	}
	tokenMasks = GLOBL("tokenMasks", attr.RODATA|attr.NOPTR)
	for i := range 13 {
		DATA(8*i, U64(1<<(16*min(max(i-4, 0), 4))-1))
	}

	quarters = GLOBL("quarters", attr.RODATA|attr.NOPTR)
	for i := range 16 {
		DATA(4*i, U32(i%4*4+i/4))
	}
	eighths = GLOBL("eighths", attr.RODATA|attr.NOPTR)
	for i := range 8 {
		DATA(8*i, U64(i%4*2+i/4))
	}
	spread = GLOBL("spread", attr.RODATA|attr.NOPTR)
	for i := range 4 {
		DATA(8*i, U64(uint64(i)*0x0101010101010101))
	}
	eachBit = GLOBL("eachBit", attr.RODATA|attr.NOPTR)
	DATA(0, U64(0x8040201008040201))
	pairs = GLOBL("pairs", attr.RODATA|attr.NOPTR)
	DATA(0, U64(0x0e0c0a0806040200))
	masks = GLOBL("masks", attr.RODATA|attr.NOPTR)
	for i, m := range []uint32{3, 4, 8, 128} {
		DATA(4*i, U32(m*0x01010101))
	}
}

// convertKernels writes what makes operands of the tiles from int8 values.
func convertKernels() {
	loop := func(body func(dst, src Register), dstBytes int) {
		dst, src, blocks := GP64(), GP64(), GP64()
		Load(Param("dst"), dst)
		Load(Param("src"), src)
		Load(Param("blocks"), blocks)
		Label("block")
		body(dst, src)
		ADDQ(I32(dstBytes), dst)
		ADDQ(U8(64), src)
		DECQ(blocks)
		JNE(LabelRef("block"))
		VZEROUPPER()
		RET()
	}
	function("unsignAVX512", "func(dst, src *byte, blocks int)", "unsignAVX512 adds 128 to blocks of 64 bytes.")
	high, v := ZMM(), ZMM()
	VPBROADCASTD(masks.Offset(12), high)
	loop(func(dst, src Register) {
		VPXORD(Mem{Base: src}, high, v)
		VMOVDQU32(v, Mem{Base: dst})
	}, 64)

	function("widenAVX2", "func(dst *int16, src *byte, blocks int)", "widenAVX2 extends blocks of 64 int8 values.")
	w := YMM()
	loop(func(dst, src Register) {
		for i := range 4 {
			VPMOVSXBW(Mem{Base: src, Disp: 16 * i}, w)
			VMOVDQU(w, Mem{Base: dst, Disp: 32 * i})
		}
	}, 128)
}
