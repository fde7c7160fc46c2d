package tablebench_test

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/encoder/corpus"
	"github.com/pare-search/pare/encoder/table"
	"github.com/pare-search/pare/eval"
	"github.com/pare-search/pare/eval/stats"
	"github.com/pare-search/pare/eval/tablebench"
)

// animals is a collection whose documents are so different that any fair matrix
// finds them all.
func animals() tablebench.Collection {
	c := tablebench.Collection{Name: "animals", Qrels: eval.Qrels{}}
	for id, text := range map[string]string{
		"owl": "owls hunt mice at night", "heron": "herons stand in shallow water", "swift": "swifts sleep while flying",
		"hen": "hens lay eggs on farms", "crow": "crows gather shiny things", "seal": "seals rest on cold ice",
	} {
		c.Queries = append(c.Queries, tablebench.Query{ID: "q-" + id, Text: text})
		c.Qrels["q-"+id] = make(map[string]int)
		for _, number := range []string{"1", "2", "3", "4", "5"} { // words of one document alone are not kept
			c.Documents = append(c.Documents, tablebench.Document{ID: id + number, Text: text})
			c.Qrels["q-"+id][id+number] = 1
		}
	}
	slices.SortFunc(c.Documents, func(a, b tablebench.Document) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(c.Queries, func(a, b tablebench.Query) int { return strings.Compare(a.ID, b.ID) })
	c.Queries = append(c.Queries, tablebench.Query{ID: "unjudged", Text: "nobody knows"})
	return c
}

func subject(t testing.TB, c tablebench.Collection) tablebench.Subject {
	t.Helper()
	texts := func(yield func(string, error) bool) {
		for _, d := range c.Documents {
			if !yield(d.Text, nil) {
				return
			}
		}
	}
	options := corpus.DefaultOptions()
	options.Dim = 16
	enc, err := corpus.Train(t.Context(), texts, options, func(string, int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	frequencies, err := enc.WordFrequencies(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	return tablebench.Subject{
		Encoder: enc, Words: enc.Words(), Frequencies: frequencies,
		With: func(t *table.Table) (encoder.Encoder, error) { return enc.WithWords(t) },
	}
}

// TestCompare is that a table of all rows changes nothing, that one which is far too
// small says so, and that the report can be written.
func TestCompare(t *testing.T) {
	c := animals()
	s := subject(t, c)
	done := 0
	report, err := tablebench.Compare(t.Context(), s, []tablebench.Collection{c}, tablebench.Options{
		Methods: []string{"used-rows", "row-clusters"}, Factors: []float64{1, 2, 1000}, Margin: 0.01, Done: func(tablebench.Row) { done++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	if done != 6 || len(report.Tables) != 6 || report.Rows != s.Words.Rows || report.Bytes != 4*len(s.Words.Data) {
		t.Errorf("%d tables were told of, %d are in the report of %d rows and %d bytes", done, len(report.Tables), report.Rows, report.Bytes)
	}
	if before := report.Baseline[0]; before.Measures["nDCG@10"] != 1 || before.Overlap10 != 1 {
		t.Errorf("as it was: %+v", before)
	}
	for _, row := range report.Tables {
		budget := int(float64(report.Bytes) / row.Factor)
		switch {
		case row.Fault != "":
			if row.Bytes != 0 || row.Factor < 2 && row.Method == "row-clusters" {
				t.Errorf("%s %vx: %q and %d bytes", row.Method, row.Factor, row.Fault, row.Bytes)
			}
		case row.Bytes > budget || row.LookupNanoseconds <= 0 || math.IsInf(row.LoadSeconds, 0) || row.Ratio < 0 || row.Ratio > 1:
			t.Errorf("%+v in a budget of %d", row, budget)
		case row.Error == 0 && (row.Ratio != 1 || row.Verdict != stats.Equivalent || row.Qualities[0].Overlap10 != 1 || math.Abs(row.Qualities[0].Cosine-1) > 1e-6):
			t.Errorf("rows as they were change searches: %+v", row)
		}
	}
	written, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	var read tablebench.Report
	if err := json.Unmarshal(written, &read); err != nil || len(read.Tables) != len(report.Tables) {
		t.Errorf("read again: %v", err)
	}
}

// TestKnown takes tables over from a report, and refuses one of something else.
func TestKnown(t *testing.T) {
	c := animals()
	s := subject(t, c)
	options := tablebench.Options{Methods: []string{"bits"}, Factors: []float64{2}, Margin: 0.01}
	first, err := tablebench.Compare(t.Context(), s, []tablebench.Collection{c}, options)
	if err != nil {
		t.Fatal(err)
	}
	first.Tables[0].Bytes = 123 // as nobody would measure
	written, err := json.Marshal(first)
	if err != nil {
		t.Fatal(err)
	}
	known := &tablebench.Report{}
	if err := json.Unmarshal(written, known); err != nil {
		t.Fatal(err)
	}
	options.Methods, options.Known = []string{"lloyd", "bits"}, []*tablebench.Report{known}
	got, err := tablebench.Compare(t.Context(), s, []tablebench.Collection{c}, options)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Tables) != 2 || got.Tables[0].Bytes == 123 || got.Tables[1].Bytes != 123 {
		t.Errorf("tables %+v, want the second one of the report", got.Tables)
	}
	known.Baseline[0].Measures["RR@10"] /= 2
	if _, err := tablebench.Compare(t.Context(), s, []tablebench.Collection{c}, options); !errors.Is(err, tablebench.ErrInvalid) || !strings.Contains(err.Error(), "known report") {
		t.Errorf("a report of another collection: %v, want %v", err, tablebench.ErrInvalid)
	}
}

func TestBest(t *testing.T) {
	r := &tablebench.Report{Tables: []tablebench.Row{
		{Method: "a", Factor: 8, Ratio: 0.9},
		{Method: "a", Factor: 4, Ratio: 0.98},
		{Method: "b", Factor: 8, Ratio: 0.95},
		{Method: "b", Factor: 4, Ratio: 0.97},
		{Method: "c", Factor: 16, Fault: "too small"},
	}}
	best := r.Best()
	if len(best) != 2 || best[0].Method != "a" || best[0].Factor != 4 || best[1].Method != "b" || best[1].Factor != 8 {
		t.Errorf("the best are %+v", best)
	}
}

func TestCompareRefuses(t *testing.T) {
	c := animals()
	s := subject(t, c)
	valid := tablebench.DefaultOptions()
	unjudged := c
	unjudged.Qrels = nil
	short := s
	short.Frequencies = s.Frequencies[1:]
	lost := c
	lost.Qrels = eval.Qrels{"q-owl": {"dodo": 1}}
	nothing := valid
	nothing.Methods = nil
	for name, bad := range map[string]struct {
		subject     tablebench.Subject
		collections []tablebench.Collection
		options     tablebench.Options
		text        string
	}{
		"no collection":       {s, nil, valid, "no collection"},
		"no judged query":     {s, []tablebench.Collection{unjudged}, valid, "animals has no judged query"},
		"frequencies missing": {short, []tablebench.Collection{c}, valid, "frequencies for"},
		"nothing is found":    {s, []tablebench.Collection{lost}, valid, "no query finds"},
		"no method":           {s, []tablebench.Collection{c}, nothing, "0 methods"},
	} {
		if _, err := tablebench.Compare(t.Context(), bad.subject, bad.collections, bad.options); !errors.Is(err, tablebench.ErrInvalid) || !strings.Contains(err.Error(), bad.text) {
			t.Errorf("%s: %v, want %q", name, err, bad.text)
		}
	}
}
