package sweep_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pare-search/pare/configs"
	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/eval"
	"github.com/pare-search/pare/eval/dataset"
	"github.com/pare-search/pare/eval/report"
	"github.com/pare-search/pare/eval/sweep"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/retriever"
	"github.com/pare-search/pare/simd"
)

const studyDim = 16

// studyVector is the vector of a token type: the same direction each time, and noise.
func studyVector(rng *rand.Rand, token uint32) []float32 {
	direction := rand.New(rand.NewPCG(uint64(token), 1))
	v := make([]float32, studyDim)
	sum := 0.0
	for i := range v {
		x := direction.NormFloat64() + 0.3*rng.NormFloat64()
		v[i] = float32(x)
		sum += x * x
	}
	for i := range v {
		v[i] /= float32(math.Sqrt(sum))
	}
	return v
}

func studyTokens(rng *rand.Rand, ids []uint32) encoder.Tokens {
	t := encoder.Tokens{IDs: ids, Vectors: simd.Matrix{Rows: len(ids), Dim: studyDim}}
	for _, id := range ids {
		t.Vectors.Data = append(t.Vectors.Data, studyVector(rng, id)...)
	}
	return t
}

// studySubject makes 300 documents of 10 tokens and 12 queries, each of four tokens
// of the document that is relevant.
func studySubject(t *testing.T) (sweep.Subject, []index.Document) {
	t.Helper()
	rng := rand.New(rand.NewPCG(9, 9))
	var documents []index.Document
	var texts []retriever.Document
	for d := range 300 {
		var ids []uint32
		var words []string
		for range 10 {
			id := uint32(60 * rng.Float64() * rng.Float64())
			ids, words = append(ids, id), append(words, fmt.Sprintf("word%d", id))
		}
		document := index.Document{ID: fmt.Sprint("d", d), Tokens: studyTokens(rng, ids), Text: strings.Join(words, " ")}
		documents = append(documents, document)
		texts = append(texts, retriever.Document{ID: document.ID, Text: document.Text})
	}
	s := sweep.Subject{Name: "study", Encoder: "noise", Qrels: eval.Qrels{}, Documents: retriever.Embeddings{
		Dim: studyDim, Documents: len(documents), Vectors: 3000,
		All: func(yield func(index.Document, error) bool) {
			for _, document := range documents {
				if !yield(document, nil) {
					return
				}
			}
		},
	}}
	for q := range 12 {
		source := documents[7*q]
		id := fmt.Sprint("q", q)
		tokens := studyTokens(rng, source.Tokens.IDs[:4])
		s.Queries = append(s.Queries, sweep.SubjectQuery{ID: id, Text: source.Text, Tokens: tokens, Words: []string{" a", " b", " c", " d"}})
		s.Qrels[id] = map[string]int{source.ID: 1}
	}
	bm25, err := sweep.NewBM25(t.Context(), texts, sweep.DefaultBM25Options())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bm25.Close() })
	s.BM25 = bm25
	return s, documents
}

func studyOptions(t *testing.T) sweep.StudyOptions {
	t.Helper()
	measures, err := eval.ParseMeasures("RR@10", "R@100")
	if err != nil {
		t.Fatal(err)
	}
	config := configs.Default()
	config.Search.Refine = 0
	return sweep.StudyOptions{Measures: measures, Results: 100, Repeat: 1, Options: config.Options, Dir: t.TempDir()}
}

const studyGrid = `
base: {search.plan: probe}
baseline: {codec.kind: float32, search.plan: exhaustive}
blocks:
  - {name: budget, vary: {search.budget: [30, 300, 4000]}}
  - {name: shallow, with: {search.budget: 600}, vary: {search.depth: [5, 20]}}
  - {name: icf, with: {search.neighbors: 40}, vary: {search.prune: ["icf:1", "icf:2"]}}
  - {name: BM25, system: bm25}
  - {name: rerank, system: rerank, vary: {search.depth: [50]}}
  - {name: hybrid, system: hybrid}
`

