package parebleve_test

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/blevesearch/bleve/v2"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/index/docpruner"
	"github.com/pare-search/pare/retriever/parebleve"
)

// fitToy fits a pruner of documents to pages.
func fitToy(t testing.TB, pages map[string]page, spec string) *docpruner.Fitted {
	t.Helper()
	pruner, err := docpruner.Parse(spec)
	check(t, err)
	fitted, err := pruner.Fit(t.Context(), func(yield func(encoder.Tokens, error) bool) {
		for _, p := range pages {
			if !yield(toy.EncodeQuery(t.Context(), p.Body)) {
				return
			}
		}
	}, docpruner.DefaultFitOptions())
	check(t, err)
	return fitted
}

// TestDocumentPruner stores a part of the vectors: scores, explanations and
// highlights are about that part, whether documents were added or got their
// vectors by Reindex, or, coded anew, lost their texts.
func TestDocumentPruner(t *testing.T) {
	pages := babble(200, 40)
	const start = "the common start "
	for id, p := range pages {
		if id != "d0000" { // what all documents have is taken for a mark of the encoder's
			p.Body = start + p.Body
			pages[id] = p
		}
	}
	options := toyOptions()
	options.TrainingVectors = -1
	options.DocumentPruner = fitToy(t, pages, "idf:3")
	added := create(t, pages, options)
	reindexed, err := parebleve.Wrap(plainIndex(t, filepath.Join(t.TempDir(), "plain.bleve"), pages), options)
	check(t, err)
	defer reindexed.Close()
	check(t, reindexed.Reindex(t.Context(), nil))
	for name, idx := range map[string]*parebleve.Index{"added": added, "reindexed": reindexed} {
		vectors := int64(0)
		for _, p := range pages {
			vectors += int64(len(strings.Fields(strings.TrimPrefix(p.Body, start))))
		}
		if s := status(t, idx); s.Vectors != vectors || s.WithVectors != 200 {
			t.Errorf("%s: %+v, want %d vectors of 200 documents", name, s, vectors)
		}
		request := bleve.NewSearchRequestOptions(parebleve.NewQuery("body", "w3 w50 common"), 20, 0, false)
		request.Highlight = bleve.NewHighlightWithStyle("html")
		request.Explain = true
		for _, hit := range find(t, idx, request).Hits {
			text := hit.Expl.String()
			if strings.Contains(text, `best match \"common\"`) {
				t.Errorf("%s: %s is said to match a token that is not stored:\n%s", name, hit.ID, text)
			}
			for _, word := range []string{"w3", "w50"} {
				if strings.Contains(" "+pages[hit.ID].Body+" ", " "+word+" ") && !strings.Contains(text, `best match \"`+word+`\"`) {
					t.Errorf("%s: %s matches %s otherwise:\n%s", name, hit.ID, word, text)
				}
			}
			if marked := strings.Join(hit.Fragments["body"], " "); strings.Contains(marked, "<mark>common</mark>") {
				t.Errorf("%s: a token is marked that is not stored: %s", name, marked)
			}
			own := strings.TrimPrefix(pages[hit.ID].Body, start)
			if want := maxSim(t, "w3 w50 common", own); math.Abs(hit.Score-want) > 0.35 { // its first word leans on another now
				t.Errorf("%s: %s has the score %v, want %v", name, hit.ID, hit.Score, want)
			}
		}
	}
	// Vectors that are coded anew are not pruned again.
	before := status(t, added).Vectors
	check(t, added.Train(t.Context(), nil))
	settle(t, added)
	if s := status(t, added); s.Vectors != before || s.Cells == 1 {
		t.Errorf("%+v, want %d vectors still", s, before)
	}
	bad := toyOptions()
	bad.DocumentPruner = options.DocumentPruner
	bad.Encoder = constant{toyDim * 2}
	if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), "document pruner") {
		t.Errorf("error %v, want one about the document pruner", err)
	}
}

// TestDocumentPrunerKept opens an index again without a pruner, which goes on
// with the one it had, until it is given one that prunes nothing.
func TestDocumentPrunerKept(t *testing.T) {
	pages := babble(60, 40)
	options := toyOptions()
	options.TrainingVectors = -1
	options.DocumentPruner = fitToy(t, pages, "ward:2")
	path := filepath.Join(t.TempDir(), "kept.bleve")
	idx, err := parebleve.New(path, pageMapping(), options)
	check(t, err)
	add := func(id string) (vectors int64) {
		before := status(t, idx).Vectors
		check(t, idx.Index(id, page{Body: "one two three four five six"}))
		return status(t, idx).Vectors - before
	}
	if n := add("a"); n != 3 {
		t.Errorf("%d vectors of six words, want 3", n)
	}
	// A vector that two words were merged into stands for the one that is asked for.
	for _, word := range []string{"one", "two", "three", "four", "five", "six"} {
		request := bleve.NewSearchRequestOptions(parebleve.NewQuery("body", word), 1, 0, true)
		hits := find(t, idx, request).Hits
		if len(hits) != 1 || !strings.Contains(hits[0].Expl.String(), `best match \"`+word+`\"`) {
			t.Errorf("%s matches otherwise: %v", word, hits)
		}
	}
	for _, test := range []struct {
		id     string
		pruner *docpruner.Fitted
		want   int64
	}{{"b", nil, 3}, {"c", fitToy(t, pages, "none"), 6}, {"d", nil, 6}} {
		check(t, idx.Close())
		options.DocumentPruner = test.pruner
		idx, err = parebleve.Open(path, pageMapping(), options)
		check(t, err)
		if n := add(test.id); n != test.want {
			t.Errorf("%s: %d vectors of six words, want %d", test.id, n, test.want)
		}
	}
	check(t, idx.Close())
}
