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
	signature := "func(dst *float32, stride int, query, vectors *float32, n, dim int"
	after := nothing
	if maxima {
		signature += ", next *float32, nextStep int"
		after = func() { // reads what is next so far ahead
			next, err := Param("next").Resolve()
			if err != nil {
				panic(err)
			}
			step, at := GP64(), GP64()
			Load(Param("nextStep"), step)
			MOVQ(next.Addr, at)
			for i := range (vectors + 1) / 2 {
				PREFETCHT0(Mem{Base: at, Disp: 64 * i})
			}
			ADDQ(step, at)
			MOVQ(at, next.Addr)
		}
	}
	function(name, signature+")", name+" "+what)
	lanes := 8
	if wide {
		lanes = 16
	}
	parts := rows / lanes
	t := tile{vectors: vectors, elements: 4, unroll: 32, step: 4, panel: 4 * rows}
	sums := registers(vectors*parts, wide)
	query, values := registers(parts, wide), registers(1, wide)
	if parts > vectors { // takes fewer registers
		query, values = registers(1, wide), registers(vectors, wide)
	}
	t.emit(func() {
		for _, s := range sums {
			VXORPS(s, s, s)
		}
	}, func(vector, panel int) {
		load := func(j int) { VMOVUPS(t.panelBytes(panel+4*lanes*j), query[j%len(query)]) }
		value := func(i int) { VBROADCASTSS(t.vectorAt(i, vector), values[i%len(values)]) }
		add := func(i, j int) { VFMADD231PS(query[j%len(query)], values[i%len(values)], sums[i*parts+j]) }
		if len(query) == parts {
			for j := range parts {
				load(j)
			}
			for i := range vectors {
				value(i)
				for j := range parts {
					add(i, j)
				}
			}
			return
		}
		for i := range vectors {
			value(i)
		}
		for j := range parts {
			load(j)
			for i := range vectors {
				add(i, j)
			}
		}
	}, after, func(dst Mem, i int) {
		for j := range parts {
			s := sums[i*parts+j]
			if maxima {
				VMAXPS(dst.Offset(4*lanes*j), s, s)
			}
			VMOVUPS(s, dst.Offset(4*lanes*j))
		}
	})
}
