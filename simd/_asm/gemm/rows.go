package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// exp2Fit are the coefficients of a fit of 2^x for |x| up to ½ whose relative
// error is below 1e-7 before rounding; it is exact for 0.
var exp2Fit = []float64{1, 0.6931470036506653, 0.24022242426872253, 0.05550733581185341, 0.009671512991189957, 0.001326472731307149}

// exp2Max is the largest size of an exponent that exp2 takes.
const exp2Max = 126

// exp2 replaces the lanes of x by their power of two. Its relative error is
// below 2e-7.
func (l level) exp2(x, n, p VecVirtual) {
	if l.wide {
		VRNDSCALEPS(U8(8), x, n) // to the nearest integer, without exceptions
	} else {
		VROUNDPS(U8(8), x, n)
	}
	VSUBPS(n, x, x)
	horner(p, x, exp2Fit)
	if l.wide {
		VSCALEFPS(n, p, x)
		return
	}
	VCVTPS2DQ(n, n)
	VPSLLD(U8(23), n, n)
	VPADDD(n, p, x)
}

// phi are the coefficients of a fit of the normal distribution Φ(x) ≈ ½ +
// x·p(x²)/q(x²) for |x| up to phiMax, with an error of 7e-9 before rounding.
var (
	phiP = []float64{
		0.398942232131958, 0.033852718770504, 0.004677265416830778,
		0.00016882643103599548, 6.352125637931749e-06, 2.2749365058416515e-08,
	}
	phiQ = []float64{
		1, 0.25152209401130676, 0.028645914047956467,
		0.0018844491569325328, 7.364775956375524e-05, 1.1975045026701991e-06,
	}
)

const phiMax = 5.5

// gelu replaces x by x·Φ(x).
func (l level) gelu(x, z, t, p, q VecVirtual) {
	VMINPS(float(phiMax), x, z)
	VMAXPS(float(-phiMax), z, z)
	VMULPS(z, z, t)
	horner(p, t, phiP)
	horner(q, t, phiQ)
	VMULPS(z, p, p)
	VDIVPS(q, p, p)
	VADDPS(float(0.5), p, p)
	VMULPS(p, x, x)
}

// geluTanh replaces x by ½x(1 + tanh(u)), u = √(2/π)(x + 0.044715x³), which is
// x / (1 + exp(-2u)).
func (l level) geluTanh(x, u, n, p VecVirtual) {
	const factor = -2 * 0.7978845608028654 * math.Log2E // -2u is this times x + 0.044715x³, in powers of two
	VMULPS(x, x, u)
	VMOVUPS(float(factor*0.044715), p)
	VFMADD213PS(float(factor), p, u)
	VMULPS(x, u, u)
	VMAXPS(float(-exp2Max), u, u)
	VMINPS(float(exp2Max), u, u)
	l.exp2(u, n, p)
	VADDPS(float(1), u, u)
	VDIVPS(u, x, x)
}

// activations writes the kernels that change a panel's columns in place.
func activations(l level) {
	for _, f := range []struct {
		name, doc string
		step      func(x VecVirtual, free []VecVirtual)
	}{
		{"gelu", "applies x Φ(x) to 32 columns.", func(x VecVirtual, r []VecVirtual) { l.gelu(x, r[0], r[1], r[2], r[3]) }},
		{"geluTanh", "applies the tanh form of GELU to 32 columns.", func(x VecVirtual, r []VecVirtual) { l.geluTanh(x, r[0], r[1], r[2]) }},
		{"relu", "applies max(x, 0) to 32 columns.", func(x VecVirtual, r []VecVirtual) { VMAXPS(float(0), x, x) }},
	} {
		l.kernel(f.name, "x *float32, stride, rows int", f.doc)
		at, stride, left := load("x"), loadBytes("stride"), load("rows")
		x, free := l.register(), l.registers(4)
		Label("row")
		for j := 0; j < panel; j += l.lanes() {
			VMOVUPS(Mem{Base: at, Disp: 4 * j}, x)
			f.step(x, free)
			VMOVUPS(x, Mem{Base: at, Disp: 4 * j})
		}
		ADDQ(stride, at)
		DECQ(left)
		JNE(LabelRef("row"))
		l.end()
	}
}

// window is a table of 16 set and 16 clear words: read n words before its
// middle, it is a mask of n lanes.
func window() Mem {
	m := GLOBL("window", RODATA|NOPTR)
	for i := range 32 {
		v := uint32(0)
		if i < 16 {
			v = 1<<32 - 1
		}
		DATA(4*i, U32(v))
	}
	return m
}

