package simd

// larger returns the larger of two values, b if a is NaN.
func larger(a, b float32) float32 {
	if a > b {
		return a
	}
	return b
}
