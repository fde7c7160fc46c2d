package index

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/simd"
)

// ranks gives the rows of a query an order of usefulness.
func ranks(order ...int) querypruner.Selection {
	selection := querypruner.Selection{Rows: make([]querypruner.Row, len(order))}
	for i, rank := range order {
		selection.Rows[i].Rank = rank
	}
	return selection
}

// TestRevealBounded: bounds change nothing but the work. Some documents are near
// the query, so that there is something to drop.
func TestRevealBounded(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 21))
	const dim, rows = 16, 9
	tokens := randomTokens(rng, rows, dim, true)
	query := simd.PackQuery(tokens.Vectors)
	ranked := ranks(3, 1, 2, 0, 5, 4, 6, 0, 7)
	parts := ranks(3, 1, 2, 0, 5, 4, 6, 0, 7)
	parts.Probe, parts.Score = []int{1, 2}, []int{0, 1, 4, 8}
	dropped := 0
	for _, kind := range codec.Kinds {
		documents := randomDocuments(rng, 700, dim, true)
		for i := range 60 {
			documents[10*i].Tokens = tokens
		}
		shape := smallOptions(dim, kind)
		shape.Refine = kind == codec.Residual1
		s := open(t, build(t, shape, documents, "doc-010", "doc-185"))
		plain, searcher := NewSearcher(s), NewSearcher(s)
		for _, selection := range []querypruner.Selection{{}, ranked, parts} {
			for _, options := range []SearchOptions{
				{K: 5, Plan: Exhaustive},
				{K: 5, Plan: Exhaustive, FirstRows: 6, Refine: 12},
				{K: 3, Plan: Interaction, Depth: 200, FirstRows: 3, Workers: 3},
				{K: 10, Plan: Probe, Budget: 3000, FirstRows: 8, Refine: 32},
				{K: 10, Plan: Probe, Budget: 3000, FirstRows: 100},
				{K: 10, Plan: Interaction, Depth: 150, FirstRows: 4, Refine: 12},
				{K: 120, Plan: Interaction, Depth: 500, FirstRows: 4, Refine: 80},
				{K: 600, Plan: Exhaustive},
			} {
				want, wantStats, err := plain.Search(t.Context(), query, selection, options)
				check(t, err)
				options.Reveal = RevealBounded
				got, stats, err := searcher.Search(t.Context(), query, selection, options)
				check(t, err)
				if !slices.Equal(got, want) {
					t.Errorf("%v, %+v: %v, want %v", kind, options, got, want)
				}
				if stats.DocumentsScored > wantStats.DocumentsScored || stats.Candidates != wantStats.Candidates {
					t.Errorf("%v, %+v: %+v, want the candidates of %+v and no more scores", kind, options, stats, wantStats)
				}
				dropped += wantStats.DocumentsScored - stats.DocumentsScored
			}
		}
	}
	if dropped == 0 {
		t.Error("the bounds have dropped nothing")
	}
}

// TestRevealEstimated: the more deviations, the fewer documents are dropped, up to
// none; what is found has the score that it has; and workers change nothing.
func TestRevealEstimated(t *testing.T) {
	rng := rand.New(rand.NewPCG(22, 22))
	s := open(t, build(t, smallOptions(16, codec.Residual2), randomDocuments(rng, 900, 16, true)))
	query := simd.PackQuery(randomTokens(rng, 12, 16, true).Vectors)
	searcher := NewSearcher(s)
	for _, plan := range []Plan{Exhaustive, Interaction} {
		options := SearchOptions{K: 8, Plan: plan, Depth: 400}
		want, all, err := searcher.Search(t.Context(), query, querypruner.Selection{}, options)
		check(t, err)
		scores := make(map[string]float32)
		every, _ := search(t, s, query, querypruner.Selection{}, SearchOptions{K: 1000, Plan: Exhaustive})
		for _, hit := range every {
			scores[hit.ID] = hit.Score
		}
		options.Reveal = RevealEstimated
		before := 0
		for _, alpha := range []float64{0, 1, 2, 4, math.Inf(1)} {
			options.Alpha, options.Workers = alpha, 0
			got, stats, err := searcher.Search(t.Context(), query, querypruner.Selection{}, options)
			check(t, err)
			if len(got) != options.K {
				t.Fatalf("%v, alpha %v: %d hits", plan, alpha, len(got))
			}
			for _, hit := range got {
				if hit.Score != scores[hit.ID] {
					t.Errorf("%v, alpha %v: %s has the score %v, want %v", plan, alpha, hit.ID, hit.Score, scores[hit.ID])
				}
			}
			if stats.DocumentsScored < before {
				t.Errorf("%v, alpha %v: %d documents scored, fewer than %d", plan, alpha, stats.DocumentsScored, before)
			}
			before = stats.DocumentsScored
			if alpha == 0 && stats.DocumentsScored > all.DocumentsScored*3/4 {
				t.Errorf("%v: %d of %d documents scored with no deviation allowed", plan, stats.DocumentsScored, all.DocumentsScored)
			}
			if math.IsInf(alpha, 1) && (!slices.Equal(got, want) || stats.DocumentsScored != all.DocumentsScored) {
				t.Errorf("%v: %d documents scored, want all %d", plan, stats.DocumentsScored, all.DocumentsScored)
			}
			options.Workers = 4
			again, statsAgain, err := searcher.Search(t.Context(), query, querypruner.Selection{}, options)
			check(t, err)
			if !slices.Equal(again, got) || statsAgain != stats {
				t.Errorf("%v, alpha %v: four workers find %v with %+v, one %v with %+v", plan, alpha, again, statsAgain, got, stats)
			}
		}
	}
}

