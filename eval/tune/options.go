package tune

import (
	"errors"
	"fmt"

	"github.com/pare-search/pare/eval/sweep"
)

// ErrTune reports a question that makes no sense.
var ErrTune = errors.New("tune")

// Cost is what is to be as little as possible.
type Cost string

// The costs.
const (
	// Latency is the time of a search by the model of index.Stats.Estimate.
	Latency Cost = "latency"
	// Bytes is the size of the index, all but stored texts; among indexes of the
	// same size, latency.
	Bytes Cost = "bytes"
)

// Options say what is looked for.
type Options struct {
	Target Target
	// Confidence is the probability, at least, with which a certificate is right.
	Confidence float64
	Minimise   Cost
	// Baseline is the setting of the unpruned search that the target is relative
	// to.
	Baseline sweep.Setting
	// Seed splits the queries.
	Seed uint64
	// Power is the probability with which the number of queries needed should be
	// enough.
	Power float64
	// Workers is the number of queries in work at once, 0 for one per CPU.
	Workers int
	// Progress, if set, is told how far each stage is. It is called from several
	// goroutines.
	Progress func(stage Stage, done, total int)
}

// Stage is a stage of tuning.
type Stage string

// The stages, and what they count.
const (
	Tuning  Stage = "tuning"  // queries, once for each index
	Testing Stage = "testing" // settings of the path; it may end before the last
)

// DefaultOptions looks for the fastest search that keeps 95 % of the unpruned
// first ten, with a confidence of 95 %.
func DefaultOptions() Options {
	return Options{
		Target:     Target{kind: recall, recalled: 10, share: 0.05},
		Confidence: 0.95,
		Minimise:   Latency,
		Baseline:   sweep.Setting{}.With("search.plan", "exhaustive").With("search.prune", "all"),
		Seed:       1,
		Power:      0.8,
	}
}

// Validate reports every option that makes no sense; each error wraps ErrTune.
func (o Options) Validate() error {
	var faults []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("%w: %s", ErrTune, fmt.Sprintf(format, args...)))
		}
	}
	check(o.Target.kind != 0, "no target")
	check(o.Confidence >= 0.5 && o.Confidence < 1, "confidence %v, want 0.5 to below 1", o.Confidence)
	check(o.Minimise == Latency || o.Minimise == Bytes, "cannot minimise %q, want %s or %s", o.Minimise, Latency, Bytes)
	check(o.Power > 0 && o.Power < 1, "power %v, want a probability between 0 and 1", o.Power)
	check(o.Workers >= 0, "%d workers, want 0 or more", o.Workers)
	return errors.Join(faults...)
}

// level is the probability with which a test may be wrong.
func (o Options) level() float64 { return round(1 - o.Confidence) }

// EnoughQueries is how many queries there must be for a target of recall to be
// shown at all, even where nothing is lost: half of them are tested.
func (o Options) EnoughQueries() int { return 2 * fewestTested(o) }
