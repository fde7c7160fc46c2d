package table_test

import (
	"context"
	"fmt"

	"github.com/pare-search/pare/encoder/table"
)

func Example() {
	matrix, frequencies := words(1000, 32)
	small, err := table.Fit(context.Background(), "product", matrix, table.Options{
		Budget:      4 * len(matrix.Data) / 8,
		Frequencies: frequencies,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	row := make([]float32, small.Dim())
	small.Row(row, 17)
	fmt.Println(small.Rows(), "rows,", small.Size() <= 16000)
	// Output: 1000 rows, true
}
