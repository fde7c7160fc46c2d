package docpruner

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/simd"
)

// TestWardSciPy compares with SciPy 1.17.1:
//
//	x, values = 1, []
//	for i in range(24 * 8):
//	    x = (x * 1103515245 + 12345) % 2**31
//	    values.append(x / 2**31 * 2 - 1)
//	P = np.array(values).reshape(24, 8)
//	P /= np.linalg.norm(P, axis=1, keepdims=True)
//	fcluster(linkage(P, method="ward"), t=k, criterion="maxclust")
//	fcluster(linkage(1 - P @ P.T, method="ward", metric="euclidean"), t=k, criterion="maxclust")
//
// the second being what colbert-ai does. Labels are numbered in the order of
// their first points.
func TestWardSciPy(t *testing.T) {
	points := simd.NewMatrix(24, 8)
	x := uint64(1)
	for i := range points.Data {
		x = (x*1103515245 + 12345) % (1 << 31)
		points.Data[i] = float32(float64(x)/(1<<31)*2 - 1)
	}
	points.Normalize()
	for _, test := range []struct {
		factor float64
		rows   bool
		want   []int
	}{
		{2, false, []int{0, 1, 2, 3, 4, 5, 5, 6, 1, 7, 1, 8, 4, 0, 3, 9, 10, 2, 11, 6, 10, 4, 10, 9}},
		{3, false, []int{0, 0, 1, 2, 3, 4, 4, 5, 0, 6, 0, 1, 3, 0, 2, 2, 7, 1, 6, 5, 7, 3, 7, 2}},
		{8, false, []int{0, 0, 1, 2, 1, 2, 2, 2, 0, 2, 0, 1, 1, 0, 2, 2, 2, 1, 2, 2, 2, 1, 2, 2}},
		{2, true, []int{0, 1, 2, 3, 4, 5, 5, 6, 1, 7, 1, 2, 4, 0, 3, 8, 9, 10, 6, 11, 9, 4, 9, 8}},
		{3, true, []int{0, 0, 1, 2, 3, 4, 4, 5, 0, 5, 0, 1, 3, 0, 2, 6, 7, 1, 5, 2, 7, 3, 7, 6}},
		{8, true, []int{0, 0, 1, 2, 1, 2, 2, 2, 0, 2, 0, 1, 1, 0, 2, 2, 2, 1, 2, 2, 2, 1, 2, 2}},
	} {
		got, count := Step{Strategy: Ward, Factor: test.factor, Rows: test.rows}.groups(points, new(wardScratch))
		if !slices.Equal(got, test.want) || count != slices.Max(test.want)+1 {
			t.Errorf("factor %v, rows %v: %v of %d, want %v", test.factor, test.rows, got, count, test.want)
		}
	}
}

// greedyWard merges, one after the other, the two groups that increase the sum of
// squared distances to the means least: the definition.
func greedyWard(points simd.Matrix, count int) []int {
	groups := make([][]int, points.Rows)
	for i := range groups {
		groups[i] = []int{i}
	}
	spread := func(rows []int) (sum float64) {
		mean := make([]float64, points.Dim)
		for _, i := range rows {
			for d, x := range points.Row(i) {
				mean[d] += float64(x) / float64(len(rows))
			}
		}
		for _, i := range rows {
			for d, x := range points.Row(i) {
				sum += (float64(x) - mean[d]) * (float64(x) - mean[d])
			}
		}
		return sum
	}
	for len(groups) > count {
		bestA, bestB, least := 0, 1, math.Inf(1)
		for b := range groups {
			for a := range b {
				rise := spread(slices.Concat(groups[a], groups[b])) - spread(groups[a]) - spread(groups[b])
				if rise < least {
					bestA, bestB, least = a, b, rise
				}
			}
		}
		groups[bestA] = append(groups[bestA], groups[bestB]...)
		groups = slices.Delete(groups, bestB, bestB+1)
	}
	labels := make([]int, points.Rows)
	slices.SortFunc(groups, func(a, b []int) int { return slices.Min(a) - slices.Min(b) })
	for label, rows := range groups {
		for _, i := range rows {
			labels[i] = label
		}
	}
	return labels
}

func TestWardGreedy(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for range 30 {
		d := document(random, 2+random.IntN(24))
		n := d.Vectors.Rows
		factor := 1 + 3*random.Float64()
		got, count := Step{Strategy: Ward, Factor: factor}.groups(d.Vectors, new(wardScratch))
		wantCount := max(int(float64(n)/factor), 1)
		if want := greedyWard(d.Vectors, wantCount); count != wantCount || !slices.Equal(got, want) {
			t.Fatalf("%d vectors, factor %v: %v, want %v", n, factor, got, want)
		}
	}
}

func TestWardMeans(t *testing.T) {
	d := document(rand.New(rand.NewPCG(2, 2)), 30)
	whole := []encoder.Tokens{d}
	plain, raw := prune(t, fitted(t, "ward:3", whole), d), prune(t, fitted(t, "ward:3+raw", whole), d)
	for place := range 10 {
		mean := make([]float64, testDim)
		members := 0.0
		for i := range d.Vectors.Rows {
			if raw.Place(i) == place {
				members++
				for k, x := range d.Vectors.Row(i) {
					mean[k] += float64(x)
				}
			}
		}
		length := 0.0
		for k := range mean {
			mean[k] /= members
			length += mean[k] * mean[k]
		}
		length = math.Sqrt(length)
		for k := range mean {
			if math.Abs(float64(raw.Vectors.Row(place)[k])-mean[k]) > 1e-6 {
				t.Fatalf("raw mean %d differs", place)
			}
			if math.Abs(float64(plain.Vectors.Row(place)[k])-mean[k]/length) > 1e-6 {
				t.Fatalf("mean %d differs, or has not length 1", place)
			}
		}
	}
}

func TestWardProtect(t *testing.T) {
	d := document(rand.New(rand.NewPCG(3, 3)), 30)
	for spec, want := range map[string]int{"ward:3+protect=2": 10, "ward:3+protect=9": 10, "ward:3+protect=10": 11, "ward:3+protect=29": 30, "ward:3+protect=40": 30} {
		pruned := prune(t, fitted(t, spec, []encoder.Tokens{d}), d)
		if pruned.Vectors.Rows != want {
			t.Errorf("%s leaves %d of 30, want %d", spec, pruned.Vectors.Rows, want)
		}
		if !slices.Equal(pruned.Vectors.Data[:2*testDim], d.Vectors.Data[:2*testDim]) {
			t.Errorf("%s changed a protected vector", spec)
		}
	}
}

// TestLong prunes documents of several blocks.
func TestLong(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 4))
	d := document(random, 2*maxBlock+100)
	collection := []encoder.Tokens{d}
	for spec, want := range map[string][2]int{
		"ward:2":      {(2*maxBlock+100)/2 - 2, (2*maxBlock + 100) / 2},
		"voronoi:50%": {maxBlock, maxBlock + 100},
	} {
		pruned := prune(t, fitted(t, spec, collection), d)
		if n := pruned.Vectors.Rows; n < want[0] || n > want[1] {
			t.Errorf("%s leaves %d of %d, want %d to %d", spec, n, d.Vectors.Rows, want[0], want[1])
		}
		checkPruned(t, spec, d, pruned, spec != "ward:2")
	}
}
