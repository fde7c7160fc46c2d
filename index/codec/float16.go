package codec

import "math"

// float16 returns x >= 0 as an IEEE 754 half, rounded half to even and held
// within the finite range.
func float16(x float32) uint16 {
	const largest = 65504
	switch {
	case !(x < largest): // NaN too
		return 0x7bff
	case x < 1.0/(1<<14): // subnormal: multiples of 2^-24
		return uint16(math.RoundToEven(float64(x) * (1 << 24)))
	}
	bits := math.Float32bits(x)
	bits += 0xfff + bits>>13&1 // a carry moves into the exponent, as it should
	return uint16(bits>>13 - (127-15)<<10)
}

// fromFloat16 returns the value of a half that is finite and not negative; ok
// is false for any other.
func fromFloat16(h uint16) (x float32, ok bool) {
	if h >= 0x7c00 {
		return 0, false
	}
	if h < 0x400 {
		return float32(h) * (1.0 / (1 << 24)), true
	}
	return math.Float32frombits(uint32(h)<<13 + (127-15)<<23), true
}
