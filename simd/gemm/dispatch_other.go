//go:build !amd64 || noasm

package gemm

func multiply(dst, a Rows, panel []float32, inner int, bias *[Panel]float32) {
	multiplyGo(dst, a, panel, inner, bias)
}

func multiplyBytes(dst Rows, a Bytes, rows int, p bytesPanel) { multiplyBytesGo(dst, a, rows, p) }

func transposePanel(panel []float32, src Rows, inner int) { transposeGo(panel, src, inner) }

func quantizeRow(dst []byte, scale *float32, src []float32) { quantizeGo(dst, scale, src) }

func gelu(x Rows) { each(x, geluOf) }

func geluTanh(x Rows) { each(x, geluTanhOf) }

func relu(x Rows) { each(x, reluOf) }

func softmax(x Rows, n int, scale float32) { softmaxGo(x, n, scale) }

func addNorm(dst, a, b, gamma, beta []float32, epsilon float32) {
	addNormGo(dst, a, b, gamma, beta, epsilon)
}
