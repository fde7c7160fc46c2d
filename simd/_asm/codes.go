package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// record is an argument that points to a struct of pointers and integers.
type record struct {
	base   Register
	fields []string
}

func loadRecord(fields []string) record {
	r := record{GP64(), fields}
	Load(Param("args"), r.base)
	return r
}

// field is the operand for a field.
func (r record) field(name string) Mem {
	for i, f := range r.fields {
		if f == name {
			return Mem{Base: r.base, Disp: 8 * i}
		}
	}
	panic("no field " + name)
}

// load returns a new register with the value of a field.
func (r record) load(name string) GPVirtual {
	p := GP64()
	MOVQ(r.field(name), p)
	return p
}

// codeFields are those of tileArgs in package simd.
var codeFields = []string{
	"tokens", "query", "start", "steps", "best",
	"tables", "planes", "planeBytes", "chunkBytes", "chunks",
	"cells", "lastCell", "values", "stride", "residual", "factors", "factorTable",
	"vectors", "multiplier", "next", "nextEnd", "nextStep",
	"unit", "rowMask", "half", "other", "factorAt", "token", "chunkAt", "codes",
}

// The tokens that are decoded and multiplied together, and where their weights
// lie in the meantime: for every chunk of 128 dimensions, for every s, 16
// bytes of each token. Half of the scratch memory belongs to a block of tokens
// and begins with their cells, the distance of those cells' values and sums.
const (
	blockTokens = 8
	segment     = 16 * blockTokens
	chunkSize   = 8 * segment

	cellsAt   = 0
	linesAt   = cellsAt + 4*blockTokens
	sumsAt    = linesAt + 4*blockTokens
	weightsAt = sumsAt + 128*blockTokens
)

// decoder512 turns four tokens' codes of 128 dimensions, 16 bytes of every
// plane, into weights: eight registers, the s-th with the dimensions whose
// number is s modulo 8. Weights come from a table with an entry for every six
// bits, so that nothing has to be masked away.
type decoder512 struct {
	bits  int
	table VecVirtual
	odd   Mem             // bytes 0xaa
	high  Mem             // bytes 0xcc
	codes [][2]VecVirtual // of groups of four tokens, even and odd dimensions
	temps []VecVirtual
}

func newDecoder512(bits, groups int, table VecVirtual, temps []VecVirtual) *decoder512 {
	d := &decoder512{bits: bits, table: table, temps: temps, codes: make([][2]VecVirtual, groups)}
	for g := range d.codes {
		d.codes[g] = [2]VecVirtual{ZMM(), ZMM()}
	}
	return d
}

// begin makes the codes of a group from its planes, with as many bits as a
// weight together. Codes of 4 bits, which need four registers, go to memory.
func (d *decoder512) begin(group int, plane func(p int) Mem, mask Register, memory func(i int) Mem) {
	load := func(p int, dst VecVirtual) { VMOVDQU8_Z(plane(p), mask, dst) }
	// choose sets b's bits to a's where those of the mask are set.
	choose := func(mask Mem, a, b VecVirtual) { VPTERNLOGD_BCST(U8(0xd8), mask, a, b) }
	// pairs makes the codes of two planes: those of the odd dimensions in odd,
	// and of the even ones in even, which holds the second plane before.
	pairs := func(first, even, odd VecVirtual) {
		VPSRLW(U8(1), even, odd)
		choose(selectors, first, odd)
		VPADDB(first, first, first)
		choose(selectors, first, even)
	}
	even, odd := d.codes[group][0], d.codes[group][1]
	switch d.bits {
	case 1:
		load(0, even)
	case 2:
		load(0, d.temps[0])
		load(1, even)
		pairs(d.temps[0], even, odd)
		if d.inMemory() {
			for i := range 4 {
				VMOVDQU32(even, memory(2*i))
				VMOVDQU32(odd, memory(2*i+1))
				VPSRLW(U8(2), even, even)
				VPSRLW(U8(2), odd, odd)
			}
		}
	case 4:
		t := d.temps
		load(0, t[0])
		load(1, even)
		pairs(t[0], even, odd)
		load(2, t[0])
		load(3, t[1])
		pairs(t[0], t[1], t[2])
		for i, codes := range [][2]VecVirtual{{even, t[1]}, {odd, t[2]}} {
			first, second, low := codes[0], codes[1], t[0]
			VPSLLW(U8(2), first, low)
			VPSRLW(U8(2), second, t[3])
			choose(selectors.Offset(4), low, second)
			VMOVDQU32(second, memory(i))
			choose(selectors.Offset(4), first, t[3])
			VMOVDQU32(t[3], memory(2+i))
		}
	}
}

