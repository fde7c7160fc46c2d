package table_test

import (
	"errors"
	"testing"

	"github.com/pare-search/pare/encoder/table"
)

func TestParseSpec(t *testing.T) {
	for _, text := range []string{"opq:16x", "used-rows+bits:2.5x", "group-reduce:1x"} {
		if got, err := table.ParseSpec(text); err != nil || got.String() != text {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "opq", "opq:", "opq:16", "opq:0.5x", "opq:nanx", "opq:infx", "none:4x", "used-rows+used-rows:4x", "used-rows+:2x"} {
		if got, err := table.ParseSpec(text); !errors.Is(err, table.ErrInvalid) {
			t.Errorf("%q: %v, %v, want %v", text, got, err, table.ErrInvalid)
		}
	}
}

// FuzzParseSpec: what is read is read again from what it is written as.
func FuzzParseSpec(f *testing.F) {
	for _, text := range []string{"opq:16x", "pq:1.5x", "used-rows+pq:8x", "pq:1e3x", "pq:0x1p2x", "pq:NaNx", "pq:16", ":x", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := table.ParseSpec(text)
		if err != nil {
			if !errors.Is(err, table.ErrInvalid) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if again, err := table.ParseSpec(s.String()); err != nil || again != s {
			t.Fatalf("%q is %+v, but its form %q is %+v, %v", text, s, s, again, err)
		}
	})
}
