package tablebench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"reflect"
	"slices"
	"time"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/encoder/table"
	"github.com/pare-search/pare/eval"
	"github.com/pare-search/pare/eval/searchbench"
	"github.com/pare-search/pare/eval/stats"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/simd"
)

// ErrInvalid reports options or collections that nothing can be compared with.
var ErrInvalid = errors.New("tablebench: invalid")

// Subject is an encoder whose vectors of words can be replaced.
type Subject struct {
	Encoder encoder.Encoder
	Words   simd.Matrix
	// Frequencies are how often each row is looked up.
	Frequencies []int64
	// With returns the encoder with a table in place of the words.
	With func(*table.Table) (encoder.Encoder, error)
}

// Collection is what is searched.
type Collection struct {
	Name      string
	Documents []Document
	Queries   []Query
	Qrels     eval.Qrels
}

// Document is a text to be found, Query one to find it with.
type (
	Document struct{ ID, Text string }
	Query    struct{ ID, Text string }
)

// Options say what is compared.
type Options struct {
	// Methods are names of package table.
	Methods []string
	// Factors are how many times smaller than float32 tables are to be.
	Factors []float64
	// Margin is the share of a measure that may be lost as if it were none.
	Margin float64
	Seed   uint64
	// Known are reports of the same encoder and collections: tables that were measured
	// there are taken over.
	Known []*Report
	// Done, if set, is told of every table as soon as it was measured.
	Done func(Row)
}

// DefaultOptions compare all methods at budgets from a half to a thirty-second.
func DefaultOptions() Options {
	o := Options{Factors: []float64{2, 4, 8, 16, 32}, Margin: 0.01, Seed: 1}
	for _, m := range table.Methods() {
		o.Methods = append(o.Methods, m.Name)
	}
	return o
}

// Validate reports every option that makes no sense.
func (o Options) Validate() error {
	var faults []error
	if len(o.Methods) == 0 || len(o.Factors) == 0 {
		faults = append(faults, fmt.Errorf("%w: %d methods and %d factors, want at least one of each", ErrInvalid, len(o.Methods), len(o.Factors)))
	}
	for _, f := range o.Factors {
		if !(f >= 1 && f <= 1e6) {
			faults = append(faults, fmt.Errorf("%w: %v times smaller, want 1 or more", ErrInvalid, f))
		}
	}
	if !(o.Margin > 0 && o.Margin < 1) {
		faults = append(faults, fmt.Errorf("%w: margin %v, want a share between 0 and 1", ErrInvalid, o.Margin))
	}
	return errors.Join(faults...)
}

// Quality is what searches of one collection with one table are worth.
type Quality struct {
	Collection string             `json:"collection"`
	Measures   map[string]float64 `json:"measures"`
	// Cosine is the mean cosine of a document's vectors and those of the encoder as it
	// was, over a sample of documents.
	Cosine float64 `json:"cosine"`
	// Overlap10 is the share of the best ten that are the same.
	Overlap10 float64 `json:"overlap@10"`
}

// Row is a table that was measured, or why there is none.
type Row struct {
	Method string  `json:"method"`
	Factor float64 `json:"factor"`
	Fault  string  `json:"fault,omitempty"`

	Bytes int `json:"bytes,omitempty"`
	// FitSeconds is the time it took to fit, LoadSeconds to open what was saved, and
	// LookupNanoseconds to write one row.
	FitSeconds        float64 `json:"fit_seconds,omitempty"`
	LoadSeconds       float64 `json:"load_seconds,omitempty"`
	LookupNanoseconds float64 `json:"lookup_ns,omitempty"`
	// Error is the squared error of rows over their squares, both weighted with
	// frequencies.
	Error     float64   `json:"error"`
	Qualities []Quality `json:"qualities,omitempty"`
	// Ratio is the mean nDCG@10 over that of the encoder as it was, all collections
	// counting the same, CI90 its 90 % interval. Without a table they say nothing.
	Ratio   float64        `json:"ratio"`
	CI90    stats.Interval `json:"ci90"`
	Verdict stats.Verdict  `json:"verdict"`
	// Bootstrap90 is the interval by drawing queries instead of Student's distribution.
	Bootstrap90 stats.Interval `json:"bootstrap90"`
}

