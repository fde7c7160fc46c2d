package retriever_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/encoder/bert"
	"github.com/pare-search/pare/encoder/corpus"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/retriever"
)

// TestInformed asks models what their token ids stand for, and holds the answer
// against the ids of an encoded query, which begin with [CLS] and end with [SEP]
// or masks.
func TestInformed(t *testing.T) {
	stopping := querypruner.Pruner{Drop: querypruner.Drop{Specials: true, StopWords: "english"}}
	for name, masks := range map[string]bool{"plain": false, "stanford": true} {
		model, err := bert.Open("../encoder/bert/testdata/models/"+name, bert.Options{Dim: 16, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		got := retriever.Informed(stopping, model).Vocabulary
		id := func(piece string) uint32 {
			id, ok := model.Tokenizer().ID(piece)
			if !ok {
				t.Fatalf("%s has no %s", name, piece)
			}
			return id
		}
		if got.Special[0] != id("[CLS]") || got.Special[len(got.Special)-1] != id("[SEP]") {
			t.Errorf("%s: special ids %v", name, got.Special)
		}
		var want []uint32
		if masks {
			want = []uint32{id("[MASK]")}
		}
		if !slices.Equal(got.Masks, want) {
			t.Errorf("%s: masks %v, want %v", name, got.Masks, want)
		}
		if !slices.Contains(got.Stop, id("the")) || slices.Contains(got.Stop, id("[CLS]")) {
			t.Errorf("%s: stop words %v", name, got.Stop)
		}
		if stopping.Drop.StopWords = "klingon"; retriever.Informed(stopping, model).Vocabulary.Stop != nil {
			t.Errorf("%s: there are stop words of a language without a list", name)
		}
		stopping.Drop.StopWords = "english"

		if p := (querypruner.Pruner{}); !reflect.DeepEqual(retriever.Informed(p, model), p) {
			t.Errorf("%s: a pruner that does not ask was told", name)
		}
		given := stopping
		given.Vocabulary.Special = []uint32{7}
		if !reflect.DeepEqual(retriever.Informed(given, model), given) {
			t.Errorf("%s: what the pruner knew was changed", name)
		}
	}
	var unknown encoder.Encoder
	if !retriever.Informed(stopping, unknown).Vocabulary.Empty() {
		t.Error("no encoder, but a vocabulary")
	}
}

// TestStopWordsOfTheCorpus: the default encoder has no rows of stop words, so
// none are dropped.
func TestStopWordsOfTheCorpus(t *testing.T) {
	r := build(t, orchard, buildOptions(codec.Residual2))
	results := search(t, r, "when is the plum to be pruned", probing(t, "nostopwords:english", 3, 100))
	for _, row := range results.Selection.Rows {
		if !row.Kept || row.Reason != querypruner.NoStopWord {
			t.Errorf("%+v: %v", row, row)
		}
	}
}

// TestUnknownWords: those of no document, but not those that are too rare to be
// learnt, nor any that another encoder sees.
func TestUnknownWords(t *testing.T) {
	options := buildOptions(codec.Residual2)
	options.Corpus.MinDocumentFrequency = 2
	r := build(t, orchard, options)
	enc, ok := r.Encoder().(*corpus.Encoder)
	if !ok {
		t.Fatalf("the encoder is a %T", r.Encoder())
	}
	if _, learnt := enc.ID("quinc"); learnt { // the stem
		t.Fatal("quince, in one document, was learnt")
	}
	for query, want := range map[string][]int{
		"the xylophone prunes quince, zither": {0, 3}, // "the" has no row
		"plum trees":                          nil,
		"":                                    nil,
	} {
		tokens, err := enc.EncodeQuery(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.UnknownWords(tokens); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: rows %v, %v, want %v", query, got, err, want)
		}
	}

	options.Encoder = toy
	r = build(t, orchard, options)
	tokens, err := toy.EncodeQuery(t.Context(), "xylophone zither")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.UnknownWords(tokens); err != nil || got != nil {
		t.Errorf("of another encoder: rows %v, %v", got, err)
	}
}
