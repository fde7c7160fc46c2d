package sweep

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pare-search/pare/encoder/corpus"
	"github.com/pare-search/pare/eval"
	"github.com/pare-search/pare/internal/collections"
	"github.com/pare-search/pare/retriever"
	"github.com/pare-search/pare/retriever/fusion"
)

func newBM25(t *testing.T, documents []retriever.Document, options BM25Options) *BM25 {
	t.Helper()
	b, err := NewBM25(t.Context(), documents, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func TestBM25ByHand(t *testing.T) {
	b := newBM25(t, []retriever.Document{
		{ID: "a", Text: "Cats\nThe cat and the dog."},             // cat cat dog
		{ID: "b", Text: "dogs"},                                   // dog
		{ID: "c", Text: "A bird, a fish, a bird, and some birds"}, // bird fish bird bird
		{ID: "d", Text: "of the"},                                 // nothing
	}, DefaultBM25Options())

	// Four documents, 8 words, mean length 2.
	part := func(df, tf, length float64) float64 {
		return math.Log(1+(4-df+0.5)/(df+0.5)) * tf / (tf + 1.2*(1-0.75+0.75*length/2))
	}
	for query, want := range map[string][]fusion.Hit{
		"dog":        {{ID: "b", Score: part(2, 1, 1)}, {ID: "a", Score: part(2, 1, 3)}},
		"cats dog":   {{ID: "a", Score: part(1, 2, 3) + part(2, 1, 3)}, {ID: "b", Score: part(2, 1, 1)}},
		"birds bird": {{ID: "c", Score: 2 * part(1, 3, 4)}},
		"the horse":  {},
		"":           {},
	} {
		got, err := b.Search(t.Context(), query, 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want) {
			t.Errorf("%q: got %v, want %v", query, got, want)
			continue
		}
		for i := range want {
			if got[i].ID != want[i].ID || math.Abs(got[i].Score-want[i].Score) > 1e-12 {
				t.Errorf("%q: got %v, want %v", query, got, want)
			}
		}
	}
	top, err := b.Search(t.Context(), "dog", 1)
	if err != nil || len(top) != 1 || top[0].ID != "b" {
		t.Errorf("best of one: %v, %v", top, err)
	}
}

func TestBM25TiesByDescendingID(t *testing.T) {
	var documents []retriever.Document
	for i := range 2500 { // several batches
		documents = append(documents, retriever.Document{ID: fmt.Sprintf("d%04d", i), Text: "same words"})
	}
	var progress []int
	options := DefaultBM25Options()
	options.Progress = func(n int) { progress = append(progress, n) }
	b := newBM25(t, documents, options)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			got, err := b.Search(context.Background(), "words", 3)
			if err != nil || len(got) != 3 || got[0].ID != "d2499" || got[2].ID != "d2497" {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
	wg.Wait()
	if fmt.Sprint(progress) != "[1000 2000 2500]" {
		t.Errorf("progress %v", progress)
	}
}

func TestBM25Refuses(t *testing.T) {
	for name, documents := range map[string][]retriever.Document{
		"empty id": {{ID: "", Text: "x"}},
		"same id":  {{ID: "x"}, {ID: "y"}, {ID: "x"}},
	} {
		if _, err := NewBM25(t.Context(), documents, DefaultBM25Options()); !errors.Is(err, ErrBM25) {
			t.Errorf("%s: %v", name, err)
		}
	}
	err := BM25Options{K1: math.NaN(), B: 2}.Validate()
	if !errors.Is(err, ErrBM25) || !strings.Contains(err.Error(), "K1") || !strings.Contains(err.Error(), "B is 2") {
		t.Errorf("options: %v", err)
	}
	b := newBM25(t, nil, DefaultBM25Options())
	if got, err := b.Search(t.Context(), "anything", 5); err != nil || len(got) != 0 {
		t.Errorf("no documents: %v, %v", got, err)
	}
	if _, err := b.Search(t.Context(), "anything", 0); !errors.Is(err, ErrBM25) {
		t.Errorf("k 0: %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := NewBM25(cancelled, []retriever.Document{{ID: "x"}}, DefaultBM25Options()); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestBM25Reference compares with figures of an independent BM25 (k1 1.2,
// b 0.75, Snowball stems, stop words).
func TestBM25Reference(t *testing.T) {
	for name, want := range map[string][3]float64{ // nDCG@10, RR@10, R@100
		"cranfield": {0.528, 0.820, 0.757},
		"npl":       {0.436, 0.696, 0.601},
		"cisi":      {0.400, 0.636, 0.453},
	} {
		t.Run(name, func(t *testing.T) {
			documents, queries, qrels := bm25Collection(t, name)
			b := newBM25(t, documents, DefaultBM25Options())
			run := eval.Run{Results: map[string][]eval.Result{}}
			for id := range qrels {
				hits, err := b.Search(t.Context(), queries[id], 100)
				if err != nil {
					t.Fatal(err)
				}
				for _, hit := range hits {
					run.Results[id] = append(run.Results[id], eval.Result{ID: hit.ID, Score: hit.Score})
				}
			}
			measures, err := eval.ParseMeasures("nDCG@10", "RR@10", "R@100")
			if err != nil {
				t.Fatal(err)
			}
			report := eval.Evaluate(qrels, run, measures)
			for i, measure := range measures {
				got := report.Means[i]
				t.Logf("%s %v: %.4f, reference %.3f", name, measure, got, want[i])
				if math.Abs(got-want[i]) > 0.015 {
					t.Errorf("%s %v: %.4f, reference %.3f", name, measure, got, want[i])
				}
			}
		})
	}
}

// bm25Collection reads a BEIR folder from the shared test collections.
func bm25Collection(t *testing.T, name string) ([]retriever.Document, map[string]string, eval.Qrels) {
	t.Helper()
	dir := filepath.Join(collections.Dir(t), name)
	lines := func(file string, each func(line []byte)) {
		f, err := os.Open(filepath.Join(dir, file))
		if err != nil {
			t.Skipf("collection absent: %v", err)
		}
		defer f.Close()
		scanner := bufio.NewScanner(f)
		scanner.Buffer(nil, 1<<24)
		for scanner.Scan() {
			each(scanner.Bytes())
		}
		if err := scanner.Err(); err != nil {
			t.Fatal(err)
		}
	}
	type record struct {
		ID    string `json:"_id"`
		Title string `json:"title"`
		Text  string `json:"text"`
	}
	parse := func(line []byte) (r record) {
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	var documents []retriever.Document
	lines("corpus.jsonl", func(line []byte) {
		r := parse(line)
		documents = append(documents, retriever.Document{ID: r.ID, Text: r.Title + "\n" + r.Text})
	})
	queries := map[string]string{}
	lines("queries.jsonl", func(line []byte) { r := parse(line); queries[r.ID] = r.Text })
	qrels := eval.Qrels{}
	lines("qrels.tsv", func(line []byte) {
		fields := strings.Split(string(line), "\t")
		grade, err := strconv.Atoi(fields[2])
		if err != nil {
			return // the heading
		}
		if qrels[fields[0]] == nil {
			qrels[fields[0]] = map[string]int{}
		}
		qrels[fields[0]][fields[1]] = grade
	})
	return documents, queries, qrels
}

func TestBM25SplitCode(t *testing.T) {
	documents := []retriever.Document{{ID: "camel", Text: "func ReadAllBytes"}, {ID: "plain", Text: "read the manual"}}
	for split, want := range map[bool]int{false: 1, true: 2} {
		options := DefaultBM25Options()
		options.SplitCode = split
		hits, err := newBM25(t, documents, options).Search(t.Context(), "reading", 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(hits) != want {
			t.Errorf("split %v: %d hits, want %d", split, len(hits), want)
		}
	}
}

// The baseline speaks every language that the encoder does, so that neither
// has the better words. "Die" is a stop word of German and no word of English,
// "Katzen" the plural of "Katze".
func TestBM25Languages(t *testing.T) {
	for _, language := range append(corpus.Languages(), "") {
		options := DefaultBM25Options()
		options.Language = language
		b := newBM25(t, []retriever.Document{{ID: "d", Text: "Die Katzen schlafen"}}, options)
		found := map[string]int{}
		for _, word := range []string{"die", "Katze", "Katzen"} {
			hits, err := b.Search(t.Context(), word, 10)
			if err != nil {
				t.Fatalf("%q: %v", language, err)
			}
			found[word] = len(hits)
		}
		var want map[string]int
		switch language {
		case "german":
			want = map[string]int{"die": 0, "Katze": 1, "Katzen": 1}
		case "":
			want = map[string]int{"die": 1, "Katze": 0, "Katzen": 1}
		default:
			continue
		}
		if !maps.Equal(found, want) {
			t.Errorf("%q: found %v, want %v", language, found, want)
		}
	}
	options := DefaultBM25Options()
	if options.Language = "klingon"; !errors.Is(options.Validate(), ErrBM25) {
		t.Error("klingon is spoken")
	}
}

// Nearest ranks by hand: the smallest value that is not below p percent of all.
func TestPercentile(t *testing.T) {
	for _, test := range []struct{ n, p, want int }{
		{1, 50, 1}, {1, 95, 1}, {2, 50, 1}, {3, 50, 2}, {4, 50, 2}, {20, 95, 19}, {21, 95, 20}, {40, 95, 38}, {100, 95, 95}, {10, 100, 10},
	} {
		sorted := make([]time.Duration, test.n)
		for i := range sorted {
			sorted[i] = time.Duration(i + 1)
		}
		if got := percentile(sorted, test.p); got != time.Duration(test.want) {
			t.Errorf("percentile %d of 1 to %d is %d, want %d", test.p, test.n, got, test.want)
		}
	}
}
