package index

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/internal/durable"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/simd"
)

// counted is a file system that counts what is done to it.
type counted struct {
	durable.FS
	mapped  map[string]int   // files opened, by name
	written map[string]int64 // bytes, by the kind of file
}

func newCounted() *counted {
	c := &counted{FS: durable.OS}
	c.reset()
	return c
}

func (c *counted) reset() { c.mapped, c.written = make(map[string]int), make(map[string]int64) }

func (c *counted) Map(path string) (*durable.Mapping, error) {
	c.mapped[filepath.Base(path)]++
	return c.FS.Map(path)
}

func (c *counted) Create(path string) (durable.File, error) {
	file, err := c.FS.Create(path)
	kind, _, _ := strings.Cut(filepath.Base(path), "-")
	return countedFile{file, c, kind}, err
}

type countedFile struct {
	durable.File
	counted *counted
	kind    string
}

func (f countedFile) Write(data []byte) (int, error) {
	n, err := f.File.Write(data)
	f.counted.written[f.kind] += int64(n)
	return n, err
}

// TestOpeningOpensFilesOnce: opening an index opens each of its files once.
func TestOpeningOpensFilesOnce(t *testing.T) {
	c := newCounted()
	f := folder{c, buildEverything(t, 14)}
	s := must[*Snapshot](t)(f.openSnapshot())
	check(t, s.Close())
	if len(c.mapped) != len(s.files) {
		t.Errorf("opened %v, want %d files", c.mapped, len(s.files))
	}
	for name, n := range c.mapped {
		if n != 1 {
			t.Errorf("%s was opened %d times", name, n)
		}
	}
}

// TestCommitWritesWhatChanged: what a commit writes depends on the change alone.
func TestCommitWritesWhatChanged(t *testing.T) {
	var written []int64
	for _, n := range []int{100, 3000} {
		rng := rand.New(rand.NewPCG(1, 31))
		c := newCounted()
		f := folder{c, filepath.Join(t.TempDir(), "index")}
		options := smallOptions(8, codec.Residual2)
		options.SegmentBytes = 64 << 20
		w := must[*Writer](t)(f.createIndex(options, CreateOptions{}))
		fill(t, w, rng, 8, "", n)
		must[int](t)(w.Delete("doc-050", "doc-051"))
		c.reset()
		must[int](t)(w.Delete("doc-001", "doc-002", "doc-003"))
		check(t, w.Update(t.Context(), Document{ID: "doc-004", Tokens: randomTokens(rng, 5, 8, true)}))
		check(t, w.Commit(t.Context()))
		check(t, w.Close())
		sum := int64(0)
		for kind, bytes := range c.written {
			if kind == "codebook" || kind == "encoder" {
				t.Errorf("%d bytes of %s", bytes, kind)
			}
			sum += bytes
		}
		written = append(written, sum)
	}
	t.Logf("%d bytes", written)
	if written[1] > written[0]+64 { // numbers have more digits
		t.Errorf("%d bytes in an index of 100 documents, %d in one of 3000", written[0], written[1])
	}
}

// TestDeletesAreWrittenFewTimes: one commit for each of n documents writes each
// number a logarithmic number of times, to a logarithmic number of files.
func TestDeletesAreWrittenFewTimes(t *testing.T) {
	const n = 256
	c := newCounted()
	f := folder{c, filepath.Join(t.TempDir(), "index")}
	options := smallOptions(8, codec.Residual2)
	options.SegmentBytes = 64 << 20
	w := must[*Writer](t)(f.createIndex(options, CreateOptions{}))
	fill(t, w, rand.New(rand.NewPCG(2, 31)), 8, "", n+10)
	most, listed := 0, uint64(0)
	for i := range n {
		must[int](t)(w.Delete(fmt.Sprintf("doc-%03d", i)))
		check(t, w.Commit(t.Context()))
		most = max(most, len(w.manifest.Deletes))
		listed += w.manifest.Deletes[len(w.manifest.Deletes)-1].Documents
	}
	check(t, w.Close())
	check(t, Verify(f.dir))
	t.Logf("%d numbers written for %d documents, up to %d files", listed, n, most)
	if log := bits.Len(n); most > log || listed > uint64(n*log) {
		t.Errorf("%d numbers written for %d documents, up to %d files", listed, n, most)
	}
}

// TestMergeIsBounded: merging writes about what it keeps, and its memory does not
// depend on the size of the documents.
func TestMergeIsBounded(t *testing.T) {
	c := newCounted()
	f := folder{c, filepath.Join(t.TempDir(), "index")}
	options := smallOptions(64, codec.Float32)
	options.SegmentBytes, options.StoreText = 1<<20, false
	options.Merge.Growth = 0 // which would code all anew
	w := must[*Writer](t)(f.createIndex(options, CreateOptions{}))
	rng := rand.New(rand.NewPCG(3, 31))
	documents := 0
	for i := range 4 {
		documents += len(fill(t, w, rng, 64, fmt.Sprint(i), 800))
	}
	size := int64(0)
	for _, p := range w.parts {
		size += int64(len(p.file.data))
	}
	c.reset()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	check(t, w.Merge(t.Context()))
	runtime.ReadMemStats(&after)
	check(t, w.Close())
	allocated := int64(after.TotalAlloc - before.TotalAlloc)
	t.Logf("%d bytes merged, %d written, %d allocated, %d documents", size, c.written["segment"], allocated, documents)
	if c.written["segment"] > size {
		t.Errorf("%d bytes were merged, %d written", size, c.written["segment"])
	}
	// A buffer, and for each document a number and its id once.
	if limit := int64(512<<10 + 64*documents); allocated > limit || limit > size/4 {
		t.Errorf("%d bytes allocated to merge %d, want at most %d", allocated, size, limit)
	}
}

