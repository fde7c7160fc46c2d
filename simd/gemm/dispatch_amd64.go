//go:build !noasm

package gemm

import "github.com/pare-search/pare/simd"

//go:generate go run -C ../_asm ./gemm -out ../gemm/kernels_amd64.s -stubs ../gemm/kernels_amd64.go -pkg gemm

// level is that of package simd.
type level uint8

const (
	levelGo level = iota
	levelAVX2
	levelAVX512
)

func current() level {
	switch simd.Level() {
	case "avx512":
		return levelAVX512
	case "avx2":
		return levelAVX2
	}
	return levelGo
}

func multiply(dst, a Rows, panel []float32, inner int, bias *[Panel]float32) {
	switch current() {
	case levelAVX512:
		floatTileAVX512(&dst.Data[0], dst.Stride, &a.Data[0], a.Stride, a.Count, &panel[0], inner, &bias[0])
	case levelAVX2:
		floatTileAVX2(&dst.Data[0], dst.Stride, &a.Data[0], a.Stride, a.Count, &panel[0], inner, &bias[0])
	default:
		multiplyGo(dst, a, panel, inner, bias)
	}
}

func multiplyBytes(dst Rows, a Bytes, rows int, p bytesPanel) {
	switch current() {
	case levelAVX512:
		bytesTileAVX512(&dst.Data[0], dst.Stride, &a.Data[0], a.Stride, rows, &a.Scales[0], &p.values[0], p.inner, &p.start[0], &p.scales[0], &p.bias[0])
	case levelAVX2:
		bytesTileAVX2(&dst.Data[0], dst.Stride, &a.Data[0], a.Stride, rows, &a.Scales[0], &p.values[0], p.inner, &p.start[0], &p.scales[0], &p.bias[0])
	default:
		multiplyBytesGo(dst, a, rows, p)
	}
}

func transposePanel(panel []float32, src Rows, inner int) {
	if current() == levelGo {
		transposeGo(panel, src, inner)
		return
	}
	transposeAVX2(&panel[0], &src.Data[0], src.Stride, inner)
}

func quantizeRow(dst []byte, scale *float32, src []float32) {
	switch current() {
	case levelAVX512:
		quantizeAVX512(&dst[0], scale, &src[0], len(src))
	case levelAVX2:
		quantizeAVX2(&dst[0], scale, &src[0], len(src))
	default:
		quantizeGo(dst, scale, src)
	}
}

func gelu(x Rows) {
	switch current() {
	case levelAVX512:
		geluAVX512(&x.Data[0], x.Stride, x.Count)
	case levelAVX2:
		geluAVX2(&x.Data[0], x.Stride, x.Count)
	default:
		each(x, geluOf)
	}
}

func geluTanh(x Rows) {
	switch current() {
	case levelAVX512:
		geluTanhAVX512(&x.Data[0], x.Stride, x.Count)
	case levelAVX2:
		geluTanhAVX2(&x.Data[0], x.Stride, x.Count)
	default:
		each(x, geluTanhOf)
	}
}

func relu(x Rows) {
	switch current() {
	case levelAVX512:
		reluAVX512(&x.Data[0], x.Stride, x.Count)
	case levelAVX2:
		reluAVX2(&x.Data[0], x.Stride, x.Count)
	default:
		each(x, reluOf)
	}
}

func softmax(x Rows, n int, scale float32) {
	switch current() {
	case levelAVX512:
		softmaxAVX512(&x.Data[0], x.Stride, x.Count, n, scale)
	case levelAVX2:
		softmaxAVX2(&x.Data[0], x.Stride, x.Count, n, scale)
	default:
		softmaxGo(x, n, scale)
	}
}

func addNorm(dst, a, b, gamma, beta []float32, epsilon float32) {
	switch l := current(); {
	case l == levelAVX512 && len(dst)%16 == 0:
		addNormAVX512(&dst[0], &a[0], &b[0], &gamma[0], &beta[0], len(dst), epsilon)
	case l != levelGo:
		addNormAVX2(&dst[0], &a[0], &b[0], &gamma[0], &beta[0], len(dst), epsilon)
	default:
		addNormGo(dst, a, b, gamma, beta, epsilon)
	}
}
