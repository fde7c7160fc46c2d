package retriever_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/internal/collections"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/retriever"
	"github.com/pare-search/pare/simd"
)

// orchard is a small collection. One document is empty.
var orchard = []retriever.Document{
	{ID: "quince", Text: "Prune quince trees in winter, when the leaves have fallen."},
	{ID: "plum", Text: "Plums bear on old wood. Never prune a plum tree in winter: silver leaf enters the wounds."},
	{ID: "apple", Text: "An apple tree on a weak rootstock needs a stake for all its life."},
	{ID: "graft", Text: "Graft the scion on the rootstock in spring, and bind it with bast."},
	{ID: "nothing", Text: ""},
	{ID: "wasps", Text: "Wasps empty ripe plums from within. Hang bottles of syrup between the branches."},
	{ID: "ladder", Text: "Lean the ladder against a strong branch; three legs stand safer than four on uneven ground."},
	{ID: "cider", Text: "Cider wants sour apples, bitter apples and sweet apples in equal parts."},
}

// buildOptions are the default options for few texts.
func buildOptions(kind codec.Kind) retriever.BuildOptions {
	options := retriever.DefaultBuildOptions()
	options.Corpus.MinDocumentFrequency = 1
	options.Index.Codec.Kind = kind
	return options
}

// build builds an index and opens it.
func build(t testing.TB, documents []retriever.Document, options retriever.BuildOptions) *retriever.Retriever {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "index")
	if err := retriever.Build(t.Context(), dir, retriever.Documents(documents...), options); err != nil {
		t.Fatal(err)
	}
	if err := index.Verify(dir); err != nil {
		t.Fatal(err)
	}
	return open(t, dir, options.Encoder)
}

// open opens an index, with an encoder unless it is nil.
func open(t testing.TB, dir string, enc encoder.Encoder) *retriever.Retriever {
	t.Helper()
	var r *retriever.Retriever
	var err error
	if enc == nil {
		r, err = retriever.Open(dir)
	} else {
		var snapshot *index.Snapshot
		if snapshot, err = index.Open(dir); err == nil {
			r, err = retriever.New(snapshot, enc)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// search searches and fails the test on an error.
func search(t testing.TB, r *retriever.Retriever, query string, options retriever.Options) retriever.Results {
	t.Helper()
	results, err := r.Search(t.Context(), query, options)
	if err != nil {
		t.Fatalf("%q: %v", query, err)
	}
	return results
}

// exhaustive scores every document with the whole query.
func exhaustive(k int) retriever.Options {
	options := retriever.Options{Search: index.DefaultSearchOptions()}
	options.Search.Plan, options.Search.K = index.Exhaustive, k
	return options
}

// probing finds candidates with the rows that the pruner keeps.
func probing(t testing.TB, pruner string, k, neighbors int) retriever.Options {
	t.Helper()
	options := exhaustive(k)
	options.Search.Plan, options.Search.Neighbors = index.Probe, neighbors
	var err error
	if options.Pruner, err = querypruner.Parse(pruner); err != nil {
		t.Fatal(err)
	}
	return options
}

// toy is an encoder of 16 dimensions for words between spaces: a word has the
// same random direction everywhere, and a third as much of the place's own.
var toy = encoder.Func{Width: 16, Encode: func(_ context.Context, text string, _ bool) (encoder.Tokens, error) {
	var tokens encoder.Tokens
	for at := 0; at < len(text); {
		word, _, _ := strings.Cut(text[at:], " ")
		if word != "" {
			tokens.IDs = append(tokens.IDs, uint32(hash(word)%1000))
			tokens.Spans = append(tokens.Spans, encoder.Span{Start: at, End: at + len(word)})
		}
		at += len(word) + 1
	}
	tokens.Vectors = simd.NewMatrix(len(tokens.Spans), 16)
	for i, span := range tokens.Spans {
		own := rand.New(rand.NewPCG(hash(span.In(text)), 0))
		place := rand.New(rand.NewPCG(hash(text), uint64(i)))
		for d := range 16 {
			tokens.Vectors.Row(i)[d] = float32(own.NormFloat64() + place.NormFloat64()/3)
		}
	}
	tokens.Vectors.Normalize()
	return tokens, nil
}}

func hash(text string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(text))
	return h.Sum64()
}

// babble makes documents of random words out of a vocabulary.
func babble(documents, words int) []retriever.Document {
	random := rand.New(rand.NewPCG(uint64(documents), uint64(words)))
	out := make([]retriever.Document, documents)
	for i := range out {
		var b strings.Builder
		for range 5 + random.IntN(40) {
			fmt.Fprintf(&b, "w%d ", random.IntN(1+random.IntN(words)))
		}
		out[i] = retriever.Document{ID: fmt.Sprintf("d%04d", i), Text: strings.TrimSpace(b.String())}
	}
	return out
}

// cranfield reads the documents and queries of the Cranfield collection, or
// skips the test where it is absent.
func cranfield(t testing.TB) (documents []retriever.Document, queries []string) {
	t.Helper()
	dir := filepath.Join(collections.Dir(t), "cranfield")
	read := func(name string, use func(id, title, text string)) {
		file, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Skip(err)
		}
		defer file.Close()
		lines := bufio.NewScanner(file)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var line struct {
				ID          string `json:"_id"`
				Title, Text string
			}
			if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
				t.Fatal(err)
			}
			use(line.ID, line.Title, line.Text)
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
	}
	read("corpus.jsonl", func(id, title, text string) {
		documents = append(documents, retriever.Document{ID: id, Text: strings.TrimSpace(title + " " + text)})
	})
	read("queries.jsonl", func(_, _, text string) { queries = append(queries, text) })
	return documents, queries
}
