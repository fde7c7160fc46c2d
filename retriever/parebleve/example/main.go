// Command example is a search page on a bleve index with MaxSim: words on one
// side, token vectors on the other.
//
//	go run ./retriever/parebleve/example -dir ~/notes -index notes.bleve
//
// indexes the paragraphs of the text files below a folder and serves the page.
// Without -dir it serves a few sentences about an orchard, from memory.
//
// It is made to be copied: open (open.go) is all that it takes to give an index
// vectors, page.go to search it.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net/http"
)

func main() {
	dir := flag.String("dir", "", "folder of .txt and .md files to index")
	path := flag.String("index", "example.bleve", "where the index of the folder is kept")
	address := flag.String("http", "localhost:8080", "address to serve on")
	flag.Parse()
	if err := run(context.Background(), *dir, *path, *address); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, dir, path, address string) error {
	passages := orchard
	if dir == "" {
		path = ""
	} else {
		var err error
		if passages, err = readFolder(dir); err != nil {
			return err
		}
	}
	idx, err := open(ctx, path, passages)
	if err != nil {
		return err
	}
	defer idx.Close()
	fmt.Printf("%d passages, http://%s/\n", len(passages), address)
	return http.ListenAndServe(address, newPage(idx))
}
