// Command gemm generates the amd64 kernels of package simd/gemm: run go
// generate in that folder.
//
// Every kernel is written once, for registers of 8 or of 16 lanes, and
// generated for AVX2 and for AVX-512; only where the instructions differ does
// the text.
package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// panel is the number of columns of a panel.
const panel = 32

// level is a set of instructions.
type level struct {
	name string
	wide bool // 512 bit registers
}

var levels = []level{{"AVX2", false}, {"AVX512", true}}

func main() {
	ConstraintExpr("!noasm")
	for _, l := range levels {
		floatTile(l)
		bytesTile(l)
		activations(l)
		softmax(l)
		addNorm(l)
		quantize(l)
	}
	transpose()
	Generate()
}

// lanes is the number of float32 lanes of a register, bytes its size.
func (l level) lanes() int {
	if l.wide {
		return 16
	}
	return 8
}

func (l level) bytes() int { return 4 * l.lanes() }

// register returns a vector register, registers so many of them.
func (l level) register() VecVirtual {
	if l.wide {
		return ZMM()
	}
	return YMM()
}

func (l level) registers(n int) []VecVirtual {
	r := make([]VecVirtual, n)
	for i := range r {
		r[i] = l.register()
	}
	return r
}

// kernel begins a function.
func (l level) kernel(name, signature, doc string) {
	name += l.name
	TEXT(name, NOSPLIT, "func("+signature+")")
	Pragma("noescape")
	Doc(name + " " + doc)
}

func (l level) end() {
	VZEROUPPER()
	RET()
}

// load reads a parameter into a new register, loadBytes a number of float32
// values as their bytes.
func load(name string) GPVirtual {
	r := GP64()
	Load(Param(name), r)
	return r
}

func loadBytes(name string) GPVirtual {
	r := load(name)
	SHLQ(U8(2), r)
	return r
}

// broadcast reads a float32 parameter into every lane of a new register.
func (l level) broadcast(name string) VecVirtual {
	p, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	r := l.register()
	VBROADCASTSS(p.Addr, r)
	return r
}

// constants holds one value in every lane, for memory operands.
var constants = map[uint32]Mem{}

func float(v float64) Mem { return bits(math.Float32bits(float32(v))) }

func bits(v uint32) Mem {
	if m, ok := constants[v]; ok {
		return m
	}
	m := GLOBL(fmt.Sprintf("lanes%08x", v), RODATA|NOPTR)
	for i := range 16 {
		DATA(4*i, U32(v))
	}
	constants[v] = m
	return m
}

// horner leaves the polynomial with the given coefficients, the constant one
// first, in p.
func horner(p, x VecVirtual, coefficients []float64) {
	last := len(coefficients) - 1
	VMOVUPS(float(coefficients[last]), p)
	for i := last - 1; i >= 0; i-- {
		VFMADD213PS(float(coefficients[i]), x, p)
	}
}

// fold combines the lanes of r, pair by pair, and leaves the result in all.
func (l level) fold(r VecVirtual, combine func(a, b, dst Op)) {
	y := r.AsY()
	t := YMM()
	if l.wide {
		VEXTRACTF64X4(U8(1), r, t)
		combine(t, y, y)
	}
	VPERM2F128(U8(1), y, y, t)
	combine(t, y, y)
	VPERMILPS(U8(0x4e), y, t)
	combine(t, y, y)
	VPERMILPS(U8(0xb1), y, t)
	combine(t, y, y)
	if l.wide {
		VBROADCASTSS(r.AsX(), r)
	}
}
