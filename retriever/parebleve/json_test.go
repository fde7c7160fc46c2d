package parebleve_test

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/search/query"

	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/retriever/parebleve"
)

// request reads a search request from JSON, as a service would.
func request(t testing.TB, text string) *bleve.SearchRequest {
	t.Helper()
	var r bleve.SearchRequest
	check(t, json.Unmarshal([]byte(text), &r))
	return &r
}

// TestJSON asks for the same in Go and in JSON.
func TestJSON(t *testing.T) {
	pages := babble(240, 9)
	idx := create(t, pages, toyOptions())
	match := bleve.NewMatchQuery("w50")
	match.SetField("body")
	filtered := parebleve.NewQuery("body", composeText)
	filtered.SetFilter(match)
	tuned := parebleve.NewQuery("body", composeText)
	tuned.SetBoost(2)
	tuned.SetMatches(7)
	pruner, err := querypruner.Parse("first:2")
	check(t, err)
	tuned.SetPruning(pruner)
	search := index.DefaultSearchOptions()
	search.Budget, search.Depth, search.Plan, search.Workers = 50, 20, index.Exhaustive, 2
	tuned.SetSearch(search)
	for name, test := range map[string]struct {
		json  string
		query query.Query
	}{
		"alone": {
			`{"custom_score":{"query":{"match_all":{}},"maxsim":{"field":"body","text":"w3 w50 w128 w5"}}}`,
			parebleve.NewQuery("body", composeText),
		},
		"null": {
			`{"custom_score":{"query":null,"maxsim":{"field":"body","text":"w3 w50 w128 w5"}}}`,
			parebleve.NewQuery("body", composeText),
		},
		"filtered": {
			`{"custom_score":{"query":{"match":"w50","field":"body"},"maxsim":{"field":"body","text":"w3 w50 w128 w5"}}}`,
			filtered,
		},
		"rescored": {
			`{"custom_score":{"query":{"match":"w50","field":"body"},"maxsim":{"field":"body","text":"w3 w50 w128 w5","window":9}}}`,
			parebleve.Rescore(match, "body", composeText, 9),
		},
		"tuned": {
			`{"custom_score":{"maxsim":{"field":"body","text":"w3 w50 w128 w5","boost":2,"matches":7,"pruning":"first:2","budget":50,"depth":20,"plan":"exhaustive","workers":2}}}`,
			tuned,
		},
		"fused": {
			`{"custom_score":{"rrf":{"window":20,"queries":[{"match":"w50","field":"body"},{"custom_score":{"maxsim":{"field":"body","text":"w3 w50 w128 w5"}}}]}}}`,
			parebleve.Fuse(20, match, parebleve.NewQuery("body", composeText)),
		},
	} {
		t.Run(name, func(t *testing.T) {
			want := find(t, idx, bleve.NewSearchRequest(test.query))
			got := find(t, idx, request(t, `{"query":`+test.json+`}`))
			if !slices.Equal(ids(got), ids(want)) || got.Total != want.Total || got.MaxScore != want.MaxScore {
				t.Errorf("%v of %d, want %v of %d", ids(got), got.Total, ids(want), want.Total)
			}
			// And back again.
			data, err := json.Marshal(test.query)
			check(t, err)
			parsed, err := query.ParseQuery(data)
			check(t, err)
			again, err := json.Marshal(parsed)
			check(t, err)
			if string(again) != string(data) {
				t.Errorf("%s became %s", data, again)
			}
		})
	}
	// Inside a query of bleve's.
	got := find(t, idx, request(t, `{"query":{"must":{"conjuncts":[{"custom_score":{"maxsim":{"field":"body","text":"w3"}}}]},"must_not":{"disjuncts":[{"term":"red","field":"kind"}]}},"size":240}`))
	if got.Total != 160 {
		t.Errorf("%d hits, want 160", got.Total)
	}
}

// TestJSONSettings changes one setting of the search in JSON; the others are
// the index's.
func TestJSONSettings(t *testing.T) {
	pages := babble(240, 9)
	options := toyOptions()
	options.Codebook = trainToy(t, pages, 2)
	options.Search = index.SearchOptions{Plan: index.Probe, Neighbors: 5}
	idx := create(t, pages, options)
	ask := func(settings string) uint64 {
		return find(t, idx, request(t, `{"query":{"custom_score":{"maxsim":{"field":"body","text":"w3 w50 w128 w5"`+settings+`}}}}`)).Total
	}
	few := ask("")
	if few == 0 || few == 240 {
		t.Fatalf("%d documents found, want some", few)
	}
	if n := ask(`,"depth":100`); n != few {
		t.Errorf("with another depth %d documents are found, want %d", n, few)
	}
	if n := ask(`,"plan":"interaction"`); n != 240 {
		t.Errorf("with another plan %d documents are found, want all", n)
	}
	if n := ask(`,"neighbors":40`); n <= few {
		t.Errorf("with more neighbors %d documents are found, want more than %d", n, few)
	}
}

