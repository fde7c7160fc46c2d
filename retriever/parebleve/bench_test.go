package parebleve_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/index/scorch"
	"github.com/blevesearch/bleve/v2/search"
	"github.com/blevesearch/bleve/v2/search/query"
	bleveindex "github.com/blevesearch/bleve_index_api"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/encoder/corpus"
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
	*corpus.Encoder
	tokens map[string]encoder.Tokens
}

func (r remembering) EncodeQuery(_ context.Context, text string) (encoder.Tokens, error) {
	return r.tokens["?"+text], nil
}

func (r remembering) EncodeDocuments(_ context.Context, texts []string) ([]encoder.Tokens, error) {
	out := make([]encoder.Tokens, len(texts))
	for i, text := range texts {
		out[i] = r.tokens[text]
	}
	return out, nil
}

// bench is what the benchmarks work on: the same documents in an index that is
// bleve's alone and in one with vectors.
type bench struct {
	ids, texts, queries []string
	encoder             remembering
	codebook            *codec.Codebook
	plain               bleve.Index
	vectors             *parebleve.Index

	plainTime, vectorTime   time.Duration // to index all
	plainBytes, vectorBytes int64
}

var (
	benchOnce sync.Once
	benchData *bench
)

// openBench builds the indexes, once per process.
func openBench(b *testing.B) *bench {
	b.Helper()
	dir := collections.Dir(b)
	benchOnce.Do(func() {
		c, err := dataset.Open(filepath.Join(dir, "docs30k"))
		check(b, err)
		d := &bench{}
		for document, err := range c.Documents() {
			check(b, err)
			d.ids, d.texts = append(d.ids, document.ID), append(d.texts, document.Body())
		}
		for _, q := range c.Judged() {
			d.queries = append(d.queries, q.Text)
		}
		d.encode(b)
		d.build(b, b.TempDir())
		benchData = d
	})
	if benchData == nil {
		b.Skip("the indexes could not be built")
	}
	return benchData
}

// encode trains the encoder and encodes everything.
func (d *bench) encode(b *testing.B) {
	enc, err := corpus.Train(b.Context(), func(yield func(string, error) bool) {
		for _, text := range d.texts {
			if !yield(text, nil) {
				return
			}
		}
	}, corpus.DefaultOptions(), nil)
	check(b, err)
	d.encoder = remembering{enc, make(map[string]encoder.Tokens)}
	tokens, err := enc.EncodeDocuments(b.Context(), d.texts)
	check(b, err)
	sample := simd.Matrix{Dim: enc.Dim()}
	var tokenIDs []uint32
	total := 0
	for i, t := range tokens {
		d.encoder.tokens[d.texts[i]] = t
		total += t.Vectors.Rows
		if i%4 == 0 {
			sample.Data = append(sample.Data, t.Vectors.Data...)
			sample.Rows += t.Vectors.Rows
			tokenIDs = append(tokenIDs, t.IDs...)
		}
	}
	for _, text := range d.queries {
		t, err := enc.EncodeQuery(b.Context(), text)
		check(b, err)
		d.encoder.tokens["?"+text] = t
	}
	options := codec.DefaultOptions()
	options.Kind = benchKind
	options.Total = total
	d.codebook, err = codec.Train(b.Context(), sample, tokenIDs, options, nil)
	check(b, err)
}

const benchKind = codec.Residual2

