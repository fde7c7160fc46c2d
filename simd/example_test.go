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

// A document whose vectors lie in cells is ranked by the cells alone: the
// nearest one counts for each row of the query.
func ExampleCellRows() {
	query := simd.NewMatrix(2, 8)
	query.Row(0)[0], query.Row(1)[1] = 1, 1

	centroids := make([]int8, 3*8)
	centroids[0*8+0], centroids[1*8+1] = 30, 30   // near a row each
	centroids[2*8+0], centroids[2*8+1] = -21, -21 // opposite
	scale := []float32{1. / 30, 1. / 30, 1. / 30}
	table := simd.NewCellTable(8, centroids, scale, nil)

	var cells simd.CellRows
	cells.Scan(simd.PackQuery(query), nil, table)
	for row := range cells.Rows() {
		var similarities []float32
		for cell := range uint32(3) {
			similarities = append(similarities, cells.Unit()*float32(cells.Value(cell, row)))
		}
		fmt.Printf("row %d: %.1f\n", row, similarities)
	}
	both, one := []byte{0, 0, 1, 0}, []byte{1, 0, 2, 0} // ids of two bytes
	fmt.Println(cells.RankScore(both, 2, nil) > cells.RankScore(one, 2, nil))
	fmt.Println(cells.Above(nil, []int16{cells.Value(0, 0), simd.NoCell}))
	// Output:
	// row 0: [1.0 0.0 -0.7]
	// row 1: [0.0 1.0 -0.7]
	// true
	// [{0 0 16384}]
}
