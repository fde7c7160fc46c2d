package searchbench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pare-search/pare/eval"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/simd"
)

// Options say what is measured.
type Options struct {
	// Settings are measured in turns. They all need at least ten hits.
	Settings []Setting
	// Repeats is how often each query is timed, after Warmup queries that are
	// not.
	Repeats, Warmup int
	// Threads, if above one, also measures how many queries per second so many
	// goroutines answer together, with the fastest setting of at least 95 % of
	// the exact best ten, or the setting that finds most of them.
	Threads int
	// ThreadTime is how long each of six such measurements takes.
	ThreadTime time.Duration
	// Progress, if not nil, is told how many of the searches are done.
	Progress func(done, total int)
}

// DefaultOptions measures DefaultGrids three times.
func DefaultOptions() Options {
	settings, err := ParseGrids(DefaultGrids)
	if err != nil {
		panic(err)
	}
	return Options{Settings: settings, Repeats: 3, Warmup: 20, Threads: 1, ThreadTime: time.Second}
}

// Validate reports every option that makes no sense.
func (o Options) Validate() error {
	var faults []error
	bad := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...))
		}
	}
	bad(len(o.Settings) > 0, "no settings")
	bad(o.Repeats >= 1, "%d repeats, want at least one", o.Repeats)
	bad(o.Warmup >= 0, "%d warm-up queries", o.Warmup)
	bad(o.Threads >= 1, "%d threads, want at least one", o.Threads)
	bad(o.Threads == 1 || o.ThreadTime > 0, "%v to measure threads, want more than 0", o.ThreadTime)
	for _, s := range o.Settings {
		bad(s.Options.K >= 10, "setting %q: %d hits, want at least 10", s, s.Options.K)
		faults = append(faults, s.Pruner.Validate(), s.Options.Validate())
	}
	return errors.Join(faults...)
}

// Result is what one setting did, means over all queries but for the two
// percentiles. Times are in milliseconds.
type Result struct {
	Setting string  `json:"setting"`
	Plan    string  `json:"plan"` // that the first query followed
	P50     float64 `json:"p50_ms"`
	P95     float64 `json:"p95_ms"`
	Mean    float64 `json:"mean_ms"`
	Stages  Stages  `json:"stages_ms"`
	// Recall10 and Recall100 are the shares of the exact best that were found.
	Recall10  float64 `json:"recall_at_10"`
	Recall100 float64 `json:"recall_at_100"`
	NDCG10    float64 `json:"ndcg_at_10,omitempty"` // 0 without judgements
	Work      Work    `json:"work"`
}

// Stages are the times of the stages of a search, in milliseconds: the mean of
// all queries, each at its fastest.
type Stages struct {
	Scan   float64 `json:"scan"`
	Probe  float64 `json:"probe"`
	Rank   float64 `json:"rank"`
	Score  float64 `json:"score"`
	Refine float64 `json:"refine"`
}

// Work is what a search had to do.
type Work struct {
	Rows       float64 `json:"rows"` // of the query
	RowsKept   float64 `json:"rows_kept"`
	Cells      float64 `json:"cells"`
	Postings   float64 `json:"postings"`
	Candidates float64 `json:"candidates"`
	// CandidatesP95 is the 95th percentile of the queries.
	CandidatesP95 float64 `json:"candidates_p95"`
	Scored        float64 `json:"scored"`      // documents
	TokenPairs    float64 `json:"token_pairs"` // scored
	Bytes         float64 `json:"bytes"`       // of payloads scored
}

// Throughput compares goroutines that search at the same time, each with a
// Searcher of its own, with one.
type Throughput struct {
	Setting string  `json:"setting"`
	Threads int     `json:"threads"`
	One     float64 `json:"queries_per_second_of_one"`
	All     float64 `json:"queries_per_second"`
	Ratio   float64 `json:"ratio"`
}

// Report is what Measure found.
type Report struct {
	Queries int `json:"queries"`
	// ExactNDCG10 is that of the truth, 0 without judgements.
	ExactNDCG10 float64     `json:"exact_ndcg_at_10,omitempty"`
	Results     []Result    `json:"settings"`
	Best        []Best      `json:"best"`
	Throughput  *Throughput `json:"throughput,omitempty"`
	// PeakBytes is the most memory that the process had while it searched,
	// with the pages of the index that were touched; 0 where the system does
	// not tell it.
	PeakBytes int64 `json:"peak_bytes,omitempty"`
}

