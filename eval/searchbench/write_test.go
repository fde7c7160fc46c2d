package searchbench_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/pare-search/pare/eval/dataset"
	"github.com/pare-search/pare/eval/searchbench"
)

func writeScale(passages int) searchbench.ScaleOptions {
	options := searchbench.DefaultScaleOptions()
	options.Passages = []int{passages}
	return options
}

// texts reads all texts of a set.
func texts(t *testing.T, set *dataset.EmbeddedSet) []dataset.Embedded {
	t.Helper()
	var all []dataset.Embedded
	for text, err := range set.All() {
		must(t, err)
		all = append(all, text)
	}
	return all
}

func dot(a, b []float32) (sum float64) {
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

// TestWriteCollection looks for every vector that was written among those of the
// real tokens with its id, from which the noise must have moved it by what was
// asked: none at all, or 0.3, a cosine of about 1/sqrt(1+0.3²) = 0.958.
func TestWriteCollection(t *testing.T) {
	e := openEmbeddings(t)
	real := make(map[uint32][][]float32)
	for _, text := range texts(t, e.Documents) {
		for i, id := range text.TokenIDs {
			real[id] = append(real[id], text.Vectors[i*e.Dim:(i+1)*e.Dim])
		}
	}
	for _, c := range []struct{ noise, least, mean float64 }{{0, 0.99999, 1}, {0.3, 0.85, 0.958}} {
		options := writeScale(500)
		options.Noise = c.noise
		dir := filepath.Join(t.TempDir(), "larger")
		must(t, searchbench.WriteCollection(t.Context(), dir, e, options))
		written, err := dataset.OpenEmbeddings(dir)
		must(t, err)
		if len(written.Documents.IDs) != 500 || written.Dim != e.Dim || len(written.Qrels) > 0 {
			t.Fatalf("%d documents of %d dimensions, judgements %v", len(written.Documents.IDs), written.Dim, written.Qrels)
		}
		var sum float64
		for _, text := range texts(t, written.Documents) {
			for i, id := range text.TokenIDs {
				best := -1.0
				for _, vector := range real[id] {
					best = max(best, dot(vector, text.Vectors[i*e.Dim:(i+1)*e.Dim]))
				}
				if sum += best; best < c.least {
					t.Fatalf("noise %v: vector %d of document %s has a cosine of %v with the nearest of its token", c.noise, i, text.ID, best)
				}
			}
		}
		if mean := sum / float64(written.Documents.Tokens); mean < c.mean-0.01 || mean > c.mean+0.02 {
			t.Errorf("noise %v: a mean cosine of %v, want about %v", c.noise, mean, c.mean)
		}
		if got, want := texts(t, written.Queries), texts(t, e.Queries); !reflect.DeepEqual(got, want) {
			t.Errorf("queries %v, want those of the folder, %v", got, want)
		}
		if entries, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(entries) != 1 {
			t.Errorf("beside the folder there is %v, error %v", entries, err)
		}
	}
}

// TestWriteCollectionIsRepeatable writes a collection and one that begins with it.
func TestWriteCollectionIsRepeatable(t *testing.T) {
	e := openEmbeddings(t)
	var all [][]dataset.Embedded
	for _, passages := range []int{100, 300} {
		dir := filepath.Join(t.TempDir(), "larger")
		must(t, searchbench.WriteCollection(t.Context(), dir, e, writeScale(passages)))
		written, err := dataset.OpenEmbeddings(dir)
		must(t, err)
		all = append(all, texts(t, written.Documents))
	}
	if !reflect.DeepEqual(all[0], all[1][:100]) {
		t.Error("100 documents are not the first of 300")
	}
}

func TestWriteCollectionErrors(t *testing.T) {
	e := openEmbeddings(t)
	dir := t.TempDir()
	if err := searchbench.WriteCollection(t.Context(), dir, e, writeScale(100)); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a folder that is there: error %v", err)
	}
	folder := filepath.Join(dir, "larger")
	several := writeScale(100)
	several.Passages = append(several.Passages, 200)
	if err := searchbench.WriteCollection(t.Context(), folder, e, several); !errors.Is(err, searchbench.ErrInvalid) {
		t.Errorf("two sizes: error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	late := writeScale(1000)
	late.Progress = func(_ string, done, _ int) {
		if done == 300 {
			cancel()
		}
	}
	if err := searchbench.WriteCollection(ctx, folder, e, late); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: error %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("%v is left, error %v", entries, err)
	}
}
