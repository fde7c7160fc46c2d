package tune

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"

	"github.com/pare-search/pare/eval"
	"github.com/pare-search/pare/eval/stats"
	"github.com/pare-search/pare/eval/sweep"
)

// Bench measures settings on queries; a *sweep.Bench does, and should keep the
// indexes that it builds, since those of the path are searched twice.
type Bench interface {
	MeasureQueries(ctx context.Context, settings []sweep.Setting, queries []sweep.Query,
		options sweep.AskOptions, done func(sweep.Measured) error) error
}

// Collection is a collection that settings are tuned on.
type Collection struct {
	Name  string
	Bench Bench
	// Queries are the sample. Those without judgements are left out where the
	// target needs them.
	Queries []sweep.Query
	Qrels   eval.Qrels
	// Made names, for queries that were made of documents (knownitem.Sentences),
	// the document, which does not count among their results. There must be none
	// for targets that look at nothing else, see Target.CountsMade.
	Made map[string]string
}

// Outcome is what a setting keeps and costs on some queries.
type Outcome struct {
	// Kept is the mean recall of the unpruned results or, for targets of quality,
	// the ratio to the unpruned mean.
	Kept float64 `json:"kept"`
	// P is the p value of the hypothesis that the target is missed, Bound what
	// Kept is at least, with the confidence asked for, as far as these queries
	// and this setting alone tell.
	P     float64 `json:"p"`
	Bound float64 `json:"bound"`
	// Cost per query, over all collections.
	Cost  sweep.Cost `json:"cost"`
	Bytes int64      `json:"bytes"` // of the indexes together
}

// Verdict is what became of a step of the path.
type Verdict string

// The verdicts.
const (
	Certified Verdict = "certified"  // meets the target
	Failed    Verdict = "failed"     // not shown to meet it
	Untested  Verdict = "not tested" // comes after one that failed
)

// Step is a setting of the path.
type Step struct {
	Setting sweep.Setting `json:"setting"`
	Verdict Verdict       `json:"verdict"`
	Tuning  Outcome       `json:"tuning"`
	Testing *Outcome      `json:"testing,omitempty"` // nil if untested
	// Needed estimates, from the tuning half, how many queries in all, those for
	// tuning included, would show the target with the usual power; 0 where the
	// setting seems to miss it.
	Needed int `json:"needed"`

	indexes []Mark
}

// Sample describes the queries of a collection.
type Sample struct {
	Name        string `json:"name"`
	Tuned       int    `json:"tuned"`  // queries of the tuning half
	Tested      int    `json:"tested"` // queries of the testing half
	Made        int    `json:"made"`   // of both, those made of documents
	Unjudged    int    `json:"unjudged,omitempty"`
	Fingerprint string `json:"fingerprint"` // of queries and judgements
}

// Report is the outcome of tuning. Its JSON form is stable.
type Report struct {
	Target     Target   `json:"target"`
	Baseline   string   `json:"baseline"` // the setting of the unpruned search
	Confidence float64  `json:"confidence"`
	Minimise   Cost     `json:"minimise"`
	Method     string   `json:"method"`
	Seed       uint64   `json:"seed"`
	Samples    []Sample `json:"samples"`
	// Settings is how many were tried. Unpruned is the baseline on the tuning
	// half.
	Settings int     `json:"settings"`
	Unpruned Outcome `json:"unpruned"`
	Path     []Step  `json:"path"` // from the safest to the cheapest
}

// Chosen returns the last certified step, nil if there is none.
func (r *Report) Chosen() *Step {
	for i := len(r.Path) - 1; i >= 0; i-- {
		if r.Path[i].Verdict == Certified {
			return &r.Path[i]
		}
	}
	return nil
}

// Needed returns the least number of queries that would certify some setting of
// the path, 0 if none seems to meet the target.
func (r *Report) Needed() int {
	needed := 0
	for _, step := range r.Path {
		if step.Needed > 0 && (needed == 0 || step.Needed < needed) {
			needed = step.Needed
		}
	}
	return needed
}

// Queries returns how many queries there were, in both halves.
func (r *Report) Queries() (tuned, tested, made int) {
	for _, s := range r.Samples {
		tuned, tested, made = tuned+s.Tuned, tested+s.Tested, made+s.Made
	}
	return tuned, tested, made
}

// fewestTested is how many tested queries a target needs at least.
func fewestTested(o Options) int {
	// Means of fewer are not near enough to normal for a t-test.
	const fewestRatios = 30
	if o.Target.kind != recall {
		return fewestRatios
	}
	return stats.FewestLosses(o.Target.share, o.level())
}

