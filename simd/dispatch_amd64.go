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

// floatMaxima raises the block's maxima to the dot products. It reads ahead from
// next on, so many bytes for eight dimensions of a tile.
func floatMaxima(l level, rows int, best, query, vectors *float32, n, dim int, next *float32, nextStep int) {
	switch {
	case rows == 8:
		floatMaxima8AVX2(best, 0, query, vectors, n, dim, next, nextStep)
	case rows == 16 && l == levelAVX512:
		floatMaxima16AVX512(best, 0, query, vectors, n, dim, next, nextStep)
	case rows == 16:
		floatMaxima16AVX2(best, 0, query, vectors, n, dim, next, nextStep)
	case l == levelAVX512:
		floatMaxima32AVX512(best, 0, query, vectors, n, dim, next, nextStep)
	default:
		floatMaxima32AVX2(best, 0, query, vectors, n, dim, next, nextStep)
	}
}

// widen extends vectors of int8 values to blocks of words.
func widen(dst, src *byte, tokens, dim, chunks int) { widenAVX2(dst, src, tokens, dim, chunks) }

// int8Maxima scores int8 vectors with AVX-512.
func int8Maxima(rows int, a *byteArgs) {
	switch rows {
	case 4:
		int8Maxima4AVX512(&a.tokens)
	case 8:
		int8Maxima8AVX512(&a.tokens)
	case 16:
		int8Maxima16AVX512(&a.tokens)
	default:
		int8Maxima32AVX512(&a.tokens)
	}
}

// codeMaxima scores codes with AVX-512.
func codeMaxima(codeBits, rows int, a *tileArgs) {
	switch 100*codeBits + rows {
	case 104:
		code1Maxima4AVX512(&a.tokens)
	case 108:
		code1Maxima8AVX512(&a.tokens)
	case 116:
		code1Maxima16AVX512(&a.tokens)
	case 124:
		code1Maxima24AVX512(&a.tokens)
	case 132:
		code1Maxima32AVX512(&a.tokens)
	case 204:
		code2Maxima4AVX512(&a.tokens)
	case 208:
		code2Maxima8AVX512(&a.tokens)
	case 216:
		code2Maxima16AVX512(&a.tokens)
	case 224:
		code2Maxima24AVX512(&a.tokens)
	case 232:
		code2Maxima32AVX512(&a.tokens)
	case 404:
		code4Maxima4AVX512(&a.tokens)
	case 408:
		code4Maxima8AVX512(&a.tokens)
	case 416:
		code4Maxima16AVX512(&a.tokens)
	case 424:
		code4Maxima24AVX512(&a.tokens)
	case 432:
		code4Maxima32AVX512(&a.tokens)
	}
}

// decodePlanes decodes a document with AVX2.
func decodePlanes(codeBits int, a *tileArgs) {
	switch codeBits {
	case 1:
		decode1AVX2(&a.tokens)
	case 2:
		decode2AVX2(&a.tokens)
	default:
		decode4AVX2(&a.tokens)
	}
}

// tileMaxima scores bytes with AVX2.
func tileMaxima(rows, sums int, a *tileArgs) {
	switch 100*rows + sums {
	case 800:
		tile8Sums0AVX2(&a.tokens)
	case 801:
		tile8Sums1AVX2(&a.tokens)
	case 802:
		tile8Sums2AVX2(&a.tokens)
	case 804:
		tile8Sums4AVX2(&a.tokens)
	case 832:
		tile8Sums32AVX2(&a.tokens)
	case 1600:
		tile16Sums0AVX2(&a.tokens)
	case 1601:
		tile16Sums1AVX2(&a.tokens)
	case 1602:
		tile16Sums2AVX2(&a.tokens)
	case 1604:
		tile16Sums4AVX2(&a.tokens)
	case 1632:
		tile16Sums32AVX2(&a.tokens)
	case 2400:
		tile24Sums0AVX2(&a.tokens)
	case 2401:
		tile24Sums1AVX2(&a.tokens)
	case 2402:
		tile24Sums2AVX2(&a.tokens)
	case 2404:
		tile24Sums4AVX2(&a.tokens)
	case 2432:
		tile24Sums32AVX2(&a.tokens)
	case 3200:
		tile32Sums0AVX2(&a.tokens)
	case 3201:
		tile32Sums1AVX2(&a.tokens)
	case 3202:
		tile32Sums2AVX2(&a.tokens)
	case 3204:
		tile32Sums4AVX2(&a.tokens)
	case 3232:
		tile32Sums32AVX2(&a.tokens)
	}
}

