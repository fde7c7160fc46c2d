package tune_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pare-search/pare/eval"
	"github.com/pare-search/pare/eval/sweep"
	"github.com/pare-search/pare/eval/tune"
)

// population is a collection in which everything is known: each query has ten
// documents that the unpruned search finds, the first of them relevant, and
// each setting finds some of them.
type population struct {
	missed [][]int // by setting and query: how many of the ten are not found
	costs  []time.Duration
}

var (
	ids   = strings.Split("0 1 2 3 4 5 6 7 8 9", " ")
	wrong = strings.Split("a b c d e f g h i j", " ")
)

// name is the setting with a number; the baseline has none.
func name(setting int) sweep.Setting {
	return sweep.Setting{}.With("search.budget", fmt.Sprint(setting))
}

func (p population) settings() []sweep.Setting {
	var settings []sweep.Setting
	for s := range p.missed {
		settings = append(settings, name(s))
	}
	return settings
}

// sample draws queries, which may repeat.
func (p population) sample(n int, random *rand.Rand) []sweep.Query {
	queries := make([]sweep.Query, n)
	for i := range queries {
		number := random.IntN(len(p.missed[0]))
		queries[i] = sweep.Query{ID: fmt.Sprintf("%d of %d", i, number), Text: strconv.Itoa(number)}
	}
	return queries
}

func (p population) MeasureQueries(_ context.Context, settings []sweep.Setting, queries []sweep.Query, _ sweep.AskOptions, done func(sweep.Measured) error) error {
	for _, setting := range settings {
		m := sweep.Measured{Setting: setting, Documents: 10, Fingerprint: "f00d", Index: sweep.IndexSize{Bytes: 100}}
		budget, pruned := setting.Value("search.budget")
		var s int
		fmt.Sscan(budget, &s)
		for _, q := range queries {
			number, err := strconv.Atoi(q.Text)
			if err != nil {
				return err
			}
			answer := sweep.Answer{Work: sweep.Work{Estimate: time.Second}}
			missed := 0
			if pruned {
				missed, answer.Work.Estimate = p.missed[s][number], p.costs[s]
			}
			for rank := range 10 {
				id := ids[rank]
				if rank < missed {
					id = wrong[rank]
				}
				answer.Results = append(answer.Results, eval.Result{ID: id, Score: float64(10 - rank)})
			}
			m.Answers = append(m.Answers, answer)
		}
		if err := done(m); err != nil {
			return err
		}
	}
	return nil
}

// risk is the true mean loss of a setting.
func (p population) risk(setting int) float64 {
	sum := 0
	for _, missed := range p.missed[setting] {
		sum += missed
	}
	return float64(sum) / float64(10*len(p.missed[setting]))
}

// nearTheLimit makes a population whose settings miss the limit of 5 % by
// little, every second one with losses on few queries only, all but the first
// third of them, which are safe.
func nearTheLimit(settings int) population {
	random := rand.New(rand.NewPCG(3, 4))
	p := population{}
	for s := range settings {
		rate := 0.052 + 0.0005*float64(s)
		if s < settings/3 {
			rate = 0.004 + 0.0005*float64(s)
		}
		missed := make([]int, 4000)
		for q := range missed {
			switch {
			case s%2 == 0:
				for range 10 {
					if random.Float64() < rate {
						missed[q]++
					}
				}
			case random.Float64() < rate/0.6:
				missed[q] = 6
			}
		}
		p.missed = append(p.missed, missed)
		p.costs = append(p.costs, time.Duration(900-20*s)*time.Millisecond)
	}
	return p
}

func options(t *testing.T, target string) tune.Options {
	t.Helper()
	o := tune.DefaultOptions()
	var err error
	if o.Target, err = tune.ParseTarget(target); err != nil {
		t.Fatal(err)
	}
	return o
}

