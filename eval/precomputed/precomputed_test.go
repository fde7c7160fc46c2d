package precomputed_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/eval/dataset"
	"github.com/pare-search/pare/eval/precomputed"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/retriever"
	"github.com/pare-search/pare/simd"
)

const dim = 16

var lengths = []int64{3, 0, 5, 1, 4, 2}

// folder is a folder of embeddings and what is in it.
type folder struct {
	path      string
	documents []float32 // row after row
	queries   []float32 // two rows each
}

// write writes a folder of six documents and two queries. Ids are those of the
// vectors' numbers, so that they are easy to check.
func write(t *testing.T, dir string, kind dataset.DType) folder {
	t.Helper()
	random := rand.New(rand.NewPCG(3, 4))
	// Halves can be written exactly in 16 bits.
	vectors := func(rows int) []float32 {
		out := make([]float32, rows*dim)
		for i := range out {
			out[i] = float32(random.IntN(9)-4) / 2
		}
		return out
	}
	f := folder{path: dir, documents: vectors(15), queries: vectors(4)}
	ids := make([]int64, 15)
	for i := range ids {
		ids[i] = int64(100 + i)
	}
	err := errors.Join(
		dataset.WriteNPYFloats(filepath.Join(dir, "docs.npy"), kind, f.documents, 15, dim),
		dataset.WriteNPYInts(filepath.Join(dir, "docs_lens.npy"), dataset.Int32, lengths),
		dataset.WriteNPYInts(filepath.Join(dir, "docs_tokids.npy"), dataset.Int32, ids),
		os.WriteFile(filepath.Join(dir, "doc_ids.txt"), []byte("a\nb\nc\nd\ne\nf\n"), 0o644),
		dataset.WriteNPYFloats(filepath.Join(dir, "queries.npy"), kind, f.queries, 4, dim),
		dataset.WriteNPYInts(filepath.Join(dir, "queries_lens.npy"), dataset.Int64, []int64{2, 2}),
		os.WriteFile(filepath.Join(dir, "query_ids.txt"), []byte("q1\nq2\n"), 0o644),
		os.WriteFile(filepath.Join(dir, "qrels.tsv"), []byte("q1\ta\t1\nq2\tc\t1\n"), 0o644),
	)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func open(t *testing.T, dir string) *dataset.Embeddings {
	t.Helper()
	e, err := precomputed.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestDocuments(t *testing.T) {
	for _, kind := range []dataset.DType{dataset.Float32, dataset.Float16} {
		f := write(t, t.TempDir(), kind)
		texts := retriever.Documents(
			retriever.Document{ID: "0", Text: "not asked for"},
			retriever.Document{ID: "a", Text: "text of a"},
			retriever.Document{ID: "b", Text: "text of b"},
			retriever.Document{ID: "c"},
			retriever.Document{ID: "d", Text: "text of d"},
			retriever.Document{ID: "dd", Text: "not asked for"},
			retriever.Document{ID: "e", Text: "text of e"},
			retriever.Document{ID: "f", Text: "text of f"},
			retriever.Document{ID: "g", Text: "not asked for"},
		)
		e := open(t, f.path)
		documents := precomputed.Documents(e, texts)
		if documents.Dim != dim || documents.Documents != 6 || documents.Vectors != 15 {
			t.Errorf("%+v", documents)
		}
		for range 2 { // as often as one likes
			row, i := 0, 0
			for d, err := range documents.All {
				if err != nil {
					t.Fatal(err)
				}
				id := string(rune('a' + i))
				text := "text of " + id
				if id == "c" {
					text = ""
				}
				rows := int(lengths[i])
				if d.ID != id || d.Text != text || d.Tokens.Vectors.Rows != rows || len(d.Tokens.IDs) != rows ||
					!slices.Equal(d.Tokens.Vectors.Data, f.documents[row*dim:(row+rows)*dim]) {
					t.Errorf("document %d is %+v", i, d)
				}
				if rows > 0 && d.Tokens.IDs[0] != uint32(100+row) {
					t.Errorf("document %d has the token ids %v", i, d.Tokens.IDs)
				}
				row, i = row+rows, i+1
			}
			if i != 6 {
				t.Errorf("%d documents", i)
			}
		}
	}
}

// TestSearch builds an index and asks it for a query by its id.
func TestSearch(t *testing.T) {
	f := write(t, t.TempDir(), dataset.Float32)
	e := open(t, f.path)
	dir := filepath.Join(t.TempDir(), "index")
	options := retriever.DefaultBuildOptions()
	options.Index.Codec.Kind = codec.Float32
	if err := retriever.BuildEmbeddings(t.Context(), dir, precomputed.Documents(e, nil), options); err != nil {
		t.Fatal(err)
	}
	snapshot, err := index.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	queries, err := precomputed.ReadQueries(e)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(queries.IDs, []string{"q1", "q2"}) {
		t.Errorf("queries %q", queries.IDs)
	}
	r, err := retriever.New(snapshot, queries)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	search := retriever.DefaultOptions()
	search.Search.Plan = index.Exhaustive
	got, err := r.Search(t.Context(), "q2", search)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{}
	row := 0
	for i, length := range lengths {
		id := string(rune('a' + i))
		for q := 2; q < 4 && length > 0; q++ {
			best := math.Inf(-1)
			for range length {
				best = max(best, dot(f.queries[q*dim:], f.documents[row*dim:]))
				row++
			}
			want[id] += best
			row -= int(length)
		}
		row += int(length)
	}
	if len(got.Hits) != len(want) {
		t.Errorf("found %v, want %v", got.Hits, want)
	}
	for _, hit := range got.Hits {
		if math.Abs(float64(hit.Score)-want[hit.ID]) > 1e-4 {
			t.Errorf("%s scores %v, want %v", hit.ID, hit.Score, want[hit.ID])
		}
	}
	if _, err := r.Search(t.Context(), "q3", search); !errors.Is(err, precomputed.ErrQuery) || !strings.Contains(err.Error(), `"q3"`) {
		t.Errorf("error %v, want ErrQuery", err)
	}
	if _, err := r.Encode(t.Context(), retriever.Document{ID: "x", Text: "y"}); err == nil {
		t.Error("a text was encoded")
	}
	var _ encoder.Encoder = queries
}

func dot(a, b []float32) (sum float64) {
	for d := range dim {
		sum += float64(a[d]) * float64(b[d])
	}
	return sum
}

// TestErrors checks that errors name the file, the row and the document.
func TestErrors(t *testing.T) {
	failure := errors.New("the disk is gone")
	without := func(id string) []retriever.Document {
		var documents []retriever.Document
		for _, other := range []string{"a", "b", "c", "d", "e", "f"} {
			if other != id {
				documents = append(documents, retriever.Document{ID: other})
			}
		}
		return documents
	}
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(-1)), 1e16} {
		f := write(t, t.TempDir(), dataset.Float32)
		f.documents[9*dim+7] = bad // the first vector of e is in row 9
		if err := dataset.WriteNPYFloats(filepath.Join(f.path, "docs.npy"), dataset.Float32, f.documents, 15, dim); err != nil {
			t.Fatal(err)
		}
		err := last(precomputed.Documents(open(t, f.path), nil))
		says := fmt.Sprintf(`docs.npy: row 9, column 7 is %v, want a number between -1e+15 and 1e+15 (token 0 of "e")`, bad)
		if !errors.Is(err, dataset.ErrFormat) || !strings.Contains(err.Error(), filepath.Join(f.path, says)) {
			t.Errorf("error %v, want %q", err, says)
		}
		f.queries[3*dim] = bad
		if err := dataset.WriteNPYFloats(filepath.Join(f.path, "queries.npy"), dataset.Float32, f.queries, 4, dim); err != nil {
			t.Fatal(err)
		}
		_, err = precomputed.ReadQueries(open(t, f.path))
		if err == nil || !strings.Contains(err.Error(), "queries.npy: row 3, column 0") || !strings.Contains(err.Error(), `token 1 of "q2"`) {
			t.Errorf("error %v, want the row of queries.npy", err)
		}
	}

	f := write(t, t.TempDir(), dataset.Float32)
	e := open(t, f.path)
	for _, id := range []string{"a", "d", "f"} {
		err := last(precomputed.Documents(e, retriever.Documents(without(id)...)))
		if !errors.Is(err, precomputed.ErrText) || !strings.Contains(err.Error(), fmt.Sprintf("document %q", id)) {
			t.Errorf("no text of %s: error %v", id, err)
		}
	}
	err := last(precomputed.Documents(e, func(yield func(retriever.Document, error) bool) { yield(retriever.Document{}, failure) }))
	if !errors.Is(err, failure) {
		t.Errorf("error %v, want that of the texts", err)
	}
	if err := os.WriteFile(filepath.Join(f.path, "docs.npy"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := last(precomputed.Documents(e, nil)); !errors.Is(err, dataset.ErrFormat) {
		t.Errorf("error %v, want ErrFormat", err)
	}

	if _, err := precomputed.Open(t.TempDir()); !errors.Is(err, dataset.ErrLayout) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty folder: error %v", err)
	}
	narrow := t.TempDir()
	if err := errors.Join(
		dataset.WriteNPYFloats(filepath.Join(narrow, "docs.npy"), dataset.Float32, make([]float32, 12), 1, 12),
		dataset.WriteNPYInts(filepath.Join(narrow, "docs_lens.npy"), dataset.Int32, []int64{1}),
	); err != nil {
		t.Fatal(err)
	}
	if _, err := precomputed.Open(narrow); !errors.Is(err, simd.ErrShape) || !strings.Contains(err.Error(), "docs.npy: ") {
		t.Errorf("12 values: error %v", err)
	}
	wide := t.TempDir()
	if err := errors.Join(
		dataset.WriteNPYFloats(filepath.Join(wide, "docs.npy"), dataset.Float32, make([]float32, 16), 1, 16),
		dataset.WriteNPYInts(filepath.Join(wide, "docs_lens.npy"), dataset.Int32, []int64{1}),
	); err != nil {
		t.Fatal(err)
	}
	if _, err := precomputed.ReadQueries(open(t, wide)); !errors.Is(err, dataset.ErrLayout) || !strings.Contains(err.Error(), "no queries.npy") {
		t.Errorf("no queries: error %v", err)
	}
}

// last goes through all documents and returns the error.
func last(documents retriever.Embeddings) error {
	for _, err := range documents.All {
		if err != nil {
			return err
		}
	}
	return nil
}
