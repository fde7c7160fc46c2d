package retriever_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/retriever"
	"github.com/pare-search/pare/simd"
)

func TestBuildOptionsValidate(t *testing.T) {
	if err := retriever.DefaultBuildOptions().Validate(); err != nil {
		t.Error(err)
	}
	options := retriever.DefaultBuildOptions()
	options.Batch, options.Corpus.Window, options.Index.TrainingVectors = 0, -1, 0
	err := options.Validate()
	for _, fault := range []string{"batches of 0", "Window -1", "0 training vectors"} {
		if err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("error %v does not say %q", err, fault)
		}
	}
	options = retriever.DefaultBuildOptions()
	options.Encoder = encoder.Func{Width: 100}
	if err := options.Validate(); err == nil || !strings.Contains(err.Error(), "dimensions 100") {
		t.Errorf("error %v, want the encoder's 100 dimensions refused", err)
	}
	if err := retriever.Build(t.Context(), t.TempDir(), retriever.Documents(orchard...), options); err == nil {
		t.Error("built with options that make no sense")
	}
	options.Encoder, options.Corpus.Window = toy, -1 // of no use here
	if err := options.Validate(); err != nil {
		t.Error(err)
	}
}

func TestBuildTiny(t *testing.T) {
	empty := []retriever.Document{{ID: "a"}, {ID: "b", Text: "  "}}
	for _, kind := range codec.Kinds {
		withoutIDs := encoder.Func{Width: 32, Encode: letters}
		for _, enc := range []encoder.Encoder{nil, toy, withoutIDs} {
			options := buildOptions(kind)
			options.Encoder = enc
			for _, documents := range [][]retriever.Document{orchard[:1], orchard[4:5], empty, append(empty[:2:2], orchard[0], orchard[3])} {
				r := build(t, documents, options)
				if n := r.Snapshot().LiveDocuments(); n != len(documents) {
					t.Errorf("%v: %d documents, want %d", kind, n, len(documents))
				}
				for _, d := range documents {
					if text, err := r.Text(d.ID); err != nil || text != d.Text {
						t.Errorf("%v: text of %s is %q, error %v", kind, d.ID, text, err)
					}
					e, err := r.Explain(t.Context(), "ripe quince", d.ID, retriever.DefaultOptions())
					if err != nil || len(e.Rows) != 2 {
						t.Errorf("%v: %s explained by %+v, error %v", kind, d.ID, e, err)
					}
				}
				want := slices.ContainsFunc(documents, func(d retriever.Document) bool { return d.ID == "quince" })
				hits := search(t, r, "quince", probing(t, "all", 1, 10)).Hits
				if found := len(hits) == 1 && hits[0].ID == "quince"; found != want || !want && len(hits) > 0 {
					t.Errorf("%v: %d documents give %v", kind, len(documents), hits)
				}
			}
		}
	}
}

func TestBuildNothing(t *testing.T) {
	for _, enc := range []encoder.Encoder{nil, toy} {
		options := buildOptions(codec.Residual2)
		options.Encoder = enc
		dir := filepath.Join(t.TempDir(), "index")
		if err := retriever.Build(t.Context(), dir, retriever.Documents(), options); !errors.Is(err, retriever.ErrNoDocuments) {
			t.Errorf("error %v, want ErrNoDocuments", err)
		}
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the folder was made: %v", err)
		}
	}
}

func TestBuildFolder(t *testing.T) {
	dir := t.TempDir() // exists and is empty
	if err := retriever.Build(t.Context(), dir, retriever.Documents(orchard...), buildOptions(codec.Residual2)); err != nil {
		t.Fatal(err)
	}
	before := contents(t, dir)
	unread := func(func(retriever.Document, error) bool) { t.Error("the documents were read") }
	if err := retriever.Build(t.Context(), dir, unread, buildOptions(codec.Residual2)); !errors.Is(err, index.ErrExists) {
		t.Errorf("built over an index: error %v, want ErrExists", err)
	}
	if !equalContents(before, contents(t, dir)) {
		t.Error("the index that was there is changed")
	}
	if err := retriever.Build(t.Context(), filepath.Join(dir, "MANIFEST"), unread, buildOptions(codec.Residual2)); err == nil {
		t.Error("built into a file")
	}
}

