package codec_test

import (
	"context"
	"fmt"
	"log"

	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/simd"
)

// corners returns n vectors of 8 dimensions that point in 8 directions in turn.
func corners(n int) simd.Matrix {
	m := simd.NewMatrix(n, 8)
	for i := range n {
		m.Row(i)[i%8] = 1
	}
	return m
}

// A codebook is trained on a sample of vectors; then each document becomes one
// payload, and queries are scored against those.
func Example() {
	book, err := codec.Train(context.Background(), corners(800), nil, codec.DefaultOptions(), nil)
	if err != nil {
		log.Fatal(err)
	}
	encoded, err := book.Encode(corners(3), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d bytes, %d cells\n", encoded.Payload.Size(), len(encoded.Cells))

	scorer := book.NewScorer()
	if err := scorer.Reset(simd.PackQuery(corners(2)), nil, nil); err != nil {
		log.Fatal(err)
	}
	score, _, err := scorer.Score(encoded.Payload, codec.Payload{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("MaxSim %.2f\n", score)
	// Output:
	// 23 bytes, 3 cells
	// MaxSim 2.00
}

// Documents that are there together are encoded together.
func ExampleCodebook_EncodeAll() {
	book, err := codec.Train(context.Background(), corners(800), nil, codec.DefaultOptions(), nil)
	if err != nil {
		log.Fatal(err)
	}
	encoded, err := book.EncodeAll(context.Background(), []codec.Document{{Vectors: corners(3)}, {Vectors: corners(5)}})
	if err != nil {
		log.Fatal(err)
	}
	for _, e := range encoded {
		fmt.Printf("%d bytes, %d cells\n", e.Payload.Size(), len(e.Cells))
	}
	// Output:
	// 23 bytes, 3 cells
	// 35 bytes, 5 cells
}

// Maxima explain a score: which vector of the document answers which row of
// the query, and how well.
func ExampleScorer_Maxima() {
	opts := codec.DefaultOptions()
	opts.Kind = codec.Int8
	book, err := codec.Train(context.Background(), corners(800), nil, opts, nil)
	if err != nil {
		log.Fatal(err)
	}
	encoded, err := book.Encode(corners(5), nil)
	if err != nil {
		log.Fatal(err)
	}

	query := simd.NewMatrix(2, 8)
	query.Row(0)[4], query.Row(1)[2] = 1, 0.5
	scorer := book.NewScorer()
	if err := scorer.Reset(simd.PackQuery(query), nil, nil); err != nil {
		log.Fatal(err)
	}
	best, token := make([]float32, 2), make([]int32, 2)
	if err := scorer.Maxima(encoded.Payload, best, token); err != nil {
		log.Fatal(err)
	}
	for row := range best {
		fmt.Printf("query row %d: vector %d, %.2f\n", row, token[row], best[row])
	}
	// Output:
	// query row 0: vector 4, 1.00
	// query row 1: vector 2, 0.50
}

// A codebook is kept beside what was encoded with it.
func ExampleLoad() {
	book, err := codec.Train(context.Background(), corners(800), nil, codec.DefaultOptions(), nil)
	if err != nil {
		log.Fatal(err)
	}
	data, err := book.MarshalBinary()
	if err != nil {
		log.Fatal(err)
	}
	loaded, err := codec.Load(data)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(loaded.Kind(), loaded.Dim(), loaded.Checksum() == book.Checksum())

	data[100]++
	_, err = codec.Load(data)
	fmt.Println(err != nil)
	// Output:
	// residual2 8 true
	// true
}

// RankScore tells from the cells alone which documents are worth a Score.
func ExampleScorer_RankScore() {
	book, err := codec.Train(context.Background(), corners(800), nil, codec.DefaultOptions(), nil)
	if err != nil {
		log.Fatal(err)
	}
	scorer := book.NewScorer()
	if err := scorer.Reset(simd.PackQuery(corners(3)), nil, nil); err != nil {
		log.Fatal(err)
	}
	for vectors := range 4 {
		encoded, err := book.Encode(corners(vectors), nil)
		if err != nil {
			log.Fatal(err)
		}
		score, err := scorer.RankScore(encoded.Payload.Cells, nil)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%d of the query's 3 vectors: %d\n", vectors, score)
	}
	// Output:
	// 0 of the query's 3 vectors: 0
	// 1 of the query's 3 vectors: 255
	// 2 of the query's 3 vectors: 510
	// 3 of the query's 3 vectors: 765
}
