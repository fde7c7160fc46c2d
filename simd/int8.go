package simd

// Int8Query is a selection of a query's rows packed for dot products with
// int8 vectors. The zero value is ready for Reset; a value serves one
// goroutine at a time and allocates nothing once it is warm.
type Int8Query struct {
	dim, rows int
	words     []int64 // words[g*dim+d]: dimension d of rows 3g, 3g+1, 3g+2
}

// int8Block is how many dimensions a lane can add up: 64*127*128 < 2^20.
const int8Block = 64

// Reset packs the given rows of q in this order; nil means all rows. Every
// row must lie in 0..q.Rows-1.
func (p *Int8Query) Reset(q *Query, rows []int) {
	p.dim, p.rows = q.Dim, selected(q.Rows, rows)
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

// Dots writes the exact dot products of every token with every packed row:
//
//	dst[t*Rows+j] = sum over d of row[j][d] * int8(codes[t*Dim+d])
//
// codes holds one token after the other, dst one block of Rows values for
// each of them.
func (p *Int8Query) Dots(dst []int32, codes []byte) {
	tokens := len(codes) / max(p.dim, 1)
	dst = dst[:tokens*p.rows]
	clear(dst)
	for g := 0; g*laneRows < p.rows; g++ {
		words := p.words[g*p.dim : (g+1)*p.dim]
		lo, hi := g*laneRows, min((g+1)*laneRows, p.rows)
		for t := range tokens {
			code := codes[t*p.dim : (t+1)*p.dim]
			out := dst[t*p.rows+lo : t*p.rows+hi]
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
