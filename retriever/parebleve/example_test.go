package parebleve_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/blevesearch/bleve/v2"

	"github.com/pare-search/pare/encoder/corpus"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/retriever/parebleve"
)

type note struct {
	ID   string `json:"-"`
	Body string `json:"body"`
}

var notes = []note{
	{"pruning", "Prune apple trees in winter, while they sleep; cut to an outward bud."},
	{"grafting", "Graft the scion on its rootstock in spring and bind the union with bast."},
	{"storing", "Store late apples in a cool cellar; one rotten apple spoils the barrel."},
	{"pressing", "Press the pulp within a day, and let the cider ferment in a clean cask."},
}

// trainEncoder trains the default encoder on the notes. Any other encoder of
// token vectors will do.
func trainEncoder() *corpus.Encoder {
	options := corpus.DefaultOptions()
	options.MinDocumentFrequency = 1
	enc, err := corpus.Train(context.Background(), func(yield func(string, error) bool) {
		for _, n := range notes {
			if !yield(n.Body, nil) {
				return
			}
		}
	}, options, nil)
	must(err)
	return enc
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// openNotes makes an index of the notes, in memory.
func openNotes() *parebleve.Index {
	idx, err := parebleve.New("", bleve.NewIndexMapping(), parebleve.DefaultOptions(trainEncoder(), "body"))
	must(err)
	batch := idx.NewBatch()
	for _, n := range notes {
		must(batch.Index(n.ID, n))
	}
	must(idx.Batch(batch))
	return idx
}

func Example() {
	dir, err := os.MkdirTemp("", "parebleve")
	must(err)
	defer os.RemoveAll(dir)

	idx, err := parebleve.New(filepath.Join(dir, "notes.bleve"), bleve.NewIndexMapping(), parebleve.DefaultOptions(trainEncoder(), "body"))
	must(err)
	defer idx.Close()
	for _, n := range notes {
		must(idx.Index(n.ID, n))
	}

	q := parebleve.NewQuery("body", "when should I prune an apple tree?")
	request := bleve.NewSearchRequest(q)
	request.Highlight = bleve.NewHighlightWithStyle("html")
	result, err := idx.Search(request)
	must(err)
	for _, hit := range result.Hits[:2] {
		fmt.Println(hit.ID, hit.Fragments["body"])
	}
	// Output:
	// pruning [<mark>Prune</mark> <mark>apple</mark> <mark>trees</mark> in winter, while they sleep; cut to an outward bud.]
	// storing [Store late <mark>apples</mark> in a cool cellar; one rotten apple spoils the barrel.]
}

// An index that bleve made gets better answers without being touched: the best
// hits of a query by words are scored by token vectors, which are made on the
// spot from the stored texts.
func ExampleRescore() {
	plain, err := bleve.NewUsing("", bleve.NewIndexMapping(), "scorch", "scorch", nil)
	must(err)
	for _, n := range notes {
		must(plain.Index(n.ID, n))
	}

	idx, err := parebleve.Wrap(plain, parebleve.DefaultOptions(trainEncoder(), "body"))
	must(err)
	defer idx.Close()
	words := bleve.NewMatchQuery("prune apple trees in a cool winter")
	result, err := idx.Search(bleve.NewSearchRequest(parebleve.Rescore(words, "body", words.Match, 100)))
	must(err)
	fmt.Println(result.Hits[0].ID)

	// Reindex gives the documents vectors, so that they can be found by them.
	must(idx.Reindex(context.Background(), func(p parebleve.Progress) {
		if p.Done == p.Total {
			fmt.Printf("%d of %d documents have vectors\n", p.Done-p.Skipped, p.Total)
		}
	}))
	result, err = idx.Search(bleve.NewSearchRequest(parebleve.NewQuery("body", "cut a bud")))
	must(err)
	fmt.Println(result.Hits[0].ID)
	// Output:
	// pruning
	// 4 of 4 documents have vectors
	// pruning
}

// A Query combines with others like any query of bleve's.
func ExampleQuery() {
	idx := openNotes()
	defer idx.Close()

	apple := bleve.NewMatchQuery("apple")
	apple.SetField("body")
	q := parebleve.NewQuery("body", "prune in winter")
	q.SetFilter(apple)
	both := bleve.NewBooleanQuery()
	both.AddMust(q)
	both.AddShould(bleve.NewMatchQuery("cellar"))
	result, err := idx.Search(bleve.NewSearchRequest(both))
	must(err)
	for _, hit := range result.Hits {
		fmt.Println(hit.ID)
	}
	// Output:
	// pruning
	// storing
}

// Two of the query's tokens look for candidates, all of them score.
func ExampleQuery_SetPruning() {
	idx := openNotes()
	defer idx.Close()

	q := parebleve.NewQuery("body", "prune in winter, cut to a bud")
	q.SetPruning(querypruner.Pruner{Strategy: querypruner.First, Keep: querypruner.Keep{Count: 2}})
	request := bleve.NewSearchRequest(q)
	request.Explain = true
	result, err := idx.Search(request)
	must(err)
	for _, row := range result.Hits[0].Expl.Children {
		fmt.Printf("%.1f %s\n", row.Value, row.Message)
	}
	// Output:
	// 1.1 "prune" looked for candidates (rank 1), best match "Prune"
	// 1.1 "winter" looked for candidates (rank 2), best match "winter"
	// 1.1 "cut" dropped from the search for candidates (rank 3), best match "cut"
	// 1.1 "bud" dropped from the search for candidates (rank 4), best match "bud"
}

// Hits by words and by token vectors, fused.
func ExampleFuse() {
	idx := openNotes()
	defer idx.Close()

	const text = "one bad apple"
	result, err := idx.Search(bleve.NewSearchRequest(parebleve.Fuse(100, bleve.NewMatchQuery(text), parebleve.NewQuery("body", text))))
	must(err)
	fmt.Println(result.Hits[0].ID)
	// Output: storing
}

// Services that take bleve's requests as JSON take these queries too.
func Example_json() {
	idx := openNotes()
	defer idx.Close()

	var request bleve.SearchRequest
	must(json.Unmarshal([]byte(`{"query": {"custom_score": {
		"query":  {"match": "apple", "field": "body"},
		"maxsim": {"field": "body", "text": "where to keep fruit cool"}}}}`), &request))
	result, err := idx.Search(&request)
	must(err)
	fmt.Println(result.Hits[0].ID, result.Total)
	// Output: storing 2
}

func ExampleIndex_Status() {
	idx := openNotes()
	defer idx.Close()

	status, err := idx.Status()
	must(err)
	for _, s := range status {
		fmt.Printf("%s: %d of %d documents, %v, %d cell\n", s.Field, s.WithVectors, s.Documents, s.Kind, s.Cells)
	}
	// Output: body: 4 of 4 documents, int8, 1 cell
}

func ExampleIndex_Tokens() {
	idx := openNotes()
	defer idx.Close()

	q := parebleve.NewQuery("body", "prune in winter, cut to a bud")
	q.SetPruning(querypruner.Pruner{Strategy: querypruner.First, Keep: querypruner.Keep{Count: 2}})
	tokens, err := idx.Tokens(context.Background(), q)
	must(err)
	for _, t := range tokens {
		fmt.Println(t.Text, t.Kept)
	}
	// Output:
	// prune true
	// winter true
	// cut false
	// bud false
}
