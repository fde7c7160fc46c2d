package bert

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tensorFile makes a safetensors file of a header and data.
func tensorFile(header string, data []byte) []byte {
	file := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(file, header...), data...)
}

func TestTensor(t *testing.T) {
	values := []float32{0, 1, -2.5, 0.1, 65504, -1 << 100}
	var data []byte
	for _, v := range values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	for _, v := range values {
		data = binary.LittleEndian.AppendUint16(data, uint16(math.Float32bits(v)>>16))
	}
	for _, half := range []uint16{0x0000, 0x3C00, 0xC100, 0x2E66, 0x7BFF, 0xFBFF, 0x0001, 0x83FF} {
		data = binary.LittleEndian.AppendUint16(data, half)
	}
	data = append(data, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0x80, 0x3F, 0, 0, 0xC0, 0x7F, 0, 0xFC)
	path := filepath.Join(t.TempDir(), "model.safetensors")
	header := `{"__metadata__":{"format":"pt"},
		"f32":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},
		"bert.bf16":{"dtype":"BF16","shape":[6],"data_offsets":[24,36]},
		"f16":{"dtype":"F16","shape":[8,1],"data_offsets":[36,52]},
		"ids":{"dtype":"I64","shape":[1],"data_offsets":[52,60]},
		"bert.a.LayerNorm.gamma":{"dtype":"F32","shape":[1],"data_offsets":[60,64]},
		"bf16 nan":{"dtype":"BF16","shape":[2],"data_offsets":[64,68]},
		"infinity":{"dtype":"F16","shape":[1,1],"data_offsets":[68,70]},
		"none":{"dtype":"F32","shape":[1152921504606846976,0],"data_offsets":[70,70]},
		"few":{"dtype":"F32","shape":[4,0],"data_offsets":[70,70]}}   `
	if err := os.WriteFile(path, tensorFile(header, data), 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := openSafetensors(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, test := range []struct {
		name  string
		shape []int
		want  []float32
	}{
		{"f32", []int{2, 3}, values},
		{"bf16", []int{6}, []float32{0, 1, -2.5, 0.099609375, 65280, -1 << 100}},
		{"f16", []int{8, 1}, []float32{0, 1, -2.5, 0.0999755859375, 65504, -65504, 1.0 / (1 << 24), -1023.0 / (1 << 24)}},
		{"a.LayerNorm.weight", []int{1}, []float32{1}},
	} {
		shape, got, err := s.Tensor(test.name)
		if err != nil || !slices.Equal(shape, test.shape) || !slices.Equal(got, test.want) {
			t.Errorf("%s is %v of shape %v, error %v; want %v of %v", test.name, got, shape, err, test.want, test.shape)
		}
	}
	if _, _, err := s.Tensor("ids"); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), `"ids" is of I64`) {
		t.Errorf("integers: error %v, want ErrUnsupported", err)
	}
	for name, says := range map[string]string{
		"bf16 nan": `"bf16 nan": value 1 is NaN`, "infinity": `"infinity": value 0 is -Inf`,
		"none": `"none" is [1152921504606846976 0]`, "few": `"few" is [4 0]`,
	} {
		if _, _, err := s.Tensor(name); !errors.Is(err, ErrModel) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: error %v, want ErrModel that says %s", name, err, says)
		}
	}
	if _, _, err := s.Tensor("nothing"); !errors.Is(err, ErrModel) || !strings.Contains(err.Error(), `"nothing"`) {
		t.Errorf("a missing tensor: error %v, want ErrModel", err)
	}
}

// TestHalves compares all halves with their definition.
func TestHalves(t *testing.T) {
	for h := range 1 << 16 {
		sign, exponent, fraction := 1-2*float64(h>>15), h>>10&0x1F, float64(h&0x3FF)
		var want float64
		switch exponent {
		case 0:
			want = sign * math.Ldexp(fraction, -24)
		case 31:
			want = sign * math.Inf(1)
			if fraction > 0 {
				want = math.NaN()
			}
		default:
			want = sign * math.Ldexp(1+fraction/1024, exponent-15)
		}
		got := float64(float16(uint16(h)))
		if got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Fatalf("%#04x is %v, want %v", h, got, want)
		}
	}
}

