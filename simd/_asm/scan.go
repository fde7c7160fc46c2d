package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// scanFields are those of scanArgs in package simd.
var scanFields = []string{
	"blocks", "query", "start", "scales", "chunks", "vectors",
	"cellScale", "cellRank", "perByte", "values", "bytes", "maxima", "stride",
	"multiplier",
}

// limits are the bounds of values.
func limits(wide bool) (low, high VecVirtual) {
	r := registers(2, wide)
	VBROADCASTSS(valueBounds, r[0])
	VBROADCASTSS(valueBounds.Offset(4), r[1])
	return r[0], r[1]
}

// clamp keeps x, a number or not, between the limits.
func clamp(x, low, high VecVirtual) {
	VMINPS(high, x, x)
	VMAXPS(low, x, x)
}

// scanRows512 compares blocks of 8 cells with 32, 24 or 16 rows. While a block
// is multiplied, the sums of the previous one become values and bytes.
func scanRows512(rows int) {
	name := fmt.Sprintf("scan%dAVX512", rows)
	TEXT(name, 0, "func(args *int)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s compares %d rows with cells.", name, rows))
	args := loadRecord(scanFields)
	temp := GP64()
	through := func(name string, disp int) Mem {
		MOVQ(args.field(name), temp)
		return Mem{Base: temp, Disp: disp}
	}
	tile := newTileRows512(rows)
	low, high := limits(true)
	zero, lower := ZMM(), K()
	VPXORD(zero, zero, zero)
	MOVL(U32(255), temp.As32())
	KMOVW(temp.As32(), lower)
	vectors, values, bytes := args.load("vectors"), args.load("values"), args.load("bytes")
	cellScale, scales := args.load("cellScale"), args.load("scales") // of the previous block
	panel, chunk, turn, at, sums, rankAt := GP64(), GP64(), GP64(), GP64(), GP64(), GP64()
	ranks, sumsAt := newRankStage(), AllocLocal(4*rows*blockTokens)
	best := registers(2, true)

	nextCell := func() {
		MOVQ(args.field("stride"), temp)
		ADDQ(temp, bytes)
		LEAQ(Mem{Base: values, Index: temp, Scale: 2}, values)
	}
	scale, rank := registers(2, true), registers(2, true)
	// convert returns the steps that turn sums into a word and a byte of 32 bits.
	convert := func(sums, scales Op, scale, rank, word, x VecVirtual) []func() {
		return []func(){func() {
			VCVTDQ2PS(sums, x)
			VMULPS(scale, x, x)
			VMULPS(scales, x, x)
		}, func() {
			clamp(x, low, high)
			VCVTPS2DQ(x, word)
			VMULPS(rank, x, x)
			VCVTPS2DQ(x, x)
		}}
	}
	// writePair returns the steps that write the next two cells.
	writePair := func() (steps []func()) {
		do := func(f func()) { steps = append(steps, f) }
		for i := range 2 {
			do(func() {
				VBROADCASTSS(Mem{Base: cellScale, Disp: 4 * i}, scale[i])
				VBROADCASTSS(Mem{Base: rankAt, Disp: 4 * i}, rank[i])
			})
			word, x := ZMM(), ZMM()
			row := Mem{Base: scales}
			if rows == 32 {
				more, y := ZMM(), ZMM()
				steps = append(steps, convert(Mem{Base: sums, Disp: 128 * i}, row, scale[i], rank[i], word, x)...)
				steps = append(steps, convert(Mem{Base: sums, Disp: 128*i + 64}, row.Offset(64), scale[i], rank[i], more, y)...)
				do(func() {
					VPACKSSDW(more, word, word)
					VMOVDQU32(word, Mem{Base: values})
					VPMAXSW(word, best[0], best[0])
					VPACKSSDW(y, x, x)
					VPMAXSW(zero, x, x)
					VPMOVUSWB(x, Mem{Base: bytes})
					nextCell()
				})
				continue
			}
			steps = append(steps, convert(Mem{Base: sums, Disp: 64 * i}, row, scale[i], rank[i], word, x)...)
			do(func() {
				VPMOVSDW(word, word.AsY())
				VMOVDQU32(word.AsY(), Mem{Base: values})
				VPMAXSW(word.AsY(), best[0].AsY(), best[0].AsY())
				VPMAXSD(zero, x, x)
				VPMOVUSDB(x, Mem{Base: bytes})
				if rows == 16 || i == 0 {
					nextCell()
				}
			})
		}
		if rows == 24 { // the last 8 rows of both cells, and zeros
			word, x, rowScales, part := ZMM(), ZMM(), ZMM(), ZMM()
			do(func() {
				VMOVAPS(scale[0], lower, scale[1])
				VMOVAPS(rank[0], lower, rank[1])
				VBROADCASTF64X4(Mem{Base: scales, Disp: 64}, rowScales)
			})
			steps = append(steps, convert(Mem{Base: sums, Disp: 128}, rowScales, scale[1], rank[1], word, x)...)
			do(func() {
				VPMOVSDW(word, word.AsY())
				VPMAXSD(zero, x, x)
				VPMOVUSDB(x, x.AsX())
				VEXTRACTI32X4(U8(1), word.AsY(), part.AsX())
				VMOVDQU32(part.AsY(), Mem{Base: values, Disp: 32})
				VPMAXSW(part.AsX(), best[1].AsX(), best[1].AsX())
				VPSRLDQ(U8(8), x.AsX(), part.AsX())
				VMOVDQU32(part.AsX(), Mem{Base: bytes, Disp: 16})
			})
			do(func() {
				MOVQ(args.field("stride"), temp)
				NEGQ(temp)
				VMOVDQA32(word.AsX(), part.AsX())
				VMOVQ(x.AsX(), x.AsX())
				VMOVDQU32(x.AsX(), Mem{Base: bytes, Index: temp, Scale: 1, Disp: 16})
				VMOVDQU32(part.AsY(), Mem{Base: values, Index: temp, Scale: 2, Disp: 32})
				VPMAXSW(part.AsX(), best[1].AsX(), best[1].AsX())
				nextCell()
			})
		}
		do(func() {
			ADDQ(U8(8), cellScale)
			ADDQ(U8(8), rankAt)
			ADDQ(U32(8*rows), sums)
		})
		return steps
	}
	// beginWriting prepares for the pairs of the previous block.
	beginWriting := func() {
		VPTERNLOGD(U8(0xff), best[0], best[0], best[0])
		VPSLLW(U8(15), best[0], best[0])
		VPXORD(best[1], best[1], best[1])
		if rows == 24 {
			VMOVDQA32(best[0].AsX(), best[1].AsX())
		}
		LEAQ(sumsAt, sums)
		LEAQ(ranks.memory, rankAt)
	}
	endWriting := func() {
		switch rows {
		case 32:
			VMOVDQU32(best[0], through("maxima", 0))
		case 24:
			VMOVDQU32(best[0].AsY(), through("maxima", 0))
			VMOVDQU32(best[1].AsY(), through("maxima", 32))
		default:
			VMOVDQU32(best[0].AsY(), through("maxima", 0))
		}
		nextMaxima(args)
	}
	// multiply makes the sums of a block and meanwhile, in its first chunk, writes
	// the previous one if there is one.
	multiply := func(name string, previous bool) {
		for begin := 0; begin < blockTokens; begin += tile.tokens {
			part := fmt.Sprintf("%s%d", name, begin)
			tile.start(tile.tokens, through("start", 0))
			LEAQ(Mem{Base: vectors, Disp: 16 * begin}, at)
			MOVQ(args.field("query"), panel)
			MOVQ(args.field("chunks"), chunk)
			if begin == 0 {
				MOVQ(U32(4), turn)
				Label(part + "Write")
				var work []func()
				if previous {
					work = writePair()
				}
				tile.multiply(tile.tokens, panel, at, work)
				DECQ(turn)
				JNE(LabelRef(part + "Write"))
				DECQ(chunk)
				JEQ(LabelRef(part + "Done"))
			}
			Label(part + "Chunk")
			MOVQ(U32(4), turn)
			Label(part + "Turn")
			tile.multiply(tile.tokens, panel, at, nil)
			DECQ(turn)
			JNE(LabelRef(part + "Turn"))
			DECQ(chunk)
			JNE(LabelRef(part + "Chunk"))
			Label(part + "Done")
			if begin+tile.tokens == blockTokens && previous {
				endWriting() // before the sums and ranks are overwritten
			}
			for pair := range tile.tokens / 2 {
				for j, sum := range tile.finish(pair, func() Mem { return through("start", 0) }) {
					VMOVDQU32(sum, sumsAt.Offset(8*rows*(begin/2+pair)+64*j))
				}
			}
		}
		LEAQ(Mem{Base: at, Disp: -16 * (blockTokens - tile.tokens)}, vectors)
		MOVQ(args.field("cellRank"), temp)
		ranks.stage(args, temp)
		ADDQ(U32(4*blockTokens), args.field("cellRank"))
	}
	multiply("first", false)
	JMP(LabelRef("next"))
	Label("block")
	beginWriting()
	multiply("later", true)
	Label("next")
	DECQ(args.field("blocks"))
	JNE(LabelRef("block"))
	beginWriting()
	MOVQ(U32(4), turn)
	Label("rest")
	for _, f := range writePair() {
		f()
	}
	DECQ(turn)
	JNE(LabelRef("rest"))
	endWriting()
	VZEROUPPER()
	RET()
}

