package reservoir_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/pare-search/pare/internal/reservoir"
)

func ExampleSample() {
	sample := reservoir.New[string](3, rand.New(rand.NewPCG(1, 2)))
	for _, word := range []string{"one", "two", "three"} {
		sample.Add(word)
	}
	fmt.Println(sample.Items, sample.Offered())
	// Output: [one two three] 3
}

// TestSample: each of 20 items is among the 5 of a sample in a quarter of all draws,
// within five standard deviations, and none is there twice.
func TestSample(t *testing.T) {
	const items, size, draws = 20, 5, 20000
	random := rand.New(rand.NewPCG(3, 4))
	var counts [items]int
	for range draws {
		sample, made := reservoir.New[int](size, random), 0
		for i := range items {
			sample.Offer(func() int { made++; return i })
		}
		for _, i := range sample.Items {
			counts[i]++
		}
		slices.Sort(sample.Items)
		if len(slices.Compact(sample.Items)) != size || made < size || sample.Offered() != items {
			t.Fatalf("%v, of which %d were made, of %d", sample.Items, made, sample.Offered())
		}
	}
	const p = float64(size) / items
	for i, n := range counts {
		if d := math.Abs(float64(n) - p*draws); d > 5*math.Sqrt(draws*p*(1-p)) {
			t.Errorf("item %d was drawn %d times, want about %v", i, n, p*draws)
		}
	}
}

func TestSizeZero(t *testing.T) {
	sample := reservoir.New[int](0, rand.New(rand.NewPCG(5, 6)))
	for i := range 9 {
		sample.Add(i)
	}
	if len(sample.Items) > 0 {
		t.Errorf("%v", sample.Items)
	}
}
