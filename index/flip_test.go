package index

import (
	"flag"
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

var flips = flag.Int("flips", 300, "how many bytes TestFlips changes")

// TestFlips changes bytes of any file of an index. Verify reports each of them.
// A search does not read checksums of what it scores, which would cost more than
// the scores. It fails and names the file or the document, or it returns hits, of
// which damage in a segment, and only there, may have changed scores and places.
func TestFlips(t *testing.T) {
	documents := randomDocuments(rand.New(rand.NewPCG(1, 90)), 60, 8, true)
	options := smallOptions(8, codec.Residual2)
	options.Refine = true
	dir := build(t, options, documents, documents[3].ID, documents[40].ID)
	query := simd.PackQuery(documents[0].Tokens.Vectors)
	search := func(plan Plan) ([]Hit, error) {
		s, err := Open(dir)
		if err != nil {
			return nil, err
		}
		defer s.Close()
		hits, _, err := NewSearcher(s).Search(t.Context(), query, querypruner.Selection{},
			SearchOptions{K: 10, Plan: plan, Budget: 1 << 20, Depth: AllCandidates, Refine: 20})
		return hits, err
	}
	plans := []Plan{Exhaustive, Interaction, Probe}
	var want [][]Hit
	for _, plan := range plans {
		want = append(want, must[[]Hit](t)(search(plan)))
	}
	files := readDir(t, dir)
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	rng := rand.New(rand.NewPCG(2, 90))
	undetected, failed, same, other := 0, 0, 0, 0
	for i := range *flips {
		name := names[i%len(names)]
		whole := files[name]
		at := rng.IntN(len(whole))
		damaged := slices.Clone(whole)
		damaged[at] ^= byte(1 + rng.IntN(255))
		path := filepath.Join(dir, name)
		check(t, os.WriteFile(path, damaged, 0o644))
		if err := Verify(dir); !isFault(err) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s, byte %d: Verify gives %v", name, at, err)
			undetected++
		}
		for j, plan := range plans {
			hits, err := search(plan)
			switch {
			case err != nil:
				failed++
				if !isFault(err) || !strings.Contains(err.Error(), name) && !strings.Contains(err.Error(), "document") {
					t.Errorf("%s, byte %d, %v: %v", name, at, plan, err)
				}
			case slices.Equal(hits, want[j]):
				same++
			default:
				other++
				if !strings.HasPrefix(name, "segment") {
					t.Errorf("%s, byte %d, %v: %v, want %v", name, at, plan, hits, want[j])
				}
			}
		}
		check(t, os.WriteFile(path, whole, 0o644))
	}
	check(t, Verify(dir))
	t.Logf("%d bytes flipped, %d undetected by Verify; searches: %d failed, %d as before, %d with other scores",
		*flips, undetected, failed, same, other)
}

// TestOlderManifest: a manifest of an earlier commit, put back, names files that
// are gone.
func TestOlderManifest(t *testing.T) {
	documents := randomDocuments(rand.New(rand.NewPCG(3, 90)), 30, 8, true)
	dir := build(t, smallOptions(8, codec.Residual2), documents)
	path := filepath.Join(dir, manifestName)
	old := must[[]byte](t)(os.ReadFile(path))
	w := must[*Writer](t)(OpenWriter(dir))
	must[int](t)(w.Delete(documents[0].ID))
	check(t, w.Commit(t.Context()))
	check(t, w.Merge(t.Context()))
	check(t, w.Close())
	check(t, os.WriteFile(path, old, 0o644))
	for what, err := range map[string]error{"verifying": Verify(dir), "using": use(t, dir)} {
		if !isFault(err) || !strings.Contains(err.Error(), "missing") {
			t.Errorf("%s gives %v", what, err)
		}
	}
}
