package bert

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/pare-search/pare/internal/collections"
	"github.com/pare-search/pare/simd"
)

// levels runs a test at every level of the machine.
func levels(t *testing.T, test func(t *testing.T)) {
	for _, name := range simd.Levels() {
		t.Run(name, func(t *testing.T) {
			undo, err := simd.SetLevel(name)
			if err != nil {
				t.Fatal(err)
			}
			defer undo()
			test(t)
		})
	}
}

// states runs Forward and returns copies of all hidden states.
func states(t testing.TB, m *model, texts [][]uint32, attended []int, workers int) []simd.Matrix {
	t.Helper()
	all := make([]simd.Matrix, len(texts))
	var once sync.Mutex
	err := m.Forward(t.Context(), texts, attended, workers, func(i int, hidden simd.Matrix) {
		once.Lock()
		defer once.Unlock()
		if all[i].Data != nil {
			t.Errorf("text %d came twice", i)
		}
		all[i] = simd.Matrix{Rows: hidden.Rows, Dim: hidden.Dim, Data: append([]float32{}, hidden.Data...)}
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range all {
		if m.Rows != len(texts[i]) || len(m.Data) != m.Rows*m.Dim {
			t.Fatalf("text %d of %d tokens has a matrix of %d x %d", i, len(texts[i]), m.Rows, m.Dim)
		}
	}
	return all
}

func open(t testing.TB, path string) *safetensors {
	t.Helper()
	s, err := openSafetensors(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// smallConfig is the shape of testdata/forward.safetensors, which
// testdata/forward.py writes.
var smallConfig = Config{
	Hidden: 24, Layers: 2, Heads: 3, Intermediate: 40, Vocabulary: 64, Positions: 48, TypeVocabulary: 2,
	Epsilon: 1e-12, Activation: "gelu",
}

func small(t testing.TB, change func(*Config, *ModelOptions)) (m *model, texts [][]uint32, attended []int, file *safetensors) {
	t.Helper()
	file = open(t, filepath.Join("testdata", "forward.safetensors"))
	cfg, opts := smallConfig, ModelOptions{}
	if change != nil {
		change(&cfg, &opts)
	}
	m, err := newModel(cfg, file, opts)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; file.Has(fmt.Sprintf("text.%d", i)); i++ {
		_, data, err := file.Tensor(fmt.Sprintf("text.%d", i))
		if err != nil {
			t.Fatal(err)
		}
		attended = append(attended, int(data[0]))
		ids := make([]uint32, len(data)-1)
		for j, v := range data[1:] {
			ids[j] = uint32(v)
		}
		texts = append(texts, ids)
	}
	if len(texts) == 0 {
		t.Fatal("no texts")
	}
	return m, texts, attended, file
}

// TestForward compares a small model with numpy in float64, together and one by
// one, with any number of workers.
func TestForward(t *testing.T) {
	levels(t, func(t *testing.T) {
		for _, activation := range Activations() {
			m, texts, attended, file := small(t, func(c *Config, _ *ModelOptions) { c.Activation = activation })
			expected := activation
			if activation == "gelu_pytorch_tanh" {
				expected = "gelu_new"
			}
			for workers := 1; workers <= 3; workers++ {
				together := states(t, m, texts, attended, workers)
				for i := range texts {
					name := fmt.Sprintf("expected.%s.%d", expected, i)
					if !file.Has(name) {
						continue
					}
					_, want, err := file.Tensor(name)
					if err != nil {
						t.Fatal(err)
					}
					if d := largestDifference(together[i].Data, want); d > 1e-5 {
						t.Errorf("%s, text %d: off by %g", activation, i, d)
					}
					alone := states(t, m, texts[i:i+1], attended[i:i+1], workers)
					if !slices.Equal(alone[0].Data, together[i].Data) {
						t.Errorf("%s, text %d differs in company, %d workers", activation, i, workers)
					}
				}
			}
		}
	})
}

func largestDifference(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	d := 0.0
	for i := range a {
		d = max(d, math.Abs(float64(a[i])-float64(b[i])))
		if a[i] != a[i] {
			return math.NaN()
		}
	}
	return d
}

// meanDistance is that of the rows of b from those of a, relative to their
// length.
func meanDistance(a, b []simd.Matrix) float64 {
	var sum float64
	rows := 0
	for i := range a {
		for row := range a[i].Rows {
			var square, length float64
			for d, v := range a[i].Row(row) {
				w := float64(b[i].Row(row)[d])
				square += (float64(v) - w) * (float64(v) - w)
				length += float64(v) * float64(v)
			}
			sum += math.Sqrt(square / length)
			rows++
		}
	}
	return sum / float64(rows)
}

// TestForwardInt8 bounds the distance from float32 vectors.
func TestForwardInt8(t *testing.T) {
	levels(t, func(t *testing.T) {
		exact, texts, attended, _ := small(t, nil)
		m, _, _, _ := small(t, func(_ *Config, o *ModelOptions) { o.Int8 = true })
		d := meanDistance(states(t, exact, texts, attended, 1), states(t, m, texts, attended, 2))
		if !(d < 0.06) {
			t.Errorf("vectors are off by %.3f of their length", d)
		}
	})
}

// TestUnattended changes the tokens that are not attended to: the others'
// states stay as they are.
func TestUnattended(t *testing.T) {
	m, texts, _, _ := small(t, nil)
	ids := slices.Clone(texts[5])
	before := states(t, m, [][]uint32{ids}, []int{20}, 1)[0]
	for i := 20; i < len(ids); i++ {
		ids[i] = (ids[i] + 1) % 64
	}
	after := states(t, m, [][]uint32{ids}, []int{20}, 1)[0]
	if !slices.Equal(before.Slice(0, 20).Data, after.Slice(0, 20).Data) {
		t.Error("attended tokens changed")
	}
	if slices.Equal(before.Row(20), after.Row(20)) {
		t.Error("an unattended token has no state of its own")
	}
	cut := states(t, m, [][]uint32{ids[:20]}, nil, 1)[0]
	if d := largestDifference(cut.Data, after.Slice(0, 20).Data); d > 1e-6 {
		t.Errorf("attended tokens are off by %g from the text without the others", d)
	}
}

func TestForwardErrors(t *testing.T) {
	m, texts, _, _ := small(t, nil)
	for name, c := range map[string]struct {
		texts    [][]uint32
		attended []int
	}{
		"id":            {[][]uint32{{1, 2}, {3, 64}}, nil},
		"large id":      {[][]uint32{{math.MaxUint32}}, nil},
		"long":          {[][]uint32{make([]uint32, 49)}, nil},
		"attended":      {texts[:2], []int{1}},
		"none attended": {texts[:1], []int{0}},
		"too many":      {texts[:1], []int{2}},
		"negative":      {texts[:1], []int{-1}},
	} {
		err := m.Forward(t.Context(), c.texts, c.attended, 2, func(int, simd.Matrix) { t.Errorf("%s: called", name) })
		if !errors.Is(err, ErrTokens) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Forward(ctx, texts, nil, 2, func(int, simd.Matrix) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	none := states(t, m, [][]uint32{{}, {}, {1}}, nil, 2)
	if none[0].Rows != 0 || none[2].Rows != 1 {
		t.Error("empty texts")
	}
	if err := m.Forward(t.Context(), nil, nil, 2, nil); err != nil {
		t.Errorf("no texts: %v", err)
	}
}

// broken is a source of tensors with one that is missing or of another shape.
type broken struct {
	tensors
	name string
	trim int // values, or all if negative
}

func (b broken) Tensor(name string) ([]int, []float32, error) {
	shape, data, err := b.tensors.Tensor(name)
	if name != b.name || err != nil {
		return shape, data, err
	}
	if b.trim < 0 {
		return nil, nil, fmt.Errorf("%w: no %s", ErrModel, name)
	}
	return []int{len(data) - b.trim}, data[:len(data)-b.trim], nil
}

func TestNewModelErrors(t *testing.T) {
	_, _, _, file := small(t, nil)
	for _, name := range []string{
		"embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight", "embeddings.token_type_embeddings.weight",
		"embeddings.LayerNorm.bias", "encoder.layer.0.attention.self.query.weight", "encoder.layer.1.attention.self.value.bias",
		"encoder.layer.1.attention.output.dense.weight", "encoder.layer.0.intermediate.dense.bias", "encoder.layer.1.output.dense.weight",
	} {
		for _, trim := range []int{-1, 1} {
			if _, err := newModel(smallConfig, broken{file, name, trim}, ModelOptions{}); !errors.Is(err, ErrModel) {
				t.Errorf("%s, %d trimmed: %v", name, trim, err)
			}
		}
	}
	odd := smallConfig
	odd.Hidden, odd.Heads = 12, 3
	if _, err := newModel(odd, file, ModelOptions{}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("12 hidden: %v", err)
	}
	strange := smallConfig
	strange.Activation = "swish"
	if _, err := newModel(strange, file, ModelOptions{}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("swish: %v", err)
	}
}

// randomTensors makes up weights of any shape.
type randomTensors struct {
	rng *rand.Rand
	cfg Config
}

func (r randomTensors) Tensor(name string) ([]int, []float32, error) {
	c := r.cfg
	shape, ok := map[string][]int{
		"embeddings.word_embeddings.weight":       {c.Vocabulary, c.Hidden},
		"embeddings.position_embeddings.weight":   {c.Positions, c.Hidden},
		"embeddings.token_type_embeddings.weight": {c.TypeVocabulary, c.Hidden},
	}[name]
	if !ok {
		var layer int
		part := name
		if n, _ := fmt.Sscanf(name, "encoder.layer.%d.", &layer); n == 1 {
			part = name[len(fmt.Sprintf("encoder.layer.%d.", layer)):]
		}
		switch part {
		case "intermediate.dense.weight":
			shape = []int{c.Intermediate, c.Hidden}
		case "intermediate.dense.bias":
			shape = []int{c.Intermediate}
		case "output.dense.weight":
			shape = []int{c.Hidden, c.Intermediate}
		default:
			shape = []int{c.Hidden}
			if filepath.Ext(part) == ".weight" && !slices.Contains([]string{"LayerNorm.weight", "embeddings.LayerNorm.weight", "attention.output.LayerNorm.weight", "output.LayerNorm.weight"}, part) {
				shape = []int{c.Hidden, c.Hidden}
			}
		}
	}
	n := 1
	for _, s := range shape {
		n *= s
	}
	data := make([]float32, n)
	for i := range data {
		data[i] = float32(r.rng.NormFloat64()) * 0.2
	}
	return shape, data, nil
}

// TestForwardShapes runs other shapes, heads of more than one panel among them,
// at all levels: they agree.
func TestForwardShapes(t *testing.T) {
	for _, c := range []Config{
		{Hidden: 8, Layers: 1, Heads: 1, Intermediate: 8},
		{Hidden: 128, Layers: 2, Heads: 2, Intermediate: 100},
		{Hidden: 96, Layers: 1, Heads: 2, Intermediate: 33},
		{Hidden: 312, Layers: 1, Heads: 12, Intermediate: 1200},
	} {
		c.Vocabulary, c.Positions, c.TypeVocabulary, c.Epsilon, c.Activation = 50, 130, 1, 1e-5, "gelu_new"
		for _, int8 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%dx%d,int8=%v", c.Hidden, c.Heads, int8), func(t *testing.T) {
				m, err := newModel(c, randomTensors{rand.New(rand.NewPCG(1, 2)), c}, ModelOptions{Int8: int8})
				if err != nil {
					t.Fatal(err)
				}
				rng := rand.New(rand.NewPCG(3, 4))
				var texts [][]uint32
				for _, n := range []int{1, 5, 31, 33, 64, 130} {
					ids := make([]uint32, n)
					for i := range ids {
						ids[i] = rng.Uint32N(50)
					}
					texts = append(texts, ids)
				}
				bound := 1e-4
				if int8 {
					bound = 0.05 // a value on the edge between two integers
				}
				var first []simd.Matrix
				levels(t, func(t *testing.T) {
					got := states(t, m, texts, nil, 1)
					if first == nil {
						first = got
					}
					for i := range texts {
						if d := largestDifference(got[i].Data, first[i].Data); !(d < bound) {
							t.Errorf("text %d is off by %g", i, d)
						}
						if !slices.Equal(states(t, m, texts[i:i+1], nil, 2)[0].Data, got[i].Data) {
							t.Errorf("text %d differs alone", i)
						}
					}
				})
			})
		}
	}
}

// miniLM opens all-MiniLM-L6-v2 where it is at hand.
func miniLM(t testing.TB, opts ModelOptions) *model {
	t.Helper()
	dir := filepath.Join(filepath.Dir(collections.Dir(t)), "models", "all-MiniLM-L6-v2")
	cfg, err := loadConfig(dir)
	if err != nil {
		t.Skip(err)
	}
	m, err := newModel(cfg, open(t, filepath.Join(dir, "model.safetensors")), opts)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestMiniLM compares 200 texts with values computed by testdata/forward.py,
// which has the same rule for their ids.
func TestMiniLM(t *testing.T) {
	m := miniLM(t, ModelOptions{})
	_, want, err := open(t, filepath.Join("testdata", "minilm.safetensors")).Tensor("expected")
	if err != nil {
		t.Fatal(err)
	}
	count := 200
	if testing.Short() || simd.Level() == "go" {
		count = 10 // plain Go is some thirty times slower
	}
	texts := madeUpTexts(count)
	var got []float32
	for i, m := range states(t, m, texts, nil, 2) {
		for _, token := range []int{0, len(texts[i]) / 2, len(texts[i]) - 1} {
			for d := 0; d < m.Dim; d += 48 {
				got = append(got, m.Row(token)[d])
			}
		}
	}
	if d := largestDifference(got, want[:len(got)]); !(d < 1e-4) {
		t.Errorf("off by %g", d)
	} else {
		t.Logf("off by %g", d)
	}
}

// madeUpTexts returns texts by the rule of testdata/forward.py.
func madeUpTexts(count int) [][]uint32 {
	texts := make([][]uint32, count)
	for i := range texts {
		n := 2 + i*37%90
		if i%100 == 99 {
			n = 512
		}
		ids := make([]uint32, n)
		for j := range ids {
			ids[j] = uint32(1000 + (i*7919+j*104729)%29000)
		}
		ids[0], ids[n-1] = 101, 102
		texts[i] = ids
	}
	return texts
}

// TestMiniLMInt8 bounds the distance from float32 vectors.
func TestMiniLMInt8(t *testing.T) {
	exact, m := miniLM(t, ModelOptions{}), miniLM(t, ModelOptions{Int8: true})
	texts := madeUpTexts(10)
	d := meanDistance(states(t, exact, texts, nil, 2), states(t, m, texts, nil, 2))
	if !(d < 0.12) {
		t.Errorf("vectors are off by %.3f of their length", d)
	} else {
		t.Logf("vectors are off by %.3f of their length", d)
	}
}
