package eval

import "math"

// Overlap compares two runs by their top k documents: the mean over queries
// of OverlapAt. Every query of either run counts; one without results on one
// side counts as zero. It needs no judgements.
func Overlap(a, b Run, k int) float64 {
	return meanOverQueries(a, b, func(x, y []Result) float64 { return OverlapAt(x, y, k) })
}

// OverlapAt is the share of the top k that two result lists have in common,
// whatever the order. Where both lists are shorter than k it divides by the
// length of the longer one. Two empty lists are equal: 1.
func OverlapAt(a, b []Result, k int) float64 {
	k = max(k, 0)
	topA, topB := Rank(a, TiesDescending), Rank(b, TiesDescending)
	topA, topB = topA[:min(k, len(topA))], topB[:min(k, len(topB))]
	if len(topA) == 0 && len(topB) == 0 {
		return 1
	}
	inA := make(map[string]bool, len(topA))
	for _, res := range topA {
		inA[res.ID] = true
	}
	common := 0
	for _, res := range topB {
		if inA[res.ID] {
			common++
		}
	}
	return float64(common) / float64(max(len(topA), len(topB)))
}

// RBO compares two runs by rank-biased overlap: the mean over queries of
// RBOAt. Every query of either run counts; one without results on one side
// counts as zero. It needs no judgements.
func RBO(a, b Run, p float64) float64 {
	return meanOverQueries(a, b, func(x, y []Result) float64 { return RBOAt(x, y, p) })
}

// RBOAt is the rank-biased overlap of two result lists, extrapolated beyond
// their ends (Webber, Moffat and Zobel, "A similarity measure for indefinite
// rankings", TOIS 2010, equation 32): 1 for equal lists, 0 for disjoint ones.
// The persistence p, between 0 and 1, sets how deep it looks: rank d weighs
// p^(d-1), so 0.9 looks at about 10 ranks and 0.99 at about 100. Any other p
// gives NaN. Two empty lists are equal.
func RBOAt(a, b []Result, p float64) float64 {
	if !(p > 0 && p < 1) {
		return math.NaN()
	}
	long, short := Rank(a, TiesDescending), Rank(b, TiesDescending)
	if len(long) < len(short) {
		long, short = short, long
	}
	if len(long) == 0 {
		return 1
	}
	if len(short) == 0 {
		return 0
	}
	// common is the size of the overlap at depth d, commonShort that at the
	// end of the shorter list.
	seen := make(map[string]bool, len(long)+len(short))
	common, commonShort := 0, 0
	sum, weight := 0.0, 1.0
	meet := func(id string) {
		if seen[id] {
			common++
		}
		seen[id] = true
	}
	for d := 1; d <= len(long); d++ {
		meet(long[d-1].ID)
		weight *= p
		if d <= len(short) {
			meet(short[d-1].ID)
			commonShort = common
		}
		sum += float64(common) / float64(d) * weight
		if d > len(short) {
			s := float64(len(short))
			sum += float64(commonShort) * (float64(d) - s) / (s * float64(d)) * weight
		}
	}
	l, s := float64(len(long)), float64(len(short))
	tail := float64(common-commonShort)/l + float64(commonShort)/s
	return (1-p)/p*sum + tail*weight
}

// meanOverQueries averages a comparison over the queries of both runs.
func meanOverQueries(a, b Run, compare func(a, b []Result) float64) float64 {
	queries := make(Qrels, len(a.Results))
	for _, run := range []Run{a, b} {
		for query := range run.Results {
			queries[query] = nil
		}
	}
	if len(queries) == 0 {
		return 1
	}
	sum := 0.0
	for _, query := range queries.Queries() {
		sum += compare(a.Results[query], b.Results[query])
	}
	return sum / float64(len(queries))
}
