package index

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/querypruner"
)

// Reveal says how much of a candidate's score is computed before it is given
// up. In the spirit of Col-Bandit (arXiv 2602.02827) scores become known part by
// part, and documents drop out that cannot, or probably do not, reach the best.
// That works on single pairs of a document and a row, drawn one by one; here a
// part is the first rows of all documents, which the kernels compute together:
//
//	sample   the candidates that rank best, at least 32, are scored in full;
//	         the k-th best of them is the score to reach
//	first    the FirstRows most useful rows of every other candidate are compared,
//	         those that the pruner ranks highest, or else the leading ones
//	rest     documents are scored in full whose first rows leave it possible
//	         that they reach the score
//
// k is K, or Refine if that is more and there are refinements.
//
// Whether it pays has to be measured. On cranfield (22 rows of a MiniLM query, 2
// bits, 256 candidates) the bounds drop 2 % of the documents by their first 8 rows
// and 10 % by their first 16, and a search takes five times as long or more: bounds
// from cells are too wide. The estimate of the 4 rarest rows (FirstRows 4, Alpha 1,
// a pruner of icf:100%) leaves 90 documents to be scored in full, with the same
// share of the exact best 10, and a search takes a sixth less time. With
// Exhaustive, where no ranking chooses the sample, neither pays, nor with
// refinements, of which 32 have to be reached: on docs30k, 30,000 passages, 147 to
// 235 documents are scored in full, in no less time.
type Reveal uint8

const (
	// RevealAll compares all rows of all candidates.
	RevealAll Reveal = iota
	// RevealBounded drops documents by what their cells allow the other rows to
	// add at most (codec.Scorer.Bound). Hits and scores are those of RevealAll.
	// Where the codec gives no bounds, it is RevealAll.
	RevealBounded
	// RevealEstimated drops documents by what the other rows probably add: a line
	// through the sample, with the first rows' part of the score as x, plus Alpha
	// standard deviations from the line. The larger Alpha is, the less is lost.
	RevealEstimated
)

var revealNames = [...]string{RevealAll: "all", RevealBounded: "bounded", RevealEstimated: "estimated"}

// String returns the name as ParseReveal reads it.
func (r Reveal) String() string {
	if int(r) < len(revealNames) {
		return revealNames[r]
	}
	return fmt.Sprintf("reveal(%d)", uint8(r))
}

// ParseReveal reads a name: all, bounded or estimated.
func ParseReveal(name string) (Reveal, error) {
	if i := slices.Index(revealNames[:], name); i >= 0 {
		return Reveal(i), nil
	}
	return 0, fmt.Errorf("%w: reveal %q, want one of %s", ErrInvalid, name, strings.Join(revealNames[:], ", "))
}

// leastSample is how many candidates a sample has at least.
const leastSample = 32

// reveals tells whether it is worth the while to score in parts.
func (s *Searcher) reveals(options SearchOptions) bool {
	return options.Reveal != RevealAll && s.first > 0 && s.first < s.scoring &&
		(options.Reveal != RevealBounded || s.codebook.Kind().Residual()) &&
		options.K <= len(s.documents)/4
}

// order puts the rows to compare in the order in which they are revealed, and
// returns those that score in their own order, lest sums are rounded otherwise.
func (s *Searcher) order(selection querypruner.Selection, options SearchOptions) (scoring []int) {
	s.scoring, s.reveal = len(s.rows), options.Reveal
	if selection.Score != nil {
		s.scoring = len(selection.Score)
	}
	if options.Reveal == RevealAll {
		return selection.Score
	}
	s.summed = append(s.summed[:0], selection.Score...)
	if selection.Score == nil {
		s.summed = append(s.summed, s.rows...)
	}
	usefulness := func(row int) int {
		scores := selection.Score == nil || slices.Contains(selection.Score, row)
		switch {
		case !scores:
			return math.MaxInt
		case row >= len(selection.Rows) || selection.Rows[row].Rank == 0:
			return math.MaxInt - 1
		}
		return selection.Rows[row].Rank
	}
	slices.SortStableFunc(s.rows, func(a, b int) int { return cmp.Compare(usefulness(a), usefulness(b)) })
	s.first = options.FirstRows
	if s.first == 0 {
		s.first = (s.scoring + 2) / 3
	}
	return s.summed
}

// scoreInParts is score with SearchOptions.Reveal. ranked tells whether the keys
// begin with the ranks of the candidates.
func (s *Searcher) scoreInParts(ctx context.Context, ranked bool, options SearchOptions) error {
	reach, err := s.toReach(options)
	if err != nil {
		return err
	}
	sample := max(leastSample, 2*reach)
	if sample >= len(s.documents) {
		return s.score(ctx, options.Workers)
	}
	s.sampleFirst(sample, ranked)
	s.startScoring()
	if err := s.resetFirst(options.Workers); err != nil {
		return err
	}
	documents, keys := s.documents, s.keys
	s.documents, s.keys = documents[:sample], keys[:sample]
	if err := s.share(ctx, options.Workers, (*Searcher).scoreRun); err != nil {
		return err
	}
	if err := s.setGoal(ctx, reach, options); err != nil {
		return err
	}
	s.documents, s.keys = documents[sample:], keys[sample:]
	if err := s.share(ctx, options.Workers, (*Searcher).revealRun); err != nil {
		return err
	}
	s.documents, s.keys = documents, keys
	s.endScoring()
	return nil
}

// toReach is the number of best documents that must not be lost.
func (s *Searcher) toReach(options SearchOptions) (int, error) {
	refinement, err := s.source.Refinement(s.documents[0])
	if err != nil || refinement == nil {
		return options.K, err
	}
	return max(options.K, options.Refine), nil
}

