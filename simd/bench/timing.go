package bench

import (
	"math"
	"time"

	"github.com/pare-search/pare/simd"
)

// sliceOf returns how long a slice should take when a case may take d: short
// against the turns that a system gives to programs, so that some slices are
// not interrupted, but long against the clock's grain.
func sliceOf(d time.Duration) time.Duration {
	const rounds, kinds = 100, 3
	return min(max(d/(rounds*kinds), 20*time.Microsecond), time.Millisecond)
}

// Measure times kernel, peak and vek in turn, again and again while more says
// so, at least once. It overrides simd's level until it returns.
func (c *Case) Measure(more func() bool) Result {
	if undo, err := simd.SetLevel(c.level); err == nil {
		defer undo()
	}
	kernel, vek := newStopwatch(c.kernel, c.slice), newStopwatch(c.vek, c.slice)
	turns := []*stopwatch{kernel, vek}
	var peak *stopwatch
	if c.peak.run != nil {
		peak = newStopwatch(c.peak, c.slice)
		turns = []*stopwatch{kernel, peak, vek}
	}
	for {
		for _, s := range turns {
			s.time()
		}
		if !more() {
			break
		}
	}
	r := Result{Name: c.Kernel, QueryTokens: c.QueryTokens, Where: c.Where, Mpairs: kernel.mpairs()}
	r.VsVek = r.Mpairs / vek.mpairs()
	if c.Kernel == "rank" {
		r.Gtokens = r.Mpairs / float64(c.QueryTokens) / 1000
	}
	if peak != nil {
		r.peak = peak.mpairs()
		r.ShareOfPeak = r.Mpairs / r.peak
	}
	return r
}

// work is something that can be done any number of times.
type work struct {
	products int // that are multiplied and added each time
	run      func(times int)
}

func peakWork(p simd.PeakLoop) work { return work{p.Products, p.Run} }

// stopwatch times slices of the same work.
type stopwatch struct {
	work
	times int // the work is done in a slice
	best  time.Duration
}

// newStopwatch finds out how often the work has to be done to fill a slice. It
// tries several times, lest an interruption be taken for the work.
func newStopwatch(w work, slice time.Duration) *stopwatch {
	s := &stopwatch{work: w, times: 1}
	for s.best < slice/2 {
		s.times *= 2
		s.best = math.MaxInt64
		for range 4 {
			s.time()
		}
	}
	s.best = math.MaxInt64
	return s
}

func (s *stopwatch) time() {
	start := time.Now()
	s.run(s.times)
	s.best = min(s.best, time.Since(start))
}

// mpairs returns the speed of the best slice in million pairs per second.
func (s *stopwatch) mpairs() float64 {
	return float64(s.times) * float64(s.products) / dim / s.best.Seconds() / 1e6
}
