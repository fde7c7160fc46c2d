package corpus

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// randomBlock returns a sparse n x m matrix and its scaled dense form.
func randomBlock(rng *rand.Rand, n, m int) (block, *mat.Dense) {
	rows := make(sparse, n)
	for i := range rows {
		for j := range m {
			if rng.IntN(4) == 0 {
				// Falling rows give the spectrum a slope, as in text.
				rows[i] = append(rows[i], entry{uint32(j), float32(rng.Float64() / (1 + float64(i)/8))})
			}
		}
	}
	b := newBlock(rows, rows.transpose(m))
	dense := mat.NewDense(n, m, nil)
	for i, row := range rows {
		for _, e := range row {
			dense.Set(i, int(e.column), b.scale*float64(e.value))
		}
	}
	return b, dense
}

func TestLeftSingularAgainstDense(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, test := range []struct {
		n, rank   int
		tolerance float64
	}{
		{20, 8, 1e-6},    // the subspace is the whole space
		{150, 24, 0.002}, // a real search; the last values converge last
	} {
		x, denseX := randomBlock(rng, test.n, 90)
		y, denseY := randomBlock(rng, test.n, test.n)
		var joint mat.Dense
		joint.Augment(denseX, denseY)
		var svd mat.SVD
		if !svd.Factorize(&joint, mat.SVDThin) {
			t.Fatal("dense SVD failed")
		}
		want := svd.Values(nil)

		u, s, err := leftSingular(t.Context(), []block{x, y}, test.n, test.rank, 1, func(int, int) {})
		if err != nil {
			t.Fatal(err)
		}
		if len(s) != test.rank || u.Rows != test.n || u.Dim != test.rank {
			t.Fatalf("got %d values, u %d x %d", len(s), u.Rows, u.Dim)
		}
		for i, value := range s {
			if math.Abs(value-want[i]) > test.tolerance*want[0] {
				t.Errorf("n %d: singular value %d is %v, want %v", test.n, i, value, want[i])
			}
		}
		// The first directions are far apart, so they agree up to their sign.
		var dense mat.Dense
		svd.UTo(&dense)
		for j := range 3 {
			var dot float64
			for i := range test.n {
				dot += float64(u.Row(i)[j]) * dense.At(i, j)
			}
			if math.Abs(math.Abs(dot)-1) > 1e-3 {
				t.Errorf("n %d: cosine of direction %d is %v", test.n, j, dot)
			}
		}
		for a := range test.rank { // orthonormal
			for b := range a + 1 {
				var dot float64
				for i := range test.n {
					dot += float64(u.Row(i)[a]) * float64(u.Row(i)[b])
				}
				if a == b {
					dot--
				}
				if math.Abs(dot) > 1e-4 {
					t.Errorf("n %d: columns %d and %d: %v", test.n, a, b, dot)
				}
			}
		}
	}
}

func TestLeftSingularOfLowRank(t *testing.T) {
	rows := make(sparse, 300) // rank 2
	for i := range rows {
		rows[i] = []entry{{uint32(i % 2), 1}}
	}
	b := newBlock(rows, rows.transpose(2))
	_, s, err := leftSingular(t.Context(), []block{b, newBlock(make(sparse, 300), make(sparse, 300))}, 300, 16, 1, func(int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	// Two equal values whose squares add up to the squared Frobenius norm 1.
	if len(s) != 2 || math.Abs(s[0]-math.Sqrt(0.5)) > 1e-5 || math.Abs(s[1]-math.Sqrt(0.5)) > 1e-5 {
		t.Errorf("singular values %v", s)
	}
}
