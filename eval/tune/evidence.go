package tune

import (
	"math"

	"github.com/pare-search/pare/eval"
	"github.com/pare-search/pare/eval/stats"
	"github.com/pare-search/pare/eval/sweep"
)

// stratum holds what some queries of one collection say about a setting.
type stratum struct {
	losses []float64     // of recall, one per query
	values stats.Stratum // of the measure
}

// evidence is what a sample says about a setting: a stratum for each collection,
// for made queries a stratum of their own.
type evidence []stratum

// observe compares the answers to some queries with those of the unpruned
// search.
func (t Target) observe(c *Collection, queries []sweep.Query, unpruned, answers []sweep.Answer) evidence {
	if t.kind != recall {
		return evidence{{values: stats.Stratum{
			Baseline: t.measureAnswers(c.Qrels, queries, unpruned),
			System:   t.measureAnswers(c.Qrels, queries, answers),
		}}}
	}
	var given, made stratum
	for q, query := range queries {
		source, isMade := c.Made[query.ID]
		full, found := unpruned[q].Results, answers[q].Results
		if !isMade {
			given.losses = append(given.losses, 1-eval.OverlapAt(full, found, t.recalled))
			continue
		}
		// The document that the query was taken out of is no achievement.
		full, found = without(full, source, t.recalled), without(found, source, t.recalled)
		made.losses = append(made.losses, 1-eval.OverlapAt(full, found, t.recalled))
	}
	var e evidence
	for _, s := range []stratum{given, made} {
		if len(s.losses) > 0 {
			e = append(e, s)
		}
	}
	return e
}

// without returns the first k results but a document.
func without(results []eval.Result, document string, k int) []eval.Result {
	ranked := eval.Rank(results, eval.TiesDescending)
	var rest []eval.Result
	for _, r := range ranked[:min(k, len(ranked))] {
		if r.ID != document {
			rest = append(rest, r)
		}
	}
	return rest
}

// measureAnswers returns the measure on every query, in the order of their ids.
func (t Target) measureAnswers(qrels eval.Qrels, queries []sweep.Query, answers []sweep.Answer) []float64 {
	asked := make(eval.Qrels, len(queries))
	run := eval.Run{Results: make(map[string][]eval.Result, len(queries))}
	for q, query := range queries {
		asked[query.ID] = qrels[query.ID]
		run.Results[query.ID] = answers[q].Results
	}
	return eval.Evaluate(asked, run, []eval.Measure{t.measure}).Values[0]
}

// losses returns those of all strata.
func (e evidence) losses() []float64 {
	var all []float64
	for _, s := range e {
		all = append(all, s.losses...)
	}
	return all
}

// strata returns the values of all strata.
func (e evidence) strata() []stats.Stratum {
	all := make([]stats.Stratum, len(e))
	for i, s := range e {
		all[i] = s.values
	}
	return all
}

// method is a test of a target.
type method struct {
	name string
	risk stats.RiskTest // nil for targets of quality
	// enough is how many losses like these the test needs.
	enough func(losses []float64, limit, level, power float64) (int, bool)
}

// methodFor chooses the test by what the sample is like, before it is looked at.
func (t Target) methodFor(strata int, level float64) method {
	switch {
	case t.kind == within:
		return method{name: "two one-sided t-tests of the ratio of means (TOST)"}
	case t.kind == atLeast:
		return method{name: "one-sided t-test of the ratio of means"}
	case strata > 1:
		// The others want one population.
		return method{"Hoeffding-Bentkus", stats.HoeffdingBentkus, stats.LossesForHoeffding}
	case t.recalled == 1:
		return method{"exact binomial", stats.Binomial, stats.LossesForHoeffding}
	default:
		return method{"betting (Waudby-Smith and Ramdas)", stats.Betting(level), stats.LossesForRisk}
	}
}

// test returns the mean recall or the ratio of means, and the p value of the
// hypothesis that the target is missed.
func (t Target) test(e evidence, level float64) (kept, p float64) {
	if t.kind == recall {
		losses := e.losses()
		sum := 0.0
		for _, loss := range losses {
			sum += loss
		}
		return 1 - sum/float64(max(len(losses), 1)), t.methodFor(len(e), level).risk(losses, t.share)
	}
	ratio := stats.Ratio(e.strata(), t.share)
	if t.kind == within {
		return ratio.Ratio, ratio.TOST()
	}
	return ratio.Ratio, ratio.PBelow
}

// safer tells whether a is more likely to meet the target than b. Where both are
// hopeless their p values are 1.
func (t Target) safer(a, b Outcome) bool {
	if a.P != b.P {
		return a.P < b.P
	}
	if t.kind == within {
		return math.Abs(1-a.Kept) < math.Abs(1-b.Kept)
	}
	return a.Kept > b.Kept
}

// bound returns what the mean recall or the ratio of means is at least.
func (t Target) bound(e evidence, level float64) float64 {
	if t.kind == recall {
		return 1 - stats.RiskBound(e.losses(), level, t.methodFor(len(e), level).risk)
	}
	lower, _ := stats.RatioBounds(e.strata(), 1-level)
	return lower
}

// needed estimates how many queries like these show the target; 0 if none do.
func (t Target) needed(e evidence, level, power float64) int {
	var n int
	var ok bool
	if t.kind == recall {
		n, ok = t.methodFor(len(e), level).enough(e.losses(), t.share, level, power)
	} else {
		n, ok = stats.QueriesForRatio(e.strata(), t.share, level, power, t.kind == within)
	}
	if !ok {
		return 0
	}
	return n
}
