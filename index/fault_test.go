package index

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/internal/durable"
)

var faultRounds = flag.Int("faults", 0, "how often TestFaults lets every call fail in every way; 0: once, in one of the ways")

// story is what happens to an index while its file system fails: a script and
// what there should be afterwards.
type story struct {
	memory  *memory
	folder  folder
	created bool
	// now is what the writer holds, states are those of the last commit that was
	// acknowledged and of one that was tried and has failed.
	now    model
	states []model
	// copies are the backups, each with what is in it, false for those that failed.
	copies map[folder]bool
	backed model
	writer *Writer
	// background: merges are left to the writer, which the script waits for, so that
	// calls come in the same order each time.
	background bool
}

func newStory() *story {
	m := newMemory()
	return &story{memory: m, folder: folder{m, "/indexes/one"}, now: model{}, states: []model{{}}, copies: make(map[folder]bool)}
}

// tell plays the script to its end or to the first error.
func (s *story) tell(ctx context.Context) error {
	options := smallOptions(machineDim, codec.Float32)
	options.Codec.Cells, options.Codec.Iterations = 3, 1
	options.SegmentBytes, options.TrainingVectors = 1<<10, 1
	if s.background {
		options.Merge = DefaultMergeOptions()
		options.Merge.Factor = 2
	}
	steps := []func(context.Context) error{
		func(context.Context) (err error) {
			s.writer, err = s.folder.createIndex(options, CreateOptions{EncoderKind: "test", EncoderData: []byte("data")})
			s.created = err == nil
			return err
		},
		s.update(1, "a", "b", "c", "d", "e"), s.commit,
		s.update(2, "a", "f", "g"), s.delete("b"), s.commit,
		s.read, s.merge, s.update(3, "h"), s.backup(BackupOptions{}), s.commit,
		s.update(4, "i"), s.reopen, s.delete("c", "h"), s.commit, s.merge,
		s.read, s.backup(BackupOptions{Copy: true}),
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *story) end() {
	if s.writer != nil {
		_ = s.writer.Close() // which fails if the file system does
		s.writer = nil
	}
}

func storyDocument(seed uint64, id string) Document {
	return Document{
		ID: id, Tokens: randomTokens(rand.New(rand.NewPCG(seed, uint64(id[0]))), 3, machineDim, true),
		Text: fmt.Sprint("the text of ", id, " in round ", seed),
	}
}

func (s *story) update(seed uint64, ids ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, id := range ids {
			d := storyDocument(seed, id)
			if err := s.writer.Update(ctx, d); err != nil {
				return err
			}
			s.now[id] = d
		}
		return nil
	}
}

func (s *story) delete(ids ...string) func(context.Context) error {
	return func(context.Context) error {
		for _, id := range ids {
			delete(s.now, id)
		}
		_, err := s.writer.Delete(ids...)
		return err
	}
}

func (s *story) commit(ctx context.Context) error {
	now := maps.Clone(s.now)
	s.states = append(s.states, now)
	err := s.writer.Commit(ctx)
	if err == nil {
		s.states = []model{now}
		if s.background {
			_ = s.writer.Wait(ctx) // a merge that fails fails no commit
		}
	}
	return err
}

func (s *story) merge(ctx context.Context) error {
	if s.background {
		return nil // begun by commit
	}
	return s.writer.Merge(ctx)
}

// reopen drops what was not committed.
func (s *story) reopen(context.Context) (err error) {
	w := s.writer
	s.writer, s.now = nil, maps.Clone(s.states[0])
	if err := w.Close(); err != nil {
		return err
	}
	s.writer, err = s.folder.openWriter()
	return err
}

// read looks at everything, and closes what it has opened.
func (s *story) read(ctx context.Context) error {
	if err := s.folder.verify(ctx); err != nil {
		return err
	}
	snapshot, err := s.folder.openSnapshot()
	if err != nil {
		return err
	}
	return errors.Join(differs(snapshot, s.states[0]), snapshot.Close())
}

func (s *story) backup(options BackupOptions) func(context.Context) error {
	return func(ctx context.Context) error {
		to := folder{s.memory, fmt.Sprint("/indexes/backup-", len(s.copies))}
		s.copies[to], s.backed = false, s.states[0]
		_, err := s.folder.backup(ctx, to, options)
		s.copies[to] = err == nil
		return err
	}
}

