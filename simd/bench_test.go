package simd_test

import (
	"fmt"
	"testing"

	"github.com/pare-search/pare/simd"
	"github.com/pare-search/pare/simd/bench"
)

// BenchmarkKernels measures what "pare bench kernels" does, at every level: each
// kernel, the peak of its instructions and a double loop over vek32.Dot take
// turns in every iteration, and the best time of each counts.
//
//	go test -run - -bench Kernels ./simd
func BenchmarkKernels(b *testing.B) {
	for _, level := range simd.Levels() {
		options := bench.DefaultOptions()
		options.Level = level
		cases, err := bench.NewCases(options)
		if err != nil {
			b.Fatal(err)
		}
		for _, c := range cases {
			b.Run(fmt.Sprintf("%s/%s/rows=%d/%s", c.Kernel, level, c.QueryTokens, c.Where), func(b *testing.B) {
				result := c.Measure(b.Loop)
				b.ReportMetric(result.Mpairs, "Mpair/s")
				if result.ShareOfPeak > 0 {
					b.ReportMetric(100*result.ShareOfPeak, "%peak")
				}
				b.ReportMetric(result.VsVek, "x-vek")
				b.ReportMetric(0, "ns/op") // of all three: says nothing
			})
		}
	}
}