func TestSafetensorsErrors(t *testing.T) {
	entry := func(dtype, shape, offsets string) string {
		return `{"a":{"dtype":"` + dtype + `","shape":` + shape + `,"data_offsets":` + offsets + `}}`
	}
	eight := make([]byte, 8)
	for _, test := range []struct {
		name, says string
		file       []byte
	}{
		{"empty", "too few", nil},
		{"another kind of file", "another kind of file", []byte("PK\x03\x04 a zip archive, as torch.save writes it")},
		{"header cut off", "it is cut off", binary.LittleEndian.AppendUint64(nil, 100)},
		{"no JSON", "header", tensorFile("hello", nil)},
		{"a list", "want {", tensorFile("[]", nil)},
		{"JSON cut off", "header", tensorFile(`{"a":`, nil)},
		{"more than JSON", "behind its end", tensorFile(`{} {}`, nil)},
		{"twice", `"a" comes twice`, tensorFile(`{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`, nil)},
		{"negative shape", `tensor "a"`, tensorFile(entry("U8", "[-8]", "[0,8]"), eight)},
		{"data cut off", "ends at byte 8 of 7", tensorFile(entry("U8", "[8]", "[0,8]"), eight[:7])},
		{"too much data", "behind the last tensor", tensorFile(entry("U8", "[4]", "[0,4]"), eight)},
		{"backwards", "before its start", tensorFile(entry("U8", "[4]", "[4,0]"), eight)},
		{"gap", "leaving a gap", tensorFile(entry("U8", "[4]", "[4,8]"), eight)},
		{"overlap", "inside another", tensorFile(`{"a":{"dtype":"U8","shape":[6],"data_offsets":[0,6]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}`, eight)},
		{"shape too large", "does not fit", tensorFile(entry("F32", "[2,2]", "[0,8]"), eight)},
		{"shape overflows", "does not fit", tensorFile(entry("F32", "[4611686018427387904,4611686018427387904]", "[0,8]"), eight)},
		{"shape overflows to zero", "does not fit", tensorFile(entry("F64", "[2305843009213693952,8]", "[0,0]"), nil)},
	} {
		path := filepath.Join(t.TempDir(), "model.safetensors")
		if err := os.WriteFile(path, test.file, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := openSafetensors(path)
		if test.name == "empty" {
			test.says = "no safetensors file"
		}
		if !errors.Is(err, ErrModel) || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want ErrModel that names the file and says %q", test.name, err, test.says)
		}
	}
	if _, err := openSafetensors(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: error %v, want os.ErrNotExist", err)
	}
}

// FuzzSafetensors reads every tensor of what it accepts.
func FuzzSafetensors(f *testing.F) {
	f.Add(tensorFile(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"BF16","shape":[1,1],"data_offsets":[8,10]}}`, make([]byte, 10)))
	f.Add(tensorFile(`{"a":{"dtype":"F16","shape":[],"data_offsets":[0,2]}}`, []byte{0, 0x7C}))
	f.Add(tensorFile(`{"a":{"dtype":"I4","shape":[4],"data_offsets":[0,2]}}`, make([]byte, 2)))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseSafetensors(data)
		if err != nil {
			if !errors.Is(err, ErrModel) {
				t.Fatalf("error %v does not wrap ErrModel", err)
			}
			return
		}
		for name := range s.tensors {
			shape, values, err := s.Tensor(name)
			if err != nil {
				continue
			}
			size := 1
			for _, n := range shape {
				size *= n
			}
			if len(values) != size {
				t.Fatalf("%d values of shape %v", len(values), shape)
			}
		}
	})
}

func TestConfig(t *testing.T) {
	const good = `{"architectures":["BertModel"],"model_type":"bert","hidden_size":384,"num_hidden_layers":6,"num_attention_heads":12,
		"intermediate_size":1536,"vocab_size":30522,"max_position_embeddings":512,"type_vocab_size":2,"layer_norm_eps":1e-12,"hidden_act":"gelu"}`
	got, err := parseConfig([]byte(good))
	want := Config{384, 6, 12, 1536, 30522, 512, 2, 1e-12, "gelu"}
	if err != nil || got != want {
		t.Errorf("config is %+v, error %v; want %+v", got, err, want)
	}
	for _, test := range []struct {
		old, new string
		is       error
		says     string
	}{
		{`"model_type":"bert"`, `"model_type":"modernbert"`, ErrUnsupported, `model_type is "modernbert" (architectures ["BertModel"])`},
		{`"model_type":"bert"`, `"model_type":"xlm-roberta"`, ErrUnsupported, `"xlm-roberta"`},
		{`"model_type":"bert",`, ``, ErrUnsupported, `model_type is ""`},
		{`"hidden_act":"gelu"`, `"hidden_act":"silu"`, ErrUnsupported, "hidden_act is silu"},
		{`"hidden_act":"gelu"`, `"position_embedding_type":"relative_key"`, ErrUnsupported, "position_embedding_type is relative_key"},
		{`"hidden_act":"gelu"`, `"is_decoder":true`, ErrUnsupported, "is_decoder is true"},
		{`"hidden_size":384`, `"hidden_size":0`, ErrModel, "hidden_size is 0"},
		{`"num_attention_heads":12`, `"num_attention_heads":7`, ErrModel, "7 heads do not divide hidden_size 384"},
		{`"vocab_size":30522`, `"vocab_size":-1`, ErrModel, "vocab_size is -1"},
		{`"layer_norm_eps":1e-12`, `"layer_norm_eps":-1`, ErrModel, "layer_norm_eps is -1"},
		{`{`, `[`, ErrModel, "config"},
	} {
		_, err := parseConfig([]byte(strings.Replace(good, test.old, test.new, 1)))
		if !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: error %v, want %v that says %s", test.new, err, test.is, test.says)
		}
	}
	var all map[string]any
	if err := json.Unmarshal([]byte(good), &all); err != nil {
		t.Fatal(err)
	}
	delete(all, "type_vocab_size")
	delete(all, "layer_norm_eps")
	delete(all, "hidden_act")
	short, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := parseConfig(short); err != nil || got != want {
		t.Errorf("without what has defaults the config is %+v, error %v; want %+v", got, err, want)
	}
}

// Has reports whether there is a tensor of this name.
func (s *safetensors) Has(name string) bool {
	_, ok := s.find(name)
	return ok
}
