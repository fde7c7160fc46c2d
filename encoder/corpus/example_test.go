package corpus_test

import (
	"context"
	"fmt"
	"log"

	"github.com/pare-search/pare/encoder/corpus"
	"github.com/pare-search/pare/simd"
)

var sentences = []string{
	"The pilot landed the plane on the runway.",
	"A plane needs a pilot and a long runway.",
	"The plane left the runway late, the pilot said.",
	"Bake the bread in a hot oven.",
	"Bread dough rises before the oven is hot.",
	"The oven browned the bread and the dough.",
}

func Example() {
	opts := corpus.DefaultOptions()
	opts.MinDocumentFrequency = 1 // so few texts have no word to spare
	enc, err := corpus.Train(context.Background(), each(sentences), opts, nil)
	if err != nil {
		log.Fatal(err)
	}
	// The vector of each word on its own, as a text of one word.
	vector := func(word string) []float32 {
		tokens, err := enc.EncodeDocuments(context.Background(), []string{word})
		if err != nil {
			log.Fatal(err)
		}
		return tokens[0].Vectors.Row(0)
	}
	plane, pilot, bread := vector("plane"), vector("pilots"), vector("bread")
	fmt.Println("plane is nearer to pilots than to bread:", simd.Dot(plane, pilot) > simd.Dot(plane, bread))
	// Output: plane is nearer to pilots than to bread: true
}

func ExampleLoad() {
	enc, err := corpus.Train(context.Background(), each(sentences), corpus.DefaultOptions(), nil)
	if err != nil {
		log.Fatal(err)
	}
	data, err := enc.MarshalBinary()
	if err != nil {
		log.Fatal(err)
	}
	loaded, err := corpus.Load(data)
	if err != nil {
		log.Fatal(err)
	}
	query, err := loaded.EncodeQuery(context.Background(), "the runways")
	if err != nil {
		log.Fatal(err)
	}
	word, _ := loaded.Word(query.IDs[0])
	fmt.Println(word, query.Spans[0], loaded.Fingerprint() == enc.Fingerprint())
	// Output: runway {4 11} true
}
