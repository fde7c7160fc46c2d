package tune_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/pare-search/pare/configs"
	"github.com/pare-search/pare/eval/sweep"
	"github.com/pare-search/pare/eval/tune"
	"github.com/pare-search/pare/retriever"
)

func Example() {
	dir, err := os.MkdirTemp("", "tune")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx, folder := context.Background(), filepath.Join(dir, "index")

	// 400 documents about combinations of things, and a query about each.
	var documents []retriever.Document
	var queries []sweep.Query
	things := strings.Fields("apple pear plum cherry quince medlar grape fig almond hazel walnut mulberry olive citron lemon lime peach apricot damson sloe")
	for i, a := range things {
		for j, b := range things {
			documents = append(documents, retriever.Document{ID: a + "-" + b, Text: fmt.Sprintf("The %s tree and the %s bush", a, b)})
			queries = append(queries, sweep.Query{ID: fmt.Sprint(i, "-", j), Text: a + " " + b})
		}
	}
	if err := retriever.Build(ctx, folder, retriever.Documents(documents...), retriever.DefaultBuildOptions()); err != nil {
		log.Fatal(err)
	}
	r, err := retriever.Open(folder)
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()

	options := tune.DefaultOptions()
	if options.Target, err = tune.ParseTarget("recall@10>=0.9"); err != nil {
		log.Fatal(err)
	}
	orchard := tune.Collection{
		Name: "orchard", Queries: queries,
		Bench: &sweep.Bench{Index: r, Options: configs.Default().Options},
	}
	settings := sweep.Grid{
		{Key: "search.plan", Values: []string{"probe"}},
		{Key: "search.budget", Values: []string{"10", "100"}},
	}.Settings()
	report, err := tune.Run(ctx, []tune.Collection{orchard}, settings, options)
	if err != nil {
		log.Fatal(err)
	}
	for _, step := range report.Path {
		fmt.Println(step.Setting, step.Verdict)
	}
	// Output:
	// search.budget=100 search.plan=probe certified
	// search.budget=10 search.plan=probe failed
}
