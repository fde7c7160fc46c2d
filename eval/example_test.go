package eval_test

import (
	"fmt"

	"github.com/pare-search/pare/eval"
)

func Example() {
	qrels := eval.Qrels{
		"q1": {"d1": 3, "d2": 1, "d3": 0},
		"q2": {"d4": 1},
	}
	run := eval.Run{Tag: "bm25", Results: map[string][]eval.Result{
		"q1": {{ID: "d2", Score: 9.5}, {ID: "d1", Score: 8.25}, {ID: "d9", Score: 3}},
	}}
	measures, err := eval.ParseMeasures("nDCG@10", "RR@10", "R@100", "Judged@10")
	if err != nil {
		fmt.Println(err)
		return
	}
	report := eval.Evaluate(qrels, run, measures)
	for i, m := range report.Measures {
		fmt.Printf("%-10s %.4f\n", m, report.Means[i])
	}
	fmt.Println("without results:", report.Missing)
	// Output:
	// nDCG@10    0.3984
	// RR@10      0.5000
	// R@100      0.5000
	// Judged@10  0.3333
	// without results: [q2]
}

func ExampleParseMeasure() {
	for _, name := range []string{"ndcg_cut_10", "MRR@10", "P(rel=2)@5"} {
		m, err := eval.ParseMeasure(name)
		fmt.Println(m, err)
	}
	// Output:
	// nDCG@10 <nil>
	// RR@10 <nil>
	// P(rel=2)@5 <nil>
}

func ExampleOverlap() {
	full := eval.Run{Results: map[string][]eval.Result{"q": {{ID: "a", Score: 3}, {ID: "b", Score: 2}}}}
	pruned := eval.Run{Results: map[string][]eval.Result{"q": {{ID: "a", Score: 3}, {ID: "c", Score: 2}}}}
	fmt.Println(eval.Overlap(full, pruned, 2))
	// Output: 0.5
}
