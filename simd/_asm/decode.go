package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Constants of the kernels.
var (
	quarters Mem // dword 4*i+k is 4*k+i
	eighths  Mem // quadword 4*i+k is 2*k+i
	spread   Mem // byte i of a dword eight times, for i = 0 to 3
	eachBit  Mem // byte i has bit i%8 only, for one quadword
	pairs    Mem // byte i is 2*i, for one quadword
	masks    Mem // dwords whose bytes are 3, 4, 8 and 128
)

func constants() {
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

// decodeKernels writes the kernels that turn bit planes into bytes, 64
// dimensions at a time, and those that prepare int8 values for the tiles.
//
// A table of 16 bytes holds the weights: that of a code with first bit a,
// second bit b and lower bits c is weights[8*a+4*b+c].
func decodeKernels() {
	for _, bits := range []int{1, 2, 4} {
		decodeKernel(bits, "AVX2", decodeAVX2)
		decodeKernel(bits, "AVX512", decodeAVX512)
	}
	convertKernels()
}

// planes are the operands of a decoding loop.
type planes struct {
	bits                  int
	dst, zero, one, lower Mem // of the next block
	weights               Mem
}

func decodeKernel(bits int, level string, emit func(planes) (block func())) {
	name := fmt.Sprintf("decode%d%s", bits, level)
	function(name, "func(dst, plane0, plane1, plane2 *byte, blocks int, weights *[16]byte)",
		fmt.Sprintf("%s writes the weights of blocks of 64 codes of %d bits.", name, bits))
	at := GP64() // in plane 0
	load := func(param string, scale uint8) Mem {
		p := GP64()
		Load(Param(param), p)
		return Mem{Base: p, Index: at, Scale: scale}
	}
	p := planes{bits: bits, dst: load("dst", 8), zero: load("plane0", 1)}
	if bits > 1 {
		p.one = load("plane1", 1)
	}
	if bits == 4 {
		p.lower = load("plane2", 2)
	}
	end, weights := GP64(), GP64()
	Load(Param("blocks"), end)
	SHLQ(U8(3), end)
	Load(Param("weights"), weights)
	p.weights = Mem{Base: weights}
	XORQ(at, at)
	block := emit(p)
	Label("block")
	block()
	ADDQ(U8(8), at)
	CMPQ(at, end)
	JB(LabelRef("block"))
	VZEROUPPER()
	RET()
}

// decodeAVX512 reads 64 bits of a plane as a mask.
func decodeAVX512(p planes) func() {
	weight := func(i int) VecVirtual {
		w := ZMM()
		VPBROADCASTB(p.weights.Offset(i), w)
		return w
	}
	a, b, out, other := K(), K(), ZMM(), ZMM()
	switch p.bits {
	case 1:
		w0, w1 := weight(0), weight(8)
		return func() {
			KMOVQ(p.zero, a)
			VPBLENDMB(w1, w0, a, out)
			VMOVDQU32(out, p.dst)
		}
	case 2:
		w0, w1, w2, w3 := weight(0), weight(4), weight(8), weight(12)
		return func() {
			KMOVQ(p.zero, a)
			KMOVQ(p.one, b)
			VPBLENDMB(w1, w0, b, out)
			VPBLENDMB(w3, w2, b, other)
			VPBLENDMB(other, out, a, out)
			VMOVDQU32(out, p.dst)
		}
	}
	table, shifts, three, four, eight := ZMM(), ZMM(), ZMM(), ZMM(), ZMM()
	VBROADCASTI32X4(p.weights, table)
	VPBROADCASTQ(pairs, shifts)
	VPBROADCASTD(masks, three)
	VPBROADCASTD(masks.Offset(4), four)
	VPBROADCASTD(masks.Offset(8), eight)
	return func() {
		KMOVQ(p.zero, a)
		KMOVQ(p.one, b)
		VPMOVZXWQ(p.lower, out) // two bytes hold eight lower parts
		VPMULTISHIFTQB(out, shifts, out)
		VPANDD(three, out, out)
		VPADDB(eight, out, a, out)
		VPADDB(four, out, b, out)
		VPERMB(table, out, out)
		VMOVDQU32(out, p.dst)
	}
}

func decodeAVX2(p planes) func() {
	table, bytes, bit, three, four, eight := YMM(), YMM(), YMM(), YMM(), YMM(), YMM()
	VBROADCASTI128(p.weights, table)
	VMOVDQU(spread, bytes)
	VPBROADCASTQ(eachBit, bit)
	VPBROADCASTD(masks, three)
	VPBROADCASTD(masks.Offset(4), four)
	VPBROADCASTD(masks.Offset(8), eight)
	// place sets dst to value in every byte whose bit of the plane is set.
	place := func(plane Mem, value, dst VecVirtual) {
		VPBROADCASTD(plane, dst)
		VPSHUFB(bytes, dst, dst)
		VPAND(bit, dst, dst)
		VPCMPEQB(bit, dst, dst)
		VPAND(value, dst, dst)
	}
	code, part := YMM(), YMM()
	return func() {
		for half := range 2 {
			place(p.zero.Offset(4*half), eight, code)
			if p.bits > 1 {
				place(p.one.Offset(4*half), four, part)
				VPOR(part, code, code)
			}
			if p.bits == 4 { // a byte holds four lower parts
				shifted := YMM()
				VPMOVZXBD(p.lower.Offset(8*half), part)
				VPSLLD(U8(6), part, shifted)
				VPOR(shifted, part, part)
				VPSLLD(U8(12), part, shifted)
				VPOR(shifted, part, part)
				VPAND(three, part, part)
				VPOR(part, code, code)
			}
			VPSHUFB(code, table, part)
			VMOVDQU(part, p.dst.Offset(32*half))
		}
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
