package simd

import (
	"errors"
	"slices"
	"testing"
)

func TestSetLevelByName(t *testing.T) {
	before := Level()
	levels := Levels()
	if levels[0] != "go" || levels[len(levels)-1] != before {
		t.Errorf("levels %q on a machine of level %q", levels, before)
	}
	for _, name := range levels {
		undo, err := SetLevel(name)
		if err != nil {
			t.Fatal(err)
		}
		if Level() != name {
			t.Errorf("level %q, want %q", Level(), name)
		}
		for _, p := range []PeakLoop{FloatPeak(), Int8Peak()} {
			if hasLoop := p.Run != nil && p.Products > 0; hasLoop != (name != "go") {
				t.Errorf("level %q has peak loop: %v", name, hasLoop)
			}
		}
		undo()
		if Level() != before {
			t.Errorf("level %q after undo, want %q", Level(), before)
		}
	}
	for _, name := range []string{"", "sse", "AVX2"} {
		if _, err := SetLevel(name); !errors.Is(err, ErrLevel) {
			t.Errorf("level %q: error %v", name, err)
		}
	}
	if slices.Contains(levels, "avx512") {
		return
	}
	if _, err := SetLevel("avx512"); !errors.Is(err, ErrLevel) {
		t.Errorf("level beyond the machine's: error %v", err)
	}
}
