package codec

import (
	"math"
	"slices"
)

// levels are the codes of one dimension: code i stands for residuals from
// cuts[i-1] up to cuts[i] and for the weight scale * weights[i].
//
// The cuts halve the line again and again, each time where the two halves are
// best told apart, so that the first bit of a code is the code of the level
// above: planes nest. For residuals spread like a normal distribution this is
// the Lloyd-Max quantiser at 1 and 2 bits and close to it at 4; cuts at
// quantiles, as in ColBERTv2, nest too, but waste codes on the dense middle.
type levels struct {
	scale   float32
	cuts    []float32
	weights []int8
}

// A weight is at most 31 in size (63 at 4 bits), which costs no quality and
// lets kernels add up several products in 16 bits.
const (
	largestWeight     = 31
	largestWeight4Bit = 63
)

// weightLimit returns the largest weight at so many bits.
func weightLimit(bits int) int {
	if bits == 4 {
		return largestWeight4Bit
	}
	return largestWeight
}

// trainLevels learns the codes of so many bits from residual components, which
// it sorts. Without any it assumes a normal distribution.
func trainLevels(sample []float32, bits int) levels {
	slices.Sort(sample)
	if len(sample) == 0 || sample[0] == sample[len(sample)-1] {
		sample = normalQuantiles(1 << 12)
	}
	sums := make([]float64, len(sample)+1)
	for i, x := range sample {
		sums[i+1] = sums[i] + float64(x)
	}
	var l levels
	var means []float64
	var halve func(lo, hi, bits int, edge float32)
	halve = func(lo, hi, bits int, edge float32) {
		if bits == 0 {
			mean := float64(edge)
			if hi > lo {
				mean = (sums[hi] - sums[lo]) / float64(hi-lo)
			}
			means = append(means, mean)
			return
		}
		mid, cut := twoMeans(sample, sums, lo, hi, edge)
		halve(lo, mid, bits-1, cut)
		l.cuts = append(l.cuts, cut)
		halve(mid, hi, bits-1, cut)
	}
	halve(0, len(sample), bits, 0)

	limit := float64(weightLimit(bits))
	var largest float64
	for _, m := range means {
		largest = max(largest, math.Abs(m))
	}
	l.scale = float32(largest / limit)
	for _, m := range means {
		l.weights = append(l.weights, int8(math.Round(m/largest*limit)))
	}
	return l
}

// twoMeans splits sample[lo:hi], sorted, into the two parts with the least
// squared distance to their means. sums[i] is the sum of the first i values.
// Where all values are equal, none is in the upper part; edge is the cut of an
// empty range.
func twoMeans(sample []float32, sums []float64, lo, hi int, edge float32) (mid int, cut float32) {
	if lo == hi {
		return lo, edge
	}
	mid, cut = hi, sample[hi-1]
	best := math.Inf(-1)
	for i := lo + 1; i < hi; i++ {
		if sample[i-1] == sample[i] {
			continue
		}
		a, b := sums[i]-sums[lo], sums[hi]-sums[i]
		between := a*a/float64(i-lo) + b*b/float64(hi-i)
		if between > best {
			best, mid, cut = between, i, sample[i-1]+(sample[i]-sample[i-1])/2
		}
	}
	return mid, cut
}

// normalQuantiles returns n values spread like a standard normal distribution.
func normalQuantiles(n int) []float32 {
	q := make([]float32, n)
	for i := range q {
		q[i] = float32(math.Sqrt2 * math.Erfinv(2*(float64(i)+0.5)/float64(n)-1))
	}
	return q
}

// code returns the code of a residual component.
func (l *levels) code(x float32) uint8 {
	code := 0
	for half := len(l.weights) / 2; half > 0; half /= 2 {
		if x >= l.cuts[code+half-1] {
			code += half
		}
	}
	return uint8(code)
}
