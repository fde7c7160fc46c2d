package sweep_test

import (
	"fmt"
	"log"
	"strings"

	"github.com/pare-search/pare/configs"
	"github.com/pare-search/pare/eval/sweep"
)

func ExampleReadPlan() {
	plan, err := sweep.ReadPlan(strings.NewReader(`
base: {search.plan: probe}
baseline: {codec.kind: float32, search.plan: exhaustive}
blocks:
  - name: icf
    with: {search.neighbors: 1000}
    vary:
      search.prune: ["icf:2", "icf:4"]
  - name: rerank
    system: rerank
    vary:
      search.depth: [100]
`))
	if err != nil {
		log.Fatal(err)
	}
	points, err := plan.Points(configs.Default().Reduce)
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range points {
		fmt.Printf("%s: %s of %s\n", p.Name, p.System, p.Setting)
	}
	// Output:
	// unpruned: maxsim of codec.kind=float32 search.plan=exhaustive
	// icf:2: maxsim of search.neighbors=1000 search.plan=probe search.prune=icf:2
	// icf:4: maxsim of search.neighbors=1000 search.plan=probe search.prune=icf:4
	// rerank depth 100: rerank of search.depth=100 search.plan=probe
}
