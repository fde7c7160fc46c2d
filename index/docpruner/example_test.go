package docpruner_test

import (
	"context"
	"fmt"
	"log"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/index/docpruner"
	"github.com/pare-search/pare/simd"
)

// vectors makes vectors of 8 dimensions of their first two components.
func vectors(rows ...[2]float32) simd.Matrix {
	m := simd.NewMatrix(len(rows), 8)
	for i, row := range rows {
		copy(m.Row(i), row[:])
	}
	m.Normalize()
	return m
}

// Pooling makes one vector of two that say nearly the same.
func ExampleFitted_Prune() {
	pruner, err := docpruner.Parse("ward:1.5")
	if err != nil {
		log.Fatal(err)
	}
	// It needs to know no collection.
	fitted, err := pruner.Fit(context.Background(), nil, docpruner.DefaultFitOptions())
	if err != nil {
		log.Fatal(err)
	}
	pruned, err := fitted.Prune(encoder.Tokens{
		IDs:     []uint32{7, 12, 8},
		Vectors: vectors([2]float32{1, 0.1}, [2]float32{-1, 1}, [2]float32{1, -0.1}),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(pruned.Vectors.Rows, "vectors of tokens", pruned.IDs)
	fmt.Println("the places of the three:", pruned.Places)
	// Output:
	// 2 vectors of tokens [7 12]
	// the places of the three: [0 1 0]
}

// IDF pruning learns from a collection which tokens are the most frequent.
func ExamplePruner_Fit() {
	collection := []encoder.Tokens{
		{IDs: []uint32{1, 5}, Vectors: vectors([2]float32{1, 0}, [2]float32{0, 1})},
		{IDs: []uint32{1, 6, 1}, Vectors: vectors([2]float32{1, 0}, [2]float32{0, 1}, [2]float32{1, 1})},
	}
	pruner := docpruner.Pruner{Steps: []docpruner.Step{{Strategy: docpruner.IDF, Count: 1}}}
	fitted, err := pruner.Fit(context.Background(), func(yield func(encoder.Tokens, error) bool) {
		for _, document := range collection {
			if !yield(document, nil) {
				return
			}
		}
	}, docpruner.DefaultFitOptions())
	if err != nil {
		log.Fatal(err)
	}
	later := encoder.Tokens{IDs: []uint32{9, 1, 5}, Vectors: vectors([2]float32{1, 0}, [2]float32{0, 1}, [2]float32{1, 1})}
	pruned, err := fitted.Prune(later)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(fitted.Pruner(), "leaves tokens", pruned.IDs)
	// Output: idf:1 leaves tokens [9 5]
}

// Steps follow each other.
func ExampleParse() {
	pruner, err := docpruner.Parse("voronoi:67%+ward:2+protect=1")
	if err != nil {
		log.Fatal(err)
	}
	for _, step := range pruner.Steps {
		fmt.Println(step)
	}
	// Output:
	// voronoi:67%
	// ward:2+protect=1
}
