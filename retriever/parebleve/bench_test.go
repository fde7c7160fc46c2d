package parebleve_test

import (
	"context"
	"fmt"
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
	took  time.Duration // to index all
	bytes int64

	variants map[string]*variant
}

// variant is an index with vectors of one form.
type variant struct {
	index *parebleve.Index
	took  time.Duration
	bytes int64
}

var (
	benchOnce sync.Once
	benchData *bench
)

// openBench reads and encodes the passages, once per process.
func openBench(b *testing.B) *bench {
	b.Helper()
	dir := collections.Dir(b)
	benchOnce.Do(func() {
		c, err := dataset.Open(filepath.Join(dir, "docs30k"))
		check(b, err)
		folder, err := os.MkdirTemp("", "parebleve")
		check(b, err)
		d := &bench{dir: folder, collection: c, queries: c.Judged(), variants: make(map[string]*variant)}
		for document, err := range c.Documents() {
			check(b, err)
			d.ids, d.texts = append(d.ids, document.ID), append(d.texts, document.Body())
		}
		d.encode(b)
		d.plain, err = bleve.New(filepath.Join(folder, "plain.bleve"), benchMapping())
		check(b, err)
		d.took = d.fill(b, d.plain)
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

// fill indexes the documents and returns how long it took.
func (d *bench) fill(b *testing.B, idx bleve.Index) time.Duration {
	start := time.Now()
	for at := 0; at < len(d.ids); at += 1000 {
		batch := idx.NewBatch()
		for i := at; i < min(at+1000, len(d.ids)); i++ {
			check(b, batch.Index(d.ids[i], map[string]any{"body": d.texts[i]}))
		}
		check(b, idx.Batch(batch))
	}
	return time.Since(start)
}

// variant returns an index with vectors of one kind, built once, with so many bytes
// of codes if it is banded.
func (d *bench) variant(b *testing.B, kind codec.Kind, codeBytes float64) *variant {
	name := fmt.Sprintf("%v-%v", kind, codeBytes)
	if v, ok := d.variants[name]; ok {
		return v
	}
	sample := simd.Matrix{Dim: d.encoder.dim}
	var tokenIDs []uint32
	total := 0
	for i, text := range d.texts {
		t := d.encoder.documents[text]
		total += t.Vectors.Rows
		if i%4 == 0 {
			sample.Data = append(sample.Data, t.Vectors.Data...)
			sample.Rows += t.Vectors.Rows
			tokenIDs = append(tokenIDs, t.IDs...)
		}
	}
	options := parebleve.DefaultOptions(d.encoder, "body")
	options.Codec.Kind, options.Codec.CodeBytes, options.Codec.Total = kind, codeBytes, total
	var err error
	options.Codebook, err = codec.Train(b.Context(), sample, tokenIDs, options.Codec, nil)
	check(b, err)
	path := filepath.Join(d.dir, name+".bleve")
	v := &variant{}
	v.index, err = parebleve.New(path, benchMapping(), options)
	check(b, err)
	v.took = d.fill(b, v.index)
	v.bytes = settledBytes(b, v.index, filepath.Join(path, "pare"))
	d.variants[name] = v
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

func budget(postings, depth int) index.SearchOptions {
	options := index.DefaultSearchOptions()
	options.Budget, options.Depth = postings, depth
	return options
}

func (s searching) query(text string) query.Query {
	q := parebleve.NewQuery("body", text)
	q.SetSearch(s.options)
	return q
}

// BenchmarkBleve measures this package against bleve's own work on the same
// documents in the same process: searches, bytes, time to index.
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
		b.ReportMetric(float64(d.took.Microseconds())/documents, "indexing-µs/doc")
		b.ReportMetric(d.ndcg(b, d.plain, words), "nDCG@10")
	})
	for _, form := range []struct {
		kind      codec.Kind
		codeBytes float64
	}{{codec.Residual2, 0}, {codec.Residual1, 0}, {codec.Banded, 12}} {
		for _, s := range []searching{
			{"exhaustive", exhaustive()},
			{"default", index.DefaultSearchOptions()},
			{"budget-2000-depth-128", budget(2000, 128)},
		} {
			b.Run(fmt.Sprintf("%v-%v-%s", form.kind, form.codeBytes, s.name), func(b *testing.B) {
				v := d.variant(b, form.kind, form.codeBytes)
				d.run(b, v.index, s.query)
				b.ReportMetric(d.recall(b, v, s), "recall@10")
				b.ReportMetric(d.ndcg(b, v.index, s.query), "nDCG@10")
				b.ReportMetric(float64(v.bytes-d.bytes)/documents, "bytes/doc")
				b.ReportMetric(float64((v.took-d.took).Microseconds())/documents, "indexing-µs/doc")
			})
		}
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
