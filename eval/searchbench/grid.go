package searchbench

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/querypruner"
)

// Setting is one way to search: which rows probe, and how much work is done.
type Setting struct {
	Pruner  querypruner.Pruner
	Options index.SearchOptions
}

// DefaultSetting finds the best 100 by probing, whatever the planner would
// choose.
func DefaultSetting() Setting {
	options := index.DefaultSearchOptions()
	options.K = 100
	options.Plan = index.Probe
	return Setting{Options: options}
}

// parameter is a number of a Setting by its name in grids. It matters where it
// decides about the work.
type parameter struct {
	name    string
	field   func(*index.SearchOptions) *int
	matters func(index.SearchOptions) bool
}

var parameters = []parameter{
	{"k", func(o *index.SearchOptions) *int { return &o.K }, never},
	{"neighbors", func(o *index.SearchOptions) *int { return &o.Neighbors }, never},
	{
		"budget", func(o *index.SearchOptions) *int { return &o.Budget },
		func(o index.SearchOptions) bool {
			return o.Neighbors == 0 && (o.Plan == index.Probe || o.Plan == index.Auto)
		},
	},
	{
		"depth", func(o *index.SearchOptions) *int { return &o.Depth },
		func(o index.SearchOptions) bool { return o.Plan != index.Exhaustive },
	},
	{"cells", func(o *index.SearchOptions) *int { return &o.Cells }, never},
	{"first", func(o *index.SearchOptions) *int { return &o.FirstRows }, never},
	{
		"refine", func(o *index.SearchOptions) *int { return &o.Refine },
		func(index.SearchOptions) bool { return true },
	},
}

// factors are the other numbers of a Setting.
var factors = []struct {
	name  string
	field func(*index.SearchOptions) *float64
}{
	{"margin", func(o *index.SearchOptions) *float64 { return &o.MarginShare }},
	{"rarity", func(o *index.SearchOptions) *float64 { return &o.RarityPower }},
	{"rank", func(o *index.SearchOptions) *float64 { return &o.RankPower }},
	{"alpha", func(o *index.SearchOptions) *float64 { return &o.Alpha }},
	{"peak", func(o *index.SearchOptions) *float64 { return &o.Peak }},
}

func never(index.SearchOptions) bool { return false }

// String writes the setting as ParseGrid reads it: what decides about the work
// of its plan, and what else is not as in DefaultSetting.
func (s Setting) String() string {
	fallback := DefaultSetting()
	var words []string
	if s.Options.Plan != fallback.Options.Plan {
		words = append(words, "plan="+s.Options.Plan.String())
	}
	for _, p := range parameters {
		if value := *p.field(&s.Options); p.matters(s.Options) || value != *p.field(&fallback.Options) {
			words = append(words, p.name+"="+strconv.Itoa(value))
		}
	}
	for _, f := range factors {
		if value := *f.field(&s.Options); value != *f.field(&fallback.Options) {
			words = append(words, f.name+"="+strconv.FormatFloat(value, 'g', -1, 64))
		}
	}
	if s.Options.Reveal != fallback.Options.Reveal {
		words = append(words, "reveal="+s.Options.Reveal.String())
	}
	if pruner := s.Pruner.String(); pruner != fallback.Pruner.String() {
		words = append(words, "prune="+pruner)
	}
	return strings.Join(words, " ")
}

// set changes one value by its name.
func (s *Setting) set(name, value string) (err error) {
	if i := slices.IndexFunc(parameters, func(p parameter) bool { return p.name == name }); i >= 0 {
		*parameters[i].field(&s.Options), err = strconv.Atoi(value)
		return err
	}
	for _, f := range factors {
		if f.name == name {
			*f.field(&s.Options), err = strconv.ParseFloat(value, 64)
			return err
		}
	}
	switch name {
	case "plan":
		s.Options.Plan, err = index.ParsePlan(value)
	case "reveal":
		s.Options.Reveal, err = index.ParseReveal(value)
	case "prune":
		s.Pruner, err = querypruner.Parse(value)
	default:
		var names []string
		for _, p := range parameters {
			names = append(names, p.name)
		}
		for _, f := range factors {
			names = append(names, f.name)
		}
		return fmt.Errorf("unknown name, want plan, reveal, %s or prune", strings.Join(names, ", "))
	}
	return err
}

// ParseGrid reads settings from a text of names with one or more values, such as
//
//	budget=2000,4000 depth=128,256
//
// and returns all combinations, the last name's values changing fastest; what is
// not named is that of DefaultSetting. Names are plan, k, neighbors, budget,
// depth, cells, refine, peak, reveal, alpha (fields of index.SearchOptions), first,
// margin, rarity, rank (FirstRows, MarginShare, RarityPower, RankPower) and prune (see
// querypruner.Parse). Errors wrap ErrInvalid.
func ParseGrid(text string) ([]Setting, error) {
	settings := []Setting{DefaultSetting()}
	seen := make(map[string]bool)
	for _, word := range strings.Fields(text) {
		name, values, ok := strings.Cut(word, "=")
		if !ok || seen[name] {
			return nil, fmt.Errorf("%w: grid %q: want name=value,value once for each name, found %q", ErrInvalid, text, word)
		}
		seen[name] = true
		var next []Setting
		for _, s := range settings {
			for value := range strings.SplitSeq(values, ",") {
				changed := s
				if err := changed.set(name, value); err != nil {
					return nil, fmt.Errorf("%w: grid %q: %s=%s: %w", ErrInvalid, text, name, value, err)
				}
				next = append(next, changed)
			}
		}
		settings = next
	}
	for _, s := range settings {
		if err := s.Options.Validate(); err != nil {
			return nil, fmt.Errorf("%w: grid %q: %w", ErrInvalid, text, err)
		}
	}
	return settings, nil
}

// DefaultGrids are wide enough to show where each level of recall begins, with
// a budget, by centroid interaction of all documents, and unpruned.
var DefaultGrids = []string{
	"budget=500,1000,1500,2000,3000,4000,8000,16000 depth=100,200,512",
	"plan=interaction depth=200,512",
	"neighbors=50,100,200,400 depth=200",
}

// ParseGrids joins the settings of several grids.
func ParseGrids(grids []string) ([]Setting, error) {
	var settings []Setting
	for _, grid := range grids {
		some, err := ParseGrid(grid)
		if err != nil {
			return nil, err
		}
		settings = append(settings, some...)
	}
	return settings, nil
}
