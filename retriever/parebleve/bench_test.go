package parebleve_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/index/scorch"
	"github.com/blevesearch/bleve/v2/mapping"
	"github.com/blevesearch/bleve/v2/search"
	"github.com/blevesearch/bleve/v2/search/query"
	bleveindex "github.com/blevesearch/bleve_index_api"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/encoder/corpus"
	"github.com/pare-search/pare/eval"
	"github.com/pare-search/pare/eval/dataset"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/index/docpruner"
	"github.com/pare-search/pare/internal/collections"
	"github.com/pare-search/pare/retriever/parebleve"
	"github.com/pare-search/pare/simd"
)

// remembering is an encoder that has encoded everything before, so that what
// is measured is not the encoder.
type remembering struct {
	dim                int
	queries, documents map[string]encoder.Tokens
}

func (r remembering) Dim() int { return r.dim }

func (r remembering) EncodeQuery(_ context.Context, text string) (encoder.Tokens, error) {
	return r.queries[text], nil
}

func (r remembering) EncodeDocuments(_ context.Context, texts []string) ([]encoder.Tokens, error) {
	out := make([]encoder.Tokens, len(texts))
	for i, text := range texts {
		out[i] = r.documents[text]
	}
	return out, nil
}

// bench is what the benchmarks work on: 30,000 passages, and bleve's own index
// of them.
type bench struct {
	dir        string
	collection *dataset.Collection
	ids, texts []string
	queries    []dataset.Query
	corpus     *corpus.Encoder
	encoder    remembering

	plain bleve.Index
	bytes int64

	variants map[form]*variant
}

// form says what is stored of vectors: their kind, if they are banded with how
// many bytes of codes, and of documents what a pruner leaves.
type form struct {
	kind      codec.Kind
	codeBytes float64
	prune     string
}

func (f form) String() string {
	if f.kind == codec.Banded {
		return fmt.Sprintf("%v%v-%s", f.kind, f.codeBytes, f.prune)
	}
	return fmt.Sprintf("%v-%s", f.kind, f.prune)
}

// variant is an index with vectors of one form.
type variant struct {
	index *parebleve.Index
	bytes int64
}

var (
	benchOnce sync.Once
	benchData *bench
)

// TestMain removes what the benchmarks have made.
func TestMain(m *testing.M) {
	code := m.Run()
	if benchData != nil {
		os.RemoveAll(benchData.dir)
	}
	os.Exit(code)
}

// openBench reads and encodes the passages, once per process.
func openBench(b *testing.B) *bench {
	b.Helper()
	dir := collections.Dir(b)
	benchOnce.Do(func() {
		c, err := dataset.Open(filepath.Join(dir, "docs30k"))
		check(b, err)
		folder, err := os.MkdirTemp("", "parebleve")
		check(b, err)
		d := &bench{dir: folder, collection: c, queries: c.Judged(), variants: make(map[form]*variant)}
		for document, err := range c.Documents() {
			check(b, err)
			d.ids, d.texts = append(d.ids, document.ID), append(d.texts, document.Body())
		}
		d.encode(b)
		d.plain, err = bleve.New(filepath.Join(folder, "plain.bleve"), benchMapping())
		check(b, err)
		fill(b, d.plain, d.ids, d.texts)
		d.bytes = settledBytes(b, d.plain, "")
		benchData = d
	})
	if benchData == nil {
		b.Skip("the passages could not be indexed")
	}
	return benchData
}

// benchMapping stores texts and term vectors, which highlighting needs.
func benchMapping() mapping.IndexMapping {
	body := bleve.NewTextFieldMapping()
	body.DocValues, body.IncludeInAll = false, false
	m := bleve.NewIndexMapping()
	m.ScoringModel = bleveindex.BM25Scoring
	m.DefaultMapping.AddFieldMappingsAt("body", body)
	return m
}

// encode trains the encoder and encodes everything.
func (d *bench) encode(b *testing.B) {
	var err error
	d.corpus, err = corpus.Train(b.Context(), func(yield func(string, error) bool) {
		for _, text := range d.texts {
			if !yield(text, nil) {
				return
			}
		}
	}, corpus.DefaultOptions(), nil)
	check(b, err)
	d.encoder = remembering{d.corpus.Dim(), make(map[string]encoder.Tokens), make(map[string]encoder.Tokens)}
	tokens, err := d.corpus.EncodeDocuments(b.Context(), d.texts)
	check(b, err)
	for i, t := range tokens {
		d.encoder.documents[d.texts[i]] = t
	}
	for _, q := range d.queries {
		d.encoder.queries[q.Text], err = d.corpus.EncodeQuery(b.Context(), q.Text)
		check(b, err)
	}
}

