package report

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/pare-search/pare/eval/stats"
)

// Report is a study with what can be said of it. It is immutable, and its methods
// are safe for concurrent use.
type Report struct {
	study       Study
	collections []*collection
}

// New compares every setting of a study with the baseline of its collection. The
// error wraps ErrStudy.
func New(study Study) (*Report, error) {
	if err := study.Validate(); err != nil {
		return nil, err
	}
	r := &Report{study: study}
	letters := make(map[string]string)
	for i := range study.Collections {
		c, err := newCollection(&study.Collections[i], study.Method, letters)
		if err != nil {
			return nil, err
		}
		c.id = "c-" + slug(c.Name)
		for slices.ContainsFunc(r.collections, func(other *collection) bool { return other.id == c.id }) {
			c.id += "-"
		}
		r.collections = append(r.collections, c)
	}
	return r, nil
}

// slug writes a name with the letters and digits that addresses have.
func slug(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9', r >= 'a' && r <= 'z':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		default:
			return '-'
		}
	}, name)
}

// collection is a Collection with what can be said of it.
type collection struct {
	*Collection
	id       string // in addresses of the page, none other's
	rows     []*row // the baseline first
	measures []string
}

// row is a Result and its comparison with the baseline.
type row struct {
	*Result
	Letter string // the same on every collection

	means      map[string]float64
	overlap    float64
	p50, p95   float64 // ms
	estimate   float64 // ms, 0 where there is none
	candidates float64
	scored     float64
	pairs      float64
	kept       float64 // share of the query tokens that probed
	stored     float64 // share of the vectors that are stored
	perDoc     float64 // bytes, 0 where there is no index
	perToken   float64

	comparison stats.Comparison // of the headline measure
	// The p values are adjusted for all settings of the collection; Verdict follows
	// from them. Wide is the interval at the level of the adjustment: it lies inside
	// the margin just when the setting is equivalent.
	pDifference, pEquivalence float64
	wide                      stats.Interval
	Verdict                   stats.Verdict
}

// alpha is the level of all tests.
const alpha = 0.05

// ratio is the mean of the headline measure as a share of the baseline's.
func (r *row) ratio() float64 { return 1 + r.relative(r.comparison.Delta) }

// relative turns a difference into a share of the baseline's mean.
func (r *row) relative(x float64) float64 {
	if r.comparison.MeanBaseline == 0 {
		return 0
	}
	return x / r.comparison.MeanBaseline
}

// asGood tells whether the setting may take the place of the baseline.
func (r *row) asGood() bool {
	return !r.Baseline && (r.Verdict == stats.Equivalent || r.Verdict == stats.Better)
}

func newCollection(c *Collection, method Method, letters map[string]string) (*collection, error) {
	out := &collection{Collection: c, measures: method.Measures}
	headline := method.Measures[0]
	for i := range c.Results {
		result := &c.Results[i]
		if letters[result.Name] == "" {
			letters[result.Name] = letter(len(letters))
		}
		r := summarise(c, result, method.Measures)
		r.Letter = letters[result.Name]
		options := method.Stats
		comparison, err := stats.Compare(c.Results[0].Measures[headline], result.Measures[headline], options)
		if err != nil {
			return nil, fmt.Errorf("%w: collection %s, setting %q: %w", ErrStudy, c.Name, result.Name, err)
		}
		r.comparison = comparison
		out.rows = append(out.rows, r)
	}
	out.correct(headline)
	return out, nil
}

