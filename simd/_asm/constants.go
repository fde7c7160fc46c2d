package main

import (
	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// Constants of the kernels.
var (
	quarters                 Mem // dword 4*i+k is 4*k+i
	eighths                  Mem // quadword 4*i+k is 2*k+i
	cellMasks                Mem // word i has i bits
	halves                   Mem // eight dwords 16, eight 0
	valueBounds              Mem // float32
	quarterNumbers           Mem // dword i is i/4
	packOrder                Mem // dwords of two packed halves in order
	quarterMasks             Mem // word i has 4*i bits
	infinity                 Mem // a float32, negative
	interleave, interleave16 Mem // dword i is i/2, or 16 or 8 more if i is odd
	selectors                Mem // dwords of bytes 0xaa, 0xcc
	tokenMasks               Mem // quadword 12+i has 16 bits for each of i tokens, at most 4
)

func constants() {
	cellMasks = GLOBL("cellMasks", attr.RODATA|attr.NOPTR)
	for i := range 17 {
		DATA(2*i, U16(1<<i-1))
	}
	selectors = GLOBL("selectors", attr.RODATA|attr.NOPTR)
	DATA(0, U32(0xaaaaaaaa))
	DATA(4, U32(0xcccccccc))
	DATA(8, U32(0xffff0000))
	DATA(12, U32(0x0f0f0f0f))
	DATA(16, U32(0x80808080))
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
	for i := range 29 {
		DATA(8*i, U64(1<<(16*min(max(i-12, 0), 4))-1))
	}

	quarters = GLOBL("quarters", attr.RODATA|attr.NOPTR)
	for i := range 16 {
		DATA(4*i, U32(i%4*4+i/4))
	}
	eighths = GLOBL("eighths", attr.RODATA|attr.NOPTR)
	for i := range 8 {
		DATA(8*i, U64(i%4*2+i/4))
	}
}