// sampleFirst moves the candidates of the sample to the front: those that rank
// best, or else some that lie evenly among all. Both parts stay ascending.
func (s *Searcher) sampleFirst(sample int, ranked bool) {
	n := len(s.documents)
	if ranked {
		s.keys = s.keys[:n] // those of the others are ranks for good
		selectLargest(s.keys, sample)
		s.documents = s.documents[:0]
		for _, key := range s.keys {
			s.documents = append(s.documents, documentOf(key))
		}
	} else {
		for i := range sample {
			at := i * n / sample // at least i, since the sample is smaller
			s.documents[i], s.documents[at] = s.documents[at], s.documents[i]
		}
		s.keys = slices.Grow(s.keys[:0], n)[:n]
	}
	slices.Sort(s.documents[:sample])
	slices.Sort(s.documents[sample:])
}

// resetFirst gives each worker a scorer of the first rows.
func (s *Searcher) resetFirst(workers int) error {
	s.makeWorkers(workers)
	s.scorer.Scan() // for all, if the kind has not needed it so far
	for i := range s.workers {
		w := &s.workers[i]
		if w.first == nil {
			w.first = s.codebook.NewScorer()
		}
		if err := w.first.ResetFirst(s.scorer, s.first); err != nil {
			return err
		}
	}
	return nil
}

// goal is what decides whether a document is scored in full.
type goal struct {
	score float64 // of the worst of the best so far
	part  float64 // that first rows must have to be likely to reach it
}

// setGoal learns from the sample.
func (s *Searcher) setGoal(ctx context.Context, reach int, options SearchOptions) error {
	s.goal = goal{math.Inf(-1), math.Inf(-1)}
	s.parts = append(s.parts[:0], s.keys...)
	s.parts = slices.DeleteFunc(s.parts, func(key uint64) bool { return key == 0 }) // without vectors
	if len(s.parts) < reach {
		return nil
	}
	selectLargest(s.parts, reach)
	s.goal.score = float64(scoreOf(slices.Min(s.parts[:reach])))
	if options.Reveal == RevealBounded || math.IsInf(options.Alpha, 1) {
		return nil
	}
	w := &s.workers[0]
	var err error
	if w.payloads, err = s.source.AppendPayloads(w.payloads[:0], s.documents); err != nil {
		return err
	}
	var line line
	for i, payload := range w.payloads {
		if i%checkEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		part, vectors, err := w.first.Score(payload, codec.Payload{})
		if err != nil {
			return s.fault("payload", s.documents[i], err)
		}
		if vectors > 0 {
			w.pairs += int64(vectors * s.first)
			line.add(float64(part), float64(scoreOf(s.keys[i])-part))
		}
	}
	// A part of x leads to x + slope*x + intercept at most, plus the deviations.
	slope, intercept, deviation := line.fit()
	s.goal.part = (s.goal.score - intercept - options.Alpha*deviation) / (1 + slope)
	return nil
}

// line is the sums that a straight line is fitted with.
type line struct{ n, x, y, xx, xy, yy float64 }

func (l *line) add(x, y float64) {
	l.n++
	l.x += x
	l.y += y
	l.xx += float64(x * x)
	l.xy += float64(x * y)
	l.yy += float64(y * y)
}

// fit returns the line of least squares, its slope at least 0, and the standard
// deviation from it.
func (l *line) fit() (slope, intercept, deviation float64) {
	n := l.n
	varX, cov, varY := l.xx/n-float64(l.x/n*l.x/n), l.xy/n-float64(l.x/n*l.y/n), l.yy/n-float64(l.y/n*l.y/n)
	if varX > 0 {
		slope = max(cov/varX, 0)
	}
	intercept = l.y/n - float64(slope*l.x/n)
	rest := varY - float64(2*slope*cov) + float64(slope*slope*varX)
	return slope, intercept, math.Sqrt(max(rest, 0) * n / max(n-2, 1))
}

// revealRun compares the first rows of documents, and scores those in full that
// may reach the goal.
func (s *Searcher) revealRun(ctx context.Context, w *worker, first, end int) error {
	return checked(ctx, end-first, func(lo, hi int) (err error) {
		lo, hi = first+lo, first+hi
		if w.payloads, err = s.source.AppendPayloads(w.payloads[:0], s.documents[lo:hi]); err != nil {
			return err
		}
		for i, document := range s.documents[lo:hi] {
			s.keys[lo+i] = 0
			var next codec.Payload
			if i+1 < len(w.payloads) {
				next = w.payloads[i+1]
			}
			if err := w.look(ctx, w.payloads[i].Size()); err != nil {
				return err
			}
			reaches, err := s.reaches(w, w.payloads[i], next)
			if err == nil && reaches {
				err = s.scoreOne(w, lo+i, w.payloads[i], next)
			}
			if err != nil {
				return s.fault("payload", document, err)
			}
		}
		return nil
	})
}

// reaches compares the first rows of a document.
func (s *Searcher) reaches(w *worker, payload, next codec.Payload) (bool, error) {
	part, vectors, err := w.first.Score(payload, next)
	if err != nil {
		return false, err
	}
	w.pairs += int64(vectors * s.first)
	w.bytes += int64(payload.Size())
	if !math.IsInf(s.goal.part, -1) {
		return float64(part) >= s.goal.part, nil
	}
	if math.IsInf(s.goal.score, -1) || s.reveal != RevealBounded {
		return true, nil
	}
	bound, _, err := w.scorer.Bound(payload, s.first)
	// The sum of the parts may be rounded otherwise than that of all rows.
	const rounding = 1e-4
	return float64(part)+bound+rounding*math.Abs(float64(part)) >= s.goal.score, err
}
