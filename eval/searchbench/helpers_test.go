package searchbench_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pare-search/pare/eval/dataset"
)

const (
	testDim       = 16
	testDocuments = 300
	testQueries   = 12
)

// writeEmbeddings writes a folder of embeddings of so many topics that queries
// and documents draw their tokens from. Query i has the topic, and as its only
// relevant document the document, of number i.
func writeEmbeddings(t testing.TB, dir string) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	const vocabulary = 200
	words := make([][]float32, vocabulary)
	for i := range words {
		words[i] = unit(random)
	}
	set := func(name string, count, length int) {
		var vectors []float32
		var lengths, ids []int64
		for text := range count {
			n := length + random.IntN(5)
			if name == "docs" && text == 7 {
				n = 0
			}
			lengths = append(lengths, int64(n))
			for range n {
				id := (text*13 + random.IntN(20)) % vocabulary
				ids = append(ids, int64(id))
				vectors = append(vectors, mix(words[id], unit(random), 0.3)...)
			}
		}
		must(t, dataset.WriteNPYFloats(filepath.Join(dir, name+".npy"), dataset.Float32, vectors, len(ids), testDim))
		must(t, dataset.WriteNPYInts(filepath.Join(dir, name+"_lens.npy"), dataset.Int32, lengths))
		must(t, dataset.WriteNPYInts(filepath.Join(dir, name+"_tokids.npy"), dataset.Int32, ids))
	}
	set("docs", testDocuments, 20)
	set("queries", testQueries, 4)
	var qrels strings.Builder
	for i := range testQueries {
		fmt.Fprintf(&qrels, "%d\t0\t%d\t1\n", i, i)
	}
	must(t, os.WriteFile(filepath.Join(dir, "qrels.tsv"), []byte(qrels.String()), 0o644))
}

func unit(random *rand.Rand) []float32 {
	v := make([]float32, testDim)
	for i := range v {
		v[i] = float32(random.NormFloat64())
	}
	return normalize(v)
}

func mix(a, b []float32, share float32) []float32 {
	v := make([]float32, len(a))
	for i := range v {
		v[i] = a[i] + share*b[i]
	}
	return normalize(v)
}

func normalize(v []float32) []float32 {
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	for i := range v {
		v[i] /= float32(math.Sqrt(sum))
	}
	return v
}

// openEmbeddings opens a folder of embeddings that writeEmbeddings made.
func openEmbeddings(t testing.TB) *dataset.Embeddings {
	t.Helper()
	dir := t.TempDir()
	writeEmbeddings(t, dir)
	e, err := dataset.OpenEmbeddings(dir)
	must(t, err)
	return e
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
