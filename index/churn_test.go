package index

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/internal/durable"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/simd"
)

// churn makes an index of n documents, changes it in so many random batches, each
// a commit, and returns its folder and that of one made afresh of the documents
// that it holds in the end.
func churn(t testing.TB, options Options, n, batches int) (churned, fresh folder) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 50))
	document := func() Document {
		id := fmt.Sprint("doc-", rng.IntN(2*n))
		return Document{ID: id, Tokens: randomTokens(rng, 3+rng.IntN(8), options.Dim, true), Text: fmt.Sprint("the text of ", id, rng.Uint64())}
	}
	now := make(map[string]Document)
	for len(now) < n {
		d := document()
		now[d.ID] = d
	}
	write := func() folder {
		f := folder{hasty{durable.OS}, filepath.Join(t.TempDir(), "index")}
		w := must[*Writer](t)(f.createIndex(options, CreateOptions{Bulk: true}))
		for _, id := range sortedKeys(now) {
			check(t, w.Add(t.Context(), now[id]))
		}
		check(t, w.Commit(t.Context()))
		check(t, w.Close())
		return f
	}
	churned = write()
	w := must[*Writer](t)(churned.openWriter())
	for range batches {
		batch := make(map[string]Document)
		for range 1 + rng.IntN(8) {
			d := document()
			batch[d.ID] = d
		}
		for _, id := range sortedKeys(batch) {
			check(t, w.Update(t.Context(), batch[id]))
			now[id] = batch[id]
		}
		ids := sortedKeys(now)
		for len(now) > n {
			id := ids[rng.IntN(len(ids))]
			delete(now, id)
			must[int](t)(w.Delete(id))
		}
		check(t, w.Commit(t.Context()))
	}
	check(t, w.Wait(t.Context()))
	check(t, w.Close())
	return churned, write()
}

func sortedKeys(m map[string]Document) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// TestChurn: after a thousand batches of changes an index takes at most 1.3 times
// the bytes, and its searches 1.3 times the work, of one made afresh.
func TestChurn(t *testing.T) {
	options := smallOptions(16, codec.Residual2)
	options.Codec.Cells = 200
	options.SegmentBytes = 1 << 20
	options.Merge = DefaultMergeOptions()
	churned, fresh := churn(t, options, 1500, 1000)
	check(t, churned.verify(t.Context()))

	type measured struct {
		bytes, estimate, postings, pairs, read, lists float64
		segments                                      int
	}
	measure := func(f folder) (m measured) {
		s := must[*Snapshot](t)(f.openSnapshot())
		defer s.Close()
		if s.LiveDocuments() != 1500 {
			t.Errorf("%d documents", s.LiveDocuments())
		}
		info := must[Info](t)(s.Inspect())
		m.bytes, m.segments = float64(info.Bytes+info.TextBytes), info.Segments
		rng := rand.New(rand.NewPCG(2, 50))
		searcher := NewSearcher(s)
		for range 100 {
			search := DefaultSearchOptions()
			search.Plan, search.Budget, search.Depth = Probe, 300, 100
			query := simd.PackQuery(randomTokens(rng, 5, 16, false).Vectors)
			_, stats, err := searcher.Search(t.Context(), query, querypruner.Selection{}, search)
			check(t, err)
			m.estimate += float64(stats.Estimate(s))
			m.postings += float64(stats.Postings)
			m.pairs += float64(stats.TokenPairs)
			m.read += float64(stats.Bytes)
			m.lists += float64(stats.CellsProbed * info.Segments)
		}
		return m
	}
	a, b := measure(churned), measure(fresh)
	t.Logf("%d and %d segments; bytes %.3f, estimate %.3f, postings %.3f, pairs %.3f, payload bytes %.3f times those of a fresh index; lists %.1f times",
		a.segments, b.segments, a.bytes/b.bytes, a.estimate/b.estimate, a.postings/b.postings, a.pairs/b.pairs, a.read/b.read, a.lists/b.lists)
	for what, ratio := range map[string]float64{
		"bytes": a.bytes / b.bytes, "estimate": a.estimate / b.estimate, "postings": a.postings / b.postings, "pairs": a.pairs / b.pairs, "payload bytes": a.read / b.read,
	} {
		if ratio > 1.3 {
			t.Errorf("%s: %.3f times those of a fresh index", what, ratio)
		}
	}
}

