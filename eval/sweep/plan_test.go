package sweep_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pare-search/pare/configs"
	"github.com/pare-search/pare/eval/sweep"
)

func points(t *testing.T, grid string) []sweep.Point {
	t.Helper()
	plan, err := sweep.ReadPlan(strings.NewReader(grid))
	if err != nil {
		t.Fatal(err)
	}
	points, err := plan.Points(configs.Default().Reduce)
	if err != nil {
		t.Fatal(err)
	}
	return points
}

func TestPoints(t *testing.T) {
	got := points(t, `
base: {search.plan: probe}
baseline: {codec.kind: float32, search.plan: exhaustive}
blocks:
  - name: icf
    with: {search.neighbors: 1000}
    vary: {search.prune: ["icf:2", "icf:4"]}
  - name: both
    vary:
      codec.kind: [residual2, residual1]
      search.budget: [500, 4000]
  - name: again
    vary: {search.budget: [0500, 250]}
  - name: refined
    vary: {codec.refine: [true, false]}
  - {name: BM25, system: bm25}
  - {name: rerank, system: rerank, vary: {search.depth: [100]}}
`)
	// By hand: budget 4000, residual2 and no refinements are what is anyway, and a
	// setting that was there before is not there again.
	want := []string{
		"unpruned|unpruned|maxsim|codec.kind=float32 search.plan=exhaustive||",
		"icf:2|icf|maxsim|search.neighbors=1000 search.plan=probe search.prune=icf:2||",
		"icf:4|icf|maxsim|search.neighbors=1000 search.plan=probe search.prune=icf:4||",
		"residual2, budget 500|both, residual2|maxsim|search.budget=500 search.plan=probe|residual2|budget 500",
		"residual2, budget 4000|both, residual2|maxsim|search.plan=probe|residual2|budget 4000",
		"residual1, budget 500|both, residual1|maxsim|codec.kind=residual1 search.budget=500 search.plan=probe|residual1|budget 500",
		"residual1, budget 4000|both, residual1|maxsim|codec.kind=residual1 search.plan=probe|residual1|budget 4000",
		"budget 250|again|maxsim|search.budget=250 search.plan=probe||",
		"refine|refined|maxsim|codec.refine=true search.plan=probe||",
		"BM25|BM25|bm25|||",
		"rerank depth 100|rerank|rerank|search.depth=100 search.plan=probe||",
	}
	var have []string
	for _, p := range got {
		have = append(have, strings.Join([]string{p.Name, p.Series, p.System, p.Setting.String(), p.Row, p.Column}, "|"))
	}
	if !slices.Equal(have, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
}

// TestDefaultPlan checks that the default grid has what any claim must be compared
// with, and nothing that the configuration does not know.
func TestDefaultPlan(t *testing.T) {
	systems := make(map[string]int)
	for _, p := range points(t, string(sweep.DefaultPlan)) {
		systems[p.System]++
		systems[p.Series]++
	}
	for _, name := range []string{sweep.SystemMaxSim, sweep.SystemBM25, sweep.SystemRerank, sweep.SystemHybrid, "first", "random", "icf", "budget", "depth", "codec"} {
		if systems[name] == 0 {
			t.Errorf("the default grid has no %s", name)
		}
	}
}

// TestReadPlanAliases: values that stand for others, and keys with nothing behind them.
func TestReadPlanAliases(t *testing.T) {
	plan, err := sweep.ReadPlan(strings.NewReader(`
base: &probe {search.plan: probe}
baseline:
blocks:
  - name: a
    system:
    with: *probe
    vary: &axes
      search.budget: &values [&few 500, 1000]
      search.depth: [*few]
  - {name: b, vary: *axes}
  - {name: c, vary: {search.cells: *values}}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := &sweep.Plan{Base: sweep.Setting{{Key: "search.plan", Value: "probe"}}}
	axes := sweep.Grid{{Key: "search.budget", Values: []string{"500", "1000"}}, {Key: "search.depth", Values: []string{"500"}}}
	want.Blocks = []sweep.Block{
		{Name: "a", System: sweep.SystemMaxSim, With: want.Base, Vary: axes},
		{Name: "b", System: sweep.SystemMaxSim, Vary: axes},
		{Name: "c", System: sweep.SystemMaxSim, Vary: sweep.Grid{{Key: "search.cells", Values: []string{"500", "1000"}}}},
	}
	if !reflect.DeepEqual(plan, want) {
		t.Errorf("got %+v, want %+v", plan, want)
	}
}

func TestReadPlanRefuses(t *testing.T) {
	for grid, says := range map[string]string{
		"":                                         "it is empty, want base, baseline or blocks",
		"# nothing":                                "it is empty",
		"blocks: []":                               "no blocks",
		"- a":                                      "line 1: want the keys base, baseline or blocks",
		"hello":                                    "line 1: want the keys base, baseline or blocks",
		"blocks: [":                                "line 1",
		"base: {}\nblock: []":                      `line 2: unknown key "block", want base, baseline or blocks`,
		"blocks: {a: b}":                           "line 1: want a list of blocks, each with a name",
		"blocks: [a]":                              "line 1: want the keys name, system, with or vary",
		"blocks: [{name: [a]}]":                    "line 1: want a single value",
		"blocks: [{name: a, name: b}]":             "line 1: name stands twice",
		"blocks: [{vary: {search.k: [1]}}]":        "block 1 has no name",
		"blocks: [{name: a}, {name: a}]":           `two blocks are called "a"`,
		"blocks: [{name: a, system: x}]":           `system "x"`,
		"blocks: [{name: a, vary: [1]}]":           "line 1: want settings with values",
		"blocks: [{name: a, vary: {k: []}}]":       "line 1: k has no values",
		"blocks: [{name: a, vary: {k: [[]]}}]":     "line 1: want a single value",
		"blocks:\n- name: a\n  wiht: {k: 1}":       `line 3: unknown key "wiht", want name, system, with or vary`,
		"blocks:\n- name: a\n  with: {k: 1, k: 2}": "line 3: k stands twice",
		"blocks: [{name: a, with: {k: 1}, vary: {k: [1, 2]}}]": "under with and under vary",
	} {
		_, err := sweep.ReadPlan(strings.NewReader(grid))
		if !errors.Is(err, sweep.ErrPlan) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: error %v, want one with %q", grid, err, says)
		}
	}
	_, err := sweep.ReadPlan(strings.NewReader("bas: 1\nblocks:\n- {nam: a,\n   vray: {}}\n"))
	for _, says := range []string{`line 1: unknown key "bas"`, `line 3: unknown key "nam"`, `line 4: unknown key "vray"`} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("several faults: error %v, want one with %q", err, says)
		}
	}
	plan, err := sweep.ReadPlan(strings.NewReader("blocks: [{name: a, vary: {search.bugdet: [1]}}]"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plan.Points(configs.Default().Reduce); !errors.Is(err, sweep.ErrPlan) || !errors.Is(err, configs.ErrUnknownKey) {
		t.Errorf("unknown key: error %v", err)
	}
}
