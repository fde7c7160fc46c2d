package stats

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// RiskTest returns a p value for the hypothesis that the mean of losses, each
// from 0 to 1, is limit or more in the population that they were drawn from: a
// small one says that the mean loss is less than limit. It holds for every
// sample size, with no assumption of normality.
type RiskTest func(losses []float64, limit float64) float64

// Binomial is the exact test for losses that are 0 or 1: p is the probability
// of no more failures than there are among so many draws that fail with
// probability limit. Other losses are counted as failures, so that p still
// holds. No losses give 1.
func Binomial(losses []float64, limit float64) float64 {
	if p, decided := trivialRisk(losses, limit); decided {
		return p
	}
	failures := 0
	for _, loss := range losses {
		if loss > 0 {
			failures++
		}
	}
	return binomialCDF(failures, len(losses), limit)
}

// HoeffdingBentkus is the smaller of the bounds of Hoeffding (JASA 1963,
// theorem 1) and Bentkus (Annals of Probability 2004), as Angelopoulos et al.
// combine them ("Learn then test", arXiv 2110.01052, section 3.1):
//
//	p = min(exp(-n kl(min(mean, limit), limit)), e P(Binomial(n, limit) <= ceil(n mean)))
//
// Losses need not be drawn from one population: it is enough that they are
// independent, and limit is then compared with the mean of their means.
func HoeffdingBentkus(losses []float64, limit float64) float64 {
	if p, decided := trivialRisk(losses, limit); decided {
		return p
	}
	n, sum := len(losses), 0.0
	for _, loss := range losses {
		sum += loss
	}
	hoeffding := math.Exp(-float64(n) * divergence(min(sum/float64(n), limit), limit))
	// Rounding must not lift a whole number to the next.
	bentkus := math.E * binomialCDF(int(math.Ceil(sum-1e-9)), n, limit)
	return min(hoeffding, bentkus, 1)
}

// Betting returns the test of Waudby-Smith and Ramdas ("Estimating means of
// bounded random variables by betting", JRSS B 2024), in the form of Bates et
// al. ("Distribution-free, risk-controlling prediction sets", JACM 2021,
// proposition 5). Whoever believes that the mean loss is below limit bets on
// every loss in turn, from what the earlier ones have shown; were the mean limit
// or more, the capital could grow to c from 1 with a probability of 1/c at most.
// p is one over the largest capital on the way. It needs far fewer losses
// than HoeffdingBentkus where most of them are small.
//
// The losses must be independent draws from one population, in an order that
// does not depend on them. The stakes are meant for tests at level.
func Betting(level float64) RiskTest {
	return func(losses []float64, limit float64) float64 {
		if p, decided := trivialRisk(losses, limit); decided {
			return p
		}
		n := float64(len(losses))
		seen, sum, squares := 1.0, 0.5, 0.25
		capital, most := 0.0, 0.0 // logarithms
		for _, loss := range losses {
			stake := bettingStake(level, n, squares/seen)
			capital += math.Log1p(stake * (limit - loss))
			most = max(most, capital)
			seen++
			sum += loss
			deviation := loss - sum/seen
			squares += deviation * deviation
		}
		return math.Exp(-most)
	}
}

// bettingStake is the share of the capital that is put on the next of n losses
// with a variance.
func bettingStake(level, n, variance float64) float64 {
	return min(1, math.Sqrt(2*math.Log(1/level)/(n*variance)))
}

// trivialRisk answers where there is nothing to compute: without losses, or
// with a limit or losses that are no shares, nothing is shown.
func trivialRisk(losses []float64, limit float64) (p float64, decided bool) {
	if len(losses) == 0 || !(limit > 0 && limit < 1) {
		return 1, true
	}
	for _, loss := range losses {
		if !(loss >= 0 && loss <= 1) {
			return 1, true
		}
	}
	return 0, false
}

