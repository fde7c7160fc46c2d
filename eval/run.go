package eval

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// Qrels holds relevance judgements: query id to document id to grade.
type Qrels map[string]map[string]int

// Queries returns the ids of all judged queries, sorted.
func (q Qrels) Queries() []string {
	return slices.Sorted(maps.Keys(q))
}

// Judgements counts the judged pairs of query and document.
func (q Qrels) Judgements() int {
	n := 0
	for _, docs := range q {
		n += len(docs)
	}
	return n
}

// Result is one retrieved document.
type Result struct {
	ID    string
	Score float64
}

// Run holds what one system retrieved: query id to results. The order of the
// results has no meaning, their scores have. Tag names the system.
type Run struct {
	Tag     string
	Results map[string][]Result
}

// ErrRun reports a run that has no well-defined ranking.
var ErrRun = errors.New("eval: bad run")

// Validate checks that every query lists a document at most once, that no id
// is empty and that no score is NaN. The error wraps ErrRun and names one
// fault per query.
func (r Run) Validate() error {
	var errs []error
	for _, query := range slices.Sorted(maps.Keys(r.Results)) {
		if err := validateResults(r.Results[query]); err != nil {
			errs = append(errs, fmt.Errorf("%w: query %q: %w", ErrRun, query, err))
		}
	}
	return errors.Join(errs...)
}

func validateResults(results []Result) error {
	seen := make(map[string]bool, len(results))
	for _, res := range results {
		switch {
		case res.ID == "":
			return errors.New("empty document id")
		case seen[res.ID]:
			return fmt.Errorf("document %q is listed twice", res.ID)
		case math.IsNaN(res.Score):
			return fmt.Errorf("document %q has no number for a score", res.ID)
		}
		seen[res.ID] = true
	}
	return nil
}

// TieOrder says how documents of equal score are ranked.
type TieOrder int

const (
	// TiesDescending ranks equal scores by descending document id, as
	// trec_eval does.
	TiesDescending TieOrder = iota
	// TiesAscending ranks equal scores by ascending document id.
	TiesAscending
)

// Rank returns the results in evaluation order: score descending after
// rounding to float32, ties by document id. A NaN ranks below every number. A
// document listed again is left out, so that it cannot count twice; Validate
// finds such runs. The argument is not changed.
func Rank(results []Result, ties TieOrder) []Result {
	ranked := slices.Clone(results)
	slices.SortFunc(ranked, func(a, b Result) int {
		// cmp.Compare puts NaN first, and the arguments are swapped.
		c := cmp.Compare(float32(b.Score), float32(a.Score))
		if c != 0 {
			return c
		}
		if ties == TiesAscending {
			return strings.Compare(a.ID, b.ID)
		}
		return strings.Compare(b.ID, a.ID)
	})
	seen := make(map[string]bool, len(ranked))
	return slices.DeleteFunc(ranked, func(res Result) bool {
		again := seen[res.ID]
		seen[res.ID] = true
		return again
	})
}
