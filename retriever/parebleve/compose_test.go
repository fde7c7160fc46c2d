package parebleve_test

import (
	"cmp"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/search"
	"github.com/blevesearch/bleve/v2/search/query"

	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/retriever/parebleve"
)

// ranking lists the ids of pages by MaxSim with a text, best first, by plain
// loops.
func ranking(t testing.TB, pages map[string]page, text string) []string {
	t.Helper()
	scores := make(map[string]float64)
	for id, p := range pages {
		scores[id] = maxSim(t, text, p.Body)
	}
	return slices.SortedFunc(maps.Keys(pages), func(a, b string) int {
		return cmp.Or(cmp.Compare(scores[b], scores[a]), cmp.Compare(a, b))
	})
}

const composeText = "w3 w50 w128 w5"

// TestCompose looks for the same documents in many ways.
func TestCompose(t *testing.T) {
	pages := babble(240, 9)
	idx := create(t, pages, toyOptions())
	q := parebleve.NewQuery("body", composeText)
	all := ranking(t, pages, composeText)
	keep := func(pass func(page) bool) []string {
		return slices.DeleteFunc(slices.Clone(all), func(id string) bool { return !pass(pages[id]) })
	}
	match := bleve.NewMatchQuery("w50")
	match.SetField("body")
	has := func(p page, word string) bool { return slices.Contains(strings.Fields(p.Body), word) }

	mustNot := bleve.NewBooleanQuery()
	mustNot.AddMust(q)
	mustNot.AddMustNot(match)
	filter := bleve.NewBooleanQuery()
	filter.AddMust(q)
	filter.AddFilter(bleve.NewConjunctionQuery(match, kinds("blue")))
	years := bleve.NewNumericRangeQuery(ptr(1950), ptr(2000))
	years.SetField("year")
	constant := func(inner query.Query) query.Query { // matches without adding to the score
		b := bleve.NewBooleanQuery()
		b.AddFilter(inner)
		return b
	}
	for name, test := range map[string]struct {
		query query.Query
		want  []string
	}{
		"alone":       {q, all},
		"must not":    {mustNot, keep(func(p page) bool { return !has(p, "w50") })},
		"filter":      {filter, keep(func(p page) bool { return has(p, "w50") && p.Kind == "blue" })},
		"conjunction": {bleve.NewConjunctionQuery(q, constant(years)), keep(func(p page) bool { return p.Year >= 1950 && p.Year < 2000 })},
	} {
		request := bleve.NewSearchRequestOptions(test.query, 240, 0, false)
		result := find(t, idx, request)
		if int(result.Total) != len(test.want) {
			t.Errorf("%s: %d hits, want %d", name, result.Total, len(test.want))
		}
		for i, id := range ids(result)[:min(5, len(result.Hits))] {
			if id != test.want[i] {
				t.Errorf("%s: hit %d is %s, want %s", name, i, id, test.want[i])
			}
		}
	}

	// Must and should: the scores add up.
	both := bleve.NewBooleanQuery()
	both.AddMust(q)
	both.AddShould(match)
	words := make(map[string]float64)
	for _, hit := range find(t, idx, bleve.NewSearchRequestOptions(both, 240, 0, false)).Hits {
		words[hit.ID] = hit.Score - maxSim(t, composeText, pages[hit.ID].Body)
	}
	if len(words) != 240 {
		t.Errorf("must and should: %d hits, want 240", len(words))
	}
	for id, extra := range words {
		if has(pages[id], "w50") != (extra > 0.05) {
			t.Errorf("must and should: %s has %v from the words, w50 in it: %v", id, extra, has(pages[id], "w50"))
		}
	}
}