// TestPromiseHolds tunes on hundreds of samples of a population and looks up
// how often a certified setting misses the target in truth. Choosing by what a
// sample looks like is wrong far more often, which shows that the population
// is hard enough.
func TestPromiseHolds(t *testing.T) {
	const samples, level = 200, 0.05
	p := nearTheLimit(18)
	random := rand.New(rand.NewPCG(5, 6))
	misses, naive, certified := 0, 0, 0
	for seed := range uint64(samples) {
		queries := p.sample(320, random)
		o := options(t, "recall@10>=0.95")
		o.Seed = seed
		report, err := tune.Run(t.Context(), []tune.Collection{{Name: "p", Bench: p, Queries: queries}}, p.settings(), o)
		if err != nil {
			t.Fatal(err)
		}
		if chosen := report.Chosen(); chosen != nil {
			certified++
			if p.risk(number(t, chosen.Setting)) > 0.05 {
				misses++
			}
		}
		// The cheapest one that keeps 95 % of this sample.
		for s := len(p.missed) - 1; s >= 0; s-- {
			sum := 0
			for _, q := range queries {
				n, err := strconv.Atoi(q.Text)
				if err != nil {
					t.Fatal(err)
				}
				sum += p.missed[s][n]
			}
			if float64(sum) <= 0.5*float64(len(queries)) {
				if p.risk(s) > 0.05 {
					naive++
				}
				break
			}
		}
	}
	most := level + 3*math.Sqrt(level*(1-level)/samples)
	t.Logf("%d of %d samples certify a setting, %d wrongly; the sample's own cheapest would be wrong in %d", certified, samples, misses, naive)
	if share := float64(misses) / samples; share > most {
		t.Errorf("%.3f of the certificates are wrong, want %.3f at most", share, most)
	}
	if certified < samples*3/4 {
		t.Errorf("only %d of %d samples certify a setting", certified, samples)
	}
	if naive < samples/2 {
		t.Errorf("choosing by the sample is wrong in %d of %d only: the population is too easy", naive, samples)
	}
}

func number(t *testing.T, s sweep.Setting) int {
	t.Helper()
	value, ok := s.Value("search.budget")
	var n int
	if _, err := fmt.Sscan(value, &n); err != nil || !ok {
		t.Fatalf("setting %s: %v", s, err)
	}
	return n
}

// graded answers with a relevant document at a rank that depends on the query,
// and on the setting, which moves it down on some queries and up on others.
type graded struct {
	down, up []float64 // by setting: share of queries
}

func (g graded) MeasureQueries(_ context.Context, settings []sweep.Setting, queries []sweep.Query, _ sweep.AskOptions, done func(sweep.Measured) error) error {
	for _, setting := range settings {
		m := sweep.Measured{Setting: setting, Documents: 3, Fingerprint: "f00d"}
		budget, pruned := setting.Value("search.budget")
		var s int
		fmt.Sscan(budget, &s)
		for _, q := range queries {
			var number uint64
			fmt.Sscan(q.ID, &number)
			random := rand.New(rand.NewPCG(number, 0))
			rank := random.IntN(4)
			fate := random.Float64()
			estimate := time.Second
			if pruned {
				estimate = time.Duration(900-20*s) * time.Millisecond
				if fate < g.down[s] {
					rank++
				} else if fate > 1-g.up[s] && rank > 0 {
					rank--
				}
			}
			answer := sweep.Answer{Work: sweep.Work{Estimate: estimate}}
			for r, id := range ids {
				if r == rank {
					id = "relevant"
				}
				answer.Results = append(answer.Results, eval.Result{ID: id, Score: float64(10 - r)})
			}
			m.Answers = append(m.Answers, answer)
		}
		if err := done(m); err != nil {
			return err
		}
	}
	return nil
}

// judged returns queries that were never seen before, with judgements.
func judged(n int, random *rand.Rand) ([]sweep.Query, eval.Qrels) {
	queries, qrels := make([]sweep.Query, n), eval.Qrels{}
	for i := range queries {
		queries[i] = sweep.Query{ID: fmt.Sprint(random.Uint64())}
		qrels[queries[i].ID] = map[string]int{"relevant": 1}
	}
	return queries, qrels
}

