package index_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/simd"
)

// Three documents of two vectors each are added and searched with a query of
// two rows, of which only the first looks for candidates.
func Example() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "pare")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	dir := filepath.Join(folder, "index")

	options := index.DefaultOptions(8)
	options.Codec.Kind = codec.Float32
	options.Codec.MinCellVectors = 1 // a cell for each direction
	options.StoreText = true
	writer, err := index.Create(dir, options, index.CreateOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer writer.Close()
	err = writer.Add(ctx,
		index.Document{ID: "north-east", Text: "north and east", Tokens: compass(0, 90)},
		index.Document{ID: "south-west", Text: "south and west", Tokens: compass(180, 270)},
		index.Document{ID: "north-west", Text: "north and west", Tokens: compass(0, 270)},
	)
	if err != nil {
		log.Fatal(err)
	}
	if err := writer.Commit(ctx); err != nil {
		log.Fatal(err)
	}

	snapshot, err := index.Open(dir)
	if err != nil {
		log.Fatal(err)
	}
	defer snapshot.Close()
	query := simd.PackQuery(compass(270, 0).Vectors)
	selection := querypruner.Selection{Probe: []int{0}}
	search := index.SearchOptions{K: 10, Plan: index.Probe, Neighbors: 1}
	hits, stats, err := index.NewSearcher(snapshot).Search(ctx, query, selection, search)
	if err != nil {
		log.Fatal(err)
	}
	for _, hit := range hits {
		text, err := snapshot.Text(hit.Document)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%.1f %s: %s\n", hit.Score, hit.ID, text)
	}
	fmt.Println(stats.Plan, "scored", stats.DocumentsScored, "documents with", stats.TokenPairs, "dot products")
	// Output:
	// 2.0 north-west: north and west
	// 1.0 south-west: south and west
	// probe scored 2 documents with 8 dot products
}

// compass returns a unit vector for each of the directions 0, 90, 180 and 270
// degrees; opposite ones have the product -1, neighbours 0.
func compass(degrees ...int) encoder.Tokens {
	tokens := encoder.Tokens{Vectors: simd.NewMatrix(len(degrees), 8)}
	for row, angle := range degrees {
		tokens.IDs = append(tokens.IDs, uint32(angle))
		axis, sign := angle%180/90, float32(1)
		if angle >= 180 {
			sign = -1
		}
		tokens.Vectors.Row(row)[axis] = sign
	}
	return tokens
}

func ExampleVerify() {
	folder, err := os.MkdirTemp("", "pare")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	writer, err := index.Create(folder, index.DefaultOptions(128), index.CreateOptions{})
	if err != nil {
		log.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(index.Verify(folder))

	if err := os.Truncate(filepath.Join(folder, "MANIFEST"), 100); err != nil {
		log.Fatal(err)
	}
	fmt.Println(index.Verify(folder))
	// Output:
	// <nil>
	// corrupt index file: MANIFEST: does not end with "PARE-END"; it may be truncated
}