// nextMaxima moves on to the maxima of the next block.
func nextMaxima(args record) {
	stride := GP64()
	MOVQ(args.field("stride"), stride)
	SHLQ(U8(1), stride)
	ADDQ(stride, args.field("maxima"))
}

// rankStage holds what the similarities of a block's cells are multiplied with
// for bytes.
type rankStage struct{ memory Mem }

func newRankStage() rankStage { return rankStage{AllocLocal(4 * blockTokens)} }

func (r rankStage) stage(args record, cellRank Register) {
	v := YMM()
	VBROADCASTSS(args.field("perByte"), v)
	VMULPS(Mem{Base: cellRank}, v, v)
	VMOVUPS(v, r.memory)
}

func (r rankStage) at(i int) Mem { return r.memory.Offset(4 * i) }

// scanTokens512 compares blocks of 8 cells with 8 or 4 rows. Each quarter of a
// register belongs to a cell.
func scanTokens512(rows int) {
	name := fmt.Sprintf("scan%dAVX512", rows)
	function(name, "func(args *int)", fmt.Sprintf("%s compares %d rows with cells.", name, rows))
	args := loadRecord(scanFields)
	temp := GP64()
	through := func(name string, disp int) Mem {
		MOVQ(args.field(name), temp)
		return Mem{Base: temp, Disp: disp}
	}
	parts := rows / 4
	low, high := limits(true)
	quarter, zero := ZMM(), ZMM()
	VMOVDQU32(quarterNumbers, quarter)
	VPXORD(zero, zero, zero)
	sums := [2][]VecVirtual{registers(rows, true), registers(rows, true)}
	weights := registers(2, true)
	vectors, values, bytes := args.load("vectors"), args.load("values"), args.load("bytes")
	cellScale, cellRank := args.load("cellScale"), args.load("cellRank")
	panel, chunk, turn := GP64(), GP64(), GP64()

	Label("block")
	for _, s := range append(sums[0][:rows:rows], sums[1]...) {
		VPXORD(s, s, s)
	}
	MOVQ(args.field("query"), panel)
	MOVQ(args.field("chunks"), chunk)
	Label("chunk")
	MOVQ(U32(4), turn)
	Label("turn")
	for s := range 2 {
		for group, w := range weights {
			VMOVDQU32(Mem{Base: vectors, Disp: segment*s + 64*group}, w)
		}
		for r := range rows {
			q := ZMM()
			VMOVDQU32(Mem{Base: panel, Disp: 64 * (s*rows + r)}, q)
			for group, w := range weights {
				VPDPBUSD(q, w, sums[group][r])
			}
		}
	}
	ADDQ(U32(2*64*rows), panel)
	ADDQ(U32(2*segment), vectors)
	DECQ(turn)
	JNE(LabelRef("turn"))
	DECQ(chunk)
	JNE(LabelRef("chunk"))
	scale, rank, lane, best := ZMM(), ZMM(), ZMM(), ZMM()
	for group := range 2 {
		VBROADCASTF32X4(Mem{Base: cellScale, Disp: 16 * group}, scale)
		VPERMILPS(quarter, scale, scale)
		VBROADCASTF32X4(Mem{Base: cellRank, Disp: 16 * group}, rank)
		VPERMILPS(quarter, rank, rank)
		VMULPS_BCST(args.field("perByte"), rank, rank)
		x, v := make([]VecVirtual, 2), registers(2, true)
		for j := range parts {
			s := sums[group][4*j:]
			x[j] = addUp(s[0], s[1], s[2], s[3], lane)
			VBROADCASTI32X4(through("start", 16*j), lane)
			VPADDD(lane, x[j], x[j])
			VCVTDQ2PS(x[j], x[j])
			VMULPS(scale, x[j], x[j])
			VBROADCASTF32X4(through("scales", 16*j), lane)
			VMULPS(lane, x[j], x[j])
			clamp(x[j], low, high)
			VCVTPS2DQ(x[j], v[j])
			VMULPS(rank, x[j], x[j])
			VCVTPS2DQ(x[j], x[j])
		}
		if parts == 1 {
			x[1], v[1] = zero, zero
		}
		VPACKSSDW(v[1], v[0], v[0])
		VPACKSSDW(x[1], x[0], x[0])
		VPACKUSWB(x[0], x[0], x[0])
		if group == 0 {
			VMOVDQA32(v[0], best)
		} else {
			VPMAXSW(v[0], best, best)
		}
		MOVQ(args.field("stride"), temp)
		for i := range 4 {
			if i == 0 {
				VMOVDQU32(v[0].AsX(), Mem{Base: values})
				VMOVSD(x[0].AsX(), Mem{Base: bytes})
			} else {
				VEXTRACTI32X4(U8(i), v[0], Mem{Base: values})
				VEXTRACTI32X4(U8(i), x[0], lane.AsX())
				VMOVSD(lane.AsX(), Mem{Base: bytes})
			}
			ADDQ(temp, bytes)
			LEAQ(Mem{Base: values, Index: temp, Scale: 2}, values)
		}
	}
	VEXTRACTI64X4(U8(1), best, lane.AsY())
	VPMAXSW(lane.AsY(), best.AsY(), best.AsY())
	VEXTRACTI32X4(U8(1), best.AsY(), lane.AsX())
	VPMAXSW(lane.AsX(), best.AsX(), best.AsX())
	VMOVDQU32(best.AsX(), through("maxima", 0))
	nextMaxima(args)
	ADDQ(U8(4*blockTokens), cellScale)
	ADDQ(U8(4*blockTokens), cellRank)
	DECQ(args.field("blocks"))
	JNE(LabelRef("block"))
	VZEROUPPER()
	RET()
}

