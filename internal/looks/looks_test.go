package looks

import (
	"context"
	"errors"
	"testing"
	"time"
)

// work keeps the processor busy for so long.
func work(d time.Duration) {
	for begin := spent(); spent()-begin < d; {
	}
}

// TestMeasure: a function that looks every now and then, and once after a longer
// time, gives that time and its place.
func TestMeasure(t *testing.T) {
	const long = 20 * time.Millisecond
	w, err := Measure(t.Context(), 3, func(ctx context.Context) error {
		for i := range 10 {
			work(time.Millisecond)
			if i == 6 {
				work(long)
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if w.Looks != 10 || w.At != 6 || w.Longest < long || w.Longest > 3*long {
		t.Errorf("%v, want 10 looks and %v before the seventh", w, long)
	}
	failed := errors.New("failed")
	if _, err := Measure(t.Context(), 3, func(context.Context) error { return failed }); !errors.Is(err, failed) {
		t.Errorf("error %v, want %v", err, failed)
	}
}

// TestEnding: a context ends at its look and stays ended, or with its parent.
func TestEnding(t *testing.T) {
	ctx := Ending(t.Context(), 3)
	for look, want := range []error{nil, nil, context.Canceled, context.Canceled} {
		if err := ctx.Err(); !errors.Is(err, want) {
			t.Errorf("look %d: %v, want %v", look+1, err, want)
		}
	}
	parent, cancel := context.WithCancel(t.Context())
	ctx = Ending(parent, 0)
	if err := ctx.Err(); err != nil {
		t.Error(err)
	}
	if cancel(); !errors.Is(ctx.Err(), context.Canceled) {
		t.Error("it outlasts its parent")
	}
}
