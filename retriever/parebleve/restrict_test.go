package parebleve_test

import (
	"slices"
	"testing"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/search/query"

	"github.com/pare-search/pare/retriever/parebleve"
)

// TestRestrictions puts a query beside clauses that most of its best documents
// do not pass: those that pass must be found all the same, though they are far
// beyond Options.Matches.
func TestRestrictions(t *testing.T) {
	pages := babble(300, 9)
	options := toyOptions()
	options.Matches = 20
	idx := create(t, pages, options)
	q := parebleve.NewQuery("body", composeText)
	years := bleve.NewNumericRangeQuery(ptr(1950), ptr(1995))
	years.SetField("year")
	passes := func(p page) bool { return p.Kind == "blue" && p.Year >= 1950 && p.Year < 1995 } // 15 pages
	var want []string
	for _, id := range ranking(t, pages, composeText) {
		if passes(pages[id]) {
			want = append(want, id)
		}
	}
	both := bleve.NewConjunctionQuery(kinds("blue"), years)
	boolean := func(build func(*query.BooleanQuery)) query.Query {
		b := bleve.NewBooleanQuery()
		build(b)
		return b
	}
	silent := func(inner query.Query) query.Query { // matches without adding to the score
		return boolean(func(b *query.BooleanQuery) { b.AddFilter(inner) })
	}
	outside := boolean(func(b *query.BooleanQuery) { b.AddMust(bleve.NewMatchAllQuery()); b.AddMustNot(years) })
	for name, composed := range map[string]query.Query{
		"filter":      boolean(func(b *query.BooleanQuery) { b.AddMust(q); b.AddFilter(both) }),
		"must":        boolean(func(b *query.BooleanQuery) { b.AddMust(silent(years), q, silent(kinds("blue"))) }),
		"conjunction": bleve.NewConjunctionQuery(silent(both), q),
		"must not":    boolean(func(b *query.BooleanQuery) { b.AddMust(q); b.AddMustNot(kinds("red"), kinds("green"), outside) }),
		"should": boolean(func(b *query.BooleanQuery) {
			b.AddMust(silent(years))
			b.AddFilter(kinds("blue"))
			b.AddShould(q)
		}),
		"within": bleve.NewConjunctionQuery(silent(years), boolean(func(b *query.BooleanQuery) {
			b.AddMust(bleve.NewDisjunctionQuery(q))
			b.AddMustNot(kinds("red"), kinds("green"))
		})),
	} {
		result := find(t, idx, bleve.NewSearchRequestOptions(composed, 40, 0, false))
		if int(result.Total) != len(want) {
			t.Errorf("%s: %d hits, want %d", name, result.Total, len(want))
			continue
		}
		if got := ids(result); !slices.Equal(got[:5], want[:5]) {
			t.Errorf("%s: hits %v, want %v", name, got[:5], want[:5])
		}
	}
	// Two queries of this package beside each other do not wait for each other.
	two := bleve.NewConjunctionQuery(q, parebleve.NewQuery("body", composeText))
	if n := find(t, idx, bleve.NewSearchRequest(two)).Total; n != 20 {
		t.Errorf("%d hits of two queries, want 20", n)
	}
	// One in several places is restricted by none of them: it matches the best 40,
	// as many as are asked for.
	twice := bleve.NewDisjunctionQuery(
		bleve.NewConjunctionQuery(q, silent(kinds("red"))),
		bleve.NewConjunctionQuery(q, silent(kinds("green"))),
	)
	for _, hit := range find(t, idx, bleve.NewSearchRequestOptions(twice, 40, 0, false)).Hits {
		if !slices.Contains(ranking(t, pages, composeText)[:45], hit.ID) {
			t.Errorf("%s is not among the best", hit.ID)
		}
	}
}

// TestRestrictionsNested does so in an index with nested documents, where a
// must_not drops the documents that bleve drops: those that match themselves, not
// those that have a part that matches.
func TestRestrictionsNested(t *testing.T) {
	text := bleve.NewTextFieldMapping()
	parts := bleve.NewNestedDocumentMapping()
	parts.AddFieldMappingsAt("text", text)
	m := bleve.NewIndexMapping()
	m.DefaultMapping.AddFieldMappingsAt("body", text)
	m.DefaultMapping.AddFieldMappingsAt("kind", bleve.NewKeywordFieldMapping())
	m.DefaultMapping.AddSubDocumentMapping("parts", parts)
	options := toyOptions()
	options.Matches = 10
	idx, err := parebleve.New("", m, options)
	check(t, err)
	defer idx.Close()
	pages := babble(120, 23)
	batch := idx.NewBatch()
	for id, p := range pages {
		check(t, batch.Index(id, map[string]any{
			"body": p.Body, "kind": p.Kind,
			"parts": []any{map[string]any{"text": "part"}, map[string]any{"text": p.Kind}},
		}))
	}
	check(t, idx.Batch(batch))
	order := ranking(t, pages, composeText)
	blue := slices.DeleteFunc(slices.Clone(order), func(id string) bool { return pages[id].Kind != "blue" })
	part := bleve.NewMatchQuery("red")
	part.SetField("parts.text")
	for name, test := range map[string]struct {
		drops []query.Query
		want  []string
	}{
		"documents":    {[]query.Query{kinds("red"), kinds("green")}, blue},
		"parts":        {[]query.Query{part}, order},
		"both of them": {[]query.Query{part, kinds("red"), kinds("green")}, blue},
	} {
		b := bleve.NewBooleanQuery()
		b.AddMust(parebleve.NewQuery("body", composeText))
		b.AddMustNot(test.drops...)
		if got := ids(find(t, idx, bleve.NewSearchRequest(b))); !slices.Equal(got, test.want[:10]) {
			t.Errorf("%s: hits %v, want %v", name, got, test.want[:10])
		}
		// What bleve drops of all documents.
		b = bleve.NewBooleanQuery()
		b.AddMust(bleve.NewDisjunctionQuery(kinds("red"), kinds("green"), kinds("blue")))
		b.AddMustNot(test.drops...)
		if n := find(t, idx, bleve.NewSearchRequest(b)).Total; int(n) != len(test.want) {
			t.Errorf("%s: bleve keeps %d documents, want %d", name, n, len(test.want))
		}
	}
}
