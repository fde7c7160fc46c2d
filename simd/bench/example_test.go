package bench_test

import (
	"context"
	"fmt"
	"time"

	"github.com/pare-search/pare/simd/bench"
)

func ExampleMeasure() {
	options := bench.DefaultOptions()
	options.Duration = time.Millisecond // too short to trust
	options.SetBytes = 4 << 20
	report, err := bench.Measure(context.Background(), options)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, k := range report.Kernels {
		if k.QueryTokens == 32 && k.Where == "cache" {
			fmt.Println(k.Name, k.Mpairs > 0)
		}
	}
	// Output:
	// fp32 true
	// int8 true
	// fused1 true
	// fused2 true
	// fused4 true
	// scan true
	// rank true
}
