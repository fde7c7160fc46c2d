package parebleve_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/mapping"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/retriever/parebleve"
	"github.com/pare-search/pare/simd"
)

const toyDim = 32

// toy encodes every word as a direction of its own, leaning a little towards
// its neighbour, so that the same word differs from place to place.
var toy = encoder.Func{Width: toyDim, Encode: func(_ context.Context, text string, _ bool) (encoder.Tokens, error) {
	var tokens encoder.Tokens
	at := 0
	for word := range strings.FieldsSeq(text) {
		at += strings.Index(text[at:], word)
		hash := fnv.New32a()
		hash.Write([]byte(strings.ToLower(word)))
		tokens.IDs = append(tokens.IDs, hash.Sum32()%5000)
		tokens.Spans = append(tokens.Spans, encoder.Span{Start: at, End: at + len(word)})
		at += len(word)
	}
	tokens.Vectors = simd.NewMatrix(len(tokens.IDs), toyDim)
	for i, id := range tokens.IDs {
		own := direction(id)
		near := direction(tokens.IDs[max(i-1, 0)])
		for d := range own {
			tokens.Vectors.Row(i)[d] = own[d] + 0.3*near[d]
		}
	}
	tokens.Vectors.Normalize()
	return tokens, nil
}}

func direction(id uint32) []float32 {
	m := simd.NewMatrix(1, toyDim)
	random := rand.New(rand.NewPCG(uint64(id), 7))
	for d := range m.Data {
		m.Data[d] = float32(random.NormFloat64())
	}
	m.Normalize()
	return m.Data
}

// page is a document of the tests.
type page struct {
	Body  string  `json:"body"`
	Title string  `json:"title"`
	Kind  string  `json:"kind"`
	Year  float64 `json:"year"`
}

// babble makes n pages of words with a steep frequency distribution.
func babble(n, seed int) map[string]page {
	random := rand.New(rand.NewPCG(uint64(seed), 1))
	pages := make(map[string]page, n)
	for i := range n {
		var words []string
		for range 8 + random.IntN(24) {
			words = append(words, fmt.Sprintf("w%d", int(400*random.Float64()*random.Float64()*random.Float64())))
		}
		pages[fmt.Sprintf("d%04d", i)] = page{
			Body:  strings.Join(words, " "),
			Title: fmt.Sprintf("title %d", i),
			Kind:  []string{"red", "green", "blue"}[i%3],
			Year:  float64(1900 + i),
		}
	}
	return pages
}

// pageMapping stores the body with term vectors and keeps kind as one term.
func pageMapping() *mapping.IndexMappingImpl {
	text := bleve.NewTextFieldMapping()
	text.Store, text.IncludeTermVectors = true, true
	kind := bleve.NewKeywordFieldMapping()
	m := bleve.NewIndexMapping()
	m.DefaultMapping.AddFieldMappingsAt("body", text)
	m.DefaultMapping.AddFieldMappingsAt("title", text)
	m.DefaultMapping.AddFieldMappingsAt("kind", kind)
	m.DefaultMapping.AddFieldMappingsAt("year", bleve.NewNumericFieldMapping())
	return m
}

func toyOptions() parebleve.Options {
	options := parebleve.DefaultOptions(toy, "body")
	return options
}

// create makes an index of pages, in batches of 100.
func create(t testing.TB, pages map[string]page, options parebleve.Options) *parebleve.Index {
	t.Helper()
	idx, err := parebleve.New(filepath.Join(t.TempDir(), "pages.bleve"), pageMapping(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { idx.Close() })
	add(t, idx, pages)
	return idx
}

func add(t testing.TB, idx *parebleve.Index, pages map[string]page) {
	t.Helper()
	batch := idx.NewBatch()
	flush := func() {
		if err := idx.Batch(batch); err != nil {
			t.Fatal(err)
		}
		batch.Reset()
	}
	for _, id := range slices.Sorted(maps.Keys(pages)) {
		if err := batch.Index(id, pages[id]); err != nil {
			t.Fatal(err)
		}
		if batch.Size() == 100 {
			flush()
		}
	}
	flush()
}

// find executes a search request.
func find(t testing.TB, idx bleve.Index, req *bleve.SearchRequest) *bleve.SearchResult {
	t.Helper()
	result, err := idx.SearchInContext(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// ids lists the hits of a result.
func ids(result *bleve.SearchResult) []string {
	var list []string
	for _, hit := range result.Hits {
		list = append(list, hit.ID)
	}
	return list
}

// maxSim is the sum of the best dot products, by plain loops.
func maxSim(t testing.TB, query, text string) float64 {
	t.Helper()
	q, err := toy.EncodeQuery(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	d, err := toy.EncodeQuery(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	for i := range q.Vectors.Rows {
		best := 0.0
		for j := range d.Vectors.Rows {
			var dot float64
			for k := range toyDim {
				dot += float64(q.Vectors.Row(i)[k]) * float64(d.Vectors.Row(j)[k])
			}
			if j == 0 || dot > best {
				best = dot
			}
		}
		sum += best
	}
	return sum
}

// check ends the test on an error.
func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// constant is an encoder of any width.
type constant struct{ width int }

func (c constant) Dim() int { return c.width }

func (c constant) EncodeQuery(context.Context, string) (encoder.Tokens, error) {
	return encoder.Tokens{Vectors: simd.NewMatrix(1, c.width)}, nil
}

func (c constant) EncodeDocuments(ctx context.Context, texts []string) ([]encoder.Tokens, error) {
	out := make([]encoder.Tokens, len(texts))
	for i := range out {
		out[i], _ = c.EncodeQuery(ctx, texts[i])
	}
	return out, nil
}