// TestFacetsFieldsSort checks what goes with the hits.
func TestFacetsFieldsSort(t *testing.T) {
	pages := babble(240, 9)
	idx := create(t, pages, toyOptions())
	request := bleve.NewSearchRequestOptions(parebleve.NewQuery("body", composeText), 10, 0, false)
	request.AddFacet("kinds", bleve.NewFacetRequest("kind", 5))
	request.Fields = []string{"title", "year"}
	result := find(t, idx, request)
	if f := result.Facets["kinds"]; f.Total != 240 || f.Terms.Len() != 3 {
		t.Errorf("facets %+v, want three terms and 240 documents", f)
	}
	for _, hit := range result.Hits {
		if hit.Fields["title"] != pages[hit.ID].Title || hit.Fields["year"] != pages[hit.ID].Year {
			t.Errorf("%s has the fields %v", hit.ID, hit.Fields)
		}
	}

	request = bleve.NewSearchRequestOptions(parebleve.NewQuery("body", composeText), 240, 0, false)
	request.SortBy([]string{"-year"})
	result = find(t, idx, request)
	for i, hit := range result.Hits {
		if want := 1900 + 239 - i; int(pages[hit.ID].Year) != want {
			t.Fatalf("hit %d is of %v, want %d", i, pages[hit.ID].Year, want)
		}
	}
}

// TestAlias searches several indexes as one, with one codebook and with each
// its own, and with one that is closed.
func TestAlias(t *testing.T) {
	pages := babble(240, 9)
	parts := make([]map[string]page, 3)
	for i := range parts {
		parts[i] = make(map[string]page)
	}
	for id, p := range pages {
		parts[int(p.Year)%3][id] = p
	}
	shared := trainToy(t, pages, 4)
	for _, together := range []bool{true, false} {
		var children []bleve.Index
		for _, part := range parts {
			options := toyOptions()
			options.Search.Plan = index.Exhaustive
			options.Codebook = shared
			if !together {
				options.Codebook = trainToy(t, part, 4)
			}
			children = append(children, create(t, part, options))
		}
		alias := bleve.NewIndexAlias(children...)
		q := parebleve.NewQuery("body", composeText)
		result := find(t, alias, bleve.NewSearchRequestOptions(q, 30, 0, false))
		if result.Total != 240 || len(result.Hits) != 30 {
			t.Errorf("%d hits of %d, want 30 of 240", len(result.Hits), result.Total)
		}
		// What all children find, merged by plain sorting.
		var merged []*search.DocumentMatch
		for _, child := range children {
			merged = append(merged, find(t, child, bleve.NewSearchRequestOptions(q, 30, 0, false)).Hits...)
		}
		slices.SortStableFunc(merged, func(a, b *search.DocumentMatch) int { return cmp.Compare(b.Score, a.Score) })
		best := maxSim(t, composeText, pages[ranking(t, pages, composeText)[0]].Body)
		for i, hit := range result.Hits {
			if hit.Score != merged[i].Score {
				t.Errorf("hit %d has the score %v, want %v", i, hit.Score, merged[i].Score)
			}
			// Four bits per dimension.
			if want := maxSim(t, composeText, pages[hit.ID].Body); math.Abs(hit.Score-want) > 0.15 || i == 0 && best-want > 0.15 {
				t.Errorf("hit %d is %s with the score %v, by plain loops %v, the best has %v", i, hit.ID, hit.Score, want, best)
			}
		}
		if err := children[1].Close(); err != nil {
			t.Fatal(err)
		}
		result = find(t, alias, bleve.NewSearchRequestOptions(q, 5, 0, false))
		if len(result.Hits) != 5 || result.Status.Failed != 1 || result.Status.Successful != 2 {
			t.Errorf("status %+v, want one failed and two successful", result.Status)
		}
	}
}

