package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// decodeKernel2 decodes a document to blocks of tokens, two tokens at a time,
// whose 16 bytes of a plane share a register. A table of 16 bytes has an entry
// for every four bits of a byte, of which its codes are some.
func decodeKernel2(bits int) {
	name := fmt.Sprintf("decode%dAVX2", bits)
	TEXT(name, NOSPLIT, "func(args *int)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s decodes codes of %d bits.", name, bits))
	args := loadRecord(codeFields)
	at, second, target := args.load("planes"), GP64(), args.load("vectors")
	planeBytes, planeBytes3 := args.load("planeBytes"), GP64()
	LEAQ(Mem{Base: planeBytes, Index: planeBytes, Scale: 2}, planeBytes3)
	left, pairs, blockBytes := args.load("tokens"), GP64(), args.load("chunks")
	SHLQ(U8(log2(chunkSize)), blockBytes)
	MOVQ(U32(blockTokens/2), pairs)

	tables := registers(4/bits, false)
	temp := args.load("tables")
	for i, t := range tables {
		VBROADCASTI128(Mem{Base: temp, Disp: 16 * i}, t)
	}
	nibble, out := YMM(), YMM()
	mask := YMM()
	VPBROADCASTD(selectors.Offset(12), mask)
	odd, high := YMM(), YMM()
	VPBROADCASTD(selectors, odd)
	VPBROADCASTD(selectors.Offset(4), high)
	load := func(p int) VecVirtual {
		r := YMM()
		m := func(base Register) Mem {
			switch p {
			case 1, 2:
				return Mem{Base: base, Index: planeBytes, Scale: uint8(p)}
			case 3:
				return Mem{Base: base, Index: planeBytes3, Scale: 1}
			}
			return Mem{Base: base}
		}
		VMOVDQU(m(at), r.AsX())
		VINSERTI128(U8(1), m(second), r, r)
		return r
	}
	// choose sets b's bits to a's where those of the mask are set.
	choose := func(mask, a, b VecVirtual) {
		t := YMM()
		VPXOR(a, b, t)
		VPAND(mask, t, t)
		VPXOR(t, b, b)
	}
	pairsOf := func(first, second VecVirtual) (evenCodes, oddCodes VecVirtual) {
		oddCodes = YMM()
		VPSRLW(U8(1), second, oddCodes)
		choose(odd, first, oddCodes)
		VPADDB(first, first, first)
		choose(odd, first, second)
		return second, oddCodes
	}
	// look stores the weights of the codes at all places of a byte.
	look := func(codes VecVirtual, segments ...int) {
		for n, half := range [][]int{segments[:len(segments)/2], segments[len(segments)/2:]} {
			if n == 1 {
				VPSRLW(U8(4), codes, codes)
			}
			VPAND(mask, codes, nibble)
			for i, s := range half {
				VPSHUFB(nibble, tables[i], out)
				VMOVDQU(out, Mem{Base: target, Disp: segment * s})
			}
		}
	}

	Label("pair")
	LEAQ(Mem{Base: at, Disp: 16}, second)
	CMPQ(left, U8(1))
	CMOVQEQ(at, second)
	from, to, chunk := GP64(), GP64(), args.load("chunks")
	MOVQ(at, from)
	MOVQ(target, to)
	Label("chunk")
	switch bits {
	case 1:
		look(load(0), 0, 1, 2, 3, 4, 5, 6, 7)
	case 2:
		evenCodes, oddCodes := pairsOf(load(0), load(1))
		look(evenCodes, 0, 2, 4, 6)
		look(oddCodes, 1, 3, 5, 7)
	case 4:
		even, odd := pairsOf(load(0), load(1))
		even2, odd2 := pairsOf(load(2), load(3))
		for i, codes := range [][2]VecVirtual{{even, even2}, {odd, odd2}} {
			low, shifted := YMM(), YMM()
			VPSLLW(U8(2), codes[0], low)
			VPSRLW(U8(2), codes[1], shifted)
			choose(high, low, codes[1])
			look(codes[1], 2*i, 2*i+1)
			choose(high, codes[0], shifted)
			look(shifted, 4+2*i, 5+2*i)
		}
	}
	ADDQ(args.field("chunkBytes"), at)
	ADDQ(args.field("chunkBytes"), second)
	ADDQ(U32(chunkSize), target)
	DECQ(chunk)
	JNE(LabelRef("chunk"))
	LEAQ(Mem{Base: from, Disp: 32}, at)
	LEAQ(Mem{Base: to, Disp: 32}, target)
	DECQ(pairs)
	JNE(LabelRef("same"))
	MOVQ(U32(blockTokens/2), pairs)
	LEAQ(Mem{Base: target, Index: blockBytes, Scale: 1, Disp: -segment}, target)
	Label("same")
	SUBQ(U8(2), left)
	JG(LabelRef("pair"))
	VZEROUPPER()
	RET()
}