// churnOptions are those of the benchmarks: 128 dimensions and 2 bits.
func churnOptions() Options {
	options := DefaultOptions(128)
	options.StoreText = true
	options.Codec.Cells = 2000
	options.TrainingVectors = 1 << 16
	return options
}

// BenchmarkChurn compares a search after a thousand batches of changes with one
// of a fresh index, in turns.
func BenchmarkChurn(b *testing.B) {
	churned, fresh := churn(b, churnOptions(), 10_000, 1000)
	var searchers [2]*Searcher
	var bytes [2]float64
	for i, f := range []folder{churned, fresh} {
		s := must[*Snapshot](b)(f.openSnapshot())
		defer s.Close()
		info := must[Info](b)(s.Inspect())
		bytes[i] = float64(info.Bytes + info.TextBytes)
		searchers[i] = NewSearcher(s)
	}
	rng := rand.New(rand.NewPCG(3, 50))
	var queries []*simd.Query
	for range 50 {
		queries = append(queries, simd.PackQuery(randomTokens(rng, 16, 128, false).Vectors))
	}
	best := [2]time.Duration{time.Hour, time.Hour}
	for b.Loop() {
		for i, searcher := range searchers {
			start := time.Now()
			searchAll(b, searcher, queries)
			best[i] = min(best[i], time.Since(start))
		}
	}
	b.ReportMetric(float64(best[0])/float64(best[1]), "time-ratio")
	b.ReportMetric(bytes[0]/bytes[1], "bytes-ratio")
	b.ReportMetric(float64(best[1].Microseconds())/float64(len(queries)), "fresh-µs/query")
	b.ReportMetric(0, "ns/op")
}

func searchAll(t testing.TB, searcher *Searcher, queries []*simd.Query) (times []time.Duration) {
	for _, query := range queries {
		start := time.Now()
		_, _, err := searcher.Search(t.Context(), query, querypruner.Selection{}, DefaultSearchOptions())
		check(t, err)
		times = append(times, time.Since(start))
	}
	return times
}

// BenchmarkReadWhileMerging measures how long searches take while the index is
// merged all the time, or coded anew with codebooks that are trained for it, and
// while nothing is done to it.
func BenchmarkReadWhileMerging(b *testing.B) {
	b.Run("merge", func(b *testing.B) { readWhile(b, func(w *Writer) { check(b, w.Merge(b.Context())) }) })
	b.Run("retrain", func(b *testing.B) { readWhile(b, func(w *Writer) { retrainNow(b, w); check(b, w.Merge(b.Context())) }) })
}

func readWhile(b *testing.B, merge func(*Writer)) {
	options := churnOptions()
	options.Merge.Manual = true
	f := folder{durable.OS, filepath.Join(b.TempDir(), "index")}
	rng := rand.New(rand.NewPCG(4, 50))
	w := must[*Writer](b)(f.createIndex(options, CreateOptions{}))
	for i := range 20 {
		fill(b, w, rng, 128, fmt.Sprint(i, "-"), 500)
	}
	s := must[*Snapshot](b)(f.openSnapshot())
	defer s.Close()
	searcher := NewSearcher(s)
	var queries []*simd.Query
	for range 100 {
		queries = append(queries, simd.PackQuery(randomTokens(rng, 16, 128, false).Vectors))
	}
	stop := make(chan bool)
	var merging sync.WaitGroup
	merges := 0
	work := func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			check(b, w.Update(b.Context(), Document{ID: "0-doc-001", Tokens: randomTokens(rng, 5, 128, true)}))
			check(b, w.Commit(b.Context()))
			merge(w)
			merges++
		}
	}
	var idle, busy []time.Duration
	for b.Loop() {
		idle = append(idle, searchAll(b, searcher, queries)...)
		stop = make(chan bool)
		merging.Go(work)
		busy = append(busy, searchAll(b, searcher, queries)...)
		close(stop)
		merging.Wait()
	}
	check(b, w.Close())
	p99 := func(times []time.Duration) float64 {
		slices.Sort(times)
		return float64(times[len(times)*99/100].Microseconds())
	}
	b.ReportMetric(p99(idle), "idle-p99-µs")
	b.ReportMetric(p99(busy), "merging-p99-µs")
	b.ReportMetric(p99(busy)/p99(idle), "p99-ratio")
	b.ReportMetric(float64(merges), "merges")
	b.ReportMetric(0, "ns/op")
}