// scanKernel2 compares blocks of 8 cells with rows that lie in a register's
// lanes; see tileRows2.
func scanKernel2(rows, sums int) {
	name := fmt.Sprintf("scan%dSums%dAVX2", rows, sums)
	function(name, "func(args *int)", fmt.Sprintf("%s compares %d rows with cells.", name, rows))
	args := loadRecord(scanFields)
	tile := newTileRows2(args, rows, sums)
	temp, tiles := GP64(), GP64()
	vectors, values, bytes := args.load("vectors"), args.load("values"), args.load("bytes")
	cellScale, cellRank := args.load("cellScale"), args.load("cellRank")
	perBlock := blockTokens / tile.tokens
	ranks, rankAt := newRankStage(), GP64()

	Label("block")
	MOVQ(U32(perBlock), tiles)
	ranks.stage(args, cellRank)
	ADDQ(U8(4*blockTokens), cellRank)
	LEAQ(ranks.memory, rankAt)
	least, best := YMM(), args.load("maxima")
	VPCMPEQW(least, least, least)
	VPSLLW(U8(15), least, least)
	for j := range (tile.parts + 1) / 2 {
		if rows == 8 {
			VMOVDQU(least.AsX(), Mem{Base: best})
		} else {
			VMOVDQU(least, Mem{Base: best, Disp: 32 * j})
		}
	}
	Label("tile")
	tile.multiply(vectors, nothing)
	MOVQ(args.field("maxima"), best)
	low, high := limits(false)
	scales := args.load("scales")
	order := YMM()
	if rows > 16 {
		VMOVDQU(packOrder, order)
	}
	for i := range tile.tokens {
		scale, rank := YMM(), YMM()
		VBROADCASTSS(Mem{Base: cellScale, Disp: 4 * i}, scale)
		VBROADCASTSS(Mem{Base: rankAt, Disp: 4 * i}, rank)
		x := tile.sums[i*tile.parts : (i+1)*tile.parts]
		var words []VecVirtual
		for j, x := range x {
			VCVTDQ2PS(x, x)
			VMULPS(scale, x, x)
			VMULPS(Mem{Base: scales, Disp: 32 * j}, x, x)
			clamp(x, low, high)
			v := YMM()
			VCVTPS2DQ(x, v)
			if j%2 == 0 {
				words = append(words, v)
			} else {
				VPACKSSDW(v, words[j/2], words[j/2])
			}
			VMULPS(rank, x, x)
			VCVTPS2DQ(x, x)
			if j%2 == 1 {
				VPACKSSDW(x, tile.sums[i*tile.parts+j-1], tile.sums[i*tile.parts+j-1])
			}
		}
		if tile.parts%2 == 1 { // one of a pair: zeros follow
			zero, last := YMM(), len(words)-1
			VPXOR(zero, zero, zero)
			VPACKSSDW(zero, words[last], words[last])
			VPACKSSDW(zero, x[2*last], x[2*last])
		}
		for j, w := range words {
			VPERMQ(U8(0xd8), w, w)
			var part Register = w
			if rows == 8 {
				part = w.AsX()
			}
			VMOVDQU(part, Mem{Base: values, Disp: 32 * j})
			VPMAXSW(Mem{Base: best, Disp: 32 * j}, part, part)
			VMOVDQU(part, Mem{Base: best, Disp: 32 * j})
		}
		switch rows {
		case 8:
			VPERMQ(U8(0xd8), x[0], x[0])
			VPACKUSWB(x[0], x[0], x[0])
			VMOVSD(x[0].AsX(), Mem{Base: bytes})
		case 16:
			VPACKUSWB(x[0], x[0], x[0])
			VPERMQ(U8(0x08), x[0], x[0])
			VPSHUFD(U8(0xd8), x[0].AsX(), x[0].AsX())
			VMOVDQU(x[0].AsX(), Mem{Base: bytes})
		default:
			VPACKUSWB(x[2], x[0], x[0])
			VPERMD(x[0], order, x[0])
			VMOVDQU(x[0], Mem{Base: bytes})
		}
		MOVQ(args.field("stride"), temp)
		ADDQ(temp, bytes)
		LEAQ(Mem{Base: values, Index: temp, Scale: 2}, values)
	}
	ADDQ(U8(4*tile.tokens), cellScale)
	ADDQ(U8(4*tile.tokens), rankAt)
	ADDQ(U8(16*tile.tokens), vectors)
	DECQ(tiles)
	JNE(LabelRef("tile"))
	MOVQ(args.field("chunks"), temp)
	SHLQ(U8(log2(chunkSize)), temp)
	LEAQ(Mem{Base: vectors, Index: temp, Scale: 1, Disp: -segment}, vectors)
	nextMaxima(args)
	DECQ(args.field("blocks"))
	JNE(LabelRef("block"))
	VZEROUPPER()
	RET()
}

