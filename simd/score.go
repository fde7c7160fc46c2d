package simd

// Token is what a token's similarity with a query row is made of besides the
// integer dot product I of their values: for row j, with a scale of its own,
//
//	Factor * (lines[Line][j] + (scales[j] * Scale) * I)
//
// where every operation is rounded to float32, so that the result is the same
// on every machine.
type Token struct {
	Line          int32 // of a table of lines with a value per lane
	Scale, Factor float32
}

// checkLines panics where a kernel would read past the lines or scales.
func checkLines(tokens []Token, scales, lines []float32, stride int) {
	_ = scales[:stride]
	n := uint32(len(lines) / stride)
	for i := range tokens {
		if uint32(tokens[i].Line) >= n {
			panic("simd: token's line is not in the table")
		}
	}
}

// maxima raises best, a value per lane, to the similarities of tokens with
// the given dot products.
func (p *int8Tiles) maxima(best []float32, dots []int32, tokens []Token, scales, lines []float32) {
	stride := strideOf(p.rows)
	for first := 0; first < p.rows; first += largestBlock {
		scoreMaxima(p.level, blockOf(p.rows-first), &best[first], &dots[first], stride, &tokens[0].Line, len(tokens),
			&scales[first], &lines[first])
	}
}

// plainMaxima is what the kernels do, in Go, for the rows of best.
func plainMaxima(best []float32, dots []int32, stride int, tokens []Token, scales, lines []float32) {
	for i, t := range tokens {
		line, dots := lines[int(t.Line)*stride:], dots[i*stride:]
		for j, b := range best {
			// The conversions keep the compiler from fusing operations, which
			// would round differently on some machines.
			step := float32(scales[j] * t.Scale)
			best[j] = larger(t.Factor*float32(line[j]+float32(step*float32(dots[j]))), b)
		}
	}
}

// larger returns the larger of two values, b if a is NaN.
func larger(a, b float32) float32 {
	if a > b {
		return a
	}
	return b
}
