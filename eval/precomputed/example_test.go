package precomputed_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/pare-search/pare/eval/dataset"
	"github.com/pare-search/pare/eval/precomputed"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/retriever"
)

func Example() {
	dir, err := os.MkdirTemp("", "precomputed")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	// Another program writes two documents of one vector each, and a query.
	err = errors.Join(
		dataset.WriteNPYFloats(filepath.Join(dir, "docs.npy"), dataset.Float16, []float32{1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}, 2, 8),
		dataset.WriteNPYInts(filepath.Join(dir, "docs_lens.npy"), dataset.Int32, []int64{1, 1}),
		os.WriteFile(filepath.Join(dir, "doc_ids.txt"), []byte("apple\npear\n"), 0o644),
		dataset.WriteNPYFloats(filepath.Join(dir, "queries.npy"), dataset.Float16, []float32{0.6, 0.8, 0, 0, 0, 0, 0, 0}, 1, 8),
		dataset.WriteNPYInts(filepath.Join(dir, "queries_lens.npy"), dataset.Int32, []int64{1}),
	)
	if err != nil {
		log.Fatal(err)
	}

	ctx, folder := context.Background(), filepath.Join(dir, "index")
	embeddings, err := precomputed.Open(dir)
	if err != nil {
		log.Fatal(err)
	}
	if err := retriever.BuildEmbeddings(ctx, folder, precomputed.Documents(embeddings, nil), retriever.DefaultBuildOptions()); err != nil {
		log.Fatal(err)
	}
	queries, err := precomputed.ReadQueries(embeddings)
	if err != nil {
		log.Fatal(err)
	}
	snapshot, err := index.Open(folder)
	if err != nil {
		log.Fatal(err)
	}
	r, err := retriever.New(snapshot, queries)
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	results, err := r.Search(ctx, "0", retriever.DefaultOptions()) // without ids, queries are numbered
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(results.Hits[0].ID)
	// Output: pear
}
