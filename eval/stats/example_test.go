package stats_test

import (
	"fmt"

	"github.com/pare-search/pare/eval/stats"
)

func ExampleCompare() {
	unpruned := []float64{0.90, 0.42, 0.77, 0.63, 0.55, 0.81, 0.70, 0.38}
	pruned := []float64{0.90, 0.43, 0.76, 0.63, 0.55, 0.81, 0.69, 0.38}
	c, err := stats.Compare(unpruned, pruned, stats.DefaultOptions())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%+.4f [%+.4f, %+.4f] within ±%.4f: %s\n", c.Delta, c.CI90[0], c.CI90[1], c.Margin, c.Verdict)
	fmt.Printf("%d better, %d equal, %d worse\n", c.Wins, c.Ties, c.Losses)
	// Output:
	// -0.0013 [-0.0055, +0.0030] within ±0.0129: ≈
	// 1 better, 5 equal, 2 worse
}

func ExampleHolm() {
	fmt.Println(stats.Holm([]float64{0.01, 0.04, 0.03}))
	// Output: [0.03 0.06 0.06]
}
