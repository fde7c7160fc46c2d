package bert_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/encoder/bert"
)

// raw takes hidden states as they are.
func raw() bert.Options { return bert.Options{Seed: 1} }

// copyModel copies a folder of testdata/models, with changes to fields of its
// JSON files.
func copyModel(t testing.TB, name string, changes map[string]map[string]any) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata/models", name))); err != nil {
		t.Fatal(err)
	}
	for file, fields := range changes {
		path := filepath.Join(dir, filepath.FromSlash(file))
		object := map[string]any{}
		if data, err := os.ReadFile(path); err == nil {
			if err := json.Unmarshal(data, &object); err != nil {
				t.Fatal(err)
			}
		}
		maps.Copy(object, fields)
		data, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, path, data)
	}
	return dir
}

func writeFile(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	os.Remove(path) // what os.CopyFS made may be read-only
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestLayouts compares vectors with those of the libraries that each layout
// comes from; see testdata/models.py.
func TestLayouts(t *testing.T) {
	data, err := os.ReadFile("testdata/models.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Queries, Documents []string
		Cases              []struct {
			Folder             string
			Changes            map[string]map[string]any
			Queries, Documents [][][]float64
		}
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	layouts := map[string]bert.Layout{
		"plain": bert.SentenceTransformers, "pylate": bert.PyLate, "stanford": bert.Stanford, "multivector": bert.MultiVector,
	}
	seen := map[string]bool{}
	for i, c := range want.Cases {
		t.Run(fmt.Sprint(c.Folder, i), func(t *testing.T) {
			enc, err := bert.Open(copyModel(t, c.Folder, c.Changes), raw())
			if err != nil {
				t.Fatal(err)
			}
			if enc.Layout() != layouts[c.Folder] || enc.NeedsProjection() {
				t.Errorf("layout %q, want %q, which needs no projection", enc.Layout(), layouts[c.Folder])
			}
			seen[c.Folder] = true
			for j, vectors := range c.Queries {
				tokens, err := enc.EncodeQuery(t.Context(), want.Queries[j])
				if err != nil {
					t.Fatal(err)
				}
				compare(t, fmt.Sprintf("query %q", want.Queries[j]), want.Queries[j], tokens, vectors)
			}
			if len(c.Documents) == 0 {
				return
			}
			documents, err := enc.EncodeDocuments(t.Context(), want.Documents)
			if err != nil {
				t.Fatal(err)
			}
			for j, vectors := range c.Documents {
				compare(t, fmt.Sprintf("document %q", want.Documents[j]), want.Documents[j], documents[j], vectors)
			}
		})
	}
	if len(seen) != len(layouts) {
		t.Errorf("cases of %v, want all layouts", seen)
	}
}

// compare wants vectors within 1e-4, the numbers of testdata being rounded to
// 1e-6, and ids and spans that fit the text.
func compare(t *testing.T, name, text string, got encoder.Tokens, want [][]float64) {
	t.Helper()
	if got.Vectors.Rows != len(want) {
		t.Errorf("%s has %d vectors, want %d", name, got.Vectors.Rows, len(want))
		return
	}
	if got.Vectors.Rows > 0 {
		if err := got.Validate(got.Vectors.Dim); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	worst := 0.0
	for i, row := range want {
		if len(row) != got.Vectors.Dim {
			t.Fatalf("%s has %d dimensions, want %d", name, got.Vectors.Dim, len(row))
		}
		for d, v := range row {
			worst = max(worst, math.Abs(v-float64(got.Vectors.Row(i)[d])))
		}
	}
	if !(worst < 1e-4) {
		t.Errorf("%s differs by %v from the library's vectors", name, worst)
	}
	for _, span := range got.Spans {
		if span.End > len(text) {
			t.Errorf("%s: span %v ends behind it", name, span)
		}
	}
}

// TestOpenErrors damages folders in one way each.
func TestOpenErrors(t *testing.T) {
	config, sentence := "config.json", "config_sentence_transformers.json"
	for _, test := range []struct {
		name, model string
		changes     map[string]map[string]any
		remove      string
		is          error
		says        string
	}{
		{"another architecture", "plain", map[string]map[string]any{config: {"model_type": "modernbert"}}, "", bert.ErrUnsupported, `model_type is "modernbert"`},
		{"another position embedding", "plain", map[string]map[string]any{config: {"position_embedding_type": "rotary"}}, "", bert.ErrUnsupported, "position_embedding_type is rotary"},
		{"no config", "plain", nil, config, os.ErrNotExist, config},
		{"no tokenizer", "plain", nil, "tokenizer.json", os.ErrNotExist, "tokenizer.json"},
		{"no weights", "plain", nil, "model.safetensors", bert.ErrModel, "model.safetensors"},
		{"more layers", "plain", map[string]map[string]any{config: {"num_hidden_layers": 3}}, "", bert.ErrModel, "encoder.layer.2."},
		{"another width", "plain", map[string]map[string]any{config: {"intermediate_size": 63}}, "", bert.ErrModel, "63"},
		{"a small vocabulary", "plain", map[string]map[string]any{config: {"vocab_size": 100}}, "", bert.ErrModel, "vocab_size 100"},
		{"no projection", "pylate", nil, "1_Dense/model.safetensors", bert.ErrModel, "model.safetensors"},
		{"an unknown prefix", "pylate", map[string]map[string]any{sentence: {"query_prefix": "query: "}}, "", bert.ErrModel, `prefix "query: "`},
		{"no room", "pylate", map[string]map[string]any{sentence: {"document_length": 2}}, "", bert.ErrModel, "length of 2"},
		{"another activation", "pylate", map[string]map[string]any{"1_Dense/config.json": {"activation_function": "my.Own"}}, "", bert.ErrUnsupported, "my.Own"},
		{"another projection", "pylate", map[string]map[string]any{"1_Dense/config.json": {"out_features": 24}}, "", bert.ErrModel, "linear.weight"},
		{"filled up too far", "stanford", map[string]map[string]any{"artifact.metadata": {"query_maxlen": 100}}, "", bert.ErrModel, "filled up to 100"},
		{"another strategy", "multivector", map[string]map[string]any{"sentence_bert_config.json": {"query_expansion": map[string]any{"strategy": "all", "length": 4}}}, "", bert.ErrUnsupported, `"all"`},
		{"no mask token", "multivector", map[string]map[string]any{"sentence_bert_config.json": {"query_expansion": map[string]any{"strategy": "min", "length": 4, "token": "<pad>"}}}, "", bert.ErrModel, `"<pad>"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := copyModel(t, test.model, test.changes)
			if test.remove != "" {
				if err := os.Remove(filepath.Join(dir, test.remove)); err != nil {
					t.Fatal(err)
				}
			}
			_, err := bert.Open(dir, raw())
			if !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want %v that says %s", err, test.is, test.says)
			}
		})
	}
}

// TestOpenForeignFolders opens what is no model, or one in another form.
func TestOpenForeignFolders(t *testing.T) {
	t.Run("pickle", func(t *testing.T) {
		dir := copyModel(t, "stanford", nil)
		if err := os.Rename(filepath.Join(dir, "model.safetensors"), filepath.Join(dir, "pytorch_model.bin")); err != nil {
			t.Fatal(err)
		}
		if _, err := bert.Open(dir, raw()); !errors.Is(err, bert.ErrUnsupported) || !strings.Contains(err.Error(), "save_file") {
			t.Errorf("error %v, want ErrUnsupported with the way to convert", err)
		}
	})
	t.Run("shards", func(t *testing.T) {
		dir := copyModel(t, "plain", nil)
		if err := os.Rename(filepath.Join(dir, "model.safetensors"), filepath.Join(dir, "model.safetensors.index.json")); err != nil {
			t.Fatal(err)
		}
		if _, err := bert.Open(dir, raw()); !errors.Is(err, bert.ErrUnsupported) {
			t.Errorf("error %v, want ErrUnsupported", err)
		}
	})
	t.Run("onnx", func(t *testing.T) {
		dir := t.TempDir()
		writeFile(t, filepath.Join(dir, "onnx_config.json"), []byte("{}"))
		if _, err := bert.Open(dir, raw()); !errors.Is(err, bert.ErrUnsupported) || !strings.Contains(err.Error(), "ONNX") {
			t.Errorf("error %v, want ErrUnsupported that says ONNX", err)
		}
	})
	t.Run("empty", func(t *testing.T) {
		if _, err := bert.Open(t.TempDir(), raw()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("error %v, want os.ErrNotExist", err)
		}
	})
	t.Run("nothing", func(t *testing.T) {
		if _, err := bert.Open(filepath.Join(t.TempDir(), "none"), raw()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("error %v, want os.ErrNotExist", err)
		}
	})
	t.Run("file", func(t *testing.T) {
		if _, err := bert.Open("testdata/tokenizer.json", raw()); !errors.Is(err, bert.ErrModel) {
			t.Errorf("error %v, want ErrModel", err)
		}
	})
	t.Run("modules outside", func(t *testing.T) {
		dir := copyModel(t, "pylate", nil)
		writeFile(t, filepath.Join(dir, "modules.json"), []byte(`[{"path":"","type":"x.Transformer"},{"path":"../1_Dense","type":"x.Dense"}]`))
		if _, err := bert.Open(dir, raw()); !errors.Is(err, bert.ErrModel) || !strings.Contains(err.Error(), "../1_Dense") {
			t.Errorf("error %v, want ErrModel that names the path", err)
		}
	})
	t.Run("order of modules", func(t *testing.T) {
		for model, orders := range map[string][]string{
			"pylate":      {"Dense,Transformer", "Transformer,Dense,Pooling", "Transformer,Normalize,Dense", "Transformer,Dense,Transformer"},
			"multivector": {"Transformer,MultiVectorMask,Dense", "Transformer,Normalize,MultiVectorMask", "Transformer,Dense,MultiVectorMask,Normalize,Normalize"},
		} {
			for _, order := range orders {
				dir := copyModel(t, model, nil)
				var modules []map[string]string
				for class := range strings.SplitSeq(order, ",") {
					path := ""
					if class == "Dense" {
						path = "1_Dense"
					}
					modules = append(modules, map[string]string{"path": path, "type": "x." + class})
				}
				data, err := json.Marshal(modules)
				if err != nil {
					t.Fatal(err)
				}
				writeFile(t, filepath.Join(dir, "modules.json"), data)
				if _, err := bert.Open(dir, raw()); !errors.Is(err, bert.ErrUnsupported) || !strings.Contains(err.Error(), "modules.json lists x.") {
					t.Errorf("%s of %s: error %v, want ErrUnsupported that names the module", model, order, err)
				}
			}
		}
	})
	t.Run("pooling of vectors", func(t *testing.T) {
		dir := copyModel(t, "multivector", nil)
		writeFile(t, filepath.Join(dir, "modules.json"), []byte(`[{"path":"","type":"x.Transformer"},{"path":"","type":"x.MultiVectorMask"},{"path":"","type":"x.HierarchicalTokenPooling"}]`))
		if _, err := bert.Open(dir, raw()); !errors.Is(err, bert.ErrUnsupported) || !strings.Contains(err.Error(), "HierarchicalTokenPooling") {
			t.Errorf("error %v, want ErrUnsupported that names the module", err)
		}
	})
}

// TestOpenDamagedWeights cuts a file of weights and inverts its bytes.
func TestOpenDamagedWeights(t *testing.T) {
	dir := copyModel(t, "plain", nil)
	path := filepath.Join(dir, "model.safetensors")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 7, 8, 100, 4000, len(good) / 2, len(good) - 1} {
		writeFile(t, path, good[:n])
		if _, err := bert.Open(dir, raw()); !errors.Is(err, bert.ErrModel) || !strings.Contains(err.Error(), path) {
			t.Errorf("cut to %d bytes: error %v, want ErrModel that names the file", n, err)
		}
	}
	for i := range 300 { // in the header every byte counts
		bad := append([]byte(nil), good...)
		bad[i*13] ^= 0x10
		writeFile(t, path, bad)
		if _, err := bert.Open(dir, raw()); err != nil && !errors.Is(err, bert.ErrModel) && !errors.Is(err, bert.ErrUnsupported) {
			t.Errorf("byte %d inverted: error %v", i*13, err)
		}
	}
}

// FuzzFolder puts any text into the place of one of the JSON files of a model, which
// is then refused by name, or encodes.
func FuzzFolder(f *testing.F) {
	models := map[string]string{}
	var files []string
	for _, name := range []string{"plain", "pylate", "stanford", "multivector"} {
		models[name] = copyModel(f, name, nil)
		paths, err := filepath.Glob(filepath.Join(models[name], "*"))
		nested, nestedErr := filepath.Glob(filepath.Join(models[name], "*", "*"))
		if err := errors.Join(err, nestedErr); err != nil {
			f.Fatal(err)
		}
		for _, path := range append(paths, nested...) {
			if extension := filepath.Ext(path); extension != ".json" && extension != ".metadata" {
				continue
			}
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			if filepath.Base(path) != "tokenizer.json" { // FuzzParseTokenizer's
				f.Add(uint8(len(files)), data)
				files = append(files, path)
			}
		}
	}
	for i := range files {
		f.Add(uint8(i), []byte(`[{"path": "../..", "type": "sentence_transformers.models.Transformer"}]`))
		f.Add(uint8(i), []byte(`[{"path": "elsewhere", "type": "sentence_transformers.models.Transformer"}]`))
	}
	f.Fuzz(func(t *testing.T, file uint8, data []byte) {
		path := files[int(file)%len(files)]
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		defer writeFile(t, path, before)
		writeFile(t, path, data)
		dir := filepath.Dir(path)
		if !slices.Contains(slices.Collect(maps.Values(models)), dir) {
			dir = filepath.Dir(dir)
		}
		enc, err := bert.Open(dir, raw())
		if err != nil {
			if !errors.Is(err, bert.ErrModel) && !errors.Is(err, bert.ErrUnsupported) {
				t.Fatal(err)
			}
			return
		}
		if enc.NeedsProjection() {
			return
		}
		tokens, err := enc.EncodeQuery(t.Context(), "the apple")
		if err == nil {
			err = tokens.Validate(enc.Dim())
		}
		if err != nil {
			t.Fatal(err)
		}
	})
}
