package simd_test

import (
	"fmt"

	"github.com/pare-search/pare/simd"
)

// MaxSim adds up, over the rows of a query, the largest dot product with any
// row of the document.
func ExampleQuery_MaxSim() {
	query := simd.NewMatrix(2, 8)
	query.Row(0)[0], query.Row(1)[1] = 1, 1
	document := simd.NewMatrix(3, 8)
	document.Row(0)[0] = 0.5
	document.Row(1)[0], document.Row(1)[1] = 0.75, 0.25
	document.Row(2)[7] = 1

	q := simd.PackQuery(query)
	best := make([]float32, q.Rows)
	simd.Reset(best)
	q.MaxSim(document, best)
	fmt.Println(best, simd.Sum(best))
	// Output: [0.75 0.25] 1
}

// Codes of 2 bits are scored by looking sums up: no vector is rebuilt.
func ExampleCodeQuery() {
	query := simd.NewMatrix(1, 8)
	query.Row(0)[0], query.Row(0)[1] = 1, -1 // 127 and -127 as int8
	weights := []int8{-30, -10, 10, 30}      // what codes 0 to 3 stand for

	planes := make([]byte, simd.PlaneBytes(1, 8, 2))
	simd.SetCode(planes, 1, 8, 2, 0, 0, 3) // token 0, dimension 0: weight 30
	simd.SetCode(planes, 1, 8, 2, 0, 1, 1) // dimension 1: weight -10

	var q simd.CodeQuery
	q.Reset(simd.PackQuery(query), nil, weights, 1)
	dots := make([]int32, q.Stride())
	q.Dots(dots, planes, 1)
	fmt.Println(dots[0] == 127*30+127*10)
	// Output: true
}
