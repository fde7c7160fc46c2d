package sweep

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"maps"
	"math"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/eval"
	"github.com/pare-search/pare/eval/dataset"
	"github.com/pare-search/pare/eval/report"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/retriever"
)

// Subject is a collection to study: documents and queries as token vectors, with
// judgements.
type Subject struct {
	Name    string
	Encoder string // for people
	// Documents, with texts where there are any.
	Documents retriever.Embeddings
	Queries   []SubjectQuery // judged ones
	Qrels     eval.Qrels
	// Vocabulary is the encoder that made the vectors, if it is at hand: it tells
	// pruners which tokens are special and which stand for stop words.
	Vocabulary encoder.Encoder
	// BM25 searches the documents' texts. Without it the points that need it are
	// left out.
	BM25 *BM25
}

// SubjectQuery is an encoded query. Words name its tokens for people, or are nil.
type SubjectQuery struct {
	ID, Text string
	Tokens   encoder.Tokens
	Words    []string
}

// StudyOptions say how the points of a plan are measured.
type StudyOptions struct {
	// Measures that are computed. Results is how many results of a query they see,
	// fewer where a setting scores fewer.
	Measures []eval.Measure
	Results  int
	// Repeat is how often each query is timed, on one thread, by what ClockName
	// says; the fastest search counts. A setting that has taken half a minute is not repeated.
	Repeat int
	// Workers is how many queries are in work at once where nothing is timed, 0
	// for one per CPU.
	Workers int
	// Options turns a setting into options, as Config.Options of package configs
	// does. Config is what settings start from, in any form that tells it from
	// others: results of another one are not taken over.
	Options func(Setting) (retriever.BuildOptions, retriever.Options, error)
	Config  string
	// Dir is where indexes are built, one at a time, each removed after use; "" is
	// the folder for temporary files.
	Dir string
	// Runs, if not "", is where the results of every point are written in TREC
	// format; see RunFile.
	Runs string
	// Point, if set, is told which point is measured next, and how many are done: not
	// of points whose results the journal has. Building is told of the stages of
	// building an index.
	Point    func(name string, done, total int)
	Building func(stage retriever.Stage, done, total int)
}

// Validate reports every option that makes no sense.
func (o StudyOptions) Validate() error {
	faults := []error{Options{Measures: o.Measures, Depth: o.Results, Workers: o.Workers}.Validate()}
	if o.Repeat < 1 {
		faults = append(faults, fmt.Errorf("%w: %d repetitions, want at least 1", ErrSweep, o.Repeat))
	}
	return errors.Join(faults...)
}

// topDocuments is how many first documents of the baseline a setting should find.
const topDocuments = 10

// Measure measures the points of a plan on a subject, the baseline first, and
// returns what a report shows of it. Each result goes to the journal as soon as it
// is there, and those that are there already, with all measures that are asked for,
// are taken from it.
func Measure(ctx context.Context, subject Subject, points []Point, journal *Journal, options StudyOptions) (*report.Collection, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	if len(points) == 0 || len(subject.Queries) == 0 {
		return nil, fmt.Errorf("%w: %d settings and %d queries, want at least one of each", ErrSweep, len(points), len(subject.Queries))
	}
	fingerprint, err := subject.fingerprint(ctx)
	if err != nil {
		return nil, err
	}
	m := measurement{subject: subject, journal: journal, options: options, collection: &report.Collection{
		Name:        subject.Name,
		Documents:   subject.Documents.Documents,
		Vectors:     subject.Documents.Vectors,
		Dim:         subject.Documents.Dim,
		Encoder:     subject.Encoder,
		Fingerprint: fingerprint,
	}}
	m.judgements = make(eval.Qrels, len(subject.Queries))
	for _, q := range subject.Queries {
		m.collection.Queries = append(m.collection.Queries, report.Query{ID: q.ID, Text: q.Text, Words: q.Words})
		m.judgements[q.ID] = subject.Qrels[q.ID]
	}
	return m.collection, m.run(ctx, points)
}

// measurement is one call of Measure.
type measurement struct {
	subject    Subject
	journal    *Journal
	options    StudyOptions
	judgements eval.Qrels // of the subject's queries
	collection *report.Collection
	baseline   *report.Result
	done       int
}

