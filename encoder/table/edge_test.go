package table_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/pare-search/pare/encoder/table"
	"github.com/pare-search/pare/simd"
)

// edges are matrices that leave a method little to work with.
func edges() map[string]simd.Matrix {
	all := make(map[string]simd.Matrix)
	for _, shape := range [][2]int{{1, 1}, {1, 13}, {2, 9}, {3, 1}, {70, 1}, {5, 64}, {60, 7}, {41, 13}, {300, 20}} {
		rng := rand.New(rand.NewPCG(1, 2))
		m := simd.NewMatrix(shape[0], shape[1])
		for i := range m.Data {
			m.Data[i] = float32(rng.NormFloat64())
		}
		all[fmt.Sprintf("%dx%d", m.Rows, m.Dim)] = m
	}
	zero := simd.NewMatrix(90, 12)
	all["zero"] = zero
	constant, same, one := simd.NewMatrix(90, 12), simd.NewMatrix(90, 12), simd.NewMatrix(90, 12)
	for i := range constant.Data {
		constant.Data[i] = 0.25
		same.Data[i] = float32(i%12) - 4
	}
	one.Data[17] = 3
	all["constant"], all["rows alike"], all["one value"] = constant, same, one
	large, small := simd.NewMatrix(90, 12), simd.NewMatrix(90, 12)
	rng := rand.New(rand.NewPCG(1, 3))
	for i := range large.Data {
		x := rng.NormFloat64()
		large.Data[i], small.Data[i] = float32(1e5*x), float32(1e-30*x)
	}
	all["large"], all["small"] = large, small
	return all
}

// TestEdges gives matrices without structure, or with too much of it, to all methods:
// there is a table within the budget whose rows are finite, or an error that says
// that the budget is too small.
func TestEdges(t *testing.T) {
	for name, m := range edges() {
		heavy := make([]int64, m.Rows)
		for i := range heavy {
			heavy[i] = math.MaxInt64 / int64(1+i)
		}
		none := make([]int64, m.Rows)
		for _, method := range append(names(), "used-rows+bits", "used-rows+product") {
			for _, frequencies := range [][]int64{nil, none, heavy} {
				for _, budget := range []int{1, len(m.Data) / 2, 2 * len(m.Data), 4*len(m.Data) + 200} {
					got, err := table.Fit(t.Context(), method, m, table.Options{Budget: max(1, budget), Frequencies: frequencies})
					if err != nil {
						if !errors.Is(err, table.ErrBudget) {
							t.Errorf("%s of %s in %d bytes: %v", method, name, budget, err)
						}
						continue
					}
					if got.Size() > budget {
						t.Errorf("%s of %s: %d bytes of %d", method, name, got.Size(), budget)
					}
					for i, v := range got.Matrix().Data {
						if v-v != 0 {
							t.Fatalf("%s of %s in %d bytes: value %d is %v", method, name, budget, i, v)
						}
					}
				}
			}
		}
	}
}

func names() []string {
	var all []string
	for _, m := range table.Methods() {
		all = append(all, m.Name)
	}
	return all
}

// TestScale is that what is lost does not depend on the unit of the values.
func TestScale(t *testing.T) {
	m, frequencies := words(300, 16)
	for _, method := range names() {
		options := table.Options{Budget: len(m.Data), Frequencies: frequencies, Seed: 1}
		want, err := table.Fit(t.Context(), method, m, options)
		if errors.Is(err, table.ErrBudget) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, factor := range []float32{1 << 12, 1. / (1 << 14)} {
			scaled := simd.NewMatrix(m.Rows, m.Dim)
			for i, v := range m.Data {
				scaled.Data[i] = factor * v
			}
			got, err := table.Fit(t.Context(), method, scaled, options)
			if err != nil {
				t.Fatalf("%s: %v", method, err)
			}
			a, b := loss(want, m, frequencies), loss(got, scaled, frequencies)
			if math.Abs(a-b) > 0.02*a+1e-6 {
				t.Errorf("%s loses %v of a matrix, %v of %v times it", method, a, b, factor)
			}
		}
	}
}