// Measure searches with every setting. The truth is what Exact returned for the
// same queries; qrels may be empty. Packing the query and choosing its rows
// count as parts of a search.
func Measure(ctx context.Context, snapshot *index.Snapshot, queries []Query, truth eval.Run, qrels eval.Qrels, o Options) (*Report, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if len(queries) == 0 {
		return nil, fmt.Errorf("%w: no queries", ErrInvalid)
	}
	qrels = judgementsOf(queries, qrels)
	report := &Report{Queries: len(queries), ExactNDCG10: ndcg10(truth, qrels)}
	resetPeakMemory()
	trials, err := run(ctx, snapshot, queries, o)
	if err != nil {
		return nil, err
	}
	report.PeakBytes = peakMemory()
	for _, t := range trials {
		report.Results = append(report.Results, t.result(truth, qrels))
	}
	report.Best = bests(report.Results, report.ExactNDCG10)
	if o.Threads > 1 {
		setting := o.Settings[representative(report.Results)]
		if report.Throughput, err = throughput(ctx, snapshot, queries, setting, o); err != nil {
			return nil, err
		}
	}
	return report, nil
}

// trial is what one setting did to each query.
type trial struct {
	setting Setting
	times   [][]time.Duration // [query][repeat]
	stats   []index.Stats     // of the fastest repeat
	run     eval.Run
}

// run times every query with every setting. The settings take turns, so that a
// machine that slows down for a while slows all of them.
func run(ctx context.Context, snapshot *index.Snapshot, queries []Query, o Options) ([]trial, error) {
	trials := make([]trial, len(o.Settings))
	searcher := newSearcher(snapshot)
	for repeat := range o.Repeats {
		for i, setting := range o.Settings {
			t := &trials[i]
			if repeat == 0 {
				setting.Options.Times = true
				*t = trial{
					setting: setting,
					times:   make([][]time.Duration, len(queries)),
					stats:   make([]index.Stats, len(queries)),
					run:     eval.Run{Tag: setting.String(), Results: make(map[string][]eval.Result, len(queries))},
				}
			}
			for _, query := range queries[:min(o.Warmup, len(queries))] {
				if _, _, err := searcher.search(ctx, query, t.setting); err != nil {
					return nil, err
				}
			}
			for q, query := range queries {
				start := time.Now()
				hits, stats, err := searcher.search(ctx, query, t.setting)
				took := time.Since(start)
				if err != nil {
					return nil, fmt.Errorf("setting %q, query %q: %w", t.setting, query.ID, err)
				}
				if repeat == 0 || took < slices.Min(t.times[q]) {
					t.stats[q] = stats
				}
				t.times[q] = append(t.times[q], took)
				if repeat == 0 {
					t.run.Results[query.ID] = results(hits)
				}
			}
			if o.Progress != nil {
				o.Progress((repeat*len(o.Settings)+i+1)*len(queries), o.Repeats*len(o.Settings)*len(queries))
			}
		}
	}
	return trials, nil
}

// searcher searches a snapshot from tokens to hits, for one goroutine.
type searcher struct {
	*index.Searcher
	snapshot *index.Snapshot
}

func newSearcher(snapshot *index.Snapshot) searcher {
	return searcher{index.NewSearcher(snapshot), snapshot}
}

func (s searcher) search(ctx context.Context, query Query, setting Setting) ([]index.Hit, index.Stats, error) {
	statistics, err := s.snapshot.Statistics()
	if err != nil {
		return nil, index.Stats{}, err
	}
	selection, err := setting.Pruner.Select(query.Tokens, statistics)
	if err != nil {
		return nil, index.Stats{}, err
	}
	return s.Search(ctx, simd.PackQuery(selection.Vectors), selection, setting.Options)
}

func results(hits []index.Hit) []eval.Result {
	out := make([]eval.Result, len(hits))
	for i, hit := range hits {
		out[i] = eval.Result{ID: hit.ID, Score: float64(hit.Score)}
	}
	return out
}