func journal(t *testing.T, path string) *sweep.Journal {
	t.Helper()
	j, err := sweep.OpenJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

// maxSim ranks documents by the sum of the best dot products, as its definition
// says.
func maxSim(query encoder.Tokens, documents []index.Document) []string {
	score := make(map[string]float64)
	for _, d := range documents {
		for i := range query.Vectors.Rows {
			best := math.Inf(-1)
			for j := range d.Tokens.Vectors.Rows {
				dot := 0.0
				for k, x := range query.Vectors.Row(i) {
					dot += float64(x) * float64(d.Tokens.Vectors.Row(j)[k])
				}
				best = max(best, dot)
			}
			score[d.ID] += best
		}
	}
	var ids []string
	for id := range score {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b string) int {
		if score[a] != score[b] {
			if score[a] > score[b] {
				return -1
			}
			return 1
		}
		return strings.Compare(b, a)
	})
	return ids
}

func TestMeasure(t *testing.T) {
	subject, documents := studySubject(t)
	points := points(t, studyGrid)
	options := studyOptions(t)
	options.Runs = filepath.Join(t.TempDir(), "out.trec.gz")
	path := filepath.Join(t.TempDir(), "journal.json")
	collection, err := sweep.Measure(t.Context(), subject, points, journal(t, path), options)
	if err != nil {
		t.Fatal(err)
	}
	study := report.Study{Method: report.Method{Measures: []string{"RR@10", "R@100"}}, Collections: []report.Collection{*collection}}
	if err := study.Validate(); err != nil {
		t.Fatal(err)
	}
	baseline := collection.Results[0]
	for q, query := range subject.Queries {
		ranked := maxSim(query.Tokens, documents)
		if !slices.Equal(baseline.Top[q], ranked[:10]) {
			t.Errorf("query %s: the baseline's first ten are %v, want %v", query.ID, baseline.Top[q], ranked[:10])
		}
		rank := slices.Index(ranked, fmt.Sprint("d", 7*q)) + 1
		want := 0.0
		if rank <= 10 {
			want = 1 / float64(rank)
		}
		if math.Abs(baseline.Measures["RR@10"][q]-want) > 1e-6 {
			t.Errorf("query %s: RR@10 %v, want %v", query.ID, baseline.Measures["RR@10"][q], want)
		}
	}
	for i, r := range collection.Results {
		if r.Name != points[i].Name {
			t.Fatalf("result %d is %q, want %q", i, r.Name, points[i].Name)
		}
		checkResult(t, subject, baseline, r)
		run, err := dataset.ReadRunFile(sweep.RunFile(options.Runs, "study", r.Name))
		if err != nil {
			t.Fatal(err)
		}
		written := eval.Evaluate(subject.Qrels, run, options.Measures)
		for q, query := range subject.Queries {
			at := slices.Index(written.Queries, query.ID)
			if math.Abs(written.Values[0][at]-r.Measures["RR@10"][q]) > 1e-6 {
				t.Errorf("%s, query %s: RR@10 of the run %v, of the result %v", r.Name, query.ID, written.Values[0][at], r.Measures["RR@10"][q])
			}
			if overlap := eval.OverlapAt(run.Results[query.ID], asResults(baseline.Top[q]), 10); math.Abs(overlap-r.Overlap[q]) > 1e-6 {
				t.Errorf("%s, query %s: overlap %v, of the run %v", r.Name, query.ID, r.Overlap[q], overlap)
			}
		}
	}
	if entries, err := os.ReadDir(options.Dir); err != nil || len(entries) != 0 {
		t.Errorf("%d indexes are left behind (%v)", len(entries), err)
	}
	checkResume(t, subject, points, path, options, collection)
}

func asResults(ids []string) []eval.Result {
	var results []eval.Result
	for i, id := range ids {
		results = append(results, eval.Result{ID: id, Score: float64(len(ids) - i)})
	}
	return results
}