// run measures the baseline, then all others index by index, and puts the results
// into the order of the points.
func (m *measurement) run(ctx context.Context, points []Point) error {
	if m.subject.BM25 == nil {
		points = slices.DeleteFunc(slices.Clone(points), func(p Point) bool { return p.System != SystemMaxSim })
	}
	results := make([]report.Result, len(points))
	groups := make(map[string][]int)
	var order []string
	for i, p := range points {
		name := p.Setting.Index().String()
		if p.System == SystemBM25 {
			name = points[0].Setting.Index().String() // which it does not need
		}
		if groups[name] == nil {
			order = append(order, name)
		}
		groups[name] = append(groups[name], i)
	}
	for _, name := range order {
		if err := m.group(ctx, points, groups[name], results); err != nil {
			return err
		}
	}
	m.collection.Results = results
	return nil
}

// group measures points that share an index, which is built when the first of
// them is not in the journal.
func (m *measurement) group(ctx context.Context, points []Point, group []int, results []report.Result) (err error) {
	bench := Bench{Options: m.options.Options, Dir: m.options.Dir, Build: m.build}
	var r *retriever.Retriever
	closeIndex := func() error { return nil }
	defer func() { err = errors.Join(err, closeIndex()) }()
	for _, i := range group {
		point := points[i]
		key := m.key(point)
		result, known := m.known(key, point)
		if !known {
			if m.options.Point != nil {
				m.options.Point(point.Name, m.done, len(points))
			}
			if r == nil {
				opened, closing, err := bench.open(ctx, point.Setting)
				if err != nil {
					return err
				}
				r, closeIndex = opened, closing
			}
			if result, err = m.point(ctx, r, point); err != nil {
				return fmt.Errorf("%s: %w", point.Name, err)
			}
			place(&result, point, i == 0)
			if err := m.journal.Add(m.collection.Fingerprint, key, result); err != nil {
				return err
			}
		}
		place(&result, point, i == 0) // which may have changed
		results[i] = result
		if i == 0 {
			m.baseline = &results[0]
		}
		m.done++
	}
	return nil
}

// place gives a result the name and the place that a plan has for its point.
func place(result *report.Result, p Point, baseline bool) {
	result.Name, result.Series, result.Baseline = p.Name, p.Series, baseline
	result.Row, result.Column = p.Row, p.Column
}

// known returns what the journal has of a point, if that is all that is wanted.
func (m *measurement) known(key string, p Point) (report.Result, bool) {
	result, found := m.journal.Result(m.collection.Fingerprint, key)
	if !found || !m.hasRun(p) {
		return result, false
	}
	wanted := make(map[string][]float64)
	for _, measure := range m.options.Measures {
		name := measure.String()
		if wanted[name], found = result.Measures[name]; !found {
			return result, false
		}
	}
	result.Measures = wanted
	return result, true
}

