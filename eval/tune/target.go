package tune

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/pare-search/pare/eval"
)

// ErrTarget reports a target that is not understood.
var ErrTarget = errors.New("tune: bad target")

// Target is what a setting must keep of the unpruned search. It is made by
// ParseTarget.
type Target struct {
	kind kind
	// recalled is how many first results of the unpruned search are looked for.
	recalled int
	measure  eval.Measure
	// share is the largest loss: of the results looked for, or of the mean.
	share float64
}

type kind uint8

const (
	recall  kind = iota + 1 // of the unpruned search's first results
	atLeast                 // a share of the unpruned mean
	within                  // a share of the unpruned mean, on both sides
)

const knownTargets = `as in "recall@10>=0.95", "nDCG@10 within 1%" or "nDCG@10>=99%"`

var targetForm = regexp.MustCompile(`^\s*(.+?)\s*(>=|≥|\bwithin\b)\s*([0-9.]+)\s*(%?)\s*$`)

// ParseTarget reads a target:
//
//	recall@10>=0.95    on average, of the first 10 results of the unpruned search
//	                   95 % are among the first 10; overlap@10 means the same
//	nDCG@10 within 1%  the mean differs by less than 1 % from the unpruned one
//	nDCG@10>=99%       the mean is above 99 % of the unpruned one
//
// Measures are those of eval.ParseMeasure. The error wraps ErrTarget.
func ParseTarget(text string) (Target, error) {
	fail := func(format string, args ...any) (Target, error) {
		return Target{}, fmt.Errorf("%w %q: %s", ErrTarget, text, fmt.Sprintf(format, args...))
	}
	parts := targetForm.FindStringSubmatch(text)
	if parts == nil {
		return fail("want a measure and a bound, %s", knownTargets)
	}
	name, relation, percent := parts[1], parts[2], parts[4] == "%"
	bound, err := strconv.ParseFloat(parts[3], 64)
	if err != nil {
		return fail("%q is no number", parts[3])
	}
	if percent {
		bound /= 100
	}
	t := Target{kind: atLeast, share: round(1 - bound)}
	if relation == "within" {
		t.kind, t.share = within, round(bound)
	}
	if !(t.share > 0 && t.share < 1) {
		return fail("the bound must leave some loss and not all, %s", knownTargets)
	}
	if k, ok := recallCutoff(name); ok {
		if t.kind == within {
			return fail("recall is bounded from below, %s", knownTargets)
		}
		if k < 1 {
			return fail("%q needs a number of results, as in recall@10", name)
		}
		t.kind, t.recalled = recall, k
		return t, nil
	}
	if !percent {
		return fail("a measure is bounded relative to the unpruned search, in percent, %s", knownTargets)
	}
	if t.measure, err = eval.ParseMeasure(name); err != nil {
		return fail("%v", err)
	}
	return t, nil
}

// recallCutoff returns k for "recall@k" and "overlap@k", 0 where that is no
// number.
func recallCutoff(name string) (k int, ok bool) {
	for _, prefix := range []string{"recall@", "overlap@"} {
		if digits, found := strings.CutPrefix(strings.ToLower(name), prefix); found {
			k, err := strconv.Atoi(digits)
			if err != nil {
				k = 0
			}
			return k, true
		}
	}
	return 0, false
}

// round forgives what 1 - 0.95 does in binary.
func round(x float64) float64 { return math.Round(x*1e9) / 1e9 }

// String returns the target as ParseTarget reads it.
func (t Target) String() string {
	switch t.kind {
	case recall:
		return fmt.Sprintf("recall@%d>=%v", t.recalled, round(1-t.share))
	case within:
		return fmt.Sprintf("%v within %v%%", t.measure, round(100*t.share))
	case atLeast:
		return fmt.Sprintf("%v>=%v%%", t.measure, round(100*(1-t.share)))
	default:
		return "none"
	}
}

// Labelled tells whether the target needs judged queries.
func (t Target) Labelled() bool { return t.kind != recall }

// CountsMade tells whether queries that were made of documents say something about
// the target: beside their document there must be results to look for.
func (t Target) CountsMade() bool { return t.kind == recall && t.recalled > 1 }

// Share is the largest loss that meets the target: a share of the results, or of
// the mean.
func (t Target) Share() float64 { return t.share }

// Cutoff is how many results the target looks at, 0 for all.
func (t Target) Cutoff() int {
	if t.kind == recall {
		return t.recalled
	}
	return t.measure.Cutoff()
}

// MarshalText writes the target as ParseTarget reads it.
func (t Target) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads a target as ParseTarget does.
func (t *Target) UnmarshalText(text []byte) error {
	parsed, err := ParseTarget(string(text))
	if err != nil {
		return err
	}
	*t = parsed
	return nil
}