// build indexes the documents without and with vectors.
func (d *bench) build(b *testing.B, dir string) {
	m := bleve.NewIndexMapping()
	m.ScoringModel = bleveindex.BM25Scoring
	fill := func(idx bleve.Index) time.Duration {
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
	settle := func(idx bleve.Index) {
		advanced, err := idx.Advanced()
		check(b, err)
		check(b, advanced.(*scorch.Scorch).ForceMerge(b.Context(), nil))
	}
	path := filepath.Join(dir, "plain.bleve")
	var err error
	d.plain, err = bleve.New(path, m)
	check(b, err)
	d.plainTime = fill(d.plain)
	settle(d.plain)
	d.plainBytes = bytesOf(b, d.plain, path)

	options := parebleve.DefaultOptions(d.encoder, "body")
	options.Codebook = d.codebook
	path = filepath.Join(dir, "vectors.bleve")
	d.vectors, err = parebleve.New(path, m, options)
	check(b, err)
	d.vectorTime = fill(d.vectors)
	settle(d.vectors)
	d.vectorBytes = bytesOf(b, d.vectors, path)
}

// bytesOf is the size of an index on disk: its segments and its codebooks.
// Segments that were merged away are not counted, though bleve may not have
// deleted them yet.
func bytesOf(b *testing.B, idx bleve.Index, dir string) int64 {
	advanced, err := idx.Advanced()
	check(b, err)
	reader, err := advanced.Reader()
	check(b, err)
	defer reader.Close()
	var size int64
	for _, seg := range reader.(*scorch.IndexSnapshot).Segments() {
		size += seg.FileSize()
	}
	books, err := filepath.Glob(filepath.Join(dir, "pare", "*"))
	check(b, err)
	for _, file := range books {
		info, err := os.Stat(file)
		check(b, err)
		size += info.Size()
	}
	return size
}

// BenchmarkBleve measures this package against bleve's own work on the same
// documents in the same process.
func BenchmarkBleve(b *testing.B) {
	d := openBench(b)
	run := func(name string, build func(text string) query.Query, report func(b *testing.B)) {
		b.Run(name, func(b *testing.B) {
			idx := bleve.Index(d.vectors)
			if name == "bm25" {
				idx = d.plain
			}
			var times []time.Duration
			for i := 0; b.Loop(); i++ {
				start := time.Now()
				_, err := idx.Search(bleve.NewSearchRequest(build(d.queries[i%len(d.queries)])))
				times = append(times, time.Since(start))
				check(b, err)
			}
			slices.Sort(times)
			b.ReportMetric(float64(times[len(times)/2].Microseconds()), "p50-µs")
			if report != nil {
				report(b)
			}
		})
	}
	run("bm25", func(text string) query.Query {
		q := bleve.NewMatchQuery(text)
		q.SetField("body")
		return q
	}, func(b *testing.B) {
		b.ReportMetric(float64(d.plainBytes)/float64(len(d.ids)), "bytes/doc")
		b.ReportMetric(float64(d.plainTime.Microseconds())/float64(len(d.ids)), "indexing-µs/doc")
	})
	for _, setting := range []struct {
		name   string
		search index.SearchOptions
	}{
		{"exhaustive", index.SearchOptions{Plan: index.Exhaustive, Neighbors: 1}},
		{"default", parebleve.DefaultOptions(nil).Search},
		{"budget1000", index.SearchOptions{Plan: index.Probe, Neighbors: 1, Budget: 1000, MarginShare: 1}},
		{"budget2000-depth512", index.SearchOptions{Plan: index.Probe, Neighbors: 1, Budget: 2000, MarginShare: 1, Depth: 512}},
		{"budget1000-depth256", index.SearchOptions{Plan: index.Probe, Neighbors: 1, Budget: 1000, MarginShare: 1, Depth: 256}},
	} {
		build := func(text string) query.Query {
			q := parebleve.NewQuery("body", text)
			q.SetSearch(setting.search)
			return q
		}
		run(setting.name, build, func(b *testing.B) {
			b.ReportMetric(d.recall(b, build), "recall@10")
			b.ReportMetric(float64(d.vectorBytes-d.plainBytes)/float64(len(d.ids)), "bytes/doc")
			b.ReportMetric(float64((d.vectorTime-d.plainTime).Microseconds())/float64(len(d.ids)), "indexing-µs/doc")
		})
	}
}

// recall is the share of the ten best of exhaustive MaxSim that a query finds,
// on the first queries.
func (d *bench) recall(b *testing.B, build func(string) query.Query) float64 {
	found, wanted := 0, 0
	for _, text := range d.queries[:50] {
		exact := parebleve.NewQuery("body", text)
		exact.SetSearch(index.SearchOptions{Plan: index.Exhaustive, Neighbors: 1})
		want, err := d.vectors.Search(bleve.NewSearchRequest(exact))
		check(b, err)
		got, err := d.vectors.Search(bleve.NewSearchRequest(build(text)))
		check(b, err)
		for _, hit := range want.Hits {
			wanted++
			if slices.ContainsFunc(got.Hits, func(h *search.DocumentMatch) bool { return h.ID == hit.ID }) {
				found++
			}
		}
	}
	return float64(found) / float64(wanted)
}
