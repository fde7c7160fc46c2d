package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/pare-search/pare/simd"
)

// Options says what to measure. DefaultOptions returns the usual ones.
type Options struct {
	// Level is one of simd.Levels.
	Level string

	// Duration is the time for each case, of which there are 56. Each takes its
	// turn at least ten times however short it is.
	Duration time.Duration

	// SetBytes is the size in memory of the documents of the cases "ram", half
	// of them vectors and half codes. It has to be well beyond the last cache.
	SetBytes int

	// Progress, if not nil, is called after each case with how many are done,
	// of how many.
	Progress func(done, cases int)
}

// DefaultOptions measures the current level for some 15 seconds.
func DefaultOptions() Options {
	return Options{Level: simd.Level(), Duration: 300 * time.Millisecond, SetBytes: 256 << 20}
}

// minRounds is how often a case is timed even when there is no time for it.
const minRounds = 10

// minSetBytes has room for some documents of vectors.
const minSetBytes = 1 << 20

// Validate reports everything that is wrong with the options, except for
// levels, which NewCases knows.
func (o Options) Validate() error {
	var errs []error
	if o.Duration <= 0 {
		errs = append(errs, fmt.Errorf("bench: duration %v, want more than 0", o.Duration))
	}
	if o.SetBytes < minSetBytes {
		errs = append(errs, fmt.Errorf("bench: %d bytes of documents, want at least %d", o.SetBytes, minSetBytes))
	}
	return errors.Join(errs...)
}

// Report is what Measure found.
type Report struct {
	Level string `json:"level"` // see simd.Level
	CPU   string `json:"cpu"`
	Go    string `json:"go"`

	// Peaks holds the speed of simd.FloatPeak, "fp32", and of simd.Int8Peak,
	// "int8", in million pairs of vectors per second; none in plain Go.
	Peaks map[string]float64 `json:"peaks,omitempty"`

	Kernels []Result `json:"kernels"`
}

// Result is the speed of a case.
type Result struct {
	Name        string  `json:"name"`
	QueryTokens int     `json:"query_tokens"`
	Where       string  `json:"where"`                   // "cache" or "ram"
	Mpairs      float64 `json:"mpairs"`                  // million pairs of vectors per second
	ShareOfPeak float64 `json:"share_of_peak,omitempty"` // of the peak in the same slices; 0 without a peak
	VsVek       float64 `json:"vs_vek"`                  // ratio to vek32 on vectors in the same place
	Gtokens     float64 `json:"gtokens,omitempty"`       // of rank: billion document tokens per second

	peak float64 // Mpairs of the peak loop
}

// Measure times every case; the order of the result is that of NewCases. It
// returns soon after ctx is done, with its error. Nothing else should use the
// processor meanwhile, and nothing may be packed while it starts: see
// simd.SetLevel.
func Measure(ctx context.Context, o Options) (*Report, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	cases, err := NewCases(o)
	if err != nil {
		return nil, err
	}
	r := &Report{Level: o.Level, CPU: CPUName(), Go: runtime.Version(), Peaks: make(map[string]float64)}
	for i, c := range cases {
		end := time.Now().Add(o.Duration)
		rounds := 0
		result := c.Measure(func() bool {
			rounds++
			return ctx.Err() == nil && (rounds < minRounds || time.Now().Before(end))
		})
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		r.Kernels = append(r.Kernels, result)
		if result.peak > 0 {
			name := "int8"
			if c.floats() {
				name = "fp32"
			}
			r.Peaks[name] = max(r.Peaks[name], result.peak)
		}
		if o.Progress != nil {
			o.Progress(i+1, len(cases))
		}
	}
	return r, nil
}

// CPUName returns the processor's name where the system tells it, else its
// architecture.
func CPUName() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, name, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(name)
		}
	}
	return runtime.GOARCH
}
