package index

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/pare-search/pare/index/codec"
)

// TestEstimateGrowsWithWork checks the order that tuning relies on.
func TestEstimateGrowsWithWork(t *testing.T) {
	snapshot := open(t, build(t, smallOptions(16, codec.Residual2), randomDocuments(rand.New(rand.NewPCG(1, 2)), 40, 16, true)))
	base := Stats{Plan: Probe, Rows: 8, Postings: 100, DocumentsRanked: 50, TokenPairs: 1000}
	least := base.Estimate(snapshot)
	if least <= 0 {
		t.Fatalf("estimate %v", least)
	}
	for name, more := range map[string]func(*Stats){
		"rows":     func(s *Stats) { s.Rows += 8 },
		"postings": func(s *Stats) { s.Postings += 100 },
		"ranked":   func(s *Stats) { s.DocumentsRanked += 100 },
		"pairs":    func(s *Stats) { s.TokenPairs += 1000 },
		"refined":  func(s *Stats) { s.DocumentsRefined += 100 },
	} {
		stats := base
		more(&stats)
		if got := stats.Estimate(snapshot); got <= least {
			t.Errorf("more %s: %v, without %v", name, got, least)
		}
	}
	if got := (Stats{}).Estimate(snapshot); got != 0 {
		t.Errorf("no search takes %v", got)
	}
}

// TestFingerprint: the same bytes have one fingerprint, another commit another.
func TestFingerprint(t *testing.T) {
	documents := randomDocuments(rand.New(rand.NewPCG(1, 2)), 40, 16, true)
	options := smallOptions(16, codec.Residual2)
	dir := build(t, options, documents)
	first := open(t, dir).Fingerprint()
	if len(first) != 16 {
		t.Errorf("fingerprint %q", first)
	}
	if again := open(t, build(t, options, documents)).Fingerprint(); again != first {
		t.Errorf("the same index built twice: %s and %s", first, again)
	}
	copied := filepath.Join(t.TempDir(), "copy")
	check(t, os.CopyFS(copied, os.DirFS(dir)))
	if got := open(t, copied).Fingerprint(); got != first {
		t.Errorf("a copy: %s and %s", first, got)
	}
	w := must[*Writer](t)(OpenWriter(dir))
	must[int](t)(w.Delete(documents[0].ID))
	check(t, w.Commit(t.Context()))
	check(t, w.Close())
	if got := open(t, dir).Fingerprint(); got == first {
		t.Error("a commit left the fingerprint as it was")
	}
}