// tileRows2 multiplies blocks of vectors with rows that lie in a register's
// lanes. Products of four bytes without and with sign are added up in 16 bits,
// so many times; larger bytes fit fewer times. 0 times stands for two products
// of 16 bits, of which a chunk has 64 dimensions.
//
//	sums   0    1    2   4   128/4
//	byte   any  127  63  31  1
//
// The multiplier is what they are multiplied with when they are widened.
type tileRows2 struct {
	args       record
	rows, kind int
	parts      int // registers of a vector
	tokens     int // vectors in a tile
	sums       []VecVirtual
	multiplier VecVirtual
}

func newTileRows2(args record, rows, kind int) *tileRows2 {
	t := &tileRows2{args: args, rows: rows, kind: kind, parts: rows / 8, tokens: 64 / rows}
	t.sums = registers(t.tokens*t.parts, false)
	if kind > 0 {
		t.multiplier = YMM()
	}
	if kind > 0 && kind <= 4 {
		VPBROADCASTW(args.field("multiplier"), t.multiplier)
	}
	return t
}

// multiply sets the sums for the vectors, and does something in every turn of
// the inner loop.
func (t *tileRows2) multiply(vectors Register, other func()) {
	long := t.kind > 4 // all of a chunk
	temp, panel, at, turn, chunk := GP64(), GP64(), GP64(), GP64(), GP64()
	MOVQ(t.args.field("start"), temp)
	for i, s := range t.sums {
		if long {
			VPXOR(s, s, s)
		} else {
			VMOVDQU(Mem{Base: temp, Disp: 32 * (i % t.parts)}, s)
		}
	}
	MOVQ(vectors, at)
	MOVQ(t.args.field("query"), panel)
	MOVQ(t.args.field("chunks"), chunk)
	Label("chunk")
	MOVQ(U32(8), turn)
	Label("turn")
	step := max(min(t.kind, 4), 1)
	for g := 0; g < 4; g += step {
		t.products(panel, at, g, step)
	}
	other()
	ADDQ(U32(16*t.rows), panel)
	ADDQ(U32(segment), at)
	DECQ(turn)
	JNE(LabelRef("turn"))
	DECQ(chunk)
	JNE(LabelRef("chunk"))
	if long {
		VPBROADCASTW(t.args.field("multiplier"), t.multiplier)
		MOVQ(t.args.field("start"), temp)
		for i, s := range t.sums {
			VPMADDWD(t.multiplier, s, s)
			VPADDD(Mem{Base: temp, Disp: 32 * (i % t.parts)}, s, s)
		}
	}
}

// products multiplies so many dwords of the vectors from the g-th on. As loads
// are scarce, what is used more than once is in registers as far as they go:
// with few parts the query's values rather than the vectors'.
func (t *tileRows2) products(panel, at Register, g, step int) {
	long := t.kind > 4
	query := func(j, k int) Mem { return Mem{Base: panel, Disp: 4*t.rows*(g+k) + 32*j} }
	vector := func(i, k int) Mem { return Mem{Base: at, Disp: 16*i + 4*(g+k)} }
	// add adds the products of a vector's values with a part of the query's.
	add := func(s VecVirtual, value func(k int) VecVirtual, query func(k int) Op) {
		var sum VecVirtual
		for k := range step {
			p := YMM()
			switch {
			case t.kind == 0:
				VPMADDWD(query(k), value(k), p)
			default:
				VPMADDUBSW(query(k), value(k), p)
			}
			switch {
			case long:
				VPADDW(p, s, s)
			case k == 0:
				sum = p
			default:
				VPADDW(p, sum, sum)
			}
		}
		if long {
			return
		}
		if t.kind > 0 {
			VPMADDWD(t.multiplier, sum, sum)
		}
		VPADDD(sum, s, s)
	}
	if t.parts > 2 && t.kind > 0 {
		for i := range t.tokens {
			values := registers(step, false)
			for k, v := range values {
				VPBROADCASTD(vector(i, k), v)
			}
			for j := range t.parts {
				add(t.sums[i*t.parts+j], func(k int) VecVirtual { return values[k] }, func(k int) Op { return query(j, k) })
			}
		}
		return
	}
	// Parts at a time of which all values fit.
	together := min(4/step, t.parts)
	if step == 2 {
		together = 1
	}
	for first := 0; first < t.parts; first += together {
		values := registers(together*step, false)
		for j := range together {
			for k := range step {
				VMOVDQU(query(first+j, k), values[j*step+k])
			}
		}
		for i := range t.tokens {
			vectors := make([]VecVirtual, step)
			for j := range together {
				add(t.sums[i*t.parts+first+j], func(k int) VecVirtual {
					if vectors[k] == nil {
						vectors[k] = YMM()
						VPBROADCASTD(vector(i, k), vectors[k])
					}
					return vectors[k]
				}, func(k int) Op { return values[j*step+k] })
			}
		}
	}
}