// contents reads the files of a folder.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[entry.Name()] = string(data)
	}
	return files
}

func equalContents(a, b map[string]string) bool {
	for name, data := range a {
		if b[name] != data {
			return false
		}
	}
	return len(a) == len(b)
}

func passes(each ...iter.Seq2[retriever.Document, error]) []iter.Seq2[retriever.Document, error] {
	return each
}

// inTurn yields from another sequence each time it is gone through, and from
// the last one after that.
func inTurn(passes []iter.Seq2[retriever.Document, error]) iter.Seq2[retriever.Document, error] {
	pass := -1
	return func(yield func(retriever.Document, error) bool) {
		pass = min(pass+1, len(passes)-1)
		passes[pass](yield)
	}
}

// failing yields the orchard with an error in its midst.
func failing(err error) iter.Seq2[retriever.Document, error] {
	return func(yield func(retriever.Document, error) bool) {
		for i, d := range orchard {
			if i == 5 && !yield(retriever.Document{}, err) {
				return
			}
			if !yield(d, nil) {
				return
			}
		}
	}
}

// TestBuildFails checks that a Build that fails says why and leaves an empty
// folder, in which the next one succeeds.
func TestBuildFails(t *testing.T) {
	failure := errors.New("no such page")
	twice := append(slices.Clone(orchard), retriever.Document{ID: "plum", Text: "once more"})
	unnamed := append(slices.Clone(orchard), retriever.Document{Text: "who am I"})
	whole, broken := retriever.Documents(orchard...), failing(failure)
	for name, test := range map[string]struct {
		passes []iter.Seq2[retriever.Document, error]
		want   error
		says   string
	}{
		"an error at first":     {passes(broken), failure, ""},
		"an error in sampling":  {passes(whole, broken), failure, ""},
		"an error in indexing":  {passes(whole, whole, broken), failure, ""},
		"an id twice":           {passes(retriever.Documents(twice...)), index.ErrDuplicate, `"plum"`},
		"no id":                 {passes(retriever.Documents(unnamed...)), index.ErrInvalid, "id is empty"},
		"documents for once":    {passes(whole, retriever.Documents()), retriever.ErrChanged, "8 documents the first time, 0 the third"},
		"fewer documents later": {passes(whole, whole, retriever.Documents(orchard[:5]...)), retriever.ErrChanged, "8 documents the first time, 5 the third"},
		"more documents later":  {passes(retriever.Documents(orchard[:4]...), whole), retriever.ErrChanged, "4 documents the first time"},
	} {
		for _, enc := range []encoder.Encoder{nil, toy} {
			for _, batch := range []int{1, 3, 256} {
				dir := filepath.Join(t.TempDir(), "index")
				options := buildOptions(codec.Residual2)
				options.Encoder, options.Batch, options.Index.SegmentBytes = enc, batch, 1<<10
				err := retriever.Build(t.Context(), dir, inTurn(test.passes), options)
				if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
					t.Errorf("%s, batches of %d: error %v, want %v with %q", name, batch, err, test.want, test.says)
				}
				checkFailed(t, name, dir, options)
			}
		}
	}
}

// checkFailed checks the folder of a Build that failed.
func checkFailed(t *testing.T, name, dir string, options retriever.BuildOptions) {
	t.Helper()
	if entries, err := os.ReadDir(dir); len(entries) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: left behind: %v, error %v", name, entries, err)
	}
	if _, err := index.Open(dir); !errors.Is(err, index.ErrNotIndex) {
		t.Errorf("%s: opened with error %v, want ErrNotIndex", name, err)
	}
	options.Progress = nil
	if err := retriever.Build(context.Background(), dir, retriever.Documents(orchard...), options); err != nil {
		t.Errorf("%s: built anew: %v", name, err)
	}
}

