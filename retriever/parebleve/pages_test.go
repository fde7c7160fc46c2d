package parebleve_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/index/scorch"
	"github.com/blevesearch/bleve/v2/search"
	"github.com/blevesearch/bleve/v2/search/query"

	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/retriever/parebleve"
)

// settle merges an index to one segment, so that no merge in the background
// changes the order of hits that score the same.
func settle(t *testing.T, idx *parebleve.Index) {
	t.Helper()
	advanced, err := idx.Advanced()
	check(t, err)
	check(t, advanced.(*scorch.Scorch).ForceMerge(t.Context(), nil))
}

// ranked lists hits with their scores.
func ranked(hits search.DocumentMatchCollection) []string {
	var list []string
	for _, hit := range hits {
		list = append(list, fmt.Sprintf("%s %v", hit.ID, hit.Score))
	}
	return list
}

// byNumber goes through the first n hits in pages, by From and Size.
func byNumber(t *testing.T, idx bleve.Index, q query.Query, n, size int) []string {
	t.Helper()
	var list []string
	for from := 0; from < n; from += size {
		request := bleve.NewSearchRequestOptions(q, min(size, n-from), from, false)
		if _, ok := idx.(bleve.IndexAlias); ok {
			// bleve puts equal hits of several indexes in the order in which
			// these answer.
			request.SortBy([]string{"-_score", "_id"})
		}
		list = append(list, ranked(find(t, idx, request).Hits)...)
	}
	return list
}

// byCursor goes through the hits in pages, by SearchAfter, until there are n.
func byCursor(t *testing.T, idx bleve.Index, q query.Query, n, size int) []string {
	t.Helper()
	var list []string
	var after []string
	for len(list) < n {
		request := bleve.NewSearchRequestOptions(q, min(size, n-len(list)), 0, false)
		request.SortBy([]string{"-_score", "_id"})
		request.SearchAfter = after
		hits := find(t, idx, request).Hits
		if len(hits) == 0 {
			break
		}
		list = append(list, ranked(hits)...)
		last := hits[len(hits)-1]
		after = []string{strconv.FormatFloat(last.Score, 'g', -1, 64), last.ID}
	}
	return list
}

// backwards goes through the n hits before a cursor in pages, by SearchBefore.
func backwards(t *testing.T, idx bleve.Index, q query.Query, cursor string, size int) []string {
	t.Helper()
	var list []string
	for {
		id, score, _ := strings.Cut(cursor, " ")
		request := bleve.NewSearchRequestOptions(q, size, 0, false)
		request.SortBy([]string{"-_score", "_id"})
		request.SearchBefore = []string{score, id}
		page := ranked(find(t, idx, request).Hits)
		if len(page) == 0 {
			return list
		}
		list = append(page, list...)
		cursor = page[0]
	}
}

// TestPagesAgree goes through results page by page, on both sides of the steps
// in which candidates grow: all pages together are what one large page is. Most
// candidates are left out by their cells, which rank otherwise than scores do,
// and many documents score the same.
func TestPagesAgree(t *testing.T) {
	random := rand.New(rand.NewPCG(8, 1))
	pages := babble(900, 9)
	for i := range 200 {
		pages[fmt.Sprintf("e%04d", i)] = pages[fmt.Sprintf("d%04d", 30*random.IntN(30))]
	}
	options := toyOptions()
	options.Codebook = trainToy(t, pages, 1)
	parts := []map[string]page{{}, {}}
	for id, p := range pages {
		parts[int(p.Year)%2][id] = p
	}
	whole := create(t, pages, options)
	one, two := create(t, parts[0], options), create(t, parts[1], options)
	for _, idx := range []*parebleve.Index{whole, one, two} {
		settle(t, idx)
	}
	const deepest = 700
	for i, text := range []string{pages["d0030"].Body, composeText} {
		alone := func(depth int) *parebleve.Query {
			q := parebleve.NewQuery("body", text)
			search := index.DefaultSearchOptions()
			search.Plan, search.Depth = index.Interaction, depth
			q.SetSearch(search)
			return q
		}
		boosted := alone(0)
		boosted.SetBoost(0.7)
		must := bleve.NewBooleanQuery()
		must.AddMust(alone(0))
		must.AddShould(kinds("blue"))
		alias := bleve.NewIndexAlias(one, two)
		for name, form := range map[string]struct {
			index bleve.Index
			query query.Query
		}{
			"alone":         {whole, alone(0)},
			"depth":         {whole, alone(90)},
			"boosted":       {whole, boosted},
			"must":          {whole, must},
			"alias":         {alias, alone(0)},
			"must in alias": {alias, must},
		} {
			t.Run(fmt.Sprintf("%s %d", name, i), func(t *testing.T) { testPagesAgree(t, form.index, form.query, deepest) })
		}
	}
}

func testPagesAgree(t *testing.T, idx bleve.Index, q query.Query, n int) {
	all := byNumber(t, idx, q, n, n)
	if len(all) != n {
		t.Fatalf("%d hits, want %d", len(all), n)
	}
	distinct := slices.Clone(all)
	slices.Sort(distinct)
	if len(slices.Compact(distinct)) != n {
		t.Error("a hit comes twice")
	}
	for _, size := range []int{90, 128, 1 + n/2} {
		if got := byNumber(t, idx, q, n, size); !slices.Equal(got, all) {
			t.Errorf("pages of %d hits: %s", size, firstDifference(got, all))
		}
	}
	// By cursor, hits that score the same come in the order of their ids.
	request := bleve.NewSearchRequestOptions(q, n, 0, false)
	request.SortBy([]string{"-_score", "_id"})
	ordered := ranked(find(t, idx, request).Hits)
	score := func(hit string) string { _, s, _ := strings.Cut(hit, " "); return s }
	for i := range ordered {
		if score(ordered[i]) != score(all[i]) {
			t.Fatalf("hit %d is %s, want a score as that of %s", i, ordered[i], all[i])
		}
	}
	for _, size := range []int{90, 350} {
		if got := byCursor(t, idx, q, n, size); !slices.Equal(got, ordered) {
			t.Errorf("by cursor, %d hits each: %s", size, firstDifference(got, ordered))
		}
	}
	if got := backwards(t, idx, q, ordered[n-1], 150); !slices.Equal(got, ordered[:n-1]) {
		t.Errorf("backwards: %s", firstDifference(got, ordered))
	}
}

func firstDifference(got, want []string) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("hit %d is %s, want %s", i, got[i], want[i])
		}
	}
	return fmt.Sprintf("%d hits, want %d", len(got), len(want))
}

// TestNoCursor: a request in JSON may have a cursor of fewer values than it sorts
// by, or of more.
func TestNoCursor(t *testing.T) {
	idx := create(t, babble(5, 40), toyOptions())
	for _, text := range []string{`"search_after": []`, `"search_before": []`, `"search_after": ["x", "y"]`} {
		var request bleve.SearchRequest
		check(t, json.Unmarshal([]byte(`{"query": {"match_all": {}}, "size": 2, "sort": ["-_score"], `+text+`}`), &request))
		request.Query = parebleve.NewQuery("body", "plum")
		if result, err := idx.Search(&request); err == nil {
			t.Errorf("%s: %d hits, want an error", text, len(result.Hits))
		}
	}
}
