package simd

// FloatQuery is a selection of rows packed for dot products with float32
// vectors. The zero value is ready for Reset. Dots and Maxima only read the
// value, so several goroutines may call them at once.
//
// A dot product depends on the two vectors only, not on what else is packed or
// computed with it. The levels "avx2" and "avx512" agree to the bit: a sum runs
// over the dimensions in order, each added by one fused multiply-add. Any two
// machines agree within dim * 2^-23 times the sum of the products' sizes.
type FloatQuery struct {
	dim, rows int
	level     level
	data      []float32 // blocks of rows, each dimension of them together; plain rows at levelGo
}

// Reset packs the given rows of m in this order; nil means all rows. Every row
// must lie in 0..m.Rows-1.
func (p *FloatQuery) Reset(m Matrix, rows []int) {
	p.dim, p.level = m.Dim, current
	p.rows = selected(m.Rows, rows)
	if p.level == levelGo {
		p.data = grow(p.data, p.rows*p.dim)
		for j := range p.rows {
			copy(p.data[j*p.dim:], m.Row(rowOf(rows, j)))
		}
		return
	}
	p.data = grow(p.data, strideOf(p.rows)*p.dim)
	clear(p.data)
	for j := range p.rows {
		first := j / largestBlock * largestBlock
		lanes := blockOf(p.rows - first)
		block := p.data[first*p.dim:]
		for d, x := range m.Row(rowOf(rows, j)) {
			block[d*lanes+j-first] = x
		}
	}
}

// Rows returns the number of packed rows.
func (p *FloatQuery) Rows() int { return p.rows }

// Stride returns how many values of Dots belong to a vector: Rows, rounded up.
func (p *FloatQuery) Stride() int { return strideOf(p.rows) }

// Dots writes the dot product of every vector of m with every packed row:
//
//	dst[t*Stride+j] = row j · vector t
//
// The values of a vector past Rows are undefined.
func (p *FloatQuery) Dots(dst []float32, m Matrix) {
	stride := p.Stride()
	dst = dst[:m.Rows*stride]
	if p.level == levelGo {
		for t := range m.Rows {
			for j := range p.rows {
				dst[t*stride+j] = Dot(p.data[j*p.dim:(j+1)*p.dim], m.Row(t))
			}
		}
		return
	}
	for first := 0; first < p.rows; first += largestBlock {
		block := blockOf(p.rows - first)
		step := callVectors(block, p.dim)
		for t := 0; t < m.Rows; t += step {
			n := min(step, m.Rows-t)
			part := m.Data[t*p.dim : (t+n)*p.dim]
			floatDots(p.level, block, &dst[t*stride+first], stride, &p.data[first*p.dim], &part[0], n, p.dim)
		}
	}
}

// Maxima raises best[j] to the largest dot product of packed row j with a
// vector of m. next, which may be empty, is memory that will be needed soon, as
// a rule the values of the next document.
func (p *FloatQuery) Maxima(best []float32, m Matrix, next []float32) {
	if p.level == levelGo {
		for t := range m.Rows {
			for j := range best {
				best[j] = max(best[j], Dot(p.data[j*p.dim:(j+1)*p.dim], m.Row(t)))
			}
		}
		return
	}
	if m.Rows == 0 {
		return
	}
	var lanes [largestBlock]float32
	for first := 0; first < p.rows; first += largestBlock {
		rows := best[first:min(first+largestBlock, p.rows)]
		copy(lanes[:], rows)
		block := blockOf(p.rows - first)
		step := callVectors(block, p.dim)
		for t := 0; t < m.Rows; t += step {
			n := min(step, m.Rows-t)
			part := m.Data[t*p.dim : (t+n)*p.dim]
			ahead, bytes := &part[0], 0
			if t+n == m.Rows && first == 0 && len(next) > 0 {
				ahead, bytes = &next[0], aheadBytes(len(next), n, p.dim)
			}
			floatMaxima(p.level, block, &lanes[0], &p.data[first*p.dim], &part[0], n, p.dim, ahead, bytes)
		}
		copy(rows, lanes[:])
	}
}

// aheadBytes returns how many bytes of so many values to read ahead for each
// turn of the kernels' inner loop, which takes eight dimensions of a tile of
// vectors, when there are n vectors.
func aheadBytes(values, n, dim int) int {
	const tile, most = 6, 192
	turns := (n + tile - 1) / tile * dim / 8
	return min((4*values+turns-1)/turns, most)
}
