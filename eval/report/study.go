package report

import (
	"errors"
	"fmt"
	"math"

	"github.com/pare-search/pare/eval/stats"
)

// Study is what a sweep measured: the same settings on one collection or several.
type Study struct {
	Method      Method       `json:"method"`
	Collections []Collection `json:"collections"`
}

// Method says how the study was made.
type Method struct {
	Command string `json:"command"`
	// Config is the configuration that the settings start from, as YAML, and Grid
	// the file that spans them.
	Config string `json:"config"`
	Grid   string `json:"grid"`

	Version string `json:"version"` // of Pare, with its commit
	Go      string `json:"go"`
	CPU     string `json:"cpu"`
	SIMD    string `json:"simd"`
	OS      string `json:"os"`
	Repeat  int    `json:"repeat"` // searches per query of which the fastest counts
	Clock   string `json:"clock"`  // what times are, in words

	// Measures as they are named in Result.Measures; the first decides verdicts.
	Measures []string      `json:"measures"`
	Stats    stats.Options `json:"stats"`
}

// Collection is what was measured on one collection.
type Collection struct {
	Name      string `json:"name"`
	Documents int    `json:"documents"`
	Vectors   int    `json:"vectors"` // before any pruning of documents
	Dim       int    `json:"dim"`
	Encoder   string `json:"encoder"`
	// Fingerprint tells the documents, queries and judgements from others.
	Fingerprint string   `json:"fingerprint"`
	Queries     []Query  `json:"queries"`
	Results     []Result `json:"results,omitempty"` // the baseline first
}

// Query is a judged query. Words are its tokens, nil where nobody knows them.
type Query struct {
	ID    string   `json:"id"`
	Text  string   `json:"text,omitempty"`
	Words []string `json:"words,omitempty"`
}

// Result is what one setting did on one collection. Values per query are in the
// order of Collection.Queries.
type Result struct {
	// Name tells the setting from all others of the study, in a few words.
	Name string `json:"name"`
	// Series is what the setting belongs to: the settings of a series differ in
	// how much they spare, and are joined by a line.
	Series   string            `json:"series"`
	Baseline bool              `json:"baseline,omitempty"`
	System   string            `json:"system"`
	Setting  map[string]string `json:"setting"`
	// Row and Column are the places in the heat map where document pruning meets
	// query pruning; empty outside of it.
	Row    string `json:"row,omitempty"`
	Column string `json:"column,omitempty"`

	Index *Index `json:"index,omitempty"` // nil where no index of Pare is searched

	Measures map[string][]float64 `json:"measures"`
	// Overlap is the share of the baseline's first ten among the first ten.
	Overlap []float64 `json:"overlap"`
	// Milliseconds is the time of the search by Method.Clock, the encoding of the
	// query left out.
	Milliseconds []float64 `json:"milliseconds"`
	// Estimate is the same time by a model of the work, which is equal on every
	// machine; zeros where there is none.
	Estimate []float64 `json:"estimate"`
	Work     Work      `json:"work"`
	// Reach is nil where stages cannot be told apart.
	Reach *Reach `json:"reach,omitempty"`
	// Probed are the tokens of each query that looked for candidates, ascending.
	Probed [][]int `json:"probed,omitempty"`
	// Lost is a document that the baseline has among its first ten and the setting
	// has not, if possible one that is relevant; "" if there is none.
	Lost []Lost `json:"lost,omitempty"`
	// Top has the baseline's first ten documents.
	Top [][]string `json:"top,omitempty"`
}

// Index is the size of an index, the texts left out.
type Index struct {
	Bytes   int64 `json:"bytes"`
	Vectors int64 `json:"vectors"`
}

// Work is what queries cost, one number per query.
type Work struct {
	RowsKept   []int   `json:"rows_kept"`
	Cells      []int   `json:"cells"`
	Postings   []int   `json:"postings"`
	Candidates []int   `json:"candidates"`
	Scored     []int   `json:"scored"`
	Pairs      []int64 `json:"pairs"`
}