// Run looks for the cheapest of the settings that meets the target on all
// collections together, as the package comment says. That none is certified is
// no error: the report says so, and how many queries would be needed. The errors
// wrap ErrTune, or are those of searching.
func Run(ctx context.Context, collections []Collection, settings []sweep.Setting, options Options) (*Report, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	if len(collections) == 0 || len(settings) == 0 {
		return nil, fmt.Errorf("%w: %d collections and %d settings, want at least one of each", ErrTune, len(collections), len(settings))
	}
	t := tuner{options: options, settings: sweep.Unique(settings)}
	report := &Report{
		Target: options.Target, Baseline: options.Baseline.String(), Confidence: options.Confidence, Minimise: options.Minimise,
		Seed: options.Seed, Settings: len(t.settings),
	}
	for i := range collections {
		s, sample, err := t.split(&collections[i], uint64(i))
		if err != nil {
			return nil, err
		}
		t.samples = append(t.samples, s)
		report.Samples = append(report.Samples, sample)
	}
	trials, unpruned, err := t.tune(ctx)
	if err != nil {
		return nil, err
	}
	report.Unpruned = unpruned
	report.Path = t.path(trials, unpruned)
	report.Method = options.Target.methodFor(t.strata(), options.level()).name
	return report, t.test(ctx, report.Path)
}

// tuner is one call of Run.
type tuner struct {
	options  Options
	settings []sweep.Setting
	samples  []sample
}

// sample is a collection with its queries in two halves.
type sample struct {
	*Collection
	tuning, testing []sweep.Query
	unpruned        []sweep.Answer // to the testing half
}

// split draws the halves of a collection's queries.
func (t *tuner) split(c *Collection, stream uint64) (sample, Sample, error) {
	about := Sample{Name: c.Name}
	if len(c.Made) > 0 && !t.options.Target.CountsMade() {
		return sample{}, about, fmt.Errorf("%w: %s has queries made of documents, which say nothing about %v", ErrTune, c.Name, t.options.Target)
	}
	var queries []sweep.Query
	for _, q := range c.Queries {
		if _, judged := c.Qrels[q.ID]; t.options.Target.Labelled() && !judged {
			about.Unjudged++
			continue
		}
		if _, made := c.Made[q.ID]; made {
			about.Made++
		}
		queries = append(queries, q)
	}
	if len(queries) < 4 {
		return sample{}, about, fmt.Errorf("%w: %s has %d queries that can be used, want at least 4", ErrTune, c.Name, len(queries))
	}
	about.Fingerprint = fingerprint(queries, c.Qrels)
	random := rand.New(rand.NewPCG(t.options.Seed, stream))
	random.Shuffle(len(queries), func(i, j int) { queries[i], queries[j] = queries[j], queries[i] })
	half := len(queries) / 2
	about.Tuned, about.Tested = half, len(queries)-half
	return sample{Collection: c, tuning: queries[:half], testing: queries[half:]}, about, nil
}

// fingerprint tells samples apart: 16 hexadecimal digits of a SHA-256.
func fingerprint(queries []sweep.Query, qrels eval.Qrels) string {
	hash := sha256.New()
	for _, q := range queries {
		fmt.Fprintf(hash, "%q %q\n", q.ID, q.Text)
		for _, document := range slices.Sorted(maps.Keys(qrels[q.ID])) {
			fmt.Fprintf(hash, "%q %d\n", document, qrels[q.ID][document])
		}
	}
	return fmt.Sprintf("%x", hash.Sum(nil)[:8])
}

// strata returns how many strata the test has.
func (t *tuner) strata() int {
	n := 0
	for _, s := range t.samples {
		made := 0
		for _, q := range s.testing {
			if _, isMade := s.Made[q.ID]; isMade {
				made++
			}
		}
		n++
		if made > 0 && made < len(s.testing) {
			n++
		}
	}
	return n
}

// trial gathers what a setting did on the halves of all collections.
type trial struct {
	setting  sweep.Setting
	evidence evidence
	answers  []sweep.Answer
	bytes    int64
	indexes  []Mark
}

func (t *trial) add(c *Collection, e evidence, m sweep.Measured) {
	t.evidence = append(t.evidence, e...)
	t.answers = append(t.answers, m.Answers...)
	t.bytes += m.Index.Bytes
	t.indexes = append(t.indexes, Mark{Name: c.Name, Documents: m.Documents, Index: m.Fingerprint})
}

func (t *tuner) outcome(tr *trial) Outcome {
	kept, p := t.options.Target.test(tr.evidence, t.options.level())
	return Outcome{Kept: kept, P: p, Cost: sweep.Summarise(tr.answers), Bytes: tr.bytes}
}