// differs compares what a snapshot holds with what it should.
func differs(s *Snapshot, want model) error {
	if s.LiveDocuments() != len(want) {
		return fmt.Errorf("%d documents, want %d", s.LiveDocuments(), len(want))
	}
	for id, d := range want {
		number, found, err := s.Lookup(id)
		if err != nil || !found {
			return fmt.Errorf("%q is not found: %w", id, err)
		}
		vectors, err := decoded(s, number)
		if err != nil || !slices.Equal(vectors.Data, d.Tokens.Vectors.Data) {
			return fmt.Errorf("%q has other vectors: %w", id, err)
		}
		if text, err := s.Text(number); err != nil || text != d.Text {
			return fmt.Errorf("%q has the text %q, want %q: %w", id, text, d.Text, err)
		}
	}
	return nil
}

// check compares what m holds with what has happened, and writes to it.
func (s *story) check(ctx context.Context, m *memory) error {
	f := folder{m, s.folder.dir}
	if err := checkState(ctx, f, s.created, s.states); err != nil {
		return err
	}
	for to, made := range s.copies {
		states := []model{s.backed}
		if made && len(s.copies) > 1 && strings.HasSuffix(to.dir, "0") {
			continue // the first one, of another state
		}
		if err := checkState(ctx, folder{m, to.dir}, made, states); err != nil {
			return fmt.Errorf("%s: %w", to.dir, err)
		}
	}
	return m.check()
}

// checkState checks that an index is in one of the states, whole, can be written
// to, and then has no files but its own. It may be missing unless it was
// acknowledged.
func checkState(ctx context.Context, f folder, acknowledged bool, states []model) error {
	snapshot, err := f.openSnapshot()
	if errors.Is(err, ErrNotIndex) && !acknowledged {
		return nil
	}
	if err != nil {
		return err
	}
	var state model
	var faults []error
	for _, want := range states {
		fault := differs(snapshot, want)
		if fault == nil {
			state = want
		}
		faults = append(faults, fault)
	}
	if err := snapshot.Close(); err != nil {
		return err
	}
	if state == nil {
		return errors.Join(faults...)
	}
	if err := f.verify(ctx); err != nil {
		return err
	}
	w, err := f.openWriter()
	if err != nil {
		return err
	}
	d := storyDocument(9, "z")
	err = errors.Join(w.Update(ctx, d), w.Commit(ctx), w.Merge(ctx), w.Close())
	if err != nil {
		return err
	}
	if snapshot, err = f.openSnapshot(); err != nil {
		return err
	}
	state = maps.Clone(state)
	state["z"] = d
	err = errors.Join(differs(snapshot, state), snapshot.Close())
	entries, listing := f.fs.ReadDir(f.dir)
	for _, entry := range entries {
		if name := entry.Name(); name != lockName && !slices.Contains(snapshot.manifest.files(), name) {
			err = errors.Join(err, fmt.Errorf("%s is left behind", name))
		}
	}
	return errors.Join(err, listing)
}

var errDisk = errors.New("the disk has failed")

// faultKinds are the ways in which the file system fails at a call.
var faultKinds = []struct {
	name string
	fail func(at int) func(call int, operation string) failure
}{
	{"once", func(at int) func(int, string) failure {
		return func(call int, _ string) failure {
			if call == at {
				return failure{err: errDisk}
			}
			return failure{}
		}
	}},
	{"once, though it was done", func(at int) func(int, string) failure {
		return func(call int, operation string) failure {
			if call == at {
				return failure{errDisk, operation != "map" && operation != "lock"}
			}
			return failure{}
		}
	}},
	{"no space from then on", func(at int) func(int, string) failure {
		return func(call int, operation string) failure {
			if call >= at && slices.Contains([]string{"create", "write", "mkdir", "link"}, operation) {
				return failure{err: syscall.ENOSPC}
			}
			return failure{}
		}
	}},
	{"nothing works from then on", func(at int) func(int, string) failure {
		return func(call int, _ string) failure {
			if call >= at {
				return failure{err: errDisk}
			}
			return failure{}
		}
	}},
}

// TestFaults lets each call of the file system fail in turn, and then the power.
// Whatever happens, what was acknowledged is there, and nothing else, and
// nothing stays open.
func TestFaults(t *testing.T) { testFaults(t, false) }

// TestFaultsInBackground does so while the writer merges in the background.
func TestFaultsInBackground(t *testing.T) { testFaults(t, true) }