// Reach is the share of the baseline's first ten that is among the candidates,
// among the documents scored and among the first ten.
type Reach struct {
	Candidates []float64 `json:"candidates"`
	Scored     []float64 `json:"scored"`
	Top        []float64 `json:"top"`
}

// Lost is a document that fell out of the first ten.
type Lost struct {
	ID       string `json:"id,omitempty"`
	Rank     int    `json:"rank,omitempty"` // in the baseline
	Relevant bool   `json:"relevant,omitempty"`
}

// ErrStudy reports a study that cannot be read as one.
var ErrStudy = errors.New("report: bad study")

// Validate checks that there are collections, that each begins with its only
// baseline and has every name once, and that all values per query are there and
// finite. The error wraps ErrStudy.
func (s Study) Validate() error {
	if len(s.Method.Measures) == 0 || len(s.Collections) == 0 {
		return fmt.Errorf("%w: %d measures, %d collections, want at least one of each", ErrStudy, len(s.Method.Measures), len(s.Collections))
	}
	faults := []error{s.Method.Stats.Validate()}
	names := make(map[string]bool)
	for _, c := range s.Collections {
		if names[c.Name] {
			faults = append(faults, fmt.Errorf("%w: two collections are called %q", ErrStudy, c.Name))
		}
		names[c.Name] = true
		faults = append(faults, c.validate(s.Method.Measures))
	}
	return errors.Join(faults...)
}

func (c Collection) validate(measures []string) error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("%w: collection %s: %w", ErrStudy, c.Name, fmt.Errorf(format, args...))
	}
	if len(c.Results) == 0 || len(c.Queries) == 0 || c.Documents < 1 || c.Vectors < 1 {
		return fail("%d results, %d queries, %d documents, %d vectors, want at least one of each", len(c.Results), len(c.Queries), c.Documents, c.Vectors)
	}
	names := make(map[string]bool)
	for i, r := range c.Results {
		switch {
		case names[r.Name]:
			return fail("two settings are called %q", r.Name)
		case r.Baseline != (i == 0):
			return fail("setting %d, %q: the first setting, and no other, is the baseline", i, r.Name)
		}
		names[r.Name] = true
		if err := r.validate(measures, c.Queries); err != nil {
			return fail("setting %q: %w", r.Name, err)
		}
	}
	return nil
}

func (r Result) validate(measures []string, queries []Query) error {
	columns := map[string][]float64{"overlap": r.Overlap, "milliseconds": r.Milliseconds, "estimate": r.Estimate}
	for _, m := range measures {
		columns[m] = r.Measures[m]
	}
	if r.Reach != nil {
		columns["reach.candidates"], columns["reach.scored"], columns["reach.top"] = r.Reach.Candidates, r.Reach.Scored, r.Reach.Top
	}
	for name, values := range columns {
		if len(values) != len(queries) {
			return fmt.Errorf("%d values of %s for %d queries", len(values), name, len(queries))
		}
		for _, v := range values {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("a value of %s is %v", name, v)
			}
		}
	}
	w := r.Work
	counts := []int{len(w.RowsKept), len(w.Cells), len(w.Postings), len(w.Candidates), len(w.Scored), len(w.Pairs)}
	if r.Probed != nil {
		counts = append(counts, len(r.Probed))
	}
	if r.Lost != nil {
		counts = append(counts, len(r.Lost))
	}
	for _, n := range counts {
		if n != len(queries) {
			return fmt.Errorf("%d counts for %d queries", n, len(queries))
		}
	}
	for q, probed := range r.Probed {
		for _, row := range probed {
			if words := queries[q].Words; row < 0 || words != nil && row >= len(words) {
				return fmt.Errorf("query %q has no token %d", queries[q].ID, row)
			}
		}
	}
	return nil
}