// TestRescore scores the hits of another query.
func TestRescore(t *testing.T) {
	pages := babble(240, 9)
	idx := create(t, pages, toyOptions())
	match := bleve.NewMatchQuery("w50 w3")
	match.SetField("body")
	first := find(t, idx, bleve.NewSearchRequestOptions(match, 15, 0, false))
	window := make(map[string]page)
	for _, hit := range first.Hits {
		window[hit.ID] = pages[hit.ID]
	}
	result := find(t, idx, bleve.NewSearchRequestOptions(parebleve.Rescore(match, "body", composeText, 15), 20, 0, false))
	if got, want := ids(result), ranking(t, window, composeText); !slices.Equal(got, want) {
		t.Errorf("hits %v, want %v", got, want)
	}
	for _, hit := range result.Hits {
		if want := maxSim(t, composeText, window[hit.ID].Body); math.Abs(hit.Score-want) > 0.03 {
			t.Errorf("%s has the score %v, want %v", hit.ID, hit.Score, want)
		}
	}
	// A window of a query that is itself a query of this package.
	inner := parebleve.NewQuery("body", "w50")
	result = find(t, idx, bleve.NewSearchRequestOptions(parebleve.Rescore(inner, "body", composeText, 12), 20, 0, false))
	if len(result.Hits) != 12 {
		t.Errorf("%d hits, want 12", len(result.Hits))
	}
}

// TestRescoreWithoutVectors scores the hits of an index that was made by bleve
// alone.
func TestRescoreWithoutVectors(t *testing.T) {
	pages := babble(120, 9)
	plain := plainIndex(t, filepath.Join(t.TempDir(), "plain.bleve"), pages)
	idx, err := parebleve.Wrap(plain, toyOptions())
	if err != nil {
		t.Fatal(err)
	}
	defer idx.Close()
	match := bleve.NewMatchQuery("w50 w3")
	match.SetField("body")
	result := find(t, idx, bleve.NewSearchRequestOptions(parebleve.Rescore(match, "body", composeText, 15), 20, 0, false))
	if len(result.Hits) != 15 {
		t.Fatalf("%d hits, want 15", len(result.Hits))
	}
	for _, hit := range result.Hits {
		if want := maxSim(t, composeText, pages[hit.ID].Body); math.Abs(hit.Score-want) > 1e-4 {
			t.Errorf("%s has the score %v, want %v", hit.ID, hit.Score, want)
		}
	}
	// Half of the documents get vectors; a window has both kinds.
	half := maps.Clone(pages)
	maps.DeleteFunc(half, func(_ string, p page) bool { return int(p.Year)%2 == 0 })
	add(t, idx, half)
	request := bleve.NewSearchRequestOptions(parebleve.Rescore(match, "body", composeText, 15), 20, 0, false)
	request.Explain = true
	for _, hit := range find(t, idx, request).Hits {
		if want := maxSim(t, composeText, pages[hit.ID].Body); math.Abs(hit.Score-want) > 0.03 {
			t.Errorf("%s has the score %v, want %v", hit.ID, hit.Score, want)
		}
		checkSum(t, hit.Expl)
	}
}

// checkSum checks that an explanation's value is the sum of its children's,
// but for those that say they are no part of it.
func checkSum(t *testing.T, e *search.Explanation) {
	t.Helper()
	var sum float64
	for _, child := range e.Children {
		if !child.PartialMatch {
			sum += child.Value
		}
	}
	if math.Abs(sum-e.Value) > 1e-5 {
		t.Errorf("%v is explained as the sum of %v", e.Value, sum)
	}
}

