package configs_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pare-search/pare/configs"
	"github.com/pare-search/pare/encoder/bert"
	"github.com/pare-search/pare/encoder/remote"
	"github.com/pare-search/pare/eval/dataset"
	"github.com/pare-search/pare/eval/sweep"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/index/docpruner"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/retriever"
)

// TestDefaultsAgree keeps the defaults of the settings equal to those of the
// packages: whoever uses the library gets what the command line does.
func TestDefaultsAgree(t *testing.T) {
	build, err := configs.Default().BuildOptions()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(retriever.DefaultBuildOptions(), build); diff != "" {
		t.Errorf("BuildOptions (-package +configs):\n%s", diff)
	}
	search, err := configs.Default().SearchOptions()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(retriever.DefaultOptions(), search); diff != "" {
		t.Errorf("SearchOptions (-package +configs):\n%s", diff)
	}
	if diff := cmp.Diff(dataset.DefaultLimits(), configs.Default().Limits()); diff != "" {
		t.Errorf("Limits (-package +configs):\n%s", diff)
	}
}

// TestOptions changes every setting that the options have a field for.
func TestOptions(t *testing.T) {
	c := configs.Default()
	c.Encoder = configs.Encoder{Kind: "corpus", Language: "german", Dim: 64, SplitCode: false, Seed: 7}
	c.Codec = configs.Codec{Kind: "int8", CodeBytes: 7, VectorsPerCell: 32, Cells: 9, TrainingVectors: 5000, Seed: 8}
	c.Index = configs.Index{Prune: "voronoi:50%+ward:2", StoreText: false, SegmentMB: 5}
	c.Search = configs.Search{K: 3, Prune: "first:2", Plan: "probe", Neighbors: 50, Reveal: "bounded", Workers: 2}

	wantBuild := retriever.DefaultBuildOptions()
	wantBuild.Corpus.Language, wantBuild.Corpus.Dim, wantBuild.Corpus.SplitCode, wantBuild.Corpus.Seed = "german", 64, false, 7
	wantBuild.Seed = 8
	wantBuild.Pruner = docpruner.Pruner{Steps: []docpruner.Step{
		{Strategy: docpruner.Voronoi, Keep: docpruner.Keep{Share: 0.5}}, {Strategy: docpruner.Ward, Factor: 2},
	}}
	wantBuild.Index.Dim, wantBuild.Index.StoreText, wantBuild.Index.SegmentBytes = 64, false, 5*1024*1024
	wantBuild.Index.Merge.Manual, wantBuild.Index.Merge.Growth, wantBuild.Index.Merge.Drift = true, 0, 0
	wantBuild.Index.TrainingVectors = 5000
	codecOptions := &wantBuild.Index.Codec
	codecOptions.Kind, codecOptions.CodeBytes, codecOptions.Cells, codecOptions.VectorsPerCell, codecOptions.Seed = codec.Int8, 7, 9, 32, 8
	build, err := c.BuildOptions()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wantBuild, build); diff != "" {
		t.Errorf("BuildOptions (-want +got):\n%s", diff)
	}

	wantSearch := retriever.Options{
		Pruner: querypruner.Pruner{Strategy: querypruner.First, Keep: querypruner.Keep{Count: 2}},
		Search: index.SearchOptions{K: 3, Plan: index.Probe, Neighbors: 50, Reveal: index.RevealBounded, Workers: 2},
	}
	search, err := c.SearchOptions()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wantSearch, search); diff != "" {
		t.Errorf("SearchOptions (-want +got):\n%s", diff)
	}
}

// TestModel tells a model's folder from the default encoder.
func TestModel(t *testing.T) {
	c := configs.Default()
	dir, options := c.Model()
	if diff := cmp.Diff(bert.DefaultOptions(), options); dir != "" || diff != "" {
		t.Errorf("the default is model %q (-package +configs):\n%s", dir, diff)
	}
	c.Encoder = configs.Encoder{Kind: "models/small", Dim: 64, Seed: 7, QueryLength: 48, DocumentLength: 200, Quantize: true}
	dir, options = c.Model()
	want := bert.Options{Dim: 64, Seed: 7, QueryLength: 48, DocumentLength: 200, Int8: true}
	if diff := cmp.Diff(want, options); dir != "models/small" || diff != "" {
		t.Errorf("model %q (-want +got):\n%s", dir, diff)
	}
}

// TestOptionsOfInvalidConfig builds by hand what Load would have refused.
func TestOptionsOfInvalidConfig(t *testing.T) {
	for name, spoil := range map[string]func(*configs.Config){
		"codec":   func(c *configs.Config) { c.Codec.Kind = "zip" },
		"dim":     func(c *configs.Config) { c.Encoder.Dim = 7 },
		"cells":   func(c *configs.Config) { c.Codec.Cells = 1<<24 + 1 },
		"segment": func(c *configs.Config) { c.Index.SegmentMB = 2048 },
		"prune":   func(c *configs.Config) { c.Search.Prune = "icf" },
		"plan":    func(c *configs.Config) { c.Search.Plan = "fast" },
		"k":       func(c *configs.Config) { c.Search.K = -1 },
	} {
		c := configs.Default()
		spoil(&c)
		_, buildErr := c.BuildOptions()
		_, searchErr := c.SearchOptions()
		if buildErr == nil && searchErr == nil {
			t.Errorf("%s: no error", name)
		}
		if c.Validate() == nil {
			t.Errorf("%s: valid", name)
		}
	}
}

