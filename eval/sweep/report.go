package sweep

import (
	"slices"

	"github.com/pare-search/pare/eval"
	"github.com/pare-search/pare/eval/stats"
)

// Report is the outcome of a sweep. Its JSON form is stable.
type Report struct {
	Collection string `json:"collection"`
	Documents  int    `json:"documents"`
	Queries    int    `json:"queries"`
	// Measures in the order asked for; Headline, the first, decides verdicts.
	Measures []string `json:"measures"`
	Headline string   `json:"headline"`
	// Margin is the relative loss that counts as none.
	Margin  float64        `json:"margin"`
	Systems []SystemReport `json:"systems"` // the baseline first
	Index   *IndexSize     `json:"index,omitempty"`
}

// SystemReport is the outcome of one system. The fields from Delta to Verdict
// compare it with the baseline and are absent for the baseline itself.
type SystemReport struct {
	Name     string             `json:"name"`
	Baseline bool               `json:"baseline"`
	Measures map[string]float64 `json:"measures"`
	Delta    map[string]float64 `json:"delta,omitempty"`
	// CI90 and Verdict are those of the headline measure and of this system
	// alone. The p values are adjusted for the number of systems compared
	// (Holm), as whoever picks one of them by its result must; see Cheapest.
	CI90         *stats.Interval `json:"ci90,omitempty"`
	PDifference  *float64        `json:"p_difference,omitempty"`
	PEquivalence *float64        `json:"p_equivalence,omitempty"`
	Verdict      *stats.Verdict  `json:"verdict,omitempty"`
	// Comparisons has all there is of every measure, its p values not adjusted.
	Comparisons map[string]stats.Comparison `json:"comparisons,omitempty"`
	// Stats is nil for a run that was not made here.
	Stats *Cost `json:"stats,omitempty"`
	// Overlap10 is the share of the baseline's first ten that are among this
	// system's first ten.
	Overlap10 float64 `json:"overlap@10"`

	// Eval has the values per query, Run the results themselves.
	Eval eval.Report `json:"-"`
	Run  eval.Run    `json:"-"`
}

// Cost is what a query costs on average, and the time of a query: median and
// 95th percentile, encoding included. The counts are those of the Pare search
// in a system, zero where there is none.
type Cost struct {
	RowsKept        float64 `json:"rows_kept"`
	CellsProbed     float64 `json:"cells_probed"`
	Postings        float64 `json:"postings"`
	Candidates      float64 `json:"candidates"`
	DocumentsScored float64 `json:"documents_scored"`
	TokenPairs      float64 `json:"token_pairs"`
	Estimate        float64 `json:"estimate_ms"` // index.Stats.Estimate
	P50             float64 `json:"p50_ms"`
	P95             float64 `json:"p95_ms"`
}

// IndexSize is the size of the index that was searched, texts left out.
type IndexSize struct {
	Bytes         int64   `json:"bytes"`
	BytesPerToken float64 `json:"bytes_per_token"`
	Vectors       int64   `json:"vectors"`
}

// alpha is the level of all tests.
const alpha = 0.05

// Cheapest returns the system that has the fewest candidates of those with the
// given names that are as good as the baseline, or nil when there is none.
// As good is what is shown to be equivalent or better in the headline measure
// after adjusting for the number of systems: the one that is picked must not
// owe it to the number of tries.
func (r *Report) Cheapest(names ...string) *SystemReport {
	var cheapest *SystemReport
	for i := range r.Systems {
		s := &r.Systems[i]
		if s.Baseline || s.Stats == nil || !slices.Contains(names, s.Name) {
			continue
		}
		asGood := *s.PEquivalence < alpha || *s.PDifference < alpha && s.Delta[r.Headline] > 0
		if asGood && (cheapest == nil || s.Stats.Candidates < cheapest.Stats.Candidates) {
			cheapest = s
		}
	}
	return cheapest
}

// adjust corrects the headline's p values for the family of all systems.
func (r *Report) adjust() {
	var difference, equivalence []float64
	for _, s := range r.Systems[1:] {
		c := s.Comparisons[r.Headline]
		difference = append(difference, c.PDifference)
		equivalence = append(equivalence, c.PEquivalence)
	}
	difference, equivalence = stats.Holm(difference), stats.Holm(equivalence)
	for i := range r.Systems[1:] {
		r.Systems[i+1].PDifference = &difference[i]
		r.Systems[i+1].PEquivalence = &equivalence[i]
	}
}
