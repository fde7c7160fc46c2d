package stats

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func fields(t *testing.T, name string) [][]string {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var lines [][]string
	for line := range strings.Lines(string(data)) {
		lines = append(lines, strings.Fields(line))
	}
	return lines
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

type pairs struct{ baseline, system, diffs []float64 }

func testSamples(t *testing.T) map[string]*pairs {
	samples := map[string]*pairs{}
	for _, f := range fields(t, "samples.tsv") {
		if samples[f[0]] == nil {
			samples[f[0]] = &pairs{}
		}
		s, a, b := samples[f[0]], number(t, f[1]), number(t, f[2])
		s.baseline, s.system, s.diffs = append(s.baseline, a), append(s.system, b), append(s.diffs, b-a)
	}
	return samples
}

func TestAgainstOtherSoftware(t *testing.T) {
	samples := testSamples(t)
	for _, f := range fields(t, "expected.tsv") {
		s, want := samples[f[0]], number(t, f[2])
		margin := 0.02 * mean(s.baseline)
		tt, p := TTest(s.diffs)
		tost := TOST(s.diffs, margin)
		ci := TInterval(s.diffs, 0.9)

		var got float64
		tolerance := 1e-8 * max(1e-3, math.Abs(want))
		drawn := 0.06 * (ci[1] - ci[0]) // error of an interval's end by drawing
		switch f[1] {
		case "t":
			got = tt
		case "p":
			got = p
		case "tl":
			got = tost.TL
		case "tu":
			got = tost.TU
		case "pe":
			got = tost.P
		case "lo":
			got = ci[0]
		case "hi":
			got = ci[1]
		case "percentile.lo":
			got, tolerance = Bootstrap(s.diffs, 0.9, 20000, 1)[0], drawn
		case "percentile.hi":
			got, tolerance = Bootstrap(s.diffs, 0.9, 20000, 1)[1], drawn
		case "BCa.lo":
			got, tolerance = BootstrapBCa(s.diffs, 0.9, 20000, 1)[0], drawn
		case "BCa.hi":
			got, tolerance = BootstrapBCa(s.diffs, 0.9, 20000, 1)[1], drawn
		case "permutation.exact":
			got, tolerance = PermutationTest(s.diffs, 1<<20, 1), 1e-12
		case "permutation":
			// Two estimates of p, each with a variance of p(1-p)/20000.
			got, tolerance = PermutationTest(s.diffs, 20000, 1), 4*math.Sqrt(2*want*(1-want)/20000)+1e-4
		default:
			t.Fatalf("unknown quantity %s", f[1])
		}
		if math.Abs(got-want) > tolerance {
			t.Errorf("%s of sample %s: %.12g, want %.12g", f[1], f[0], got, want)
		}
	}
}

func TestHolmAgainstOtherSoftware(t *testing.T) {
	lines := fields(t, "holm.tsv")
	for len(lines) > 0 {
		n := int(number(t, lines[0][0]))
		var p, want []float64
		for _, f := range lines[:n] {
			p, want = append(p, number(t, f[1])), append(want, number(t, f[2]))
		}
		lines = lines[n:]
		for i, got := range Holm(p) {
			if math.Abs(got-want[i]) > 1e-12 {
				t.Errorf("family %v: adjusted p %d is %g, want %g", p, i, got, want[i])
			}
		}
	}
	if got := Holm([]float64{math.NaN(), 0.01}); !slices.Equal(got, []float64{1, 0.02}) {
		t.Errorf("NaN in a family: %v", got)
	}
	if got := Holm(nil); len(got) != 0 {
		t.Errorf("empty family: %v", got)
	}
}

// TestTOSTIsTheInterval checks the equality that the verdict rests on.
func TestTOSTIsTheInterval(t *testing.T) {
	seen := map[bool]int{}
	for name, s := range testSamples(t) {
		for share := 0.0; share < 0.3; share += 0.001 {
			margin := share * mean(s.baseline)
			ci := TInterval(s.diffs, 0.9)
			inside := -margin < ci[0] && ci[1] < margin
			if p := TOST(s.diffs, margin).P; (p < 0.05) != inside {
				t.Errorf("sample %s, margin %g: p %g, interval %v", name, margin, p, ci)
			}
			seen[inside]++
		}
	}
	if seen[true] < 10 || seen[false] < 10 {
		t.Errorf("too few cases of one kind: %v", seen)
	}
}

func TestDecide(t *testing.T) {
	tests := []struct {
		ci     Interval
		margin float64
		want   Verdict
	}{
		{Interval{-0.01, 0.01}, 0.02, Equivalent},
		{Interval{-0.015, -0.005}, 0.02, Equivalent}, // a real difference that does not matter
		{Interval{-0.03, -0.005}, 0.02, Worse},
		{Interval{0.005, 0.03}, 0.02, Better},
		{Interval{-0.03, 0.01}, 0.02, Undecided},
		{Interval{-0.02, 0.01}, 0.02, Undecided}, // the margin itself is outside
		{Interval{-0.03, 0}, 0.02, Undecided},
		{Interval{0, 0}, 0, Equivalent},
		{Interval{-1e-9, 1e-9}, 0, Undecided},
		{unbounded, 0.02, Undecided},
		{Interval{math.NaN(), math.NaN()}, 0.02, Undecided},
	}
	for _, tt := range tests {
		if got := Decide(tt.ci, tt.margin); got != tt.want {
			t.Errorf("interval %v, margin %g: %v, want %v", tt.ci, tt.margin, got, tt.want)
		}
	}
}

func TestCompareEdges(t *testing.T) {
	opts := DefaultOptions()
	tests := []struct {
		name             string
		baseline, system []float64
		ci               Interval
		pd, pe           float64
		verdict          Verdict
	}{
		{"nothing", nil, nil, unbounded, 1, 1, Undecided},
		{"one query", []float64{0.5}, []float64{0.5}, unbounded, 1, 1, Undecided},
		{"few identical", []float64{0.1, 0.9, 0.3}, []float64{0.1, 0.9, 0.3}, Interval{}, 1, 0, Undecided},
		{"nine identical", slices.Repeat([]float64{0.5}, 9), slices.Repeat([]float64{0.5}, 9), Interval{}, 1, 0, Undecided},
		{"identical", slices.Repeat([]float64{0.1, 0.9}, 5), slices.Repeat([]float64{0.1, 0.9}, 5), Interval{}, 1, 0, Equivalent},
		{"identical zeros", make([]float64, 10), make([]float64, 10), Interval{}, 1, 0, Equivalent},
		{"few less", []float64{1, 0.5}, []float64{0.75, 0.25}, Interval{-0.25, -0.25}, 0, 1, Undecided},
		{"always less", slices.Repeat([]float64{1, 0.5}, 5), slices.Repeat([]float64{0.75, 0.25}, 5), Interval{-0.25, -0.25}, 0, 1, Worse},
		{"always more", make([]float64, 10), slices.Repeat([]float64{0.25}, 10), Interval{0.25, 0.25}, 0, 1, Better},
		{"always a little less", slices.Repeat([]float64{64}, 10), slices.Repeat([]float64{63}, 10), Interval{-1, -1}, 0, 0, Equivalent},
	}
	for _, tt := range tests {
		c, err := Compare(tt.baseline, tt.system, opts)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if c.CI90 != tt.ci || c.Bootstrap90 != tt.ci || c.PDifference != tt.pd || c.PEquivalence != tt.pe || c.Verdict != tt.verdict {
			t.Errorf("%s: %+v", tt.name, c)
		}
		if c.Wins+c.Ties+c.Losses != len(tt.baseline) || c.Queries != len(tt.baseline) {
			t.Errorf("%s: counts do not add up: %+v", tt.name, c)
		}
		if data, err := json.Marshal(c); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		} else {
			var again Comparison
			if err := json.Unmarshal(data, &again); err != nil || again != c {
				t.Errorf("%s: %s reads back as %+v (%v)", tt.name, data, again, err)
			}
		}
	}

	for _, bad := range [][2][]float64{
		{{1, 2}, {1}},
		{{1, math.NaN()}, {1, 1}},
		{{1, 1}, {1, math.Inf(1)}},
		{{math.Inf(1), 1}, {math.Inf(1), 1}},
		{{math.MaxFloat64}, {-math.MaxFloat64}},
	} {
		if _, err := Compare(bad[0], bad[1], opts); !errors.Is(err, ErrSample) {
			t.Errorf("%v against %v: error %v", bad[0], bad[1], err)
		}
	}
	_, err := Compare(nil, nil, Options{Margin: math.NaN(), Resamples: -1})
	if !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), "margin") || !strings.Contains(err.Error(), "resamples") {
		t.Errorf("two bad options: %v", err)
	}
}

