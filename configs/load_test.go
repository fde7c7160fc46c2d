package configs_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/pare-search/pare/configs"
	"github.com/pare-search/pare/eval"
	"github.com/pare-search/pare/querypruner"
)

// write puts content into a new file of this name and returns its path.
func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// flags returns a parsed flag set with a flag for the kinds of value there are.
func flags(t *testing.T, args ...string) *pflag.FlagSet {
	t.Helper()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	configs.Flag(fs, "search.k", "top", "k")
	configs.Flag(fs, "search.prune", "prune", "")
	configs.Flag(fs, "eval.measures", "measures", "")
	configs.Flag(fs, "eval.margin", "margin", "")
	configs.Flag(fs, "eval.seed", "seed", "")
	configs.Flag(fs, "index.store_text", "store-text", "")
	fs.Bool("quiet", false, "a flag without a key")
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return fs
}

func load(t *testing.T, s configs.Sources) *configs.Loaded {
	t.Helper()
	loaded, err := configs.Load(s)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

func TestLoadNothing(t *testing.T) {
	for name, s := range map[string]configs.Sources{
		"zero":           {},
		"empty yaml":     {File: write(t, "empty.yaml", "")},
		"comments only":  {File: write(t, "comment.yaml", "# nothing\n")},
		"empty section":  {File: write(t, "section.yaml", "search:\n")},
		"key w/o value":  {File: write(t, "null.yaml", "search:\n  k:\n")},
		"empty toml":     {File: write(t, "empty.toml", "")},
		"empty object":   {File: write(t, "empty.json", "{}")},
		"unset flags":    {Flags: flags(t, "--quiet")},
		"empty variable": {Env: []string{"PARE_SEARCH_K="}},
		"others' variables": {Env: []string{
			"PARE_SHARED=/data", "PARE_SEARCHING=1", "PARE=1", "HOME=/root", "=C:=C:\\", "pare_search_k=3",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			loaded := load(t, s)
			if diff := cmp.Diff(configs.Default(), loaded.Config); diff != "" {
				t.Errorf("not the defaults (-want +got):\n%s", diff)
			}
			for _, k := range configs.Keys() {
				if got := loaded.Origin(k.Name); got != configs.OriginDefault {
					t.Errorf("origin of %s is %q", k.Name, got)
				}
			}
		})
	}
}

// TestPrecedence sets one key in every combination of the three sources.
func TestPrecedence(t *testing.T) {
	file := write(t, "pare.yaml", "search:\n  k: 2\n")
	for bits := range 8 {
		want, origin := 10, configs.OriginDefault
		var s configs.Sources
		if bits&1 != 0 {
			s.File, want, origin = file, 2, configs.Origin("file "+file)
		}
		if bits&2 != 0 {
			s.Env, want, origin = []string{"PARE_SEARCH_K=3"}, 3, "environment PARE_SEARCH_K"
		}
		s.Flags = flags(t) // bound but unset: must not shadow the others
		if bits&4 != 0 {
			s.Flags, want, origin = flags(t, "-k", "4"), 4, "flag --top"
		}
		loaded := load(t, s)
		if got := loaded.Config.Search.K; got != want {
			t.Errorf("sources %03b: search.k = %d, want %d", bits, got, want)
		}
		if got := loaded.Origin("search.k"); got != origin {
			t.Errorf("sources %03b: origin %q, want %q", bits, got, origin)
		}
	}
}

// Lists may have space behind their commas wherever they come from.
func TestListsAreTrimmed(t *testing.T) {
	for name, s := range map[string]configs.Sources{
		"environment": {Env: []string{"PARE_EVAL_MEASURES=AP, RR@10 "}},
		"flags":       {Flags: flags(t, "--measures", "AP, RR@10 ")},
	} {
		if got := load(t, s).Config.Eval.Measures; !slices.Equal(got, []string{"AP", "RR@10"}) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestEveryKeyEveryWay changes all keys through each source alone, so that no key
// works in a file but not in the environment.
func TestEveryKeyEveryWay(t *testing.T) {
	want := configs.Config{
		Encoder: configs.Encoder{Kind: "models/small", Language: "german", Dim: 64, SplitCode: false, Seed: 7, QueryLength: 48, DocumentLength: 200, Attention: 4, Quantize: true, Table: "bits:8x"},
		Service: configs.Service{Format: "vllm", Model: "m", QueryPrefix: "Q:", DocumentPrefix: "D:"},
		Codec:   configs.Codec{Kind: "int8", Refine: true, CodeBytes: 9.5, VectorsPerCell: 32, Cells: 9, TrainingVectors: 5000, Seed: 8},
		Index:   configs.Index{Prune: "ward:3", StoreText: false, SegmentMB: 5},
		Search:  configs.Search{K: 3, Prune: "first:2", Plan: "probe", Neighbors: 50, Budget: 60, MarginShare: 0.25, RarityPower: 2, RankPower: 0.25, Cells: 5, Peak: 0.125, Depth: 70, Reveal: "estimated", FirstRows: 6, Alpha: 1.5, Refine: 80, Workers: 3},
		Eval:    configs.Eval{Measures: []string{"P(rel=2)@5", "AP"}, Prune: []string{"all"}, Margin: 0.5, Seed: 1 << 63, Workers: 2, FileMB: 9},
	}
	yaml := `
encoder: {kind: models/small, language: german, dim: 64, split_code: false, seed: 7, query_length: 48, document_length: 200, attention: 4, quantize: true, table: "bits:8x"}
service: {format: vllm, model: m, query_prefix: "Q:", document_prefix: "D:"}
codec: {kind: int8, refine: true, code_bytes: 9.5, vectors_per_cell: 32, cells: 9, training_vectors: 5000, seed: 8}
index: {prune: "ward:3", store_text: false, segment_mb: 5, merge: false, retrain: false}
search: {k: 3, prune: "first:2", plan: probe, neighbors: 50, budget: 60, margin_share: 0.25, rarity_power: 2, rank_power: 0.25, cells: 5, peak: 0.125, depth: 70, reveal: estimated, first_rows: 6, alpha: 1.5, refine: 80, workers: 3}
eval: {measures: ["P(rel=2)@5", AP], prune: [all], margin: 0.5, seed: 9223372036854775808, workers: 2, file_mb: 9}
`
	environ := strings.Fields(`
PARE_ENCODER_KIND=models/small PARE_ENCODER_LANGUAGE=german PARE_ENCODER_DIM=64 PARE_ENCODER_SPLIT_CODE=false PARE_ENCODER_SEED=7
PARE_ENCODER_QUERY_LENGTH=48 PARE_ENCODER_DOCUMENT_LENGTH=200 PARE_ENCODER_QUANTIZE=true PARE_ENCODER_ATTENTION=4 PARE_ENCODER_TABLE=bits:8x
PARE_SERVICE_FORMAT=vllm PARE_SERVICE_MODEL=m PARE_SERVICE_QUERY_PREFIX=Q: PARE_SERVICE_DOCUMENT_PREFIX=D:
PARE_CODEC_KIND=int8 PARE_CODEC_REFINE=true PARE_CODEC_CODE_BYTES=9.5 PARE_CODEC_VECTORS_PER_CELL=32 PARE_CODEC_CELLS=9 PARE_CODEC_TRAINING_VECTORS=5000 PARE_CODEC_SEED=8
PARE_INDEX_PRUNE=ward:3 PARE_INDEX_STORE_TEXT=false PARE_INDEX_SEGMENT_MB=5 PARE_INDEX_MERGE=false PARE_INDEX_RETRAIN=false
PARE_SEARCH_K=3 PARE_SEARCH_PRUNE=first:2 PARE_SEARCH_PLAN=probe PARE_SEARCH_NEIGHBORS=50 PARE_SEARCH_BUDGET=60 PARE_SEARCH_MARGIN_SHARE=0.25 PARE_SEARCH_RARITY_POWER=2 PARE_SEARCH_RANK_POWER=0.25 PARE_SEARCH_CELLS=5 PARE_SEARCH_PEAK=0.125 PARE_SEARCH_REVEAL=estimated PARE_SEARCH_FIRST_ROWS=6 PARE_SEARCH_ALPHA=1.5 PARE_SEARCH_DEPTH=70 PARE_SEARCH_REFINE=80 PARE_SEARCH_WORKERS=3
PARE_EVAL_MEASURES=P(rel=2)@5,AP PARE_EVAL_PRUNE=all PARE_EVAL_MARGIN=0.5 PARE_EVAL_SEED=9223372036854775808 PARE_EVAL_WORKERS=2
PARE_EVAL_FILE_MB=9`)
	fs := pflag.NewFlagSet("all", pflag.ContinueOnError)
	var args []string
	for _, k := range configs.Keys() {
		configs.Flag(fs, k.Name, k.Name, "")
	}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		for _, k := range configs.Keys() {
			if k.Env() == name {
				args = append(args, "--"+k.Name+"="+value)
			}
		}
	}
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}

	for name, s := range map[string]configs.Sources{
		"file":        {File: write(t, "all.yml", yaml)},
		"environment": {Env: environ},
		"flags":       {Flags: fs},
	} {
		t.Run(name, func(t *testing.T) {
			loaded := load(t, s)
			if diff := cmp.Diff(want, loaded.Config); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			for _, k := range configs.Keys() {
				if loaded.Origin(k.Name) == configs.OriginDefault {
					t.Errorf("%s was not read", k.Name)
				}
			}
		})
	}
}

func TestFileFormats(t *testing.T) {
	for name, content := range map[string]string{
		"a.yaml":   "Search:\n  K: 7\nEVAL:\n  Measures: [nDCG@5]\n", // keys without case, values with it
		"b.toml":   "[search]\nk = 7\n[eval]\nmeasures = [\"nDCG@5\"]\n",
		"c.json":   `{"search": {"k": 7}, "eval": {"measures": ["nDCG@5"]}}`,
		"D.YAML":   "search.k: 7\neval.measures: [nDCG@5]\n",
		"e.json":   `{"SEARCH": {"k": 7.0}, "eval": {"Measures": ["nDCG@5"]}}`,
		"f.g.toml": "search.k = 7\neval.measures = [\"nDCG@5\"]\n",
	} {
		t.Run(name, func(t *testing.T) {
			want := configs.Default()
			want.Search.K, want.Eval.Measures = 7, []string{"nDCG@5"}
			if diff := cmp.Diff(want, load(t, configs.Sources{File: write(t, name, content)}).Config); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestFaults expects an error that wraps the sentinel and contains every text.
func TestFaults(t *testing.T) {
	yaml := func(content string) configs.Sources {
		return configs.Sources{File: write(t, "bad.yaml", content)}
	}
	file := func(name, content string) configs.Sources { return configs.Sources{File: write(t, name, content)} }
	env := func(environ ...string) configs.Sources { return configs.Sources{Env: environ} }
	for _, test := range []struct {
		name     string
		sources  configs.Sources
		sentinel error
		texts    []string
	}{
		{"no file", configs.Sources{File: "nowhere.yaml"}, configs.ErrFile, []string{"nowhere.yaml"}},
		{"missing is missing", configs.Sources{File: "nowhere.yaml"}, os.ErrNotExist, nil},
		{"unknown format", configs.Sources{File: write(t, "x.ini", "")}, configs.ErrFile, []string{"x.ini", ".toml"}},
		{"no extension", configs.Sources{File: write(t, "pare", "")}, configs.ErrFile, []string{"want .yaml"}},
		{"broken yaml", yaml("search:\n  k: [1,\n  plan: 2\n"), configs.ErrFile, []string{"bad.yaml, line 2: bad"}},
		{"broken scalar", yaml("search:\n  k: 1\n\n  plan: 'x\n"), configs.ErrFile, []string{"bad.yaml, line 4: bad", "end of stream"}},
		{"deeper in a mapping", yaml("search:\n  k: 1\n plan: x\n"), configs.ErrFile, []string{"bad.yaml, line 3: bad"}},
		{"no such anchor", yaml("search: *x\n"), configs.ErrFile, []string{"bad.yaml: bad"}},
		{"no text", yaml("search: \xff\n"), configs.ErrFile, []string{"bad.yaml: bad"}},
		{"broken json", file("bad.json", "{\n\"search\": {\n}, }"), configs.ErrFile, []string{"bad.json, line 3: bad"}},
		{"json ends", file("bad.json", "{\n"), configs.ErrFile, []string{"bad.json, line 1: bad"}},
		{"json of another type", file("bad.json", "\n\n[]"), configs.ErrFile, []string{"bad.json, line 3: bad"}},
		{"broken toml", file("bad.toml", "[search]\nk = 1\nplan = \n"), configs.ErrFile, []string{"bad.toml, line 3: bad"}},
		{"not a mapping", yaml("- a\n- b\n"), configs.ErrFile, []string{"bad.yaml, line 1: bad"}},
		{"same key twice", yaml("search:\n  k: 1\n  k: 2\neval:\n  margin: 1\n  margin: 2\n"), configs.ErrFile, []string{"line 3: bad", "line 6: bad", "already defined"}},

		{"unknown key", yaml("search:\n  prunne: all\n"), configs.ErrUnknownKey, []string{"bad.yaml", "search.prunne"}},
		{"unknown section", yaml("serch:\n  k: 1\n"), configs.ErrUnknownKey, []string{"bad.yaml", "serch.k"}},
		{"key below a key", yaml("search:\n  k: {a: 1}\n"), configs.ErrUnknownKey, []string{"search.k.a"}},
		{"section as value", yaml("search: 5\n"), configs.ErrValue, []string{"bad.yaml: search:", "section"}},
		{"unknown variable", env("PARE_SEARCH_PRUNNE=all"), configs.ErrUnknownKey, []string{"PARE_SEARCH_PRUNNE"}},

		{"text for int", yaml("search: {k: ten}\n"), configs.ErrValue, []string{"bad.yaml: search.k", `got "ten"`}},
		{"quoted int", yaml("search: {k: \"10\"}\n"), configs.ErrValue, []string{"search.k", `got "10"`}},
		{"fraction for int", yaml("search: {k: 1.5}\n"), configs.ErrValue, []string{"search.k", "got 1.5"}},
		{"huge int", yaml("search: {k: 1e300}\n"), configs.ErrValue, []string{"search.k"}},
		{"negative seed", yaml("eval: {seed: -1}\n"), configs.ErrValue, []string{"eval.seed", "not negative"}},
		{"number for text", yaml("search: {prune: 4}\n"), configs.ErrValue, []string{"search.prune", "want a text, got 4"}},
		{"number for bool", yaml("index: {store_text: 1}\n"), configs.ErrValue, []string{"index.store_text", "true or false"}},
		{"text for list", yaml("eval: {prune: icf}\n"), configs.ErrValue, []string{"eval.prune", "want a list"}},
		{"number in list", yaml("eval: {prune: [icf, 4]}\n"), configs.ErrValue, []string{"eval.prune", "want a list"}},
		{"environment int", env("PARE_SEARCH_K=ten"), configs.ErrValue, []string{"PARE_SEARCH_K: search.k", `"ten"`}},
		{"environment bool", env("PARE_INDEX_STORE_TEXT=ja"), configs.ErrValue, []string{"index.store_text"}},
		{"environment float", env("PARE_EVAL_MARGIN=2%"), configs.ErrValue, []string{"eval.margin", "want a number"}},

		{"out of range", env("PARE_ENCODER_DIM=12"), configs.ErrValue, []string{"environment PARE_ENCODER_DIM: encoder.dim", "got 12"}},
		{"not a number", yaml("eval: {margin: .nan}\n"), configs.ErrValue, []string{"bad.yaml: eval.margin"}},
		{"flag out of range", configs.Sources{Flags: flags(t, "-k0")}, configs.ErrValue, []string{"flag --top: search.k: bad value: want at least 1, got 0"}},
		{"empty list", yaml("eval: {measures: []}\n"), configs.ErrValue, []string{"eval.measures", "at least one"}},
		{"unknown language", env("PARE_ENCODER_LANGUAGE=klingon"), configs.ErrValue, []string{"encoder.language", "english", `got "klingon"`}},
		{"unknown codec", env("PARE_CODEC_KIND=float16"), configs.ErrValue, []string{"codec.kind", "residual2", `got "float16"`}},
		{"unknown pruner", env("PARE_SEARCH_PRUNE=icff:2"), querypruner.ErrInvalid, []string{"PARE_SEARCH_PRUNE: search.prune", `"icff"`}},
		{"incomplete pruner", yaml("eval: {prune: [all, icf]}\n"), configs.ErrValue, []string{"eval.prune", "icf needs a number"}},
		{"unknown measure", env("PARE_EVAL_MEASURES=AP,nDGC@10"), eval.ErrMeasure, []string{"eval.measures", "nDGC@10"}},
		{"all at once", yaml("search: {plan: fast, k: -1}\neval: {margin: 2}\n"), configs.ErrValue, []string{"search.plan", "search.k", "eval.margin"}},
		{"all sources", configs.Sources{
			File: write(t, "bad.yaml", "nope: 1\nsearch: {k: x}\n"), Env: []string{"PARE_CODEC_X=1"},
		}, configs.ErrUnknownKey, []string{"nope", "search.k", "PARE_CODEC_X"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			loaded, err := configs.Load(test.sources)
			if loaded != nil || !errors.Is(err, test.sentinel) {
				t.Fatalf("got %v, %v; want an error that wraps %q", loaded, err, test.sentinel)
			}
			for _, text := range test.texts {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("%q does not contain %q", err, text)
				}
			}
			for _, fault := range faults(err) {
				if _, ok := fault.(*configs.Error); !ok || strings.Contains(fault.Error(), "\n") {
					t.Errorf("%T, %q, want *Error in one line", fault, fault)
				}
			}
		})
	}
}

// faults takes apart what errors.Join has joined.
func faults(err error) (list []error) {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	for _, e := range joined.Unwrap() {
		list = append(list, faults(e)...)
	}
	return list
}

func TestHints(t *testing.T) {
	for _, test := range []struct{ file, env, want string }{
		{file: "search: {prunne: all}", want: "did you mean search.prune?"},
		{file: "serach: {k: 3}", want: "did you mean search.k?"},
		{file: "colour: red", want: `"pare config show" lists every key`},
		{env: "PARE_CODEC_VECTOR_PER_CELL=4", want: "did you mean PARE_CODEC_VECTORS_PER_CELL?"},
	} {
		s := configs.Sources{Env: []string{test.env}}
		if test.file != "" {
			s.File = write(t, "x.yaml", test.file)
		}
		_, err := configs.Load(s)
		fault, ok := errors.AsType[*configs.Error](err)
		if !ok {
			t.Fatalf("%+v: %v is not an *Error", test, err)
		}
		if fault.Hint() != test.want {
			t.Errorf("%+v: hint %q", test, fault.Hint())
		}
	}
}

func TestFlagOfUnknownKeyPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	configs.Flag(pflag.NewFlagSet("", pflag.ContinueOnError), "search.kk", "k", "")
}
