package encoder_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/simd"
)

func TestTokensValidate(t *testing.T) {
	matrix := func(rows, dim int) simd.Matrix { return simd.NewMatrix(rows, dim) }
	nan := matrix(2, 8)
	nan.Data[11] = float32(math.NaN())
	for _, test := range []struct {
		name   string
		tokens encoder.Tokens
		says   string // "" for valid
	}{
		{"nothing", encoder.Tokens{}, ""},
		{"no rows", encoder.Tokens{IDs: []uint32{}, Vectors: matrix(0, 8), Spans: []encoder.Span{}}, ""},
		{"vectors alone", encoder.Tokens{Vectors: matrix(2, 8)}, ""},
		{"everything", encoder.Tokens{IDs: []uint32{1, 1}, Vectors: matrix(2, 8), Spans: []encoder.Span{{}, {3, 5}}}, ""},
		{"another width", encoder.Tokens{Vectors: matrix(2, 16)}, "vectors have 16 dimensions, want 8"},
		{"data cut off", encoder.Tokens{Vectors: simd.Matrix{Rows: 2, Dim: 8, Data: make([]float32, 9)}}, "need 16 values, have 9"},
		{"not a number", encoder.Tokens{Vectors: nan}, "row 1, column 3"},
		{"too few ids", encoder.Tokens{IDs: []uint32{1}, Vectors: matrix(2, 8)}, "1 ids for 2 vectors"},
		{"ids of nothing", encoder.Tokens{IDs: []uint32{1}}, "1 ids for 0 vectors"},
		{"too many spans", encoder.Tokens{Vectors: matrix(1, 8), Spans: make([]encoder.Span, 3)}, "3 spans for 1 vectors"},
		{"a negative span", encoder.Tokens{Vectors: matrix(1, 8), Spans: []encoder.Span{{-1, 2}}}, "span 0 covers bytes -1 to 2"},
		{"a span backwards", encoder.Tokens{Vectors: matrix(1, 8), Spans: []encoder.Span{{4, 3}}}, "span 0 covers bytes 4 to 3"},
	} {
		t.Run(test.name, func(t *testing.T) { checkError(t, test.tokens.Validate(8), test.says) })
	}
}

// checkError wants an error that wraps ErrInvalid and says something, or none.
func checkError(t *testing.T, err error, says string) {
	t.Helper()
	switch {
	case says == "" && err != nil:
		t.Errorf("error %v, want none", err)
	case says != "" && !errors.Is(err, encoder.ErrInvalid):
		t.Errorf("error %v, want ErrInvalid", err)
	case says != "" && !strings.Contains(err.Error(), says):
		t.Errorf("error %q, want it to say %q", err, says)
	}
}

func TestSpanIn(t *testing.T) {
	for span, want := range map[encoder.Span]string{
		{0, 4}:           "plum",
		{5, 9}:           "tree",
		{3, 3}:           "",
		{9, 9}:           "",
		{-1, 3}:          "",
		{3, 10}:          "",
		{6, 5}:           "",
		{5, -1}:          "",
		{math.MaxInt, 1}: "",
	} {
		if got := span.In("plum tree"); got != want {
			t.Errorf("%v is %q, want %q", span, got, want)
		}
	}
}

// lengths encodes a text as one row per byte; the first component of a
// query's rows is 1.
var lengths = encoder.Func{Width: 8, Encode: func(_ context.Context, text string, query bool) (encoder.Tokens, error) {
	tokens := encoder.Tokens{Vectors: simd.NewMatrix(len(text), 8)}
	for i := range len(text) {
		if query {
			tokens.Vectors.Row(i)[0] = 1
		}
	}
	return tokens, nil
}}

func TestFunc(t *testing.T) {
	var enc encoder.Encoder = lengths
	if enc.Dim() != 8 {
		t.Errorf("%d dimensions, want 8", enc.Dim())
	}
	query, err := enc.EncodeQuery(t.Context(), "abc")
	if err != nil {
		t.Fatal(err)
	}
	if query.Vectors.Rows != 3 || query.Vectors.Data[0] != 1 {
		t.Errorf("a query of 3 bytes is %+v", query)
	}
	documents, err := enc.EncodeDocuments(t.Context(), []string{"ab", "", "abcd"})
	if err != nil {
		t.Fatal(err)
	}
	var rows []int
	for _, d := range documents {
		rows = append(rows, d.Vectors.Rows)
		if d.Vectors.Rows > 0 && d.Vectors.Data[0] != 0 {
			t.Error("a document was encoded as a query")
		}
	}
	if want := []int{2, 0, 4}; !slices.Equal(rows, want) {
		t.Errorf("documents have %v rows, want %v", rows, want)
	}
	if none, err := enc.EncodeDocuments(t.Context(), nil); err != nil || len(none) != 0 {
		t.Errorf("no documents are %v, error %v", none, err)
	}
}

func TestFuncErrors(t *testing.T) {
	failure := errors.New("no model")
	enc := encoder.Func{Width: 8, Encode: func(_ context.Context, text string, _ bool) (encoder.Tokens, error) {
		tokens := encoder.Tokens{Vectors: simd.NewMatrix(1, 8)}
		switch text {
		case "fail":
			return tokens, failure
		case "wide":
			tokens.Vectors = simd.NewMatrix(1, 16)
		case "far":
			tokens.Spans = []encoder.Span{{0, 4}}
		}
		return tokens, nil
	}}
	for text, says := range map[string]string{
		"good": "",
		"wide": "vectors have 16 dimensions, want 8",
		"far":  "span 0 ends at byte 4 of a text of 3",
	} {
		tokens, err := enc.EncodeQuery(t.Context(), text)
		checkError(t, err, says)
		if err != nil && tokens.Vectors.Rows != 0 {
			t.Errorf("%q: tokens came with the error", text)
		}
		if says != "" {
			says = "text 1: encoder: invalid tokens: " + says
		}
		_, err = enc.EncodeDocuments(t.Context(), []string{"good", text})
		checkError(t, err, says)
	}
	if _, err := enc.EncodeQuery(t.Context(), "fail"); !errors.Is(err, failure) {
		t.Errorf("error %v, want the function's", err)
	}
	if _, err := enc.EncodeDocuments(t.Context(), []string{"good", "good", "fail"}); !errors.Is(err, failure) || !strings.Contains(err.Error(), "text 2") {
		t.Errorf("error %v, want the function's for text 2", err)
	}
}
