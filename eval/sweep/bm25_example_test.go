package sweep_test

import (
	"context"
	"fmt"

	"github.com/pare-search/pare/eval/sweep"
)

func ExampleBM25() {
	ctx := context.Background()
	baseline, err := sweep.NewBM25(ctx, []sweep.BM25Document{
		{ID: "bufio", Title: "bufio", Text: "Buffered reading and writing of streams."},
		{ID: "io", Title: "io", Text: "Basic interfaces for readers and writers."},
		{ID: "sort", Title: "sort", Text: "Sorts slices and collections."},
	}, sweep.DefaultBM25Options())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer baseline.Close()

	hits, err := baseline.Search(ctx, "sorting a slice", 10)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(hits[0].ID)
	// Output: sort
}
