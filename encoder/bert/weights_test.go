package bert

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/pare-search/pare/simd"
)

// tinyConfig is a model of one layer.
const tinyConfig = `{"model_type": "bert", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1,
	"intermediate_size": 8, "vocab_size": 4, "max_position_embeddings": 4, "type_vocab_size": 1}`

// tinyFile is a safetensors file of that model and of a head of 16 outputs.
func tinyFile(t testing.TB) []byte {
	cfg, err := parseConfig([]byte(tinyConfig))
	if err != nil {
		t.Fatal(err)
	}
	source := randomTensors{rand.New(rand.NewPCG(1, 2)), cfg}
	names := []string{"embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight", "embeddings.token_type_embeddings.weight"}
	layers := []string{"embeddings.LayerNorm"}
	for _, part := range []string{
		"attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
		"attention.output.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm",
	} {
		layers = append(layers, "encoder.layer.0."+part)
	}
	for _, layer := range layers {
		names = append(names, layer+".weight", layer+".bias")
	}
	header, data := map[string]any{}, []byte(nil)
	add := func(name string, shape []int, values []float32) {
		start := len(data)
		for _, v := range values {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		}
		header[name] = map[string]any{"dtype": "F32", "shape": shape, "data_offsets": []int{start, len(data)}}
	}
	for _, name := range names {
		shape, values, err := source.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		add(name, shape, values)
	}
	add("linear.weight", []int{16, 8}, make([]float32, 128))
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	return tensorFile(string(text), data)
}

// FuzzModel computes a text with every model that it can make of a
// configuration and a file.
func FuzzModel(f *testing.F) {
	file := string(tinyFile(f))
	f.Add(tinyConfig, []byte(file))
	f.Add(tinyConfig, []byte(strings.Replace(file, `"shape":[16,8]`, `"shape":[8,16]`, 1)))
	f.Add(tinyConfig, tensorFile(`{"linear.weight":{"dtype":"F32","shape":[1152921504606846976,0],"data_offsets":[0,0]}}`, nil))
	f.Add(strings.Replace(tinyConfig, `"num_attention_heads": 1`, `"num_attention_heads": 8`, 1), []byte(file))
	f.Fuzz(func(t *testing.T, config string, file []byte) {
		known := func(err error) {
			if !errors.Is(err, ErrModel) && !errors.Is(err, ErrUnsupported) {
				t.Fatalf("error %v is neither ErrModel nor ErrUnsupported", err)
			}
		}
		s, err := parseSafetensors(file)
		if err != nil {
			known(err)
			return
		}
		width := 8
		if cfg, err := parseConfig([]byte(config)); err != nil {
			known(err)
		} else if m, err := newModel(cfg, s, ModelOptions{Int8: len(file)%2 == 0}); err != nil {
			known(err)
		} else {
			width = cfg.Hidden
			if err := m.Forward(t.Context(), [][]uint32{{0}}, nil, 1, func(int, simd.Matrix) {}); err != nil {
				t.Fatal(err)
			}
		}
		if h, err := readHead(headConfig{}, s, width); err != nil {
			known(err)
		} else if y := h.apply(simd.NewMatrix(2, width)); y.Rows != 2 || y.Dim != h.out {
			t.Fatalf("2 vectors became [%d %d], want [2 %d]", y.Rows, y.Dim, h.out)
		}
	})
}

// TestHeadShapes wants heads refused whose shape is not what the config or the
// vectors before them say.
func TestHeadShapes(t *testing.T) {
	const in, out = 8, 16
	for _, test := range []struct {
		shape  string
		config headConfig
		is     error
	}{
		{"[16,8]", headConfig{}, nil},
		{"[16,8]", headConfig{In: in, Out: out, weights: "x", Bias: new(bool)}, nil},
		{"[16,8]", headConfig{In: in, Out: out, weights: "x"}, ErrModel}, // there is no bias
		{"[8,16]", headConfig{}, ErrModel},
		{"[128]", headConfig{}, ErrModel},
		{"[8,16]", headConfig{In: out, Out: in, weights: "x", Bias: new(bool)}, ErrModel},
		{"[8,16]", headConfig{In: in, Out: out, weights: "x", Bias: new(bool)}, ErrModel},
	} {
		header := fmt.Sprintf(`{"linear.weight":{"dtype":"F32","shape":%s,"data_offsets":[0,512]}}`, test.shape)
		s, err := parseSafetensors(tensorFile(header, make([]byte, 4*in*out)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := readHead(test.config, s, in); !errors.Is(err, test.is) {
			t.Errorf("%s for %d to %d: error %v, want %v", test.shape, test.config.In, test.config.Out, err, test.is)
		}
	}
	s, err := parseSafetensors(tensorFile(`{"linear.weight":{"dtype":"F32","shape":[1152921504606846976,0],"data_offsets":[0,0]}}`, nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readHead(headConfig{}, s, in); !errors.Is(err, ErrModel) {
		t.Errorf("2^60 outputs of no inputs: error %v, want ErrModel", err)
	}
}

// withoutLayers has everything but what is in layers.
type withoutLayers struct{ randomTensors }

func (w withoutLayers) Tensor(name string) ([]int, []float32, error) {
	if strings.Contains(name, "self") || strings.Contains(name, "dense") {
		return nil, nil, fmt.Errorf("%w: no tensor %q", ErrModel, name)
	}
	return w.randomTensors.Tensor(name)
}

// TestClaimedSizes wants no memory made for what a config claims and the file
// does not have.
func TestClaimedSizes(t *testing.T) {
	cfg := Config{
		Hidden: maxWidth, Layers: maxLayers, Heads: maxWidth / minHeadWidth, Intermediate: maxWidth,
		Vocabulary: 1, Positions: 1, TypeVocabulary: 1, Activation: "relu",
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := newModel(cfg, withoutLayers{randomTensors{rand.New(rand.NewPCG(1, 2)), cfg}}, ModelOptions{})
	runtime.ReadMemStats(&after)
	if !errors.Is(err, ErrModel) {
		t.Errorf("error %v, want ErrModel", err)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
		t.Errorf("%d bytes were allocated for tensors that are not there", n)
	}
	cfg.Heads *= 2
	if err := cfg.Validate(); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "16384 heads of 4 values") {
		t.Errorf("heads of 4 values: error %v, want ErrUnsupported", err)
	}
}
