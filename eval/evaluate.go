package eval

import (
	"maps"
	"math"
	"slices"
)

// Report holds the values of some measures on every judged query.
type Report struct {
	Measures []Measure
	Queries  []string    // all queries of the qrels, sorted
	Values   [][]float64 // Values[i][j] is measure i on query j
	Means    []float64   // Means[i] is the mean of Values[i], the total for NumRet and NumRel
	Missing  []string    // judged queries without results; they count as zero
	Unjudged []string    // queries of the run without judgements; they are left out
}

// Mean returns the mean of a measure, and whether the report has it.
func (r Report) Mean(m Measure) (float64, bool) {
	i := slices.Index(r.Measures, m)
	if i < 0 {
		return 0, false
	}
	return r.Means[i], true
}

// PerQuery returns the values of a measure in the order of Queries, nil when
// the report does not have it. Reports on the same qrels list the same
// queries, so these slices can be compared as pairs.
func (r Report) PerQuery(m Measure) []float64 {
	i := slices.Index(r.Measures, m)
	if i < 0 {
		return nil
	}
	return r.Values[i]
}

// Evaluate measures a run with the conventions of trec_eval -c, which the
// package comment lists.
func Evaluate(qrels Qrels, run Run, measures []Measure) Report {
	return EvaluateTies(qrels, run, measures, TiesDescending)
}

// EvaluateTies is Evaluate with a chosen order of documents of equal score.
// The two orders are samples, not bounds, of what ties can do to a measure.
func EvaluateTies(qrels Qrels, run Run, measures []Measure, ties TieOrder) Report {
	rep := Report{
		Measures: slices.Clone(measures),
		Queries:  qrels.Queries(),
		Values:   make([][]float64, len(measures)),
		Means:    make([]float64, len(measures)),
	}
	for i := range measures {
		rep.Values[i] = make([]float64, len(rep.Queries))
	}
	for j, query := range rep.Queries {
		results := run.Results[query]
		if len(results) == 0 {
			rep.Missing = append(rep.Missing, query)
		}
		g := newGraded(qrels[query], Rank(results, ties))
		for i, m := range measures {
			rep.Values[i][j] = g.value(m)
		}
	}
	for i, m := range measures {
		for _, v := range rep.Values[i] {
			rep.Means[i] += v
		}
		if !m.isTotal() && len(rep.Queries) > 0 {
			rep.Means[i] /= float64(len(rep.Queries))
		}
	}
	for _, query := range slices.Sorted(maps.Keys(run.Results)) {
		if _, ok := qrels[query]; !ok {
			rep.Unjudged = append(rep.Unjudged, query)
		}
	}
	return rep
}

// unjudged is the grade of a document nobody judged: below every relevance
// level, and told apart from a negative judgement.
const unjudged = math.MinInt

// graded is one query's ranking seen through its judgements.
type graded struct {
	ranking []int // grade of the document at each rank
	ideal   []int // all judged grades, best first
}

func newGraded(judgements map[string]int, ranked []Result) graded {
	g := graded{ranking: make([]int, len(ranked))}
	for i, res := range ranked {
		grade, ok := judgements[res.ID]
		if !ok {
			grade = unjudged
		}
		g.ranking[i] = grade
	}
	g.ideal = slices.Sorted(maps.Values(judgements))
	slices.Reverse(g.ideal)
	return g
}

// value computes one measure.
func (g graded) value(m Measure) float64 {
	top := cut(g.ranking, m.cutoff)
	relevant := countAtLeast(g.ideal, m.rel)
	switch m.kind {
	case ndcg:
		return ratio(dcg(top), dcg(cut(g.ideal, m.cutoff)))
	case reciprocalRank:
		for i, grade := range top {
			if grade >= m.rel {
				return 1 / float64(i+1)
			}
		}
		return 0
	case averagePrecision:
		found, sum := 0, 0.0
		for i, grade := range top {
			if grade >= m.rel {
				found++
				sum += float64(found) / float64(i+1)
			}
		}
		return ratio(sum, float64(relevant))
	case precision:
		return ratio(float64(countAtLeast(top, m.rel)), float64(m.cutoff))
	case recall:
		return ratio(float64(countAtLeast(top, m.rel)), float64(relevant))
	case success:
		return min(1, float64(countAtLeast(top, m.rel)))
	case rPrecision:
		// With nothing relevant there are no ranks to look at.
		found := countAtLeast(g.ranking[:min(relevant, len(g.ranking))], m.rel)
		return ratio(float64(found), float64(relevant))
	case judged:
		return ratio(float64(countAtLeast(top, unjudged+1)), float64(len(top)))
	case numRet:
		if m.rel == 0 {
			return float64(len(top))
		}
		return float64(countAtLeast(top, m.rel))
	case numRel:
		return float64(relevant)
	}
	return 0
}

// dcg is the discounted cumulative gain of grades in rank order; grades of
// zero and below gain nothing.
func dcg(grades []int) float64 {
	sum := 0.0
	for i, grade := range grades {
		if grade > 0 {
			sum += float64(grade) / math.Log2(float64(i+2))
		}
	}
	return sum
}

// cut returns the first k elements, all of them when k is 0.
func cut[T any](s []T, k int) []T {
	if k == 0 {
		return s
	}
	return s[:min(k, len(s))]
}

func countAtLeast(grades []int, level int) int {
	n := 0
	for _, grade := range grades {
		if grade >= level {
			n++
		}
	}
	return n
}

// ratio is a/b, and zero where nothing could be found.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