// blockMaximaKernel writes the largest values of blocks of cells or, as a second
// step, of blocks' maxima.
func blockMaximaKernel(rows int) {
	name := fmt.Sprintf("blockMaxima%dAVX2", rows)
	function(name, "func(dst, values *int16, stride, cells, blocks int)",
		fmt.Sprintf("%s writes the maxima of %d rows in blocks of cells.", name, rows))
	dst, values, stride, blocks, cell := GP64(), GP64(), GP64(), GP64(), GP64()
	Load(Param("dst"), dst)
	Load(Param("values"), values)
	Load(Param("stride"), stride)
	SHLQ(U8(1), stride)
	Load(Param("blocks"), blocks)
	var best []VecVirtual
	for range max(rows/16, 1) {
		if rows == 8 {
			best = append(best, XMM())
		} else {
			best = append(best, YMM())
		}
	}
	Label("block")
	for j, b := range best {
		VMOVDQU(Mem{Base: values, Disp: 32 * j}, b)
	}
	Load(Param("cells"), cell)
	Label("cell")
	for j, b := range best {
		VPMAXSW(Mem{Base: values, Disp: 32 * j}, b, b)
	}
	ADDQ(stride, values)
	DECQ(cell)
	JNE(LabelRef("cell"))
	for j, b := range best {
		VMOVDQU(b, Mem{Base: dst, Disp: 32 * j})
	}
	ADDQ(stride, dst)
	DECQ(blocks)
	JNE(LabelRef("block"))
	VZEROUPPER()
	RET()
}