// ratio estimates the true ratio of means on many queries.
func (g graded) ratio(t *testing.T, setting int) float64 {
	queries, qrels := judged(20000, rand.New(rand.NewPCG(1, 1)))
	measures, err := eval.ParseMeasures("nDCG@10")
	if err != nil {
		t.Fatal(err)
	}
	var means []float64
	err = g.MeasureQueries(t.Context(), []sweep.Setting{nil, name(setting)}, queries, sweep.AskOptions{}, func(m sweep.Measured) error {
		run := eval.Run{Results: map[string][]eval.Result{}}
		for i, q := range queries {
			run.Results[q.ID] = m.Answers[i].Results
		}
		means = append(means, eval.Evaluate(qrels, run, measures).Means[0])
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return means[1] / means[0]
}

// TestQualityPromiseHolds is TestPromiseHolds for two collections and ratios of
// means: half of the settings are a little outside of the margin, below or above.
func TestQualityPromiseHolds(t *testing.T) {
	const samples, level, margin = 120, 0.05, 0.02
	g := graded{
		down: []float64{0.02, 0.02, 0.10, 0.00},
		up:   []float64{0.02, 0.02, 0.00, 0.13},
	}
	outside := map[int]bool{}
	for s := range g.down {
		if ratio := g.ratio(t, s); math.Abs(ratio-1) > margin {
			outside[s] = true
			if math.Abs(ratio-1) > margin+0.01 {
				t.Fatalf("setting %d has a ratio of %.4f, which is too easy", s, ratio)
			}
		}
	}
	if !outside[2] || !outside[3] || len(outside) != 2 {
		t.Fatalf("settings %v are outside of the margin", outside)
	}
	random := rand.New(rand.NewPCG(7, 8))
	misses, certified := 0, 0
	for seed := range uint64(samples) {
		o := options(t, "nDCG@10 within 2%")
		o.Seed = seed
		var collections []tune.Collection
		for range 2 {
			queries, qrels := judged(300, random)
			collections = append(collections, tune.Collection{Bench: g, Queries: queries, Qrels: qrels})
		}
		report, err := tune.Run(t.Context(), collections, []sweep.Setting{name(0), name(1), name(2), name(3)}, o)
		if err != nil {
			t.Fatal(err)
		}
		if chosen := report.Chosen(); chosen != nil {
			certified++
			if outside[number(t, chosen.Setting)] {
				misses++
			}
		}
	}
	t.Logf("%d of %d samples certify a setting, %d wrongly", certified, samples, misses)
	if share, most := float64(misses)/samples, level+3*math.Sqrt(level*(1-level)/samples); share > most {
		t.Errorf("%.3f of the certificates are wrong, want %.3f at most", share, most)
	}
	if certified < samples/2 {
		t.Errorf("only %d of %d samples certify a setting", certified, samples)
	}
}

// TestRun follows one run through: halves, path, verdicts, certificate.
func TestRun(t *testing.T) {
	p := nearTheLimit(12)
	// A setting that is dear and bad is on no path, nor is one dearer than the
	// baseline.
	p.missed = append(p.missed, p.missed[11], p.missed[0])
	p.costs = append(p.costs, 890*time.Millisecond, 2*time.Second)
	queries := p.sample(401, rand.New(rand.NewPCG(9, 9)))
	o := options(t, "recall@10>=0.95")
	run := func() *tune.Report {
		report, err := tune.Run(t.Context(), []tune.Collection{{Name: "p", Bench: p, Queries: queries}}, p.settings(), o)
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	report := run()
	if s := report.Samples[0]; s.Tuned != 200 || s.Tested != 201 || s.Made != 0 || len(s.Fingerprint) != 16 {
		t.Errorf("sample %+v", s)
	}
	if report.Settings != 14 || report.Unpruned.Kept != 1 || report.Unpruned.Cost.Estimate != 1000 {
		t.Errorf("%d settings, unpruned %+v", report.Settings, report.Unpruned)
	}
	failed := false
	for i, step := range report.Path {
		if n := number(t, step.Setting); n >= 12 {
			t.Errorf("setting %d is on the path", n)
		}
		if i > 0 {
			before := report.Path[i-1].Tuning
			if step.Tuning.Cost.Estimate >= before.Cost.Estimate || step.Tuning.P < before.P {
				t.Errorf("step %d costs %v with p %g after %v with p %g", i, step.Tuning.Cost.Estimate, step.Tuning.P, before.Cost.Estimate, before.P)
			}
		}
		switch step.Verdict {
		case tune.Certified:
			if failed || step.Testing == nil || step.Testing.P > 0.05 || step.Testing.Bound < 0.95 || step.Testing.Kept < step.Testing.Bound {
				t.Errorf("step %d is certified: %+v", i, step.Testing)
			}
		case tune.Failed:
			if failed || step.Testing == nil || step.Testing.P <= 0.05 {
				t.Errorf("step %d failed: %+v", i, step.Testing)
			}
			failed = true
		case tune.Untested:
			if !failed || step.Testing != nil {
				t.Errorf("step %d was not tested: %+v", i, step.Testing)
			}
		}
	}
	again := run()
	if fmt.Sprintf("%+v", report.Path) == "" || len(again.Path) != len(report.Path) || !slices.EqualFunc(again.Path, report.Path, func(a, b tune.Step) bool {
		return a.Setting.String() == b.Setting.String() && a.Verdict == b.Verdict && a.Tuning == b.Tuning
	}) {
		t.Error("the same run went otherwise")
	}

	c, err := report.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	chosen := report.Chosen()
	if c.Target != "recall@10>=0.95" || c.Queries != 201 || c.Tuned != 200 || math.Abs(c.Kept-chosen.Testing.Kept) > 1e-4 ||
		!slices.Equal(c.Certified, []string{chosen.Setting.String()}) || c.Collections[0].Index != "f00d" {
		t.Errorf("certificate %+v", c)
	}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	if err := c.Check("f00d", 10); err != nil {
		t.Error(err)
	}
	if err := c.Check("beef", 12); !errors.Is(err, tune.ErrOtherIndex) || !strings.Contains(err.Error(), "certificate.collections.index is f00d of p with 10 documents, the index is beef with 12") {
		t.Errorf("error %v, want ErrOtherIndex with both indexes", err)
	}
	value := chosen.Setting[0].Value
	if got := c.Overruled(func(string) string { return value }); len(got) > 0 {
		t.Errorf("%v are overruled", got)
	}
	if got := c.Overruled(func(string) string { return "7" }); len(got) != 1 {
		t.Errorf("%v are overruled, want the budget", got)
	}
}

// TestTooFewQueries asks for what the sample cannot show, and believes the
// number of queries that is said to show it.
func TestTooFewQueries(t *testing.T) {
	p := nearTheLimit(6)
	random := rand.New(rand.NewPCG(2, 2))
	o := options(t, "recall@10>=0.95")
	report, err := tune.Run(t.Context(), []tune.Collection{{Bench: p, Queries: p.sample(80, random)}}, p.settings()[:2], o)
	if err != nil {
		t.Fatal(err)
	}
	if report.Chosen() != nil {
		t.Fatal("40 queries show a recall of 0.95, where 59 without any loss are needed")
	}
	if _, err := report.Certificate(); err == nil {
		t.Error("a certificate without a certified setting")
	}
	needed := report.Needed()
	if needed < o.EnoughQueries() || needed > 400 {
		t.Fatalf("%d queries needed, want at least the %d that recall needs without any loss", needed, o.EnoughQueries())
	}
	shown := 0
	for seed := range uint64(40) {
		o.Seed = seed
		report, err := tune.Run(t.Context(), []tune.Collection{{Bench: p, Queries: p.sample(needed, random)}}, p.settings()[:2], o)
		if err != nil {
			t.Fatal(err)
		}
		if report.Chosen() != nil {
			shown++
		}
	}
	if shown < 20 {
		t.Errorf("%d queries show the target in %d of 40 samples", needed, shown)
	}
}

// TestMadeQueries: the document that a query was taken out of counts for
// nothing, and made queries are a stratum of their own.
func TestMadeQueries(t *testing.T) {
	p := population{missed: [][]int{{1}}, costs: []time.Duration{time.Second / 2}}
	var queries []sweep.Query
	made := make(map[string]string)
	for i := range 400 {
		q := sweep.Query{ID: fmt.Sprint(i), Text: "0"}
		queries = append(queries, q)
		if i%2 == 0 {
			made[q.ID] = "9" // which every search ranks last
		}
	}
	o := options(t, "recall@10>=0.8")
	report, err := tune.Run(t.Context(), []tune.Collection{{Bench: p, Queries: queries, Made: made}}, p.settings(), o)
	if err != nil {
		t.Fatal(err)
	}
	step := report.Path[0]
	given, withSource := 0.9, 8.0/9
	if s := report.Samples[0]; s.Made != 200 || report.Method != "Hoeffding-Bentkus" {
		t.Errorf("sample %+v, method %s", s, report.Method)
	}
	if kept := step.Testing.Kept; kept < withSource || kept > given {
		t.Errorf("recall %g, want a mean of %g and %g", kept, given, withSource)
	}
	if step.Verdict != tune.Certified {
		t.Errorf("%s", step.Verdict)
	}
	only := tune.Collection{Bench: p, Queries: queries[:1], Made: made}
	for range 99 {
		only.Queries = append(only.Queries, queries[0])
	}
	report, err = tune.Run(t.Context(), []tune.Collection{only}, p.settings(), o)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(report.Path[0].Testing.Kept-withSource) > 1e-12 || !strings.HasPrefix(report.Method, "betting") {
		t.Errorf("recall %g by %s, want %g by betting", report.Path[0].Testing.Kept, report.Method, withSource)
	}
}

// TestCertificatePromisesNoMore: a bound is never rounded up, and the certificate
// says what the unpruned search was.
func TestCertificatePromisesNoMore(t *testing.T) {
	p := population{missed: [][]int{{0, 0, 0, 1}}, costs: []time.Duration{time.Second / 2}}
	random := rand.New(rand.NewPCG(5, 6))
	for range 10 {
		o := options(t, "recall@10>=0.9")
		report, err := tune.Run(t.Context(), []tune.Collection{{Bench: p, Queries: p.sample(400, random)}}, p.settings(), o)
		if err != nil {
			t.Fatal(err)
		}
		c, err := report.Certificate()
		if err != nil {
			t.Fatal(err)
		}
		if shown := report.Chosen().Testing.Bound; c.Bound > shown || c.Bound < shown-1e-4 {
			t.Errorf("the certificate says at least %v, shown was %v", c.Bound, shown)
		}
		if c.Baseline != o.Baseline.String() {
			t.Errorf("baseline %q, want %v", c.Baseline, o.Baseline)
		}
	}
}

func TestRunRefuses(t *testing.T) {
	p := nearTheLimit(3)
	queries := p.sample(20, rand.New(rand.NewPCG(2, 2)))
	collection := tune.Collection{Name: "p", Bench: p, Queries: queries}
	broken := errors.New("out of order")
	o := options(t, "recall@10>=0.95")
	for says, run := range map[string]func() error{
		"0 collections": func() error { _, err := tune.Run(t.Context(), nil, p.settings(), o); return err },
		"0 settings":    func() error { _, err := tune.Run(t.Context(), []tune.Collection{collection}, nil, o); return err },
		"p has 0 queries": func() error {
			_, err := tune.Run(t.Context(), []tune.Collection{collection}, p.settings(), options(t, "nDCG@10>=99%"))
			return err
		},
		"confidence 2": func() error {
			bad := o
			bad.Confidence = 2
			_, err := tune.Run(t.Context(), []tune.Collection{collection}, p.settings(), bad)
			return err
		},
		"p has queries made of documents": func() error {
			made := collection
			made.Made = map[string]string{queries[0].ID: "0"}
			_, err := tune.Run(t.Context(), []tune.Collection{made}, p.settings(), options(t, "recall@1>=0.95"))
			return err
		},
		"p: out of order": func() error {
			failing := collection
			failing.Bench = failingBench{broken}
			_, err := tune.Run(t.Context(), []tune.Collection{failing}, p.settings(), o)
			return err
		},
	} {
		err := run()
		if err == nil || !strings.Contains(err.Error(), says) || !errors.Is(err, tune.ErrTune) && !errors.Is(err, broken) {
			t.Errorf("error %v, want one that says %q", err, says)
		}
	}
}

type failingBench struct{ err error }

func (f failingBench) MeasureQueries(context.Context, []sweep.Setting, []sweep.Query, sweep.AskOptions, func(sweep.Measured) error) error {
	return f.err
}

func TestParseTarget(t *testing.T) {
	for text, want := range map[string]string{
		"recall@10>=0.95":      "recall@10>=0.95",
		" Recall@100 >= 99% ":  "recall@100>=0.99",
		"overlap@5 ≥ 0.9":      "recall@5>=0.9",
		"nDCG@10 within 1%":    "nDCG@10 within 1%",
		"ndcg_cut_10 >= 99.5%": "nDCG@10>=99.5%",
		"RR@10 within 2 %":     "RR@10 within 2%",
		"R@100>=99%":           "R@100>=99%",
	} {
		target, err := tune.ParseTarget(text)
		if err != nil || target.String() != want {
			t.Errorf("%q reads as %q (%v), want %q", text, target, err, want)
			continue
		}
		var again tune.Target
		if err := again.UnmarshalText([]byte(target.String())); err != nil || again != target {
			t.Errorf("%q reads back as %v (%v)", target, again, err)
		}
	}
	for text, says := range map[string]string{
		"fast":                 "want a measure and a bound",
		"recall>=0.95":         "in percent",
		"recall@x>=0.95":       "needs a number of results",
		"recall@10>=1":         "must leave some loss",
		"recall@10 within 1%":  "bounded from below",
		"nDCG@10>=0.5":         "in percent",
		"beauty@10>=99%":       "unknown measure",
		"nDCG@10 within 1.2.3": "is no number",
	} {
		if _, err := tune.ParseTarget(text); !errors.Is(err, tune.ErrTarget) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: error %v, want ErrTarget with %q", text, err, says)
		}
	}
	if target, _ := tune.ParseTarget("nDCG@10 within 1%"); target.Share() != 0.01 || target.Cutoff() != 10 || !target.Labelled() {
		t.Errorf("%v: share %v, cutoff %d", target, target.Share(), target.Cutoff())
	}
}

// TestDefaultSettings keeps the settings that are tried without repetitions.
func TestDefaultSettings(t *testing.T) {
	for name, settings := range map[string][]sweep.Setting{"search": tune.SearchSettings(), "index": tune.IndexSettings()} {
		if n := len(sweep.Unique(settings)); n != len(settings) || n < 10 {
			t.Errorf("%s: %d settings, %d of them different", name, len(settings), n)
		}
		for _, s := range settings {
			if name == "search" && len(s.Index()) > 0 {
				t.Errorf("%s shapes the index", s)
			}
		}
	}
}

// FuzzParseTarget: what is read says the same when it is written and read again.
func FuzzParseTarget(f *testing.F) {
	for _, text := range []string{"recall@10>=0.95", "overlap@5 >= 99%", "nDCG@10 within 1%", "AP>=99%", "R@1≥50.5%", "recall@x>=0.5", "AP within 1", "P(rel=2)@5>=1%"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		target, err := tune.ParseTarget(text)
		if err != nil {
			if !errors.Is(err, tune.ErrTarget) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		again, err := tune.ParseTarget(target.String())
		if err != nil || again.String() != target.String() || again.Share() != target.Share() || again.Cutoff() != target.Cutoff() {
			t.Fatalf("%q is %v (%v), read again %v (%v), %v", text, target, target.Share(), again, again.Share(), err)
		}
	})
}
