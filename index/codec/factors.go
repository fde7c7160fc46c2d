package codec

import (
	"math"
	"sort"
)

// factors are the 255 lengths that a residual vector may be multiplied by, and
// zero. Codes 1 to 255 are low, low * ratio, low * ratio² and so on: among
// unit vectors, whose factors lie close together, a step is a thousandth or
// less.
type factors struct {
	low, ratio float32
	table      [256]float32
}

// widestFactors bounds the largest factor over the smallest. Vectors of
// lengths further apart than that lose the length of the shortest.
const widestFactors = 1 << 14

// newFactors fills the table. Multiplications of float64 give the same table
// on every machine.
func newFactors(low, ratio float32) factors {
	f := factors{low: low, ratio: ratio}
	x := float64(low)
	for code := 1; code < len(f.table); code++ {
		f.table[code] = float32(x)
		x *= float64(ratio)
	}
	return f
}

// trainFactors returns the table for the factors of a sample; of vectors that
// are all zero or of none, the one for unit vectors.
func trainFactors(sample []float64) factors {
	low, high := math.Inf(1), 0.0
	for _, x := range sample {
		if x > 0 {
			low, high = min(low, x), max(high, x)
		}
	}
	if high == 0 {
		low, high = 0.5, 2
	}
	// Vectors to come may lie a little outside.
	high *= 1.05
	low = max(low/1.05, high/widestFactors)
	return newFactors(float32(low), float32(math.Pow(high/low, 1.0/254)))
}

// code returns the code of the entry nearest to x >= 0 by ratio.
func (f *factors) code(x float64) byte {
	if x < float64(f.low)/2 {
		return 0
	}
	square := x * x
	return byte(1 + sort.Search(254, func(i int) bool {
		return square < float64(f.table[i+1])*float64(f.table[i+2])
	}))
}

// valid reports whether low and ratio can come from trainFactors.
func (f *factors) valid() bool {
	return f.low >= 1/float32(MaxComponent) && f.low <= MaxComponent && f.ratio >= 1 && f.ratio <= 1.04
}
