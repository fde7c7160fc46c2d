package simd

import "math"

// int8Tiles are a query's rows as the kernels for int8 vectors read them, in
// blocks of 32, 16, 8 or 4.
type int8Tiles struct {
	level     level
	rows, dim int
	query     []int8
	start     []int32

	padded  []byte
	factors []float32

	// With AVX2, vectors become words in blocks like a document's decoded codes.
	chunks    int
	wideCodes []int8
	scratch   []byte
	best      []float32
	cells     []uint32 // all the same one, of zeros
	numbers   []byte   // 0, 1, 2, ...
}

// reset packs rows of q.
func (p *int8Tiles) reset(q *Query, rows []int, l level) {
	p.level, p.rows, p.dim = l, selected(q.Rows, rows), q.Dim
	lanes := strideOf(p.rows)
	p.start = grow(p.start, lanes)
	clear(p.start)
	if l == levelAVX2 {
		p.chunks = chunksOf(2 * p.dim)
		p.query = grow(p.query, lanes*p.chunks*chunkDims)
	} else {
		p.query = grow(p.query, lanes*p.dim)
	}
	clear(p.query)
	for j := range p.rows {
		first := j / largestBlock * largestBlock
		n := p.tileRows(p.rows - first)
		codes, _ := q.Codes(rowOf(rows, j))
		pl := placeOf(l, n, j-first, plainLanes)
		if l == levelAVX2 {
			p.wideCodes = widenCodes(p.wideCodes, codes)
			pl.put(p.query[first*p.chunks*chunkDims:], n, p.wideCodes)
			continue
		}
		if n <= 8 { // rows lie in lanes too
			pl = place{j - first, j - first, 64 / n, 1}
		}
		pl.put(p.query[first*p.dim:], n, codes)
		var sum int32
		for _, v := range codes {
			sum += int32(v)
		}
		p.start[j] = -128 * sum
	}
}

// byteArgs are the arguments of the AVX-512 kernels for int8 vectors: pointers
// and integers only, in the order that the generator knows.
type byteArgs struct {
	tokens  int
	query   *int8
	start   *int32
	scales  *float32
	best    *float32
	rowMask int // a bit for each row
	vectors *byte
	dim     int
	factors *float32

	next, nextEnd *byte
	nextStep      int // bytes for 32 dimensions of a tile
}

// maxima is Int8Query.Maxima. Long documents take several calls.
func (p *int8Tiles) maxima(best []float32, codes []byte, factors, scales []float32, next []byte) {
	if p.level == levelAVX2 {
		p.maximaByPart(best, codes, factors, scales, next)
		return
	}
	const work = 1 << 24 // multiplications of a call
	step := work / (largestBlock * p.dim)
	for t := 0; t < len(factors); t += step {
		n := min(step, len(factors)-t)
		if n < step {
			p.callMaxima(best, codes[t*p.dim:(t+n)*p.dim], factors[t:], scales, next)
		} else {
			p.callMaxima(best, codes[t*p.dim:(t+n)*p.dim], factors[t:t+n], scales, nil)
		}
	}
}

func (p *int8Tiles) callMaxima(best []float32, codes []byte, factors, scales []float32, next []byte) {
	for first := 0; first < p.rows; first += largestBlock {
		rows := p.tileRows(p.rows - first)
		tokens := 6 // of a tile
		if rows <= 8 {
			tokens = 12
		}
		if len(factors) < tokens {
			codes, factors = p.pad(codes, factors, tokens)
		}
		a := byteArgs{
			tokens: len(factors), query: &p.query[first*p.dim], start: &p.start[first], scales: &scales[first],
			best: &best[first], rowMask: 1<<min(largestBlock, p.rows-first) - 1,
			vectors: &codes[0], dim: p.dim, factors: &factors[0],
		}
		a.next, a.nextEnd = a.vectors, a.vectors
		if first == 0 && len(next) > 0 {
			turns := max(len(factors)/tokens*p.dim/32, 1)
			a.next, a.nextEnd = &next[0], &next[len(next)-1]
			a.nextStep = min((len(next)+turns-1)/turns, 64*(tokens/2+1))
		}
		int8Maxima(rows, &a)
	}
}

// pad repeats the last vector until there are enough for a tile.
func (p *int8Tiles) pad(codes []byte, factors []float32, tokens int) ([]byte, []float32) {
	p.padded = append(p.padded[:0], codes...)
	p.factors = append(p.factors[:0], factors...)
	for len(p.factors) < tokens {
		p.padded = append(p.padded, codes[len(codes)-p.dim:]...)
		p.factors = append(p.factors, factors[len(factors)-1])
	}
	return p.padded, p.factors
}

// tileRows returns the rows of the kernel that takes the next block when so
// many are left. The one for 4 rows takes 16 dimensions at a time.
func (p *int8Tiles) tileRows(rows int) int {
	if p.level == levelAVX512 && (p.dim%16 != 0 || rows > 4) {
		return blockOf(rows)
	}
	return tileRows(p.level, rows)
}

// maximaByPart widens some vectors, few enough to stay in the first cache, and
// scores them with every block of rows, and so on.
func (p *int8Tiles) maximaByPart(best []float32, codes []byte, factors, scales []float32, next []byte) {
	const partBytes = 12 << 10
	step := max(partBytes/(p.chunks*chunkDims)/blockTokens, 1) * blockTokens
	p.scratch = grow(p.scratch, step*p.chunks*chunkDims)
	p.best = grow(p.best, strideOf(p.rows))
	for j := range p.best {
		p.best[j] = float32(math.Inf(-1))
	}
	for len(p.cells) < step {
		p.cells = append(p.cells, 0)
		p.numbers = append(p.numbers, byte(len(p.numbers)))
	}
	var zeros [largestBlock]int16
	one := float32(1)
	for t := 0; t < len(factors); t += step {
		n := min(step, len(factors)-t)
		widen(&p.scratch[0], &codes[t*p.dim], n, p.dim, p.chunks)
		ahead := (len(next)*n + len(factors) - t - 1) / (len(factors) - t)
		for first := 0; first < p.rows; first += largestBlock {
			rows := p.tileRows(p.rows - first)
			a := tileArgs{
				tokens: n, query: &p.query[first*p.chunks*chunkDims], start: &p.start[first],
				steps: &scales[first], best: &p.best[first], chunks: p.chunks,
				cells: &p.cells[0], values: &zeros[0], residual: &one,
				factors: &p.numbers[0], factorTable: &factors[t], vectors: &p.scratch[0],
			}
			a.next, a.nextEnd = a.vectors, a.vectors
			if first == 0 {
				a.prefetch(next[:ahead], 64/rows, 64)
			}
			tileMaxima(rows, 0, &a)
		}
		next = next[ahead:]
	}
	for j, b := range best {
		best[j] = larger(p.best[j], b)
	}
}
