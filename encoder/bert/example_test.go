package bert_test

import (
	"context"
	"fmt"
	"log"

	"github.com/pare-search/pare/encoder/bert"
	"github.com/pare-search/pare/simd"
)

// A model that was made for late interaction encodes at once. Its queries are
// filled up with [MASK], whose vectors count.
func ExampleOpen() {
	enc, err := bert.Open("testdata/models/pylate", bert.DefaultOptions())
	if err != nil {
		log.Fatal(err)
	}
	query := "the late query"
	tokens, err := enc.EncodeQuery(context.Background(), query)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(enc.Layout(), "model,", tokens.Vectors.Rows, "vectors of", tokens.Vectors.Dim, "dimensions")
	for i, id := range tokens.IDs[:6] {
		fmt.Printf("%q is %q\n", enc.Tokenizer().Piece(id), tokens.Spans[i].In(query))
	}
	// Output:
	// pylate model, 12 vectors of 16 dimensions
	// "[CLS]" is ""
	// "[Q] " is ""
	// "the" is "the"
	// "late" is "late"
	// "query" is "query"
	// "[SEP]" is ""
}

// A model of sentence embeddings first learns a projection from the texts that
// are to be searched.
func ExampleEncoder_Learn() {
	options := bert.DefaultOptions()
	options.Dim = 16 // of the model's 32
	model, err := bert.Open("testdata/models/plain", options)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	texts := []string{"the late query", "words and tokens", "unable resume"}
	enc, err := model.Learn(ctx, func(yield func(string, error) bool) {
		for _, text := range texts {
			if !yield(text, nil) {
				return
			}
		}
	}, bert.LearnOptions{})
	if err != nil {
		log.Fatal(err)
	}
	documents, err := enc.EncodeDocuments(ctx, texts)
	if err != nil {
		log.Fatal(err)
	}
	query, err := enc.EncodeQuery(ctx, "late query")
	if err != nil {
		log.Fatal(err)
	}
	packed := simd.PackQuery(query.Vectors)
	best := make([]float32, packed.Rows)
	for i, document := range documents {
		simd.Reset(best)
		packed.MaxSim(document.Vectors, best)
		fmt.Printf("%.1f of %d  %s\n", simd.Sum(best), query.Vectors.Rows, texts[i])
	}
	// Output:
	// 3.7 of 4  the late query
	// 3.6 of 4  words and tokens
	// 3.4 of 4  unable resume
}

func ExampleTokenizer_Tokenize() {
	tokenizer, err := bert.LoadTokenizer("testdata/tokenizer.json")
	if err != nil {
		log.Fatal(err)
	}
	text := "Unable cafe\u0301s"
	pieces := tokenizer.Tokenize(text, 100)
	for i, id := range pieces.IDs {
		fmt.Printf("%-5q bytes %2d to %2d: %q\n", tokenizer.Piece(id), pieces.Spans[i].Start, pieces.Spans[i].End, pieces.Spans[i].In(text))
	}
	// Output:
	// "un"  bytes  0 to  2: "Un"
	// "##able" bytes  2 to  6: "able"
	// "cafe" bytes  7 to 13: "café"
	// "##s" bytes 13 to 14: "s"
}