// scanCells compares cells with a block of rows.
func scanCells(l level, rows, sums int, a *scanArgs) {
	if l == levelAVX512 {
		switch rows {
		case 4:
			scan4AVX512(&a.blocks)
		case 8:
			scan8AVX512(&a.blocks)
		case 16:
			scan16AVX512(&a.blocks)
		case 24:
			scan24AVX512(&a.blocks)
		case 32:
			scan32AVX512(&a.blocks)
		}
		return
	}
	switch 100*rows + sums {
	case 800:
		scan8Sums0AVX2(&a.blocks)
	case 801:
		scan8Sums1AVX2(&a.blocks)
	case 802:
		scan8Sums2AVX2(&a.blocks)
	case 1600:
		scan16Sums0AVX2(&a.blocks)
	case 1601:
		scan16Sums1AVX2(&a.blocks)
	case 1602:
		scan16Sums2AVX2(&a.blocks)
	case 2400:
		scan24Sums0AVX2(&a.blocks)
	case 2401:
		scan24Sums1AVX2(&a.blocks)
	case 2402:
		scan24Sums2AVX2(&a.blocks)
	case 3200:
		scan32Sums0AVX2(&a.blocks)
	case 3201:
		scan32Sums1AVX2(&a.blocks)
	case 3202:
		scan32Sums2AVX2(&a.blocks)
	}
}

// blockMaxima writes the largest values of a block of rows in blocks of cells.
func blockMaxima(rows int, dst, values *int16, stride, cells, blocks int) {
	switch rows {
	case 8:
		blockMaxima8AVX2(dst, values, stride, cells, blocks)
	case 16:
		blockMaxima16AVX2(dst, values, stride, cells, blocks)
	default:
		blockMaxima32AVX2(dst, values, stride, cells, blocks)
	}
}

// above finds the cells of which a value of the block of rows exceeds the row's
// limit, and returns how many they are. It writes each one's number, from first
// on, with a bit for every such row in the upper half; dst has room for one
// more than there are cells.
func above(rows int, dst *uint64, values, limits *int16, stride, first, cells int) int {
	switch rows {
	case 8:
		return above8AVX2(dst, values, limits, stride, first, cells)
	case 16:
		return above16AVX2(dst, values, limits, stride, first, cells)
	}
	return above32AVX2(dst, values, limits, stride, first, cells)
}

// rankCells adds up the largest bytes of a block of rows among n > 0 cells.
func rankCells(rows, width int, ids *byte, n int, bytes *byte, stride, lastCell int, next *byte) uint64 {
	switch 10*rows + width {
	case 82:
		return rank8Width2AVX2(ids, n, bytes, stride, lastCell, next)
	case 83:
		return rank8Width3AVX2(ids, n, bytes, stride, lastCell, next)
	case 162:
		return rank16Width2AVX2(ids, n, bytes, stride, lastCell, next)
	case 163:
		return rank16Width3AVX2(ids, n, bytes, stride, lastCell, next)
	case 322:
		return rank32Width2AVX2(ids, n, bytes, stride, lastCell, next)
	}
	return rank32Width3AVX2(ids, n, bytes, stride, lastCell, next)
}

// cellMaxima raises the maxima of a block of rows to the weighted values of
// n > 0 cells.
func cellMaxima(rows int, best *float32, values *int16, stride int, cells *uint32, n, lastCell int, weights *float32) {
	switch rows {
	case 8:
		cellMaxima8AVX2(best, values, stride, cells, n, lastCell, weights)
	case 16:
		cellMaxima16AVX2(best, values, stride, cells, n, lastCell, weights)
	default:
		cellMaxima32AVX2(best, values, stride, cells, n, lastCell, weights)
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
