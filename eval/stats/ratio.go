package stats

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// Stratum holds the values of a baseline and of a system on the queries of one
// collection, in the same order.
type Stratum struct{ Baseline, System []float64 }

// RatioTest says how the mean of a system compares with a share of the
// baseline's. With several strata the means are means over strata of their
// means, so that every collection counts the same.
//
// A margin that is a share of a mean which is itself estimated is tested
// without that estimate: system - share x baseline has a mean above zero just
// when the ratio of means is above share, query by query and exactly, as with
// the ratio tests of bioequivalence (Fieller 1954; Sasabuchi 1980).
type RatioTest struct {
	// Ratio is the system's mean over the baseline's.
	Ratio float64
	// PBelow is the p value of the hypothesis that the ratio is 1 - share or
	// less, PAbove of the one that it is 1 + share or more.
	PBelow, PAbove float64
}

// TOST is the p value of the hypothesis that the ratio is not within the
// margin: the larger of the two.
func (r RatioTest) TOST() float64 { return max(r.PBelow, r.PAbove) }

// Ratio tests the ratio of means against 1 - share and 1 + share, by one-sided
// t-tests; with several strata their standard errors are combined as Welch and
// Satterthwaite do. A stratum of fewer than two queries says nothing, and then
// both p values are 1.
func Ratio(strata []Stratum, share float64) RatioTest {
	base, system := 0.0, 0.0
	for _, s := range strata {
		base += mean(s.Baseline)
		system += mean(s.System)
	}
	return RatioTest{
		Ratio:  system / base,
		PBelow: pNotAbove(strata, 1-share, 1),
		PAbove: pNotAbove(strata, 1+share, -1),
	}
}

// RatioBounds returns the ends of one-sided confidence intervals of the ratio:
// with the given confidence it is above lower, and with the same it is below
// upper. Where the queries bound nothing they are 0 and infinite.
func RatioBounds(strata []Stratum, confidence float64) (lower, upper float64) {
	const widest = 16
	level := 1 - confidence
	lower, upper = 0, math.Inf(1)
	ratio := Ratio(strata, 0).Ratio
	if !(ratio >= 0 && ratio < widest) {
		return lower, upper
	}
	search := func(rejected, kept float64, sign float64) float64 {
		for range 50 {
			middle := (rejected + kept) / 2
			if pNotAbove(strata, middle, sign) <= level {
				rejected = middle
			} else {
				kept = middle
			}
		}
		return rejected
	}
	if pNotAbove(strata, 0, 1) <= level {
		lower = search(0, ratio, 1)
	}
	if pNotAbove(strata, widest, -1) <= level {
		upper = search(widest, ratio, -1)
	}
	return lower, upper
}

// RatioBootstrap is the percentile bootstrap interval of the ratio: in each resample as
// many queries as a stratum has are drawn from it with replacement, with the values of
// both systems. It assumes nothing about their distribution, which makes it a check of
// RatioBounds. It is unbounded as Bootstrap is.
func RatioBootstrap(strata []Stratum, confidence float64, resamples int, seed uint64) Interval {
	for _, s := range strata {
		if !canResample(s.System, confidence, resamples) {
			return unbounded
		}
	}
	if len(strata) == 0 {
		return unbounded
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	ratios := make([]float64, resamples)
	for b := range ratios {
		base, system := 0.0, 0.0
		for _, s := range strata {
			n := len(s.System)
			for range n {
				i := rng.IntN(n)
				base += s.Baseline[i] / float64(n)
				system += s.System[i] / float64(n)
			}
		}
		if !(base > 0) {
			return unbounded // a baseline that finds hardly anything
		}
		ratios[b] = system / base
	}
	slices.Sort(ratios)
	tail := (1 - confidence) / 2
	return Interval{quantile(ratios, tail), quantile(ratios, 1-tail)}
}

// pNotAbove is the p value of the hypothesis that the mean of
// sign x (system - ratio x baseline), over all strata, is not above zero.
func pNotAbove(strata []Stratum, ratio, sign float64) float64 {
	s := contrast(strata, ratio)
	switch {
	case !s.known:
		return 1
	case s.stderr == 0 && sign*s.mean > 0:
		return 0
	case s.stderr == 0:
		return 1
	}
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: s.freedom}.Survival(sign * s.mean / s.stderr)
}

// stratified is the mean of a quantity over strata.
type stratified struct {
	mean, stderr float64
	freedom      float64 // degrees of freedom (Welch-Satterthwaite)
	known        bool
}

// contrast summarises system - ratio x baseline.
func contrast(strata []Stratum, ratio float64) stratified {
	out := stratified{known: len(strata) > 0}
	var variance, denominator float64
	for _, stratum := range strata {
		values := make([]float64, len(stratum.System))
		for i, x := range stratum.System {
			values[i] = x - ratio*stratum.Baseline[i]
		}
		s := summarise(values)
		if s.n < 2 {
			return stratified{}
		}
		out.mean += s.mean
		v := s.stderr * s.stderr
		variance += v
		denominator += v * v / float64(s.n-1)
	}
	strataCount := float64(len(strata))
	out.mean /= strataCount
	out.stderr = math.Sqrt(variance) / strataCount
	out.freedom = variance * variance / denominator
	return out
}

// QueriesForRatio estimates how many queries like the given ones, in all
// strata together, show at level, with a probability of power, that the ratio is
// above 1 - share, or, with both, that it is within the margin. It assumes that
// the true ratio is the observed one; ok is false where that is outside of the
// margin, or where a million queries would not do.
func QueriesForRatio(strata []Stratum, share, level, power float64, both bool) (n int, ok bool) {
	queries := 0
	for _, s := range strata {
		queries += len(s.System)
	}
	above, below := contrast(strata, 1-share), contrast(strata, 1+share)
	if !above.known || above.mean <= 0 || both && below.mean >= 0 {
		return 0, false
	}
	enough := func(n int) bool {
		scale := math.Sqrt(float64(queries) / float64(n))
		student := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(max(n-len(strata), 1))}
		critical := student.Quantile(1 - level)
		misses := student.Survival(above.mean/(above.stderr*scale) - critical)
		if both {
			misses += student.Survival(-below.mean/(below.stderr*scale) - critical)
		}
		return misses <= 1-power
	}
	return least(2*len(strata), enough)
}
