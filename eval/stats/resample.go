package stats

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// Bootstrap is the percentile bootstrap interval of the mean difference: the
// differences are drawn with replacement, resamples times. Queries are the
// unit of drawing, so the pairs stay together. Fewer than two differences,
// no resamples or a confidence outside (0, 1) leave it unbounded.
func Bootstrap(diffs []float64, confidence float64, resamples int, seed uint64) Interval {
	if !canResample(diffs, confidence, resamples) {
		return unbounded
	}
	means := resampledMeans(diffs, resamples, seed)
	tail := (1 - confidence) / 2
	return Interval{quantile(means, tail), quantile(means, 1-tail)}
}

// BootstrapBCa is Bootstrap corrected for bias and skew (Efron, "Better
// bootstrap confidence intervals", JASA 1987). It is the plain percentile
// interval where the correction does not exist.
func BootstrapBCa(diffs []float64, confidence float64, resamples int, seed uint64) Interval {
	if !canResample(diffs, confidence, resamples) {
		return unbounded
	}
	means := resampledMeans(diffs, resamples, seed)
	observed := mean(diffs)

	// Bias: where the observed mean stands among the resampled ones, those
	// equal to it counted half.
	below, _ := slices.BinarySearch(means, observed)
	notAbove, _ := slices.BinarySearch(means, math.Nextafter(observed, math.Inf(1)))
	z0 := normal.Quantile(float64(below+notAbove) / 2 / float64(len(means)))

	// Acceleration: for a mean, leaving out query i moves it by
	// (d_i - mean)/(n-1), so the jackknife sums are moments.
	var squares, cubes float64
	for _, d := range diffs {
		squares += (d - observed) * (d - observed)
		cubes += (d - observed) * (d - observed) * (d - observed)
	}
	a := cubes / (6 * math.Pow(squares, 1.5))

	level := func(q float64) float64 {
		z := z0 + normal.Quantile(q)
		return normal.CDF(z0 + z/(1-a*z))
	}
	tail := (1 - confidence) / 2
	lo, hi := level(tail), level(1-tail)
	if !(lo < hi) || math.IsInf(z0, 0) {
		lo, hi = tail, 1-tail
	}
	return Interval{quantile(means, lo), quantile(means, hi)}
}

var normal = distuv.Normal{Mu: 0, Sigma: 1}

func canResample(diffs []float64, confidence float64, resamples int) bool {
	return len(diffs) >= 2 && resamples > 0 && confidence > 0 && confidence < 1
}

// resampledMeans returns the sorted means of resamples draws.
func resampledMeans(diffs []float64, resamples int, seed uint64) []float64 {
	rng := rand.New(rand.NewPCG(seed, 0))
	means := make([]float64, resamples)
	for b := range means {
		sum := 0.0
		for range diffs {
			sum += diffs[rng.IntN(len(diffs))]
		}
		means[b] = sum / float64(len(diffs))
	}
	slices.Sort(means)
	return means
}

// quantile interpolates between the two nearest of the sorted values.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := min(int(at), len(sorted)-2)
	if i < 0 {
		return sorted[0]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

// PermutationTest is the two-sided paired randomisation test of the mean
// difference: under the hypothesis that the systems are exchangeable, each
// difference may as well have the other sign. Where all 2^n choices of signs
// are at most permutations, it goes through all of them and p is exact;
// otherwise it draws permutations of them and p = (1+extreme)/(1+drawn). With
// no differences or no permutations p is 1.
func PermutationTest(diffs []float64, permutations int, seed uint64) float64 {
	n := len(diffs)
	if n == 0 || permutations <= 0 {
		return 1
	}
	observed, size := 0.0, 0.0
	for _, d := range diffs {
		observed += d
		size += math.Abs(d)
	}
	// Sums that differ by rounding alone are as extreme as the observed one.
	bar := math.Abs(observed) - 1e-12*size

	extreme := 0
	if n < 31 && 1<<n <= permutations {
		for signs := range 1 << n {
			sum := 0.0
			for i, d := range diffs {
				if signs>>i&1 == 1 {
					d = -d
				}
				sum += d
			}
			if math.Abs(sum) >= bar {
				extreme++
			}
		}
		return float64(extreme) / float64(int(1)<<n)
	}

	rng := rand.New(rand.NewPCG(seed, 0))
	for range permutations {
		sum := 0.0
		var signs uint64
		for i, d := range diffs {
			if i%64 == 0 {
				signs = rng.Uint64()
			}
			if signs>>(i%64)&1 == 1 {
				d = -d
			}
			sum += d
		}
		if math.Abs(sum) >= bar {
			extreme++
		}
	}
	return float64(1+extreme) / float64(1+permutations)
}