// divergence is the Kullback-Leibler divergence of Bernoulli distributions with
// the means a and b, b inside (0, 1).
func divergence(a, b float64) float64 {
	d := 0.0
	if a > 0 {
		d += a * math.Log(a/b)
	}
	if a < 1 {
		d += (1 - a) * math.Log((1-a)/(1-b))
	}
	return d
}

func binomialCDF(most, n int, p float64) float64 {
	if most >= n {
		return 1
	}
	return distuv.Binomial{N: float64(n), P: p}.CDF(float64(most))
}

// RiskBound returns the upper end of the one-sided confidence interval of the
// mean loss: the least limit that test rejects at level, 1 where it rejects
// none.
func RiskBound(losses []float64, level float64, test RiskTest) float64 {
	lo, hi := 0.0, 1.0
	for range 40 {
		middle := (lo + hi) / 2
		if test(losses, middle) <= level {
			hi = middle
		} else {
			lo = middle
		}
	}
	return hi
}

// FewestLosses is the number of losses, all of them zero, that show at level
// that the mean loss is below limit: no test needs fewer.
func FewestLosses(limit, level float64) int {
	return int(math.Ceil(math.Log(level) / math.Log1p(-limit)))
}

// mostQueries is the number beyond which no number of queries is given.
const mostQueries = 1_000_000

// LossesForRisk estimates how many losses like the given ones Betting needs to
// show at level, with a probability of power, that their mean is below limit.
// It treats the logarithm of the capital as normal, with the stakes that their
// variance leads to; ok is false where a million would not do.
func LossesForRisk(losses []float64, limit, level, power float64) (n int, ok bool) {
	s := summarise(losses)
	if s.n == 0 {
		return 0, false
	}
	z := normal.Quantile(power)
	variance := s.stderr * s.stderr * float64(s.n)
	gain := func(stake float64) sample {
		gains := make([]float64, len(losses))
		for i, loss := range losses {
			gains[i] = math.Log1p(stake * (limit - loss))
		}
		return summarise(gains)
	}
	// What Betting takes for the variance at first falls to the true one within
	// some tens of losses: the sum of its squares begins at 1/4, and at 0.16 more
	// for the deviations from a mean that begins at 1/2.
	const opening, openingSquares = 64, 0.41
	enough := func(n int) bool {
		last := bettingStake(level, float64(n), variance)
		settled := gain(last)
		capital := float64(n) * settled.mean
		for t := range min(n, opening) {
			seen := (openingSquares + float64(t)*variance) / float64(t+1)
			if stake := bettingStake(level, float64(n), seen); stake < last {
				capital += gain(stake).mean - settled.mean
			}
		}
		spread := settled.stderr * math.Sqrt(float64(s.n)*float64(n))
		return capital-z*spread >= math.Log(1/level)
	}
	return least(FewestLosses(limit, level), enough)
}

// LossesForHoeffding is LossesForRisk for HoeffdingBentkus, by Hoeffding's bound
// alone, which is the smaller one but for few losses.
func LossesForHoeffding(losses []float64, limit, level, power float64) (n int, ok bool) {
	s := summarise(losses)
	if s.n == 0 {
		return 0, false
	}
	deviation := normal.Quantile(power) * s.stderr * math.Sqrt(float64(s.n))
	enough := func(n int) bool {
		high := min(s.mean+deviation/math.Sqrt(float64(n)), limit)
		return float64(n)*divergence(high, limit) >= math.Log(1/level)
	}
	return least(FewestLosses(limit, level), enough)
}

// least returns the least number from first on that is enough, found by
// doubling and halving.
func least(first int, enough func(int) bool) (int, bool) {
	lo, hi := first-1, first
	for !enough(hi) {
		if hi >= mostQueries {
			return 0, false
		}
		lo, hi = hi, min(2*hi, mostQueries)
	}
	for hi-lo > 1 {
		if middle := lo + (hi-lo)/2; enough(middle) {
			hi = middle
		} else {
			lo = middle
		}
	}
	return hi, true
}
