package index

import (
	"flag"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/simd"
)

var flips = flag.Int("flips", 300, "how many bytes TestFlips changes, of one section after the other")

// answer is what an index says: hits, their texts and numbers.
type answer struct {
	hits      []Hit
	texts     []string
	documents []uint32
}

func (a answer) equal(b answer) bool {
	return slices.Equal(a.hits, b.hits) && slices.Equal(a.texts, b.texts) && slices.Equal(a.documents, b.documents)
}

// ask opens an index, prunes and searches, and reads the texts of the hits.
func ask(t *testing.T, dir string, query encoder.Tokens, pruner querypruner.Pruner, plan Plan) (a answer, err error) {
	s, err := Open(dir)
	if err != nil {
		return a, err
	}
	defer s.Close()
	statistics, err := s.Statistics()
	if err != nil {
		return a, err
	}
	selection, err := pruner.Select(query, statistics)
	if err != nil {
		return a, err
	}
	a.hits, _, err = NewSearcher(s).Search(t.Context(), simd.PackQuery(selection.Vectors), selection,
		SearchOptions{K: 10, Plan: plan, Budget: 400, RarityPower: 1, MarginShare: 0.5, Depth: 100, Refine: 20})
	if err != nil {
		return a, err
	}
	for _, hit := range a.hits {
		text, err := s.Text(hit.Document)
		if err != nil {
			return a, err
		}
		document, found, err := s.Lookup(hit.ID)
		if err != nil {
			return a, err
		}
		if !found {
			t.Errorf("%q is not found", hit.ID)
		}
		a.texts, a.documents = append(a.texts, text), append(a.documents, document)
	}
	return a, nil
}

// TestFlips changes bytes of every section of every file of an index, and of what
// is around them. Verify reports each of them. What is asked of the index after
// that fails and names the file and the section, or it gives what it gives
// without.
func TestFlips(t *testing.T) {
	documents := randomDocuments(rand.New(rand.NewPCG(1, 90)), 1500, 8, true)
	options := smallOptions(8, codec.Residual2)
	options.Refine = true
	options.SegmentBytes = 40 << 10
	dir := filepath.Join(t.TempDir(), "index")
	w := must[*Writer](t)(Create(dir, options, CreateOptions{
		EncoderKind: "test", EncoderData: []byte("an encoder"), Pruner: fitPruner(t, "first:10", nil),
	}))
	check(t, w.Add(t.Context(), documents...))
	check(t, w.Commit(t.Context()))
	must[int](t)(w.Delete(documents[3].ID, documents[400].ID))
	check(t, w.Commit(t.Context()))
	check(t, w.Close())
	payloads, err := open(t, dir).parts[0].file.lazy("payloads", payloadsVersion)
	if check(t, err); len(payloads.data) <= blockSize {
		t.Fatalf("the payloads have %d bytes", len(payloads.data))
	}
	t.Run("index", func(t *testing.T) { testFlips(t, dir, documents[0].Tokens, *flips) })
	// Golden indexes have two codebooks, and the first is of another container version.
	for _, version := range []string{"1", goldenVersion} {
		t.Run("golden "+version, func(t *testing.T) {
			copied := filepath.Join(t.TempDir(), "copy")
			must[BackupStats](t)(Backup(t.Context(), filepath.Join("testdata", "golden", version), copied, BackupOptions{Copy: true}))
			commits, _ := goldenDocuments()
			testFlips(t, copied, commits[1][0].Tokens, *flips/3)
		})
	}
}

func testFlips(t *testing.T, dir string, query encoder.Tokens, flips int) {
	pruner := must[querypruner.Pruner](t)(querypruner.Parse("idf:4"))
	plans := []Plan{Exhaustive, Interaction, Probe}
	var want []answer
	for _, plan := range plans {
		want = append(want, must[answer](t)(ask(t, dir, query, pruner, plan)))
	}
	files := readDir(t, dir)
	type place struct {
		file    File
		section string // "" for the frame
		offsets []int  // of its bytes
	}
	var places []place
	for _, file := range must[Info](t)(open(t, dir).Inspect()).Files {
		all := make(map[string]*place)
		for at := range files[file.Name] {
			name := sectionAt(file, int64(at))
			if all[name] == nil {
				all[name] = &place{file: file, section: name}
			}
			all[name].offsets = append(all[name].offsets, at)
		}
		for _, name := range slices.Sorted(maps.Keys(all)) {
			places = append(places, *all[name])
		}
	}
	rng := rand.New(rand.NewPCG(2, 90))
	undetected, failed, same, other := 0, 0, 0, 0
	for i := range flips {
		p := places[i%len(places)]
		name, at := p.file.Name, p.offsets[rng.IntN(len(p.offsets))]
		whole := files[name]
		damaged := slices.Clone(whole)
		damaged[at] ^= byte(1 + rng.IntN(255))
		path := filepath.Join(dir, name)
		check(t, os.WriteFile(path, damaged, 0o644))
		named := func(err error) bool {
			return isFault(err) && strings.Contains(err.Error(), name) && (p.section == "" || strings.Contains(err.Error(), "section "+p.section))
		}
		if err := Verify(dir); !named(err) {
			t.Errorf("%s, byte %d (%s): Verify gives %v", name, at, p.section, err)
			undetected++
		}
		for j, plan := range plans {
			got, err := ask(t, dir, query, pruner, plan)
			switch {
			case err != nil:
				failed++
				if !named(err) {
					t.Errorf("%s, byte %d (%s), %v: %v", name, at, p.section, plan, err)
				}
			case got.equal(want[j]):
				same++
			default:
				other++
				t.Errorf("%s, byte %d (%s), %v: %v, want %v", name, at, p.section, plan, got, want[j])
			}
		}
		check(t, os.WriteFile(path, whole, 0o644))
	}
	check(t, Verify(dir))
	t.Logf("%d bytes flipped in %d sections and frames, %d undetected by Verify; searches: %d failed and named the place, %d as before, %d with another answer",
		flips, len(places), undetected, failed, same, other)
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
