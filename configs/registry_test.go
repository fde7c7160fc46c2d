package configs_test

import (
	"bytes"
	"flag"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/pare-search/pare/configs"
)

var update = flag.Bool("update", false, "rewrite pare.yaml")

// TestKeys checks what the rest of the package takes for granted of the struct
// tags: names that survive viper's lower-casing, documentation, a supported type
// and an environment name of its own.
func TestKeys(t *testing.T) {
	name := regexp.MustCompile(`^[a-z]+\.[a-z]+(_[a-z]+)*$`)
	seen := make(map[string]string)
	for _, k := range configs.Keys() {
		if !name.MatchString(k.Name) {
			t.Errorf("key %q is not section.name in lower case", k.Name)
		}
		if k.Doc == "" {
			t.Errorf("%s has no documentation", k.Name)
		}
		switch k.Default.(type) {
		case string, bool, int, uint64, float64, []string:
		default:
			t.Errorf("%s has the unsupported type %T", k.Name, k.Default)
		}
		if other, taken := seen[k.Env()]; taken {
			t.Errorf("%s and %s share %s", k.Name, other, k.Env())
		}
		seen[k.Env()] = k.Name
	}
	if err := configs.Default().Validate(); err != nil {
		t.Errorf("the defaults are not valid: %v", err)
	}
}

// TestSampleFile keeps pare.yaml equal to the registry and readable by Load.
func TestSampleFile(t *testing.T) {
	var want bytes.Buffer
	if err := configs.WriteYAML(&want, configs.Default()); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("pare.yaml", want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("pare.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got = bytes.ReplaceAll(got, []byte("\r\n"), []byte("\n"))
	if diff := cmp.Diff(want.String(), string(got)); diff != "" {
		t.Errorf("pare.yaml is stale, rewrite it with go test ./configs -update (-want +got):\n%s", diff)
	}
	loaded := load(t, configs.Sources{File: "pare.yaml"})
	if diff := cmp.Diff(configs.Default(), loaded.Config); diff != "" {
		t.Errorf("pare.yaml does not hold the defaults (-want +got):\n%s", diff)
	}
	for _, k := range configs.Keys() {
		if loaded.Origin(k.Name) != "file pare.yaml" {
			t.Errorf("pare.yaml lacks %s", k.Name)
		}
	}
}

// TestYAMLRoundTrip writes values that YAML would read as something else when
// left unquoted.
func TestYAMLRoundTrip(t *testing.T) {
	want := configs.Default()
	want.Encoder.Language = "no"
	want.Search.Prune = "# 1: \"x\"\n"
	want.Eval.Prune = []string{"true", "1e3", "a, b", "ä"}
	for range 40 {
		want.Eval.Measures = append(want.Eval.Measures, "a long list must not break the layout")
	}
	var b bytes.Buffer
	if err := configs.WriteYAML(&b, want); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Encoder struct{ Language string }
		Search  struct{ Prune string }
		Eval    struct{ Measures, Prune []string }
	}
	if err := yaml.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatalf("%v\n%s", err, b.String())
	}
	if got.Encoder.Language != want.Encoder.Language || got.Search.Prune != want.Search.Prune ||
		!slices.Equal(got.Eval.Measures, want.Eval.Measures) || !slices.Equal(got.Eval.Prune, want.Eval.Prune) {
		t.Errorf("%+v was read from\n%s", got, b.String())
	}
}