// TestExplanation reads the explanation of a hit.
func TestExplanation(t *testing.T) {
	idx := create(t, map[string]page{
		"a": {Body: "prune apple trees in winter"},
		"b": {Body: "graft the scion in spring"},
		"c": {Body: "store late apples in a cool cellar"},
	}, toyOptions())
	q := parebleve.NewQuery("body", "prune in winter")
	pruner, err := querypruner.Parse("first:1")
	if err != nil {
		t.Fatal(err)
	}
	q.SetPruning(pruner)
	request := bleve.NewSearchRequest(q)
	request.Explain = true
	hit := find(t, idx, request).Hits[0]
	checkSum(t, hit.Expl)
	if hit.ID != "a" || math.Abs(hit.Expl.Value-hit.Score) > 1e-9 {
		t.Errorf("%s with the score %v is explained as %v", hit.ID, hit.Score, hit.Expl.Value)
	}
	for i, want := range []string{
		`"prune" looked for candidates (rank 1), best match "prune"`,
		`"in" dropped from the search for candidates (rank 2), best match "in"`,
		`"winter" dropped from the search for candidates (rank 3), best match "winter"`,
	} {
		if got := hit.Expl.Children[i].Message; got != want {
			t.Errorf("row %d: %s, want %s", i, got, want)
		}
	}
	// Boosted, and inside another query.
	q.SetBoost(3)
	both := bleve.NewBooleanQuery()
	both.AddMust(q)
	both.AddShould(bleve.NewMatchAllQuery())
	request = bleve.NewSearchRequest(both)
	request.Explain = true
	text := find(t, idx, request).Hits[0].Expl.String()
	for _, want := range []string{"boost", "MaxSim of", `best match \"winter\"`} {
		if !strings.Contains(text, want) {
			t.Errorf("the explanation lacks %q:\n%s", want, text)
		}
	}
}

// TestHighlight looks at the fragments: the tokens of the document that match
// the query's best are marked, in every value of a field.
func TestHighlight(t *testing.T) {
	idx := create(t, nil, toyOptions())
	docs := map[string]any{
		"a": page{Body: "the quick brown fox and others"},
		"b": map[string]any{"body": []any{"slow white sheep", "a quick black cat", "another fox here"}},
	}
	for id, doc := range docs {
		if err := idx.Index(id, doc); err != nil {
			t.Fatal(err)
		}
	}
	for name, q := range map[string]query.Query{
		"alone":    parebleve.NewQuery("body", "quick fox"),
		"rescored": parebleve.Rescore(bleve.NewMatchAllQuery(), "body", "quick fox", 10),
	} {
		request := bleve.NewSearchRequest(q)
		request.Highlight = bleve.NewHighlightWithStyle("html")
		request.IncludeLocations = true
		want := map[string]string{
			"a": "the <mark>quick</mark> brown <mark>fox</mark> and others",
			"b": "a <mark>quick</mark> black cat",
		}
		for _, hit := range find(t, idx, request).Hits {
			got := strings.Join(hit.Fragments["body"], " | ")
			if !strings.Contains(got, want[hit.ID]) {
				t.Errorf("%s: %s has the fragments %s, want %s", name, hit.ID, got, want[hit.ID])
			}
			if hit.ID == "b" {
				if at := hit.Locations["body"]["fox"]; len(at) != 1 || !at[0].ArrayPositions.Equals([]uint64{2}) || at[0].Start != 8 || at[0].Pos != 2 {
					t.Errorf("%s: fox is at %v, want the third value, byte 8, second token", name, at)
				}
			}
		}
	}
}

// TestQueryErrors checks what is said about queries that make no sense.
func TestQueryErrors(t *testing.T) {
	idx := create(t, babble(20, 1), toyOptions())
	for says, q := range map[string]*parebleve.Query{
		"field has no vectors": parebleve.NewQuery("title", "w1"),
		"a window of 0 hits":   parebleve.Rescore(bleve.NewMatchAllQuery(), "body", "w1", 0),
		"no field":             parebleve.NewQuery("", "w1"),
		"boost -1, want 0":     func() *parebleve.Query { q := parebleve.NewQuery("body", "w"); q.SetBoost(-1); return q }(),
	} {
		if _, err := idx.Search(bleve.NewSearchRequest(q)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want %q", err, says)
		}
	}
	plain, err := bleve.NewMemOnly(bleve.NewIndexMapping())
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if _, err := plain.Search(bleve.NewSearchRequest(parebleve.NewQuery("body", "w1"))); err == nil || !strings.Contains(err.Error(), "not opened by parebleve") {
		t.Errorf("error %v, want one about how the index was opened", err)
	}
}
