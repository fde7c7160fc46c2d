package index

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/simd"
)

// rankScore is codec.Scorer.RankScore in float64, from the cells that a
// document's postings name.
func rankScore(s *Snapshot, cells []uint32, query simd.Matrix, rows []int) float64 {
	var sum float64
	for _, row := range rows {
		best := math.Inf(-1)
		for _, cell := range cells {
			var dot, square float64
			for d, x := range s.Codebook().Centroid(int(cell)) {
				dot += float64(x) * float64(query.Row(row)[d])
				square += float64(x) * float64(x)
			}
			best = max(best, dot/math.Sqrt(math.Sqrt(square)))
		}
		sum += best
	}
	return sum
}

func TestDepthAgainstPlainLoop(t *testing.T) {
	for _, kind := range codec.Kinds {
		t.Run(kind.String(), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(13, uint64(kind)))
			documents := randomDocuments(rng, 300, 24, true)
			s := open(t, build(t, smallOptions(24, kind), documents, documents[9].ID))
			cells := make(map[uint32][]uint32)
			for cell, list := range cellsOf(t, s, documents) {
				for _, document := range list {
					cells[document] = append(cells[document], cell)
				}
			}
			query := simd.PackQuery(randomTokens(rng, 9, 24, true).Vectors)
			for _, selection := range []querypruner.Selection{allRows(query), {Probe: []int{2, 5}}, {Probe: []int{2}, Score: []int{2, 7}}} {
				rows := selection.Score
				if rows == nil {
					rows = allRows(query).Probe
				}
				for _, plan := range []Plan{Probe, Exhaustive} {
					for _, depth := range []int{1, 3, 20, 100, 1 << 20} {
						name := fmt.Sprintf("%s, selection %v, depth %d", plan, selection, depth)
						options := SearchOptions{K: 1 << 20, Plan: plan, Neighbors: 60}
						all, allStats := search(t, s, query, selection, options)
						options.K = 1
						first, _ := search(t, s, query, selection, options)
						options.Depth = depth
						hits, stats := search(t, s, query, selection, options)
						if stats.Candidates != allStats.Candidates {
							t.Fatalf("%s: %d candidates, want %d", name, stats.Candidates, allStats.Candidates)
						}
						if !kind.StoresCells() || depth >= allStats.Candidates {
							if !slices.Equal(hits, first) || stats != allStats {
								t.Errorf("%s: hits %v, %+v; want %v, %+v", name, hits, stats, first, allStats)
							}
							continue
						}
						if stats.DocumentsScored != depth {
							t.Errorf("%s: %d documents scored", name, stats.DocumentsScored)
						}
						checkRanked(t, name, s, cells, query.Float(), rows, all, hits, depth)
						options.K = 30
						more, _ := search(t, s, query, selection, options)
						checkRanked(t, name+", k 30", s, cells, query.Float(), rows, all, more, max(depth, options.K))
					}
				}
			}
		})
	}
}

// checkRanked checks that hits are the best of the documents that rank first.
// all are the candidates' hits without a limit.
func checkRanked(t *testing.T, name string, s *Snapshot, cells map[uint32][]uint32, query simd.Matrix, rows []int, all, hits []Hit, depth int) {
	t.Helper()
	ranks := make(map[uint32]float64)
	var scores []float64
	for _, hit := range all {
		ranks[hit.Document] = rankScore(s, cells[hit.Document], query, rows)
		scores = append(scores, ranks[hit.Document])
	}
	slices.SortFunc(scores, func(a, b float64) int { return cmp.Compare(b, a) })
	limit := scores[min(depth, len(scores))-1]
	const rounding = 1e-4 // of float32
	for i, hit := range hits {
		if ranks[hit.Document] < limit-rounding {
			t.Errorf("%s: %q ranks at %v, the last to be scored at %v", name, hit.ID, ranks[hit.Document], limit)
		}
		// Nothing that certainly ranks high enough is better and missing.
		for _, other := range all {
			if ranks[other.Document] > limit+rounding && compareHits(other, hit) < 0 && !slices.Contains(hits[:i], other) {
				t.Errorf("%s: %q is missing before %q", name, other.ID, hit.ID)
			}
		}
	}
	if len(hits) == 0 {
		t.Errorf("%s: no hits", name)
	}
}

// Documents of the same cells are ranked by number.
func TestDepthOfEquals(t *testing.T) {
	rng := rand.New(rand.NewPCG(14, 14))
	tokens := randomTokens(rng, 3, 8, true)
	var documents []Document
	for i := range 40 {
		documents = append(documents, Document{ID: fmt.Sprintf("%02d", i*7%40), Tokens: tokens})
	}
	s := open(t, build(t, smallOptions(8, codec.Residual1), documents))
	query := simd.PackQuery(randomTokens(rng, 2, 8, true).Vectors)
	for _, plan := range []Plan{Probe, Exhaustive} {
		hits, _ := search(t, s, query, allRows(query), SearchOptions{K: 5, Plan: plan, Neighbors: 100, Depth: 5})
		for _, hit := range hits {
			if hit.Document >= 5 {
				t.Errorf("%s: document %d was scored, want the first five", plan, hit.Document)
			}
		}
		if len(hits) != 5 {
			t.Errorf("%s: %d hits", plan, len(hits))
		}
	}
}

func TestRankHeap(t *testing.T) {
	rng := rand.New(rand.NewPCG(15, 15))
	type ranked struct {
		score    float32
		document uint32
	}
	scores := []float32{0, float32(math.Copysign(0, -1)), 1, -1, 1.5, -1.5, math.MaxFloat32, -math.MaxFloat32, 1e-45}
	for _, n := range []int{1, 2, 3, 50, 300} {
		for _, size := range []int{1, 2, 7, 64} {
			best := rankHeap{size: size}
			var want []ranked
			for document := range uint32(n) {
				score := scores[rng.IntN(len(scores))]
				want = append(want, ranked{score, document})
				best.add(rankKey(score, document))
			}
			slices.SortStableFunc(want, func(a, b ranked) int { return cmp.Compare(b.score, a.score) })
			slices.SortFunc(best.keys, func(a, b uint64) int { return cmp.Compare(b, a) })
			if len(best.keys) != min(n, size) {
				t.Fatalf("%d of %d: %d kept", size, n, len(best.keys))
			}
			for i, key := range best.keys {
				if ^uint32(key) != want[i].document {
					t.Errorf("%d of %d: document %d at %d, want %d", size, n, ^uint32(key), i, want[i].document)
				}
			}
		}
	}
}
