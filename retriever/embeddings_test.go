package retriever_test

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"iter"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/encoder/corpus"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/retriever"
	"github.com/pare-search/pare/simd"
)

// encoded encodes documents with the toy.
func encoded(t testing.TB, documents []retriever.Document) []index.Document {
	t.Helper()
	out := make([]index.Document, len(documents))
	for i, d := range documents {
		tokens, err := toy.EncodeQuery(t.Context(), d.Text)
		if err != nil {
			t.Fatal(err)
		}
		out[i] = index.Document{ID: d.ID, Text: d.Text, Tokens: tokens}
	}
	return out
}

// embeddings announces documents as they are.
func embeddings(documents []index.Document) retriever.Embeddings {
	e := retriever.Embeddings{Dim: 16, Documents: len(documents), All: each(documents)}
	for _, d := range documents {
		e.Vectors += d.Tokens.Vectors.Rows
	}
	return e
}

func each(documents []index.Document) iter.Seq2[index.Document, error] {
	return func(yield func(index.Document, error) bool) {
		for _, d := range documents {
			if !yield(d, nil) {
				return
			}
		}
	}
}

// TestBuildEmbeddings compares an exhaustive search of uncompressed vectors with
// a plain loop over all of them.
func TestBuildEmbeddings(t *testing.T) {
	documents := encoded(t, append(babble(400, 300), retriever.Document{ID: "nothing"}))
	for _, withIDs := range []bool{true, false} {
		if !withIDs {
			for i := range documents {
				documents[i].Tokens.IDs = nil
			}
		}
		for _, batch := range []int{1, 7, 1000} {
			options := buildOptions(codec.Float32)
			options.Batch, options.Index.TrainingVectors, options.Index.SegmentBytes = batch, 500, 64<<10
			dir := filepath.Join(t.TempDir(), "index")
			var last [2]int
			options.Progress = func(stage retriever.Stage, done, total int) {
				if stage == retriever.Indexing {
					last = [2]int{done, total}
				}
			}
			if err := retriever.BuildEmbeddings(t.Context(), dir, embeddings(documents), options); err != nil {
				t.Fatal(err)
			}
			if err := index.Verify(dir); err != nil {
				t.Fatal(err)
			}
			if last != [2]int{401, 401} {
				t.Errorf("progress ended at %v", last)
			}
			snapshot, err := index.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			r, err := retriever.New(snapshot, nil)
			if err != nil {
				t.Fatal(err)
			}
			query := documents[17].Tokens
			got, err := r.SearchTokens(t.Context(), query, exhaustive(20))
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range maxSims(documents, query)[:20] {
				if hit := got.Hits[i]; math.Abs(float64(hit.Score-want.Score)) > 1e-4 {
					t.Errorf("hit %d is %s with %v, want %s with %v", i, hit.ID, hit.Score, want.ID, want.Score)
				}
			}
			if text, err := r.Text("d0017"); err != nil || text != documents[17].Text {
				t.Errorf("text %q, error %v", text, err)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := retriever.Open(dir); !errors.Is(err, retriever.ErrEncoder) {
				t.Errorf("opened without an encoder: error %v", err)
			}
		}
	}
}

// maxSims scores all documents with vectors, best first.
func maxSims(documents []index.Document, query encoder.Tokens) []index.Hit {
	var hits []index.Hit
	for _, d := range documents {
		if d.Tokens.Vectors.Rows == 0 {
			continue
		}
		hit := index.Hit{ID: d.ID}
		for q := range query.Vectors.Rows {
			best := float32(math.Inf(-1))
			for row := range d.Tokens.Vectors.Rows {
				best = max(best, simd.Dot(query.Vectors.Row(q), d.Tokens.Vectors.Row(row)))
			}
			hit.Score += best
		}
		hits = append(hits, hit)
	}
	slices.SortFunc(hits, func(a, b index.Hit) int { return cmp.Compare(b.Score, a.Score) })
	return hits
}

// TestBuildEmbeddingsEncoder checks that the encoder that made the vectors is
// kept.
func TestBuildEmbeddingsEncoder(t *testing.T) {
	first := build(t, orchard, buildOptions(codec.Residual2))
	enc := first.Encoder().(*corpus.Encoder)
	documents, err := first.Encode(t.Context(), orchard...)
	if err != nil {
		t.Fatal(err)
	}
	e := embeddings(documents)
	e.Dim = enc.Dim()
	options := buildOptions(codec.Residual2)
	options.Encoder = enc
	dir := filepath.Join(t.TempDir(), "index")
	if err := retriever.BuildEmbeddings(t.Context(), dir, e, options); err != nil {
		t.Fatal(err)
	}
	r, err := retriever.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if hits := search(t, r, "quince", exhaustive(1)).Hits; len(hits) != 1 || hits[0].ID != "quince" {
		t.Errorf("found %v, want quince", hits)
	}
	options.Encoder = toy
	if err := retriever.BuildEmbeddings(t.Context(), t.TempDir(), e, options); !errors.Is(err, retriever.ErrEncoder) {
		t.Errorf("error %v, want ErrEncoder for another width", err)
	}
}

func TestBuildEmbeddingsFails(t *testing.T) {
	failure := errors.New("the disk is gone")
	whole := encoded(t, babble(60, 50))
	with := func(change func(d *index.Document)) []index.Document {
		documents := slices.Clone(whole)
		change(&documents[40])
		return documents
	}
	good := embeddings(whole)
	announced := func(documents []index.Document) retriever.Embeddings {
		e := good
		e.All = each(documents)
		return e
	}
	narrow, nothing, lost := good, good, good
	narrow.Dim = 12
	nothing.Documents, nothing.Vectors, nothing.All = 0, 0, each(nil)
	lost.All = func(yield func(index.Document, error) bool) {
		each(whole[:30])(yield)
		yield(index.Document{}, failure)
	}
	for name, test := range map[string]struct {
		embeddings retriever.Embeddings
		want       error
		says       string
	}{
		"no documents":   {nothing, retriever.ErrNoDocuments, ""},
		"an odd width":   {narrow, index.ErrInvalid, "dimensions 12"},
		"a failing file": {lost, failure, ""},
		"too few":        {announced(whole[:59]), retriever.ErrChanged, "60 documents with"},
		"too many":       {announced(append(slices.Clone(whole), index.Document{ID: "x"})), retriever.ErrChanged, "there are 61 with"},
		"another width":  {announced(with(func(d *index.Document) { d.Tokens.Vectors = simd.NewMatrix(2, 8) })), encoder.ErrInvalid, `document "d0040": `},
		"no number": {announced(with(func(d *index.Document) {
			d.Tokens.Vectors = simd.NewMatrix(1, 16)
			d.Tokens.Vectors.Data[3] = float32(math.NaN())
		})), encoder.ErrInvalid, "row 0, column 3"},
		"ids do not fit":   {announced(with(func(d *index.Document) { d.Tokens.IDs = d.Tokens.IDs[1:] })), encoder.ErrInvalid, "ids for"},
		"an id twice":      {announced(with(func(d *index.Document) { d.ID = "d0003" })), index.ErrDuplicate, `"d0003"`},
		"an id of nothing": {announced(with(func(d *index.Document) { d.ID = "" })), index.ErrInvalid, "id is empty"},
	} {
		dir := filepath.Join(t.TempDir(), "index")
		options := buildOptions(codec.Residual2)
		options.Batch = 16
		err := retriever.BuildEmbeddings(t.Context(), dir, test.embeddings, options)
		if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: error %v, want %v with %q", name, err, test.want, test.says)
		}
		if entries, err := os.ReadDir(dir); len(entries) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: left behind: %v, error %v", name, entries, err)
		}
		if err := retriever.BuildEmbeddings(t.Context(), dir, good, options); err != nil {
			t.Errorf("%s: built anew: %v", name, err)
		}
		if err := retriever.BuildEmbeddings(t.Context(), dir, good, options); !errors.Is(err, index.ErrExists) {
			t.Errorf("built over an index: error %v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	options := buildOptions(codec.Residual2)
	if err := retriever.BuildEmbeddings(ctx, t.TempDir(), good, options); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	options.Batch = 0
	if err := retriever.BuildEmbeddings(t.Context(), t.TempDir(), good, options); err == nil || !strings.Contains(err.Error(), "batches of 0") {
		t.Errorf("error %v, want the batch refused", err)
	}
}

// TestBuildEmbeddingsDeterministic checks that the files are the same whatever
// the number of processors.
func TestBuildEmbeddingsDeterministic(t *testing.T) {
	documents := encoded(t, babble(300, 200))
	var want map[string]string
	for _, processors := range []int{1, 3} {
		before := runtime.GOMAXPROCS(processors)
		options := buildOptions(codec.Residual2)
		options.Index.TrainingVectors = 2000
		dir := filepath.Join(t.TempDir(), "index")
		err := retriever.BuildEmbeddings(t.Context(), dir, embeddings(documents), options)
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
}