// Report is the outcome of a comparison.
type Report struct {
	Rows  int `json:"rows"`
	Dim   int `json:"dim"`
	Bytes int `json:"bytes"` // of the matrix in float32
	Used  int `json:"used"`  // rows that are looked up
	// Of the matrix in float32, saved as a table.
	LoadSeconds       float64 `json:"load_seconds"`
	LookupNanoseconds float64 `json:"lookup_ns"`

	Margin   float64   `json:"margin"`
	Seed     uint64    `json:"seed"`
	Measures []string  `json:"measures"`
	Baseline []Quality `json:"baseline"`
	// Sensitivity is what "banded-retrieval" went by.
	Sensitivity *Sensitivity `json:"sensitivity,omitempty"`
	Tables      []Row        `json:"tables"`
}

// Best returns the table with the largest ratio for each factor, smallest factor first.
// It is the best of many on the queries that it is judged by, and so flatters a little.
func (r *Report) Best() []Row {
	var best []Row
	for _, row := range r.Tables {
		if row.Fault != "" {
			continue
		}
		at := slices.IndexFunc(best, func(b Row) bool { return b.Factor == row.Factor })
		if at < 0 {
			best = append(best, row)
		} else if row.Ratio > best[at].Ratio {
			best[at] = row
		}
	}
	slices.SortFunc(best, func(a, b Row) int { return cmp.Compare(a.Factor, b.Factor) })
	return best
}

// same returns an error if r and other are not of the same encoder and collections.
func (r *Report) same(other *Report) error {
	a, b := *r, *other
	for _, r := range []*Report{&a, &b} { // what may be another
		r.Tables, r.Sensitivity, r.LoadSeconds, r.LookupNanoseconds = nil, nil, 0, 0
	}
	if !reflect.DeepEqual(a, b) {
		return fmt.Errorf("%w: a known report is of another encoder, other collections, another margin or seed", ErrInvalid)
	}
	return nil
}

// The first measure is the one that verdicts are about.
var measures = []string{"nDCG@10", "RR@10", "R@100"}

const depth = 100

// Compare measures every method at every budget. A table that a method cannot make
// is a row that says why.
func Compare(ctx context.Context, s Subject, collections []Collection, options Options) (*Report, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	if len(collections) == 0 {
		return nil, fmt.Errorf("%w: no collection", ErrInvalid)
	}
	if len(s.Frequencies) != s.Words.Rows {
		return nil, fmt.Errorf("%w: %d frequencies for %d words", ErrInvalid, len(s.Frequencies), s.Words.Rows)
	}
	parsed, err := eval.ParseMeasures(measures...)
	if err != nil {
		return nil, err
	}
	c := comparison{subject: s, collections: collections, measures: parsed, options: options}
	report := &Report{Rows: s.Words.Rows, Dim: s.Words.Dim, Bytes: 4 * len(s.Words.Data), Margin: options.Margin, Seed: options.Seed, Measures: measures}
	for _, f := range s.Frequencies {
		if f > 0 {
			report.Used++
		}
	}
	plain, err := table.Plain(s.Words)
	if err != nil {
		return nil, err
	}
	if report.LoadSeconds, report.LookupNanoseconds, err = timeTable(plain); err != nil {
		return nil, err
	}
	for i := range collections {
		tried, err := c.search(ctx, s.Encoder, i)
		if err != nil {
			return nil, err
		}
		c.baseline = append(c.baseline, tried)
		report.Baseline = append(report.Baseline, c.quality(i, tried))
	}
	known := make(map[table.Spec]Row)
	for _, k := range options.Known {
		if err := report.same(k); err != nil {
			return nil, err
		}
		for _, row := range k.Tables {
			known[table.Spec{Method: row.Method, Factor: row.Factor}] = row
		}
		report.Sensitivity = cmp.Or(report.Sensitivity, k.Sensitivity)
	}
	for _, method := range options.Methods {
		for _, factor := range options.Factors {
			row, ok := known[table.Spec{Method: method, Factor: factor}]
			if !ok {
				if row, err = c.row(ctx, method, factor); err != nil {
					return nil, err
				}
			}
			report.Tables = append(report.Tables, row)
			if options.Done != nil {
				options.Done(row)
			}
		}
	}
	report.Sensitivity = cmp.Or(c.sensitivity, report.Sensitivity)
	return report, nil
}

