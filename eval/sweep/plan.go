package sweep

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// DefaultPlan is the grid file that is used where there is no other: every way to
// prune queries at several strengths, budgets, depths, codecs, and what any claim
// must be compared with.
//
//go:embed grid.yaml
var DefaultPlan []byte

// ErrPlan reports a grid file that makes no sense.
var ErrPlan = errors.New("sweep: bad grid")

// What a block searches.
const (
	SystemMaxSim = "maxsim" // the index
	SystemBM25   = "bm25"   // the texts
	SystemRerank = "rerank" // by MaxSim, the first search.depth results of BM25
	SystemHybrid = "hybrid" // both, their standardised scores added up
)

var systems = []string{SystemMaxSim, SystemBM25, SystemRerank, SystemHybrid}

// Plan spans the settings of a study.
type Plan struct {
	// Base is what every setting has unless it says otherwise.
	Base Setting
	// Baseline is what all settings are compared with.
	Baseline Setting
	Blocks   []Block
}

// Block spans settings: all combinations of the values of Vary, with With.
type Block struct {
	Name   string
	System string
	With   Setting
	Vary   Grid
}

// ReadPlan reads a grid file, YAML as DefaultPlan shows it. The error wraps
// ErrPlan and names the line.
func ReadPlan(r io.Reader) (*Plan, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	var file struct {
		Base     assignments `yaml:"base"`
		Baseline assignments `yaml:"baseline"`
		Blocks   []struct {
			Name   string      `yaml:"name"`
			System string      `yaml:"system"`
			With   assignments `yaml:"with"`
			Vary   axes        `yaml:"vary"`
		} `yaml:"blocks"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		return nil, fmt.Errorf("%w: %s", ErrPlan, strings.Join(strings.Fields(err.Error()), " "))
	}
	plan := &Plan{Base: Setting(file.Base), Baseline: Setting(file.Baseline)}
	for _, b := range file.Blocks {
		if b.System == "" {
			b.System = SystemMaxSim
		}
		plan.Blocks = append(plan.Blocks, Block{b.Name, b.System, Setting(b.With), Grid(b.Vary)})
	}
	return plan, plan.Validate()
}

// Validate reports every block that makes no sense.
func (p *Plan) Validate() error {
	var faults []error
	if len(p.Blocks) == 0 {
		faults = append(faults, fmt.Errorf("%w: no blocks", ErrPlan))
	}
	names := make(map[string]bool)
	for i, b := range p.Blocks {
		switch {
		case b.Name == "":
			faults = append(faults, fmt.Errorf("%w: block %d has no name", ErrPlan, i+1))
		case names[b.Name]:
			faults = append(faults, fmt.Errorf("%w: two blocks are called %q", ErrPlan, b.Name))
		}
		names[b.Name] = true
		if !slices.Contains(systems, b.System) {
			faults = append(faults, fmt.Errorf("%w: block %q: system %q, want one of %s", ErrPlan, b.Name, b.System, strings.Join(systems, ", ")))
		}
		for _, axis := range b.Vary {
			if _, fixed := b.With.Value(axis.Key); fixed {
				faults = append(faults, fmt.Errorf("%w: block %q: %s is under with and under vary", ErrPlan, b.Name, axis.Key))
			}
		}
	}
	return errors.Join(faults...)
}

// Point is a setting of a study with its place in the report.
type Point struct {
	Name, Series, System string
	Setting              Setting
	Row, Column          string // in the heat map, of a block that varies index and search
}

// baselineName is the name of the point that all are compared with.
const baselineName = "unpruned"

// Points returns the settings of the plan, the baseline first. Reduce writes a
// setting in its shortest form, equal for settings that mean the same: of those,
// the first is taken.
func (p *Plan) Points(reduce func(Setting) (Setting, error)) ([]Point, error) {
	first := Point{Name: baselineName, Series: baselineName, System: SystemMaxSim}
	points := []Point{first}
	place := make(map[string]int) // of a setting among the points
	named := map[string]bool{baselineName: true}
	var err error
	if points[0].Setting, err = reduce(merge(p.Base, p.Baseline)); err != nil {
		return nil, fmt.Errorf("%w: baseline: %w", ErrPlan, err)
	}
	place[SystemMaxSim+" "+points[0].Setting.String()] = 0
	for _, b := range p.Blocks {
		crossed := b.crossed()
		for _, vary := range b.Vary.Settings() {
			point := Point{Name: label(vary, b.Vary), Series: b.Name, System: b.System}
			if point.Setting, err = reduce(merge(merge(p.Base, b.With), vary)); err != nil {
				return nil, fmt.Errorf("%w: block %q: %w", ErrPlan, b.Name, err)
			}
			if b.System == SystemBM25 {
				point.Setting = nil
			}
			if crossed {
				point.Row, point.Column = label(vary.Index(), b.Vary), label(vary.Search(), b.Vary)
				point.Series = b.Name + ", " + point.Row
			}
			if point.Name == "" || b.System != SystemMaxSim && point.Name != b.Name {
				point.Name = strings.TrimSpace(b.Name + " " + point.Name)
			}
			key := b.System + " " + point.Setting.String()
			if i, known := place[key]; known {
				if crossed && points[i].Row == "" {
					points[i].Row, points[i].Column = point.Row, point.Column
				}
				continue
			}
			if named[point.Name] {
				point.Name = b.Name + ": " + point.Name
			}
			if named[point.Name] {
				return nil, fmt.Errorf("%w: two settings are called %q", ErrPlan, point.Name)
			}
			named[point.Name] = true
			place[key] = len(points)
			points = append(points, point)
		}
	}
	return points, nil
}

// crossed tells whether the block varies both what shapes the index and how it is
// searched.
func (b Block) crossed() bool {
	var index, search bool
	for _, axis := range b.Vary {
		if len(axis.Values) > 1 {
			isSearch := strings.HasPrefix(axis.Key, searchSection)
			index, search = index || !isSearch, search || isSearch
		}
	}
	return index && search
}

func merge(a, b Setting) Setting {
	for _, assignment := range b {
		a = a.With(assignment.Key, assignment.Value)
	}
	return a
}

// label names a setting by its values in the order of the axes: "residual2, budget
// 500". A number needs the name of its key, a text says enough.
func label(setting Setting, order Grid) string {
	var parts []string
	for _, axis := range order {
		value, varied := setting.Value(axis.Key)
		if !varied {
			continue
		}
		key := strings.ReplaceAll(axis.Key[strings.LastIndexByte(axis.Key, '.')+1:], "_", " ")
		_, err := strconv.ParseFloat(value, 64)
		switch {
		case value == "false":
			value = "no " + key
		case value == "true":
			value = key
		case err == nil:
			value = key + " " + value
		}
		parts = append(parts, value)
	}
	return strings.Join(parts, ", ")
}

// assignments is a YAML mapping of keys to single values.
type assignments Setting

// UnmarshalYAML implements yaml.Unmarshaler.
func (a *assignments) UnmarshalYAML(node *yaml.Node) error {
	var s Setting
	err := eachPair(node, func(key string, value *yaml.Node) error {
		text, err := scalar(value)
		s = s.With(key, text)
		return err
	})
	*a = assignments(s)
	return err
}

// axes is a YAML mapping of keys to values or lists of values, in its order.
type axes Grid

// UnmarshalYAML implements yaml.Unmarshaler.
func (a *axes) UnmarshalYAML(node *yaml.Node) error {
	return eachPair(node, func(key string, value *yaml.Node) error {
		axis := Axis{Key: key}
		values := []*yaml.Node{value}
		if value.Kind == yaml.SequenceNode {
			values = value.Content
		}
		if len(values) == 0 {
			return fmt.Errorf("line %d: %s has no values", value.Line, key)
		}
		for _, v := range values {
			text, err := scalar(v)
			if err != nil {
				return err
			}
			axis.Values = append(axis.Values, text)
		}
		*a = append(*a, axis)
		return nil
	})
}

func eachPair(node *yaml.Node, use func(key string, value *yaml.Node) error) error {
	if node.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: want keys with values", node.Line)
	}
	seen := make(map[string]bool)
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i].Value
		if seen[key] {
			return fmt.Errorf("line %d: %s stands twice", node.Content[i].Line, key)
		}
		seen[key] = true
		if err := use(key, node.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}

func scalar(node *yaml.Node) (string, error) {
	if node.Kind != yaml.ScalarNode {
		return "", fmt.Errorf("line %d: want a single value", node.Line)
	}
	return node.Value, nil
}