// TestBuildCancelled ends the context in every stage.
func TestBuildCancelled(t *testing.T) {
	documents := babble(300, 50)
	for _, stage := range []retriever.Stage{
		retriever.Reading, retriever.TrainingEncoder, retriever.SamplingVectors, retriever.TrainingCodebook, retriever.Indexing,
	} {
		ctx, cancel := context.WithCancel(t.Context())
		dir := filepath.Join(t.TempDir(), "index")
		options := buildOptions(codec.Residual2)
		options.Batch = 64
		reached := false
		options.Progress = func(at retriever.Stage, _, _ int) {
			if at == stage {
				reached = true
				cancel()
			}
		}
		if err := retriever.Build(ctx, dir, retriever.Documents(documents...), options); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %v, want context.Canceled", stage, err)
		}
		if !reached {
			t.Errorf("%s was never reported", stage)
		}
		checkFailed(t, string(stage), dir, options)
	}
	// An encoder need not look at the context.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	options := buildOptions(codec.Residual2)
	options.Encoder = toy
	if err := retriever.Build(ctx, t.TempDir(), retriever.Documents(documents...), options); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

// TestBuildProgress checks the order of the stages and that done rises to total.
func TestBuildProgress(t *testing.T) {
	type report struct {
		stage       retriever.Stage
		done, total int
	}
	documents := babble(500, 200)
	for _, enc := range []encoder.Encoder{nil, toy} {
		for _, sample := range []int{1, 1000, 1 << 20} {
			options := buildOptions(codec.Residual2)
			options.Encoder, options.Batch, options.Index.TrainingVectors = enc, 50, sample
			var reports []report
			options.Progress = func(stage retriever.Stage, done, total int) {
				reports = append(reports, report{stage, done, total})
			}
			build(t, documents, options)
			var stages []retriever.Stage
			var last report
			for _, r := range reports {
				if r.stage != last.stage {
					if last.total != last.done && last.total > 0 && last.stage != retriever.TrainingCodebook {
						t.Errorf("%s ended at %d of %d", last.stage, last.done, last.total)
					}
					stages, last = append(stages, r.stage), report{r.stage, 0, r.total}
				}
				if r.done < last.done || r.total != last.total || r.total > 0 && r.done > r.total {
					t.Errorf("%s: %d of %d after %d of %d", r.stage, r.done, r.total, last.done, last.total)
				}
				last = r
			}
			if last != (report{retriever.Indexing, len(documents), len(documents)}) {
				t.Errorf("the last report is %v", last)
			}
			want := []retriever.Stage{
				retriever.Reading, retriever.TrainingEncoder, retriever.SamplingVectors, retriever.TrainingCodebook, retriever.Indexing,
			}
			want = slices.DeleteFunc(want, func(s retriever.Stage) bool {
				// One vector needs no training.
				return enc != nil && s == retriever.TrainingEncoder || sample == 1 && s == retriever.TrainingCodebook
			})
			if !slices.Equal(stages, want) {
				t.Errorf("stages %q, want %q", stages, want)
			}
		}
	}
}

// TestBuildDeterministic checks that the files are the same whatever the
// number of processors.
func TestBuildDeterministic(t *testing.T) {
	documents := babble(600, 400)
	var want map[string]string
	for _, processors := range []int{1, 2, 7} {
		before := runtime.GOMAXPROCS(processors)
		options := buildOptions(codec.Residual2)
		options.Index.TrainingVectors, options.Index.SegmentBytes, options.Batch = 3000, 64<<10, 37
		dir := filepath.Join(t.TempDir(), "index")
		err := retriever.Build(t.Context(), dir, retriever.Documents(documents...), options)
		runtime.GOMAXPROCS(before)
		if err != nil {
			t.Fatal(err)
		}
		got := contents(t, dir)
		if want == nil {
			want = got
		}
		if !equalContents(want, got) {
			t.Errorf("other files with %d processors", processors)
		}
	}
	if len(want) < 5 {
		t.Errorf("%d files, want several segments", len(want))
	}
}

