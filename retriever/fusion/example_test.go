package fusion_test

import (
	"fmt"

	"github.com/pare-search/pare/retriever/fusion"
)

var (
	words = fusion.List{{ID: "manual", Score: 12.5}, {ID: "faq", Score: 11.0}, {ID: "blog", Score: 3.5}}
	sense = fusion.List{{ID: "faq", Score: 0.91}, {ID: "forum", Score: 0.88}, {ID: "manual", Score: 0.70}}
)

func ExampleReciprocalRank() {
	fused, err := fusion.ReciprocalRank(fusion.DefaultK, nil, words, sense)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, hit := range fused {
		fmt.Printf("%-6s %.4f\n", hit.ID, hit.Score)
	}
	// Output:
	// faq    0.0325
	// manual 0.0323
	// forum  0.0161
	// blog   0.0159
}

func ExampleStandardisedSum() {
	fused, err := fusion.StandardisedSum([]float64{1, 1}, words, sense)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, hit := range fused {
		fmt.Printf("%-6s %+.2f\n", hit.ID, hit.Score)
	}
	// Output:
	// faq    +1.37
	// manual -0.51
	// forum  -0.86
	// blog   -2.80
}

func ExampleMinMax() {
	fused, err := fusion.MinMax([]float64{0.3, 0.7}, words, sense)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(fused[0].ID)
	// Output: faq
}
