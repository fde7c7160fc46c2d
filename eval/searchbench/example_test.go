package searchbench_test

import (
	"fmt"

	"github.com/pare-search/pare/eval/searchbench"
)

// A grid is all combinations of the values of its names.
func ExampleParseGrid() {
	settings, err := searchbench.ParseGrid("budget=1000,2000 depth=128,256")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range settings {
		fmt.Println(s)
	}
	// Output:
	// budget=1000 depth=128 refine=32
	// budget=1000 depth=256 refine=32
	// budget=2000 depth=128 refine=32
	// budget=2000 depth=256 refine=32
}
