package dataset_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pare-search/pare/eval/dataset"
)

func TestEmbeddedWriter(t *testing.T) {
	dir := t.TempDir()
	texts := []dataset.Embedded{
		{ID: "a", TokenIDs: []uint32{7, 1 << 31}, Vectors: []float32{1, 2, 3, 4, 5, 6}},
		{ID: "none"},
		{ID: "b c", TokenIDs: []uint32{9}, Vectors: []float32{-1, 0, 0.5}},
	}
	for _, create := range []func(string, int) (*dataset.EmbeddedWriter, error){dataset.NewDocumentWriter, dataset.NewQueryWriter} {
		w, err := create(dir, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range texts {
			if err := w.Add(text); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(w.Close(), w.Close()); err != nil {
			t.Fatal(err)
		}
	}
	folder, err := dataset.OpenEmbeddings(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range []*dataset.EmbeddedSet{folder.Documents, folder.Queries} {
		i := 0
		for got, err := range set.All() {
			if err != nil {
				t.Fatal(err)
			}
			if want := texts[i]; got.ID != want.ID || !slices.Equal(got.TokenIDs, want.TokenIDs) || !slices.Equal(got.Vectors, want.Vectors) {
				t.Errorf("text %d is %+v, want %+v", i, got, want)
			}
			i++
		}
		if i != len(texts) {
			t.Errorf("%d texts, want %d", i, len(texts))
		}
	}
	// Byte for byte what numpy.save writes.
	header := "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 3), }"
	want := []byte("\x93NUMPY\x01\x00\x76\x00" + header + strings.Repeat(" ", 117-len(header)) + "\n")
	for _, v := range []float32{1, 2, 3, 4, 5, 6, -1, 0, 0.5} {
		want, _ = binary.Append(want, binary.LittleEndian, v)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "docs.npy")); err != nil || !bytes.Equal(got, want) {
		t.Errorf("docs.npy is %q, error %v; want %q", got, err, want)
	}
}

func TestEmbeddedWriterWithoutTokenIDs(t *testing.T) {
	dir := t.TempDir()
	w, err := dataset.NewDocumentWriter(dir, 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []dataset.Embedded{{ID: "x", Vectors: []float32{1, 2}}, {ID: "y", TokenIDs: []uint32{3}, Vectors: []float32{1, 2}}} {
		if err := w.Add(text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	folder, err := dataset.OpenEmbeddings(dir)
	if err != nil || folder.Documents.HasTokenIDs() {
		t.Errorf("token ids that not all texts have were kept, error %v", err)
	}
}

func TestEmbeddedWriterErrors(t *testing.T) {
	w, err := dataset.NewDocumentWriter(t.TempDir(), 2)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.Add(dataset.Embedded{ID: "x"}); err != nil {
		t.Fatal(err)
	}
	for says, text := range map[string]dataset.Embedded{
		`"x" occurs twice`:          {ID: "x"},
		"3 values in vectors of 2":  {ID: "y", Vectors: make([]float32, 3)},
		"1 token ids for 2 vectors": {ID: "y", TokenIDs: []uint32{1}, Vectors: make([]float32, 4)},
		"more than one line":        {ID: "two\nlines"},
		"0 vectors":                 {ID: "y", TokenIDs: []uint32{1}},
	} {
		if err := w.Add(text); !errors.Is(err, dataset.ErrFormat) || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: error %v, want ErrFormat that says %q", text, err, says)
		}
	}
	if _, err := dataset.NewDocumentWriter(t.TempDir(), 0); !errors.Is(err, dataset.ErrFormat) {
		t.Errorf("no dimensions: error %v, want ErrFormat", err)
	}
	if _, err := dataset.NewQueryWriter(filepath.Join(t.TempDir(), "none"), 2); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: error %v", err)
	}
}
