package docpruner

import (
	"iter"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/simd"
)

const testDim = 16

// special are the ids at the ends of every made document.
var special = []uint32{101, 102}

// document makes a document of so many vectors: words drawn by Zipf's law
// between two special tokens, each near its word's own direction.
func document(random *rand.Rand, n int) encoder.Tokens {
	words := rand.NewZipf(random, 1.3, 4, 60)
	t := encoder.Tokens{IDs: make([]uint32, n), Spans: make([]encoder.Span, n), Vectors: simd.NewMatrix(n, testDim)}
	for i := range n {
		id := uint32(words.Uint64())
		if i == 0 {
			id = special[0]
		} else if i == n-1 {
			id = special[1]
		}
		t.IDs[i], t.Spans[i] = id, encoder.Span{Start: 3 * i, End: 3*i + 2}
		own := rand.New(rand.NewPCG(uint64(id), 0))
		for d := range testDim {
			t.Vectors.Row(i)[d] = float32(own.NormFloat64() + 0.5*random.NormFloat64())
		}
	}
	t.Vectors.Normalize()
	return t
}

// documents makes n documents of 3 to 42 vectors.
func documents(n int, seed uint64) []encoder.Tokens {
	random := rand.New(rand.NewPCG(seed, 0))
	out := make([]encoder.Tokens, n)
	for i := range out {
		out[i] = document(random, 3+random.IntN(40))
	}
	return out
}

func each(documents []encoder.Tokens) iter.Seq2[encoder.Tokens, error] {
	return func(yield func(encoder.Tokens, error) bool) {
		for _, d := range documents {
			if !yield(d, nil) {
				return
			}
		}
	}
}

// fitted parses and fits a pruner.
func fitted(t testing.TB, spec string, documents []encoder.Tokens) *Fitted {
	t.Helper()
	p, err := Parse(spec)
	if err != nil {
		t.Fatal(err)
	}
	options := DefaultFitOptions()
	options.StopWords = map[string][]uint32{"english": {0, 1, 2, 99}}
	options.Queries = documents[0].Vectors
	f, err := p.Fit(t.Context(), each(documents), options)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func prune(t testing.TB, f *Fitted, d encoder.Tokens) Pruned {
	t.Helper()
	pruned, err := f.Prune(d)
	if err != nil {
		t.Fatalf("%s: %v", f.Pruner(), err)
	}
	return pruned
}

// maxSim is the best match of a direction, by the plain loop.
func maxSim(q []float32, m simd.Matrix) float64 {
	best := math.Inf(-1)
	for i := range m.Rows {
		best = max(best, dot(q, m.Row(i)))
	}
	return best
}

func dot(a, b []float32) (sum float64) {
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}
