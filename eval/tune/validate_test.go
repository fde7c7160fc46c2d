package tune_test

import (
	"strings"
	"testing"

	"github.com/pare-search/pare/eval/tune"
)

// TestCertificateContradicts edits a certificate so that it contradicts itself.
func TestCertificateContradicts(t *testing.T) {
	good := tune.Certificate{
		Target: "recall@10>=0.95", Confidence: 0.95, Queries: 100, Kept: 0.98, Bound: 0.955, P: 0.02,
		Certified: []string{"search.budget=500"}, Collections: []tune.Mark{{Name: "c", Index: "1234"}},
	}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for want, edit := range map[string]func(*tune.Certificate){
		"kept: 0.94 does not meet the target": func(c *tune.Certificate) { c.Kept, c.Bound = 0.94, 0.93 },
		"bound: 0.99 is more than the 0.98":   func(c *tune.Certificate) { c.Bound = 0.99 },
		"p: 0.06 is above 1 - confidence":     func(c *tune.Certificate) { c.P = 0.06 },
		"certified: want at least one":        func(c *tune.Certificate) { c.Certified = nil },
		"collections: want at least one":      func(c *tune.Certificate) { c.Collections = nil },
	} {
		edited := good
		edit(&edited)
		if err := edited.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
