package gemm_test

import (
	"fmt"

	"github.com/pare-search/pare/simd/gemm"
)

// One row of two inputs, through a layer of three outputs.
func Example() {
	weights := gemm.Pack([]float32{
		1, 0, // the first output's weights
		0, 1,
		2, 2,
	}, 3, 2, []float32{0, 0, -10})
	inputs := gemm.Rows{Data: make([]float32, gemm.TileRows(1)*2), Count: 1, Stride: 2}
	copy(inputs.Data, []float32{1, 3})

	outputs := gemm.Rows{Data: make([]float32, gemm.RoundUp(3)), Count: 1, Stride: gemm.RoundUp(3)}
	for p := range weights.Panels() {
		weights.Multiply(outputs.Columns(p*gemm.Panel), inputs, p)
	}
	gemm.ReLU(outputs)
	fmt.Println(outputs.Data[:3])
	// Output: [1 3 0]
}