// summarise takes the means of a result.
func summarise(c *Collection, result *Result, measures []string) *row {
	r := &row{Result: result, means: make(map[string]float64)}
	for _, m := range measures {
		r.means[m] = mean(result.Measures[m])
	}
	r.overlap, r.estimate = mean(result.Overlap), mean(result.Estimate)
	r.p50, r.p95 = percentile(result.Milliseconds, 50), percentile(result.Milliseconds, 95)
	r.candidates, r.scored, r.pairs = mean(result.Work.Candidates), mean(result.Work.Scored), mean(result.Work.Pairs)
	r.kept = 1
	if result.Probed != nil {
		kept, tokens := 0, 0
		for q, probed := range result.Probed {
			kept += len(probed)
			tokens += max(len(c.Queries[q].Words), len(probed), len(c.Results[0].Probed[q]))
		}
		r.kept = float64(kept) / float64(max(tokens, 1))
	}
	if result.Index != nil {
		r.stored = float64(result.Index.Vectors) / float64(c.Vectors)
		r.perDoc = float64(result.Index.Bytes) / float64(c.Documents)
		r.perToken = float64(result.Index.Bytes) / float64(c.Vectors)
	}
	return r
}

// correct adjusts the tests of all settings for their number (Holm) and draws the
// verdicts.
func (c *collection) correct(headline string) {
	tested := c.rows[1:]
	difference, equivalence := make([]float64, len(tested)), make([]float64, len(tested))
	for i, r := range tested {
		difference[i], equivalence[i] = r.comparison.PDifference, r.comparison.PEquivalence
	}
	levels := holmLevels(equivalence)
	difference, equivalence = stats.Holm(difference), stats.Holm(equivalence)
	for i, r := range tested {
		r.pDifference, r.pEquivalence = difference[i], equivalence[i]
		r.wide = stats.TInterval(differences(c.rows[0].Measures[headline], r.Measures[headline]), 1-2*levels[i])
		switch {
		case r.comparison.Verdict == stats.Undecided && r.comparison.CI90[0] == r.comparison.CI90[1]:
			r.Verdict = stats.Undecided // too few queries, whatever they say
		case equivalence[i] < alpha:
			r.Verdict = stats.Equivalent
		case difference[i] < alpha && r.comparison.Delta < 0:
			r.Verdict = stats.Worse
		case difference[i] < alpha:
			r.Verdict = stats.Better
		}
	}
}

// holmLevels returns the level at which Holm's procedure tests each p value: alpha
// over the number of those that are not rejected yet. Those after the first that
// is not rejected are given its level, at which they are not rejected either. So
// p < level just when the adjusted p is below alpha.
func holmLevels(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case p[a] < p[b]:
			return -1
		case p[a] > p[b]:
			return 1
		}
		return 0
	})
	levels := make([]float64, len(p))
	level := alpha
	failed := false
	for rank, i := range order {
		if !failed {
			level = alpha / float64(len(p)-rank)
		}
		levels[i] = level
		failed = failed || p[i] >= level
	}
	return levels
}

func differences(baseline, system []float64) []float64 {
	d := make([]float64, len(baseline))
	for i := range d {
		d[i] = system[i] - baseline[i]
	}
	return d
}

// letter names setting n of a study in plots: A to Z, then AA, AB and so on.
func letter(n int) string {
	name := ""
	for n++; n > 0; n /= 26 {
		n--
		name = string(rune('A'+n%26)) + name
	}
	return name
}

func mean[T int | int64 | float64](values []T) float64 {
	var sum T
	for _, v := range values {
		sum += v
	}
	return float64(sum) / float64(max(len(values), 1))
}

// percentile returns the nearest-rank percentile, p from 1 to 100, of values that
// need not be sorted.
func percentile(values []float64, p int) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(p*len(sorted)+99)/100-1]
}

// WriteJSON writes the study, from which New makes the same report.
func (r *Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(r.study)
}

// neededQueries estimates how many queries would show that a setting is equivalent,
// if its mean and its spread stayed as they are; 0 if no number would.
func (r *row) neededQueries() int {
	c := r.comparison
	room := c.Margin - math.Abs(c.Delta)
	half := (r.wide[1] - r.wide[0]) / 2
	if room <= 0 || math.IsInf(half, 0) {
		return 0
	}
	return int(math.Ceil(float64(c.Queries) * (half / room) * (half / room)))
}