// checkResult checks what must hold of any setting.
func checkResult(t *testing.T, subject sweep.Subject, baseline, r report.Result) {
	t.Helper()
	for q := range subject.Queries {
		if r.Milliseconds[q] <= 0 {
			t.Errorf("%s: a search took %v ms", r.Name, r.Milliseconds[q])
		}
		if lost := r.Lost[q]; (lost.ID == "") != (r.Overlap[q] == 1) || lost.ID != "" && baseline.Top[q][lost.Rank-1] != lost.ID {
			t.Errorf("%s: lost %+v with an overlap of %v", r.Name, lost, r.Overlap[q])
		} else if lost.Relevant != (lost.ID != "" && subject.Qrels[subject.Queries[q].ID][lost.ID] > 0) {
			t.Errorf("%s: lost %+v, judged %v", r.Name, lost, subject.Qrels[subject.Queries[q].ID])
		}
		if reach := r.Reach; reach != nil {
			if reach.Candidates[q] < reach.Scored[q] || reach.Scored[q] < reach.Top[q] {
				t.Errorf("%s: of the first ten %v are found, %v scored and %v among the first ten", r.Name, reach.Candidates[q], reach.Scored[q], reach.Top[q])
			}
			// Nothing is lost where everything goes through.
			if r.Work.Candidates[q] == 300 && reach.Candidates[q] != 1 {
				t.Errorf("%s: all documents are candidates, %v of the first ten", r.Name, reach.Candidates[q])
			}
			if r.Work.Scored[q] == r.Work.Candidates[q] && reach.Candidates[q] != reach.Scored[q] {
				t.Errorf("%s: all candidates are scored, %v and %v of the first ten", r.Name, reach.Candidates[q], reach.Scored[q])
			}
		}
		want := map[string]int{"icf:1": 1, "icf:2": 2}[r.Name]
		if want > 0 && (len(r.Probed[q]) != want || r.Work.RowsKept[q] != want) {
			t.Errorf("%s: tokens %v probed", r.Name, r.Probed[q])
		}
	}
	switch {
	case strings.HasPrefix(r.Name, "depth 5") && slices.Max(r.Work.Scored) > 10:
		t.Errorf("%s: %d documents scored", r.Name, slices.Max(r.Work.Scored)) // ten hits are wanted
	case r.Name == "rerank depth 50" && slices.Max(r.Work.Scored) > 50:
		t.Errorf("%s: %d documents scored", r.Name, slices.Max(r.Work.Scored))
	case r.Name == "BM25" && (r.Index != nil || r.Reach != nil || r.Probed != nil):
		t.Error("BM25 has the costs of an index")
	}
}