func TestCompare(t *testing.T) {
	samples := testSamples(t)
	for name, want := range map[string]Verdict{
		"worse": Worse, "better": Better, "equal": Equivalent, "tiny": Equivalent, "small": Undecided, "topics": Undecided,
	} {
		s := samples[name]
		c, err := Compare(s.baseline, s.system, DefaultOptions())
		if err != nil || c.Verdict != want {
			t.Errorf("sample %s: %v, want %v: %+v (%v)", name, c.Verdict, want, c, err)
		}
		if math.Abs(c.Mean-c.MeanBaseline-c.Delta) > 1e-12 {
			t.Errorf("sample %s: the means do not differ by delta: %+v", name, c)
		}
		again, _ := Compare(s.baseline, s.system, DefaultOptions())
		if again != c {
			t.Errorf("sample %s: two comparisons differ: %+v, %+v", name, c, again)
		}
	}
}

func TestResamplingLimits(t *testing.T) {
	d := []float64{1, 2, 3, -1}
	for _, ci := range []Interval{
		Bootstrap(d, 0.9, 0, 1), Bootstrap(d[:1], 0.9, 10, 1), Bootstrap(d, 1, 10, 1), Bootstrap(d, math.NaN(), 10, 1),
		BootstrapBCa(d, 0.9, 0, 1), BootstrapBCa(nil, 0.9, 10, 1), TInterval(d, 0), TInterval(d[:1], 0.9),
	} {
		if ci != unbounded {
			t.Errorf("interval %v, want one without bounds", ci)
		}
	}
	if ci := BootstrapBCa(d, 0.9, 1, 1); ci[0] != ci[1] {
		t.Errorf("one draw: %v, want a point", ci)
	}
	if Bootstrap(d, 0.9, 100, 1) != Bootstrap(d, 0.9, 100, 1) || Bootstrap(d, 0.9, 100, 1) == Bootstrap(d, 0.9, 100, 2) {
		t.Error("the bootstrap does not follow its seed")
	}
	if p := PermutationTest(nil, 100, 1); p != 1 {
		t.Errorf("permutation test of nothing: %g", p)
	}
	// Of the 16 choices of signs of four ones, two are as extreme.
	if p := PermutationTest([]float64{1, 1, 1, 1}, 16, 1); p != 2.0/16 {
		t.Errorf("exact p: %g, want 0.125", p)
	}
}

func TestVerdictText(t *testing.T) {
	for v, want := range map[Verdict]string{
		Undecided: "? ? undecided", Equivalent: "≈ = equivalent", Worse: "▼ v worse", Better: "▲ ^ better",
	} {
		text, err := v.MarshalText()
		if got := v.String() + " " + v.ASCII() + " " + string(text); err != nil || got != want {
			t.Errorf("%q, want %q (%v)", got, want, err)
		}
		var again Verdict
		if err := again.UnmarshalText(text); err != nil || again != v {
			t.Errorf("%s reads back as %v (%v)", text, again, err)
		}
	}
	v := Verdict(9)
	if _, err := v.MarshalText(); err == nil || v.String() != "Verdict(9)" || v.ASCII() != "Verdict(9)" {
		t.Error("a verdict that does not exist prints as one")
	}
	if err := v.UnmarshalText([]byte("good")); err == nil {
		t.Error("an unknown word is a verdict")
	}
}