// fill indexes documents and returns how long it took.
func fill(b *testing.B, idx bleve.Index, ids, texts []string) time.Duration {
	start := time.Now()
	for at := 0; at < len(ids); at += 1000 {
		batch := idx.NewBatch()
		for i := at; i < min(at+1000, len(ids)); i++ {
			check(b, batch.Index(ids[i], map[string]any{"body": texts[i]}))
		}
		check(b, idx.Batch(batch))
	}
	return time.Since(start)
}

// options are those of an index with vectors of one form.
func (d *bench) options(b *testing.B, f form) parebleve.Options {
	options := parebleve.DefaultOptions(d.encoder, "body")
	pruner, err := docpruner.Parse(f.prune)
	check(b, err)
	options.DocumentPruner, err = pruner.Fit(b.Context(), func(yield func(encoder.Tokens, error) bool) {
		for _, text := range d.texts {
			if !yield(d.encoder.documents[text], nil) {
				return
			}
		}
	}, docpruner.DefaultFitOptions())
	check(b, err)
	sample := simd.Matrix{Dim: d.encoder.dim}
	var tokenIDs []uint32
	const every = 4
	for i := 0; i < len(d.texts); i += every {
		t, err := options.DocumentPruner.Prune(d.encoder.documents[d.texts[i]])
		check(b, err)
		sample.Data = append(sample.Data, t.Vectors.Data...)
		sample.Rows += t.Vectors.Rows
		tokenIDs = append(tokenIDs, t.IDs...)
	}
	options.Codec.Kind, options.Codec.CodeBytes, options.Codec.Total = f.kind, f.codeBytes, every*sample.Rows
	options.Codebook, err = codec.Train(b.Context(), sample, tokenIDs, options.Codec, nil)
	check(b, err)
	return options
}

// variant returns an index with vectors of one form, built once.
func (d *bench) variant(b *testing.B, f form) *variant {
	if v, ok := d.variants[f]; ok {
		return v
	}
	path := filepath.Join(d.dir, f.String()+".bleve")
	v := &variant{}
	var err error
	v.index, err = parebleve.New(path, benchMapping(), d.options(b, f))
	check(b, err)
	fill(b, v.index, d.ids, d.texts)
	v.bytes = settledBytes(b, v.index, filepath.Join(path, "pare"))
	d.variants[f] = v
	return v
}

// settledBytes merges an index to one segment and returns its size on disk,
// with that of the files in a folder of codebooks.
func settledBytes(b *testing.B, idx bleve.Index, books string) int64 {
	advanced, err := idx.Advanced()
	check(b, err)
	check(b, advanced.(*scorch.Scorch).ForceMerge(b.Context(), nil))
	reader, err := advanced.Reader()
	check(b, err)
	defer reader.Close()
	var size int64
	for _, seg := range reader.(*scorch.IndexSnapshot).Segments() {
		size += seg.FileSize()
	}
	files, err := filepath.Glob(filepath.Join(books, "codebook-*"))
	check(b, err)
	for _, file := range files {
		info, err := os.Stat(file)
		check(b, err)
		size += info.Size()
	}
	return size
}

// run searches for all queries in turn and reports the median over queries of
// the best time that each took: on a busy machine the others are about it.
func (d *bench) run(b *testing.B, idx bleve.Index, build func(text string) query.Query) {
	best := make([]time.Duration, len(d.queries))
	for i := 0; b.Loop(); i++ {
		at := i % len(d.queries)
		request := bleve.NewSearchRequest(build(d.queries[at].Text))
		start := time.Now()
		_, err := idx.Search(request)
		took := time.Since(start)
		check(b, err)
		if best[at] == 0 || took < best[at] {
			best[at] = took
		}
	}
	best = slices.DeleteFunc(best, func(took time.Duration) bool { return took == 0 })
	slices.Sort(best)
	b.ReportMetric(float64(best[len(best)/2].Microseconds()), "p50-µs")
}

// searching is a setting of a Query.
type searching struct {
	name    string
	options index.SearchOptions
}

func exhaustive() index.SearchOptions { return index.ExhaustiveSearch(10) }

func (s searching) query(text string) query.Query {
	q := parebleve.NewQuery("body", text)
	q.SetSearch(s.options)
	return q
}

// pruned is a pruner of documents: without the vectors of the 100 token ids in the
// most documents.
const pruned = "idf:100"

