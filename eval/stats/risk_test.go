package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

func testLosses(t *testing.T) map[string][]float64 {
	losses := map[string][]float64{}
	for _, f := range fields(t, "losses.tsv") {
		losses[f[0]] = append(losses[f[0]], number(t, f[1]))
	}
	return losses
}

func TestRiskAgainstOtherSoftware(t *testing.T) {
	losses := testLosses(t)
	betting := Betting(0.05)
	for _, f := range fields(t, "risk.tsv") {
		x, limit, want := losses[f[0]], number(t, f[1]), number(t, f[3])
		tolerance := 1e-9 * want
		var got float64
		switch f[2] {
		case "hb":
			got = HoeffdingBentkus(x, limit)
		case "betting":
			got = betting(x, limit)
		case "binomial":
			got = Binomial(x, limit)
		case "hb.bound":
			got, tolerance = RiskBound(x, limit, HoeffdingBentkus), 1e-9
		case "betting.bound":
			got, tolerance = RiskBound(x, limit, betting), 1e-9
		case "binomial.bound":
			got, tolerance = RiskBound(x, limit, Binomial), 1e-9
		default:
			t.Fatalf("unknown quantity %s", f[2])
		}
		if math.Abs(got-want) > tolerance {
			t.Errorf("%s of sample %s at %s: %.15g, want %.15g", f[2], f[0], f[1], got, want)
		}
	}
}

func TestRatioAgainstOtherSoftware(t *testing.T) {
	samples := testSamples(t)
	stratum := func(name string) Stratum { return Stratum{samples[name].baseline, samples[name].system} }
	for _, f := range fields(t, "ratio.tsv") {
		strata := []Stratum{stratum("topics"), stratum("equal")}
		if f[0] != "topics+equal" {
			strata = []Stratum{stratum(f[0])}
		}
		got := Ratio(strata, number(t, f[1]))
		below, above := number(t, f[2]), number(t, f[3])
		if math.Abs(got.PBelow-below) > 1e-8*max(below, 1e-6) || math.Abs(got.PAbove-above) > 1e-8*max(above, 1e-6) {
			t.Errorf("%s within %s: %g and %g, want %g and %g", f[0], f[1], got.PBelow, got.PAbove, below, above)
		}
		if got.TOST() != max(got.PBelow, got.PAbove) {
			t.Errorf("TOST of %+v is %g", got, got.TOST())
		}
	}
}

// TestRiskHoldsItsLevel draws losses whose mean is the limit: each test may
// then reject in 5 % of the samples.
func TestRiskHoldsItsLevel(t *testing.T) {
	const samples, level, limit = 3000, 0.05, 0.1
	tenths := func(random *rand.Rand) float64 { // the mean of ten trials
		sum := 0.0
		for range 10 {
			if random.Float64() < limit {
				sum += 0.1
			}
		}
		return sum
	}
	trial := func(random *rand.Rand) float64 {
		if random.Float64() < limit {
			return 1
		}
		return 0
	}
	skewed := func(random *rand.Rand) float64 { return math.Pow(random.Float64(), 9) } // mean 1/10
	for _, test := range []struct {
		name string
		test RiskTest
		draw func(*rand.Rand) float64
		// least is what the test must reject to be of any use: exact tests come
		// near to the level, others do not where losses hardly vary.
		least float64
	}{
		{"binomial of trials", Binomial, trial, 0.02},
		{"betting on trials", Betting(level), trial, 0.01},
		{"betting on tenths", Betting(level), tenths, 0},
		{"betting on skewed losses", Betting(level), skewed, 0.02},
		{"Hoeffding and Bentkus on trials", HoeffdingBentkus, trial, 0},
		{"Hoeffding and Bentkus on tenths", HoeffdingBentkus, tenths, 0},
	} {
		random := rand.New(rand.NewPCG(7, 8))
		rejected := 0
		for range samples {
			losses := make([]float64, 120)
			for i := range losses {
				losses[i] = test.draw(random)
			}
			if test.test(losses, limit) <= level {
				rejected++
			}
		}
		share := float64(rejected) / samples
		if most := level + 3*math.Sqrt(level*(1-level)/samples); share > most || share < test.least {
			t.Errorf("%s: rejects %.3f of the samples at its limit, want %.3f to %.3f", test.name, share, test.least, most)
		}
	}
}