func TestJSONErrors(t *testing.T) {
	for text, says := range map[string]string{
		`{"custom_score":{"query":{"match_all":{}}}}`:                                                          "neither maxsim nor rrf",
		`{"custom_score":{"maxsim":{"text":"a"}}}`:                                                             "no field",
		`{"custom_score":{"maxsim":{"field":"a","text":"b","pruning":"x:1"}}}`:                                 "unknown strategy",
		`{"custom_score":{"maxsim":{"field":"a","text":"b","plan":"x"}}}`:                                      "plan",
		`{"custom_score":{"maxsim":{"field":"a","text":"b","boost":-1}}}`:                                      "boost -1",
		`{"custom_score":{"maxsim":{"field":"a","text":"b","depth":-1}}}`:                                      "depth",
		`{"custom_score":{"maxsim":"a"}}`:                                                                      "cannot unmarshal",
		`{"custom_score":{"query":{"nonsense":1},"maxsim":{"field":"a"}}}`:                                     "unknown query type",
		`{"custom_score":{"rrf":{"window":0,"queries":[{"match_all":{}}]}}}`:                                   "a window of 0",
		`{"custom_score":{"rrf":{"window":10,"queries":[]}}}`:                                                  "nothing to fuse",
		`{"custom_score":{"maxsim":{"field":"a","text":"b","window":9}}}`:                                      "a window without a query",
		`{"custom_score":{"query":null,"maxsim":{"field":"a","window":9}}}`:                                    "a window without a query",
		`{"custom_score":{"query":{"match_all":{}},"maxsim":{"field":"a","window":0}}}`:                        "a window of 0",
		`{"custom_score":{"maxsim":{"field":"a","text":"b","dept":9}}}`:                                        "dept",
		`{"custom_score":{"maxsim":{"field":"a","text":"b"},"fields":["a"]}}`:                                  "fields",
		`{"custom_score":{"maxsim":{"field":"a","text":"b"},"rrf":{"window":1,"queries":[{"match_all":{}}]}}}`: "both maxsim and rrf",
		`{"custom_score":{"maxsim":null}}`:                                                                     "null",
	} {
		if _, err := query.ParseQuery([]byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: error %v, want %q", text, err, says)
		}
	}
	both := parebleve.Rescore(bleve.NewMatchAllQuery(), "body", "a", 5)
	both.SetFilter(bleve.NewMatchAllQuery())
	if _, err := json.Marshal(both); !errors.Is(err, parebleve.ErrQuery) {
		t.Errorf("error %v, want ErrQuery", err)
	}
}

// TestFuse merges two lists and looks at everything that comes with the hits.
func TestFuse(t *testing.T) {
	pages := babble(240, 9)
	idx := create(t, pages, toyOptions())
	match := bleve.NewMatchQuery("w50 w3")
	match.SetField("body")
	q := parebleve.NewQuery("body", composeText)
	want := make(map[string]float64)
	for _, single := range []query.Query{match, q} {
		hits := find(t, idx, bleve.NewSearchRequestOptions(single, 20, 0, false)).Hits
		for _, hit := range hits {
			better := 0
			for _, other := range hits {
				if other.Score > hit.Score || other.Score == hit.Score && other.ID > hit.ID {
					better++
				}
			}
			want[hit.ID] += 1 / float64(61+better)
		}
	}
	r := bleve.NewSearchRequestOptions(parebleve.Fuse(20, match, q), 50, 0, true)
	r.Highlight = bleve.NewHighlight()
	result := find(t, idx, r)
	if len(result.Hits) != len(want) {
		t.Errorf("%d hits, want %d", len(result.Hits), len(want))
	}
	for _, hit := range result.Hits {
		if math.Abs(hit.Score-want[hit.ID]) > 1e-9 {
			t.Errorf("%s has the score %v, want %v", hit.ID, hit.Score, want[hit.ID])
		}
		checkSum(t, hit.Expl)
		if len(hit.Fragments["body"]) == 0 {
			t.Errorf("%s has no fragments", hit.ID)
		}
	}
}
