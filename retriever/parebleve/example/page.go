package main

import (
	_ "embed"
	"html/template"
	"net/http"
	"time"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/search/query"

	"github.com/pare-search/pare/retriever/parebleve"
)

//go:embed page.html
var pageHTML string

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

// page is the search page.
type page struct{ index *parebleve.Index }

func newPage(idx *parebleve.Index) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", page{idx})
	return mux
}

// answer is what the template shows.
type answer struct {
	Query   string
	Tokens  []parebleve.Token
	Columns []column
}

type column struct {
	Title string
	Took  time.Duration
	Total uint64
	Hits  []hit
}

type hit struct {
	ID    string
	Score float64
	Text  template.HTML // escaped by bleve, with <mark> around matches
}

func (p page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := answer{Query: r.FormValue("q")}
	if a.Query != "" {
		if err := p.search(r, &a); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := pageTemplate.Execute(w, a); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// search asks the same by words, by token vectors, and by both.
func (p page) search(r *http.Request, a *answer) error {
	words := bleve.NewMatchQuery(a.Query)
	words.SetField("body")
	vectors := parebleve.NewQuery("body", a.Query)
	var err error
	if a.Tokens, err = p.index.Tokens(r.Context(), vectors); err != nil {
		return err
	}
	for _, way := range []struct {
		title string
		query query.Query
	}{
		{"BM25", words},
		{"MaxSim", vectors},
		{"both", parebleve.Fuse(100, words, vectors)},
	} {
		c, err := p.column(r, way.title, way.query)
		if err != nil {
			return err
		}
		a.Columns = append(a.Columns, c)
	}
	return nil
}

func (p page) column(r *http.Request, title string, q query.Query) (column, error) {
	request := bleve.NewSearchRequestOptions(q, 5, 0, false)
	request.Highlight = bleve.NewHighlightWithStyle("html")
	request.Highlight.AddField("body")
	result, err := p.index.SearchInContext(r.Context(), request)
	if err != nil {
		return column{}, err
	}
	c := column{Title: title, Took: result.Took.Round(10 * time.Microsecond), Total: result.Total}
	for _, match := range result.Hits {
		h := hit{ID: match.ID, Score: match.Score}
		for _, fragment := range match.Fragments["body"] {
			h.Text += template.HTML(fragment)
		}
		c.Hits = append(c.Hits, h)
	}
	return c, nil
}
