package index

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/simd"
)

func benchmarkDocuments(n int) []Document {
	rng := rand.New(rand.NewPCG(1, 14))
	documents := make([]Document, n)
	for i := range documents {
		documents[i] = Document{ID: fmt.Sprint(i), Tokens: randomTokens(rng, 60, 64, true)}
	}
	return documents
}

func BenchmarkSearch(b *testing.B) {
	documents := benchmarkDocuments(1000)
	rng := rand.New(rand.NewPCG(1, 15))
	query := simd.PackQuery(randomTokens(rng, 32, 64, true).Vectors)
	for _, kind := range []codec.Kind{codec.Residual2, codec.Float32} {
		options := DefaultOptions(64)
		options.Codec.Kind = kind
		s := open(b, build(b, options, documents))
		for _, plan := range []Plan{Exhaustive, Probe} {
			b.Run(fmt.Sprintf("%v/%v", kind, plan), func(b *testing.B) {
				searcher := NewSearcher(s)
				selection := querypruner.Selection{Probe: []int{0, 8, 16, 24}}
				search := SearchOptions{K: 10, Plan: plan, Neighbors: 100}
				var work Stats
				for b.Loop() {
					_, stats, err := searcher.Search(b.Context(), query, selection, search)
					check(b, err)
					work.DocumentsScored += stats.DocumentsScored
					work.TokenPairs += stats.TokenPairs
				}
				b.ReportMetric(float64(work.DocumentsScored)/b.Elapsed().Seconds(), "docs/s")
				b.ReportMetric(float64(work.TokenPairs)/1e6/b.Elapsed().Seconds(), "Mpair/s")
			})
		}
	}
}

func BenchmarkAdd(b *testing.B) {
	documents := benchmarkDocuments(500)
	tokens := 0
	sample := simd.Matrix{Dim: 64}
	for _, d := range documents {
		tokens += d.Tokens.Vectors.Rows
		sample.Data = append(sample.Data, d.Tokens.Vectors.Data...)
	}
	sample.Rows = tokens
	codebook := must[*codec.Codebook](b)(codec.Train(b.Context(), sample, nil, codec.DefaultOptions(), nil))
	folder := b.TempDir()
	for i := 0; b.Loop(); i++ {
		w := must[*Writer](b)(Create(filepath.Join(folder, fmt.Sprint(i)), DefaultOptions(64), CreateOptions{Codebook: codebook}))
		check(b, w.Add(b.Context(), documents...))
		check(b, w.Commit(b.Context()))
		check(b, w.Close())
	}
	b.ReportMetric(float64(tokens)*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
}
