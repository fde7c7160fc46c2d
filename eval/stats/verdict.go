package stats

import "fmt"

// Verdict is the outcome of a comparison with a baseline.
type Verdict int

// The verdicts; the package comment defines them.
const (
	Undecided Verdict = iota
	Equivalent
	Worse
	Better
)

var verdicts = [...]struct{ symbol, ascii, word string }{
	Undecided:  {"?", "?", "undecided"},
	Equivalent: {"≈", "=", "equivalent"},
	Worse:      {"▼", "v", "worse"},
	Better:     {"▲", "^", "better"},
}

// Decide gives the verdict on a 90 % interval of the mean difference and an
// absolute margin. The interval [0, 0], that of systems which agree on every
// query, is equivalent under any margin, even zero.
func Decide(ci90 Interval, margin float64) Verdict {
	lo, hi := ci90[0], ci90[1]
	switch {
	case lo > -margin && hi < margin, lo == 0 && hi == 0:
		return Equivalent
	case hi < 0:
		return Worse
	case lo > 0:
		return Better
	}
	return Undecided
}

// String returns the verdict as one symbol: ≈, ▼, ▲ or ?.
func (v Verdict) String() string {
	if !v.valid() {
		return fmt.Sprintf("Verdict(%d)", int(v))
	}
	return verdicts[v].symbol
}

// ASCII returns the verdict as one ASCII character: =, v, ^ or ?.
func (v Verdict) ASCII() string {
	if !v.valid() {
		return v.String()
	}
	return verdicts[v].ascii
}

// MarshalText returns the verdict as a word: equivalent, worse, better or
// undecided.
func (v Verdict) MarshalText() ([]byte, error) {
	if !v.valid() {
		return nil, fmt.Errorf("stats: no such verdict: %d", int(v))
	}
	return []byte(verdicts[v].word), nil
}

// UnmarshalText reads the word that MarshalText writes.
func (v *Verdict) UnmarshalText(text []byte) error {
	for i, names := range verdicts {
		if names.word == string(text) {
			*v = Verdict(i)
			return nil
		}
	}
	return fmt.Errorf("stats: no such verdict: %q", text)
}

func (v Verdict) valid() bool { return v >= 0 && int(v) < len(verdicts) }