// TestFlagOff sets a switch to false by a flag named after that.
func TestFlagOff(t *testing.T) {
	for args, want := range map[string]bool{"": true, "--no-text": false, "--no-text=false": true} {
		fs := flags(t)
		configs.FlagOff(fs, "index.store_text", "no-text", "keep no texts")
		if err := fs.Parse([]string{args}); err != nil {
			t.Fatal(err)
		}
		loaded := load(t, configs.Sources{Flags: fs})
		if got := loaded.Config.Index.StoreText; got != want {
			t.Errorf("%q: store_text is %v", args, got)
		}
		if origin := loaded.Origin("index.store_text"); args != "" && origin != "flag --no-text" {
			t.Errorf("%q: origin %q", args, origin)
		}
	}
}

// TestRemoteService tells a service's address from folders.
func TestRemoteService(t *testing.T) {
	c := configs.Default()
	for _, kind := range []string{"corpus", "models/small", "httpd", "org/http"} {
		c.Encoder.Kind = kind
		if service, found := c.RemoteService(); found {
			t.Errorf("%s is the service %+v", kind, service)
		}
	}
	c.Encoder.Kind = "https://api.jina.ai"
	c.Service = configs.Service{Format: "jina", Model: "jina-colbert-v2"}
	want := remote.Service{Format: remote.Jina, URL: "https://api.jina.ai", Model: "jina-colbert-v2", Dim: 128}
	if service, found := c.RemoteService(); !found || service != want {
		t.Errorf("%+v, %t, want %+v", service, found, want)
	}
	if dir, _ := c.Model(); dir != "" {
		t.Errorf("the service is the folder %q", dir)
	}
	c.Encoder.Kind = "http://localhost:8000"
	c.Service = configs.Service{Format: "vllm", Model: "m", QueryPrefix: "[Q] ", DocumentPrefix: "[D] "}
	want = remote.Service{Format: remote.VLLM, URL: "http://localhost:8000", Model: "m", QueryPrefix: "[Q] ", DocumentPrefix: "[D] "}
	if service, found := c.RemoteService(); !found || service != want {
		t.Errorf("%+v, %t, want %+v", service, found, want)
	}
	c.Service.Format = "smoke signals"
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), `service.format: bad value: want jina, next-plaid, pylate, vllm, got "smoke signals"`) {
		t.Errorf("error %v, want the format refused", err)
	}
}

// TestWith assigns settings of every type and refuses what Load would refuse.
func TestWith(t *testing.T) {
	before := configs.Default()
	got, err := before.With(sweep.Setting{}.With("search.prune", "icf:2").With("search.budget", "77").With("codec.refine", "true").With("search.margin_share", "0.25").With("codec.seed", "9").With("eval.measures", "AP, RR"))
	if err != nil {
		t.Fatal(err)
	}
	want := configs.Default()
	want.Search.Prune, want.Search.Budget, want.Search.MarginShare = "icf:2", 77, 0.25
	want.Codec.Refine, want.Codec.Seed, want.Eval.Measures = true, 9, []string{"AP", "RR"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(configs.Default(), before); diff != "" {
		t.Errorf("the receiver was changed:\n%s", diff)
	}
	for _, bad := range []struct{ key, value, says string }{
		{"search.bugdet", "1", "search.bugdet: unknown key"},
		{"search.budget", "1k", `search.budget: bad value: want a whole number, got "1k"`},
		{"search.budget", "0", "search.budget: bad value: want at least 1, got 0"},
	} {
		if _, err := before.With(sweep.Setting{}.With(bad.key, bad.value)); err == nil || err.Error() != bad.says {
			t.Errorf("%s: error %v, want %s", bad.key, err, bad.says)
		}
	}
	build, search, err := before.Options(sweep.Setting{}.With("codec.kind", "residual1").With("search.depth", "31"))
	if err != nil || build.Index.Codec.Kind != codec.Residual1 || search.Search.Depth != 31 {
		t.Errorf("%v %d (%v)", build.Index.Codec.Kind, search.Search.Depth, err)
	}
}

// TestReduce checks that settings which mean the same become equal, and mean what
// they meant.
func TestReduce(t *testing.T) {
	c := configs.Default()
	for _, setting := range []sweep.Setting{
		sweep.Setting{}.With("search.budget", "0500").With("codec.kind", c.Codec.Kind).With("eval.prune", "all, icf:2"),
		sweep.Setting{}.With("search.margin_share", "0.50").With("search.budget", "500").With("eval.prune", "all,icf:2"),
	} {
		reduced, err := c.Reduce(setting)
		if err != nil || reduced.String() != "eval.prune=all,icf:2 search.budget=500" {
			t.Errorf("%v became %v (%v)", setting, reduced, err)
		}
		before, _ := c.With(setting)
		after, err := c.With(reduced)
		if diff := cmp.Diff(before, after); diff != "" || err != nil {
			t.Errorf("the meaning changed (%v):\n%s", err, diff)
		}
	}
	if _, err := c.Reduce(sweep.Setting{}.With("search.budget", "0")); !errors.Is(err, configs.ErrValue) {
		t.Errorf("error %v, want ErrValue", err)
	}
}
