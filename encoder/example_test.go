package encoder_test

import (
	"context"
	"fmt"
	"log"
	"strings"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/simd"
)

// A function that encodes one text is an Encoder. This one makes a vector of
// every word's letters.
func ExampleFunc() {
	enc := encoder.Func{Width: 32, Encode: func(_ context.Context, text string, _ bool) (encoder.Tokens, error) {
		words := strings.Fields(strings.ToLower(text))
		vectors := simd.NewMatrix(len(words), 32)
		for i, word := range words {
			for _, letter := range word {
				vectors.Row(i)[letter%32]++
			}
		}
		vectors.Normalize()
		return encoder.Tokens{Vectors: vectors}, nil
	}}

	tokens, err := enc.EncodeQuery(context.Background(), "a listen is silent")
	if err != nil {
		log.Fatal(err)
	}
	v := tokens.Vectors
	fmt.Printf("%d vectors; listen · silent = %.2f, listen · is = %.2f\n", v.Rows, simd.Dot(v.Row(1), v.Row(3)), simd.Dot(v.Row(1), v.Row(2)))
	// Output: 4 vectors; listen · silent = 1.00, listen · is = 0.58
}
