package index

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/simd"
)

// rankScores are codec.Scorer.RankScore of all documents, which package codec
// tests.
func rankScores(t *testing.T, s *Snapshot, query *simd.Query, rows []int) map[uint32]uint32 {
	scorer := s.Codebook().NewScorer()
	check(t, scorer.Reset(query, rows, nil))
	ranks := make(map[uint32]uint32)
	for document := range uint32(s.Documents()) {
		payload := must[codec.Payload](t)(s.Payload(document))
		ranks[document] = must[uint32](t)(scorer.RankScore(payload.Cells, nil))
	}
	return ranks
}

// Of the candidates, those that rank first are scored, and the best of them
// found.
func TestDepthAgainstPlainLoop(t *testing.T) {
	for _, kind := range codec.Kinds {
		t.Run(kind.String(), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(13, uint64(kind)))
			documents := randomDocuments(rng, 300, 24, true)
			s := open(t, build(t, smallOptions(24, kind), documents, documents[9].ID))
			query := simd.PackQuery(randomTokens(rng, 9, 24, true).Vectors)
			for _, selection := range []querypruner.Selection{allRows(query), {Probe: []int{2, 5}}, {Probe: []int{2}, Score: []int{2, 7}}} {
				rows := allRows(query).Probe
				if selection.Score != nil {
					rows = selection.Score
				}
				ranks := rankScores(t, s, query, rows)
				for _, plan := range []Plan{Probe, Interaction} {
					for _, depth := range []int{1, 3, 20, 100, 1 << 20} {
						options := SearchOptions{K: 1 << 20, Plan: plan, Neighbors: 60}
						all, allStats := search(t, s, query, selection, options)
						options.K, options.Depth = 1, depth
						hits, stats := search(t, s, query, selection, options)

						depth := max(depth, options.K)
						candidates := candidatesOf(s, query, selection, options)
						slices.SortFunc(candidates, func(a, b uint32) int {
							return cmp.Or(cmp.Compare(ranks[b], ranks[a]), cmp.Compare(a, b))
						})
						candidates = candidates[:min(depth, len(candidates))]
						var want []Hit
						for _, hit := range all {
							if slices.Contains(candidates, hit.Document) {
								want = append(want, hit)
							}
						}
						want = want[:min(1, len(want))]
						if !slices.Equal(hits, want) || stats.Candidates != allStats.Candidates || stats.DocumentsScored != len(candidates) {
							t.Errorf("%s, selection %v, depth %d: hits %v, %+v; want %v, %d scored of %d",
								plan, selection, depth, hits, stats, want, len(candidates), allStats.Candidates)
						}
					}
				}
			}
		})
	}
}

// candidatesOf returns the candidates of a search.
func candidatesOf(s *Snapshot, query *simd.Query, selection querypruner.Selection, options SearchOptions) []uint32 {
	searcher := NewSearcher(s)
	options.Depth = AllCandidates
	if _, _, err := searcher.Search(context.Background(), query, selection, options); err != nil {
		panic(err)
	}
	return slices.Clone(searcher.documents)
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
	for _, plan := range []Plan{Probe, Interaction} {
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
