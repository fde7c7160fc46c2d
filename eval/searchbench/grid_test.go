package searchbench_test

import (
	"errors"
	"testing"

	"github.com/pare-search/pare/eval/searchbench"
	"github.com/pare-search/pare/index"
)

func TestParseGrid(t *testing.T) {
	settings, err := searchbench.ParseGrid("budget=2000,4000 depth=128,256 margin=0.25 prune=icf:4 plan=auto k=10 neighbors=7")
	must(t, err)
	var got [][2]int
	for _, s := range settings {
		got = append(got, [2]int{s.Options.Budget, s.Options.Depth})
		if o := s.Options; o.MarginShare != 0.25 || o.Plan != index.Auto || o.K != 10 || o.Neighbors != 7 || s.Pruner.String() != "icf:4" {
			t.Errorf("setting %+v", s)
		}
		again, err := searchbench.ParseGrid(s.String())
		must(t, err)
		if len(again) != 1 || again[0].String() != s.String() {
			t.Errorf("%q is read back as %v", s, again)
		}
	}
	want := [][2]int{{2000, 128}, {2000, 256}, {4000, 128}, {4000, 256}}
	if len(got) != len(want) {
		t.Fatalf("%v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("%v, want %v", got, want)
		}
	}
}

func TestParseGridErrors(t *testing.T) {
	for _, grid := range []string{
		"budget", "budget=", "budget=many", "budget=1 budget=2", "speed=9", "plan=fast",
		"depth=-1", "margin=2", "prune=best:3", "k=1,x",
	} {
		if settings, err := searchbench.ParseGrid(grid); !errors.Is(err, searchbench.ErrInvalid) {
			t.Errorf("%q: settings %v, error %v", grid, settings, err)
		}
	}
}

func TestDefaultGrids(t *testing.T) {
	settings, err := searchbench.ParseGrids(searchbench.DefaultGrids)
	must(t, err)
	names := make(map[string]bool)
	for _, s := range settings {
		names[s.String()] = true
	}
	if len(settings) < 2 || len(names) != len(settings) {
		t.Errorf("%d names for %d settings", len(names), len(settings))
	}
	must(t, searchbench.DefaultOptions().Validate())
	if _, err := searchbench.ParseGrids([]string{"", "depth=x"}); !errors.Is(err, searchbench.ErrInvalid) {
		t.Errorf("a wrong grid among others: error %v", err)
	}
	if s, err := searchbench.ParseGrid(""); err != nil || len(s) != 1 {
		t.Errorf("the empty grid is %v, error %v", s, err)
	}
}
