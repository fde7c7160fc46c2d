package index

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/internal/durable"
	"github.com/pare-search/pare/simd"
)

// hasty is a file system that syncs nothing, to try more in the same time.
type hasty struct{ durable.FS }

func (h hasty) Create(path string) (durable.File, error) {
	file, err := h.FS.Create(path)
	return hastyFile{file}, err
}
func (hasty) SyncDir(string) error { return nil }

type hastyFile struct{ durable.File }

func (hastyFile) Sync() error { return nil }

// checkGoroutines fails if more goroutines run in the end than at the beginning.
func checkGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for range 100 {
			if runtime.NumGoroutine() <= before {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		buffer := make([]byte, 1<<20)
		t.Errorf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buffer[:runtime.Stack(buffer, true)])
	})
}

const machineDim = 8

// machine does to an index what rapid draws, and the same to a map.
type machine struct {
	dir            string
	folder         folder
	writer         *Writer
	now, committed model
	views          []machineView
	backups        int
}

// machineView is a snapshot with what was in it when it was opened.
type machineView struct {
	snapshot *Snapshot
	want     model
}

// TestMachine compares an index, on which writers, merges in the background and
// readers work, with a map from ids to documents.
func TestMachine(t *testing.T) {
	checkGoroutines(t)
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "pare-machine")
		if err != nil {
			t.Fatal(err)
		}
		m := &machine{dir: dir, folder: folder{hasty{durable.OS}, filepath.Join(dir, "index")}, now: model{}, committed: model{}}
		defer m.end(t)
		options := smallOptions(machineDim, codec.Float32)
		options.Codec.Cells = 6
		options.SegmentBytes = 2 << 10
		options.TrainingVectors = rapid.SampledFrom([]int{1, 40}).Draw(t, "training")
		options.Refine = rapid.Bool().Draw(t, "refine")
		options.Merge = DefaultMergeOptions()
		options.Merge.Factor = rapid.IntRange(2, 5).Draw(t, "factor")
		options.Merge.Manual = rapid.Bool().Draw(t, "manual")
		if m.writer, err = m.folder.createIndex(options, CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		t.Repeat(map[string]func(*rapid.T){
			"add":      m.add,
			"update":   m.update,
			"delete":   m.delete,
			"commit":   m.commit,
			"commit 2": m.commit,
			"merge":    m.merge,
			"retrain":  m.retrain,
			"cancel":   m.cancel,
			"reopen":   m.reopen,
			"open":     m.open,
			"search":   m.search,
			"backup":   m.backup,
			"":         m.check,
		})
	})
}

func (m *machine) end(t *rapid.T) {
	for _, v := range m.views {
		if err := v.snapshot.Close(); err != nil {
			t.Error(err)
		}
	}
	if m.writer != nil {
		if err := m.writer.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := m.folder.verify(context.Background()); err != nil {
		t.Error(err)
	}
	os.RemoveAll(m.dir)
}

func drawID(t *rapid.T) string {
	return rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "\x00", "\xff", "long id"}).Draw(t, "id")
}

func drawDocument(t *rapid.T, id string) Document {
	seed := rapid.Uint64Range(0, 1000).Draw(t, "seed")
	rows := rapid.IntRange(0, 5).Draw(t, "rows")
	return Document{ID: id, Tokens: randomTokens(rand.New(rand.NewPCG(seed, 40)), rows, machineDim, seed%7 > 0), Text: fmt.Sprint("text ", seed)}
}

func drawBatch(t *rapid.T) (batch []Document) {
	for range rapid.IntRange(1, 4).Draw(t, "batch") {
		if id := drawID(t); !slices.ContainsFunc(batch, func(d Document) bool { return d.ID == id }) {
			batch = append(batch, drawDocument(t, id))
		}
	}
	return batch
}

func (m *machine) add(t *rapid.T) {
	batch := drawBatch(t)
	taken := slices.ContainsFunc(batch, func(d Document) bool { _, ok := m.now[d.ID]; return ok })
	if err := m.writer.Add(t.Context(), batch...); taken != errors.Is(err, ErrDuplicate) || !taken && err != nil {
		t.Fatalf("adding gives %v, taken: %v", err, taken)
	}
	if !taken {
		m.put(batch)
	}
}

func (m *machine) update(t *rapid.T) {
	batch := drawBatch(t)
	if err := m.writer.Update(t.Context(), batch...); err != nil {
		t.Fatal(err)
	}
	m.put(batch)
}

