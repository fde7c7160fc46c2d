package sweep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pare-search/pare/eval"
	"github.com/pare-search/pare/eval/stats"
)

// ErrSweep reports a sweep that makes no sense.
var ErrSweep = errors.New("sweep")

// Options say how systems are compared.
type Options struct {
	// Measures are computed for every system. The first is the headline: its
	// comparison with the baseline decides the verdict.
	Measures []eval.Measure
	// Depth is the number of results asked of each system, at least as many as
	// any of the measures looks at.
	Depth int
	// Workers is the number of queries in work at once, 0 for one per CPU.
	// Each query is answered by one goroutine.
	Workers int
	// Stats are the margin and the bootstrap of the comparisons.
	Stats stats.Options
	// Progress, if set, is told how many queries are done. It is called from
	// several goroutines.
	Progress func(done, total int)
}

// Validate reports every option that makes no sense.
func (o Options) Validate() error {
	faults := []error{o.validateComparison()}
	if o.Depth < 1 {
		faults = append(faults, fmt.Errorf("%w: depth %d, want at least 1", ErrSweep, o.Depth))
	}
	if o.Workers < 0 {
		faults = append(faults, fmt.Errorf("%w: %d workers, want 0 or more", ErrSweep, o.Workers))
	}
	for _, m := range o.Measures {
		if o.Depth >= 1 && m.Cutoff() > o.Depth {
			faults = append(faults, fmt.Errorf("%w: %v looks at %d results, depth is %d", ErrSweep, m, m.Cutoff(), o.Depth))
		}
	}
	return errors.Join(faults...)
}

// Answer is what one system said to one query.
type Answer struct {
	Results []eval.Result
	Work    Work
	Took    time.Duration
}

// validateComparison checks what matters where nothing is searched too.
func (o Options) validateComparison() error {
	if len(o.Measures) == 0 {
		return errors.Join(fmt.Errorf("%w: no measure", ErrSweep), o.Stats.Validate())
	}
	return o.Stats.Validate()
}

// Run asks all systems all judged queries and compares them with the first
// system, the baseline. Queries without judgements are left out, and so are
// judgements without a query: no system can be asked for them.
func Run(ctx context.Context, systems []System, queries []Query, qrels eval.Qrels, options Options) (*Report, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	judged := slices.DeleteFunc(slices.Clone(queries), func(q Query) bool {
		_, ok := qrels[q.ID]
		return !ok
	})
	switch {
	case len(systems) == 0:
		return nil, fmt.Errorf("%w: no system", ErrSweep)
	case len(judged) == 0:
		return nil, fmt.Errorf("%w: none of the %d queries has judgements", ErrSweep, len(queries))
	}
	names := make(map[string]bool)
	for _, s := range systems {
		if names[s.Name] {
			return nil, fmt.Errorf("%w: two systems are called %q", ErrSweep, s.Name)
		}
		names[s.Name] = true
	}
	answers, err := Ask(ctx, systems, judged, AskOptions{Depth: options.Depth, Workers: options.Workers, Progress: options.Progress})
	if err != nil {
		return nil, err
	}
	runs := make([]eval.Run, len(systems))
	for s, system := range systems {
		runs[s] = eval.Run{Tag: system.Name, Results: make(map[string][]eval.Result, len(judged))}
		for q, query := range judged {
			runs[s].Results[query.ID] = answers[s][q].Results
		}
	}
	report, err := Compare(runs, judgementsOf(judged, qrels), options)
	if err != nil {
		return nil, err
	}
	for s := range report.Systems {
		cost := Summarise(answers[s])
		report.Systems[s].Stats = &cost
	}
	return report, nil
}

// judgementsOf returns the judgements of the queries that were asked.
func judgementsOf(queries []Query, qrels eval.Qrels) eval.Qrels {
	asked := make(eval.Qrels, len(queries))
	for _, q := range queries {
		asked[q.ID] = qrels[q.ID]
	}
	return asked
}

// Compare measures runs and compares them with the first, the baseline. Runs
// are known by their tags. A run none of whose queries has judgements is an
// error: it belongs to other judgements. Only Measures and Stats of the options
// are looked at.
func Compare(runs []eval.Run, qrels eval.Qrels, options Options) (*Report, error) {
	if err := options.validateComparison(); err != nil {
		return nil, err
	}
	if len(runs) == 0 || len(qrels) == 0 {
		return nil, fmt.Errorf("%w: %d runs and %d judged queries, want at least one of each", ErrSweep, len(runs), len(qrels))
	}
	report := &Report{
		Queries:  len(qrels),
		Headline: options.Measures[0].String(),
		Margin:   options.Stats.Margin,
	}
	for _, m := range options.Measures {
		report.Measures = append(report.Measures, m.String())
	}
	for i, run := range runs {
		result := SystemReport{
			Name:     run.Tag,
			Baseline: i == 0,
			Run:      run,
			Eval:     eval.Evaluate(qrels, run, options.Measures),
		}
		if n := len(run.Results); n > 0 && len(result.Eval.Unjudged) == n {
			return nil, fmt.Errorf("%w: none of the %d queries of run %s has judgements", ErrSweep, n, run.Tag)
		}
		baseline := &result
		if i > 0 {
			baseline = &report.Systems[0]
		}
		result.Overlap10 = eval.Overlap(baseline.Run, run, 10)
		if err := result.compareWith(baseline, options); err != nil {
			return nil, err
		}
		report.Systems = append(report.Systems, result)
	}
	report.adjust()
	return report, nil
}

// compareWith fills in the measures and, but for the baseline itself, how far
// they are from the baseline's.
func (s *SystemReport) compareWith(baseline *SystemReport, options Options) error {
	s.Measures = make(map[string]float64)
	for i, m := range options.Measures {
		name := m.String()
		s.Measures[name] = s.Eval.Means[i]
		if s.Baseline {
			continue
		}
		c, err := stats.Compare(baseline.Eval.Values[i], s.Eval.Values[i], options.Stats)
		if err != nil {
			return fmt.Errorf("%s, %s: %w", s.Name, name, err)
		}
		if s.Delta == nil {
			s.Delta = make(map[string]float64)
			s.Comparisons = make(map[string]stats.Comparison)
		}
		s.Delta[name] = c.Delta
		s.Comparisons[name] = c
		if i == 0 {
			s.CI90, s.Verdict = &c.CI90, &c.Verdict
		}
	}
	return nil
}

// Summarise averages what a system's answers, at least one, cost.
func Summarise(answers []Answer) Cost {
	var total Work
	times := make([]time.Duration, len(answers))
	for i, a := range answers {
		times[i] = a.Took
		total = total.plus(a.Work)
	}
	slices.Sort(times)
	// Whole numbers are added up first, so that equal ones have just that mean.
	n := float64(len(answers))
	return Cost{
		RowsKept:        float64(total.RowsKept) / n,
		CellsProbed:     float64(total.CellsProbed) / n,
		Postings:        float64(total.Postings) / n,
		Candidates:      float64(total.Candidates) / n,
		DocumentsScored: float64(total.DocumentsScored) / n,
		TokenPairs:      float64(total.TokenPairs) / n,
		Estimate:        milliseconds(total.Estimate) / n,
		P50:             milliseconds(percentile(times, 50)),
		P95:             milliseconds(percentile(times, 95)),
	}
}

// percentile returns the nearest-rank percentile of sorted values, p from 1 to
// 100.
func percentile(sorted []time.Duration, p int) time.Duration {
	return sorted[(p*len(sorted)+99)/100-1]
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
