package durable

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestPatiently: what is in the way for a moment is waited for, what stays is told
// in the end, and what is no such thing at once.
func TestPatiently(t *testing.T) {
	inTheWay, other := errors.New("in the way"), errors.New("other")
	busy := func(err error) bool { return errors.Is(err, inTheWay) }
	for name, test := range map[string]struct {
		until        time.Duration // it is in the way
		then, want   error
		least, worst time.Duration
	}{
		"never":    {0, nil, nil, 0, 0},
		"a moment": {100 * time.Millisecond, nil, nil, 100 * time.Millisecond, 300 * time.Millisecond},
		"for good": {time.Hour, nil, inTheWay, patience, 3 * patience},
		"other":    {0, other, other, 0, 0},
		"and then": {time.Millisecond, other, other, time.Millisecond, 10 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			err := patiently(func() error {
				if time.Since(start) < test.until {
					return inTheWay
				}
				return test.then
			}, busy)
			if took := time.Since(start); !errors.Is(err, test.want) || took < test.least || took > test.worst {
				t.Errorf("%s: %v after %v, want %v after %v to %v", name, err, took, test.want, test.least, test.worst)
			}
		})
	}
}
