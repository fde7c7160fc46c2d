package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// scoreKernels writes the kernels that turn integer dot products into
// similarities and keep the maxima. Every operation rounds to float32, in the
// order of Token: there is no fused multiply-add.
func scoreKernels() {
	for _, rows := range []int{8, 16, 32} {
		scoreKernel(rows, 8, "AVX2")
	}
	for _, rows := range []int{16, 32} {
		scoreKernel(rows, 16, "AVX512")
	}
}

func scoreKernel(rows, lanes int, level string) {
	name := fmt.Sprintf("scoreMaxima%d%s", rows, level)
	function(name, "func(best *float32, dots *int32, stride int, tokens *int32, n int, scales, lines *float32)",
		name+" raises best to the similarities of n Tokens.")
	load := func(param string) Mem {
		p := GP64()
		Load(Param(param), p)
		return Mem{Base: p}
	}
	bestAt, dots, tokens, scalesAt, lines := load("best"), load("dots"), load("tokens"), load("scales"), load("lines")
	n, stride := GP64(), GP64()
	Load(Param("n"), n)
	Load(Param("stride"), stride)
	SHLQ(U8(2), stride)
	wide := lanes == 16
	parts := rows / lanes
	best, scales := registers(parts, wide), registers(parts, wide)
	for j := range parts {
		VMOVUPS(bestAt.Offset(4*lanes*j), best[j])
		VMOVUPS(scalesAt.Offset(4*lanes*j), scales[j])
	}
	r := registers(4, wide)
	scale, factor, step, v := r[0], r[1], r[2], r[3]
	line := GP64()

	Label("token")
	MOVLQSX(tokens, line)
	IMULQ(stride, line)
	ADDQ(lines.Base, line)
	VBROADCASTSS(tokens.Offset(4), scale)
	VBROADCASTSS(tokens.Offset(8), factor)
	for j := range parts {
		VMULPS(scales[j], scale, step)
		VCVTDQ2PS(dots.Offset(4*lanes*j), v)
		VMULPS(v, step, v)
		VADDPS(Mem{Base: line, Disp: 4 * lanes * j}, v, v)
		VMULPS(v, factor, v)
		VMAXPS(best[j], v, best[j])
	}
	ADDQ(U8(12), tokens.Base)
	ADDQ(stride, dots.Base)
	DECQ(n)
	JNE(LabelRef("token"))
	for j := range parts {
		VMOVUPS(best[j], bestAt.Offset(4*lanes*j))
	}
	VZEROUPPER()
	RET()
}
