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
