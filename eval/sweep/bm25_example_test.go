package sweep_test

import (
	"context"
	"fmt"

	"github.com/pare-search/pare/eval/sweep"
	"github.com/pare-search/pare/retriever"
)

func ExampleBM25() {
	ctx := context.Background()
	baseline, err := sweep.NewBM25(ctx, []retriever.Document{
		{ID: "bufio", Text: "bufio: Buffered reading and writing of streams."},
		{ID: "io", Text: "io: Basic interfaces for readers and writers."},
		{ID: "sort", Text: "sort: Sorts slices and collections."},
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
