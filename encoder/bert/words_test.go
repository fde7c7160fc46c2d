package bert_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/encoder/bert"
	"github.com/pare-search/pare/encoder/table"
)

// exact returns a table that keeps every row as it is.
func exact(t testing.TB, enc *bert.Encoder) *table.Table {
	t.Helper()
	words := enc.Words()
	all, err := table.Fit(t.Context(), "used-rows", words, table.Options{Budget: 4*len(words.Data) + 256})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func sameTokens(t *testing.T, got, want []encoder.Tokens) {
	t.Helper()
	for i := range want {
		for j, v := range want[i].Vectors.Data {
			if got[i].Vectors.Data[j] != v {
				t.Fatalf("text %d: value %d is %v, want %v", i, j, got[i].Vectors.Data[j], v)
			}
		}
	}
}

// TestWriteFolder writes every kind of model with a table of the very same rows:
// vectors must be the same to the last bit, the folder smaller by the tensor but for
// the table, and another model by its fingerprint.
func TestWriteFolder(t *testing.T) {
	models, err := os.ReadDir("testdata/models")
	if err != nil {
		t.Fatal(err)
	}
	for _, model := range models {
		if !model.IsDir() {
			continue
		}
		t.Run(model.Name(), func(t *testing.T) {
			enc := open(t, filepath.Join("testdata/models", model.Name()), raw())
			dir := filepath.Join(t.TempDir(), "small")
			if err := enc.WriteFolder(dir, exact(t, enc)); err != nil {
				t.Fatal(err)
			}
			written := open(t, dir, raw())
			if written.WordTable() == nil {
				t.Fatal("the folder has no table")
			}
			sameTokens(t, encode(t, written, sentences), encode(t, enc, sentences))
			if written.Fingerprint() == enc.Fingerprint() {
				t.Error("both models have one fingerprint")
			}
			if err := enc.WriteFolder(dir, exact(t, enc)); !errors.Is(err, os.ErrExist) {
				t.Errorf("writing over a folder: %v, want that it exists", err)
			}
		})
	}
}

// TestWriteFolderProjection writes an encoder that has learnt a projection, which the
// folder keeps for those who ask for its width, and no others.
func TestWriteFolderProjection(t *testing.T) {
	enc := learnt(t, "testdata/models/plain")
	dir := filepath.Join(t.TempDir(), "deep", "small")
	if err := enc.WriteFolder(dir, exact(t, enc)); err != nil {
		t.Fatal(err)
	}
	options := bert.DefaultOptions()
	options.Dim = enc.Dim()
	written := open(t, dir, options)
	if written.NeedsProjection() {
		t.Fatal("the folder has no projection")
	}
	sameTokens(t, encode(t, written, sentences), encode(t, enc, sentences))
	saved, err := written.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := bert.Load(saved, bert.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sameTokens(t, encode(t, loaded, sentences), encode(t, enc, sentences))
	options.Dim /= 2
	if !open(t, dir, options).NeedsProjection() {
		t.Error("a projection of another width was taken")
	}
	if other := open(t, dir, raw()); other.Dim() != other.Config().Hidden {
		t.Errorf("%d dimensions, hidden states have %d", other.Dim(), other.Config().Hidden)
	}
	// Written again, the folder is the same but for a table.
	again := filepath.Join(t.TempDir(), "again")
	if err := written.WriteFolder(again, exact(t, enc)); err != nil {
		t.Fatal(err)
	}
	options.Dim = enc.Dim()
	sameTokens(t, encode(t, open(t, again, options), sentences), encode(t, enc, sentences))
	path := filepath.Join(dir, bert.ProjectionFile)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= 4; i++ {
		data[len(data)-i] = 0xff
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := bert.Open(dir, options); !errors.Is(err, bert.ErrModel) || !strings.Contains(err.Error(), bert.ProjectionFile) {
		t.Errorf("a projection that is not a number: %v, want %v", err, bert.ErrModel)
	}
}

// TestWriteFolderLeavesNothing is that there is no folder, nor a part of one, when the
// weights are damaged.
func TestWriteFolderLeavesNothing(t *testing.T) {
	model := filepath.Join(t.TempDir(), "model")
	if err := os.CopyFS(model, os.DirFS("testdata/models/plain")); err != nil {
		t.Fatal(err)
	}
	enc := open(t, model, raw())
	words := exact(t, enc)
	if err := os.WriteFile(filepath.Join(model, "model.safetensors"), []byte("damaged weights"), 0o644); err != nil {
		t.Fatal(err)
	}
	parent := t.TempDir()
	if err := enc.WriteFolder(filepath.Join(parent, "small"), words); !errors.Is(err, bert.ErrModel) {
		t.Fatalf("damaged weights: %v, want %v", err, bert.ErrModel)
	}
	if there, err := os.ReadDir(parent); err != nil || len(there) > 0 {
		t.Errorf("left behind: %v, %v", there, err)
	}
	empty := t.TempDir()
	if err := enc.WriteFolder(empty, words); !errors.Is(err, bert.ErrModel) {
		t.Fatalf("damaged weights: %v, want %v", err, bert.ErrModel)
	}
	if there, err := os.ReadDir(empty); err != nil || len(there) > 0 {
		t.Errorf("left behind in a folder that was there: %v, %v", there, err)
	}
}

// TestWriteFolderLink: a folder that is there, here by way of a link, stays the same.
func TestWriteFolderLink(t *testing.T) {
	enc := open(t, "testdata/models/plain", raw())
	target, link := t.TempDir(), filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(target, link); err != nil {
		t.Skip(err)
	}
	if err := enc.WriteFolder(link, exact(t, enc)); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info, err)
	}
	sameTokens(t, encode(t, open(t, target, raw()), sentences), encode(t, enc, sentences))
}

// TestWithWords saves an encoder with its table and loads it.
func TestWithWords(t *testing.T) {
	enc := learnt(t, "testdata/models/plain")
	words := enc.Words()
	small, err := table.Fit(t.Context(), "lloyd", words, table.Options{Budget: len(words.Data)})
	if err != nil {
		t.Fatal(err)
	}
	compressed, err := enc.WithWords(small)
	if err != nil {
		t.Fatal(err)
	}
	saved, err := compressed.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := bert.Load(saved, bert.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sameTokens(t, encode(t, loaded, sentences), encode(t, compressed, sentences))
	for id := range words.Rows {
		want := make([]float32, words.Dim)
		small.Row(want, id)
		for d, v := range loaded.Words().Row(id) {
			if v != want[d] {
				t.Fatalf("word %d, column %d is %v, want %v", id, d, v, want[d])
			}
		}
	}
	other, err := table.Fit(t.Context(), "lloyd", words.Slice(1, words.Rows), table.Options{Budget: len(words.Data)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := enc.WithWords(other); !errors.Is(err, bert.ErrModel) {
		t.Errorf("a table of another vocabulary: %v, want %v", err, bert.ErrModel)
	}
}

// TestUnknownWord is that the row for word pieces that are left out is that of a
// text which the vocabulary cannot spell.
func TestUnknownWord(t *testing.T) {
	enc := open(t, "testdata/models/plain", raw())
	alone, err := enc.WordFrequencies(t.Context(), each([]string{""}))
	if err != nil {
		t.Fatal(err)
	}
	strange, err := enc.WordFrequencies(t.Context(), each([]string{"\u16a0"}))
	if err != nil {
		t.Fatal(err)
	}
	for id, n := range strange {
		if more := n - alone[id]; (more != 0) != (id == enc.UnknownWord()) {
			t.Errorf("word piece %d is looked up %d times more, the unknown one is %d", id, more, enc.UnknownWord())
		}
	}
}

// TestDamagedTable changes each byte of a folder's table in turn.
func TestDamagedTable(t *testing.T) {
	enc := open(t, "testdata/models/plain", raw())
	dir := filepath.Join(t.TempDir(), "small")
	if err := enc.WriteFolder(dir, exact(t, enc)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, bert.TableFile)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(data); at += 1 + len(data)/50 {
		data[at] ^= 0x10
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := bert.Open(dir, raw()); !errors.Is(err, bert.ErrModel) {
			t.Errorf("byte %d changed: %v, want %v", at, err, bert.ErrModel)
		}
		data[at] ^= 0x10
	}
}

// TestUsedRows is that texts get exactly the same vectors from a table of the rows
// that they use.
func TestUsedRows(t *testing.T) {
	for _, model := range []string{"plain", "pylate", "stanford"} {
		enc := open(t, filepath.Join("testdata/models", model), raw())
		frequencies, err := enc.WordFrequencies(t.Context(), each(sentences))
		if err != nil {
			t.Fatal(err)
		}
		words := enc.Words()
		used := 0
		for _, f := range frequencies {
			if f > 0 {
				used++
			}
		}
		small, err := table.Fit(t.Context(), "used-rows", words, table.Options{Budget: 4*words.Dim*(used+1) + 4*words.Rows, Frequencies: frequencies})
		if err != nil {
			t.Fatal(err)
		}
		if used == words.Rows || small.Size() > 4*len(words.Data) {
			t.Fatalf("%s: %d of %d rows used, a table of %d bytes", model, used, words.Rows, small.Size())
		}
		compressed, err := enc.WithWords(small)
		if err != nil {
			t.Fatal(err)
		}
		sameTokens(t, encode(t, compressed, sentences), encode(t, enc, sentences))
		got, err := compressed.EncodeQuery(t.Context(), sentences[0])
		if err != nil {
			t.Fatal(err)
		}
		want, err := enc.EncodeQuery(t.Context(), sentences[0])
		if err != nil {
			t.Fatal(err)
		}
		sameTokens(t, []encoder.Tokens{got}, []encoder.Tokens{want})
	}
}
