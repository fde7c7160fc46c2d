package index

import (
	"flag"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/simd"
)

var updateGolden = flag.Bool("update-golden", false, "write the golden index of this version, if it is not there yet")

// goldenVersion names the golden index of this version. Whoever changes a format
// gives it another name and writes one more index; the older ones stay, for
// this package must go on reading them. Until the first release one that cannot
// be read any more may be removed instead.
const goldenVersion = "2"

const goldenDim = 8

// goldenDocuments are what every golden index holds: those of three commits,
// less the deleted ones.
func goldenDocuments() (commits [3][]Document, deleted []string) {
	rng := rand.New(rand.NewPCG(1, 60))
	for i := range commits {
		commits[i] = randomDocuments(rng, 8, goldenDim, true)
		for j := range commits[i] {
			commits[i][j].ID = fmt.Sprintf("%d-%s\x00\xff", i, commits[i][j].ID)
		}
	}
	return commits, []string{commits[0][1].ID, commits[1][2].ID}
}

// goldenEncoder is the saved encoder of a golden index: from version 2 on it takes
// more than one block, and so has a checksum for each.
func goldenEncoder(version string) string {
	if version == "1" {
		return "an encoder"
	}
	return strings.Repeat("an encoder\n", 2000)
}

// writeGolden makes an index with every kind of file and section: two codebooks,
// an encoder, a pruner that keeps all, refinements, texts, deletes of two commits.
func writeGolden(t *testing.T, dir string) {
	t.Helper()
	commits, deleted := goldenDocuments()
	options := smallOptions(goldenDim, codec.Residual2)
	options.Codec.Cells, options.Refine = 5, true
	w := must[*Writer](t)(Create(dir, options, CreateOptions{
		EncoderKind: "test", EncoderData: []byte(goldenEncoder(goldenVersion)),
		Pruner: fitPruner(t, "first:100", nil),
	}))
	for i, documents := range commits {
		check(t, w.Add(t.Context(), documents...))
		check(t, w.Commit(t.Context()))
		if i == 0 {
			retrainNow(t, w)
		}
	}
	for _, id := range deleted {
		must[int](t)(w.Delete(id))
		check(t, w.Commit(t.Context()))
	}
	check(t, w.Close())
	check(t, os.Remove(filepath.Join(dir, lockName)))
}

// TestGolden opens indexes that earlier versions wrote, searches them and goes on
// with them.
func TestGolden(t *testing.T) {
	folder := filepath.Join("testdata", "golden")
	current := filepath.Join(folder, goldenVersion)
	if *updateGolden && !exists(current) {
		writeGolden(t, current)
	}
	entries := must[[]os.DirEntry](t)(os.ReadDir(folder))
	if !slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == goldenVersion }) {
		t.Fatalf("there is no golden index of this version: go test -run TestGolden -update-golden")
	}
	for _, entry := range entries {
		t.Run(entry.Name(), func(t *testing.T) { testGolden(t, filepath.Join(folder, entry.Name())) })
	}
}

func testGolden(t *testing.T, dir string) {
	commits, deleted := goldenDocuments()
	want := make(map[string]Document)
	for _, d := range slices.Concat(commits[:]...) {
		if !slices.Contains(deleted, d.ID) {
			want[d.ID] = d
		}
	}
	before := readDir(t, dir)
	check(t, Verify(dir))
	s := open(t, dir)
	compareGolden(t, s, want)
	if len(s.mixed) != 2 {
		t.Errorf("%d codebooks", len(s.mixed))
	}
	if kind, data, err := s.Encoder(); kind != "test" || string(data) != goldenEncoder(filepath.Base(dir)) || err != nil {
		t.Errorf("the encoder %q, %d bytes, %v", kind, len(data), err)
	}
	if exists(filepath.Join(dir, lockName)) || !maps.EqualFunc(readDir(t, dir), before, slices.Equal) {
		t.Error("reading has changed the index")
	}

	copied := filepath.Join(t.TempDir(), "copy")
	must[BackupStats](t)(Backup(t.Context(), dir, copied, BackupOptions{Copy: true}))
	w := must[*Writer](t)(OpenWriter(copied))
	more := Document{ID: "more", Tokens: randomTokens(rand.New(rand.NewPCG(2, 60)), 4, goldenDim, true), Text: "more"}
	check(t, w.Update(t.Context(), more))
	check(t, w.Commit(t.Context()))
	check(t, w.Merge(t.Context()))
	check(t, w.Close())
	want[more.ID] = more
	check(t, Verify(copied))
	compareGolden(t, open(t, copied), want)
}

// compareGolden compares texts, and scores with MaxSim of the documents themselves,
// from which refinements differ by their rounding.
func compareGolden(t *testing.T, s *Snapshot, want map[string]Document) {
	t.Helper()
	if s.LiveDocuments() != len(want) {
		t.Errorf("%d documents, want %d", s.LiveDocuments(), len(want))
	}
	query := randomTokens(rand.New(rand.NewPCG(3, 60)), 3, goldenDim, false).Vectors
	hits, _, err := NewSearcher(s).Search(t.Context(), simd.PackQuery(query), querypruner.Selection{}, SearchOptions{K: 100, Plan: Exhaustive, Refine: 100})
	check(t, err)
	found := make(map[string]float64)
	for _, hit := range hits {
		found[hit.ID] = float64(hit.Score)
	}
	for id, d := range want {
		number, ok, err := s.Lookup(id)
		if err != nil || !ok {
			t.Fatalf("%q is not found: %v", id, err)
		}
		if text := must[string](t)(s.Text(number)); text != d.Text {
			t.Errorf("%q has the text %q, want %q", id, text, d.Text)
		}
		score, ok := found[id]
		if ok != (d.Tokens.Vectors.Rows > 0) {
			t.Errorf("%q with %d vectors is a hit: %v", id, d.Tokens.Vectors.Rows, ok)
		}
		if ok && math.Abs(score-plainMaxSim(query, d.Tokens)) > 0.05 {
			t.Errorf("%q scores %v, want %v", id, score, plainMaxSim(query, d.Tokens))
		}
		delete(found, id)
	}
	if len(found) > 0 {
		t.Errorf("hits that should not be there: %v", strings.Join(slices.Collect(maps.Keys(found)), ", "))
	}
}
