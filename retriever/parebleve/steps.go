package parebleve

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/pare-search/pare/index"
)

// How many candidates are scored follows the number of hits that are asked for,
// and the more are scored, the better hits are found. Still, every page of a
// result must come from the same ranking. So the ranking is made in steps, and
// later steps leave alone what earlier ones have ranked:
//
//	step  hits           the best of these candidates  that are not yet among the hits
//	0     0 to 127       256
//	1     128 to 255     512
//	2     256 to 511     1024
//
// and so on. A hit of a later step that scores more than the last one of an
// earlier step is given the score of that, for bleve orders hits by their
// scores. Where Depth says how many candidates are scored, step 0 ranks all of
// them, and step 1 as many again. Where every request asks for more than 128
// hits, step 0 ranks so many.
const firstStep = 128

// searchSteps makes as much of the ranking as is wanted.
func (r *run) searchSteps(ctx context.Context, filter *roaring.Bitmap, w wanted, settings index.SearchOptions) ([]hit, error) {
	size, perHit := max(firstStep, w.least), 2
	if settings.Depth > 0 {
		size, perHit = max(settings.Depth, w.least), 1
	}
	var ranking []hit
	for step := 0; ; step++ {
		settings.K, settings.Depth = size, perHit*size
		if step == 0 && w.plain() {
			settings.K = min(size, w.n)
		}
		found, all, err := r.searchGroups(ctx, filter, settings)
		if err != nil {
			return nil, err
		}
		if ranking = extend(ranking, found, settings.K); w.plain() {
			ranking = ranking[:min(w.n, len(ranking))]
		}
		if w.satisfied(ranking, r.query.boost) || all && len(found) < settings.K {
			return ranking, nil
		}
		if size = 2 * min(size, math.MaxInt/8); all {
			size = max(size, w.n) // no more work than before
		}
	}
}

// extend adds the best hits of another step to a ranking, until it has n. Equals
// come in ascending order of their numbers, as bleve orders them.
func extend(ranking, found []hit, n int) []hit {
	if len(ranking) == 0 {
		return found[:min(n, len(found))]
	}
	ranked := make(map[uint32]bool, len(ranking))
	for _, h := range ranking {
		ranked[h.document] = true
	}
	before := len(ranking)
	highest := math.Nextafter32(ranking[before-1].score, float32(math.Inf(-1)))
	for _, h := range found {
		if len(ranking) == n {
			break
		}
		if ranked[h.document] {
			continue
		}
		if h.score > highest {
			h.lowered, h.score = h.score-highest, highest
		}
		ranking = append(ranking, h)
	}
	slices.SortFunc(ranking[before:], compareHits)
	return ranking
}

// compareHits orders hits best first, equals by ascending number.
func compareHits(a, b hit) int {
	return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.document, b.document))
}

// plain tells whether just the best n are wanted.
func (w wanted) plain() bool { return math.IsInf(w.below, 1) && !w.ties }

// satisfied tells whether a ranking goes down far enough.
func (w wanted) satisfied(ranking []hit, boost float64) bool {
	if w.plain() {
		return len(ranking) >= w.n
	}
	first := slices.IndexFunc(ranking, func(h hit) bool { return float64(h.score)*boost < w.below })
	if first < 0 || w.n == 0 {
		return first >= 0
	}
	end := first + w.n
	return len(ranking) > end && ranking[len(ranking)-1].score < ranking[end-1].score
}

// searchGroups finds the best hits in all groups, and tells whether all
// candidates were scored. What it finds in the first step is what is counted.
func (r *run) searchGroups(ctx context.Context, filter *roaring.Bitmap, settings index.SearchOptions) (best []hit, all bool, err error) {
	first, found := r.found == 0, 0
	all = true
	for i := range r.groups {
		g := &r.groups[i]
		hits, err := r.searchGroup(ctx, g, filter, settings)
		if err != nil {
			return nil, false, err
		}
		best = append(best, hits...)
		found += g.candidates
		all = all && g.scored == g.candidates
	}
	if first {
		r.found = found
	}
	if len(r.groups) > 1 {
		slices.SortFunc(best, compareHits)
	}
	return best[:min(settings.K, len(best))], all, nil
}
