package simd

// Int8Query is a selection of a query's rows packed for dot products with
// int8 vectors. The zero value is ready for Reset; a value serves one
// goroutine at a time and allocates nothing once it is warm.
type Int8Query struct {
	dim, rows int
	level     level
	query     *Query
	selected  []int // nil for all rows

	tiles int8Tiles // at levels with kernels

	// At levelGo, and for Dots.
	hasWords bool
	words    []int64 // words[g*dim+d]: dimension d of rows 3g, 3g+1, 3g+2
	dots     []int32
}

// int8Block is how many dimensions a lane can add up: 64*127*128 < 2^20.
const int8Block = 64

// Reset packs the given rows of q in this order; nil means all rows. Every
// row must lie in 0..q.Rows-1.
func (p *Int8Query) Reset(q *Query, rows []int) {
	p.dim, p.rows = q.Dim, selected(q.Rows, rows)
	p.query = q
	p.selected = append(p.selected[:0], rows...)
	if rows == nil {
		p.selected = nil
	}
	p.hasWords = false
	p.level = current
	if p.level != levelGo {
		p.tiles.reset(q, rows, p.level)
	}
}

// needWords packs the rows for sums in plain Go if that was not done yet.
func (p *Int8Query) needWords() {
	if !p.hasWords {
		p.resetWords(p.query, p.selected)
		p.hasWords = true
	}
}

func (p *Int8Query) resetWords(q *Query, rows []int) {
	groups := (p.rows + laneRows - 1) / laneRows
	p.words = grow(p.words, groups*p.dim)
	for g := range groups {
		lanes := q.laneCodes(rows, g)
		for d := range p.dim {
			var v [laneRows]int32
			for j, codes := range lanes {
				if codes != nil {
					v[j] = int32(codes[d])
				}
			}
			p.words[g*p.dim+d] = packLanes(v[0], v[1], v[2])
		}
	}
}

// Rows returns the number of packed rows.
func (p *Int8Query) Rows() int { return p.rows }

// Stride returns how many values of Dots belong to a token: Rows, rounded up.
func (p *Int8Query) Stride() int { return strideOf(p.rows) }

// Dots writes the exact dot products of every token with every packed row:
//
//	dst[t*Stride+j] = sum over d of row[j][d] * int8(codes[t*Dim+d])
//
// codes holds one token after the other. The values of a token past Rows are
// undefined. It is in plain Go at every level, for when the token that Maxima
// found is wanted.
func (p *Int8Query) Dots(dst []int32, codes []byte) {
	tokens := len(codes) / max(p.dim, 1)
	dst = dst[:tokens*p.Stride()]
	if tokens == 0 || p.rows == 0 {
		return
	}
	p.needWords()
	p.dotsByWord(dst, codes, tokens)
}

// Maxima raises best[j] to the largest similarity of packed row j with one of
// the tokens: for dot product I, each operation rounded to float32,
//
//	factors[t] * (scales[j] * I)
//
// scales has Stride values. next, which may be empty, is memory that will be
// needed soon, as a rule the codes of the next document.
func (p *Int8Query) Maxima(best []float32, codes []byte, factors, scales []float32, next []byte) {
	if len(factors) == 0 || p.rows == 0 {
		return
	}
	best = best[:p.rows]
	stride := p.Stride()
	if p.level != levelGo {
		p.tiles.maxima(best, codes[:len(factors)*p.dim], factors, scales[:stride], next)
		return
	}
	p.dots = grow(p.dots, len(factors)*stride)
	p.Dots(p.dots, codes[:len(factors)*p.dim])
	for t, factor := range factors {
		for j, b := range best {
			best[j] = larger(factor*float32(scales[j]*float32(p.dots[t*stride+j])), b)
		}
	}
}

func (p *Int8Query) dotsByWord(dst []int32, codes []byte, tokens int) {
	clear(dst)
	stride := p.Stride()
	for g := 0; g*laneRows < p.rows; g++ {
		words := p.words[g*p.dim : (g+1)*p.dim]
		lo, hi := g*laneRows, min((g+1)*laneRows, p.rows)
		for t := range tokens {
			code := codes[t*p.dim : (t+1)*p.dim]
			out := dst[t*stride+lo : t*stride+hi]
			for d := 0; d < p.dim; d += int8Block {
				end := min(d+int8Block, p.dim)
				addLanes(out, int8Sum(words[d:end], code[d:end]))
			}
		}
	}
}

// int8Sum adds up words[d] * int8(code[d]); the length is a multiple of 8.
func int8Sum(words []int64, code []byte) int64 {
	var a, b int64
	for len(words) >= 8 && len(code) >= 8 {
		w, c := words[:8:8], code[:8:8]
		a += w[0]*int64(int8(c[0])) + w[1]*int64(int8(c[1])) + w[2]*int64(int8(c[2])) + w[3]*int64(int8(c[3]))
		b += w[4]*int64(int8(c[4])) + w[5]*int64(int8(c[5])) + w[6]*int64(int8(c[6])) + w[7]*int64(int8(c[7]))
		words, code = words[8:], code[8:]
	}
	return a + b
}