const resamples = 2000

// measureSensitivity does so once, with documents of all collections.
func (c *comparison) measureSensitivity(ctx context.Context) (err error) {
	if c.sensitivity != nil {
		return nil
	}
	c.sensitivity, err = MeasureSensitivity(ctx, c.subject, func(yield func(string, error) bool) {
		for _, collection := range c.collections {
			for _, d := range collection.Documents {
				if !yield(d.Text, nil) {
					return
				}
			}
		}
	}, c.options.Seed)
	return err
}

// comparison is the state of Compare.
type comparison struct {
	subject     Subject
	collections []Collection
	measures    []eval.Measure
	options     Options
	baseline    []outcome // by collection
	sensitivity *Sensitivity
}

// outcome is what came of searching a collection.
type outcome struct {
	report eval.Report
	run    eval.Run
	sample []simd.Matrix // vectors of the first documents
}

func (c *comparison) row(ctx context.Context, method string, factor float64) (Row, error) {
	row := Row{Method: method, Factor: factor}
	tableOptions := table.Options{Frequencies: c.subject.Frequencies, Seed: c.options.Seed}
	if table.UsesSensitivities(method) {
		if err := c.measureSensitivity(ctx); err != nil {
			return row, err
		}
		tableOptions.Sensitivities = c.sensitivity.Rows
	}
	began := time.Now()
	fitted, err := table.Spec{Method: method, Factor: factor}.Fit(ctx, c.subject.Words, tableOptions)
	if errors.Is(err, table.ErrBudget) {
		row.Fault = err.Error()
		return row, nil
	}
	if err != nil {
		return row, err
	}
	row.FitSeconds = time.Since(began).Seconds()
	row.Bytes = fitted.Size()
	if row.LoadSeconds, row.LookupNanoseconds, err = timeTable(fitted); err != nil {
		return row, err
	}
	row.Error = weightedError(c.subject, fitted)
	enc, err := c.subject.With(fitted)
	if err != nil {
		return row, err
	}
	strata := make([]stats.Stratum, len(c.collections))
	for i := range c.collections {
		tried, err := c.search(ctx, enc, i)
		if err != nil {
			return row, err
		}
		row.Qualities = append(row.Qualities, c.quality(i, tried))
		strata[i] = c.stratum(i, tried)
	}
	if row.Ratio = stats.Ratio(strata, c.options.Margin).Ratio; !(row.Ratio >= 0) || math.IsInf(row.Ratio, 0) {
		return row, fmt.Errorf("%w: no query finds anything relevant with the encoder as it was", ErrInvalid)
	}
	row.CI90[0], row.CI90[1] = stats.RatioBounds(strata, 0.95)
	row.Bootstrap90 = stats.RatioBootstrap(strata, 0.9, resamples, c.options.Seed)
	row.Verdict = stats.Decide(stats.Interval{row.CI90[0] - 1, row.CI90[1] - 1}, c.options.Margin)
	return row, nil
}

// timeTable measures how long it takes to open a saved table and to look a row up, in
// an order in which neighbours are far apart.
func timeTable(t *table.Table) (loadSeconds, lookupNanoseconds float64, err error) {
	saved, err := t.MarshalBinary()
	if err != nil {
		return 0, 0, err
	}
	loadSeconds = math.Inf(1)
	for range 3 {
		began := time.Now()
		if _, err := table.Load(saved); err != nil {
			return 0, 0, err
		}
		loadSeconds = min(loadSeconds, time.Since(began).Seconds())
	}
	// A look at the clock takes as long as a look-up: there is one for many.
	const stride, between = 7919, 256
	row := make([]float32, t.Dim())
	began, looked := time.Now(), 0
	for id := 0; looked == 0 || looked < t.Rows() && time.Since(began) < time.Second/4; {
		for range between {
			t.Row(row, id)
			id = (id + stride) % t.Rows()
		}
		looked += between
	}
	return loadSeconds, float64(time.Since(began).Nanoseconds()) / float64(looked), nil
}

