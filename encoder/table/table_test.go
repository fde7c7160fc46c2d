package table_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/pare-search/pare/encoder/table"
	"github.com/pare-search/pare/simd"
)

// words returns a matrix like that of an encoder: rows near a subspace, clustered,
// with frequencies that fall as in texts.
func words(rows, dim int) (simd.Matrix, []int64) {
	rng := rand.New(rand.NewPCG(7, 7))
	basis := simd.NewMatrix(dim/4, dim)
	for i := range basis.Data {
		basis.Data[i] = float32(rng.NormFloat64())
	}
	m, frequencies := simd.NewMatrix(rows, dim), make([]int64, rows)
	for i := range rows {
		row := m.Row(i)
		for b := range basis.Rows {
			f := float32(rng.NormFloat64()) / float32(1+b)
			for d, v := range basis.Row(b) {
				row[d] += f * v
			}
		}
		for d := range row {
			row[d] += float32(rng.NormFloat64()) / 10
		}
		frequencies[i] = int64(10 * rows / (1 + (i*7919)%rows))
	}
	return m, frequencies
}

// loss is the weighted squared error over the weighted squared length.
func loss(t *table.Table, m simd.Matrix, frequencies []int64) float64 {
	got := t.Matrix()
	var errorSum, sum float64
	for i := range m.Rows {
		w := float64(frequencies[i] + 1)
		for d, v := range m.Row(i) {
			e := float64(v) - float64(got.Row(i)[d])
			errorSum, sum = errorSum+w*e*e, sum+w*float64(v)*float64(v)
		}
	}
	return errorSum / sum
}

// TestBudgets holds every method to its budgets: the table takes no more bytes
// and at least 98 in 100 of them or so many that no row more would fit, and the more it may take the less it loses.
func TestBudgets(t *testing.T) {
	m, frequencies := words(800, 32)
	for _, method := range table.Methods() {
		t.Run(method.Name, func(t *testing.T) {
			before := math.Inf(1)
			for _, factor := range []int{32, 16, 8, 4, 2} {
				budget := 4 * len(m.Data) / factor
				got, err := table.Fit(t.Context(), method.Name, m, table.Options{Budget: budget, Frequencies: frequencies, Seed: 1})
				if errors.Is(err, table.ErrBudget) {
					t.Logf("%dx: %v", factor, err)
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				const header, row = 32, 32 * 4 // what one more row would take
				if size := got.Size(); size > budget || float64(size) < 0.98*float64(budget) && size < budget-header-row {
					t.Errorf("%dx: %d bytes of %d", factor, size, budget)
				}
				lost := loss(got, m, frequencies)
				t.Logf("%dx: %.4f", factor, lost)
				if lost > before {
					t.Errorf("%dx loses %v, a smaller budget %v", factor, lost, before)
				}
				before = lost
			}
		})
	}
}
