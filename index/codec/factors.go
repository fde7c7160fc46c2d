package codec

import (
	"math"
	"sort"
)

// factors are what a residual vector may be multiplied by to have its length:
// 201 values for those of the training sample, which lie close together among
// unit vectors, so that a step is a thousandth or two; 27 above and 27 below,
// up to 16,384 times further out in steps of 1.43, for vectors of other
// lengths; and zero, for vectors that are zero. Codes ascend with the factors.
type factors struct {
	low, ratio float32 // of the 201
	table      [256]float32
}

const (
	firstFactor = 28  // the code of low
	lastFactor  = 228 // the code of low * ratio^200
	// outerRatio is the step outside of these.
	outerRatio = 1.43
	// A factor lies within these bounds, that scores of the largest components
	// stay finite.
	leastFactor, mostFactor = 1.0 / (1 << 16), 1 << 16
)

// newFactors fills the table. Multiplications of float64 give the same table
// on every machine.
func newFactors(low, ratio float32) factors {
	f := factors{low: low, ratio: ratio}
	x := float64(low)
	for code := firstFactor; code <= lastFactor; code++ {
		f.table[code] = float32(x)
		x *= float64(ratio)
	}
	x = float64(low)
	for code := firstFactor - 1; code > 0; code-- {
		x = max(x/outerRatio, leastFactor)
		f.table[code] = float32(x)
	}
	x = float64(f.table[lastFactor])
	for code := lastFactor + 1; code < len(f.table); code++ {
		x = min(x*outerRatio, mostFactor)
		f.table[code] = float32(x)
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
	low = min(max(low, leastFactor), mostFactor)
	high = min(max(high, low), mostFactor)
	return newFactors(float32(low), float32(math.Pow(high/low, 1.0/(lastFactor-firstFactor))))
}

// code returns the code of the entry nearest to x by ratio, 0 only for 0.
func (f *factors) code(x float64) byte {
	if x == 0 {
		return 0
	}
	square := x * x
	return byte(1 + sort.Search(254, func(i int) bool {
		return square < float64(f.table[i+1])*float64(f.table[i+2])
	}))
}

// valid reports whether low and ratio can come from trainFactors.
func (f *factors) valid() bool {
	last := float64(f.table[lastFactor])
	return f.low >= leastFactor && f.low <= mostFactor && f.ratio >= 1 && f.ratio <= 1.2 && last <= 1.001*mostFactor
}