// TestSearchTouchesWhatItProbes: the work of a search is bounded by its options,
// whatever the size of the index.
func TestSearchTouchesWhatItProbes(t *testing.T) {
	options := smallOptions(16, codec.Residual2)
	options.Codec.Cells = 256
	options.SegmentBytes = 1 << 20
	search := SearchOptions{K: 10, Plan: Probe, Budget: 200, Depth: 50, Refine: 10, MarginShare: 0.5}
	for _, n := range []int{500, 4000} {
		rng := rand.New(rand.NewPCG(4, 31))
		s := open(t, build(t, options, randomDocuments(rng, n, 16, true)))
		longest := int(slices.Max(must[[]uint32](t)(s.PostingCounts())))
		for range 10 {
			query := simd.PackQuery(randomTokens(rng, 4, 16, false).Vectors)
			_, stats, err := NewSearcher(s).Search(t.Context(), query, querypruner.Selection{}, search)
			check(t, err)
			if stats.Postings > search.Budget+longest || stats.DocumentsRanked > stats.Postings || stats.DocumentsScored > search.Depth {
				t.Errorf("of %d documents: %+v", n, stats)
			}
		}
	}
}

// touched returns how many blocks of 16 KiB were read of segments since they were
// opened, and how many there are.
func touched(segments ...*segment) (read, all int) {
	for _, s := range segments {
		for _, v := range []view{
			s.cells.ends, s.cells.data, s.codes.ends, s.codes.data, s.refined.ends, s.refined.data, s.ids.ends, s.ids.data,
			s.idOrder, s.lists.ends, s.lists.data, s.listCounts, s.text,
		} {
			if v.missing() {
				continue
			}
			first, end := v.start>>blockBits, blocksOf(v.start+uint64(len(v.data)))
			for block := first; block < end; block++ {
				all++
				if v.blocks.has(block) {
					read++
				}
			}
		}
	}
	return read, all
}

// TestOpeningReadsNothing of what grows with the documents: opening a snapshot or a
// writer reads none of it and takes the same memory for many documents as for few,
// and deletes read a logarithmic number of blocks.
func TestOpeningReadsNothing(t *testing.T) {
	var snapshots, writers, deletes []uint64 // bytes allocated
	allocated := func(do func()) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		do()
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	for _, n := range []int{2000, 20_000} {
		options := smallOptions(16, codec.Residual2)
		options.SegmentBytes, options.Refine = 64<<20, true
		documents := randomDocuments(rand.New(rand.NewPCG(5, 31)), n, 16, false)
		for i := range documents {
			documents[i].ID = fmt.Sprintf("doc-%06d", i)
		}
		dir := build(t, options, documents)
		snapshots = append(snapshots, allocated(func() {
			s := must[*Snapshot](t)(Open(dir))
			if read, all := touched(s.parts[0].segment); read > 0 || all < n/1000 || len(s.parts) != 1 {
				t.Errorf("opening %d documents read %d of %d blocks", n, read, all)
			}
			check(t, s.Close())
		}))
		var w *Writer
		writers = append(writers, allocated(func() { w = must[*Writer](t)(OpenWriter(dir)) }))
		if read, all := touched(w.parts[0].segment); read > 0 {
			t.Errorf("a writer of %d documents read %d of %d blocks", n, read, all)
		}
		deletes = append(deletes, allocated(func() {
			for i := range 20 {
				must[int](t)(w.Delete(fmt.Sprintf("doc-%06d", i*n/20)))
			}
			check(t, w.Commit(t.Context()))
		}))
		// Of each look-up, a place in the order, an end and an id.
		read, all := touched(w.parts[0].segment)
		if limit := 20 * 3 * bits.Len(uint(n)); read > limit {
			t.Errorf("deleting 20 of %d documents read %d of %d blocks, want %d at most", n, read, all, limit)
		}
		t.Logf("%d documents: deleting 20 read %d of %d blocks", n, read, all)
		check(t, w.Close())
	}
	t.Logf("bytes allocated for 2,000 documents and for 20,000: snapshots %d, writers %d, deletes %d", snapshots, writers, deletes)
	for what, bytes := range map[string][]uint64{"a snapshot": snapshots, "a writer": writers, "a delete": deletes} {
		if bytes[1] > bytes[0]+bytes[0]/2+16<<10 {
			t.Errorf("%s: %d bytes allocated with 2,000 documents, %d with 20,000", what, bytes[0], bytes[1])
		}
	}
}
