package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/pare-search/pare/eval/dataset"
	"github.com/pare-search/pare/simd"
)

// writeEmbeddings makes a small folder of token embeddings, always the same: 60
// documents and 6 queries of 16 dimensions, query i relevant to document i.
func writeEmbeddings(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: embeddings folder")
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	const dim, vocabulary = 16, 50
	random := rand.New(rand.NewPCG(3, 4))
	gauss := func(rows int) simd.Matrix {
		m := simd.NewMatrix(rows, dim)
		for i := range m.Data {
			m.Data[i] = float32(random.NormFloat64())
		}
		m.Normalize()
		return m
	}
	words := gauss(vocabulary)
	write := func(name string, texts, tokens int) {
		var lengths, ids []int64
		vectors := gauss(texts * tokens)
		for i := range vectors.Rows {
			id := (i/tokens*7 + random.IntN(10)) % vocabulary
			ids = append(ids, int64(id))
			row := vectors.Row(i)
			for d := range row {
				row[d] = 0.3*row[d] + words.Row(id)[d]
			}
		}
		vectors.Normalize()
		for range texts {
			lengths = append(lengths, int64(tokens))
		}
		ts.Check(dataset.WriteNPYFloats(filepath.Join(dir, name+".npy"), dataset.Float32, vectors.Data, vectors.Rows, dim))
		ts.Check(dataset.WriteNPYInts(filepath.Join(dir, name+"_lens.npy"), dataset.Int32, lengths))
		ts.Check(dataset.WriteNPYInts(filepath.Join(dir, name+"_tokids.npy"), dataset.Int32, ids))
	}
	write("docs", 60, 12)
	write("queries", 6, 4)
	qrels := "0\t0\t0\t1\n1\t0\t1\t1\n2\t0\t2\t1\n3\t0\t3\t1\n4\t0\t4\t1\n5\t0\t5\t1\n"
	ts.Check(os.WriteFile(filepath.Join(dir, "qrels.tsv"), []byte(qrels), 0o644))
}
