package searchbench

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestLongestFirst compares with the best of all placements of few cells: the rule
// is never worse than 4/3 of it (Graham, 1969).
func TestLongestFirst(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		const cells, shards = 8, 3
		loads := make([]float64, cells)
		for i := range loads {
			loads[i] = 1 + 20*rng.Float64()
		}
		busiest := func(placed []int) float64 {
			sums := make([]float64, shards)
			for cell, s := range placed {
				sums[s] += loads[cell]
			}
			return slices.Max(sums)
		}
		best := math.Inf(1)
		placed := make([]int, cells)
		for code := range int(math.Pow(shards, cells)) {
			for i := range placed {
				placed[i], code = code%shards, code/shards
			}
			best = min(best, busiest(placed))
		}
		if got := busiest(longestFirst(loads, shards)); got > 4./3*best+1e-9 {
			t.Errorf("loads %v: %v, the best is %v", loads, got, best)
		}
	}
}

// TestFitLine puts points on a line, and beside it.
func TestFitLine(t *testing.T) {
	x := []float64{1, 5, 9, 40}
	y := make([]float64, len(x))
	for i := range x {
		y[i] = 30 + 2*x[i]
	}
	if m := fitLine(x, y); math.Abs(m.ListNanoseconds-30) > 1e-9 || math.Abs(m.PostingNanoseconds-2) > 1e-9 || math.Abs(m.R2-1) > 1e-9 {
		t.Errorf("got %+v", m)
	}
	// numpy.polyfit([1,5,9,40], [31,45,44,112], 1) and corrcoef squared.
	if m := fitLine(x, []float64{31, 45, 44, 112}); math.Abs(m.PostingNanoseconds-2.04259795) > 1e-8 || math.Abs(m.ListNanoseconds-29.9142782) > 1e-7 || math.Abs(m.R2-0.9892082835246881) > 1e-12 {
		t.Errorf("got %+v", m)
	}
}

// TestFitLineStaysAbove is that neither cost is negative: a line that would begin
// below the origin goes through it, one that would fall is level.
func TestFitLineStaysAbove(t *testing.T) {
	// Through the origin: sum of x*y over sum of x*x is (1*1 + 2*10) / 5; of the
	// squares around the mean, 40.5, (1 - 4.2)^2 + (10 - 8.4)^2 = 12.8 are left.
	if m := fitLine([]float64{1, 2}, []float64{1, 10}); m.ListNanoseconds != 0 || math.Abs(m.PostingNanoseconds-4.2) > 1e-12 || math.Abs(m.R2-(1-12.8/40.5)) > 1e-12 {
		t.Errorf("got %+v", m)
	}
	if m := fitLine([]float64{1, 2}, []float64{10, 2}); m != (CostModel{ListNanoseconds: 6}) {
		t.Errorf("got %+v", m)
	}
}

// TestImbalance is worked out by hand.
func TestImbalance(t *testing.T) {
	costs := []float64{1, 2, 3}
	load, query := imbalance([][]uint32{{0, 1}, {2}}, []int{0, 1, 1}, costs, 2)
	// All: shard 0 has 1, shard 1 has 5, the mean is 3. Queries: 2 of 1.5, 3 of 1.5.
	if math.Abs(load-5./3) > 1e-12 || math.Abs(query-(2/1.5+2)/2) > 1e-12 {
		t.Errorf("got %v and %v", load, query)
	}
}
