package tablebench_test

import (
	"context"
	"fmt"
	"iter"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/encoder/corpus"
	"github.com/pare-search/pare/encoder/table"
	"github.com/pare-search/pare/eval"
	"github.com/pare-search/pare/eval/tablebench"
)

// trained is an encoder of a few texts, and how to replace its vectors of words.
func trained(texts iter.Seq2[string, error]) (tablebench.Subject, error) {
	ctx := context.Background()
	options := corpus.DefaultOptions()
	options.Dim = 16
	enc, err := corpus.Train(ctx, texts, options, func(string, int, int) {})
	if err != nil {
		return tablebench.Subject{}, err
	}
	frequencies, err := enc.WordFrequencies(ctx, texts)
	return tablebench.Subject{
		Encoder: enc, Words: enc.Words(), Frequencies: frequencies,
		With: func(t *table.Table) (encoder.Encoder, error) { return enc.WithWords(t) },
	}, err
}

func ExampleCompare() {
	texts := []string{
		"owls hunt mice at night", "owls hunt voles at night", "herons hunt fish in water", "herons stand in water",
		"crows eat eggs and mice", "crows gather eggs and voles",
	}
	subject, err := trained(each(texts))
	if err != nil {
		fmt.Println(err)
		return
	}
	birds := tablebench.Collection{
		Name:    "birds",
		Queries: []tablebench.Query{{ID: "q1", Text: "who hunts at night"}, {ID: "q2", Text: "who stands in water"}},
		Qrels:   eval.Qrels{"q1": {"0": 1, "1": 1}, "q2": {"2": 1, "3": 1}},
	}
	for i, text := range texts {
		birds.Documents = append(birds.Documents, tablebench.Document{ID: fmt.Sprint(i), Text: text})
	}
	report, err := tablebench.Compare(context.Background(), subject, []tablebench.Collection{birds},
		tablebench.Options{Methods: []string{"lloyd"}, Factors: []float64{2}, Margin: 0.01})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, row := range report.Tables {
		fmt.Printf("%s: within half of the bytes: %t, nDCG@10 times %.1f\n", row.Method, row.Bytes <= report.Bytes/2, row.Ratio)
	}
	// Output: lloyd: within half of the bytes: true, nDCG@10 times 1.0
}

func ExampleMeasureSensitivity() {
	texts := each([]string{
		"the owl hunts the mouse", "the heron hunts the fish", "the crow eats the mouse", "the crow eats the fish",
		"the owl sleeps", "the heron sleeps", "the hen eats the fish", "the hen sleeps",
	})
	subject, err := trained(texts)
	if err != nil {
		fmt.Println(err)
		return
	}
	measured, err := tablebench.MeasureSensitivity(context.Background(), subject, texts, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	words := 0
	for _, band := range measured.Bands {
		words += band.Words
	}
	fmt.Println(words == subject.Words.Rows, len(measured.Rows) == subject.Words.Rows)
	// Output: true true
}
