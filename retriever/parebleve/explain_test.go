package parebleve_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/search/query"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/retriever/parebleve"
)

// counting counts what is encoded.
type counting struct {
	encoder.Encoder
	queries, calls, texts atomic.Int64
}

func (c *counting) EncodeQuery(ctx context.Context, text string) (encoder.Tokens, error) {
	c.queries.Add(1)
	return c.Encoder.EncodeQuery(ctx, text)
}

func (c *counting) EncodeDocuments(ctx context.Context, texts []string) ([]encoder.Tokens, error) {
	c.calls.Add(1)
	c.texts.Add(int64(len(texts)))
	return c.Encoder.EncodeDocuments(ctx, texts)
}

// TestExplainPage explains and highlights the hits that are returned, and
// encodes no others, nor the query again.
func TestExplainPage(t *testing.T) {
	enc := &counting{Encoder: toy}
	options := toyOptions()
	options.Encoder = enc
	idx := create(t, babble(200, 9), options)
	q := parebleve.NewQuery("body", composeText)
	match := bleve.NewMatchQuery("w50")
	match.SetField("body")
	composed := bleve.NewBooleanQuery()
	composed.AddMust(q)
	composed.AddShould(match)
	for name, test := range map[string]query.Query{"alone": q, "composed": composed} {
		enc.queries.Store(0)
		enc.calls.Store(0)
		enc.texts.Store(0)
		request := bleve.NewSearchRequestOptions(test, 5, 10, true)
		request.Highlight = bleve.NewHighlight()
		result := find(t, idx, request)
		if enc.queries.Load() != 1 || enc.calls.Load() != 1 || enc.texts.Load() != 5 {
			t.Errorf("%s: %d queries, %d calls with %d texts, want 1, 1 and 5", name, enc.queries.Load(), enc.calls.Load(), enc.texts.Load())
		}
		if len(result.Hits) != 5 || result.Total != 200 {
			t.Errorf("%s: %d hits of %d, want 5 of 200", name, len(result.Hits), result.Total)
		}
		for _, hit := range result.Hits {
			if len(hit.Fragments["body"]) == 0 || !strings.Contains(hit.Expl.String(), "best match") {
				t.Errorf("%s: %s has the fragments %v and the explanation %v", name, hit.ID, hit.Fragments, hit.Expl)
			}
		}
	}
}

// TestHighlightNoise marks the tokens that match, not those that merely match
// best; and those of the query whose hits are scored again.
func TestHighlightNoise(t *testing.T) {
	idx := create(t, map[string]page{
		"a": {Body: "the quick brown fox", Title: "red title"},
		"b": {Body: "slow white sheep", Title: "red cover"},
	}, toyOptions())
	red := bleve.NewMatchQuery("red")
	red.SetField("title")
	request := bleve.NewSearchRequest(parebleve.Rescore(red, "body", "quick cat", 10))
	request.Highlight = bleve.NewHighlightWithStyle("html")
	result := find(t, idx, request)
	if len(result.Hits) != 2 {
		t.Fatalf("%d hits, want 2", len(result.Hits))
	}
	for _, hit := range result.Hits {
		marks := strings.Count(strings.Join(hit.Fragments["body"], " "), "<mark>")
		if want := map[string]int{"a": 1, "b": 0}[hit.ID]; marks != want {
			t.Errorf("%s has %d marks in %v, want %d", hit.ID, marks, hit.Fragments["body"], want)
		}
		if title := strings.Join(hit.Fragments["title"], " "); !strings.Contains(title, "<mark>red</mark>") {
			t.Errorf("%s has the title %s, want red marked", hit.ID, title)
		}
	}
}

// TestRescoreNothing scores hits by a text that has no tokens: they stay as
// they are.
func TestRescoreNothing(t *testing.T) {
	idx := create(t, babble(60, 9), toyOptions())
	match := bleve.NewMatchQuery("w3 w50")
	match.SetField("body")
	want := find(t, idx, bleve.NewSearchRequestOptions(match, 8, 0, false))
	request := bleve.NewSearchRequestOptions(parebleve.Rescore(match, "body", " ", 8), 10, 0, true)
	got := find(t, idx, request)
	if len(got.Hits) != len(want.Hits) || len(want.Hits) == 0 {
		t.Fatalf("%d hits, want %d", len(got.Hits), len(want.Hits))
	}
	for i, hit := range got.Hits {
		if hit.ID != want.Hits[i].ID || hit.Score != want.Hits[i].Score {
			t.Errorf("hit %d is %s with the score %v, want %s with %v", i, hit.ID, hit.Score, want.Hits[i].ID, want.Hits[i].Score)
		}
		checkSum(t, hit.Expl)
	}
}
