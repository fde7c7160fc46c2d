package sweep

import (
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

// ReadPlan reads a grid file, YAML as DefaultPlan shows it. Each error wraps
// ErrPlan and names the line, or the block, and what could stand there.
func ReadPlan(r io.Reader) (*Plan, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return nil, fmt.Errorf("%w: %s", ErrPlan, strings.Join(strings.Fields(err.Error()), " "))
	}
	plan := new(Plan)
	fields := []field{
		{"base", func(value *yaml.Node) error { return readSetting(value, &plan.Base) }},
		{"baseline", func(value *yaml.Node) error { return readSetting(value, &plan.Baseline) }},
		{"blocks", func(value *yaml.Node) error { return readBlocks(value, &plan.Blocks) }},
	}
	if len(document.Content) == 0 {
		return nil, fmt.Errorf("%w: it is empty, want %s", ErrPlan, keysOf(fields))
	}
	if err := readFields(document.Content[0], fields...); err != nil {
		return nil, err
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

// field is a key that a mapping may have, and what reads its value.
type field struct {
	key  string
	read func(value *yaml.Node) error
}

func keysOf(fields []field) string {
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.key
	}
	last := len(keys) - 1
	return strings.Join(keys[:last], ", ") + " or " + keys[last]
}

// readFields reads a mapping that has no other keys than those of fields.
func readFields(node *yaml.Node, fields ...field) error {
	return eachPair(node, "the keys "+keysOf(fields), func(key, value *yaml.Node) error {
		for _, f := range fields {
			if f.key == key.Value {
				return f.read(value)
			}
		}
		return planError(key, "unknown key %q, want %s", key.Value, keysOf(fields))
	})
}

func readBlocks(node *yaml.Node, blocks *[]Block) error {
	items, err := list(node, "a list of blocks, each with a name")
	faults := []error{err}
	for _, item := range items {
		block := Block{System: SystemMaxSim}
		faults = append(faults, readFields(
			item,
			field{"name", func(value *yaml.Node) error { return readText(value, &block.Name) }},
			field{"system", func(value *yaml.Node) error { return readText(value, &block.System) }},
			field{"with", func(value *yaml.Node) error { return readSetting(value, &block.With) }},
			field{"vary", func(value *yaml.Node) error { return readGrid(value, &block.Vary) }},
		))
		*blocks = append(*blocks, block)
	}
	return errors.Join(faults...)
}

// wantSettings says what stands under base, baseline, with and vary.
const wantSettings = "settings with values, such as search.budget: 500"

// readSetting reads a mapping of keys to single values.
func readSetting(node *yaml.Node, setting *Setting) error {
	return eachPair(node, wantSettings, func(key, value *yaml.Node) error {
		var text string
		err := readText(value, &text)
		*setting = setting.With(key.Value, text)
		return err
	})
}

// readGrid reads a mapping of keys to values or lists of values, in its order.
func readGrid(node *yaml.Node, grid *Grid) error {
	return eachPair(node, wantSettings, func(key, value *yaml.Node) error {
		values := []*yaml.Node{value}
		if value := aliased(value); value.Kind == yaml.SequenceNode {
			values = value.Content
		}
		if len(values) == 0 {
			return planError(value, "%s has no values", key.Value)
		}
		axis := Axis{Key: key.Value, Values: make([]string, len(values))}
		for i, v := range values {
			if err := readText(v, &axis.Values[i]); err != nil {
				return err
			}
		}
		*grid = append(*grid, axis)
		return nil
	})
}

// eachPair hands the pairs of a mapping to use, in their order, and returns all
// faults. Nothing at all counts as a mapping without pairs.
func eachPair(node *yaml.Node, want string, use func(key, value *yaml.Node) error) error {
	mapping := aliased(node)
	if isNull(mapping) {
		return nil
	}
	if mapping.Kind != yaml.MappingNode {
		return planError(node, "want %s", want)
	}
	var faults []error
	seen := make(map[string]bool)
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		if seen[key.Value] {
			faults = append(faults, planError(key, "%s stands twice", key.Value))
			continue
		}
		seen[key.Value] = true
		faults = append(faults, use(key, value))
	}
	return errors.Join(faults...)
}

func list(node *yaml.Node, want string) ([]*yaml.Node, error) {
	sequence := aliased(node)
	if sequence.Kind != yaml.SequenceNode && !isNull(sequence) {
		return nil, planError(node, "want %s", want)
	}
	return sequence.Content, nil
}

// readText reads a single value; nothing at all leaves the text as it is.
func readText(node *yaml.Node, text *string) error {
	scalar := aliased(node)
	if isNull(scalar) {
		return nil
	}
	if scalar.Kind != yaml.ScalarNode {
		return planError(node, "want a single value")
	}
	*text = scalar.Value
	return nil
}

// aliased returns the node that an alias stands for, and others as they are.
func aliased(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

func isNull(node *yaml.Node) bool { return node.Tag == "!!null" }

func planError(node *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("%w: line %d: %s", ErrPlan, node.Line, fmt.Sprintf(format, args...))
}
