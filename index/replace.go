package index

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pare-search/pare/internal/durable"
)

// Replaceable tells whether Replace may put an index at dir: nothing is there,
// an empty folder, or an index, whole or damaged as long as it has its manifest,
// and no other file. Else the error wraps ErrNotIndex and names what is in the
// way, or ErrLocked when the index has a writer.
func Replaceable(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotIndex, err)
	}
	for _, entry := range entries {
		name := entry.Name()
		ours := removable(name) || name == manifestName || name == lockName
		if !ours || !entry.Type().IsRegular() {
			return fmt.Errorf("%w: %s holds %s", ErrNotIndex, dir, name)
		}
	}
	if err := checkMagic(filepath.Join(dir, manifestName)); err != nil {
		return err
	}
	w, err := lockWriter(dir)
	if err != nil {
		return err
	}
	return w.lock.Unlock()
}

// checkMagic tells whether a file begins as a container does.
func checkMagic(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotIndex, err)
	}
	defer file.Close()
	begin := make([]byte, len(containerMagic))
	if _, err := io.ReadFull(file, begin); err != nil || string(begin) != containerMagic {
		return fmt.Errorf("%w: %s does not begin with %q", ErrNotIndex, path, containerMagic)
	}
	return nil
}

// Replace moves the folder fresh, an index that nobody has open, to dir. What
// was there must be Replaceable and is deleted when the new index stands in its
// place. Both must lie in one file system, and nothing may be called fresh
// with ".old" behind it. Snapshots of the old index stay usable where the
// operating system keeps open files, which Windows does not.
func Replace(dir, fresh string) error {
	if err := Replaceable(dir); err != nil {
		return err
	}
	old := fresh + ".old"
	err := os.Rename(dir, old)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	stood := err == nil
	if err := os.Rename(fresh, dir); err != nil {
		if stood {
			err = errors.Join(err, os.Rename(old, dir))
		}
		return err
	}
	// The new index must be durable before the old one goes.
	if err := durable.SyncDir(filepath.Dir(dir)); err != nil {
		return err
	}
	return os.RemoveAll(old)
}