// next returns the steps that store the weights of two segments of a group and
// move on to the next ones.
func (d *decoder512) next(group int, out VecVirtual, memory func(i int) Mem, store func(i int) Mem) (steps []func()) {
	for i := range 2 {
		steps = append(steps, func() { d.weights(group, i, out, memory) }, func() { VMOVDQU32(out, store(i)) })
	}
	return steps
}

// planeReader begins to decode a chunk of a block of tokens.
type planeReader struct {
	args    record
	decoder *decoder512
	temps   [4]Register
	tokens  Mem // where their masks are
	memory  Mem
}

func newPlaneReader(args record, d *decoder512, temps ...Register) *planeReader {
	r := &planeReader{args: args, decoder: d, temps: [4]Register(temps), tokens: AllocLocal(8)}
	if d.inMemory() {
		r.memory = AllocLocal(4 * 64 * d.perPlace() * len(d.codes))
	}
	return r
}

// setTokens makes the masks for so many tokens, a number that it spoils.
func (r *planeReader) setTokens(tokens Register) {
	full := r.temps[1]
	MOVQ(U32(4*len(r.decoder.codes)), full)
	CMPQ(tokens, full)
	CMOVQGT(full, tokens)
	LEAQ(tokenMasks, full)
	LEAQ(Mem{Base: full, Index: tokens, Scale: 8}, full)
	MOVQ(full, r.tokens)
}

// begin makes the codes of the next chunk of the block.
func (r *planeReader) begin() {
	planeBytes, at, planeBytes3 := r.temps[0], r.temps[1], r.temps[2]
	MOVQ(r.args.field("planes"), at)
	ADDQ(r.args.field("chunkAt"), at)
	MOVQ(r.args.field("planeBytes"), planeBytes)
	if r.decoder.bits == 4 {
		LEAQ(Mem{Base: planeBytes, Index: planeBytes, Scale: 2}, planeBytes3)
	}
	masks := r.temps[3]
	MOVQ(r.tokens, masks)
	for group := range r.decoder.codes {
		mask := K()
		KMOVQ(Mem{Base: masks, Disp: 32 * (3 - group)}, mask)
		r.decoder.begin(group, func(p int) Mem {
			m := Mem{Base: at, Disp: 64 * group}
			switch p {
			case 1, 2:
				m.Index, m.Scale = planeBytes, uint8(p)
			case 3:
				m.Index, m.Scale = planeBytes3, 1
			}
			return m
		}, mask, func(i int) Mem { return r.memory.Offset(64 * (i*len(r.decoder.codes) + group)) })
	}
	if r.decoder.inMemory() {
		LEAQ(r.memory, planeBytes3)
		MOVQ(planeBytes3, r.args.field("codes"))
	}
	MOVQ(r.args.field("chunkBytes"), planeBytes)
	ADDQ(planeBytes, r.args.field("chunkAt"))
}

// inMemory tells whether codes wait in memory as there are too few registers:
// those of two segments in each of four places.
func (d *decoder512) inMemory() bool { return d.bits == 4 || d.bits == 2 && len(d.codes) > 2 }

// perPlace returns how many vectors of codes a place has.
func (d *decoder512) perPlace() int { return map[int]int{2: 2, 4: 1}[d.bits] }

// weights sets out to the weights of segment i of two of a group, and moves on
// to the next ones after it.
func (d *decoder512) weights(group, i int, out VecVirtual, memory func(i int) Mem) {
	if d.bits == 2 && d.inMemory() {
		VMOVDQU32(memory(i), out)
		VPERMB(d.table, out, out)
		return
	}
	even, odd := d.codes[group][0], d.codes[group][1]
	codes := even
	if d.bits == 2 && i == 1 {
		codes = odd
	}
	if d.bits == 4 && i == 0 {
		VMOVDQU32(memory(0), codes)
	}
	VPERMB(d.table, codes, out)
	if d.bits < 4 || i == 0 {
		VPSRLW(U8(d.bits), codes, codes)
	}
}

// tileRows512 multiplies with 32, 24 or 16 rows, which lie in a register's lanes:
// 4 bytes of each of 32 rows in two registers, or 8 bytes of 8 rows in each.
type tileRows512 struct {
	rows   int
	tokens int // in a tile
	query  []VecVirtual
	value  VecVirtual
	sums   []VecVirtual
}

