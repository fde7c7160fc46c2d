package configs_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pare-search/pare/configs"
	"github.com/pare-search/pare/eval/tune"
)

var certificate = tune.Certificate{
	Target: "recall@10>=0.95", Baseline: "search.plan=exhaustive search.prune=all", Confidence: 0.95, Minimise: "latency", Method: "betting",
	Queries: 113, Made: 7, Tuned: 112, Settings: 81, Tested: 6, Kept: 0.978, Bound: 0.961, P: 0.0123, Seed: 18446744073709551615,
	Certified: []string{"search.budget=2000", "search.prune=icf:4"},
	Collections: []tune.Mark{
		{Name: "Cranfield", Documents: 1400, Queries: "00ff", Index: "1e10"}, // texts, though they look like numbers
		{Name: "b", Documents: 3, Queries: "0123", Index: "0777"},
	},
}

// TestTunedFile writes a certificate and reads it back, in YAML and as JSON.
func TestTunedFile(t *testing.T) {
	want := configs.Default()
	want.Search.Budget, want.Search.Prune = 2000, "icf:4"
	var b bytes.Buffer
	if err := configs.WriteTuned(&b, want, certificate); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "tuned.yaml")
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	loaded := load(t, configs.Sources{File: file})
	if diff := cmp.Diff(want, loaded.Config); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	if loaded.Certificate == nil {
		t.Fatal("no certificate was read")
	}
	if diff := cmp.Diff(certificate, *loaded.Certificate); diff != "" {
		t.Errorf("certificate (-want +got):\n%s\n%s", diff, b.String())
	}
	if loaded := load(t, configs.Sources{File: "pare.yaml"}); loaded.Certificate != nil {
		t.Error("a file without a certificate has one")
	}
}

// TestBrokenCertificate names what is wrong in which file.
func TestBrokenCertificate(t *testing.T) {
	var b bytes.Buffer
	if err := configs.WriteTuned(&b, configs.Default(), certificate); err != nil {
		t.Fatal(err)
	}
	for name, broken := range map[string]struct{ old, new, says string }{
		"target":     {"target: recall@10>=0.95", "target: beauty", `certificate: bad value: tune: bad target "beauty"`},
		"confidence": {"confidence: 0.95", "confidence: 95", "certificate: bad value: confidence: want a share between 0 and 1, got 95"},
		"type":       {"queries: 113", "queries: many", "certificate: bad value:"},
		"unknown":    {"method: betting", "method: betting\n  magic: 3", "magic"},
		"index":      {`index: "1e10"`, `index: ""`, `certificate: bad value: collections: "Cranfield" has no index`},
	} {
		text := strings.Replace(b.String(), broken.old, broken.new, 1)
		if text == b.String() {
			t.Fatalf("%s: %q is not in the file:\n%s", name, broken.old, text)
		}
		file := filepath.Join(t.TempDir(), "tuned.yaml")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := configs.Load(configs.Sources{File: file})
		if !errors.Is(err, configs.ErrValue) || !strings.Contains(err.Error(), "file "+file) || !strings.Contains(err.Error(), broken.says) {
			t.Errorf("%s: error %v, want one of %s that says %q", name, err, file, broken.says)
		}
	}
}
