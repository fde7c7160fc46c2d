package index

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

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

// BenchmarkSearch reports the time of each stage beside that of a search.
func BenchmarkSearch(b *testing.B) {
	documents := benchmarkDocuments(1000)
	rng := rand.New(rand.NewPCG(1, 15))
	query := simd.PackQuery(randomTokens(rng, 32, 64, true).Vectors)
	for _, kind := range []codec.Kind{codec.Residual1, codec.Residual2, codec.Residual4, codec.Int8, codec.Float32} {
		options := DefaultOptions(64)
		options.Codec.Kind, options.Refine = kind, true
		s := open(b, build(b, options, documents))
		for _, plan := range []Plan{Exhaustive, Interaction, Probe} {
			b.Run(fmt.Sprintf("%v/%v", kind, plan), func(b *testing.B) {
				searcher := NewSearcher(s)
				search := SearchOptions{K: 10, Plan: plan, Budget: 800, MarginShare: 0.5, RarityPower: 1, RankPower: 0.5, Depth: 128, Refine: 32, Times: true}
				var sum Stats
				for b.Loop() {
					_, stats, err := searcher.Search(b.Context(), query, querypruner.Selection{}, search)
					check(b, err)
					sum.DocumentsScored += stats.DocumentsScored
					sum.TokenPairs += stats.TokenPairs
					sum.ScanTime += stats.ScanTime
					sum.ProbeTime += stats.ProbeTime
					sum.RankTime += stats.RankTime
					sum.ScoreTime += stats.ScoreTime
					sum.RefineTime += stats.RefineTime
				}
				for name, stage := range map[string]time.Duration{
					"scan": sum.ScanTime, "probe": sum.ProbeTime, "rank": sum.RankTime, "score": sum.ScoreTime, "refine": sum.RefineTime,
				} {
					b.ReportMetric(float64(stage.Microseconds())/float64(b.N), name+"-us/op")
				}
				b.ReportMetric(float64(sum.DocumentsScored)/b.Elapsed().Seconds(), "docs/s")
				b.ReportMetric(float64(sum.TokenPairs)/1e6/b.Elapsed().Seconds(), "Mpair/s")
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

// BenchmarkPayloads reports what it takes to look up the cells and the payloads of
// all documents, as a search does, in blocks that were checked before.
func BenchmarkPayloads(b *testing.B) {
	const n = 10_000
	rng := rand.New(rand.NewPCG(1, 16))
	documents := make([]Document, n)
	numbers := make([]uint32, n)
	for i := range documents {
		documents[i] = Document{ID: fmt.Sprint(i), Tokens: randomTokens(rng, 20, 16, true)}
		numbers[i] = uint32(i)
	}
	s := open(b, build(b, DefaultOptions(16), documents))
	b.Run("cells", func(b *testing.B) {
		var cells [][]byte
		for b.Loop() {
			for batch := range slices.Chunk(numbers, checkEvery) {
				cells = must[[][]byte](b)(s.AppendCells(cells[:0], batch))
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/document")
	})
	b.Run("payloads", func(b *testing.B) {
		var payloads []codec.Payload
		for b.Loop() {
			for batch := range slices.Chunk(numbers, checkEvery) {
				payloads = must[[]codec.Payload](b)(s.AppendPayloads(payloads[:0], batch))
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/document")
	})
}

// BenchmarkOpen reports how long opening takes, and opening with a first search,
// which checks the blocks that it reads.
func BenchmarkOpen(b *testing.B) {
	dir := build(b, DefaultOptions(64), benchmarkDocuments(3000))
	query := simd.PackQuery(randomTokens(rand.New(rand.NewPCG(1, 15)), 32, 64, true).Vectors)
	for _, searches := range []int{0, 1} {
		b.Run(fmt.Sprint(searches, "-searches"), func(b *testing.B) {
			for b.Loop() {
				s := must[*Snapshot](b)(Open(dir))
				for range searches {
					options := DefaultSearchOptions()
					options.Plan = Probe
					_, _, err := NewSearcher(s).Search(b.Context(), query, querypruner.Selection{}, options)
					check(b, err)
				}
				check(b, s.Close())
			}
		})
	}
}