func newTileRows512(rows int) *tileRows512 {
	parts, tokens := 2, blockTokens
	if rows == 24 {
		parts, tokens = 3, blockTokens/2
	}
	return &tileRows512{rows, tokens, registers(parts, true), ZMM(), registers(parts*tokens, true)}
}

// group returns how many bytes of a row lie together.
func (t *tileRows512) group() int { return 64 * len(t.query) / t.rows }

func (t *tileRows512) start(tokens int, start Mem) {
	for i, s := range t.sums[:tokens*len(t.query)] {
		if t.rows == 32 {
			VMOVDQU32(start.Offset(64*(i%2)), s)
		} else {
			VPXORD(s, s, s)
		}
	}
}

// multiply adds the products of two segments, and does the steps of other work
// in between.
func (t *tileRows512) multiply(tokens int, panel, vectors Register, other []func()) {
	parts, perSegment := len(t.query), 16/t.group()
	groups := 2 * perSegment
	for g := range groups {
		for j, q := range t.query {
			VMOVDQU32(Mem{Base: panel, Disp: 64 * (parts*g + j)}, q)
		}
		for i := range tokens {
			at := Mem{Base: vectors, Disp: g/perSegment*segment + 16*i + g%perSegment*t.group()}
			if t.rows == 32 {
				VPBROADCASTD(at, t.value)
			} else {
				VPBROADCASTQ(at, t.value)
			}
			for j, q := range t.query {
				VPDPBUSD(q, t.value, t.sums[parts*i+j])
			}
		}
		for _, f := range other[g*len(other)/groups : (g+1)*len(other)/groups] {
			f()
		}
	}
	ADDQ(U32(64*parts*groups), panel)
	ADDQ(U32(2*segment), vectors)
}

// finish completes the sums of a pair of tokens and returns their registers:
// those of each token, but with 24 rows the last 8 of both tokens together.
func (t *tileRows512) finish(pair int, start func() Mem) []VecVirtual {
	parts := len(t.query)
	sums := t.sums[2*parts*pair : 2*parts*(pair+1)]
	if t.rows == 32 {
		return sums
	}
	// Each row has two sums, side by side.
	add := func(a, b VecVirtual) VecVirtual {
		VSHUFPS(U8(0x88), b, a, t.value)
		VSHUFPS(U8(0xdd), b, a, a)
		VPADDD(t.value, a, a)
		return a
	}
	var done []VecVirtual
	for i := range 2 {
		a := add(sums[parts*i], sums[parts*i+1])
		VPADDD(start(), a, a)
		done = append(done, a)
	}
	if t.rows == 24 {
		a := add(sums[2], sums[5])
		VMOVDQU32(eighths, t.value)
		VPERMQ(a, t.value, a)
		VBROADCASTI64X4(start().Offset(64), t.value)
		VPADDD(t.value, a, a)
		done = append(done, a)
	}
	return done
}