func (m *machine) put(batch []Document) {
	for _, d := range batch {
		m.now[d.ID] = d
	}
}

func (m *machine) delete(t *rapid.T) {
	id := drawID(t)
	_, there := m.now[id]
	n, err := m.writer.Delete(id, "never added")
	if err != nil || (n == 1) != there {
		t.Fatalf("%d deleted, %v; there: %v", n, err, there)
	}
	delete(m.now, id)
}

func (m *machine) commit(t *rapid.T) {
	if err := m.writer.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.committed = maps.Clone(m.now)
}

func (m *machine) merge(t *rapid.T) {
	if err := m.writer.Merge(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// retrain lets another codebook code what comes, and what is there some time.
func (m *machine) retrain(t *rapid.T) {
	done := false
	err := m.writer.mergeAll(t.Context(), func() *job {
		parts := m.writer.committedParts()
		if done || len(parts) == 0 {
			return nil
		}
		done = true
		return m.writer.trainingJob(parts)
	}, func() {})
	if err != nil {
		t.Fatal(err)
	}
}

// cancel does things that must not happen, not even in part.
func (m *machine) cancel(t *rapid.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, err := range map[string]error{
		"add":    m.writer.Add(ctx, drawDocument(t, "cancelled")),
		"update": m.writer.Update(ctx, drawDocument(t, drawID(t))),
		"commit": m.writer.Commit(ctx),
		"verify": m.folder.verify(ctx),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("%s gives %v", name, err)
		}
	}
}

// reopen drops what was not committed.
func (m *machine) reopen(t *rapid.T) {
	if err := m.writer.Close(); err != nil {
		t.Fatal(err)
	}
	m.now = maps.Clone(m.committed)
	var err error
	if m.writer, err = m.folder.openWriter(); err != nil {
		t.Fatal(err)
	}
}

func (m *machine) open(t *rapid.T) {
	s, err := m.folder.openSnapshot()
	if err != nil {
		t.Fatal(err)
	}
	m.views = append(m.views, machineView{s, m.committed})
	if len(m.views) > 3 {
		if err := m.views[0].snapshot.Close(); err != nil {
			t.Fatal(err)
		}
		m.views = m.views[1:]
	}
}

// check compares the newest and one older snapshot with what should be there.
func (m *machine) check(t *rapid.T) {
	if len(m.views) == 0 {
		return
	}
	for _, v := range []machineView{m.views[0], m.views[len(m.views)-1]} {
		compare(t, v)
	}
}

func compare(t *rapid.T, v machineView) {
	if err := differs(v.snapshot, v.want); err != nil {
		t.Fatal(err)
	}
}

func (m *machine) search(t *rapid.T) {
	if len(m.views) == 0 {
		return
	}
	v := m.views[rapid.IntRange(0, len(m.views)-1).Draw(t, "view")]
	query := randomTokens(rand.New(rand.NewPCG(rapid.Uint64Range(0, 100).Draw(t, "query"), 41)), 3, machineDim, false).Vectors
	options := SearchOptions{K: rapid.IntRange(0, 5).Draw(t, "k"), Plan: Plan(rapid.IntRange(0, int(Probe)).Draw(t, "plan")), Budget: 1 << 20, Depth: AllCandidates}
	if err := compareHitsWith(t.Context(), v.snapshot, query, options, v.want); err != nil {
		t.Fatal(err)
	}
}

// plainMaxSim is MaxSim in its plainest form.
func plainMaxSim(query simd.Matrix, document encoder.Tokens) (sum float64) {
	for i := range query.Rows {
		best := -1e9
		for j := range document.Vectors.Rows {
			dot := 0.0
			for d, x := range query.Row(i) {
				dot += float64(x) * float64(document.Vectors.Row(j)[d])
			}
			best = max(best, dot)
		}
		sum += best
	}
	return sum
}

func (m *machine) backup(t *rapid.T) {
	m.backups++
	to := folder{m.folder.fs, filepath.Join(m.dir, fmt.Sprint("backup-", m.backups))}
	if _, err := m.folder.backup(t.Context(), to, BackupOptions{Copy: rapid.Bool().Draw(t, "copy")}); err != nil {
		t.Fatal(err)
	}
	s, err := to.openSnapshot()
	if err != nil {
		t.Fatal(err)
	}
	compare(t, machineView{s, m.committed})
	if err := errors.Join(s.Close(), durable.RemoveAll(to.fs, to.dir)); err != nil {
		t.Fatal(err)
	}
}
