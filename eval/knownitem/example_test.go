package knownitem_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pare-search/pare/eval/knownitem"
)

func ExampleFolder() {
	dir, err := os.MkdirTemp("", "notes")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	note := `# Bread

Mix flour, water, salt and yeast. A sourdough starter wants feeding every twelve hours. Let the
dough rest in a warm place until it has doubled, then fold it twice and bake it hot.
`
	if err := os.WriteFile(filepath.Join(dir, "bread.md"), []byte(note), 0o644); err != nil {
		fmt.Println(err)
		return
	}

	collection, err := knownitem.Folder(context.Background(), dir, knownitem.DefaultFolderOptions())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, query := range collection.Queries {
		fmt.Println(query.Text)
		fmt.Println(collection.Qrels[query.ID])
	}
	fmt.Println(collection.Documents[0].Title)
	// Output:
	// A sourdough starter wants feeding every twelve hours.
	// map[bread.md#1:1]
	// bread.md — Bread
}

func ExampleGoStandardLibrary() {
	goroot, err := knownitem.FindGoroot()
	if err != nil {
		fmt.Println(err)
		return
	}
	collection, err := knownitem.GoStandardLibrary(context.Background(), goroot, knownitem.DefaultGoOptions())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, query := range collection.Queries {
		if query.ID == "q:strings.Builder.Grow" {
			fmt.Println(query.Text)
		}
	}
	for _, document := range collection.Documents {
		if document.ID == "strings.Builder.Grow" {
			fmt.Println(document.Title)
		}
	}
	// Output:
	// grows b's capacity, if necessary, to guarantee space for another n bytes.
	// strings.Builder.Grow — func (b *Builder) Grow(n int)
}
