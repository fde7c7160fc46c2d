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
