package bert

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// copyFolder copies a folder of testdata/models and adds files.
func copyFolder(t *testing.T, name string, files map[string][]byte) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata/models", name))); err != nil {
		t.Fatal(err)
	}
	for file, data := range files {
		replaceFile(t, filepath.Join(dir, filepath.FromSlash(file)), data)
	}
	return dir
}

func replaceFile(t *testing.T, path string, data []byte) {
	t.Helper()
	os.Remove(path) // what os.CopyFS made may be read-only
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, data, 0o644)); err != nil {
		t.Fatal(err)
	}
}

// modulesJSON lists modules by their paths; a class stands behind the first "_".
func modulesJSON(paths ...string) []byte {
	modules := []module{{"", "sentence_transformers.models.Transformer"}}
	for _, path := range paths {
		_, class, _ := strings.Cut(path, "_")
		modules = append(modules, module{path, "any.package." + class})
	}
	data, err := json.Marshal(modules)
	if err != nil {
		panic(err)
	}
	return data
}

// TestSwappedModules wants a model whose modules are applied in another order
// to be another model, though its files are the same.
func TestSwappedModules(t *testing.T) {
	files := map[string][]byte{"modules.json": modulesJSON("1_Dense", "2_Dense", "3_Dense")}
	random := rand.New(rand.NewPCG(1, 2))
	for _, folder := range []string{"2_Dense", "3_Dense"} {
		var data []byte
		for range 16 * 16 {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(random.Float32()-0.5))
		}
		files[folder+"/config.json"] = []byte(`{"in_features": 16, "out_features": 16, "bias": false}`)
		files[folder+"/model.safetensors"] = tensorFile(`{"linear.weight": {"dtype": "F32", "shape": [16, 16], "data_offsets": [0, 1024]}}`, data)
	}
	dir := copyFolder(t, "pylate", files)
	enc, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	saved, err := enc.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Load(saved, LoadOptions{}); err != nil {
		t.Error(err)
	}
	replaceFile(t, filepath.Join(dir, "modules.json"), modulesJSON("1_Dense", "3_Dense", "2_Dense"))
	if _, err := Load(saved, LoadOptions{}); !errors.Is(err, ErrOtherModel) {
		t.Errorf("modules swapped: error %v, want ErrOtherModel", err)
	}
	// A module that comes twice is not one that comes once.
	replaceFile(t, filepath.Join(dir, "modules.json"), modulesJSON("1_Dense", "2_Dense", "3_Dense", "3_Dense"))
	if _, err := Load(saved, LoadOptions{}); !errors.Is(err, ErrOtherModel) {
		t.Errorf("a module more: error %v, want ErrOtherModel", err)
	}
}

// TestRecord wants files of a downloaded model compared with their checksums.
func TestRecord(t *testing.T) {
	dir := copyFolder(t, "pylate", nil)
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	weights, config := read("1_Dense/model.safetensors"), read("config.json")
	record := fmt.Appendf(nil, `{"files": [
		{"path": "1_Dense/model.safetensors", "size": %d, "sha256": "%x"},
		{"path": "config.json", "size": %d, "blob": "%x"},
		{"path": "not/there.json", "size": 1, "blob": "aa"}]}`,
		len(weights), sha256.Sum256(weights), len(config), sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(config), config)))
	replaceFile(t, filepath.Join(dir, recordName), record)
	open := func(want string) {
		t.Helper()
		_, err := Open(dir, Options{})
		if want == "" && err != nil || want != "" && (!errors.Is(err, ErrModel) || !strings.Contains(err.Error(), want)) {
			t.Errorf("error %v, want ErrModel that says %q", err, want)
		}
	}
	open("")
	for name, data := range map[string][]byte{"1_Dense/model.safetensors": weights, "config.json": config} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		bad := append([]byte(nil), data...)
		if name == "config.json" {
			bad = append(bad, ' ') // which changes nothing in JSON
		} else {
			bad[len(bad)-1] ^= 1
		}
		replaceFile(t, path, bad)
		open(path + " is not as it was downloaded")
		replaceFile(t, path, data)
		open("")
	}
	replaceFile(t, filepath.Join(dir, recordName), []byte("{"))
	open(recordName)
}

// TestCut wants the text that is kept of a long one to be of whole characters.
func TestCut(t *testing.T) {
	for _, text := range []string{
		"", "short", strings.Repeat("a", sampledBytes), strings.Repeat("a", 3*sampledBytes),
		strings.Repeat("a", sampledBytes-1) + "é", strings.Repeat("a", sampledBytes-3) + "\U0001F600!", strings.Repeat("\x80", 2*sampledBytes),
	} {
		got := cut(text)
		if !strings.HasPrefix(text, got) || len(text) <= sampledBytes && got != text {
			t.Errorf("%d bytes became others", len(text))
		}
		if len(text) > sampledBytes && (len(got) < uncutBytes || len(got) > sampledBytes) {
			t.Errorf("%d bytes were cut to %d", len(text), len(got))
		}
		if strings.ToValidUTF8(text, "") == text && strings.ToValidUTF8(got, "") != got {
			t.Errorf("%d bytes were cut inside a character", len(text))
		}
	}
}
