package stats

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// Interval is a confidence interval: lower and upper end. An end that the
// sample cannot bound is infinite, and null in JSON.
type Interval [2]float64

// unbounded is the interval of a sample that says nothing.
var unbounded = Interval{math.Inf(-1), math.Inf(1)}

// MarshalJSON writes [lo, hi], with null for an end that is not finite.
func (i Interval) MarshalJSON() ([]byte, error) {
	var ends [2]*float64
	for e := range i {
		if !math.IsInf(i[e], 0) && !math.IsNaN(i[e]) {
			ends[e] = &i[e]
		}
	}
	return json.Marshal(ends)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (i *Interval) UnmarshalJSON(data []byte) error {
	if bytes.Equal(data, []byte("null")) {
		return nil // by convention
	}
	var ends [2]*float64
	if err := json.Unmarshal(data, &ends); err != nil {
		return err
	}
	*i = unbounded
	for e, v := range ends {
		if v != nil {
			i[e] = *v
		}
	}
	return nil
}

// sample is what the t statistics need to know of paired differences.
type sample struct {
	n        int
	mean     float64
	stderr   float64 // standard error of the mean
	constant bool    // every difference is the same
}

func summarise(diffs []float64) sample {
	s := sample{n: len(diffs), mean: mean(diffs)}
	if s.n == 0 {
		return s
	}
	lo, hi := slices.Min(diffs), slices.Max(diffs)
	if lo == hi {
		// Said outright: rounding in the mean would leave a tiny variance.
		s.mean, s.constant = lo, true
		return s
	}
	sum := 0.0
	for _, d := range diffs {
		sum += (d - s.mean) * (d - s.mean)
	}
	s.stderr = math.Sqrt(sum / float64(s.n-1) / float64(s.n))
	// A spread too small for its squares to be represented is none.
	s.constant = s.stderr == 0
	return s
}

func (s sample) student() distuv.StudentsT {
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(s.n - 1)}
}

func mean(x []float64) float64 {
	if len(x) == 0 {
		return 0
	}
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

// TTest is the paired t-test of the hypothesis that the mean difference is
// zero: it returns t and the two-sided p. Fewer than two differences say
// nothing: t = 0, p = 1. Differences that are all the same give p = 1 when
// they are zero, else an infinite t and p = 0.
func TTest(diffs []float64) (t, p float64) {
	s := summarise(diffs)
	switch {
	case s.n < 2 || s.constant && s.mean == 0:
		return 0, 1
	case s.constant:
		return math.Copysign(math.Inf(1), s.mean), 0
	}
	t = s.mean / s.stderr
	return t, 2 * s.student().Survival(math.Abs(t))
}

// TInterval is the confidence interval of the mean difference by Student's t,
// for a confidence such as 0.9. Fewer than two differences, or a confidence
// outside (0, 1), leave it unbounded; differences that are all the same shrink
// it to a point.
func TInterval(diffs []float64, confidence float64) Interval {
	s := summarise(diffs)
	switch {
	case s.n < 2 || !(confidence > 0 && confidence < 1):
		return unbounded
	case s.constant:
		return Interval{s.mean, s.mean}
	}
	half := s.student().Quantile((1+confidence)/2) * s.stderr
	return Interval{s.mean - half, s.mean + half}
}

// Equivalence is the outcome of TOST.
type Equivalence struct {
	TL, TU float64 // t statistics against -margin and +margin
	P      float64 // the larger p of the two one-sided tests
}

// TOST tests by two one-sided t-tests whether the mean difference lies inside
// (-margin, margin): t_L = (mean+margin)/stderr, t_U = (mean-margin)/stderr,
// and P below 0.05 exactly when the 90 % TInterval lies inside. Fewer than two
// differences say nothing: P = 1. Differences that are all the same have
// P = 0 when they are zero or inside the margin, else 1.
func TOST(diffs []float64, margin float64) Equivalence {
	s := summarise(diffs)
	switch {
	case s.n < 2:
		return Equivalence{P: 1}
	case s.constant:
		e := Equivalence{TL: infinite(s.mean + margin), TU: infinite(s.mean - margin), P: 1}
		if math.Abs(s.mean) < margin || s.mean == 0 {
			e.P = 0
		}
		return e
	}
	e := Equivalence{TL: (s.mean + margin) / s.stderr, TU: (s.mean - margin) / s.stderr}
	e.P = max(s.student().Survival(e.TL), s.student().CDF(e.TU))
	return e
}

// infinite is x over a vanishing standard error.
func infinite(x float64) float64 {
	if x == 0 {
		return 0
	}
	return math.Copysign(math.Inf(1), x)
}

// Holm adjusts the p values of a family of tests: an adjusted p below alpha is
// significant with a family-wise error of at most alpha (Holm, "A simple
// sequentially rejective multiple test procedure", 1979). The order of the
// arguments is kept; a NaN counts as 1.
func Holm(p []float64) []float64 {
	adjusted := make([]float64, len(p))
	order := make([]int, len(p))
	for i, v := range p {
		adjusted[i], order[i] = v, i
		if math.IsNaN(v) {
			adjusted[i] = 1
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case adjusted[a] < adjusted[b]:
			return -1
		case adjusted[a] > adjusted[b]:
			return 1
		}
		return 0
	})
	floor := 0.0
	for rank, i := range order {
		floor = max(floor, min(1, adjusted[i]*float64(len(p)-rank)))
		adjusted[i] = floor
	}
	return adjusted
}
