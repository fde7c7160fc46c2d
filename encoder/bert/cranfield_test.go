package bert_test

import (
	"cmp"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/encoder/bert"
	"github.com/pare-search/pare/eval"
	"github.com/pare-search/pare/eval/dataset"
	"github.com/pare-search/pare/internal/collections"
	"github.com/pare-search/pare/simd"
)

// TestCranfield ranks a whole collection with all-MiniLM-L6-v2, projected to 128
// dimensions. An implementation in Python with ONNX Runtime and numpy got 0.519
// in nDCG@10, as trec_eval has it.
func TestCranfield(t *testing.T) {
	if os.Getenv("PARE_LONG") == "" || simd.Level() == "go" {
		t.Skip("it takes a minute of two cores: set PARE_LONG=1 to run it")
	}
	const want = 0.519
	collection, err := dataset.Open(filepath.Join(collections.Dir(t), "cranfield"))
	if err != nil {
		t.Skip(err)
	}
	var ids, texts []string
	for document, err := range collection.Documents() {
		if err != nil {
			t.Fatal(err)
		}
		ids, texts = append(ids, document.ID), append(texts, document.Body())
	}
	kept := map[string]encoder.Tokens{}
	enc, err := open(t, modelDir(t), bert.DefaultOptions()).Learn(t.Context(), each(texts), bert.LearnOptions{
		Keep: func(text string, tokens encoder.Tokens) { kept[text] = tokens },
	})
	if err != nil {
		t.Fatal(err)
	}
	missing := slices.DeleteFunc(slices.Clone(texts), func(text string) bool { _, ok := kept[text]; return ok })
	for i, tokens := range encode(t, enc, missing) {
		kept[missing[i]] = tokens
	}
	run := eval.Run{Tag: "bert", Results: map[string][]eval.Result{}}
	for _, query := range collection.Queries {
		tokens, err := enc.EncodeQuery(t.Context(), query.Text)
		if err != nil {
			t.Fatal(err)
		}
		packed := simd.PackQuery(tokens.Vectors)
		best := make([]float32, packed.Rows)
		results := make([]eval.Result, len(ids))
		for i, text := range texts {
			results[i].ID = ids[i]
			if vectors := kept[text].Vectors; vectors.Rows > 0 {
				simd.Reset(best)
				packed.MaxSim(vectors, best)
				results[i].Score = float64(simd.Sum(best))
			}
		}
		slices.SortFunc(results, func(a, b eval.Result) int {
			return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.ID, b.ID))
		})
		run.Results[query.ID] = results[:100]
	}
	measures, err := eval.ParseMeasures("nDCG@10")
	if err != nil {
		t.Fatal(err)
	}
	got, _ := eval.Evaluate(collection.Qrels, run, measures).Mean(measures[0])
	t.Logf("nDCG@10 is %.4f", got)
	if math.Abs(got-want) > 0.002 {
		t.Errorf("nDCG@10 is %.4f, want %v", got, want)
	}
}