// TestLine compares with points on a line and an exact number: the deviation of
// y = 0, 1, 0, 1 at x = 0, 1, 2, 3 from its line of slope 0.2, root of 0.8/2.
func TestLine(t *testing.T) {
	var l line
	for _, x := range []float64{1, 4, 2, 8} {
		l.add(x, 3*x-2)
	}
	slope, intercept, deviation := l.fit()
	if math.Abs(slope-3)+math.Abs(intercept+2)+deviation > 1e-6 {
		t.Errorf("%v x + %v, deviation %v", slope, intercept, deviation)
	}
	l = line{}
	for x, y := range []float64{0, 1, 0, 1} {
		l.add(float64(x), y)
	}
	slope, intercept, deviation = l.fit()
	if math.Abs(slope-0.2)+math.Abs(intercept-0.2)+math.Abs(deviation-math.Sqrt(0.4)) > 1e-12 {
		t.Errorf("%v x + %v, deviation %v", slope, intercept, deviation)
	}
}

func TestRevealNames(t *testing.T) {
	for _, r := range []Reveal{RevealAll, RevealBounded, RevealEstimated} {
		if got, err := ParseReveal(r.String()); err != nil || got != r {
			t.Errorf("%v is read as %v (%v)", r, got, err)
		}
	}
	if _, err := ParseReveal("half"); err == nil {
		t.Error("no error for a name that does not exist")
	}
}

func TestRevealDoesNotAllocate(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	s := open(t, build(t, smallOptions(24, codec.Residual2), randomDocuments(rng, 300, 24, true)))
	query := simd.PackQuery(randomTokens(rng, 9, 24, true).Vectors)
	searcher := NewSearcher(s)
	for _, reveal := range []Reveal{RevealBounded, RevealEstimated} {
		options := SearchOptions{K: 5, Plan: Interaction, Depth: 100, Reveal: reveal, Alpha: 1}
		run := func() {
			if _, _, err := searcher.Search(context.Background(), query, querypruner.Selection{}, options); err != nil {
				t.Fatal(err)
			}
		}
		run()
		if allocs := testing.AllocsPerRun(20, run); allocs > 1+5 {
			t.Errorf("%v: %g allocations for 5 hits", reveal, allocs)
		}
	}
}

// BenchmarkReveal scores 2,000 documents of some 100 vectors of which about a
// hundred share words with the query.
func BenchmarkReveal(b *testing.B) {
	rng := rand.New(rand.NewPCG(23, 23))
	const dim, rows = 128, 24
	tokens := randomTokens(rng, rows, dim, true)
	documents := make([]Document, 2000)
	for i := range documents {
		documents[i] = Document{ID: fmt.Sprint(i), Tokens: randomTokens(rng, 60+rng.IntN(80), dim, true)}
		for j := range rows * (i % 20 / 19) * (i % 7) / 7 {
			copy(documents[i].Tokens.Vectors.Row(j), tokens.Vectors.Row(j))
		}
	}
	shape := DefaultOptions(dim)
	s := open(b, build(b, shape, documents))
	query := simd.PackQuery(tokens.Vectors)
	searcher := NewSearcher(s)
	for _, options := range []SearchOptions{
		{Reveal: RevealAll},
		{Reveal: RevealBounded, FirstRows: 16},
		{Reveal: RevealEstimated, FirstRows: 8, Alpha: 3},
		{Reveal: RevealEstimated, FirstRows: 8, Alpha: 1},
	} {
		options.K, options.Plan = 10, Exhaustive
		b.Run(fmt.Sprintf("%v/first=%d/alpha=%g", options.Reveal, options.FirstRows, options.Alpha), func(b *testing.B) {
			scored := 0
			for b.Loop() {
				_, stats, err := searcher.Search(b.Context(), query, querypruner.Selection{}, options)
				check(b, err)
				scored += stats.DocumentsScored
			}
			b.ReportMetric(float64(scored)/float64(b.N), "scored/op")
		})
	}
}
