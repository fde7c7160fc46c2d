package main

import (
	"strings"
	"testing"

	"github.com/pare-search/pare/eval/stats"
	"github.com/pare-search/pare/eval/sweep"
)

// demoReport is a report in which icf:2 is the cheapest pruning.
func demoReport() *sweep.Report {
	value := func(x float64) *float64 { return &x }
	verdict := stats.Equivalent
	return &sweep.Report{
		Headline: "RR@10",
		Measures: []string{"RR@10", "R@100"},
		Systems: []sweep.SystemReport{
			{
				Name: "unpruned", Baseline: true, Stats: &sweep.Cost{Candidates: 1000},
				Measures: map[string]float64{"RR@10": 0.5, "R@100": 0.9},
			},
			{
				Name: "icf:2", Stats: &sweep.Cost{Candidates: 250}, Verdict: &verdict,
				Measures:     map[string]float64{"RR@10": 0.5, "R@100": 0.7},
				PEquivalence: value(0.01), PDifference: value(1),
				Comparisons: map[string]stats.Comparison{
					"RR@10": {Verdict: stats.Equivalent},
					"R@100": {Verdict: stats.Worse, MeanBaseline: 0.9, Mean: 0.7},
				},
			},
			{
				Name: "BM25 + icf:4", Stats: &sweep.Cost{Candidates: 10}, Verdict: &verdict,
				Measures:     map[string]float64{"RR@10": 0.6, "R@100": 0.8},
				PEquivalence: value(0.001), PDifference: value(1),
			},
		},
	}
}

func TestDemoConclusion(t *testing.T) {
	report := demoReport()
	text := demoConclusion(report, demoPruners, false, true)
	for _, want := range []string{
		"icf:2 looks at 75 % fewer documents than the unpruned search and is = equivalent in RR@10.",
		"It is v worse in R@100: 0.700, where the unpruned search has 0.900.",
		"Best RR@10: BM25 + icf:4 with 0.600.",
		"Best R@100: unpruned with 0.900.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not said in:%s", want, text)
		}
	}
	*report.Systems[1].PEquivalence = 0.06
	if text := demoConclusion(report, demoPruners, false, true); !strings.Contains(text, "No pruning could be shown") {
		t.Errorf("after adjusting nothing is shown, but:%s", text)
	}
}
