package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// peakKernels writes loops that do nothing but multiply and add in registers,
// with independent sums: what a kernel could reach at best.
func peakKernels() {
	fma := func(v []VecVirtual) { VFMADD231PS(v[1], v[2], v[0]) }
	peakKernel("peakFloatAVX2", "VFMADD231PS, 8 products each", false, fma)
	peakKernel("peakFloatAVX512", "VFMADD231PS, 16 products each", true, fma)
	peakKernel("peakInt8AVX2", "64 products of bytes in five instructions", false, func(v []VecVirtual) {
		VPMADDUBSW(v[1], v[2], v[3])
		VPMADDUBSW(v[1], v[2], v[4])
		VPADDW(v[3], v[4], v[3])
		VPMADDWD(v[1], v[3], v[3])
		VPADDD(v[3], v[0], v[0])
	})
	peakKernel("peakInt8AVX512", "VPDPBUSD, 64 products each", true, func(v []VecVirtual) {
		VPDPBUSD(v[1], v[2], v[0])
	})
}

// peakSums is the number of independent sums.
const peakSums = 12

// peakKernel repeats a step on each of the sums; the step gets its sum, two
// factors and two temporary registers.
func peakKernel(name, what string, wide bool, step func([]VecVirtual)) {
	function(name, "func(turns int)", name+" measures "+what+": 12 times every turn.")
	turns := GP64()
	Load(Param("turns"), turns)
	sums, rest := registers(peakSums, wide), registers(4, wide)
	for _, r := range append(sums[:peakSums:peakSums], rest[:2]...) {
		VXORPS(r, r, r)
	}
	Label("turn")
	for _, s := range sums {
		step(append([]VecVirtual{s}, rest...))
	}
	DECQ(turns)
	JNE(operand.LabelRef("turn"))
	VZEROUPPER()
	RET()
}