// codeKernelRows512 scores the codes of a document with 32, 24 or 16 rows. While a
// block of tokens is multiplied, the next one is decoded and the previous one
// scored.
func codeKernelRows512(bits, rows int) {
	name := fmt.Sprintf("code%dMaxima%dAVX512", bits, rows)
	TEXT(name, 0, "func(args *int)")
	Pragma("noescape")
	Doc(name + fmt.Sprintf(" scores codes of %d bits with %d rows.", bits, rows))
	args := loadRecord(codeFields)
	temp, line, number, turn := GP64(), GP64(), GP64(), GP64()
	// through loads a pointer and returns the operand for what it points to.
	through := func(name string, disp int) Mem {
		MOVQ(args.field(name), temp)
		return Mem{Base: temp, Disp: disp}
	}
	temps := registers(5, true)
	table := ZMM()
	VMOVDQU32(through("tables", 0), table)
	decoder := newDecoder512(bits, 2, table, temps)
	tile := newTileRows512(rows)
	best := registers((rows+15)/16, true)

	target := GP64()
	reader := newPlaneReader(args, decoder, temp, line, number, turn)
	nextCodes := func() (steps []func()) {
		for group := range decoder.codes {
			steps = append(steps, decoder.next(group, temps[4], func(int) Mem { return through("codes", 64*group) }, func(i int) Mem {
				return Mem{Base: target, Disp: i*segment + 64*group}
			})...)
		}
		if bits == 4 {
			steps = append(steps, func() { ADDQ(U32(128), args.field("codes")) })
		}
		return append(steps, func() { ADDQ(U32(2*segment), target) })
	}
	// score raises the maxima to the similarities of token i of the pair at
	// previous and sums.
	previous, sums, factors := GP64(), GP64(), GP64()
	step, v, scale, factor, sum := temps[0], temps[1], temps[2], temps[3], ZMM()
	load := func(i int, scale, factor VecVirtual) []func() {
		return []func(){func() {
			MOVL(Mem{Base: previous, Disp: cellsAt + 4*i}, number.As32())
			MOVQ(args.field("residual"), temp)
			VBROADCASTSS(Mem{Base: temp, Index: number, Scale: 4}, scale)
		}, func() {
			MOVBLZX(Mem{Base: factors, Disp: i}, number.As32())
			MOVQ(args.field("factorTable"), temp)
			VBROADCASTSS(Mem{Base: temp, Index: number, Scale: 4}, factor)
			MOVL(Mem{Base: previous, Disp: linesAt + 4*i}, line.As32())
			ADDQ(args.field("values"), line)
		}}
	}
	// raise uses the sums at the given distance, with values in v.
	raise := func(at int, scale, factor VecVirtual, maximum func()) func() {
		return func() {
			VCVTDQ2PS(Mem{Base: sums, Disp: at}, sum)
			VMULPS(sum, step, sum)
			VADDPS(v, sum, sum)
			VMULPS(sum, factor, sum)
			maximum()
		}
	}
	raiseAll := func(b VecVirtual) func() { return func() { VMAXPS(b, sum, b) } }
	// sixteen sets v to the values of 16 rows.
	sixteen := func() {
		VBROADCASTI64X4(Mem{Base: line}, v)
		VPSLLVD(halves, v, v)
		VPANDD_BCST(selectors.Offset(8), v, v)
		VCVTDQ2PS(v, v)
	}
	score := func(i int) []func() {
		steps := load(i, scale, factor)
		for j, b := range best {
			steps = append(steps, func() {
				VMULPS(through("steps", 64*j), scale, step)
				switch {
				case rows == 16:
					sixteen()
					return
				case j == 0:
					VPSLLD(U8(16), Mem{Base: line}, v)
				default:
					VMOVDQU32(Mem{Base: line}, v)
					VPANDD_BCST(selectors.Offset(8), v, v)
				}
				VCVTDQ2PS(v, v)
			}, raise(4*rows*i+64*j, scale, factor, raiseAll(b)))
		}
		return steps
	}
	// score24 does it for both tokens of the pair, or the first one only.
	lower := K()
	if rows == 24 {
		MOVL(U32(255), temp.As32())
		KMOVW(temp.As32(), lower)
	}
	score24 := func(only bool) (steps []func()) {
		do := func(f func()) { steps = append(steps, f) }
		lastRows := ZMM() // of both
		steps = append(steps, load(0, scale, factor)...)
		do(func() {
			VPMOVZXWD(Mem{Base: line, Disp: 32}, lastRows.AsY())
			VMULPS(through("steps", 0), scale, step)
			sixteen()
		})
		do(raise(0, scale, factor, raiseAll(best[0])))
		lastScale, lastFactor := scale, factor
		if !only {
			second := YMM()
			lastScale, lastFactor = ZMM(), ZMM()
			steps = append(steps, load(1, lastScale, lastFactor)...)
			do(func() {
				VPMOVZXWD(Mem{Base: line, Disp: 32}, second)
				VMULPS(through("steps", 0), lastScale, step)
				sixteen()
			})
			do(raise(64, lastScale, lastFactor, raiseAll(best[0])))
			do(func() {
				VINSERTI64X4(U8(1), second, lastRows, lastRows)
				VMOVAPS(scale, lower, lastScale)
				VMOVAPS(factor, lower, lastFactor)
			})
		}
		do(func() {
			VBROADCASTF64X4(through("steps", 64), step)
			VMULPS(step, lastScale, step)
			VPSLLD(U8(16), lastRows, v)
			VCVTDQ2PS(v, v)
		})
		do(raise(128, lastScale, lastFactor, func() {
			if only {
				VMAXPS(best[1], sum, lower, best[1])
			} else {
				VMAXPS(best[1], sum, best[1])
			}
		}))
		return steps
	}
	// scorePair does it for both tokens of the pair, or the first one only.
	scorePair := func(only bool) (steps []func()) {
		if rows == 24 {
			return score24(only)
		}
		steps = score(0)
		if !only {
			steps = append(steps, score(1)...)
		}
		return steps
	}
	nextScores := func() []func() {
		return append(scorePair(false), func() {
			ADDQ(U8(8), previous)
			ADDQ(U32(8*rows), sums)
			ADDQ(U8(2), factors)
		})
	}

	// stage notes the cells of the block and how far their values are.
	cellMask := K()
	stage := func() {
		cells, last := temps[0].AsY(), temps[1].AsY()
		MOVQ(args.field("tokens"), temp)
		SUBQ(args.field("token"), temp)
		MOVQ(U32(blockTokens), line)
		CMPQ(temp, line)
		CMOVQGT(line, temp)
		LEAQ(cellMasks, line)
		KMOVW(Mem{Base: line, Index: temp, Scale: 2}, cellMask)
		MOVQ(args.field("cells"), temp)
		MOVQ(args.field("token"), line)
		VMOVDQU32_Z(Mem{Base: temp, Index: line, Scale: 4}, cellMask, cells)
		VPBROADCASTD(args.field("lastCell"), last)
		VPMINUD(last, cells, cells)
		VMOVDQU32(cells, through("half", cellsAt))
		VPBROADCASTD(args.field("stride"), last)
		VPMULLD(last, cells, cells)
		VMOVDQU32(cells, through("half", linesAt))
	}
	current, next := GP64(), GP64()
	fetch := func() (steps []func()) {
		for i := range 2 {
			steps = append(steps, func() {
				MOVL(Mem{Base: current, Disp: linesAt + 4*i}, temp.As32())
				ADDQ(args.field("values"), temp)
				PREFETCHT0(Mem{Base: temp})
			})
		}
		for i := range bits {
			steps = append(steps, func() { PREFETCHT0(Mem{Base: next, Disp: 64 * i}) })
		}
		return append(steps, func() {
			ADDQ(U8(8), current)
			ADDQ(args.field("nextStep"), next)
			CMPQ(next, args.field("nextEnd"))
			CMOVQHI(args.field("nextEnd"), next)
		})
	}

	chunk := GP64()
	MOVQ(args.field("tokens"), temp)
	reader.setTokens(temp)
	MOVQ(args.field("half"), target)
	ADDQ(U32(weightsAt), target)
	MOVQ(args.field("chunks"), chunk)
	Label("decode")
	reader.begin()
	for range 4 {
		for _, f := range nextCodes() {
			f()
		}
	}
	DECQ(chunk)
	JNE(LabelRef("decode"))

	MOVQ(args.field("next"), next)

	panel, multiplied := GP64(), GP64()
	// products multiplies so many tokens from the given one of the block on.
	products := func(first, tokens int, label string, before func(), work func() []func()) {
		tile.start(tokens, through("start", 0))
		MOVQ(args.field("half"), multiplied)
		ADDQ(U32(weightsAt+16*first), multiplied)
		MOVQ(args.field("query"), panel)
		MOVQ(args.field("chunks"), chunk)
		Label(label)
		before()
		MOVQ(U32(4), turn)
		Label(label + "Turn")
		tile.multiply(tokens, panel, multiplied, work())
		DECQ(turn)
		JNE(LabelRef(label + "Turn"))
		DECQ(chunk)
		JNE(LabelRef(label))
		for pair := range tokens / 2 {
			for j, sum := range tile.finish(pair, func() Mem { return through("start", 0) }) {
				VMOVDQU32(sum, through("half", sumsAt+8*rows*(first/2+pair)+64*j))
			}
		}
	}
	rewind := func() {
		MOVQ(args.field("other"), previous)
		LEAQ(Mem{Base: previous, Disp: sumsAt}, sums)
		MOVQ(args.field("factorAt"), factors)
		MOVQ(args.field("half"), current)
	}
	swap := func() {
		MOVQ(args.field("half"), temp)
		MOVQ(args.field("other"), line)
		MOVQ(line, args.field("half"))
		MOVQ(temp, args.field("other"))
	}
	for _, b := range best {
		VBROADCASTSS(infinity, b)
	}
	// block multiplies the tokens that are there, while it decodes the next
	// ones if there are any.
	block := func(name string, scores func() []func()) {
		stage()
		MOVQ(args.field("tokens"), temp)
		SUBQ(args.field("token"), temp)
		CMPQ(temp, U8(4))
		JLE(LabelRef(name + "Tail"))
		SUBQ(U8(blockTokens), temp)
		JLE(LabelRef(name + "Last")) // decodes the same block again
		ADDQ(U32(segment), args.field("planes"))
		reader.setTokens(temp)
		Label(name + "Last")
		MOVQ(args.field("other"), target)
		ADDQ(U32(weightsAt), target)
		MOVQ(U32(0), temp)
		MOVQ(temp, args.field("chunkAt"))
		begin := func() {
			rewind()
			reader.begin()
		}
		if tile.tokens == blockTokens {
			products(0, blockTokens, name, begin, func() []func() { return merge(scores(), nextCodes(), fetch()) })
		} else {
			products(0, tile.tokens, name, begin, func() []func() { return merge(nextCodes(), fetch()) })
			products(tile.tokens, tile.tokens, name+"Second", rewind, scores)
		}
		swap()
		MOVQ(args.field("token"), temp)
		MOVQ(args.field("factors"), line)
		ADDQ(temp, line)
		MOVQ(line, args.field("factorAt"))
		ADDQ(U8(blockTokens), temp)
		MOVQ(temp, args.field("token"))
		CMPQ(temp, args.field("tokens"))
		JGE(LabelRef("drain"))
	}
	tail := func(name string, scores func() []func()) {
		Label(name + "Tail")
		products(0, 4, name+"Products", rewind, scores)
		swap()
		MOVQ(args.field("token"), temp)
		MOVQ(args.field("factors"), line)
		ADDQ(temp, line)
		MOVQ(line, args.field("factorAt"))
		ADDQ(U8(4), temp)
	}
	none := func() []func() { return nil }
	block("first", none)
	Label("block")
	block("later", nextScores)
	JMP(LabelRef("block"))
	drain := func(tokens int) {
		rewind()
		SUBQ(args.field("tokens"), temp)
		NEGQ(temp)
		left := turn
		LEAQ(Mem{Base: temp, Disp: tokens}, left)
		for i := 0; i < tokens; i += 2 {
			CMPQ(left, U8(i+1))
			JEQ(LabelRef(fmt.Sprintf("only%d", tokens)))
			for _, f := range nextScores() {
				f()
			}
			if i+2 < tokens {
				CMPQ(left, U8(i+2))
				JEQ(LabelRef("done"))
			}
		}
		JMP(LabelRef("done"))
		Label(fmt.Sprintf("only%d", tokens))
		for _, f := range scorePair(true) {
			f()
		}
	}
	Label("drain")
	drain(blockTokens)
	JMP(LabelRef("done"))
	tail("first", none)
	JMP(LabelRef("drain4"))
	tail("later", nextScores)
	Label("drain4")
	drain(4)
	Label("done")
	if rows == 24 {
		other := YMM()
		VEXTRACTF64X4(U8(1), best[1], other)
		VMAXPS(other, best[1].AsY(), best[1].AsY())
	}
	storeBest(args, best, rows)
	VZEROUPPER()
	RET()
}

