package stats

import (
	"errors"
	"fmt"
	"math"
)

// ErrSample reports values that cannot be compared, ErrOptions options that
// make no sense.
var (
	ErrSample  = errors.New("stats: bad sample")
	ErrOptions = errors.New("stats: bad options")
)

// Options says how two systems are compared.
type Options struct {
	// Margin is the largest relative loss that does not matter, as a share of
	// the baseline's mean. Choose it before looking at results.
	Margin float64
	// Resamples is the number of bootstrap draws, 0 for no bootstrap.
	Resamples int
	// Seed makes the bootstrap repeatable.
	Seed uint64
}

// DefaultOptions returns a margin of 2 % and 2,000 bootstrap draws.
func DefaultOptions() Options {
	return Options{Margin: 0.02, Resamples: 2000, Seed: 1}
}

// Validate reports every option that makes no sense; the error wraps
// ErrOptions.
func (o Options) Validate() error {
	var errs []error
	if !(o.Margin >= 0 && o.Margin < 1) {
		errs = append(errs, fmt.Errorf("%w: margin %v, want a share from 0 to below 1", ErrOptions, o.Margin))
	}
	if o.Resamples < 0 {
		errs = append(errs, fmt.Errorf("%w: %d resamples, want 0 or more", ErrOptions, o.Resamples))
	}
	return errors.Join(errs...)
}

// Comparison is what can be said of a system and its baseline on the same
// queries. All intervals are of the mean difference, system minus baseline.
type Comparison struct {
	Queries      int      `json:"queries"`
	MeanBaseline float64  `json:"mean_baseline"`
	Mean         float64  `json:"mean"`
	Delta        float64  `json:"delta"`         // mean difference
	Margin       float64  `json:"margin"`        // absolute: the share times |MeanBaseline|
	CI90         Interval `json:"ci90"`          // by Student's t
	Bootstrap90  Interval `json:"bootstrap90"`   // BCa; a cross-check, no part of the verdict
	PDifference  float64  `json:"p_difference"`  // paired t-test, two-sided
	PEquivalence float64  `json:"p_equivalence"` // TOST
	Verdict      Verdict  `json:"verdict"`
	Wins         int      `json:"wins"` // queries on which the system is better
	Ties         int      `json:"ties"`
	Losses       int      `json:"losses"`
}

// tieTolerance is the difference of one query up to which it is a tie: above
// what the order of summation can do, below what a change of rank does.
const tieTolerance = 1e-9

// fewQueries is the number of queries below which equal differences decide
// nothing: that so few agree exactly says little about the next one, and their
// interval has no width to show it.
const fewQueries = 10

// Compare compares per-query values of a system with those of a baseline, in
// the same order of queries. The p values are those of this one comparison;
// adjust a family of them with Holm.
//
// With fewer than two queries nothing is known: intervals without bounds, both
// p values 1, verdict Undecided. Where the difference is the same on every
// query the interval is that point. The error wraps ErrSample when the lengths
// differ or a value is not finite, and ErrOptions for bad options.
func Compare(baseline, system []float64, opts Options) (Comparison, error) {
	if err := opts.Validate(); err != nil {
		return Comparison{}, err
	}
	if len(baseline) != len(system) {
		return Comparison{}, fmt.Errorf("%w: %d values of the baseline, %d of the system",
			ErrSample, len(baseline), len(system))
	}
	c := Comparison{
		Queries:      len(baseline),
		MeanBaseline: mean(baseline),
		Mean:         mean(system),
	}
	diffs := make([]float64, len(baseline))
	for i := range diffs {
		d := system[i] - baseline[i]
		// The difference of finite values may overflow too.
		if math.IsNaN(d) || math.IsInf(d, 0) {
			return Comparison{}, fmt.Errorf("%w: query %d has the values %v and %v",
				ErrSample, i, baseline[i], system[i])
		}
		diffs[i] = d
		switch {
		case d > tieTolerance:
			c.Wins++
		case d < -tieTolerance:
			c.Losses++
		default:
			c.Ties++
		}
	}
	c.Delta = summarise(diffs).mean
	c.Margin = opts.Margin * math.Abs(c.MeanBaseline)
	c.CI90 = TInterval(diffs, 0.90)
	c.Bootstrap90 = BootstrapBCa(diffs, 0.90, opts.Resamples, opts.Seed)
	_, c.PDifference = TTest(diffs)
	c.PEquivalence = TOST(diffs, c.Margin).P
	c.Verdict = Decide(c.CI90, c.Margin)
	if c.CI90[0] == c.CI90[1] && len(diffs) < fewQueries {
		c.Verdict = Undecided
	}
	return c, nil
}
