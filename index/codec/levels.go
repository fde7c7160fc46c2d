package codec

import (
	"context"
	"encoding/binary"
	"math"
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

	// digits are the cuts in the order in which two bits of a code at a time are
	// told: those of the first two, then those of the next two for each of the
	// first.
	digits [][4][3]float32
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
// it sorts. Without any it assumes a normal distribution. The error is that of ctx.
func trainLevels(ctx context.Context, sample []float32, bits int) (levels, error) {
	sortFloats(ctx, sample)
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
		if ctx.Err() != nil {
			return
		}
		if bits == 0 {
			mean := float64(edge)
			if hi > lo {
				mean = (sums[hi] - sums[lo]) / float64(hi-lo)
			}
			means = append(means, mean)
			return
		}
		mid, cut := twoMeans(ctx, sample, sums, lo, hi, edge)
		halve(lo, mid, bits-1, cut)
		l.cuts = append(l.cuts, cut)
		halve(mid, hi, bits-1, cut)
	}
	halve(0, len(sample), bits, 0)
	if err := ctx.Err(); err != nil {
		return levels{}, err
	}

	limit := float64(weightLimit(bits))
	var largest float64
	for _, m := range means {
		largest = max(largest, math.Abs(m))
	}
	l.scale = float32(largest / limit)
	for _, m := range means {
		l.weights = append(l.weights, int8(math.Round(m/largest*limit)))
	}
	l.setDigits()
	return l, nil
}

// setDigits sets the digits, once there are cuts.
func (l *levels) setDigits() {
	codes := len(l.weights)
	if codes == 2 {
		none := float32(math.NaN()) // which nothing reaches
		l.digits = [][4][3]float32{{{l.cuts[0], none, none}}}
		return
	}
	l.digits = nil
	// Each digit cuts every part that the digits before leave into four.
	for parts := 1; parts < codes; parts *= 4 {
		var digit [4][3]float32
		quarter := codes / parts / 4
		for part := range parts {
			for i := range digit[part] {
				digit[part][i] = l.cuts[(4*part+i+1)*quarter-1]
			}
		}
		l.digits = append(l.digits, digit)
	}
}

// numbersAtOnce is how many numbers are sorted or added up between two looks at a
// context.
const numbersAtOnce = 1 << 16

// sortFloats sorts values, none of them NaN, digit by digit from the lowest,
// which is several times as fast as comparing them. It stops when ctx ends.
func sortFloats(ctx context.Context, values []float32) {
	const digitBits, digits = 11, 3
	from, to := make([]uint32, len(values)), make([]uint32, len(values))
	var counts [digits][1 << digitBits]int
	parts(ctx, len(values), numbersAtOnce, func(lo, hi int) {
		for i, x := range values[lo:hi] {
			// Ordered like the numbers: all bits of a negative one are flipped, and
			// the sign of the others.
			bits := math.Float32bits(x)
			bits ^= uint32(int32(bits)>>31) | 1<<31
			from[lo+i] = bits
			for d := range counts {
				counts[d][bits>>(d*digitBits)%(1<<digitBits)]++
			}
		}
	})
	for d := range counts {
		sum := 0
		for i, n := range counts[d] {
			counts[d][i] = sum
			sum += n
		}
		parts(ctx, len(from), numbersAtOnce, func(lo, hi int) {
			for _, bits := range from[lo:hi] {
				at := &counts[d][bits>>(d*digitBits)%(1<<digitBits)]
				to[*at] = bits
				*at++
			}
		})
		if ctx.Err() != nil {
			return
		}
		from, to = to, from
	}
	for i, bits := range from {
		bits ^= uint32(^int32(bits)>>31) | 1<<31
		values[i] = math.Float32frombits(bits)
	}
}

// twoMeans splits sample[lo:hi], sorted, into the two parts with the least
// squared distance to their means. sums[i] is the sum of the first i values.
// Where all values are equal, none is in the upper part; edge is the cut of an
// empty range. It stops when ctx ends.
func twoMeans(ctx context.Context, sample []float32, sums []float64, lo, hi int, edge float32) (mid int, cut float32) {
	if lo == hi {
		return lo, edge
	}
	mid, cut = hi, sample[hi-1]
	best := math.Inf(-1)
	parts(ctx, hi-lo-1, numbersAtOnce, func(from, to int) {
		for i := lo + 1 + from; i < lo+1+to; i++ {
			if sample[i-1] == sample[i] {
				continue
			}
			a, b := sums[i]-sums[lo], sums[hi]-sums[i]
			between := a*a/float64(i-lo) + b*b/float64(hi-i)
			if between > best {
				best, mid, cut = between, i, sample[i-1]+(sample[i]-sample[i-1])/2
			}
		}
	})
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

// code writes the code of every residual component (v-centroid) * inverse.
func (l *levels) code(codes []uint8, v, centroid []float32, inverse float32) {
	codes, centroid = codes[:len(v)], centroid[:len(v)]
	clear(codes)
	for i := range l.digits {
		parts := &l.digits[i]
		// Codes are as good as random: branches would be mispredicted.
		for d, x := range v {
			r := (x - centroid[d]) * inverse
			cuts := &parts[codes[d]%4]
			codes[d] = 4*codes[d] + reached(r, cuts[0]) + reached(r, cuts[1]) + reached(r, cuts[2])
		}
	}
}

// reached returns 1 if x reaches the cut and 0 if not.
func reached(x, cut float32) uint8 {
	if x >= cut {
		return 1
	}
	return 0
}

// putPlanes stores the codes of one of so many vectors as SetCode does, eight
// dimensions at a time.
func putPlanes(planes []byte, vectors, bits, vector int, codes []uint8) {
	width := len(codes) / 8
	for p := range bits {
		plane := planes[(p*vectors+vector)*width:][:width]
		for i := range plane {
			plane[i] = lowBits(binary.LittleEndian.Uint64(codes[8*i:]) >> (bits - 1 - p))
		}
	}
}

// lowBits gathers the lowest bit of each of eight bytes.
func lowBits(bytes uint64) byte {
	// Byte i times 2^(56-7i) leaves its bit in place i of the highest byte;
	// the other products lie elsewhere and carry nothing over.
	return byte(bytes & 0x0101010101010101 * 0x0102040810204080 >> 56)
}