// checkResume measures again: nothing, then what a torn file has lost, then what
// other settings need.
func checkResume(t *testing.T, subject sweep.Subject, points []sweep.Point, path string, options sweep.StudyOptions, before *report.Collection) {
	t.Helper()
	builds := 0
	options.Building = func(stage retriever.Stage, done, _ int) {
		if stage == retriever.TrainingCodebook && done == 0 {
			builds++
		}
	}
	measure := func(points []sweep.Point) *report.Collection {
		builds = 0
		after, err := sweep.Measure(t.Context(), subject, points, journal(t, path), options)
		if err != nil {
			t.Fatal(err)
		}
		return after
	}
	after := measure(points)
	if builds != 0 || !slices.EqualFunc(after.Results, before.Results, func(a, b report.Result) bool {
		return a.Name == b.Name && slices.Equal(a.Milliseconds, b.Milliseconds)
	}) {
		t.Errorf("a second measurement built %d indexes", builds)
	}

	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data[:len(data)-20], 0o644); err != nil {
		t.Fatal(err)
	}
	after = measure(points)
	for i, r := range after.Results {
		if !slices.Equal(r.Overlap, before.Results[i].Overlap) {
			t.Errorf("%s: overlap %v, before %v", r.Name, r.Overlap, before.Results[i].Overlap)
		}
	}

	// The grid may change its names and grow.
	renamed := slices.Clone(points)
	renamed[1].Name = "another name"
	renamed = append(renamed, sweep.Point{Name: "new", Series: "new", System: sweep.SystemMaxSim, Setting: sweep.Setting{}.With("search.plan", "probe").With("search.budget", "77")})
	options.Runs = ""
	after = measure(renamed)
	if last := len(points); len(after.Results) != last+1 || after.Results[last].Name != "new" || !slices.Equal(after.Results[1].Milliseconds, before.Results[1].Milliseconds) {
		t.Error("a changed plan does not take over what is there")
	}

	// Fewer measures are there already, more are not.
	measured := options.Measures
	options.Measures = measured[1:]
	all := after.Results
	after = measure(points)
	for i, r := range after.Results {
		_, extra := r.Measures["RR@10"]
		if !slices.Equal(r.Milliseconds, all[i].Milliseconds) || !slices.Equal(r.Measures["R@100"], all[i].Measures["R@100"]) || extra {
			t.Errorf("%s is measured again, or has %v, for a measure that is there", r.Name, r.Measures)
		}
	}
	success, err := eval.ParseMeasure("Success@1")
	if err != nil {
		t.Fatal(err)
	}
	options.Measures = append(slices.Clone(measured), success)
	for _, r := range measure(points[:1]).Results {
		for q, value := range r.Measures["Success@1"] {
			if (value == 1) != (r.Measures["RR@10"][q] == 1) {
				t.Errorf("%s, query %d: Success@1 %v, RR@10 %v", r.Name, q, value, r.Measures["RR@10"][q])
			}
		}
	}
	options.Measures = measured

	// Other judgements are another collection.
	subject.Qrels = eval.Qrels{subject.Queries[0].ID: {"d1": 1}}
	other := measure(points[:1])
	if other.Fingerprint == before.Fingerprint || other.Results[0].Measures["RR@10"][1] != 0 {
		t.Error("results of other judgements were taken over")
	}
}

func TestMeasureStops(t *testing.T) {
	subject, _ := studySubject(t)
	ctx, cancel := context.WithCancel(t.Context())
	options := studyOptions(t)
	options.Point = func(_ string, done, _ int) {
		if done == 3 {
			cancel()
		}
	}
	path := filepath.Join(t.TempDir(), "journal.json")
	points := points(t, studyGrid)
	if _, err := sweep.Measure(ctx, subject, points, journal(t, path), options); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want that of the context", err)
	}
	data, err := os.ReadFile(path)
	if n := strings.Count(string(data), "\n"); err != nil || n != 4 {
		t.Errorf("%d lines in the journal (%v), want its first and three results", n, err)
	}
	if entries, err := os.ReadDir(options.Dir); err != nil || len(entries) != 0 {
		t.Errorf("%d indexes are left behind (%v)", len(entries), err)
	}
}

func TestMeasureWithoutTexts(t *testing.T) {
	subject, _ := studySubject(t)
	subject.BM25 = nil
	points := points(t, studyGrid)
	collection, err := sweep.Measure(t.Context(), subject, points, journal(t, filepath.Join(t.TempDir(), "j")), studyOptions(t))
	if err != nil || len(collection.Results) != len(points)-3 {
		t.Errorf("%d settings of %d (%v), want all but those of BM25", len(collection.Results), len(points), err)
	}
}

func TestJournalRefuses(t *testing.T) {
	for name, content := range map[string]string{
		"text":    "something else\n",
		"no end":  "something else",
		"object":  "{\"a\":1}\n",
		"version": "{\"pare_sweep\":2}\n",
		"line":    "{\"pare_sweep\":1}\nnonsense\n",
		"empty":   "{\"pare_sweep\":1}\n{}\n",
	} {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := sweep.OpenJournal(path); !errors.Is(err, sweep.ErrJournal) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v", name, err)
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != content {
			t.Errorf("%s: the file was changed to %q (%v)", name, data, err)
		}
	}
}
