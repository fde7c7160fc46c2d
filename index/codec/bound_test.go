package codec

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/pare-search/pare/simd"
)

// TestBound: with the maxima of the other rows bounds are never below a score,
// whatever the codes, also those that no encoder would write.
func TestBound(t *testing.T) {
	rng := rand.New(rand.NewPCG(31, 31))
	m, ids := tokens(31, 2000, 32, 60)
	for _, kind := range Kinds {
		opts := DefaultOptions()
		opts.Kind, opts.Cells = kind, 40
		c, err := Train(t.Context(), m, ids, opts, nil)
		if err != nil {
			t.Fatal(err)
		}
		if kind == Banded {
			c = mixed(t, c)
		}
		s, first := c.NewScorer(), c.NewScorer()
		for range 200 {
			at, n := rng.IntN(1900), rng.IntN(40)
			data := encode(t, c, m.Slice(at, at+n), ids[at:at+n])
			if kind.Residual() {
				data.Codes = slices.Clone(data.Codes)
				p, err := c.parse(data)
				if err != nil {
					t.Fatal(err)
				}
				for i := range p.body { // a view into the codes
					p.body[i] = byte(rng.Uint32())
				}
			}
			q := simd.PackQuery(m.Slice(at/2, at/2+7))
			rows, summed := rng.Perm(7), []int(nil)
			if rng.IntN(2) == 0 {
				summed = []int{1, 3, 4, 6}
			}
			reset(t, s, q, rows, summed)
			s.Scan()
			k := rng.IntN(8)
			if err := first.ResetFirst(s, k); err != nil {
				t.Fatal(err)
			}
			score, vectors, err := s.Score(data, Payload{})
			part, firstVectors, err2 := first.Score(data, Payload{})
			bound, ok, err3 := s.Bound(data, k)
			if err := errors.Join(err, err2, err3); err != nil {
				t.Fatal(err)
			}
			if vectors != n || firstVectors != n || ok != kind.Residual() {
				t.Fatalf("%v: %d and %d vectors of %d, bound known: %v", kind, vectors, firstVectors, n, ok)
			}
			if k == 7 && part != score {
				t.Fatalf("%v: all rows score %v, their part is %v", kind, score, part)
			}
			if ok && float64(score) > float64(part)+bound+1e-5 {
				t.Fatalf("%v: score %v, more than %v and %v for the rows from %d on", kind, score, part, bound, k)
			}
			checkPart(t, c, q, rows[:k], summed, data, part)
		}
	}
}

// checkPart scores some rows as a query of their own.
func checkPart(t *testing.T, c *Codebook, q *simd.Query, rows, summed []int, data Payload, part float32) {
	t.Helper()
	if summed != nil {
		summed = slices.DeleteFunc(slices.Clone(summed), func(row int) bool { return !slices.Contains(rows, row) })
	}
	alone := c.NewScorer()
	reset(t, alone, q, rows, summed)
	want, _, err := alone.Score(data, Payload{})
	if err != nil {
		t.Fatal(err)
	}
	// How fine similarities with cells are depends on the longest row, here about
	// the same for all.
	if diff := float64(want - part); diff > 1e-3 || diff < -1e-3 {
		t.Fatalf("rows %v, of which %v score: %v, alone %v", rows, summed, part, want)
	}
}

func TestResetFirstRefuses(t *testing.T) {
	m, ids := tokens(1, 300, 16, 5)
	c := train(t, m, ids, Residual2)
	s, first := c.NewScorer(), c.NewScorer()
	if err := first.ResetFirst(s, 0); !errors.Is(err, ErrShape) {
		t.Errorf("no query: error %v", err)
	}
	reset(t, s, simd.PackQuery(m.Slice(0, 3)), nil, nil)
	for _, n := range []int{-1, 4} {
		if err := first.ResetFirst(s, n); !errors.Is(err, ErrShape) {
			t.Errorf("%d rows: error %v", n, err)
		}
	}
	if _, _, err := c.NewScorer().Bound(Payload{}, 0); !errors.Is(err, ErrShape) {
		t.Errorf("a bound without a query: error %v", err)
	}
}
