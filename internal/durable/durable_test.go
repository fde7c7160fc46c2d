package durable_test

import (
	"errors"
	"io/fs"
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
