package table

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

// unequal is random with rows whose lengths differ a hundredfold.
func unequal(rows, dim, budget int) problem {
	p := random(rows, dim, budget)
	rng := rand.New(rand.NewPCG(4, 4))
	for i := range rows {
		scale := float32(0.1 + 10*rng.Float64())
		for d := range p.Row(i) {
			p.Row(i)[d] *= scale
		}
	}
	return p
}

// TestBandedUniform is that bits where they are worth most lose no more weighted
// error than the same bytes with equal bits for all.
func TestBandedUniform(t *testing.T) {
	for name, p := range map[string]problem{"alike": random(700, 48, 0), "unequal": unequal(700, 48, 0)} {
		for _, share := range []float64{0.06, 0.1, 0.15, 0.2, 0.3, 0.45} {
			p.budget = int(share * float64(4*len(p.Data)))
			var losses []float64
			for _, method := range []string{"bits", "banded"} {
				m, err := find(method)
				if err != nil {
					t.Fatal(err)
				}
				fitted, err := m.fit(t.Context(), p)
				if err != nil {
					t.Fatalf("%s of %s: %v", method, name, err)
				}
				if size := fitted.size(); size > p.budget {
					t.Errorf("%s of %s: %d bytes of %d", method, name, size, p.budget)
				}
				loss, err := p.loss(fitted)
				if err != nil {
					t.Fatal(err)
				}
				losses = append(losses, loss)
			}
			if losses[1] > losses[0] {
				t.Errorf("%s at %v: loses %v, equal bits %v", name, share, losses[1], losses[0])
			}
		}
	}
}

// TestBitsByWorth tries every exchange of a bit between two rows: none takes away more
// error, and heavier rows never have fewer bits.
func TestBitsByWorth(t *testing.T) {
	p := unequal(40, 64, 1300)
	order, worth := make([]int32, p.Rows), make([]float64, p.Rows)
	for i := range order {
		order[i], worth[i] = int32(i), 1/float64(1+i)
	}
	bits := p.bitsByWorth(order, worth)
	if !slices.IsSortedFunc(bits, func(a, b uint8) int { return int(b) - int(a) }) || bits[0] == bits[len(bits)-1] {
		t.Fatalf("bits %v", bits)
	}
	left := normal().left
	for i, from := range bits {
		for j, to := range bits {
			if i == j || from < 2 || to < 1 || to == maxLevelBits { // the first bit costs more
				continue
			}
			lost, won := worth[i]*(left[from-1]-left[from]), worth[j]*(left[to]-left[to+1])
			if won > lost*(1+1e-12) {
				t.Errorf("a bit of row %d, which has %d, is worth %v, to row %d, which has %d, %v", i, from, lost, j, to, won)
			}
		}
	}
	for b, want := range []float64{1, 0.3634, 0.1175, 0.03454, 0.009497} { // Max 1960, table I
		if got := left[b]; got < 0.97*want || got > 1.03*want {
			t.Errorf("%d bits leave %v of a normal distribution, want %v", b, got, want)
		}
	}
}

// TestSensitivities is that rows get bits by sensitivity, whose scale does not matter.
func TestSensitivities(t *testing.T) {
	p := random(300, 32, 0)
	half := make([]float64, p.Rows)
	for i := range half {
		half[i] = float64(i % 2)
	}
	fit := func(sensitivities []float64) *Table {
		got, err := Fit(t.Context(), "banded-retrieval", p.Matrix, Options{Budget: len(p.Data) / 3, Sensitivities: sensitivities})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	got := fit(half)
	row, other := make([]float32, p.Dim), make([]float32, p.Dim)
	got.Row(other, 0)
	for i := range p.Rows {
		got.Row(row, i)
		if same := slices.Equal(row, other); same != (i%2 == 0) {
			t.Errorf("row %d of sensitivity %v shares the mean: %v", i, half[i], same)
		}
	}
	for i := range half {
		half[i] *= 1e-9
	}
	if !bytes.Equal(got.saved, fit(half).saved) {
		t.Error("another unit of sensitivities makes another table")
	}
	if !bytes.Equal(fit(slices.Repeat([]float64{3}, p.Rows)).saved, fit(nil).saved) {
		t.Error("equal sensitivities make another table than none")
	}
}