var mask Mem

// softmax replaces the first n values of every row by exp(scale·(x-max)) over
// their sum. The rest of a row's last register is overwritten.
//
// Two rows at a time hide how long it takes to combine a register's lanes. Of
// an odd number of rows the last is taken twice, in step, which does no harm.
func softmax(l level) {
	if !l.wide {
		mask = window()
	}
	l.kernel("softmax", "x *float32, stride, rows, n int, scale float32",
		"makes rows of n values, each with memory for whole registers, sum to 1.")
	const pair = 2
	row, stride, left := load("x"), loadBytes("stride"), load("rows")
	width := loadBytes("n")
	scale := l.broadcast("scale")
	VMULPS(float(math.Log2E), scale, scale)

	// The lanes of the last register that belong to the row: the others get the
	// lowest value, which counts for nothing.
	last, inLast := GP64(), GP64()
	LEAQ(Mem{Base: width, Disp: -4}, last)
	MOVQ(last, inLast)
	ANDQ(I32(-l.bytes()), last) // where the last register begins
	SUBQ(last, inLast)
	NEGQ(inLast)
	table := GP64()
	LEAQ(mask, table)
	own, others := l.register(), l.register()
	VMOVUPS(Mem{Base: table, Index: inLast, Scale: 1, Disp: 4*16 - 4}, own)
	VANDNPS(float(-3e38), own, others)

	at := GP64()
	rows := []GPVirtual{row, GP64()}
	x, top, sum, n, p := l.registers(pair), l.registers(pair), l.registers(pair), l.registers(pair), l.registers(pair)
	in := func(i int) Mem { return Mem{Base: rows[i], Index: at, Scale: 1} }
	each := func(do func(i int)) {
		for i := range pair {
			do(i)
		}
	}
	loop := func(label string, body func()) {
		XORQ(at, at)
		Label(label)
		body()
		ADDQ(I32(l.bytes()), at)
		CMPQ(at, last)
		JLE(LabelRef(label))
	}
	Label("rows")
	LEAQ(Mem{Base: row, Index: stride, Scale: 1}, rows[1])
	CMPQ(left, U8(1))
	CMOVQEQ(row, rows[1])
	each(func(i int) {
		end := Mem{Base: rows[i], Index: last, Scale: 1}
		VANDPS(end, own, top[i])
		VORPS(others, top[i], top[i])
		VMOVUPS(top[i], end)
	})
	loop("max", func() {
		each(func(i int) { VMAXPS(in(i), top[i], top[i]) })
	})
	each(func(i int) {
		l.fold(top[i], func(a, b, dst Op) { VMAXPS(a, b, dst) })
		VMULPS(scale, top[i], top[i])
		VXORPS(sum[i], sum[i], sum[i])
	})
	loop("exp", func() {
		each(func(i int) { VMOVUPS(in(i), x[i]) })
		each(func(i int) {
			VFMSUB213PS(top[i], scale, x[i])
			VMAXPS(float(-exp2Max), x[i], x[i])
			l.exp2(x[i], n[i], p[i])
			VADDPS(x[i], sum[i], sum[i])
			VMOVUPS(x[i], in(i))
		})
	})
	each(func(i int) {
		l.fold(sum[i], func(a, b, dst Op) { VADDPS(a, b, dst) })
		VMOVUPS(float(1), x[i])
		VDIVPS(sum[i], x[i], sum[i])
	})
	loop("scale", func() {
		each(func(i int) { VMULPS(in(i), sum[i], x[i]) })
		each(func(i int) { VMOVUPS(x[i], in(i)) })
	})
	LEAQ(Mem{Base: row, Index: stride, Scale: pair}, row)
	SUBQ(U8(pair), left)
	JG(LabelRef("rows"))
	l.end()
}

