package retriever_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/retriever"
)

var documents = []retriever.Document{
	{ID: "pruning", Text: "Prune apple trees in winter, while they sleep; cut to an outward bud."},
	{ID: "grafting", Text: "Graft the scion on its rootstock in spring and bind the union with bast."},
	{ID: "storing", Text: "Store late apples in a cool cellar; one rotten apple spoils the barrel."},
	{ID: "pressing", Text: "Press the pulp within a day, and let the cider ferment in a clean cask."},
}

var (
	ctx    = context.Background()
	folder = filepath.Join(os.TempDir(), fmt.Sprint("pare-example-", os.Getpid()))
)

// check ends the program on an error.
func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func Example() {
	defer os.RemoveAll(folder)

	check(retriever.Build(ctx, folder, retriever.Documents(documents...), retriever.DefaultBuildOptions()))
	r, err := retriever.Open(folder)
	check(err)
	defer r.Close()
	results, err := r.Search(ctx, "when should I prune an apple tree?", retriever.DefaultOptions())
	check(err)
	for i, hit := range results.Hits[:2] {
		text, err := r.Text(hit.ID)
		check(err)
		fmt.Printf("%d. %s: %s\n", i+1, hit.ID, text)
	}
	// Output:
	// 1. pruning: Prune apple trees in winter, while they sleep; cut to an outward bud.
	// 2. storing: Store late apples in a cool cellar; one rotten apple spoils the barrel.
}

func ExampleRetriever_Encode() {
	defer os.RemoveAll(folder)
	check(retriever.Build(ctx, folder, retriever.Documents(documents...), retriever.DefaultBuildOptions()))
	before, err := retriever.Open(folder)
	check(err)
	defer before.Close()

	// Change the index: one document gets another text, one goes.
	writer, err := index.OpenWriter(folder)
	check(err)
	defer writer.Close()
	changed, err := before.Encode(ctx, retriever.Document{ID: "storing", Text: "Wrap each winter apple in paper, so that rot does not spread."})
	check(err)
	check(writer.Update(ctx, changed...))
	_, err = writer.Delete("pressing")
	check(err)
	check(writer.Commit(ctx))

	// Searches that are under way keep what they opened; new ones see the change.
	after, err := retriever.Open(folder)
	check(err)
	defer after.Close()
	for _, r := range []*retriever.Retriever{before, after} {
		text, err := r.Text("storing")
		check(err)
		fmt.Printf("%d documents; storing: %s\n", r.Snapshot().LiveDocuments(), text)
	}
	// Output:
	// 4 documents; storing: Store late apples in a cool cellar; one rotten apple spoils the barrel.
	// 3 documents; storing: Wrap each winter apple in paper, so that rot does not spread.
}

func ExampleRerank() {
	// Any encoder will do; this one knows words by their letters.
	answers := []string{"the cat sat", "a silent listener", "nothing of the kind"}
	ranked, err := retriever.Rerank(ctx, encoder.Func{Width: 32, Encode: letters}, "listens silently", answers)
	check(err)
	for _, r := range ranked {
		fmt.Printf("%.2f %s\n", r.Score, answers[r.Position])
	}
	// Output:
	// 1.86 a silent listener
	// 0.94 the cat sat
	// 0.87 nothing of the kind
}

// letters makes a vector of every word: how often it has each letter.
func letters(_ context.Context, text string, _ bool) (encoder.Tokens, error) {
	var tokens encoder.Tokens
	words := strings.Fields(text)
	tokens.Vectors.Rows, tokens.Vectors.Dim, tokens.Vectors.Data = len(words), 32, make([]float32, 32*len(words))
	for i, word := range words {
		for _, letter := range word {
			tokens.Vectors.Row(i)[letter%32]++
		}
	}
	tokens.Vectors.Normalize()
	return tokens, nil
}

func ExampleRetriever_Explain() {
	defer os.RemoveAll(folder)
	check(retriever.Build(ctx, folder, retriever.Documents(documents...), retriever.DefaultBuildOptions()))
	r, err := retriever.Open(folder)
	check(err)
	defer r.Close()

	options := retriever.DefaultOptions()
	options.Pruner = querypruner.Pruner{Strategy: querypruner.ICF, Keep: querypruner.Keep{Count: 2}}
	e, err := r.Explain(ctx, "prune in winter, cut to a bud", "pruning", options)
	check(err)
	for _, row := range e.Rows {
		fmt.Printf("%-6s looked for candidates: %-5v (%v); it matches %q\n", row.Token, row.Kept, row.Row, row.MatchToken)
	}
	fmt.Println(retriever.Snippet(e.Text, e.Marks(), 80, "*", "*"))
	// Output:
	// prune  looked for candidates: true  (rank 1, frequency 1); it matches "Prune"
	// winter looked for candidates: true  (rank 2, frequency 1); it matches "winter"
	// cut    looked for candidates: false (rank 3, frequency 1); it matches "cut"
	// bud    looked for candidates: false (rank 4, frequency 1); it matches "bud"
	// *Prune* apple trees in *winter*, while they sleep; *cut* to an outward *bud*.
}
