package bert_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/encoder/bert"
	"github.com/pare-search/pare/simd"
)

var sentences = []string{
	"The late inter action, of tokens.", "", "words and the naive Strasse", "caf\u00e9 able, unable!", "x y z 2024", "query the token word",
	"embedding piece of late resume", "\u4e00\u4e01 inter action", "the of and in un able", "Istanbul \u0130s the word", "ding ding ed er s",
}

func each(texts []string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, text := range texts {
			if !yield(text, nil) {
				return
			}
		}
	}
}

func open(t testing.TB, dir string, options bert.Options) *bert.Encoder {
	t.Helper()
	enc, err := bert.Open(dir, options)
	if err != nil {
		t.Fatal(err)
	}
	return enc
}

func encode(t testing.TB, enc encoder.Encoder, texts []string) []encoder.Tokens {
	t.Helper()
	tokens, err := enc.EncodeDocuments(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

// small32 projects the plain model, which has 32 dimensions, to all of them.
func small32() bert.Options {
	options := bert.DefaultOptions()
	options.Dim = 32
	return options
}

// learnt is the plain model with a projection to 16 dimensions.
func learnt(t testing.TB, dir string) *bert.Encoder {
	t.Helper()
	options := bert.DefaultOptions()
	options.Dim = 16
	enc, err := open(t, dir, options).Learn(t.Context(), each(sentences), bert.LearnOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return enc
}

// TestLearn checks what defines the projection P, with X the vectors that it is
// learnt from: (XP)'XP / n is diagonal, with the square roots of the largest
// eigenvalues, falling; and what is projected and normalised is what the
// encoder returns.
func TestLearn(t *testing.T) {
	const dir = "testdata/models/plain"
	enc := learnt(t, dir)
	p := enc.Projection()
	if enc.NeedsProjection() || enc.Dim() != 16 || p.Rows != 16 || p.Dim != 32 {
		t.Fatalf("%d dimensions, projection [%d x %d]; want 16, [16 x 32]", enc.Dim(), p.Rows, p.Dim)
	}
	hidden := encode(t, open(t, dir, raw()), sentences)
	projected := encode(t, enc, sentences)
	moments := make([][]float64, 16)
	for i := range moments {
		moments[i] = make([]float64, 16)
	}
	count := 0
	for text := range sentences {
		for row := range hidden[text].Vectors.Rows {
			y, length := make([]float64, 16), 0.0
			for i := range y {
				for d, v := range hidden[text].Vectors.Row(row) {
					y[i] += float64(v) * float64(p.Row(i)[d])
				}
				length += y[i] * y[i]
			}
			count++
			for i := range y {
				for j := range y {
					moments[i][j] += y[i] * y[j]
				}
				if got, want := float64(projected[text].Vectors.Row(row)[i]), y[i]/math.Sqrt(length); math.Abs(got-want) > 1e-5 {
					t.Fatalf("text %d, row %d, column %d is %v, want %v", text, row, i, got, want)
				}
			}
		}
	}
	for i := range moments {
		for j := range moments {
			v := moments[i][j] / float64(count)
			if i != j && math.Abs(v) > 1e-5 {
				t.Errorf("moment %d, %d is %v, want 0", i, j, v)
			}
			if i == j && i > 0 && v > moments[i-1][i-1]/float64(count) {
				t.Errorf("moment %d is larger than the one before", i)
			}
		}
		// The eigenvalue is the moment along the direction of the row.
		row := p.Row(i)
		square := float64(simd.Dot(row, row)) // eigenvalue ^ -1/2
		if v := moments[i][i] / float64(count); math.Abs(v*square-1) > 0.03 {
			t.Errorf("moment %d is %v, want the root of the eigenvalue, %v", i, v, 1/square)
		}
	}
}

// TestWithProjection: a projection that was learnt before makes the same vectors.
func TestWithProjection(t *testing.T) {
	const dir = "testdata/models/plain"
	enc := learnt(t, dir)
	options := bert.DefaultOptions()
	options.Dim = 16
	fresh := open(t, dir, options)
	given, err := fresh.WithProjection(enc.Projection())
	if err != nil || given.NeedsProjection() || !fresh.NeedsProjection() {
		t.Fatalf("%v; with the projection it needs one: %v, without: %v", err, given.NeedsProjection(), fresh.NeedsProjection())
	}
	if got, want := encode(t, given, sentences), encode(t, enc, sentences); !reflect.DeepEqual(got, want) {
		t.Error("it encodes otherwise than the encoder that has learnt it")
	}

	short := simd.NewMatrix(16, 32)
	short.Data = short.Data[:500]
	broken := simd.NewMatrix(16, 32)
	broken.Data[7] = float32(math.NaN())
	for name, projection := range map[string]simd.Matrix{"none": {}, "turned": simd.NewMatrix(32, 16), "no number": broken, "cut short": short} {
		if _, err := fresh.WithProjection(projection); !errors.Is(err, bert.ErrOptions) {
			t.Errorf("%s: error %v, want ErrOptions", name, err)
		}
	}
	if _, err := open(t, "testdata/models/pylate", bert.DefaultOptions()).WithProjection(enc.Projection()); !errors.Is(err, bert.ErrOptions) {
		t.Errorf("a model with a width of its own: error %v, want ErrOptions", err)
	}
}

func TestLearnErrors(t *testing.T) {
	plain := open(t, "testdata/models/plain", small32())
	if _, err := plain.EncodeDocuments(t.Context(), sentences); !errors.Is(err, bert.ErrModel) || !strings.Contains(err.Error(), "projection") {
		t.Errorf("before learning: error %v, want ErrModel that names the projection", err)
	}
	if _, err := plain.MarshalBinary(); !errors.Is(err, bert.ErrModel) {
		t.Errorf("saving before learning: error %v, want ErrModel", err)
	}
	if _, err := plain.Learn(t.Context(), each(nil), bert.LearnOptions{}); !errors.Is(err, bert.ErrModel) {
		t.Errorf("nothing to learn from: error %v, want ErrModel", err)
	}
	failure := errors.New("cannot read")
	broken := func(yield func(string, error) bool) { _ = yield("text", nil) && yield("", failure) }
	if _, err := plain.Learn(t.Context(), broken, bert.LearnOptions{}); !errors.Is(err, failure) {
		t.Errorf("a broken sequence: error %v, want its error", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := plain.Learn(ctx, each(sentences), bert.LearnOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
	if _, err := open(t, "testdata/models/pylate", bert.DefaultOptions()).Learn(t.Context(), each(sentences), bert.LearnOptions{}); !errors.Is(err, bert.ErrModel) {
		t.Errorf("a model with its own projection: error %v, want ErrModel", err)
	}
}

func TestLearnProgress(t *testing.T) {
	plain := open(t, "testdata/models/plain", small32())
	last, total := 0, 0
	kept := map[string]encoder.Tokens{}
	progress := func(done, of int) {
		if done < last || done > of || total != 0 && of != total {
			t.Errorf("%d of %d after %d of %d", done, of, last, total)
		}
		last, total = done, of
	}
	enc, err := plain.Learn(t.Context(), each(slices.Repeat(sentences, 60)), bert.LearnOptions{
		Progress: progress,
		Keep:     func(text string, tokens encoder.Tokens) { kept[text] = tokens },
	})
	if err != nil || last != total || last == 0 {
		t.Fatalf("ends at %d of %d, error %v", last, total, err)
	}
	if len(kept) != len(sentences) {
		t.Errorf("%d texts were kept, want %d", len(kept), len(sentences))
	}
	for i, want := range encode(t, enc, sentences) {
		got := kept[sentences[i]]
		if !slices.Equal(got.IDs, want.IDs) || !slices.Equal(got.Spans, want.Spans) || !slices.Equal(got.Vectors.Data, want.Vectors.Data) {
			t.Errorf("text %d was kept with other tokens than it is encoded to", i)
		}
	}
}

func TestEmptyTexts(t *testing.T) {
	enc := learnt(t, "testdata/models/plain")
	for _, text := range []string{"", " \u200b\n"} {
		tokens, err := enc.EncodeQuery(t.Context(), text)
		if err != nil || tokens.Vectors.Rows != 0 {
			t.Errorf("query %q has %d vectors, error %v; want none", text, tokens.Vectors.Rows, err)
		}
	}
	documents := encode(t, enc, []string{"", ".,!", "the"})
	for i, want := range []int{2, 2, 3} { // [CLS], [SEP] and the word
		if got := documents[i].Vectors.Rows; got != want {
			t.Errorf("document %d has %d vectors, want %d", i, got, want)
		}
	}
	if none := encode(t, enc, nil); len(none) != 0 {
		t.Errorf("no documents are %v", none)
	}
}

func TestLengths(t *testing.T) {
	options := raw()
	options.QueryLength, options.DocumentLength = 7, 11
	long := strings.Repeat("the query ", 50)
	for _, model := range []string{"plain", "pylate", "stanford"} {
		enc := open(t, filepath.Join("testdata/models", model), options)
		query, err := enc.EncodeQuery(t.Context(), long)
		if err != nil || query.Vectors.Rows != 7 {
			t.Errorf("%s: a long query has %d vectors, error %v; want 7", model, query.Vectors.Rows, err)
		}
		if got := encode(t, enc, []string{long})[0].Vectors.Rows; got != 11 {
			t.Errorf("%s: a long document has %d vectors, want 11", model, got)
		}
	}
}

// TestWorkers wants the same vectors from any number of workers, alone or
// together.
func TestWorkers(t *testing.T) {
	texts := slices.Repeat(sentences, 20)
	options := raw()
	options.Workers = 1
	want := encode(t, open(t, "testdata/models/stanford", options), texts)
	var tokens atomic.Int64
	options.Workers = 3
	options.Progress = func(n int) { tokens.Add(int64(n)) }
	enc := open(t, "testdata/models/stanford", options)
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			got, err := enc.EncodeDocuments(t.Context(), texts)
			if err != nil {
				t.Error(err)
				return
			}
			for i := range texts {
				if !slices.Equal(got[i].IDs, want[i].IDs) || !slices.Equal(got[i].Vectors.Data, want[i].Vectors.Data) {
					t.Errorf("text %d depends on the workers", i)
				}
			}
		})
	}
	running.Wait()
	if tokens.Load() == 0 {
		t.Error("no progress was told")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := enc.EncodeDocuments(ctx, texts); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
}

func TestOptions(t *testing.T) {
	err := bert.Options{Dim: 12, QueryLength: -1, DocumentLength: -2, Workers: -3}.Validate()
	for _, field := range []string{"Dim", "QueryLength -1", "DocumentLength -2", "Workers -3"} {
		if !errors.Is(err, bert.ErrOptions) || !strings.Contains(err.Error(), field) {
			t.Errorf("error %v, want ErrOptions that names %s", err, field)
		}
	}
	if err := bert.DefaultOptions().Validate(); err != nil {
		t.Error(err)
	}
	options := bert.DefaultOptions()
	if _, err := bert.Open("testdata/models/plain", options); !errors.Is(err, bert.ErrOptions) || !strings.Contains(err.Error(), "Dim 128, the model has 32") {
		t.Errorf("error %v, want ErrOptions for a projection to more dimensions", err)
	}
}

func TestSaveAndLoad(t *testing.T) {
	for _, model := range []string{"plain", "pylate"} {
		dir := copyModel(t, model, nil)
		var enc *bert.Encoder
		if model == "plain" {
			enc = learnt(t, dir)
		} else {
			enc = open(t, dir, bert.DefaultOptions())
		}
		saved, err := enc.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		want := encode(t, enc, sentences)
		moved := filepath.Join(t.TempDir(), "moved")
		check := func(place string, options bert.LoadOptions) {
			t.Helper()
			loaded, err := bert.Load(saved, options)
			if err != nil {
				t.Fatalf("%s, %s: %v", model, place, err)
			}
			for i, got := range encode(t, loaded, sentences) {
				if !slices.Equal(got.Vectors.Data, want[i].Vectors.Data) {
					t.Errorf("%s, %s: text %d has other vectors after loading", model, place, i)
				}
			}
			if again, err := loaded.MarshalBinary(); err != nil || options.Dir == "" && !slices.Equal(again, saved) {
				t.Errorf("%s, %s: saved again it differs, error %v", model, place, err)
			}
		}
		check("in place", bert.LoadOptions{})
		if err := os.Rename(dir, moved); err != nil {
			t.Fatal(err)
		}
		if _, err := bert.Load(saved, bert.LoadOptions{}); !errors.Is(err, bert.ErrOtherModel) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s, moved: error %v, want ErrOtherModel that names %s", model, err, dir)
		}
		check("moved", bert.LoadOptions{Dir: moved})

		// One changed weight is another model.
		path := filepath.Join(moved, "model.safetensors")
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)-1] ^= 1
		writeFile(t, path, data)
		fingerprint := fmt.Sprintf("%x", enc.Fingerprint())
		if _, err := bert.Load(saved, bert.LoadOptions{Dir: moved}); !errors.Is(err, bert.ErrOtherModel) || !strings.Contains(err.Error(), fingerprint[:16]) {
			t.Errorf("%s, changed: error %v, want ErrOtherModel with the fingerprint %s", model, err, fingerprint[:16])
		}
	}
}

// TestLoadOtherModels wants every other folder to be another model, whatever
// else is wrong with it.
func TestLoadOtherModels(t *testing.T) {
	options := bert.DefaultOptions()
	options.Dim, options.QueryLength, options.DocumentLength = 32, 40, 40
	enc, err := open(t, "testdata/models/plain", options).Learn(t.Context(), each(sentences), bert.LearnOptions{})
	if err != nil {
		t.Fatal(err)
	}
	saved, err := enc.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	empty := t.TempDir()
	for name, dir := range map[string]string{
		"another layout":        "testdata/models/pylate",
		"another architecture":  copyModel(t, "plain", map[string]map[string]any{"config.json": {"model_type": "modernbert"}}),
		"fewer positions":       copyModel(t, "plain", map[string]map[string]any{"config.json": {"max_position_embeddings": 20}}),
		"other lengths":         copyModel(t, "stanford", nil),
		"nothing":               empty,
		"nowhere":               filepath.Join(empty, "none"),
		"a file, not a folder":  "testdata/tokenizer.json",
		"a tokenizer of others": copyModel(t, "plain", map[string]map[string]any{"tokenizer.json": {"normalizer": nil}}),
	} {
		if _, err := bert.Load(saved, bert.LoadOptions{Dir: dir}); !errors.Is(err, bert.ErrOtherModel) {
			t.Errorf("%s: error %v, want ErrOtherModel", name, err)
		}
	}
}

func TestLoadDamaged(t *testing.T) {
	saved, err := learnt(t, "testdata/models/plain").MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	for i := range saved {
		bad := slices.Clone(saved)
		bad[i] ^= 0xFF
		if _, err := bert.Load(bad, bert.LoadOptions{}); !errors.Is(err, bert.ErrCorrupt) && !errors.Is(err, bert.ErrVersion) {
			t.Fatalf("byte %d inverted: error %v", i, err)
		}
		if _, err := bert.Load(saved[:i], bert.LoadOptions{}); !errors.Is(err, bert.ErrCorrupt) && !errors.Is(err, bert.ErrVersion) {
			t.Fatalf("cut to %d bytes: error %v", i, err)
		}
	}
}

func FuzzLoad(f *testing.F) {
	for _, enc := range []*bert.Encoder{learnt(f, "testdata/models/plain"), open(f, "testdata/models/pylate", bert.DefaultOptions())} {
		saved, err := enc.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(saved[:len(saved)-4])
	}
	nowhere := filepath.Join(f.TempDir(), "none")
	f.Fuzz(func(t *testing.T, body []byte) {
		saved := binary.LittleEndian.AppendUint32(slices.Clone(body), crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
		_, err := bert.Load(saved, bert.LoadOptions{Dir: nowhere})
		if !errors.Is(err, bert.ErrCorrupt) && !errors.Is(err, bert.ErrVersion) && !errors.Is(err, bert.ErrOtherModel) {
			t.Fatalf("error %v for bytes without a model", err)
		}
	})
}
