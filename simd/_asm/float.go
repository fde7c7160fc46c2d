package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// floatKernels writes the float32 tiles. Every sum belongs to one lane and
// adds its dimensions in order, each by one fused multiply-add: a result does
// not depend on the shape of the tile, on the block, on the level or on what
// else is computed with it.
func floatKernels() {
	for _, s := range []struct {
		level         string
		wide          bool
		rows, vectors int
	}{
		{"AVX2", false, 8, 8},
		{"AVX2", false, 16, 6},
		{"AVX2", false, 32, 3},
		{"AVX512", true, 16, 8},
		{"AVX512", true, 32, 6},
	} {
		floatKernel(fmt.Sprintf("floatDots%d%s", s.rows, s.level), s.wide, s.rows, s.vectors, false)
		floatKernel(fmt.Sprintf("floatMaxima%d%s", s.rows, s.level), s.wide, s.rows, s.vectors, true)
	}
}

func floatKernel(name string, wide bool, rows, vectors int, maxima bool) {
	what := "writes the dot products of vectors with a block of query rows"
	if maxima {
		what = "raises dst to the maxima of the dot products; stride is 0"
	}
	function(name, "func(dst *float32, stride int, query, vectors *float32, n, dim int)", name+" "+what)
	lanes := 8
	if wide {
		lanes = 16
	}
	parts := rows / lanes
	t := tile{vectors: vectors, elements: 4, unroll: 32, step: 4, panel: 4 * rows}
	sums := registers(vectors*parts, wide)
	query := registers(parts, wide)
	value := registers(1, wide)[0]
	t.emit(func() {
		for _, s := range sums {
			VXORPS(s, s, s)
		}
	}, func(vector, panel int) {
		for j, q := range query {
			VMOVUPS(t.panelBytes(panel+4*lanes*j), q)
		}
		for i := range vectors {
			VBROADCASTSS(t.vectorAt(i, vector), value)
			for j, q := range query {
				VFMADD231PS(q, value, sums[i*parts+j])
			}
		}
	}, func(dst Mem, i int) {
		for j := range parts {
			s := sums[i*parts+j]
			if maxima {
				VMAXPS(dst.Offset(4*lanes*j), s, s)
			}
			VMOVUPS(s, dst.Offset(4*lanes*j))
		}
	})
}
