package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/pare-search/pare/internal/durable"
)

// TestSyncDir: the folders of /proc refuse fsync with EINVAL, as those of some
// network file systems do.
func TestSyncDir(t *testing.T) {
	if err := durable.SyncDir(t.TempDir()); err != nil {
		t.Error(err)
	}
	if runtime.GOOS == "linux" {
		if err := durable.SyncDir("/proc"); err != nil {
			t.Error(err)
		}
	}
	if err := durable.SyncDir(filepath.Join(t.TempDir(), "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing folder: %v", err)
	}
}

// TestOS: files appear once, are read as written, also when their name is gone,
// and locks exclude each other.
func TestOS(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	file, err := durable.OS.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write([]byte("content")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := durable.OS.Create(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("creating it again: %v", err)
	}
	mapping, err := durable.OS.Map(path)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" {
		if err := durable.OS.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if string(mapping.Data) != "content" {
		t.Errorf("mapped %q", mapping.Data)
	}
	if err := mapping.Close(); err != nil || mapping.Data != nil {
		t.Errorf("closing: %v, %d bytes", err, len(mapping.Data))
	}
	if _, err := durable.OS.Map(path + "s"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("mapping nothing: %v", err)
	}
	if _, err := durable.OS.Map(dir); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("mapping a folder: %v", err)
	}

	lock, err := durable.OS.Lock(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := durable.OS.Lock(filepath.Join(dir, "lock")); !errors.Is(err, durable.ErrLocked) {
		t.Errorf("locking twice: %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if lock, err = durable.OS.Lock(filepath.Join(dir, "lock")); err != nil {
		t.Fatal(err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}

	if err := durable.RemoveAll(durable.OS, dir); err != nil {
		t.Fatal(err)
	}
	if _, err := durable.OS.ReadDir(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after RemoveAll: %v", err)
	}
}

// TestExchange: two folders have each other's name afterwards, and what is not
// there is exchanged with nothing.
func TestExchange(t *testing.T) {
	dir := t.TempDir()
	one, other := filepath.Join(dir, "one"), filepath.Join(dir, "other")
	for _, path := range []string{filepath.Join(one, "a"), filepath.Join(other, "b")} {
		if err := durable.OS.MkdirAll(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := durable.OS.Exchange(one, other); errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(one, "b"), filepath.Join(other, "a")} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	if err := durable.OS.Exchange(one, filepath.Join(dir, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing folder: %v", err)
	}
	if err := durable.OS.Exchange(filepath.Join(dir, "missing"), one); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing folder: %v", err)
	}
}

// TestEmptyFile: the system cannot map nothing.
func TestEmptyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "empty")
	file, err := durable.OS.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	mapping, err := durable.OS.Map(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(mapping.Data) > 0 || mapping.Close() != nil {
		t.Errorf("%d bytes", len(mapping.Data))
	}
}

// TestMkdirAll: folders are made however deep, and again.
func TestMkdirAll(t *testing.T) {
	root := t.TempDir()
	for range 2 {
		if err := durable.OS.MkdirAll(filepath.Join(root, "a", "b", "c")); err != nil {
			t.Fatal(err)
		}
	}
	if entries, err := durable.OS.ReadDir(filepath.Join(root, "a", "b")); err != nil || len(entries) != 1 || !entries[0].IsDir() {
		t.Errorf("%v, %v", entries, err)
	}
}

// TestLockLink: a lock that is a link makes no file elsewhere.
func TestLockLink(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "elsewhere"), filepath.Join(dir, "lock")
	if err := os.Symlink(target, link); err != nil {
		t.Skip(err)
	}
	if _, err := durable.OS.Lock(link); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("locking a link: %v", err)
	}
	if _, err := os.Lstat(target); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file it leads to: %v", err)
	}
}
