package retriever_test

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/retriever"
	"github.com/pare-search/pare/simd"
)

// TestExplainScore checks that an explanation has the very score that Search
// gives, and that its rows add up to it.
func TestExplainScore(t *testing.T) {
	documents := babble(200, 100)
	for _, kind := range codec.Kinds {
		options := buildOptions(kind)
		options.Encoder = toy
		r := build(t, documents, options)
		for _, pruner := range []string{
			"all", "icf:3", "first:2", "icf:3+scorekept", "random:50%+scorekept",
			"weigh:idf", "icf:2+merge:0.3", "icf:2+merge:0.3+weigh:idf+scorekept",
		} {
			settings := probing(t, pruner, 20, 30)
			query := documents[17].Text
			results := search(t, r, query, settings)
			if len(results.Hits) == 0 {
				t.Fatal("nothing found")
			}
			for _, hit := range results.Hits {
				e, err := r.Explain(t.Context(), query, hit.ID, settings)
				if err != nil {
					t.Fatal(err)
				}
				if e.ID != hit.ID || e.Score != hit.Score {
					t.Errorf("%v, %s: %s has the score %v, explained as %v", kind, pruner, hit.ID, hit.Score, e.Score)
				}
				var sum float32
				var rows []querypruner.Row
				var scored []int
				for i, row := range e.Rows {
					rows = append(rows, row.Row)
					if row.Scored {
						sum += row.Similarity
						scored = append(scored, i)
					}
				}
				if sum != e.Score {
					t.Errorf("%v, %s: rows add up to %v, the score is %v", kind, pruner, sum, e.Score)
				}
				searched := slices.Clone(results.Selection.Rows)
				for i := range searched {
					searched[i].Cells, searched[i].Postings = 0, 0
				}
				if !slices.Equal(rows, searched) {
					t.Errorf("%v, %s: rows %v, Search had %v", kind, pruner, rows, searched)
				}
				want := results.Selection.Score
				if want == nil {
					want = slices.Collect(func(yield func(int) bool) {
						for i := range rows {
							if !yield(i) {
								return
							}
						}
					})
				}
				if !slices.Equal(scored, want) {
					t.Errorf("%v, %s: rows %v score, want %v", kind, pruner, scored, want)
				}
			}
		}
	}
}

// TestExplainMatch compares the matches with a plain loop over the vectors.
func TestExplainMatch(t *testing.T) {
	for _, stored := range []bool{true, false} {
		options := buildOptions(codec.Float32)
		options.Index.StoreText = stored
		r := build(t, orchard, options)
		const query = "Pruning a plum-tree, never in the Winters"
		tokens, err := r.Encoder().EncodeQuery(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range orchard {
			encoded, err := r.Encoder().EncodeDocuments(t.Context(), []string{document.Text})
			if err != nil {
				t.Fatal(err)
			}
			vectors, spans := encoded[0].Vectors, encoded[0].Spans
			e, err := r.Explain(t.Context(), query, document.ID, retriever.DefaultOptions())
			if err != nil {
				t.Fatal(err)
			}
			if want := map[bool]string{true: document.Text}[stored]; e.Text != want {
				t.Errorf("%s: text %q, want %q", document.ID, e.Text, want)
			}
			var queryWords []string
			for i, row := range e.Rows {
				queryWords = append(queryWords, row.Token)
				if vectors.Rows == 0 {
					if row.Match != -1 || row.Similarity != 0 {
						t.Errorf("%s, row %d: vector %d with %v, want none", document.ID, i, row.Match, row.Similarity)
					}
					continue
				}
				// The vector matched is the most similar one, but for rounding.
				similarities := make([]float32, vectors.Rows)
				for j := range similarities {
					similarities[j] = simd.Dot(tokens.Vectors.Row(i), vectors.Row(j))
				}
				best := slices.Max(similarities)
				if similarities[row.Match] < best-1e-5 || math.Abs(float64(row.Similarity-best)) > 1e-5 {
					t.Errorf("%s, row %d: vector %d with %v, want %v", document.ID, i, row.Match, row.Similarity, best)
				}
				want := encoder.Span{}
				if stored {
					want = spans[row.Match]
				}
				if row.MatchSpan != want || row.MatchToken != document.Text[want.Start:want.End] {
					t.Errorf("%s, row %d: %q at %v, want %v", document.ID, i, row.MatchToken, row.MatchSpan, want)
				}
			}
			if want := []string{"Pruning", "plum", "tree", "never", "Winters"}; !slices.Equal(queryWords, want) {
				t.Errorf("query words %q, want %q", queryWords, want)
			}
			if document.ID == "plum" && stored {
				checkPlum(t, e)
			}
		}
	}
}

// TestCorruptPayload damages the payload of a document that is then searched
// for and explained.
func TestCorruptPayload(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "index")
	options := buildOptions(codec.Residual2)
	options.Encoder = toy
	if err := retriever.Build(t.Context(), dir, retriever.Documents(orchard[0]), options); err != nil {
		t.Fatal(err)
	}
	info, err := open(t, dir, toy).Snapshot().Inspect()
	if err != nil {
		t.Fatal(err)
	}
	segment := info.Files[len(info.Files)-1]
	at := int64(8) // behind the header, the sections follow each other
	for _, section := range segment.Sections {
		if section.Name == "payloads" {
			break
		}
		at += section.Bytes
	}
	file, err := os.OpenFile(filepath.Join(dir, segment.Name), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.WriteAt([]byte{codec.PayloadVersion, 0xff}, at) // version and kind
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}

	r := open(t, dir, toy)
	_, searched := r.Search(t.Context(), orchard[0].Text, exhaustive(1))
	_, explained := r.Explain(t.Context(), orchard[0].Text, orchard[0].ID, exhaustive(1))
	for _, err := range []error{searched, explained} {
		if !errors.Is(err, index.ErrCorrupt) || !strings.Contains(err.Error(), segment.Name+", section payloads") {
			t.Errorf("error %v, want one of the payloads of %s that wraps ErrCorrupt", err, segment.Name)
		}
	}
}

// checkPlum checks that words of the same stem match each other.
func checkPlum(t *testing.T, e retriever.Explanation) {
	t.Helper()
	var matches []string
	for _, row := range e.Rows {
		matches = append(matches, strings.ToLower(row.MatchToken))
	}
	// Both "Plums" and "plum" may be nearest.
	for i, want := range []string{"prune", "plum", "tree", "never", "winter"} {
		if !strings.HasPrefix(matches[i], want) {
			t.Errorf("matches are %q, want %s at %d", matches, want, i)
		}
	}
	marked := retriever.Snippet(e.Text, e.Marks(), 60, "<", ">")
	if !strings.Contains(marked, "<Never> <prune> a <plum> <tree> in <winter>") && !strings.Contains(marked, "<Never> <prune> a plum <tree> in <winter>") {
		t.Errorf("snippet %q", marked)
	}
}

func TestMarks(t *testing.T) {
	row := func(scored bool, start, end int) retriever.RowExplanation {
		return retriever.RowExplanation{Scored: scored, MatchSpan: span(start, end)}
	}
	e := retriever.Explanation{Rows: []retriever.RowExplanation{
		row(true, 20, 25), row(true, 3, 8), row(false, 10, 12), row(true, 3, 8), row(true, 0, 0), row(true, 6, 9),
	}}
	if got, want := fmt.Sprint(e.Marks()), "[{3 9} {20 25}]"; got != want {
		t.Errorf("marks %s, want %s", got, want)
	}
}
