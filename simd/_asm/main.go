// Command asm generates the amd64 kernels of package simd: run go generate in
// the folder above.
//
// A kernel compares a block of query rows with consecutive document vectors.
// It holds the sums of a tile of some vectors by all rows of the block in
// registers, and for each step of dimensions multiplies values of the rows,
// which lie side by side in memory, with a value of each vector, broadcast.
// No sum is ever made across a register's lanes before the end. With few rows
// it is the other way round: a register holds values of several vectors.
//
//	float.go       float32 vectors
//	int8.go        int8 vectors with AVX-512
//	codes.go       codes with AVX-512, decoded and scored on the way
//	tiles_avx2.go  codes, decoded first, and int8 vectors with AVX2
//	scan.go        cells: scanning, finding and ranking
//	peak.go        what the processor could do
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("!noasm")
	constants()
	floatKernels()
	widenKernel()
	for _, t := range byteTiles {
		byteKernel(t)
	}

	for _, bits := range []int{1, 2, 4} {
		for _, rows := range []int{16, 24, 32} {
			codeKernelRows512(bits, rows)
		}
		codeKernelTokens512(bits, 4)
		codeKernelTokens512(bits, 8)
	}
	for _, bits := range []int{1, 2, 4} {
		decodeKernel2(bits)
	}
	for _, rows := range []int{8, 16, 24, 32} {
		for _, sums := range []int{0, 1, 2, 4, 32} {
			tileKernel2(rows, sums)
		}
		for _, sums := range []int{0, 1, 2} {
			scanKernel2(rows, sums)
		}
	}
	for _, rows := range []int{8, 16, 32} {
		blockMaximaKernel(rows)
		aboveKernel(rows)
		cellMaximaKernel(rows)
		for _, width := range []int{2, 3} {
			rankKernel(rows, width)
		}
	}
	scanTokens512(4)
	scanTokens512(8)
	for _, rows := range []int{16, 24, 32} {
		scanRows512(rows)
	}
	peakKernels()
	Generate()
}

// tile is a loop over the vectors of a matrix, so many at a time.
type tile struct {
	vectors  int // per tile
	elements int // bytes of a value of a vector
	unroll   int // bytes of a vector that one turn of the inner loop takes
	step     int // bytes of a vector that one step takes
	panel    int // bytes of the query that one step takes

	width       Register // bytes of a vector
	base        []Register
	panelAt, at Register
}

// vectorAt is the operand for the bytes of vector i at the given distance from
// the current ones, panelBytes the same for the query.
func (t *tile) vectorAt(i, disp int) Mem {
	return Mem{Base: t.base[i], Index: t.at, Scale: 1, Disp: disp}
}

func (t *tile) panelBytes(disp int) Mem { return Mem{Base: t.panelAt, Disp: disp} }

// load begins a kernel: the width of a vector and the first one's place.
func (t *tile) load() (current Register) {
	t.width = GP64()
	Load(Param("dim"), t.width)
	if t.elements > 1 {
		SHLQ(U8(log2(t.elements)), t.width)
	}
	current = GP64()
	Load(Param("vectors"), current)
	t.panelAt, t.at = GP64(), GP64()
	return current
}

// inner is the loop over the dimensions.
func (t *tile) inner(step func(vector, panel int), after func()) {
	Load(Param("query"), t.panelAt)
	XORQ(t.at, t.at)
	Label("dims")
	for offset := 0; offset < t.unroll; offset += t.step {
		step(offset, offset/t.step*t.panel)
	}
	after()
	ADDQ(I32(t.unroll/t.step*t.panel), t.panelAt)
	ADDQ(U8(t.unroll), t.at)
	CMPQ(t.at, t.width)
	JB(LabelRef("dims"))
}

// emit writes the loops. start fills the sums, step adds to them what follows
// at the given offsets, after ends a turn of the inner loop, and end stores the
// results of vector i at dst.
//
// The last tile repeats the last vector as often as needed, so that every tile
// is whole and nothing past the end is read.
func (t *tile) emit(start func(), step func(vector, panel int), after func(), end func(dst Mem, i int)) {
	current := t.load()
	last := GP64()
	Load(Param("n"), last)
	DECQ(last)
	IMULQ(t.width, last)
	ADDQ(current, last)
	out := GP64()
	Load(Param("dst"), out)

	Label("tile")
	t.base = nil
	for i := range t.vectors {
		p := GP64()
		if i == 0 {
			MOVQ(current, p)
		} else {
			LEAQ(Mem{Base: t.base[i-1], Index: t.width, Scale: 1}, p)
			CMPQ(p, last)
			CMOVQHI(last, p)
		}
		t.base = append(t.base, p)
	}
	start()
	t.inner(step, after)

	// The vectors' pointers tell which of them are repetitions.
	stride := GP64()
	Load(Param("stride"), stride)
	SHLQ(U8(2), stride)
	for i := range t.vectors {
		if i > 0 {
			CMPQ(t.base[i-1], last)
			JEQ(LabelRef("done"))
			ADDQ(stride, out)
		}
		end(Mem{Base: out}, i)
	}
	ADDQ(stride, out)
	LEAQ(Mem{Base: t.base[t.vectors-1], Index: t.width, Scale: 1}, current)
	CMPQ(current, last)
	JBE(LabelRef("tile"))
	Label("done")
	VZEROUPPER()
	RET()
}

func log2(n int) int {
	b := 0
	for ; n > 1; n /= 2 {
		b++
	}
	return b
}

// registers returns so many vector registers.
func registers(n int, wide bool) []VecVirtual {
	r := make([]VecVirtual, n)
	for i := range r {
		if wide {
			r[i] = ZMM()
		} else {
			r[i] = YMM()
		}
	}
	return r
}

// nothing is an empty part of a kernel.
func nothing() {}

func function(name, signature, doc string) {
	TEXT(name, NOSPLIT, signature)
	Pragma("noescape")
	Doc(doc)
}