// TestQueriesNeeded draws as many losses, or pairs, as are said to be needed,
// and sees how often they suffice.
func TestQueriesNeeded(t *testing.T) {
	const level, power = 0.05, 0.8
	random := rand.New(rand.NewPCG(9, 10))
	for name, pilot := range testLosses(t) {
		limit := mean(pilot) + 0.03
		for method, m := range map[string]struct {
			test RiskTest
			need func(losses []float64, limit, level, power float64) (int, bool)
		}{
			"betting": {Betting(level), LossesForRisk}, "Hoeffding and Bentkus": {HoeffdingBentkus, LossesForHoeffding},
		} {
			n, ok := m.need(pilot, limit, level, power)
			if !ok {
				t.Fatalf("%s: no number of losses", name)
			}
			got := share(400, func() bool {
				losses := make([]float64, n)
				for i := range losses {
					losses[i] = pilot[random.IntN(len(pilot))]
				}
				return m.test(losses, limit) <= level
			})
			// Where all losses are zero there is no chance, only enough or not.
			if got < power-0.1 || got > power+0.15 && mean(pilot) > 0 {
				t.Errorf("%s, %s: %d losses suffice in %.2f of the samples, want %.2f", name, method, n, got, power)
			}
		}
	}
	for name, s := range testSamples(t) {
		pilot := []Stratum{{s.baseline, s.system}}
		ratio := Ratio(pilot, 0).Ratio
		if len(s.diffs) < 40 {
			continue // so few repeat themselves
		}
		for _, both := range []bool{false, true} {
			margin := math.Abs(1-ratio) + 0.02
			n, ok := QueriesForRatio(pilot, margin, level, power, both)
			if !ok {
				t.Fatalf("%s: no number of queries", name)
			}
			got := share(400, func() bool {
				drawn := []Stratum{{make([]float64, n), make([]float64, n)}}
				for i := range n {
					j := random.IntN(len(s.diffs))
					drawn[0].Baseline[i], drawn[0].System[i] = s.baseline[j], s.system[j]
				}
				test := Ratio(drawn, margin)
				return test.PBelow <= level && (!both || test.PAbove <= level)
			})
			// The least number that can be tested at all may be more than enough.
			if got < power-0.1 || got > power+0.15 && n > 5 {
				t.Errorf("%s, both ends %t: %d queries suffice in %.2f of the samples, want %.2f", name, both, n, got, power)
			}
		}
	}
	if n, ok := LossesForRisk([]float64{0.2, 0.3, 0.2}, 0.1, level, power); ok {
		t.Errorf("%d losses of 0.2 are said to show less than 0.1", n)
	}
	if n, ok := QueriesForRatio([]Stratum{{[]float64{1, 1, 1}, []float64{0.9, 0.8, 0.9}}}, 0.02, level, power, false); ok {
		t.Errorf("%d queries are said to show that .87 is above .98", n)
	}
	if n := FewestLosses(0.05, 0.05); n != 59 { // 0.95^59 = 0.0485, 0.95^58 = 0.0510
		t.Errorf("%d losses of zero for 0.05, want 59", n)
	}
}

func share(trials int, succeeds func() bool) float64 {
	n := 0
	for range trials {
		if succeeds() {
			n++
		}
	}
	return float64(n) / float64(trials)
}

