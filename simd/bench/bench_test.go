package bench_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/pare-search/pare/simd"
	"github.com/pare-search/pare/simd/bench"
)

// quick measures roughly, but every case.
func quick(level string) bench.Options {
	return bench.Options{Level: level, Duration: 3 * time.Millisecond, SetBytes: 4 << 20}
}

func TestMeasure(t *testing.T) {
	for _, level := range simd.Levels() {
		t.Run(level, func(t *testing.T) {
			options := quick(level)
			calls, total := 0, 0
			options.Progress = func(done, cases int) {
				if calls++; done != calls {
					t.Errorf("call %d of Progress says that %d are done", calls, done)
				}
				total = cases
			}
			report, err := bench.Measure(t.Context(), options)
			if err != nil {
				t.Fatal(err)
			}
			if report.Level != level || report.CPU == "" || report.Go == "" {
				t.Errorf("report of level %q, CPU %q, Go %q", report.Level, report.CPU, report.Go)
			}
			if calls != len(report.Kernels) || total != calls {
				t.Errorf("%d calls of Progress with %d cases, %d results", calls, total, len(report.Kernels))
			}
			checkPeaks(t, report)
			seen := make(map[string]bool)
			for _, k := range report.Kernels {
				name := fmt.Sprintf("%s %d %s", k.Name, k.QueryTokens, k.Where)
				seen[name] = true
				if !positive(k.Mpairs) || !positive(k.VsVek) || positive(k.Gtokens) != (k.Name == "rank") {
					t.Errorf("%s: %+v", name, k)
				}
				if hasPeak := level != "go" && k.Name != "rank"; hasPeak != positive(k.ShareOfPeak) || k.ShareOfPeak > 1.1 {
					t.Errorf("%s: share of peak %v", name, k.ShareOfPeak)
				}
			}
			for _, kernel := range []string{"fp32", "int8", "fused1", "fused2", "fused4", "scan", "rank"} {
				for _, tokens := range []int{4, 8, 16, 32} {
					for _, where := range []string{"cache", "ram"} {
						if name := fmt.Sprintf("%s %d %s", kernel, tokens, where); !seen[name] {
							t.Errorf("no result for %s", name)
						}
					}
				}
			}
			if len(seen) != len(report.Kernels) || len(seen) != 7*4*2 {
				t.Errorf("%d results for %d cases", len(report.Kernels), len(seen))
			}
		})
	}
}

// checkPeaks compares the peaks with each other: an instruction for bytes does
// at least twice as much as one for float32.
func checkPeaks(t *testing.T, report *bench.Report) {
	t.Helper()
	if report.Level == "go" {
		if len(report.Peaks) != 0 {
			t.Errorf("peaks of plain Go: %v", report.Peaks)
		}
		return
	}
	if float, bytes := report.Peaks["fp32"], report.Peaks["int8"]; len(report.Peaks) != 2 || !positive(float) || bytes < float {
		t.Errorf("peaks: %v", report.Peaks)
	}
}

func positive(x float64) bool { return x > 0 && !math.IsInf(x, 1) }

func TestMeasureLeavesTheLevel(t *testing.T) {
	before := simd.Level()
	if _, err := bench.NewCases(quick("go")); err != nil {
		t.Fatal(err)
	}
	if after := simd.Level(); after != before {
		t.Errorf("level %s before, %s after", before, after)
	}
}

func TestMeasureStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	options := quick("go")
	options.Duration = time.Hour
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := bench.Measure(ctx, options); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestBadOptions(t *testing.T) {
	_, err := bench.Measure(t.Context(), quick("sse"))
	if !errors.Is(err, simd.ErrLevel) {
		t.Errorf("unknown level: error %v", err)
	}
	err = bench.Options{}.Validate()
	if err == nil || len(err.(interface{ Unwrap() []error }).Unwrap()) != 2 {
		t.Errorf("no options: error %v", err)
	}
	if err := bench.DefaultOptions().Validate(); err != nil {
		t.Errorf("default options: %v", err)
	}
}