// TestBuildSample checks that a codebook trained on a part of an ordered
// collection has as many cells as the whole needs, and knows all of it.
func TestBuildSample(t *testing.T) {
	var documents []retriever.Document
	for i := range 2000 {
		theme := fmt.Sprintf("theme%d ", i/400) // one after another
		documents = append(documents, retriever.Document{ID: fmt.Sprint(i), Text: strings.Repeat(theme, 9) + fmt.Sprint(i)})
	}
	options := buildOptions(codec.Residual2)
	options.Encoder, options.Index.TrainingVectors = toy, 2000
	snapshot := build(t, documents, options).Snapshot()
	if snapshot.Vectors() != 20_000 {
		t.Fatalf("%d vectors, want 20000", snapshot.Vectors())
	}
	// The 20,000 vectors want 312 cells, and the sample is good for one of
	// every 39 of its vectors, about 50; by itself it would want 31.
	if cells := snapshot.Codebook().Cells(); cells < 40 || cells > 60 {
		t.Errorf("%d cells, want about 50", cells)
	}
	// The encoder gives a theme nearly the same direction everywhere, so that
	// cells are near if the theme is in the sample.
	for theme := range 5 {
		tokens, err := toy.EncodeDocuments(t.Context(), []string{documents[400*theme].Text})
		if err != nil {
			t.Fatal(err)
		}
		var sum float32
		for row := range 9 {
			var nearest float32
			for cell := range snapshot.Codebook().Cells() {
				nearest = max(nearest, simd.Dot(tokens[0].Vectors.Row(row), snapshot.Codebook().Centroid(cell)))
			}
			sum += nearest
		}
		if sum/9 < 0.85 {
			t.Errorf("theme %d is in no cell: the nearest has similarity %v on average", theme, sum/9)
		}
	}
}

// TestBuildEstimate checks the expected number of vectors where the first
// documents have ten times as many to a byte as the others.
func TestBuildEstimate(t *testing.T) {
	var documents []retriever.Document
	for i := range 2000 {
		word := "x "
		if i >= 100 {
			word = "incomprehensibility "
		}
		documents = append(documents, retriever.Document{ID: fmt.Sprint(i), Text: strings.Repeat(word, 10)})
	}
	options := buildOptions(codec.Residual2)
	options.Encoder = toy
	expected := 0
	options.Progress = func(stage retriever.Stage, _, total int) {
		if stage == retriever.SamplingVectors {
			expected = total
		}
	}
	build(t, documents, options)
	if expected < 18_000 || expected > 22_000 {
		t.Errorf("%d vectors expected of 20000", expected)
	}
}

// batches is an encoder that notes how much text it gets at a time.
type batches struct {
	encoder.Func
	texts, bytes int // of the largest batch
}

func (b *batches) EncodeDocuments(ctx context.Context, texts []string) ([]encoder.Tokens, error) {
	b.texts, b.bytes = max(b.texts, len(texts)), max(b.bytes, len(strings.Join(texts, "")))
	return b.Func.EncodeDocuments(ctx, texts)
}

// TestBuildLongDocuments checks that memory is bounded by the size of texts,
// not only by their number.
func TestBuildLongDocuments(t *testing.T) {
	for _, test := range []struct{ documents, bytes, batch, wantTexts int }{
		{100, 10, 16, 16},
		{40, 300 << 10, 16, 4},
		{3, 2 << 20, 16, 1},
	} {
		var documents []retriever.Document
		for i := range test.documents {
			documents = append(documents, retriever.Document{ID: fmt.Sprint(i), Text: "plum" + strings.Repeat(" ", test.bytes-4)})
		}
		enc := &batches{Func: toy}
		options := buildOptions(codec.Residual2)
		options.Encoder, options.Batch = enc, test.batch
		build(t, documents, options)
		if enc.texts != test.wantTexts || enc.bytes > 1<<20+test.bytes {
			t.Errorf("up to %d texts at a time and %d bytes, want %d texts of %d", enc.texts, enc.bytes, test.wantTexts, test.bytes)
		}
	}
}
