package tablebench_test

import (
	"context"
	"errors"
	"iter"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/encoder/table"
	"github.com/pare-search/pare/eval/tablebench"
	"github.com/pare-search/pare/simd"
)

// deaf is an encoder of single letters that has a row for each and hears only those from
// a letter on.
type deaf struct {
	words simd.Matrix
	first int
}

func (d *deaf) Dim() int { return d.words.Dim }

func (d *deaf) EncodeQuery(_ context.Context, text string) (encoder.Tokens, error) {
	out := encoder.Tokens{Vectors: simd.Matrix{Dim: d.words.Dim}}
	for _, word := range strings.Fields(text) {
		if id := int(word[0] - 'a'); id >= d.first {
			out.Vectors.Data = append(out.Vectors.Data, d.words.Row(id)...)
			out.IDs = append(out.IDs, uint32(id))
			out.Vectors.Rows++
		}
	}
	return out, nil
}

func (d *deaf) EncodeDocuments(ctx context.Context, texts []string) ([]encoder.Tokens, error) {
	var all []encoder.Tokens
	for _, text := range texts {
		tokens, _ := d.EncodeQuery(ctx, text)
		all = append(all, tokens)
	}
	return all, nil
}

// TestMeasureSensitivity is that words which the encoder does not hear have no
// sensitivity, though they are the most frequent, that those which do not occur have that
// of the rarest, and that the mean over all errors is 1.
func TestMeasureSensitivity(t *testing.T) {
	const letters, deafTo = 26, 1
	m := random(letters, 8)
	var texts []string
	for i := range 200 {
		words := []string{"a", "a", "a", "a"}
		for j := range 1 + i%5 {
			words = append(words, string(rune('b'+(11*i+7*j)%20)))
		}
		texts = append(texts, strings.Join(words, " "))
	}
	s := tablebench.Subject{
		Encoder: &deaf{m, deafTo}, Words: m, Frequencies: make([]int64, letters),
		With: func(t *table.Table) (encoder.Encoder, error) { return &deaf{t.Matrix(), deafTo}, nil },
	}
	for _, text := range texts {
		for _, word := range strings.Fields(text) {
			s.Frequencies[word[0]-'a']++
		}
	}
	got, err := tablebench.MeasureSensitivity(t.Context(), s, each(texts), 1)
	if err != nil {
		t.Fatal(err)
	}
	again, err := tablebench.MeasureSensitivity(t.Context(), s, each(texts), 1)
	if err != nil || !reflect.DeepEqual(got, again) {
		t.Errorf("measured again it is something else: %v", err)
	}
	words := 0
	for _, b := range got.Bands {
		words += b.Words
		if b.Loss < 0 || b.Lookups == 0 {
			t.Errorf("band %+v", b)
		}
	}
	if words != 21 {
		t.Errorf("%d words in bands, 21 occur", words)
	}
	if got.Bands[0].Words != 1 || got.Rows[0] != 0 {
		t.Errorf("the word that is not heard is in %+v and has sensitivity %v", got.Bands[0], got.Rows[0])
	}
	last := got.Bands[len(got.Bands)-1].Sensitivity
	for id := range letters {
		if s.Frequencies[id] == 0 && got.Rows[id] != last {
			t.Errorf("letter %d does not occur and has %v, want %v", id, got.Rows[id], last)
		}
	}
	if !(last > 0) || math.IsInf(last, 0) {
		t.Errorf("the rarest words have sensitivity %v", last)
	}
	if _, err := tablebench.MeasureSensitivity(t.Context(), s, each([]string{"b", " "}), 1); !errors.Is(err, tablebench.ErrInvalid) {
		t.Errorf("one text: %v, want %v", err, tablebench.ErrInvalid)
	}
}

func each(texts []string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, text := range texts {
			if !yield(text, nil) {
				return
			}
		}
	}
}

func random(rows, dim int) simd.Matrix {
	m := simd.NewMatrix(rows, dim)
	state := uint32(1)
	for i := range m.Data {
		state = state*1664525 + 1013904223
		m.Data[i] = float32(state>>8)/(1<<23) - 1
	}
	m.Normalize()
	return m
}