// BenchmarkBleve measures this package against bleve's own work on the same
// documents in the same process: searches and bytes.
//
//	go test -run '^$' -bench Bleve -benchtime 2000x ./retriever/parebleve
func BenchmarkBleve(b *testing.B) {
	d := openBench(b)
	documents := float64(len(d.ids))
	b.Run("bm25", func(b *testing.B) {
		words := func(text string) query.Query {
			q := bleve.NewMatchQuery(text)
			q.SetField("body")
			return q
		}
		d.run(b, d.plain, words)
		b.ReportMetric(float64(d.bytes)/documents, "bytes/doc")
		b.ReportMetric(d.ndcg(b, d.plain, words), "nDCG@10")
	})
	for _, f := range []form{
		{codec.Int8, 0, "none"},
		{codec.Residual2, 0, "none"},
		{codec.Banded, 20, "none"},
		{codec.Banded, 12, "none"},
		{codec.Banded, 20, pruned},
	} {
		for _, s := range []searching{
			{"exhaustive", exhaustive()},
			{"default", index.DefaultSearchOptions()},
		} {
			b.Run(f.String()+"-"+s.name, func(b *testing.B) {
				v := d.variant(b, f)
				d.run(b, v.index, s.query)
				b.ReportMetric(d.recall(b, v, s), "recall@10")
				b.ReportMetric(d.ndcg(b, v.index, s.query), "nDCG@10")
				b.ReportMetric(float64(v.bytes-d.bytes)/documents, "bytes/doc")
			})
		}
	}
}

// BenchmarkIndexing measures what vectors add to the time that bleve takes to
// index passages, encoding excluded: the best of three times of each.
//
//	go test -run '^$' -bench Indexing -benchtime 1x ./retriever/parebleve
func BenchmarkIndexing(b *testing.B) {
	d := openBench(b)
	ids, texts := d.ids[:10000], d.texts[:10000]
	forms := []form{{codec.Residual2, 0, "none"}, {codec.Banded, 12, "none"}, {codec.Banded, 20, pruned}}
	var options []parebleve.Options
	for _, f := range forms {
		options = append(options, d.options(b, f))
	}
	plain, best := time.Duration(math.MaxInt64), slices.Repeat([]time.Duration{math.MaxInt64}, len(forms))
	for range 3 {
		idx, err := bleve.New(filepath.Join(b.TempDir(), "plain.bleve"), benchMapping())
		check(b, err)
		plain = min(plain, fill(b, idx, ids, texts))
		check(b, idx.Close())
		for i, o := range options {
			idx, err := parebleve.New(filepath.Join(b.TempDir(), "vectors.bleve"), benchMapping(), o)
			check(b, err)
			best[i] = min(best[i], fill(b, idx, ids, texts))
			check(b, idx.Close())
		}
	}
	for b.Loop() {
	}
	b.ReportMetric(float64(plain.Microseconds())/float64(len(ids)), "µs/doc")
	for i, f := range forms {
		b.ReportMetric(float64(best[i]-plain)/float64(plain), "share-"+f.String())
	}
}

// ndcg is the quality of an index's answers.
func (d *bench) ndcg(b *testing.B, idx bleve.Index, build func(text string) query.Query) float64 {
	measure, err := eval.ParseMeasure("nDCG@10")
	check(b, err)
	run := eval.Run{Results: make(map[string][]eval.Result)}
	for _, q := range d.queries {
		for _, hit := range find(b, idx, bleve.NewSearchRequest(build(q.Text))).Hits {
			run.Results[q.ID] = append(run.Results[q.ID], eval.Result{ID: hit.ID, Score: hit.Score})
		}
	}
	mean, _ := eval.Evaluate(d.collection.Qrels, run, []eval.Measure{measure}).Mean(measure)
	return mean
}

// recall is the share of the ten best of exhaustive search that a search finds,
// on the first queries.
func (d *bench) recall(b *testing.B, v *variant, s searching) float64 {
	found, wanted := 0, 0
	for _, q := range d.queries[:50] {
		want := find(b, v.index, bleve.NewSearchRequest(searching{"", exhaustive()}.query(q.Text)))
		got := find(b, v.index, bleve.NewSearchRequest(s.query(q.Text)))
		for _, hit := range want.Hits {
			wanted++
			if slices.ContainsFunc(got.Hits, func(h *search.DocumentMatch) bool { return h.ID == hit.ID }) {
				found++
			}
		}
	}
	return float64(found) / float64(wanted)
}