// result sums the trial up.
func (t trial) result(truth eval.Run, qrels eval.Qrels) Result {
	r := Result{
		Setting:   t.setting.String(),
		Plan:      t.stats[0].Plan.String(),
		Recall10:  eval.Overlap(t.run, truth, 10),
		Recall100: eval.Overlap(t.run, truth, 100),
		NDCG10:    ndcg10(t.run, qrels),
	}
	n := float64(len(t.stats))
	perQuery, candidates := make([]float64, len(t.times)), make([]int, 0, len(t.stats))
	for q, times := range t.times {
		slices.Sort(times)
		perQuery[q] = milliseconds(times[len(times)/2])
		r.Mean += perQuery[q] / n
	}
	slices.Sort(perQuery)
	r.P50, r.P95 = perQuery[len(perQuery)/2], perQuery[len(perQuery)*95/100]
	for _, s := range t.stats {
		r.Stages.Scan += milliseconds(s.ScanTime) / n
		r.Stages.Refine += milliseconds(s.RefineTime) / n
		r.Stages.Probe += milliseconds(s.ProbeTime) / n
		r.Stages.Rank += milliseconds(s.RankTime) / n
		r.Stages.Score += milliseconds(s.ScoreTime) / n
		r.Work.Rows += float64(s.Rows) / n
		r.Work.RowsKept += float64(s.RowsKept) / n
		r.Work.Cells += float64(s.CellsProbed) / n
		r.Work.Postings += float64(s.Postings) / n
		r.Work.Candidates += float64(s.Candidates) / n
		r.Work.Scored += float64(s.DocumentsScored) / n
		r.Work.TokenPairs += float64(s.TokenPairs) / n
		r.Work.Bytes += float64(s.Bytes) / n
		candidates = append(candidates, s.Candidates)
	}
	slices.Sort(candidates)
	r.Work.CandidatesP95 = float64(candidates[len(candidates)*95/100])
	return r
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// ndcg10 is 0 without judgements.
func ndcg10(run eval.Run, qrels eval.Qrels) float64 {
	if len(qrels) == 0 {
		return 0
	}
	measures, err := eval.ParseMeasures("nDCG@10")
	if err != nil {
		panic(err)
	}
	return eval.Evaluate(qrels, run, measures).Means[0]
}

// throughput lets one goroutine and several take turns.
func throughput(ctx context.Context, snapshot *index.Snapshot, queries []Query, setting Setting, o Options) (*Throughput, error) {
	t := &Throughput{Setting: setting.String(), Threads: o.Threads}
	for range 3 {
		for _, m := range []struct {
			threads int
			best    *float64
		}{{1, &t.One}, {o.Threads, &t.All}} {
			speed, err := speedOf(ctx, snapshot, queries, setting, m.threads, o.ThreadTime)
			if err != nil {
				return nil, err
			}
			*m.best = max(*m.best, speed)
		}
	}
	t.Ratio = t.All / t.One
	return t, nil
}

// speedOf returns the queries that so many goroutines answer per second.
func speedOf(ctx context.Context, snapshot *index.Snapshot, queries []Query, setting Setting, threads int, length time.Duration) (float64, error) {
	counts, errs := make([]int, threads), make([]error, threads)
	var ready, done sync.WaitGroup
	begin := make(chan struct{})
	var start time.Time
	ready.Add(threads)
	for i := range threads {
		done.Go(func() {
			searcher := newSearcher(snapshot)
			_, _, errs[i] = searcher.search(ctx, queries[0], setting) // warms it up
			ready.Done()
			<-begin
			for q := i * len(queries) / threads; errs[i] == nil && time.Since(start) < length; q++ {
				_, _, errs[i] = searcher.search(ctx, queries[q%len(queries)], setting)
				counts[i]++
			}
		})
	}
	ready.Wait()
	start = time.Now()
	close(begin)
	done.Wait()
	took := time.Since(start)
	total := 0
	for _, n := range counts {
		total += n
	}
	return float64(total) / took.Seconds(), errors.Join(errs...)
}
