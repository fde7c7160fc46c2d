package searchbench

import "fmt"

// Best is the fastest setting that reaches a level of quality.
type Best struct {
	// Target is "R@10 >= 0.90" or the like, or "nDCG@10 >= 99 % of exact".
	Target string `json:"target"`
	// Result is nil where no setting reaches it.
	Result *Result `json:"result"`
}

// bests returns the fastest setting for each level that engines are compared at.
func bests(results []Result, exactNDCG float64) []Best {
	var list []Best
	for _, level := range []float64{0.90, 0.95, 0.99} {
		list = append(list, Best{
			fmt.Sprintf("R@10 >= %.2f", level),
			fastest(results, func(r Result) bool { return r.Recall10 >= level }),
		})
	}
	if exactNDCG > 0 {
		list = append(list, Best{
			"nDCG@10 >= 99 % of exact",
			fastest(results, func(r Result) bool { return r.NDCG10 >= 0.99*exactNDCG }),
		})
	}
	return list
}

// fastest returns the result with the lowest median among those that are good
// enough, nil if none is.
func fastest(results []Result, enough func(Result) bool) *Result {
	var best *Result
	for i, r := range results {
		if enough(r) && (best == nil || r.P50 < best.P50) {
			best = &results[i]
		}
	}
	return best
}

// representative returns the place of the fastest result with R@10 of at least
// 0.95, or of the highest R@10.
func representative(results []Result) int {
	best := 0
	for i, r := range results {
		const level = 0.95
		better := r.Recall10 > results[best].Recall10
		if r.Recall10 >= level && results[best].Recall10 >= level {
			better = r.P50 < results[best].P50
		}
		if better {
			best = i
		}
	}
	return best
}
