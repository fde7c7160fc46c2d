package simd

// PeakLoop is a calibration loop: it multiplies and adds in registers, with
// independent sums and nothing to read or write, so no kernel made of the same
// instructions can do more products a second. It is for benchmarks, which
// compare kernels with it. The zero value has no loop.
type PeakLoop struct {
	Products int             // multiplied and added by one turn
	Run      func(turns int) // at least one; cannot be interrupted meanwhile
}

// FloatPeak returns the current level's loop for float32: VFMADD231PS. Plain
// Go has none.
func FloatPeak() PeakLoop { return floatPeak(current) }

// Int8Peak returns the current level's loop for bytes: VPDPBUSD with AVX-512,
// and with AVX2 the five instructions (two VPMADDUBSW, VPADDW, VPMADDWD,
// VPADDD) that add up 64 products. Plain Go has none.
func Int8Peak() PeakLoop { return int8Peak(current) }