// addNorm writes (v-mean(v))/sqrt(var(v)+epsilon)·gamma+beta for v = a+b.
func addNorm(l level) {
	l.kernel("addNorm", "dst, a, b, gamma, beta *float32, n int, epsilon float32",
		"adds two rows of whole registers and normalises the sum.")
	dst, a, b, gamma, beta, width := load("dst"), load("a"), load("b"), load("gamma"), load("beta"), loadBytes("n")
	at := GP64()
	loop := func(label string, body func()) {
		XORQ(at, at)
		Label(label)
		body()
		ADDQ(I32(l.bytes()), at)
		CMPQ(at, width)
		JB(LabelRef(label))
	}
	in := func(base GPVirtual) Mem { return Mem{Base: base, Index: at, Scale: 1} }
	add := func(a, b, dst Op) { VADDPS(a, b, dst) }

	// The reciprocal of n, in every lane.
	n := load("n")
	count := l.register()
	countX := count.AsX()
	VCVTSI2SSQ(n, countX, countX)
	VBROADCASTSS(countX, count)
	one := l.register()
	VMOVUPS(float(1), one)

	x, mean, variance := l.register(), l.register(), l.register()
	VXORPS(mean, mean, mean)
	loop("sum", func() {
		VMOVUPS(in(a), x)
		VADDPS(in(b), x, x)
		VMOVUPS(x, in(dst))
		VADDPS(x, mean, mean)
	})
	l.fold(mean, add)
	VDIVPS(count, mean, mean)
	VXORPS(variance, variance, variance)
	loop("squares", func() {
		VMOVUPS(in(dst), x)
		VSUBPS(mean, x, x)
		VFMADD231PS(x, x, variance)
	})
	l.fold(variance, add)
	VDIVPS(count, variance, variance)
	epsilon := l.broadcast("epsilon")
	VADDPS(epsilon, variance, variance)
	VSQRTPS(variance, variance)
	VDIVPS(variance, one, variance)
	loop("scale", func() {
		VMOVUPS(in(dst), x)
		VSUBPS(mean, x, x)
		VMULPS(variance, x, x)
		VMOVUPS(in(gamma), one)
		VFMADD213PS(in(beta), one, x)
		VMOVUPS(x, in(dst))
	})
	l.end()
}

// quantize writes a row as unsigned bytes, 128 + x/scale, where the largest
// size in the row becomes 127, and returns the scale.
func quantize(l level) {
	l.kernel("quantize", "dst *byte, scale, src *float32, n int",
		"writes a row of a multiple of 32 values as bytes.")
	dst, scale, src, width := load("dst"), load("scale"), load("src"), load("n")
	at := GP64()
	in := func(j int) Mem { return Mem{Base: src, Index: at, Scale: 4, Disp: j * l.bytes()} }
	parts := panel / l.lanes()
	loop := func(label string, body func()) {
		XORQ(at, at)
		Label(label)
		body()
		ADDQ(U8(panel), at)
		CMPQ(at, width)
		JB(LabelRef(label))
	}
	x, size, top := l.registers(parts), l.register(), l.register()
	VMOVUPS(bits(1<<31-1), size)
	VXORPS(top, top, top)
	loop("max", func() {
		for j, x := range x {
			VANDPS(in(j), size, x)
			VMAXPS(x, top, top)
		}
	})
	l.fold(top, func(a, b, dst Op) { VMAXPS(a, b, dst) })
	// A row of zeros, or too small to tell from them, gets a scale all the same.
	VMAXPS(float(1e-30), top, top)
	inverse := l.register()
	VMOVUPS(float(127), inverse)
	VDIVPS(inverse, top, top) // the scale
	VMOVSS(top.AsX(), Mem{Base: scale})
	VMOVUPS(float(1), inverse)
	VDIVPS(top, inverse, inverse)
	zero := l.register()
	VMOVUPS(bits(128), zero)
	var order VecVirtual
	if !l.wide {
		order = YMM()
		VMOVDQU(interleaved(), order)
	}
	loop("bytes", func() {
		for j, x := range x {
			VMULPS(in(j), inverse, x)
			VCVTPS2DQ(x, x)
			VPADDD(zero, x, x)
			if l.wide {
				VPMOVDB(x, Mem{Base: dst, Index: at, Scale: 1, Disp: j * 16})
			}
		}
		if !l.wide {
			VPACKUSDW(x[1], x[0], x[0])
			VPACKUSDW(x[3], x[2], x[2])
			VPACKUSWB(x[2], x[0], x[0])
			VPERMD(x[0], order, x[0])
			VMOVDQU(x[0], Mem{Base: dst, Index: at, Scale: 1})
		}
	})
	l.end()
}

// interleaved puts in order what packing four registers has left in halves.
func interleaved() Mem {
	m := GLOBL("interleaved", RODATA|NOPTR)
	for i, v := range []uint32{0, 4, 1, 5, 2, 6, 3, 7} {
		DATA(4*i, U32(v))
	}
	return m
}