// TestRatioBounds checks that bounds and tests agree.
func TestRatioBounds(t *testing.T) {
	for name, s := range testSamples(t) {
		strata := []Stratum{{s.baseline, s.system}}
		lower, upper := RatioBounds(strata, 0.95)
		ratio := Ratio(strata, 0).Ratio
		if !(lower <= ratio && ratio <= upper) {
			t.Errorf("%s: ratio %g outside of %g to %g", name, ratio, lower, upper)
		}
		if lower > 0 {
			if inside, outside := Ratio(strata, 1-lower+1e-6).PBelow, Ratio(strata, 1-lower-1e-6).PBelow; inside > 0.05 || outside <= 0.05 {
				t.Errorf("%s: p %g above and %g below the lower bound %g", name, inside, outside, lower)
			}
		}
		if !math.IsInf(upper, 1) {
			if inside, outside := Ratio(strata, upper-1+1e-6).PAbove, Ratio(strata, upper-1-1e-6).PAbove; inside > 0.05 || outside <= 0.05 {
				t.Errorf("%s: p %g above and %g below the upper bound %g", name, inside, outside, upper)
			}
		}
	}
}

// TestRatioBootstrap is the interval of a mean where the baseline is constant, one near
// that of the t-tests elsewhere, and none where there is nothing to draw.
func TestRatioBootstrap(t *testing.T) {
	random := rand.New(rand.NewPCG(8, 8))
	constant, baseline, system := make([]float64, 80), make([]float64, 80), make([]float64, 80)
	for i := range constant {
		constant[i] = 0.5
		baseline[i] = 0.2 + 0.6*random.Float64()
		system[i] = max(0, baseline[i]+0.05*random.NormFloat64())
	}
	got, want := RatioBootstrap([]Stratum{{constant, system}}, 0.9, 500, 3), Bootstrap(system, 0.9, 500, 3)
	for i := range got {
		if math.Abs(got[i]-want[i]/0.5) > 1e-9 {
			t.Errorf("bound %d is %v, want %v", i, got[i], want[i]/0.5)
		}
	}
	strata := []Stratum{{baseline[:50], system[:50]}, {baseline[50:], system[50:]}}
	lower, upper := RatioBounds(strata, 0.95)
	got = RatioBootstrap(strata, 0.9, 4000, 3)
	if width := upper - lower; math.Abs(got[0]-lower) > 0.1*width || math.Abs(got[1]-upper) > 0.1*width {
		t.Errorf("interval %v, by t-tests %v to %v", got, lower, upper)
	}
	for name, none := range map[string][]Stratum{"no stratum": nil, "one query": {{constant[:1], system[:1]}}, "nothing found": {{make([]float64, 9), system[:9]}}} {
		if got := RatioBootstrap(none, 0.9, 100, 1); got != unbounded {
			t.Errorf("%s: %v, want no bounds", name, got)
		}
	}
}

func TestRiskOfLittle(t *testing.T) {
	tests := map[string]RiskTest{"binomial": Binomial, "betting": Betting(0.05), "Hoeffding and Bentkus": HoeffdingBentkus}
	for name, test := range tests {
		for _, losses := range [][]float64{nil, {math.NaN()}, {-0.1}, {1.5}} {
			if p := test(losses, 0.5); p != 1 {
				t.Errorf("%s of %v: p %g, want 1", name, losses, p)
			}
		}
		for _, limit := range []float64{0, 1, -1, math.NaN()} {
			if p := test(make([]float64, 100), limit); p != 1 {
				t.Errorf("%s: p %g at the limit %g, want 1", name, p, limit)
			}
		}
		if bound := RiskBound(nil, 0.05, test); bound != 1 {
			t.Errorf("%s: nothing bounds the loss by %g", name, bound)
		}
	}
	one := []Stratum{{[]float64{1}, []float64{1}}}
	for _, strata := range [][]Stratum{nil, one, {{[]float64{1, 1}, []float64{1, 1}}, one[0]}} {
		if r := Ratio(strata, 0.01); r.TOST() != 1 {
			t.Errorf("%v: p %g, want 1", strata, r.TOST())
		}
		if lower, upper := RatioBounds(strata, 0.95); lower != 0 || !math.IsInf(upper, 1) {
			t.Errorf("%v: bounds %g and %g", strata, lower, upper)
		}
		if _, ok := QueriesForRatio(strata, 0.01, 0.05, 0.8, true); ok {
			t.Errorf("%v: a number of queries", strata)
		}
	}
	if _, ok := LossesForRisk(nil, 0.1, 0.05, 0.8); ok {
		t.Error("a number of losses from none")
	}
}