// key stands for everything a point's result depends on besides the collection and
// what is measured.
func (m *measurement) key(p Point) string {
	h := sha256.New()
	fmt.Fprintln(h, m.options.Config, p.System, p.Setting, m.options.Results, m.options.Repeat, clockName)
	if m.baseline != nil { // which it is compared with
		fmt.Fprintln(h, m.baseline.Top)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// hasRun tells whether the run of a point is written, if it is wanted.
func (m *measurement) hasRun(p Point) bool {
	if m.options.Runs == "" {
		return true
	}
	_, err := os.Stat(RunFile(m.options.Runs, m.subject.Name, p.Name))
	return !errors.Is(err, fs.ErrNotExist)
}

func (m *measurement) build(ctx context.Context, dir string, options retriever.BuildOptions) (*retriever.Retriever, error) {
	options.Encoder, options.Progress = nil, m.options.Building
	options.Index.StoreText = false
	if err := retriever.BuildEmbeddings(ctx, dir, m.subject.Documents, options); err != nil {
		return nil, err
	}
	snapshot, err := index.Open(dir)
	if err != nil {
		return nil, err
	}
	return retriever.New(snapshot, m.subject.Vocabulary)
}

// point measures one point.
func (m *measurement) point(ctx context.Context, r *retriever.Retriever, p Point) (report.Result, error) {
	_, search, err := m.options.Options(p.Setting)
	if err != nil {
		return report.Result{}, err
	}
	t := tracer{system: p.System, retriever: r, bm25: m.subject.BM25, options: search, results: m.options.Results}
	answers := make([]traced, len(m.subject.Queries))
	err = m.eachQuery(ctx, func(ctx context.Context, q int) (err error) {
		var wanted []string
		if m.baseline != nil {
			wanted = m.baseline.Top[q]
		}
		answers[q], err = t.trace(ctx, m.asked(q), wanted)
		return err
	})
	if err != nil {
		return report.Result{}, err
	}
	times, err := m.times(ctx, &t)
	if err != nil {
		return report.Result{}, err
	}
	result := m.result(p, answers)
	for q, d := range times {
		result.Milliseconds[q] = rounded(milliseconds(d), 4)
	}
	if p.System != SystemBM25 {
		info, err := r.Snapshot().Inspect()
		if err != nil {
			return report.Result{}, err
		}
		result.Index = &report.Index{Bytes: info.Bytes, Vectors: info.Vectors}
	}
	if t.staged() && m.baseline != nil {
		result.Reach = reachOf(answers, m.baseline.Top)
	}
	if m.baseline == nil {
		result.Top = make([][]string, len(answers))
		for q, a := range answers {
			for _, hit := range eval.Rank(a.results, eval.TiesDescending)[:min(topDocuments, len(a.results))] {
				result.Top[q] = append(result.Top[q], hit.ID)
			}
		}
		for q := range result.Overlap {
			result.Overlap[q] = 1
		}
		result.Lost = make([]report.Lost, len(answers))
	} else {
		m.compareTops(&result, answers)
	}
	return result, m.writeRun(p, answers)
}

func (m *measurement) asked(q int) asked {
	query := m.subject.Queries[q]
	return asked{query.ID, query.Text, query.Tokens}
}

// eachQuery calls f for every query, from several goroutines.
func (m *measurement) eachQuery(ctx context.Context, f func(ctx context.Context, q int) error) error {
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range min(cmp.Or(m.options.Workers, runtime.GOMAXPROCS(0)), len(m.subject.Queries)) {
		group.Go(func() error {
			for {
				q := int(next.Add(1)) - 1
				if q >= len(m.subject.Queries) {
					return nil
				}
				if err := f(ctx, q); err != nil {
					return fmt.Errorf("query %q: %w", m.subject.Queries[q].ID, err)
				}
			}
		})
	}
	return group.Wait()
}

// ClockName says what the times of a study are: the processor time of the searching
// thread where the system tells it, else the time on the clock.
const ClockName = clockName

// patience is how long the queries of a setting are timed again.
const patience = 30 * time.Second

// times returns the fastest search of every query.
func (m *measurement) times(ctx context.Context, t *tracer) ([]time.Duration, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	times := make([]time.Duration, len(m.subject.Queries))
	start := time.Now()
	for repetition := range m.options.Repeat {
		if repetition > 0 && time.Since(start) > patience {
			break
		}
		for q := range times {
			took, err := t.clock(ctx, m.asked(q))
			if err != nil {
				return nil, fmt.Errorf("query %q: %w", m.subject.Queries[q].ID, err)
			}
			if repetition == 0 || took < times[q] {
				times[q] = took
			}
		}
	}
	return times, nil
}

// result puts what queries said into columns.
func (m *measurement) result(p Point, answers []traced) report.Result {
	n := len(answers)
	r := report.Result{
		System: p.System, Setting: settingMap(p.Setting),
		Measures: make(map[string][]float64), Overlap: make([]float64, n), Milliseconds: make([]float64, n), Estimate: make([]float64, n),
		Work: report.Work{
			RowsKept: make([]int, n), Cells: make([]int, n), Postings: make([]int, n),
			Candidates: make([]int, n), Scored: make([]int, n), Pairs: make([]int64, n),
		},
	}
	run := eval.Run{Results: make(map[string][]eval.Result, n)}
	probed := p.System != SystemBM25 && p.System != SystemRerank
	if probed {
		r.Probed = make([][]int, n)
	}
	for q, a := range answers {
		run.Results[m.subject.Queries[q].ID] = a.results
		r.Estimate[q] = rounded(milliseconds(a.work.Estimate), 5)
		r.Work.RowsKept[q], r.Work.Cells[q], r.Work.Postings[q] = a.work.RowsKept, a.work.CellsProbed, a.work.Postings
		r.Work.Candidates[q], r.Work.Scored[q], r.Work.Pairs[q] = a.work.Candidates, a.work.DocumentsScored, a.work.TokenPairs
		if probed {
			r.Probed[q] = a.probed
		}
	}
	values := eval.Evaluate(m.judgements, run, m.options.Measures)
	place := make(map[string]int, n)
	for i, id := range values.Queries {
		place[id] = i
	}
	for i, measure := range m.options.Measures {
		column := make([]float64, n)
		for q, query := range m.subject.Queries {
			column[q] = rounded(values.Values[i][place[query.ID]], 6)
		}
		r.Measures[measure.String()] = column
	}
	return r
}

// compareTops finds what of the baseline's first documents is not among the first
// here.
func (m *measurement) compareTops(r *report.Result, answers []traced) {
	r.Lost = make([]report.Lost, len(answers))
	for q, a := range answers {
		wanted := m.baseline.Top[q]
		ranked := eval.Rank(a.results, eval.TiesDescending)
		top := ranked[:min(topDocuments, len(ranked))]
		if r.Overlap[q] = 1; len(wanted) > 0 {
			r.Overlap[q] = rounded(float64(among(wanted, top))/float64(len(wanted)), 6)
		}
		for rank, id := range wanted {
			if among([]string{id}, top) > 0 {
				continue
			}
			relevant := m.judgements[m.subject.Queries[q].ID][id] > 0
			if r.Lost[q].ID == "" || relevant {
				r.Lost[q] = report.Lost{ID: id, Rank: rank + 1, Relevant: relevant}
			}
			if relevant {
				break
			}
		}
	}
}

// reachOf turns counts into shares.
func reachOf(answers []traced, wanted [][]string) *report.Reach {
	n := len(answers)
	reach := &report.Reach{Candidates: make([]float64, n), Scored: make([]float64, n), Top: make([]float64, n)}
	for q, a := range answers {
		share := func(found int) float64 {
			if len(wanted[q]) == 0 {
				return 1
			}
			return rounded(float64(found)/float64(len(wanted[q])), 6)
		}
		reach.Candidates[q], reach.Scored[q], reach.Top[q] = share(a.candidates), share(a.scored), share(a.top)
	}
	return reach
}

func (m *measurement) writeRun(p Point, answers []traced) error {
	if m.options.Runs == "" {
		return nil
	}
	run := eval.Run{Tag: fileName.Replace(p.Name), Results: make(map[string][]eval.Result, len(answers))}
	for q, a := range answers {
		run.Results[m.subject.Queries[q].ID] = a.results
	}
	return dataset.WriteRunFile(RunFile(m.options.Runs, m.subject.Name, p.Name), run)
}

// fingerprint hashes the documents, the queries and their judgements.
func (s *Subject) fingerprint(ctx context.Context) (string, error) {
	h := sha256.New()
	for document, err := range s.Documents.All {
		if err := cmp.Or(err, ctx.Err()); err != nil {
			return "", err
		}
		hashText(h, document.ID, document.Text)
		hashTokens(h, document.Tokens)
	}
	for _, q := range s.Queries {
		hashText(h, q.ID, q.Text)
		hashTokens(h, q.Tokens)
		judgements := s.Qrels[q.ID]
		for _, id := range slices.Sorted(maps.Keys(judgements)) {
			hashText(h, id, fmt.Sprint(judgements[id]))
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}

func hashText(h hash.Hash, texts ...string) {
	for _, text := range texts {
		fmt.Fprintf(h, "%d %s\n", len(text), text)
	}
}

func hashTokens(h hash.Hash, tokens encoder.Tokens) {
	bytes := make([]byte, 0, 4*(len(tokens.IDs)+len(tokens.Vectors.Data)))
	for _, id := range tokens.IDs {
		bytes = binary.LittleEndian.AppendUint32(bytes, id)
	}
	for _, x := range tokens.Vectors.Data {
		bytes = binary.LittleEndian.AppendUint32(bytes, math.Float32bits(x))
	}
	fmt.Fprintf(h, "%d %d\n", tokens.Vectors.Rows, tokens.Vectors.Dim)
	h.Write(bytes)
}

func settingMap(s Setting) map[string]string {
	values := make(map[string]string, len(s))
	for _, a := range s {
		values[a.Key] = a.Value
	}
	return values
}

// rounded keeps files short: so many digits behind the point.
func rounded(x float64, digits int) float64 {
	scale := math.Pow10(digits)
	return math.Round(x*scale) / scale
}
