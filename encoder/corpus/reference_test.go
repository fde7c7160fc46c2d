package corpus_test

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/encoder/corpus"
	"github.com/pare-search/pare/internal/collections"
	"github.com/pare-search/pare/simd"
)

// TestReference compares exact MaxSim over the encoder's vectors with figures
// of two independent implementations of the recipe in Python, with numpy,
// float64 vectors and SciPy's Lanczos SVD.
//
// The published figures (0.531, 0.371, 0.437) belong to collections whose
// texts repeat their title, as the original distributions do; the ones here
// do not, so that the title goes in twice to reproduce them: 0.531 is that of
// 144,600 tokens on cranfield. With every title once the recipe is at 0.516 on
// cranfield and 0.387 on cisi, and those figures come from the second
// implementation, which gives 0.531, 0.375 and 0.440 for the published ones.
//
// A random subspace instead of Lanczos moves single runs by 0.002 to 0.009
// (standard deviation over seeds), hence the mean of a few seeds.
//
// cisi may land 0.015 above the published figure: with the tokens used here
// the second implementation is 0.004 above it too, and cisi's runs spread most.
func TestReference(t *testing.T) {
	for _, want := range []struct {
		collection string
		titles     int
		ndcg       float64
		above      float64 // allowed
		seeds      uint64
		slow       bool
	}{
		{"cranfield", 2, 0.531, 0.01, 3, false},
		{"cranfield", 1, 0.516, 0.01, 3, true},
		{"cisi", 2, 0.371, 0.015, 3, true},
		{"cisi", 1, 0.387, 0.01, 3, true},
		{"npl", 1, 0.437, 0.01, 3, true}, // has no titles
	} {
		t.Run(fmt.Sprintf("%s-%d", want.collection, want.titles), func(t *testing.T) {
			if want.slow && testing.Short() {
				t.Skip("slow")
			}
			c := readCollection(t, want.collection, want.titles)
			var mean float64
			for seed := range want.seeds {
				opts := corpus.DefaultOptions()
				opts.Seed = seed + 1
				mean += evaluate(t, c, opts).ndcg10 / float64(want.seeds)
			}
			t.Logf("mean nDCG@10 %.4f", mean)
			if mean < want.ndcg-0.01 || mean > want.ndcg+want.above {
				t.Errorf("nDCG@10 is %.4f, want %.3f, at most 0.01 less or %v more", mean, want.ndcg, want.above)
			}
		})
	}
}

type collection struct {
	ids, texts        []string // documents
	queryIDs, queries []string // with judgements
	gains             []map[string]float64
}

func (c collection) all() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, text := range c.texts {
			if !yield(text, nil) {
				return
			}
		}
	}
}