// storeBest raises the maxima to those in the registers, whose lanes hold even
// rows before odd ones.
func storeBest(args record, best []VecVirtual, rows int) {
	unit, mask := ZMM(), GP64()
	VBROADCASTSS(args.field("unit"), unit)
	MOVQ(args.field("rowMask"), mask)
	to := Mem{Base: args.load("best")}
	for j := range best {
		order, present, old := ZMM(), K(), ZMM()
		switch {
		case rows == 32:
			VMOVDQU32(interleave.Offset(64*j), order)
			VPERMI2PS(best[1], best[0], order)
		case j == 0:
			VMOVDQU32(interleave16, order)
			VPERMPS(best[0], order, order)
		default: // the last 8 of 24 are in order
			VMOVAPS(best[1], order)
		}
		VMULPS(unit, order, order)
		KMOVW(mask.As32(), present)
		VMOVUPS_Z(to.Offset(64*j), present, old)
		VMAXPS(old, order, order)
		VMOVUPS(order, present, to.Offset(64*j))
		SHRQ(U8(16), mask)
	}
}

// codeKernelTokens512 scores the codes of a document with 8 or 4 rows. Each
// quarter of a register belongs to a token, and each sum to a row.
func codeKernelTokens512(bits, rows int) {
	name := fmt.Sprintf("code%dMaxima%dAVX512", bits, rows)
	TEXT(name, 0, "func(args *int)")
	Pragma("noescape")
	Doc(name + fmt.Sprintf(" scores codes of %d bits with %d rows.", bits, rows))
	args := loadRecord(codeFields)
	temp, line, number, turn := GP64(), GP64(), GP64(), GP64()
	through := func(name string, disp int) Mem {
		MOVQ(args.field(name), temp)
		return Mem{Base: temp, Disp: disp}
	}
	groups := 2 // of four tokens
	if rows == 4 && bits == 1 {
		groups = 4
	}
	tokens := 4 * groups
	weights := registers(groups, true)
	temps := weights
	for len(temps) < 4 {
		temps = append(temps, ZMM())
	}
	table := ZMM()
	VMOVDQU32(through("tables", 0), table)
	decoder := newDecoder512(bits, groups, table, temps)
	reader := newPlaneReader(args, decoder, temp, line, number, turn)
	parts := rows / 4
	best := registers(parts, true)
	for _, b := range best {
		VBROADCASTSS(infinity, b)
	}
	sums := make([][]VecVirtual, groups)
	for g := range sums {
		sums[g] = registers(rows, true)
	}
	token, next, panel, chunk := GP64(), args.load("next"), GP64(), GP64()
	residual, values, factors := args.load("residual"), args.load("values"), args.load("factorTable")
	XORQ(token, token)
	MOVQ(args.field("tokens"), temp)
	reader.setTokens(temp)
	staged := AllocLocal(9 * tokens)
	cellsAt, linesAt, factorsAt := staged, staged.Offset(4*tokens), staged.Offset(8*tokens)
	quarters := [4]Register{nil, K(), K(), K()}
	for i := 1; i < 4; i++ {
		MOVL(U32(15<<(4*i)), temp.As32())
		KMOVW(temp.As32(), quarters[i])
	}

	Label("block")
	cells, last, present, bytes := YMM(), YMM(), K(), XMM()
	if tokens == 16 {
		cells, last = ZMM(), ZMM()
	}
	MOVQ(args.field("tokens"), temp)
	SUBQ(token, temp)
	MOVQ(U32(tokens), line)
	CMPQ(temp, line)
	CMOVQGT(line, temp)
	LEAQ(cellMasks, line)
	KMOVW(Mem{Base: line, Index: temp, Scale: 2}, present)
	MOVQ(args.field("cells"), temp)
	VMOVDQU32_Z(Mem{Base: temp, Index: token, Scale: 4}, present, cells)
	VPBROADCASTD(args.field("lastCell"), last)
	VPMINUD(last, cells, cells)
	VMOVDQU32(cells, cellsAt)
	VPBROADCASTD(args.field("stride"), last)
	VPMULLD(last, cells, cells)
	VMOVDQU32(cells, linesAt)
	MOVQ(args.field("factors"), temp)
	VMOVDQU8_Z(Mem{Base: temp, Index: token, Scale: 1}, present, bytes)
	if tokens == 16 {
		VMOVDQU32(bytes, factorsAt)
	} else {
		VMOVSD(bytes, factorsAt)
	}
	for _, sums := range sums {
		for r, s := range sums {
			VMOVDQU32(through("start", 64*r), s)
		}
	}
	MOVQ(args.field("query"), panel)
	MOVQ(args.field("chunks"), chunk)
	Label("chunk")
	reader.begin()
	MOVQ(U32(4), turn)
	Label("turn")
	for s := range 2 {
		for group, w := range weights {
			decoder.weights(group, s, w, func(i int) Mem { return through("codes", 64*(i*groups+group)) })
		}
		for r := range rows {
			q := ZMM()
			VMOVDQU32(Mem{Base: panel, Disp: 64 * (s*rows + r)}, q)
			for group, w := range weights {
				VPDPBUSD(q, w, sums[group][r])
			}
		}
	}
	if decoder.inMemory() {
		ADDQ(U32(64*groups*decoder.perPlace()), args.field("codes"))
	}
	ADDQ(U32(2*64*rows), panel)
	for i := range bits * groups / 2 {
		PREFETCHT0(Mem{Base: next, Disp: 64 * i})
	}
	ADDQ(args.field("nextStep"), next)
	CMPQ(next, args.field("nextEnd"))
	CMOVQHI(args.field("nextEnd"), next)
	DECQ(turn)
	JNE(LabelRef("turn"))
	DECQ(chunk)
	JNE(LabelRef("chunk"))
	MOVQ(U32(0), temp)
	MOVQ(temp, args.field("chunkAt"))
	MOVQ(args.field("tokens"), temp)
	SUBQ(token, temp)
	SUBQ(U8(tokens), temp)
	JLE(LabelRef("last"))
	ADDQ(U32(16*tokens), args.field("planes"))
	reader.setTokens(temp)
	Label("last")

	scale, factor, v := ZMM(), ZMM(), ZMM()
	valid := K()
	for group := range groups {
		lines := ZMM()
		for i := range 4 {
			t := 4*group + i
			MOVL(cellsAt.Offset(4*t), number.As32())
			MOVBLZX(factorsAt.Offset(t), line.As32())
			residual := Mem{Base: residual, Index: number, Scale: 4}
			entry := Mem{Base: factors, Index: line, Scale: 4}
			MOVL(linesAt.Offset(4*t), temp.As32())
			at := Mem{Base: values, Index: temp, Scale: 1}
			if i == 0 {
				VBROADCASTSS(residual, scale)
				VBROADCASTSS(entry, factor)
				VMOVDQU32(at, lines.AsX())
			} else {
				VBROADCASTSS(residual, quarters[i], scale)
				VBROADCASTSS(entry, quarters[i], factor)
				VINSERTI32X4(U8(i), at, lines, lines)
			}
		}
		// Tokens past the end are left out of the maxima.
		MOVQ(args.field("tokens"), temp)
		SUBQ(token, temp)
		MOVQ(U32(4), number)
		CMPQ(temp, number)
		CMOVQGT(number, temp)
		LEAQ(quarterMasks, number)
		KMOVW(Mem{Base: number, Index: temp, Scale: 2}, valid)
		for j := range parts {
			s := sums[group]
			// With 8 rows, the even ones come first.
			sum := addUp(s[j], s[parts+j], s[2*parts+j], s[3*parts+j], v)
			if j == 0 && rows == 4 {
				VPXORD(v, v, v)
				VPUNPCKLWD(lines, v, v)
			} else if j == 0 {
				VPSLLD(U8(16), lines, v)
			} else {
				VPANDD_BCST(selectors.Offset(8), lines, v)
			}
			step := ZMM()
			VCVTDQ2PS(v, v)
			VCVTDQ2PS(sum, sum)
			VBROADCASTF32X4(through("steps", 16*j), step)
			VMULPS(step, scale, step)
			VMULPS(sum, step, sum)
			VADDPS(v, sum, sum)
			VMULPS(sum, factor, sum)
			VMAXPS(best[j], sum, valid, best[j])
		}
		ADDQ(U8(4), token)
		CMPQ(token, args.field("tokens"))
		JGE(LabelRef("done"))
	}
	JMP(LabelRef("block"))

	Label("done")
	other := ZMM()
	for _, b := range best {
		VSHUFF32X4(U8(0x4e), b, b, other)
		VMAXPS(other, b, b)
		VSHUFF32X4(U8(0xb1), b, b, other)
		VMAXPS(other, b, b)
	}
	unit, mask, old, at := YMM(), K(), YMM(), GP64()
	if rows == 8 {
		VUNPCKLPS(best[1].AsX(), best[0].AsX(), other.AsX())
		VUNPCKHPS(best[1].AsX(), best[0].AsX(), best[0].AsX())
		VINSERTF128(U8(1), best[0].AsX(), other.AsY(), best[0].AsY())
	}
	VBROADCASTSS(args.field("unit"), unit)
	VMULPS(unit, best[0].AsY(), best[0].AsY())
	KMOVB(args.field("rowMask"), mask)
	MOVQ(args.field("best"), at)
	VMOVUPS_Z(Mem{Base: at}, mask, old)
	VMAXPS(old, best[0].AsY(), best[0].AsY())
	VMOVUPS(best[0].AsY(), mask, Mem{Base: at})
	VZEROUPPER()
	RET()
}

// addUp returns the sums of each quarter of four registers, side by side.
func addUp(a, b, c, d, temp VecVirtual) VecVirtual {
	pair := func(a, b VecVirtual) {
		VPUNPCKLDQ(b, a, temp)
		VPUNPCKHDQ(b, a, a)
		VPADDD(temp, a, a)
	}
	pair(a, b)
	pair(c, d)
	VPUNPCKLQDQ(c, a, temp)
	VPUNPCKHQDQ(c, a, a)
	VPADDD(temp, a, a)
	return a
}

// merge mixes lists of steps evenly.
func merge(lists ...[]func()) (all []func()) {
	total := 0
	for _, l := range lists {
		total += len(l)
	}
	for i := range total {
		for _, l := range lists {
			all = append(all, l[i*len(l)/total:(i+1)*len(l)/total]...)
		}
	}
	return all
}