// weightedError is the squared error over the squares, 0 where no row counts.
func weightedError(s Subject, t *table.Table) float64 {
	row := make([]float32, t.Dim())
	lost, all := 0.0, 0.0
	for id := range t.Rows() {
		t.Row(row, id)
		w := float64(s.Frequencies[id])
		for d, v := range s.Words.Row(id) {
			e := float64(v) - float64(row[d])
			lost, all = lost+w*e*e, all+w*float64(v)*float64(v)
		}
	}
	if all == 0 {
		return 0
	}
	return lost / all
}

// batch is how many documents are encoded at a time, sampled how many are compared
// vector by vector.
const batch, sampled = 256, 256

// search encodes a collection and ranks all documents for every judged query.
func (c *comparison) search(ctx context.Context, enc encoder.Encoder, at int) (outcome, error) {
	collection := c.collections[at]
	var queries []searchbench.Query
	for _, q := range collection.Queries {
		if _, judged := collection.Qrels[q.ID]; !judged {
			continue
		}
		tokens, err := enc.EncodeQuery(ctx, q.Text)
		if err != nil {
			return outcome{}, err
		}
		queries = append(queries, searchbench.Query{ID: q.ID, Tokens: tokens})
	}
	if len(queries) == 0 {
		return outcome{}, fmt.Errorf("%w: %s has no judged query", ErrInvalid, collection.Name)
	}
	var out outcome
	run, err := searchbench.RankAll(ctx, encoded(ctx, enc, collection.Documents, &out.sample), queries, depth, nil)
	if err != nil {
		return outcome{}, err
	}
	judged := make(eval.Qrels, len(queries))
	for _, q := range queries {
		judged[q.ID] = collection.Qrels[q.ID]
	}
	out.run, out.report = run, eval.Evaluate(judged, run, c.measures)
	return out, nil
}

// encoded yields documents with their vectors, and keeps those of the first ones.
func encoded(ctx context.Context, enc encoder.Encoder, documents []Document, sample *[]simd.Matrix) iter.Seq2[index.Document, error] {
	return func(yield func(index.Document, error) bool) {
		texts := make([]string, 0, batch)
		for some := range slices.Chunk(documents, batch) {
			texts = texts[:0]
			for _, d := range some {
				texts = append(texts, d.Text)
			}
			tokens, err := enc.EncodeDocuments(ctx, texts)
			if err != nil {
				yield(index.Document{}, err)
				return
			}
			for i, d := range some {
				if len(*sample) < sampled {
					*sample = append(*sample, tokens[i].Vectors)
				}
				if !yield(index.Document{ID: d.ID, Tokens: tokens[i]}, nil) {
					return
				}
			}
		}
	}
}

func (c *comparison) quality(at int, tried outcome) Quality {
	before := c.baseline[at]
	means := make(map[string]float64, len(measures))
	for i, m := range c.measures {
		means[measures[i]], _ = tried.report.Mean(m)
	}
	return Quality{
		Collection: c.collections[at].Name,
		Measures:   means,
		Cosine:     meanCosine(before.sample, tried.sample),
		Overlap10:  eval.Overlap(before.run, tried.run, 10),
	}
}

// stratum pairs the first measure query by query.
func (c *comparison) stratum(at int, tried outcome) stats.Stratum {
	m := c.measures[0]
	return stats.Stratum{Baseline: c.baseline[at].report.PerQuery(m), System: tried.report.PerQuery(m)}
}

// meanCosine compares vectors at the same place; one without a length is like no
// other.
func meanCosine(a, b []simd.Matrix) float64 {
	sum, n := 0.0, 0
	for i := range a {
		for row := range min(a[i].Rows, b[i].Rows) {
			x, y := a[i].Row(row), b[i].Row(row)
			if lengths := math.Sqrt(float64(simd.Dot(x, x)) * float64(simd.Dot(y, y))); lengths > 0 {
				sum += float64(simd.Dot(x, y)) / lengths
			}
			n++
		}
	}
	return sum / float64(max(n, 1))
}
