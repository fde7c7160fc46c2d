package remote

import (
	"encoding/json"
	"errors"
	"fmt"
)

// protocol is what one kind of service speaks.
type protocol struct {
	path    string
	headers map[string]string
	request func(s Service, texts []string, query bool) any
	// answer takes an answer apart; the matrices are not checked yet.
	answer func(data []byte) ([]rows, error)
}

var protocols = map[Format]protocol{
	// The service adds markers, expands queries and drops punctuation.
	NextPlaid: {
		path: "/encode",
		// Packed vectors are a third of the size; old versions ignore the wish.
		headers: map[string]string{"X-Embeddings-Format": "base64"},
		request: func(_ Service, texts []string, query bool) any {
			return struct {
				Texts     []string `json:"texts"`
				InputType string   `json:"input_type"`
			}{texts, side(query)}
		},
		answer: nextPlaidAnswer,
	},
	// A query always has 32 vectors.
	Jina: {
		path: "/v1/multi-vector",
		request: func(s Service, texts []string, query bool) any {
			return struct {
				Model         string   `json:"model"`
				Dimensions    int      `json:"dimensions,omitempty"`
				InputType     string   `json:"input_type"`
				EmbeddingType string   `json:"embedding_type"`
				Input         []string `json:"input"`
			}{s.Model, s.Dim, side(query), "float", texts}
		},
		answer: listed("embeddings", func(i item) *rows { return i.Embeddings }),
	},
	// The base64 form has no shape, so that vectors of another width could not
	// be told from vectors of the right one.
	VLLM: {
		path: "/pooling",
		request: func(s Service, texts []string, _ bool) any {
			return struct {
				Model          string   `json:"model"`
				Task           string   `json:"task"`
				Input          []string `json:"input"`
				EncodingFormat string   `json:"encoding_format"`
			}{s.Model, "token_embed", texts, "float"}
		},
		answer: listed("data", func(i item) *rows { return i.Data }),
	},
	PyLate: {
		path: "/v1/embeddings",
		request: func(s Service, texts []string, query bool) any {
			return struct {
				Input   []string `json:"input"`
				Model   string   `json:"model"`
				IsQuery bool     `json:"is_query"`
			}{texts, s.Model, query}
		},
		answer: listed("embedding", func(i item) *rows { return i.Embedding }),
	},
}

func side(query bool) string {
	if query {
		return "query"
	}
	return "document"
}

// nextPlaidAnswer reads {"embeddings": [[[float]]]} or
// {"embeddings_b64": [string], "shapes": [[rows, dim]]}, where a string is the
// base64 form of little-endian float32 values.
func nextPlaidAnswer(data []byte) ([]rows, error) {
	var a struct {
		Embeddings []rows   `json:"embeddings"`
		Packed     [][]byte `json:"embeddings_b64"`
		Shapes     [][]int  `json:"shapes"`
	}
	if err := parse(data, &a); err != nil {
		return nil, err
	}
	if a.Packed == nil {
		return named(a.Embeddings, func(i int) string { return fmt.Sprintf("embeddings[%d]", i) })
	}
	if len(a.Shapes) != len(a.Packed) {
		return nil, fmt.Errorf("%d shapes for %d texts", len(a.Shapes), len(a.Packed))
	}
	out := make([]rows, len(a.Packed))
	for i, packed := range a.Packed {
		out[i].unpack(packed, a.Shapes[i])
	}
	return named(out, func(i int) string { return fmt.Sprintf("embeddings_b64[%d]", i) })
}

// item is one text's part of an answer with a list "data"; services name the
// vectors differently.
type item struct {
	Index      *int  `json:"index"`
	Embeddings *rows `json:"embeddings"`
	Embedding  *rows `json:"embedding"`
	Data       *rows `json:"data"`
}

// listed reads {"data": [{"index": i, FIELD: [[float]]}]}. Without an index the
// texts are in order.
func listed(field string, vectors func(item) *rows) func([]byte) ([]rows, error) {
	return func(data []byte) ([]rows, error) {
		var a struct {
			Data []item `json:"data"`
		}
		if err := parse(data, &a); err != nil {
			return nil, err
		}
		name := func(i int) string { return fmt.Sprintf("data[%d].%s", i, field) }
		out, seen := make([]rows, len(a.Data)), make([]bool, len(a.Data))
		for i, item := range a.Data {
			at := i
			if item.Index != nil {
				at = *item.Index
			}
			if at < 0 || at >= len(out) || seen[at] {
				return nil, fmt.Errorf("data[%d].index is %d, want each of 0 to %d once", i, at, len(out)-1)
			}
			seen[at] = true
			found := vectors(item)
			if found == nil {
				return nil, fmt.Errorf("%s is missing", name(i))
			}
			if found.err != nil {
				return nil, fmt.Errorf("%s: %w", name(i), found.err)
			}
			out[at] = *found
		}
		return out, nil
	}
}

// named returns the first error of texts with the name of its field.
func named(texts []rows, name func(i int) string) ([]rows, error) {
	for i, text := range texts {
		if text.err != nil {
			return nil, fmt.Errorf("%s: %w", name(i), text.err)
		}
	}
	return texts, nil
}

// parse decodes JSON and shows the place of an error in it: a bare NaN, as
// Python writes it, is no JSON.
func parse(data []byte, into any) error {
	err := json.Unmarshal(data, into)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		at := max(int(syntax.Offset)-1, 0)
		return fmt.Errorf("no JSON: %w at byte %d, %q", err, at, data[min(at, len(data)):min(at+20, len(data))])
	}
	return err
}
