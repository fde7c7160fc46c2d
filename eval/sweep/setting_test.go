package sweep_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pare-search/pare/eval/sweep"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/retriever"
)

func TestSetting(t *testing.T) {
	s := sweep.Setting{}.With("search.prune", "icf:4").With("codec.kind", "residual1").With("search.budget", "500").With("search.prune", "icf:2")
	if got, want := s.String(), "codec.kind=residual1 search.budget=500 search.prune=icf:2"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if s.Index().String() != "codec.kind=residual1" || s.Search().String() != "search.budget=500 search.prune=icf:2" {
		t.Errorf("index %s, search %s", s.Index(), s.Search())
	}
	if value, ok := s.Value("search.budget"); value != "500" || !ok {
		t.Errorf("budget %q, %t", value, ok)
	}
	if _, ok := s.Value("search.depth"); ok {
		t.Error("a value for a key that is not assigned")
	}
	before := s.String()
	s.With("search.budget", "7")
	s.With("search.depth", "9")
	if s.String() != before {
		t.Errorf("With changed its receiver to %s", s)
	}
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"codec.kind":"residual1","search.budget":"500","search.prune":"icf:2"}`; string(data) != want {
		t.Errorf("JSON %s, want %s", data, want)
	}
	var again sweep.Setting
	if err := json.Unmarshal(data, &again); err != nil || !reflect.DeepEqual(again, s) {
		t.Errorf("read back as %v (%v)", again, err)
	}
}

func ExampleGrid() {
	grid := sweep.Grid{{"search.prune", []string{"all", "icf:4"}}, {"search.budget", []string{"500", "1000"}}}
	for _, s := range grid.Settings() {
		fmt.Println(s)
	}
	// Output:
	// search.budget=500 search.prune=all
	// search.budget=1000 search.prune=all
	// search.budget=500 search.prune=icf:4
	// search.budget=1000 search.prune=icf:4
}

func TestUnique(t *testing.T) {
	a, b := sweep.Setting{}.With("k", "1"), sweep.Setting{}.With("k", "2")
	if got := sweep.Unique([]sweep.Setting{nil, a, nil, b, a}); !reflect.DeepEqual(got, []sweep.Setting{nil, a, b}) {
		t.Errorf("%v", got)
	}
}

// texts are documents of words drawn from a small vocabulary.
func texts(n int) []retriever.Document {
	random := rand.New(rand.NewPCG(5, 6))
	var documents []retriever.Document
	for i := range n {
		var words []string
		for range 20 {
			words = append(words, fmt.Sprintf("word%c%c", 'a'+rune(random.IntN(20)), 'a'+rune(random.IntN(20))))
		}
		documents = append(documents, retriever.Document{ID: fmt.Sprintf("d%d", i), Text: strings.Join(words, " ")})
	}
	return documents
}

// optionsOf knows two keys.
func optionsOf(s sweep.Setting) (retriever.BuildOptions, retriever.Options, error) {
	build, search := retriever.DefaultBuildOptions(), retriever.DefaultOptions()
	build.Corpus.Dim = 16
	search.Search.Plan = index.Exhaustive
	for _, a := range s {
		var err error
		switch a.Key {
		case "codec.kind":
			build.Index.Codec.Kind, err = codec.ParseKind(a.Value)
		case "search.plan":
			search.Search.Plan, err = index.ParsePlan(a.Value)
		default:
			err = errors.New("unknown key " + a.Key)
		}
		if err != nil {
			return build, search, err
		}
	}
	return build, search, nil
}

// TestBench compares a bench with retrievers that are built and asked by hand.
func TestBench(t *testing.T) {
	documents := texts(120)
	build := func(ctx context.Context, dir string, options retriever.BuildOptions) (*retriever.Retriever, error) {
		if err := retriever.Build(ctx, dir, retriever.Documents(documents...), options); err != nil {
			return nil, err
		}
		return retriever.Open(dir)
	}
	var queries []sweep.Query
	for i, d := range documents[:10] {
		queries = append(queries, sweep.Query{ID: fmt.Sprint(i), Text: strings.Join(strings.Fields(d.Text)[:5], " ")})
	}
	bench := sweep.Bench{Queries: queries, Options: optionsOf, Build: build, Dir: t.TempDir()}
	settings := sweep.Grid{{"search.plan", []string{"exhaustive", "probe"}}, {"codec.kind", []string{"float32", "residual1"}}}.Settings()
	var order []string
	err := bench.Measure(t.Context(), settings, sweep.AskOptions{}, func(m sweep.Measured) error {
		order = append(order, m.Setting.String())
		buildOptions, search, err := optionsOf(m.Setting)
		if err != nil {
			return err
		}
		r, err := build(t.Context(), t.TempDir()+"/index", buildOptions)
		if err != nil {
			return err
		}
		defer r.Close()
		for i, q := range queries {
			want, err := r.Search(t.Context(), q.Text, search)
			if err != nil {
				return err
			}
			got := m.Answers[i]
			if len(got.Results) != len(want.Hits) || got.Work.TokenPairs != want.Stats.TokenPairs {
				t.Fatalf("%s: %d results of %d pairs, want %d of %d", m.Setting, len(got.Results), got.Work.TokenPairs, len(want.Hits), want.Stats.TokenPairs)
			}
			for j, hit := range want.Hits {
				if got.Results[j].ID != hit.ID || got.Results[j].Score != float64(hit.Score) {
					t.Fatalf("%s, query %d: rank %d is %v, want %v", m.Setting, i, j, got.Results[j], hit)
				}
			}
		}
		info, err := r.Snapshot().Inspect()
		if m.Index.Vectors != info.Vectors || m.Index.Bytes != info.Bytes {
			t.Errorf("%s: index %+v, want %+v", m.Setting, m.Index, info)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"codec.kind=float32 search.plan=exhaustive", "codec.kind=float32 search.plan=probe",
		"codec.kind=residual1 search.plan=exhaustive", "codec.kind=residual1 search.plan=probe",
	}
	if !slices.Equal(order, want) {
		t.Errorf("measured in the order %q, want %q", order, want)
	}

	// A bench that keeps its indexes builds each of them once.
	builds := 0
	keeping := bench
	keeping.Keep = true
	keeping.Build = func(ctx context.Context, dir string, options retriever.BuildOptions) (*retriever.Retriever, error) {
		builds++
		return build(ctx, dir, options)
	}
	fingerprints := make(map[string]bool)
	for range 2 {
		if err := keeping.MeasureQueries(t.Context(), settings, queries[:2], sweep.AskOptions{}, func(m sweep.Measured) error {
			fingerprints[m.Fingerprint] = true
			if len(m.Answers) != 2 || m.Documents != len(documents) {
				t.Errorf("%d answers from %d documents", len(m.Answers), m.Documents)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if builds != 2 || len(fingerprints) != 2 {
		t.Errorf("%d builds of %d indexes, want 2 of 2", builds, len(fingerprints))
	}
	if err := keeping.Close(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(bench.Dir); err != nil || len(left) > 0 {
		t.Errorf("%v are left behind (%v)", left, err)
	}

	none := func(sweep.Measured) error { return nil }
	unknown := []sweep.Setting{sweep.Setting{}.With("search.k", "3")}
	if err := bench.Measure(t.Context(), unknown, sweep.AskOptions{}, none); !errors.Is(err, sweep.ErrSetting) || !strings.Contains(err.Error(), "search.k=3") {
		t.Errorf("error %v, want ErrSetting with the setting", err)
	}
	r, err := build(t.Context(), t.TempDir()+"/index", retriever.DefaultBuildOptions())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	given := sweep.Bench{Queries: queries, Options: optionsOf, Index: r}
	if err := given.Measure(t.Context(), settings[:1], sweep.AskOptions{}, none); !errors.Is(err, sweep.ErrSetting) {
		t.Errorf("error %v, want ErrSetting: the index is given", err)
	}
	stop := errors.New("enough")
	if err := given.Measure(t.Context(), []sweep.Setting{nil}, sweep.AskOptions{Depth: 3}, func(m sweep.Measured) error {
		if n := len(m.Answers[0].Results); n != 3 {
			t.Errorf("%d results, want 3", n)
		}
		return stop
	}); !errors.Is(err, stop) {
		t.Errorf("error %v, want that of done", err)
	}
}
