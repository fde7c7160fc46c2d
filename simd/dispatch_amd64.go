//go:build !noasm

package simd

import "golang.org/x/sys/cpu"

//go:generate go run -C _asm . -out ../kernels_amd64.s -stubs ../kernels_amd64.go -pkg simd

func bestLevel() level {
	x := &cpu.X86
	switch {
	case !x.HasAVX2 || !x.HasFMA:
		return levelGo
	case x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL && x.HasAVX512VNNI && x.HasAVX512VBMI:
		return levelAVX512
	}
	return levelAVX2
}

// floatDots writes the dot products of n vectors with a block of rows: those
// of vector t from dst[t*stride] on.
func floatDots(l level, rows int, dst *float32, stride int, query, vectors *float32, n, dim int) {
	switch {
	case rows == 8:
		floatDots8AVX2(dst, stride, query, vectors, n, dim)
	case rows == 16 && l == levelAVX512:
		floatDots16AVX512(dst, stride, query, vectors, n, dim)
	case rows == 16:
		floatDots16AVX2(dst, stride, query, vectors, n, dim)
	case l == levelAVX512:
		floatDots32AVX512(dst, stride, query, vectors, n, dim)
	default:
		floatDots32AVX2(dst, stride, query, vectors, n, dim)
	}
}

// floatMaxima raises the block's maxima to the dot products.
func floatMaxima(l level, rows int, best, query, vectors *float32, n, dim int) {
	switch {
	case rows == 8:
		floatMaxima8AVX2(best, 0, query, vectors, n, dim)
	case rows == 16 && l == levelAVX512:
		floatMaxima16AVX512(best, 0, query, vectors, n, dim)
	case rows == 16:
		floatMaxima16AVX2(best, 0, query, vectors, n, dim)
	case l == levelAVX512:
		floatMaxima32AVX512(best, 0, query, vectors, n, dim)
	default:
		floatMaxima32AVX2(best, 0, query, vectors, n, dim)
	}
}

// maximaOf raises a block's maxima to the weighted dot products of the given
// vectors.
func maximaOf(rows int, best, dots *float32, stride int, weights *float32, vectors *uint32, n int) {
	switch rows {
	case 8:
		maximaOf8AVX2(best, dots, stride, weights, vectors, n)
	case 16:
		maximaOf16AVX2(best, dots, stride, weights, vectors, n)
	default:
		maximaOf32AVX2(best, dots, stride, weights, vectors, n)
	}
}

// bytesDots writes start plus the dot products of n unsigned vectors with a
// block of rows.
func bytesDots(l level, rows int, dst *int32, stride int, query *int8, start *int32, vectors *byte, n, dim int) {
	switch {
	case rows == 4:
		bytesDots4AVX512(dst, stride, query, start, vectors, n, dim)
	case rows == 8 && l == levelAVX512:
		bytesDots8AVX512(dst, stride, query, start, vectors, n, dim)
	case rows == 8:
		bytesDots8AVX2(dst, stride, query, start, vectors, n, dim)
	case rows == 16 && l == levelAVX512:
		bytesDots16AVX512(dst, stride, query, start, vectors, n, dim)
	case rows == 16:
		bytesDots16AVX2(dst, stride, query, start, vectors, n, dim)
	case l == levelAVX512:
		bytesDots32AVX512(dst, stride, query, start, vectors, n, dim)
	default:
		bytesDots32AVX2(dst, stride, query, start, vectors, n, dim)
	}
}

// wordsDots writes the dot products of n vectors with a block of rows.
func wordsDots(rows int, dst *int32, stride int, query, vectors *int16, n, dim int) {
	switch rows {
	case 8:
		wordsDots8AVX2(dst, stride, query, vectors, n, dim)
	case 16:
		wordsDots16AVX2(dst, stride, query, vectors, n, dim)
	default:
		wordsDots32AVX2(dst, stride, query, vectors, n, dim)
	}
}

// decode writes the weights of blocks of 64 codes.
func decode(l level, codeBits int, dst, plane0, plane1, plane2 *byte, blocks int, weights *[16]byte) {
	switch {
	case codeBits == 1 && l == levelAVX512:
		decode1AVX512(dst, plane0, plane1, plane2, blocks, weights)
	case codeBits == 1:
		decode1AVX2(dst, plane0, plane1, plane2, blocks, weights)
	case codeBits == 2 && l == levelAVX512:
		decode2AVX512(dst, plane0, plane1, plane2, blocks, weights)
	case codeBits == 2:
		decode2AVX2(dst, plane0, plane1, plane2, blocks, weights)
	case l == levelAVX512:
		decode4AVX512(dst, plane0, plane1, plane2, blocks, weights)
	default:
		decode4AVX2(dst, plane0, plane1, plane2, blocks, weights)
	}
}

// unsign adds 128 to blocks of 64 bytes.
func unsign(dst, src *byte, blocks int) { unsignAVX512(dst, src, blocks) }

// widen extends blocks of 64 int8 values to 16 bits.
func widen(dst *int16, src *byte, blocks int) { widenAVX2(dst, src, blocks) }

// scoreMaxima raises a block's maxima to the similarities of n tokens.
func scoreMaxima(l level, rows int, best *float32, dots *int32, stride int, tokens *int32, n int, scales, lines *float32) {
	switch {
	case rows == 8:
		scoreMaxima8AVX2(best, dots, stride, tokens, n, scales, lines)
	case rows == 16 && l == levelAVX512:
		scoreMaxima16AVX512(best, dots, stride, tokens, n, scales, lines)
	case rows == 16:
		scoreMaxima16AVX2(best, dots, stride, tokens, n, scales, lines)
	case l == levelAVX512:
		scoreMaxima32AVX512(best, dots, stride, tokens, n, scales, lines)
	default:
		scoreMaxima32AVX2(best, dots, stride, tokens, n, scales, lines)
	}
}

// peakSums is the number of independent sums of a peak loop.
const peakSums = 12

// floatPeak returns the peak loop for float32 values.
func floatPeak(l level) PeakLoop {
	switch l {
	case levelAVX512:
		return PeakLoop{peakSums * 16, peakFloatAVX512}
	case levelAVX2:
		return PeakLoop{peakSums * 8, peakFloatAVX2}
	}
	return PeakLoop{}
}

// int8Peak returns the peak loop for bytes.
func int8Peak(l level) PeakLoop {
	switch l {
	case levelAVX512:
		return PeakLoop{peakSums * 64, peakInt8AVX512}
	case levelAVX2:
		return PeakLoop{peakSums * 64, peakInt8AVX2}
	}
	return PeakLoop{}
}