func testFaults(t *testing.T, background bool) {
	checkGoroutines(t)
	newStory := func() *story {
		s := newStory()
		s.background = background
		return s
	}
	whole := newStory()
	check(t, whole.tell(t.Context()))
	if merges := whole.writer.manifest.Generation - 4; background && merges < 2 { // beside 4 commits
		t.Fatalf("%d merges", merges)
	}
	whole.end()
	check(t, whole.check(t.Context(), whole.memory.crash(rand.New(rand.NewPCG(1, 60)))))
	calls := whole.memory.calls
	injected, crashes, failures := 0, 0, 0
	for round := range max(1, *faultRounds) {
		for at := 1; at <= calls; at++ {
			for i, kind := range faultKinds {
				if *faultRounds == 0 && at%len(faultKinds) != i {
					continue
				}
				s := newStory()
				s.memory.fail = kind.fail(at)
				told := s.tell(t.Context())
				s.end()
				s.memory.fail = nil
				injected++
				where := fmt.Sprintf("call %d of %d fails %s, which gives %v", at, calls, kind.name, told)
				// First what the power leaves, for looking at files changes them.
				for lost := range uint64(1 + 2*min(*faultRounds, 1)) {
					crashes++
					rng := rand.New(rand.NewPCG(uint64(round), uint64(at)<<8+lost))
					if err := s.check(t.Context(), s.memory.crash(rng)); err != nil {
						t.Errorf("%s: after a crash, %v", where, err)
						failures++
					}
				}
				if err := errors.Join(s.memory.check(), s.check(t.Context(), s.memory)); err != nil {
					t.Errorf("%s: %v", where, err)
					failures++
				}
			}
		}
	}
	t.Logf("%d calls, %d faults injected, %d crashes, %d failures", calls, injected, crashes, failures)
}

// TestMergeErrorEnds: the error of a merge in the background is no longer told
// once another merge has succeeded.
func TestMergeErrorEnds(t *testing.T) {
	m := newMemory()
	options := smallOptions(machineDim, codec.Float32)
	options.Merge = DefaultMergeOptions()
	options.Merge.Factor, options.TrainingVectors = 2, 1
	w := must[*Writer](t)(folder{m, "/index"}.createIndex(options, CreateOptions{}))
	w.merging.off = true
	for i := range uint64(2) {
		check(t, errors.Join(w.Update(t.Context(), storyDocument(i, string(rune('a'+i)))), w.Commit(t.Context())))
	}
	w.merging.off = false
	merge := func() error {
		w.mu.Lock()
		w.mergeInBackground()
		w.mu.Unlock()
		return w.Wait(t.Context())
	}
	m.fail = func(_ int, operation string) failure {
		if operation == "create" {
			return failure{err: errDisk}
		}
		return failure{}
	}
	if err := merge(); !errors.Is(err, errDisk) {
		t.Fatalf("error %v, want that of the disk", err)
	}
	m.fail = nil
	check(t, merge())
	if len(w.parts) != 1 {
		t.Errorf("%d segments after merging", len(w.parts))
	}
	check(t, w.Close())
	check(t, m.check())
}

// TestMemory: what was synced outlasts a crash, and only that surely.
func TestMemory(t *testing.T) {
	m := newMemory()
	check(t, m.MkdirAll("/a"))
	check(t, m.SyncDir("/"))
	file := must[durable.File](t)(m.Create("/a/file"))
	must[int](t)(file.Write([]byte("synced")))
	check(t, errors.Join(file.Sync(), m.SyncDir("/a")))
	must[int](t)(file.Write([]byte(" or not")))
	check(t, m.Rename("/a/file", "/a/other"))
	seen := make(map[string]bool)
	for seed := range uint64(200) {
		after := m.crash(rand.New(rand.NewPCG(seed, 61)))
		for path, file := range after.files() {
			seen[filepath.Base(path)] = true
			if !strings.HasPrefix(string(file.data), "synced") {
				t.Fatalf("%s holds %q", path, file.data)
			}
			seen[string(file.data)] = true
		}
	}
	for _, want := range []string{"file", "other", "synced", "synced or", "synced or not"} {
		if !seen[want] {
			t.Errorf("%q was never found", want)
		}
	}
	if m.check() == nil {
		t.Error("an open file is not noticed")
	}
	check(t, file.Close())
	check(t, m.check())
}
