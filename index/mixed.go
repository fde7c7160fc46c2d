package index

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/simd"
)

// searchMixed searches the documents of each codebook for themselves. Scores say
// how similar the vectors are, whatever codes them, so they compare; the best of
// all are refined and returned. The work that options allow is shared out.
func (s *Searcher) searchMixed(ctx context.Context, query *simd.Query, selection querypruner.Selection, options SearchOptions) ([]Hit, Stats, error) {
	s.stats, s.keys = Stats{Plan: Exhaustive, Rows: query.Rows}, s.keys[:0]
	s.visited = slices.Grow(s.visited[:0], query.Rows)[:query.Rows]
	clear(s.visited)
	most := 0
	for _, part := range s.mixed {
		allowed := options
		allowed.share(float64(part.source.Documents()) / float64(s.source.Documents()))
		if options.Filter != nil && part.base > 0 {
			allowed.Filter = roaring.AddOffset64(options.Filter, -int64(part.base))
		}
		scored, err := part.searchScored(ctx, query, selection, allowed)
		if n := part.source.Documents(); n > most {
			// What is said about the plan is about most of the documents.
			most, s.stats.Plan = n, part.stats.Plan
		}
		s.stats.add(part.stats)
		for row, v := range part.visited {
			s.visited[row].Cells += v.Cells
			s.visited[row].Postings += v.Postings
			s.visited[row].Flat = s.visited[row].Flat || v.Flat
		}
		if err != nil {
			return nil, s.stats, err
		}
		if !scored {
			continue
		}
		for _, key := range part.keys {
			s.keys = append(s.keys, key-uint64(part.base)) // the low half is the number's complement
		}
	}
	if len(s.keys) == 0 {
		return nil, s.stats, ctx.Err()
	}
	s.last = time.Now()
	hits, err := s.finish(ctx, options)
	return hits, s.stats, err
}

// share leaves a share of the work to be done on so large a share of the
// documents: of what a search of all would have ranked best, about as much lies
// among them, by chance hardly more than two standard deviations above it.
func (o *SearchOptions) share(share float64) {
	part := func(n, deviations float64) int {
		return int(math.Ceil(min(n*share+deviations*math.Sqrt(n*share*(1-share)), n)))
	}
	if depth := o.depth(); depth < AllCandidates {
		o.Depth = part(float64(depth), 2)
	}
	if o.Neighbors > 0 {
		o.Neighbors = part(float64(o.Neighbors), 0)
		return
	}
	o.Budget = part(float64(o.postings(0)), 0)
}

// add adds what was done elsewhere for the same query.
func (s *Stats) add(other Stats) {
	s.RowsKept = other.RowsKept
	s.CellsProbed += other.CellsProbed
	s.Postings += other.Postings
	s.Candidates += other.Candidates
	s.DocumentsRanked += other.DocumentsRanked
	s.DocumentsScored += other.DocumentsScored
	s.DocumentsRefined += other.DocumentsRefined
	s.TokenPairs += other.TokenPairs
	s.Bytes += other.Bytes
	s.ScanTime += other.ScanTime
	s.ProbeTime += other.ProbeTime
	s.RankTime += other.RankTime
	s.ScoreTime += other.ScoreTime
	s.RefineTime += other.RefineTime
}
