package codec

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/pare-search/pare/simd"
)

// tokens returns vectors of unit length around a direction per token id, and
// the ids: frequent ids have low numbers.
func tokens(seed uint64, n, dim, vocabulary int) (simd.Matrix, []uint32) {
	rng := rand.New(rand.NewPCG(seed, 0))
	words := simd.NewMatrix(vocabulary, dim)
	shared := rand.New(rand.NewPCG(7, 7))
	for i := range words.Data {
		words.Data[i] = float32(shared.NormFloat64())
	}
	m := simd.NewMatrix(n, dim)
	ids := make([]uint32, n)
	for i := range n {
		u := rng.Float64()
		ids[i] = uint32(float64(vocabulary) * u * u * u)
		for d, w := range words.Row(int(ids[i])) {
			m.Row(i)[d] = w + float32(rng.NormFloat64())*0.8
		}
	}
	m.Normalize()
	return m, ids
}

func train(t testing.TB, m simd.Matrix, ids []uint32, kind Kind) *Codebook {
	t.Helper()
	opts := DefaultOptions()
	opts.Kind = kind
	c, err := Train(context.Background(), m, ids, opts, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRoundTrip(t *testing.T) {
	m, ids := tokens(1, 3000, 128, 100)
	for _, kind := range Kinds {
		c := train(t, m, ids, kind)
		doc := m.Slice(0, 50)
		b, cells, err := c.Encode(nil, doc, ids[:50])
		if err != nil {
			t.Fatal(err)
		}
		back, err := c.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		var e float64
		for i, x := range doc.Data {
			e += math.Pow(float64(x-back.Data[i]), 2)
		}
		s := c.NewScorer()
		s.Reset(simd.PackQuery(m.Slice(100, 110)))
		got, err := s.Score(b, nil)
		best := make([]float32, 10)
		simd.Reset(best)
		simd.PackQuery(m.Slice(100, 110)).MaxSim(back, best)
		t.Log(kind, c.Cells(), len(cells), len(b), e/50, got, simd.Sum(best), err)
	}
}