// readCollection reads a BEIR folder of the shared test data. A document's text
// is its title, that many times, and its text.
func readCollection(t testing.TB, name string, titles int) collection {
	t.Helper()
	dir := filepath.Join(collections.Dir(t), name)
	var c collection
	type line struct {
		ID    string `json:"_id"`
		Title string `json:"title"`
		Text  string `json:"text"`
	}
	for l := range jsonLines[line](t, filepath.Join(dir, "corpus.jsonl")) {
		c.ids = append(c.ids, l.ID)
		c.texts = append(c.texts, strings.Repeat(l.Title+" ", titles)+l.Text)
	}
	gains := map[string]map[string]float64{}
	qrels, err := os.ReadFile(filepath.Join(dir, "qrels.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range strings.Split(strings.TrimSpace(string(qrels)), "\n")[1:] {
		fields := strings.Split(row, "\t")
		gain, err := strconv.ParseFloat(strings.TrimSpace(fields[2]), 64)
		if err != nil {
			t.Fatal(err)
		}
		if gains[fields[0]] == nil {
			gains[fields[0]] = map[string]float64{}
		}
		gains[fields[0]][fields[1]] = gain
	}
	for l := range jsonLines[line](t, filepath.Join(dir, "queries.jsonl")) {
		if g := gains[l.ID]; g != nil {
			c.queryIDs = append(c.queryIDs, l.ID)
			c.queries = append(c.queries, l.Text)
			c.gains = append(c.gains, g)
		}
	}
	return c
}

func jsonLines[T any](t testing.TB, path string) iter.Seq[T] {
	return func(yield func(T) bool) {
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		scanner := bufio.NewScanner(file)
		scanner.Buffer(nil, 1<<24)
		for scanner.Scan() {
			var v T
			if err := json.Unmarshal(scanner.Bytes(), &v); err != nil {
				t.Fatal(err)
			}
			if !yield(v) {
				return
			}
		}
		if err := scanner.Err(); err != nil {
			t.Fatal(err)
		}
	}
}

type figures struct{ ndcg10, rr10, recall100 float64 }

// evaluate trains on the collection and ranks all of its documents for every
// judged query by MaxSim, ties by descending id as trec_eval does.
func evaluate(t testing.TB, c collection, opts corpus.Options) figures {
	t.Helper()
	start := time.Now()
	enc, err := corpus.Train(t.Context(), c.all(), opts, nil)
	if err != nil {
		t.Fatal(err)
	}
	trained := time.Now()
	docs, err := enc.EncodeDocuments(t.Context(), c.texts)
	if err != nil {
		t.Fatal(err)
	}
	encoded := time.Now()
	queries := make([]encoder.Tokens, len(c.queries))
	for i, text := range c.queries {
		if queries[i], err = enc.EncodeQuery(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	all := make([]figures, len(queries))
	var group sync.WaitGroup
	for worker := range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for q := worker; q < len(queries); q += runtime.GOMAXPROCS(0) {
				all[q] = measure(rank(queries[q].Vectors, docs, c.ids), c.gains[q])
			}
		})
	}
	group.Wait()
	var mean figures
	for _, f := range all {
		mean.ndcg10 += f.ndcg10 / float64(len(all))
		mean.rr10 += f.rr10 / float64(len(all))
		mean.recall100 += f.recall100 / float64(len(all))
	}
	tokens := 0
	for _, d := range docs {
		tokens += d.Vectors.Rows
	}
	saved, err := enc.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("nDCG@10 %.4f, RR@10 %.4f, R@100 %.4f; %d words, %d token vectors, table %.2f bytes each; trained in %.2f s, %.0f tokens/s encoded",
		mean.ndcg10, mean.rr10, mean.recall100, enc.Vocabulary(), tokens, float64(len(saved))/float64(tokens),
		trained.Sub(start).Seconds(), float64(tokens)/encoded.Sub(trained).Seconds())
	return mean
}

func rank(query simd.Matrix, docs []encoder.Tokens, ids []string) []string {
	packed := simd.PackQuery(query)
	best := make([]float32, query.Rows)
	scores := make([]float32, len(docs))
	order := make([]int, len(docs))
	for i, d := range docs {
		simd.Reset(best)
		packed.MaxSim(d.Vectors, best)
		scores[i], order[i] = simd.Sum(best), i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(scores[b], scores[a]), cmp.Compare(ids[b], ids[a]))
	})
	top := make([]string, 0, 100)
	for _, i := range order[:min(100, len(order))] {
		top = append(top, ids[i])
	}
	return top
}

func measure(ranking []string, gains map[string]float64) figures {
	var f figures
	relevant := 0.0
	var ideal []float64
	for _, g := range gains {
		if g > 0 {
			relevant++
			ideal = append(ideal, g)
		}
	}
	slices.SortFunc(ideal, func(a, b float64) int { return cmp.Compare(b, a) })
	var dcg, best float64
	for i, g := range ideal[:min(10, len(ideal))] {
		best += g / math.Log2(float64(i+2))
	}
	for i, id := range ranking {
		g := gains[id]
		if g <= 0 {
			continue
		}
		f.recall100 += 1 / relevant
		if i < 10 {
			dcg += g / math.Log2(float64(i+2))
			if f.rr10 == 0 {
				f.rr10 = 1 / float64(i+1)
			}
		}
	}
	if best > 0 {
		f.ndcg10 = dcg / best
	}
	return f
}