// tune measures the baseline and all settings on the tuning halves.
func (t *tuner) tune(ctx context.Context) (trials []*trial, unpruned Outcome, err error) {
	settings := append([]sweep.Setting{t.options.Baseline}, t.settings...)
	trials = make([]*trial, len(settings))
	places := make(map[string][]*trial)
	indexes := make(map[string]bool)
	for i, s := range settings {
		trials[i] = &trial{setting: s}
		// The baseline may be among the settings.
		places[s.String()] = append(places[s.String()], trials[i])
		indexes[s.Index().String()] = true
	}
	total := 0
	for _, s := range t.samples {
		total += len(s.tuning) * len(indexes)
	}
	ask := sweep.AskOptions{Workers: t.options.Workers}
	if t.options.Progress != nil {
		var done atomic.Int64
		ask.Progress = func(int, int) { t.options.Progress(Tuning, int(done.Add(1)), total) }
	}
	unique := sweep.Unique(settings)
	for _, s := range t.samples {
		var full []sweep.Answer // the baseline is measured first
		err := s.Bench.MeasureQueries(ctx, unique, s.tuning, ask, func(m sweep.Measured) error {
			if full == nil {
				full = m.Answers
			}
			for _, tr := range places[m.Setting.String()] {
				tr.add(s.Collection, t.options.Target.observe(s.Collection, s.tuning, full, m.Answers), m)
			}
			return nil
		})
		if err != nil {
			return nil, Outcome{}, fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	return trials[1:], t.outcome(trials[0]), nil
}

// leastSaving is the share of the cost that a step of the path saves at least:
// every step is a test that may end the path.
const leastSaving = 0.03

// path orders the settings that are cheaper than the baseline and that no other
// one beats in both safety and cost, the safest first. Safe is what shows the
// target with a small p value, which takes account of how much the queries
// differ, and among equals what loses less.
func (t *tuner) path(trials []*trial, unpruned Outcome) []Step {
	type candidate struct {
		*trial
		tuning Outcome
	}
	var candidates []candidate
	for _, tr := range trials {
		if c := (candidate{tr, t.outcome(tr)}); t.options.compare(c.tuning, unpruned) < 0 {
			candidates = append(candidates, c)
		}
	}
	slices.SortStableFunc(candidates, func(a, b candidate) int { return t.options.compare(a.tuning, b.tuning) })
	// From the cheapest on, what is not safer than a cheaper one is beaten.
	var front []candidate
	for _, c := range candidates {
		if len(front) == 0 || t.options.Target.safer(c.tuning, front[len(front)-1].tuning) {
			front = append(front, c)
		}
	}
	slices.Reverse(front)
	var path []Step
	for _, c := range front {
		if len(path) > 0 && t.options.amount(c.tuning) > (1-leastSaving)*t.options.amount(path[len(path)-1].Tuning) {
			continue
		}
		c.tuning.Bound = t.options.Target.bound(c.evidence, t.options.level())
		path = append(path, Step{
			Setting: c.setting, Verdict: Untested, Tuning: c.tuning, indexes: c.indexes,
			// As many are tuned on as are tested.
			Needed: 2 * t.options.Target.needed(c.evidence, t.options.level(), t.options.Power),
		})
	}
	return path
}

// test tests the steps in order, on the testing halves, until one fails.
func (t *tuner) test(ctx context.Context, path []Step) error {
	ask := sweep.AskOptions{Workers: t.options.Workers}
	for i := range path {
		if t.options.Progress != nil {
			t.options.Progress(Testing, i, len(path))
		}
		tr := &trial{setting: path[i].Setting}
		for s := range t.samples {
			if err := t.samples[s].test(ctx, tr, t.options, ask); err != nil {
				return fmt.Errorf("%s: %w", t.samples[s].Name, err)
			}
		}
		outcome := t.outcome(tr)
		outcome.Bound = t.options.Target.bound(tr.evidence, t.options.level())
		path[i].Testing = &outcome
		if outcome.P > t.options.level() {
			path[i].Verdict = Failed
			return nil
		}
		path[i].Verdict = Certified
	}
	return nil
}

// test adds what a setting does on the testing half.
func (s *sample) test(ctx context.Context, tr *trial, options Options, ask sweep.AskOptions) error {
	if s.unpruned == nil {
		err := s.Bench.MeasureQueries(ctx, []sweep.Setting{options.Baseline}, s.testing, ask, func(m sweep.Measured) error {
			s.unpruned = m.Answers
			return nil
		})
		if err != nil {
			return err
		}
	}
	return s.Bench.MeasureQueries(ctx, []sweep.Setting{tr.setting}, s.testing, ask, func(m sweep.Measured) error {
		tr.add(s.Collection, options.Target.observe(s.Collection, s.testing, s.unpruned, m.Answers), m)
		return nil
	})
}

// amount is what is minimised.
func (o Options) amount(outcome Outcome) float64 {
	if o.Minimise == Bytes {
		return float64(outcome.Bytes)
	}
	return outcome.Cost.Estimate
}

// compare orders outcomes by cost.
func (o Options) compare(a, b Outcome) int {
	if o.Minimise == Bytes && a.Bytes != b.Bytes {
		if a.Bytes < b.Bytes {
			return -1
		}
		return 1
	}
	switch {
	case a.Cost.Estimate < b.Cost.Estimate:
		return -1
	case a.Cost.Estimate > b.Cost.Estimate:
		return 1
	}
	return 0
}

// errNothing is what a report without a certified step is asked for a
// certificate.
var errNothing = errors.New("tune: no setting was certified")
