package index

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/pare-search/pare/internal/durable"
)

// Replaceable tells whether Replace may put an index at dir: nothing is there,
// an empty folder, or an index, whole or damaged as long as it has its manifest,
// and no other file. Else the error wraps ErrNotIndex and names what is in the
// way, or ErrLocked when the index has a writer.
func Replaceable(dir string) error {
	lock, err := onDisk(dir).claim()
	if lock == nil {
		return err
	}
	return lock.Close()
}

// claim takes the writer's lock of an index that may be replaced: nil where there is
// none yet.
func (f folder) claim() (lock io.Closer, err error) {
	entries, err := f.fs.ReadDir(f.dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotIndex, err)
	}
	for _, entry := range entries {
		name := entry.Name()
		ours := removable(name) || name == manifestName || name == lockName
		if !ours || !entry.Type().IsRegular() {
			return nil, fmt.Errorf("%w: %s holds %s", ErrNotIndex, f.dir, name)
		}
	}
	if err := f.checkMagic(manifestName); err != nil {
		return nil, err
	}
	w, err := f.lockWriter()
	if err != nil {
		return nil, err
	}
	return w.lock, nil
}

// checkMagic tells whether a file begins as a container does.
func (f folder) checkMagic(name string) error {
	mapping, err := f.fs.Map(f.path(name))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotIndex, err)
	}
	begins := bytes.HasPrefix(mapping.Data, []byte(containerMagic))
	if err := mapping.Close(); err != nil {
		return err
	}
	if !begins {
		return fmt.Errorf("%w: %s does not begin with %q", ErrNotIndex, f.path(name), containerMagic)
	}
	return nil
}

// Replace moves the folder fresh, an index that nobody has open, to dir. What
// was there must be Replaceable and is deleted when the new index stands in its
// place. Both must lie in one file system, and nothing may be called fresh
// with ".old" behind it. Where dir is a link, what it leads to is replaced. Snapshots
// of the old index stay usable where the operating system keeps open files, which
// Windows does not.
//
// On Linux and macOS the two indexes exchange their names, so that dir is one or
// the other at any time, whatever fails. Elsewhere, and where the file system cannot
// do that, the old index is called fresh with ".old" behind it for a moment: if
// power fails right then, or the error says so, it is found there.
func Replace(dir, fresh string) error {
	// A link would be exchanged itself, and could lead elsewhere from its new place.
	if leads, err := filepath.EvalSymlinks(dir); err == nil {
		dir = leads
	}
	return onDisk(dir).replace(fresh)
}

func (f folder) replace(fresh string) (err error) {
	if _, err := f.fs.ReadDir(fresh); err != nil {
		return err
	}
	lock, err := f.claim()
	if err != nil {
		return err
	}
	// Until the old index has gone, lest a writer opens it and goes on in the new one.
	unlock := func() error {
		if lock == nil {
			return nil
		}
		err := lock.Close()
		lock = nil
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	err = f.fs.Exchange(f.dir, fresh)
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrNotExist) {
		// Windows renames no folder with an open file in it.
		return errors.Join(unlock(), f.replaceInTurn(fresh))
	}
	if err != nil {
		return err
	}
	// The new index must be durable before the old one goes.
	if err := f.syncNames(fresh); err != nil {
		back := f.fs.Exchange(f.dir, fresh)
		if back == nil {
			return err
		}
		old := fresh + ".old"
		if aside := f.fs.Rename(fresh, old); aside != nil {
			old, back = fresh, errors.Join(back, aside)
		}
		return fmt.Errorf("%w; the old index is now %s: %w", err, old, back)
	}
	return durable.RemoveAll(f.fs, fresh)
}

// replaceInTurn is replace for when there is nothing to exchange with, or no way to.
func (f folder) replaceInTurn(fresh string) error {
	old := fresh + ".old"
	err := f.fs.Rename(f.dir, old)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	stood := err == nil
	if err := f.fs.Rename(fresh, f.dir); err != nil {
		if !stood {
			return err
		}
		if back := f.fs.Rename(old, f.dir); back != nil {
			return fmt.Errorf("%w; the old index is now %s: %w", err, old, back)
		}
		return err
	}
	if err := f.syncNames(fresh); err != nil {
		if stood {
			return fmt.Errorf("%w; the old index is now %s", err, old)
		}
		return err
	}
	return durable.RemoveAll(f.fs, old)
}

// syncNames makes what was renamed durable.
func (f folder) syncNames(fresh string) error {
	here, there := filepath.Dir(f.dir), filepath.Dir(fresh)
	err := f.fs.SyncDir(here)
	if err == nil && there != here {
		err = f.fs.SyncDir(there)
	}
	return err
}
