package querypruner_test

import (
	"fmt"
	"log"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/simd"
)

// frequencies is the collection that a query is pruned for: how many vectors
// each token id has, in as many documents. An index.Snapshot counts them.
type frequencies map[uint32]int64

func (f frequencies) Documents() int64                      { return 1000 }
func (f frequencies) TokenFrequency(id uint32) (_, _ int64) { return f[id], f[id] }
func (f frequencies) CellPopulation([]float32) int64        { return 0 }

func ExamplePruner_Select() {
	tokens := []string{"how", "do", "i", "prune", "a", "quince", "tree"}
	stats := frequencies{0: 700, 1: 650, 2: 800, 3: 12, 4: 990, 5: 3, 6: 40}
	q := encoder.Tokens{IDs: []uint32{0, 1, 2, 3, 4, 5, 6}, Vectors: simd.NewMatrix(7, 8)}

	pruner, err := querypruner.Parse("icf:3")
	if err != nil {
		log.Fatal(err)
	}
	selection, err := pruner.Select(q, stats)
	if err != nil {
		log.Fatal(err)
	}
	for _, i := range selection.Probe {
		fmt.Printf("%s looks: %v\n", tokens[i], selection.Rows[i])
	}
	// Output:
	// prune looks: rank 2, frequency 12
	// quince looks: rank 1, frequency 3
	// tree looks: rank 3, frequency 40
}

func ExampleParse() {
	for _, spec := range []string{"icf:4", "first:50%+scorekept", "icf:none"} {
		pruner, err := querypruner.Parse(spec)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(pruner, pruner.Keep)
	}
	// Output:
	// icf:4 {4 0}
	// first:50%+scorekept {0 0.5}
	// querypruner: invalid setting: "none" is not a positive number of rows in "icf:none"
}
