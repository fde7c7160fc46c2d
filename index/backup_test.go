package index

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/internal/durable"
)

// TestBackup: a backup holds the last commit, whole, and is an index of its own.
func TestBackup(t *testing.T) {
	for _, copied := range []bool{false, true} {
		rng := rand.New(rand.NewPCG(1, 21))
		dir := buildEverything(t, 11)
		from := readDir(t, dir)
		w := must[*Writer](t)(OpenWriter(dir)) // which goes on
		check(t, w.Add(t.Context(), Document{ID: "not committed", Tokens: randomTokens(rng, 3, 8, true)}))

		to := filepath.Join(t.TempDir(), "deep", "backup")
		stats := must[BackupStats](t)(Backup(t.Context(), dir, to, BackupOptions{Copy: copied}))
		if files := readDir(t, to); !maps.EqualFunc(files, from, bytes.Equal) {
			t.Fatalf("it holds other files: %d, want %d", len(files), len(from))
		}
		bytes := int64(0)
		for _, data := range from {
			bytes += int64(len(data))
		}
		want := BackupStats{Generation: 2, Documents: 8, Linked: len(from) - 1, Copied: 1, Bytes: bytes}
		if copied {
			want.Linked, want.Copied = 0, len(from)
		}
		if stats != want {
			t.Errorf("%+v, want %+v", stats, want)
		}

		// Both go on for themselves.
		s := open(t, to)
		check(t, w.Commit(t.Context()))
		check(t, w.Merge(t.Context()))
		check(t, w.Close())
		check(t, Verify(to))
		other := must[*Writer](t)(OpenWriter(to))
		check(t, other.Add(t.Context(), Document{ID: "only there", Tokens: randomTokens(rng, 3, 8, true)}))
		check(t, other.Commit(t.Context()))
		check(t, other.Merge(t.Context()))
		check(t, other.Close())
		for _, dir := range []string{dir, to} {
			check(t, Verify(dir))
			if s := open(t, dir); s.LiveDocuments() != 9 {
				t.Errorf("%d documents", s.LiveDocuments())
			}
		}
		if s.LiveDocuments() != 8 {
			t.Errorf("the snapshot of the backup has %d documents", s.LiveDocuments())
		}

		if _, err := Backup(t.Context(), dir, to, BackupOptions{}); !errors.Is(err, ErrExists) {
			t.Errorf("over another index: %v", err)
		}
		// Restored, it takes the place of the index.
		fresh := filepath.Join(t.TempDir(), "fresh")
		must[BackupStats](t)(Backup(t.Context(), to, fresh, BackupOptions{}))
		check(t, Replace(dir, fresh))
		if s := open(t, dir); s.Generation() != open(t, to).Generation() {
			t.Errorf("generation %d", s.Generation())
		}
	}
}

// TestBackupFails: what cannot be backed up whole leaves nothing behind.
func TestBackupFails(t *testing.T) {
	dir := buildEverything(t, 12)
	to := filepath.Join(t.TempDir(), "backup")
	empty := func() {
		t.Helper()
		if files := readDir(t, to); len(files) > 0 {
			t.Errorf("%d files are left", len(files))
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Backup(ctx, dir, to, BackupOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	empty()
	damage(t, dir, "segment", "payloads")
	for _, copied := range []bool{false, true} {
		if _, err := Backup(t.Context(), dir, to, BackupOptions{Copy: copied}); !errors.Is(err, ErrCorrupt) {
			t.Errorf("of a damaged index: %v", err)
		}
		empty()
	}
	if _, err := Backup(t.Context(), t.TempDir(), to, BackupOptions{}); !errors.Is(err, ErrNotIndex) {
		t.Errorf("of an empty folder: %v", err)
	}
	check(t, os.WriteFile(filepath.Join(to, "note"), nil, 0o644))
	if _, err := Backup(t.Context(), dir, to, BackupOptions{}); !errors.Is(err, ErrExists) {
		t.Errorf("into a folder with a note: %v", err)
	}
}

// TestBackupWhileWriting: each backup is some commit.
func TestBackupWhileWriting(t *testing.T) {
	options := smallOptions(8, codec.Residual2)
	options.Merge = DefaultMergeOptions()
	options.TrainingVectors = 1
	dir := filepath.Join(t.TempDir(), "index")
	w := must[*Writer](t)(Create(dir, options, CreateOptions{}))
	rng := rand.New(rand.NewPCG(2, 21))
	stop, done := make(chan bool), make(chan int)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				done <- n
				return
			default:
			}
			documents := randomDocuments(rng, 6, 8, true) // the same ids each time
			if err := errors.Join(w.Update(t.Context(), documents...), w.Commit(t.Context())); err != nil {
				t.Error(err)
			}
		}
	}()
	for i := range 15 {
		to := filepath.Join(t.TempDir(), fmt.Sprint(i))
		must[BackupStats](t)(Backup(t.Context(), dir, to, BackupOptions{Copy: i%2 == 0}))
		if s := open(t, to); s.LiveDocuments() != 6 && s.Generation() > 1 {
			t.Errorf("%d documents in commit %d", s.LiveDocuments(), s.Generation())
		}
	}
	close(stop)
	t.Logf("%d commits meanwhile", <-done)
	check(t, w.Close())
}

// readOnly is a file system that refuses all changes.
type readOnly struct{ durable.FS }

func (readOnly) Create(string) (durable.File, error) { return nil, fs.ErrPermission }
func (readOnly) MkdirAll(string) error               { return fs.ErrPermission }
func (readOnly) Rename(string, string) error         { return fs.ErrPermission }
func (readOnly) Link(string, string) error           { return fs.ErrPermission }
func (readOnly) Remove(string) error                 { return fs.ErrPermission }
func (readOnly) SyncDir(string) error                { return fs.ErrPermission }
func (readOnly) Lock(string) (io.Closer, error)      { return nil, fs.ErrPermission }

// TestReadOnly: reading an index changes nothing in its folder.
func TestReadOnly(t *testing.T) {
	dir := buildEverything(t, 13)
	f := folder{readOnly{durable.OS}, dir}
	s := must[*Snapshot](t)(f.openSnapshot())
	for document := range uint32(s.Documents()) {
		must[string](t)(s.ID(document))
		must[string](t)(s.Text(document))
	}
	check(t, s.Close())
	check(t, f.verify(t.Context()))
	to := onDisk(filepath.Join(t.TempDir(), "backup"))
	must[BackupStats](t)(f.backup(t.Context(), to, BackupOptions{}))
	if _, err := f.openWriter(); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a writer: %v", err)
	}
	if _, err := f.createIndex(DefaultOptions(8), CreateOptions{}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("creating: %v", err)
	}
}