// tileKernel2 scores blocks of vectors.
func tileKernel2(rows, sums int) {
	name := fmt.Sprintf("tile%dSums%dAVX2", rows, sums)
	function(name, "func(args *int)", fmt.Sprintf("%s scores vectors with %d rows.", name, rows))
	args := loadRecord(codeFields)
	tile := newTileRows2(args, rows, sums)
	temp, token := GP64(), GP64()
	through := func(name string, disp int) Mem {
		MOVQ(args.field(name), temp)
		return Mem{Base: temp, Disp: disp}
	}
	vectors, next := args.load("vectors"), args.load("next")
	XORQ(token, token)

	Label("tile")
	tile.multiply(vectors, func() {
		PREFETCHT0(Mem{Base: next})
		ADDQ(args.field("nextStep"), next)
	})
	CMPQ(next, args.field("nextEnd"))
	CMOVQHI(args.field("nextEnd"), next)
	tokens, parts, acc := tile.tokens, tile.parts, tile.sums
	line, number := GP64(), GP64()
	for i := range tokens {
		cell := through("cells", 4*i)
		cell.Index, cell.Scale = token, 4
		MOVL(cell, line.As32())
		CMPL(line.As32(), args.field("lastCell"))
		CMOVLHI(args.field("lastCell"), line.As32())
		scale, factor := YMM(), YMM()
		residual := through("residual", 0)
		residual.Index, residual.Scale = line, 4
		VBROADCASTSS(residual, scale)
		IMULQ(args.field("stride"), line)
		ADDQ(args.field("values"), line)
		code := through("factors", i)
		code.Index, code.Scale = token, 1
		MOVBLZX(code, number.As32())
		entry := through("factorTable", 0)
		entry.Index, entry.Scale = number, 4
		VBROADCASTSS(entry, factor)
		steps, best := args.load("steps"), through("best", 0)
		for j := range parts {
			s, step, v := acc[i*parts+j], YMM(), YMM()
			VMULPS(Mem{Base: steps, Disp: 32 * j}, scale, step)
			VPMOVSXWD(Mem{Base: line, Disp: 16 * j}, v)
			VCVTDQ2PS(v, v)
			VCVTDQ2PS(s, s)
			VMULPS(s, step, s)
			VADDPS(v, s, s)
			VMULPS(s, factor, s)
			VMAXPS(best.Offset(32*j), s, s)
			VMOVUPS(s, best.Offset(32*j))
		}
		if i+1 < tokens {
			LEAQ(Mem{Base: token, Disp: i + 1}, number)
			CMPQ(number, args.field("tokens"))
			JGE(LabelRef("done"))
		}
	}
	ADDQ(U8(tokens), token)
	CMPQ(token, args.field("tokens"))
	JGE(LabelRef("done"))
	ADDQ(U8(16*tokens), vectors)
	TESTQ(U32(blockTokens-1), token)
	JNE(LabelRef("tile"))
	MOVQ(args.field("chunks"), temp)
	SHLQ(U8(log2(chunkSize)), temp)
	LEAQ(Mem{Base: vectors, Index: temp, Scale: 1, Disp: -segment}, vectors)
	JMP(LabelRef("tile"))
	Label("done")
	VZEROUPPER()
	RET()
}

// widenKernel writes int8 values as 16 bits in blocks of vectors.
func widenKernel() {
	function("widenAVX2", "func(dst, src *byte, tokens, dim, chunks int)",
		"widenAVX2 extends vectors of int8 values to blocks of words.")
	dst, src, tokens, dim := GP64(), GP64(), GP64(), GP64()
	Load(Param("dst"), dst)
	Load(Param("src"), src)
	Load(Param("tokens"), tokens)
	Load(Param("dim"), dim)
	chunks, to, left, block := GP64(), GP64(), GP64(), GP64()
	Load(Param("chunks"), chunks)
	SHLQ(U8(log2(chunkSize)), chunks)
	MOVQ(U32(blockTokens), block)
	const many = 64 // dimensions at a time
	Label("token")
	MOVQ(dst, to)
	MOVQ(dim, left)
	SUBQ(U8(many), left)
	JL(LabelRef("few"))
	Label("many")
	for i := range many / 16 {
		v := YMM()
		VPMOVSXBW(Mem{Base: src, Disp: 16 * i}, v)
		VMOVDQU(v.AsX(), Mem{Base: to, Disp: 2 * segment * i})
		VEXTRACTI128(U8(1), v, Mem{Base: to, Disp: 2*segment*i + segment})
	}
	ADDQ(U8(many), src)
	ADDQ(U32(many/8*segment), to)
	SUBQ(U8(many), left)
	JGE(LabelRef("many"))
	Label("few")
	ADDQ(U8(many), left)
	JEQ(LabelRef("next"))
	Label("eight")
	v := XMM()
	VPMOVSXBW(Mem{Base: src}, v)
	VMOVDQU(v, Mem{Base: to})
	ADDQ(U8(8), src)
	ADDQ(U32(segment), to)
	SUBQ(U8(8), left)
	JNE(LabelRef("eight"))
	Label("next")
	ADDQ(U8(16), dst)
	DECQ(block)
	JNE(LabelRef("same"))
	MOVQ(U32(blockTokens), block)
	LEAQ(Mem{Base: dst, Index: chunks, Scale: 1, Disp: -segment}, dst)
	Label("same")
	DECQ(tokens)
	JNE(LabelRef("token"))
	VZEROUPPER()
	RET()
}
