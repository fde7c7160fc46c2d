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
func (f frequencies) Vectors() int64                        { return 10_000 }
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

// How many rows a query needs depends on the query.
func ExampleKeep_mass() {
	stats := frequencies{0: 700, 1: 650, 2: 800, 3: 12, 4: 990, 5: 3, 6: 40}
	pruner, err := querypruner.Parse("idf+mass:0.75")
	if err != nil {
		log.Fatal(err)
	}
	for _, ids := range [][]uint32{{0, 1, 5, 4}, {3, 5, 6, 6}} {
		q := encoder.Tokens{IDs: ids, Vectors: simd.NewMatrix(len(ids), 8)}
		selection, err := pruner.Select(q, stats)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("look:", selection.Probe)
	}
	// Output:
	// look: [2]
	// look: [0 1 2]
}

func ExampleParse() {
	for _, spec := range []string{"icf:4", "first:50%+scorekept", "nospecials+icf:4", "icf:none"} {
		pruner, err := querypruner.Parse(spec)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Printf("%v: %d rows or a share of %v\n", pruner, pruner.Keep.Count, pruner.Keep.Share)
	}
	// Output:
	// icf:4: 4 rows or a share of 0
	// first:50%+scorekept: 0 rows or a share of 0.5
	// querypruner: invalid setting: unknown option "icf:4", want one of mass, cost, nospecials, nostopwords, dropunseen, weigh, merge, scorekept, tokenrarity, seed, special, mask in "nospecials+icf:4"
	// querypruner: invalid setting: "none" is not a positive number of rows in "icf:none"
}
