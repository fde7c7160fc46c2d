package tune

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ErrOtherIndex reports a certificate that was made on another index.
var ErrOtherIndex = errors.New("tune: the certificate is for another index")

// Certificate is the section certificate of a tuned configuration file.
type Certificate struct {
	Target     string  `yaml:"target" mapstructure:"target"`
	Baseline   string  `yaml:"baseline" mapstructure:"baseline"` // what counts as the unpruned search
	Confidence float64 `yaml:"confidence" mapstructure:"confidence"`
	Minimise   string  `yaml:"minimise" mapstructure:"minimise"`
	Method     string  `yaml:"method" mapstructure:"method"`
	// Queries were tested; Made of all were made of documents; Tuned were
	// searched with Settings settings, of which those of the path, up to the
	// chosen one, were Tested.
	Queries  int `yaml:"queries" mapstructure:"queries"`
	Made     int `yaml:"made" mapstructure:"made"`
	Tuned    int `yaml:"tuned" mapstructure:"tuned"`
	Settings int `yaml:"settings" mapstructure:"settings"`
	Tested   int `yaml:"tested" mapstructure:"tested"`
	// Kept is what the tested queries kept on average, Bound what queries like
	// them keep at least: see Outcome.
	Kept  float64 `yaml:"kept" mapstructure:"kept"`
	Bound float64 `yaml:"bound" mapstructure:"bound"`
	P     float64 `yaml:"p" mapstructure:"p"`
	Seed  uint64  `yaml:"seed" mapstructure:"seed"`
	// Certified are the assignments that it holds for, as "search.budget=2000".
	Certified []string `yaml:"certified" mapstructure:"certified"`
	// Collections say on what it was made.
	Collections []Mark `yaml:"collections" mapstructure:"collections"`
}

// Mark tells a collection and its index from others.
type Mark struct {
	Name      string `yaml:"name" mapstructure:"name"`
	Documents int    `yaml:"documents" mapstructure:"documents"`
	Queries   string `yaml:"queries" mapstructure:"queries"` // Sample.Fingerprint
	Index     string `yaml:"index" mapstructure:"index"`     // index.Snapshot.Fingerprint
}

// Certificate states what the chosen setting promises. The error says that none
// was certified.
func (r *Report) Certificate() (Certificate, error) {
	chosen := r.Chosen()
	if chosen == nil {
		return Certificate{}, errNothing
	}
	c := Certificate{
		Target: r.Target.String(), Baseline: r.Baseline, Confidence: r.Confidence, Minimise: string(r.Minimise), Method: r.Method,
		Settings: r.Settings, Kept: digits(chosen.Testing.Kept), Bound: down(chosen.Testing.Bound), P: digits(chosen.Testing.P), Seed: r.Seed,
	}
	c.Tuned, c.Queries, c.Made = r.Queries()
	for _, step := range r.Path {
		if step.Testing != nil {
			c.Tested++
		}
	}
	for _, a := range chosen.Setting {
		c.Certified = append(c.Certified, a.Key+"="+a.Value)
	}
	for i, mark := range chosen.indexes {
		mark.Queries = r.Samples[i].Fingerprint
		c.Collections = append(c.Collections, mark)
	}
	return c, nil
}

// digits rounds for people: to four significant digits below the point.
func digits(x float64) float64 {
	text := strconv.FormatFloat(x, 'g', 4, 64)
	rounded, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return x
	}
	return rounded
}

// down rounds to four digits below the point, never up: what is promised must not
// be more than what was shown.
func down(x float64) float64 { return math.Floor(x*1e4) / 1e4 }

// Check fails unless the certificate was made on the index with a fingerprint.
// The error wraps ErrOtherIndex and names the indexes it was made on.
func (c Certificate) Check(fingerprint string, documents int) error {
	var known []string
	for _, mark := range c.Collections {
		if mark.Index == fingerprint {
			return nil
		}
		known = append(known, fmt.Sprintf("%s of %s with %d documents", mark.Index, mark.Name, mark.Documents))
	}
	return fmt.Errorf("%w: certificate.collections.index is %s, the index is %s with %d documents",
		ErrOtherIndex, strings.Join(known, " or "), fingerprint, documents)
}

// Overruled returns the certified assignments that do not hold, as "key=value",
// where value tells the value that is in force.
func (c Certificate) Overruled(value func(key string) string) []string {
	var overruled []string
	for _, assignment := range c.Certified {
		key, certified, _ := strings.Cut(assignment, "=")
		if value(key) != certified {
			overruled = append(overruled, assignment)
		}
	}
	return overruled
}

// Validate reports what no tuner would write. It finds mistakes, not forgeries:
// whoever can write a configuration can write a certificate.
func (c Certificate) Validate() error {
	var faults []error
	target, err := ParseTarget(c.Target)
	if err != nil {
		faults = append(faults, err)
	}
	if err == nil && target.kind == recall && c.Kept < 1-target.share {
		faults = append(faults, fmt.Errorf("kept: %v does not meet the target %s", c.Kept, c.Target))
	}
	if c.Bound > c.Kept {
		faults = append(faults, fmt.Errorf("bound: %v is more than the %v that was kept", c.Bound, c.Kept))
	}
	if c.P > 1-c.Confidence {
		faults = append(faults, fmt.Errorf("p: %v is above 1 - confidence", c.P))
	}
	if len(c.Certified) == 0 {
		faults = append(faults, errors.New("certified: want at least one setting"))
	}
	if !(c.Confidence > 0 && c.Confidence < 1) {
		faults = append(faults, fmt.Errorf("confidence: want a share between 0 and 1, got %v", c.Confidence))
	}
	if c.Queries < 1 {
		faults = append(faults, fmt.Errorf("queries: want at least 1, got %d", c.Queries))
	}
	if len(c.Collections) == 0 {
		faults = append(faults, errors.New("collections: want at least one"))
	}
	for _, mark := range c.Collections {
		if mark.Index == "" {
			faults = append(faults, fmt.Errorf("collections: %q has no index", mark.Name))
		}
	}
	return errors.Join(faults...)
}
