package fusion

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

var rules = map[string]func([]float64, ...List) (List, error){
	"ReciprocalRank": func(weights []float64, lists ...List) (List, error) {
		return ReciprocalRank(DefaultK, weights, lists...)
	},
	"StandardisedSum": StandardisedSum,
	"MinMax":          MinMax,
}

func expect(t *testing.T, got List, err error, want List) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range want {
		if got[i].ID != want[i].ID || math.Abs(got[i].Score-want[i].Score) > 1e-12 {
			t.Fatalf("hit %d: got %v, want %v", i, got[i], want[i])
		}
	}
}

func TestByHand(t *testing.T) {
	a := List{{"x", 9}, {"y", 5}, {"z", 1}}
	b := List{{"w", 0.5}, {"y", 1.5}}

	got, err := ReciprocalRank(60, nil, a, b)
	expect(t, got, err, List{
		{"y", 1.0/62 + 1.0/61}, {"x", 1.0 / 61}, {"w", 1.0 / 62}, {"z", 1.0 / 63},
	})

	got, err = ReciprocalRank(0, []float64{1, 3}, a, b)
	expect(t, got, err, List{{"y", 3.5}, {"w", 1.5}, {"x", 1}, {"z", 1.0 / 3}})

	// a: mean 5, variance (16+0+16)/3; b: mean 1, variance 1/4. Lowest z of a
	// is -sqrt(3/2), of b it is -1.
	s := math.Sqrt(1.5)
	got, err = StandardisedSum(nil, a, b)
	expect(t, got, err, List{{"y", 1}, {"x", s - 1}, {"z", -s - 1}, {"w", -1 - s}})

	got, err = MinMax([]float64{2, 1}, a, b)
	expect(t, got, err, List{{"y", 2}, {"x", 2}, {"z", 0}, {"w", 0}})
}

func TestBestDuplicateWins(t *testing.T) {
	for name, rule := range rules {
		once, err := rule(nil, List{{"x", 3}, {"y", 2}, {"z", 0}})
		if err != nil {
			t.Fatal(name, err)
		}
		twice, err := rule(nil, List{{"y", -7}, {"x", 3}, {"z", 0}, {"y", 2}, {"x", 3}})
		expect(t, twice, err, once)
	}
}

func TestListsThatSayNothing(t *testing.T) {
	ranked := List{{"a", 2}, {"b", 1}, {"c", 0.5}}
	for name, rule := range rules {
		alone, err := rule(nil, ranked)
		if err != nil {
			t.Fatal(name, err)
		}
		for what, second := range map[string]List{"nil": nil, "empty": {}} {
			got, err := rule(nil, ranked, second)
			if err != nil || !slices.Equal(got, alone) {
				t.Errorf("%s with a second list that is %s: %v, %v; want %v", name, what, got, err, alone)
			}
		}
		got, err := rule(nil)
		if err != nil || len(got) != 0 {
			t.Errorf("%s of no list: %v, %v", name, got, err)
		}
	}

	// 0.1 three times has a mean that is not 0.1 in floating point.
	flat := List{{"a", 0.1}, {"b", 0.1}, {"c", 0.1}}
	got, err := StandardisedSum(nil, flat)
	expect(t, got, err, List{{"c", 0}, {"b", 0}, {"a", 0}})
	got, err = MinMax(nil, flat)
	expect(t, got, err, List{{"c", 1}, {"b", 1}, {"a", 1}})
}

func TestRefuses(t *testing.T) {
	good := List{{"a", 1}, {"b", 0}}
	for name, rule := range rules {
		for _, score := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			if _, err := rule(nil, good, List{{"bad", score}}); !errors.Is(err, ErrInvalid) {
				t.Errorf("%s: score %v: %v", name, score, err)
			}
		}
		for _, weights := range [][]float64{{}, {1}, {1, 2, 3}, {1, -1}, {math.NaN(), 1}, {1, math.Inf(1)}} {
			if _, err := rule(weights, good, good); !errors.Is(err, ErrInvalid) {
				t.Errorf("%s: weights %v: %v", name, weights, err)
			}
		}
	}
	for _, k := range []float64{-1, math.NaN(), math.Inf(1)} {
		if _, err := ReciprocalRank(k, nil, good); !errors.Is(err, ErrInvalid) {
			t.Errorf("rank constant %v: %v", k, err)
		}
	}
}

func TestProperties(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	random := func() List {
		list := make(List, rng.IntN(12))
		for i := range list {
			list[i] = Hit{ID: fmt.Sprintf("d%02d", rng.IntN(15)), Score: float64(rng.IntN(9)-4) * 0.3}
		}
		return list
	}
	shuffled := func(list List) List {
		list = slices.Clone(list)
		rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		return list
	}
	for range 300 {
		a, b := random(), random()
		before := slices.Clone(a)
		for name, rule := range rules {
			got, err := rule([]float64{0.7, 1.3}, a, b)
			if err != nil {
				t.Fatal(name, err)
			}
			if !slices.Equal(a, before) {
				t.Fatalf("%s changed its argument", name)
			}
			if !slices.IsSortedFunc(got, Compare) {
				t.Fatalf("%s: not in order: %v", name, got)
			}
			ids := map[string]bool{}
			for _, hit := range append(slices.Clone(a), b...) {
				ids[hit.ID] = true
			}
			if len(ids) != len(got) {
				t.Fatalf("%s: %d documents in, %d out", name, len(ids), len(got))
			}

			again, err := rule([]float64{0.7, 1.3}, shuffled(a), shuffled(b))
			if err != nil || !slices.Equal(got, again) {
				t.Fatalf("%s: depends on the order of hits", name)
			}

			// Shifting and stretching the scores of a list changes nothing,
			// even to the ends of the number range. (Powers of two: exact.)
			stretched := slices.Clone(a)
			for i := range stretched {
				stretched[i].Score = math.Ldexp(stretched[i].Score, 1020)
			}
			far, err := rule([]float64{0.7, 1.3}, stretched, b)
			expect(t, far, err, got)

			// One list keeps its order.
			single, err := rule(nil, a)
			if err != nil {
				t.Fatal(name, err)
			}
			want, _ := prepare(a)
			for i := range single {
				if flat := want[0].Score == want[len(want)-1].Score; !flat && single[i].ID != want[i].ID {
					t.Fatalf("%s: %v from %v", name, single, want)
				}
			}
		}
	}
}