// aboveKernel finds the cells of which a value exceeds its row's limit.
func aboveKernel(rows int) {
	name := fmt.Sprintf("above%dAVX2", rows)
	function(name, "func(dst *uint64, values, limits *int16, stride, first, cells int) int",
		name+" writes the numbers of such cells, each with a bit for every row in its upper half.")
	dst, begin, values, stride := GP64(), GP64(), GP64(), GP64()
	cell, left, bits := GP64(), GP64(), GP64()
	Load(Param("dst"), dst)
	MOVQ(dst, begin)
	Load(Param("values"), values)
	limitsAt := GP64()
	Load(Param("limits"), limitsAt)
	Load(Param("stride"), stride)
	SHLQ(U8(1), stride)
	Load(Param("first"), cell)
	Load(Param("cells"), left)
	n := max(rows/16, 1)
	limits, over := registers(n, false), registers(n, false)
	for j, l := range limits {
		if rows == 8 {
			VMOVDQU(Mem{Base: limitsAt}, l.AsX())
		} else {
			VMOVDQU(Mem{Base: limitsAt, Disp: 32 * j}, l)
		}
	}
	taken := GP64()
	Label("cell")
	for j, l := range limits {
		if rows == 8 {
			VMOVDQU(Mem{Base: values}, over[j].AsX())
			VPCMPGTW(l.AsX(), over[j].AsX(), over[j].AsX())
		} else {
			VMOVDQU(Mem{Base: values, Disp: 32 * j}, over[j])
			VPCMPGTW(l, over[j], over[j])
		}
	}
	if rows == 32 {
		VPACKSSWB(over[1], over[0], over[0])
		VPERMQ(U8(0xd8), over[0], over[0])
		VPMOVMSKB(over[0], bits.As32())
	} else {
		low := over[0].AsX()
		if rows == 16 {
			high := XMM()
			VEXTRACTI128(U8(1), over[0], high)
			VPACKSSWB(high, low, low)
		} else {
			zero := XMM()
			VPXOR(zero, zero, zero)
			VPACKSSWB(zero, low, low)
		}
		VPMOVMSKB(low, bits.As32())
	}
	XORQ(taken, taken)
	TESTL(bits.As32(), bits.As32())
	SETNE(taken.As8())
	SHLQ(U8(32), bits)
	ORQ(cell, bits)
	MOVQ(bits, Mem{Base: dst})
	LEAQ(Mem{Base: dst, Index: taken, Scale: 8}, dst)
	ADDQ(stride, values)
	INCQ(cell)
	DECQ(left)
	JNE(LabelRef("cell"))
	SUBQ(begin, dst)
	SHRQ(U8(3), dst)
	Store(dst, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

// rankKernel takes the byte maxima of cells and adds them up.
func rankKernel(rows, width int) {
	name := fmt.Sprintf("rank%dWidth%dAVX2", rows, width)
	function(name, "func(ids *byte, n int, bytes *byte, stride, lastCell int, next *byte) uint64",
		fmt.Sprintf("%s adds up the largest bytes of %d rows among n > 0 cells.", name, rows))
	ids, n, bytes, stride, last, next := GP64(), GP64(), GP64(), GP64(), GP64(), GP64()
	Load(Param("ids"), ids)
	Load(Param("n"), n)
	Load(Param("bytes"), bytes)
	Load(Param("stride"), stride)
	Load(Param("lastCell"), last)
	Load(Param("next"), next)
	for i := range 4 {
		PREFETCHT0(Mem{Base: next, Disp: 64 * i})
	}
	best := registers(4, false)
	for _, b := range best {
		VPXOR(b, b, b)
	}
	cells := []GPVirtual{GP64(), GP64(), GP64(), GP64()}
	load := func(i int, end bool) {
		c := cells[i]
		at := Mem{Base: ids, Disp: width * i}
		switch {
		case width == 2:
			MOVWLZX(at, c.As32())
		case end: // nothing behind the third byte
			high := GP64()
			MOVWLZX(at, c.As32())
			MOVBLZX(at.Offset(2), high.As32())
			SHLL(U8(16), high.As32())
			ORL(high.As32(), c.As32())
		default:
			MOVL(at, c.As32())
			ANDL(U32(0xffffff), c.As32())
		}
		CMPL(c.As32(), last.As32())
		CMOVLHI(last.As32(), c.As32())
		IMULQ(stride, c)
		row := Mem{Base: bytes, Index: c, Scale: 1}
		b := best[i]
		switch rows {
		case 8:
			x := XMM()
			VMOVQ(row, x)
			VPMAXUB(x, b.AsX(), b.AsX())
		case 16:
			VPMAXUB(row, b.AsX(), b.AsX())
		default:
			VPMAXUB(row, b, b)
		}
	}
	SUBQ(U8(4), n)
	JLE(LabelRef("rest"))
	Label("four")
	for i := range 4 {
		load(i, false)
	}
	ADDQ(U8(4*width), ids)
	SUBQ(U8(4), n)
	JG(LabelRef("four"))
	Label("rest") // 1 to 4 cells
	ADDQ(U8(4), n)
	Label("one")
	load(0, true)
	ADDQ(U8(width), ids)
	DECQ(n)
	JNE(LabelRef("one"))
	VPMAXUB(best[1], best[0], best[0])
	VPMAXUB(best[3], best[2], best[2])
	VPMAXUB(best[2], best[0], best[0])
	zero, high, sum := YMM(), XMM(), GP64()
	VPXOR(zero, zero, zero)
	VPSADBW(zero, best[0], best[0])
	VEXTRACTI128(U8(1), best[0], high)
	VPADDQ(high, best[0].AsX(), best[0].AsX())
	VPSHUFD(U8(0xee), best[0].AsX(), high)
	VPADDQ(high, best[0].AsX(), best[0].AsX())
	VMOVQ(best[0].AsX(), sum)
	Store(sum, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

// cellMaximaKernel takes the weighted maxima of cells' values.
func cellMaximaKernel(rows int) {
	name := fmt.Sprintf("cellMaxima%dAVX2", rows)
	function(name, "func(best *float32, values *int16, stride int, cells *uint32, n, lastCell int, weights *float32)",
		fmt.Sprintf("%s raises the maxima of %d rows to the weighted values of n > 0 cells.", name, rows))
	bestAt, values, stride, cells, n, last, weights := GP64(), GP64(), GP64(), GP64(), GP64(), GP64(), GP64()
	Load(Param("best"), bestAt)
	Load(Param("values"), values)
	Load(Param("stride"), stride)
	SHLQ(U8(1), stride)
	Load(Param("cells"), cells)
	Load(Param("n"), n)
	Load(Param("lastCell"), last)
	Load(Param("weights"), weights)
	best, weight, v, cell := registers(rows/8, false), YMM(), YMM(), GP64()
	for j, b := range best {
		VMOVUPS(Mem{Base: bestAt, Disp: 32 * j}, b)
	}
	Label("cell")
	MOVL(Mem{Base: cells}, cell.As32())
	CMPL(cell.As32(), last.As32())
	JAE(LabelRef("past"))
	VBROADCASTSS(Mem{Base: weights, Index: cell, Scale: 4}, weight)
	Label("weighted")
	IMULQ(stride, cell)
	ADDQ(values, cell)
	for j, b := range best {
		VPMOVSXWD(Mem{Base: cell, Disp: 16 * j}, v)
		VCVTDQ2PS(v, v)
		VMULPS(v, weight, v)
		VMAXPS(b, v, b)
	}
	ADDQ(U8(4), cells)
	DECQ(n)
	JNE(LabelRef("cell"))
	for j, b := range best {
		VMOVUPS(b, Mem{Base: bestAt, Disp: 32 * j})
	}
	VZEROUPPER()
	RET()
	Label("past")
	MOVQ(last, cell)
	VXORPS(weight, weight, weight)
	JMP(LabelRef("weighted"))
}
