package retriever_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/encoder/bert"
	"github.com/pare-search/pare/retriever"
	"github.com/pare-search/pare/simd"
)

// TestBuildWithModel builds with a model that must learn a projection, and opens
// the index where the model is and where it is not.
func TestBuildWithModel(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "model")
	if err := os.CopyFS(folder, os.DirFS("../encoder/bert/testdata/models/plain")); err != nil {
		t.Fatal(err)
	}
	modelOptions := bert.DefaultOptions()
	modelOptions.Dim = 16
	var encoded atomic.Int64
	modelOptions.Progress = func(int) { encoded.Add(1) }
	model, err := bert.Open(folder, modelOptions)
	if err != nil {
		t.Fatal(err)
	}
	var documents []retriever.Document
	for i := range 40 {
		documents = append(documents, retriever.Document{ID: fmt.Sprint(i), Text: fmt.Sprintf("word %d of the query token 2024%d", i, i)})
	}
	options := retriever.DefaultBuildOptions()
	options.Encoder = model
	var stages []retriever.Stage
	options.Progress = func(stage retriever.Stage, done, total int) {
		if len(stages) == 0 || stages[len(stages)-1] != stage {
			stages = append(stages, stage)
		}
	}
	dir := t.TempDir()
	if err := retriever.Build(t.Context(), dir, retriever.Documents(documents...), options); err != nil {
		t.Fatal(err)
	}
	if stages[0] != retriever.LearningVectors {
		t.Errorf("the stages are %v, want %q first", stages, retriever.LearningVectors)
	}
	// Learning does not report texts; all of them are kept from it.
	if encoded.Load() != 0 {
		t.Errorf("%d texts were encoded again", encoded.Load())
	}
	search := func(r *retriever.Retriever) {
		t.Helper()
		defer r.Close()
		results, err := r.Search(t.Context(), documents[7].Text, retriever.DefaultOptions())
		if err != nil || len(results.Hits) == 0 || results.Hits[0].ID != "7" {
			t.Errorf("a document's text finds %v, error %v; want the document", results.Hits, err)
		}
	}
	r, err := retriever.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	search(r)

	moved := folder + "2"
	if err := os.Rename(folder, moved); err != nil {
		t.Fatal(err)
	}
	if _, err := retriever.Open(dir); !errors.Is(err, bert.ErrOtherModel) {
		t.Errorf("without the model: error %v, want ErrOtherModel", err)
	}
	var open retriever.OpenOptions
	open.Model.Dir = moved
	if r, err = retriever.OpenWith(dir, open); err != nil {
		t.Fatal(err)
	}
	search(r)
	open.Model.Dir = "../encoder/bert/testdata/models/pylate"
	if _, err := retriever.OpenWith(dir, open); !errors.Is(err, bert.ErrOtherModel) {
		t.Errorf("with another model: error %v, want ErrOtherModel", err)
	}
	empty := options
	empty.Encoder, err = bert.Open(moved, modelOptions)
	if err != nil {
		t.Fatal(err)
	}
	if err := retriever.Build(t.Context(), t.TempDir(), retriever.Documents(), empty); !errors.Is(err, retriever.ErrNoDocuments) {
		t.Errorf("no documents: error %v, want ErrNoDocuments", err)
	}
}

// TestBuildEncodesOnce counts how often an encoder that was given sees a text.
func TestBuildEncodesOnce(t *testing.T) {
	var calls atomic.Int64
	options := retriever.DefaultBuildOptions()
	options.Encoder = encoder.Func{Width: 8, Encode: func(_ context.Context, text string, _ bool) (encoder.Tokens, error) {
		calls.Add(1)
		vectors := simd.NewMatrix(2, 8)
		vectors.Row(0)[len(text)%8], vectors.Row(1)[int(text[0])%8] = 1, 1
		return encoder.Tokens{Vectors: vectors}, nil
	}}
	var documents []retriever.Document
	for i := range 300 {
		documents = append(documents, retriever.Document{ID: fmt.Sprint(i), Text: fmt.Sprint(i, " things")})
	}
	for room, want := range map[int]int64{1000: 300, 100: 500, 1: 605} {
		calls.Store(0)
		options.Index.TrainingVectors = room
		if err := retriever.Build(t.Context(), t.TempDir(), retriever.Documents(documents...), options); err != nil {
			t.Fatal(err)
		}
		if got := calls.Load(); got < 300 || got > want {
			t.Errorf("with room for %d vectors %d texts were encoded, want 300 to %d", room, got, want)
		}
	}
}
