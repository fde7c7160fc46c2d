package report_test

import (
	"log"
	"os"

	"github.com/pare-search/pare/eval/report"
	"github.com/pare-search/pare/eval/stats"
)

func Example() {
	// Twelve queries; the pruned search scores a tenth of the documents.
	unpruned := []float64{0.9, 0.4, 0.7, 0.6, 0.5, 0.8, 0.7, 0.3, 0.6, 0.9, 0.5, 0.7}
	pruned := []float64{0.9, 0.4, 0.7, 0.6, 0.5, 0.8, 0.7, 0.3, 0.6, 0.9, 0.5, 0.69}
	result := func(name string, values []float64, scored int, ms float64) report.Result {
		n := len(values)
		r := report.Result{
			Name: name, Series: name, System: "maxsim", Index: &report.Index{Bytes: 200_000, Vectors: 10_000},
			Measures: map[string][]float64{"nDCG@10": values},
			Overlap:  make([]float64, n), Milliseconds: make([]float64, n), Estimate: make([]float64, n),
			Work:   report.Work{RowsKept: make([]int, n), Cells: make([]int, n), Postings: make([]int, n), Candidates: make([]int, n), Scored: make([]int, n), Pairs: make([]int64, n)},
			Reach:  &report.Reach{Candidates: make([]float64, n), Scored: make([]float64, n), Top: make([]float64, n)},
			Probed: make([][]int, n),
		}
		for q := range n {
			r.Work.Scored[q], r.Milliseconds[q], r.Estimate[q] = scored, ms, ms
		}
		return r
	}
	study := report.Study{
		Method: report.Method{Measures: []string{"nDCG@10"}, Stats: stats.DefaultOptions()},
		Collections: []report.Collection{{
			Name: "orchard", Documents: 100, Vectors: 10_000, Queries: make([]report.Query, len(unpruned)),
			Results: []report.Result{result("unpruned", unpruned, 100, 5), result("icf:4", pruned, 10, 0.5)},
		}},
	}
	study.Collections[0].Results[0].Baseline = true
	r, err := report.New(study)
	if err != nil {
		log.Fatal(err)
	}
	if err := r.WriteText(os.Stdout, report.TextOptions{}); err != nil {
		log.Fatal(err)
	}
	// Output:
	// On orchard, “icf:4” keeps nDCG@10 within 2 % of the unpruned search and scores
	// 90 % fewer documents and answers 10.0 times as fast.
	//
	// orchard: 100 documents, 12 queries, nDCG@10 of unpruned 0.633
	// B  ≈ icf:4            ·····│··●··│·····  -0.1%
	//
	// equivalent ≈, worse ▼, better ▲, undecided ?: the bar is the interval of the difference, at a level
	// corrected for the number of settings; the marks │ are the margin of ±2 %.
}
