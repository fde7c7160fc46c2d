package index

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/pare-search/pare/internal/durable"
)

// folder is where an index lies. All that is done to files goes through it.
type folder struct {
	fs  durable.FS
	dir string
}

// onDisk returns a folder of the operating system.
func onDisk(dir string) folder { return folder{durable.OS, dir} }

func (f folder) path(name string) string { return filepath.Join(f.dir, name) }

// remove removes a file, if it is there.
func (f folder) remove(name string) error {
	err := f.fs.Remove(f.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// takeBack removes what was made of a new index, its manifest first: a crash in
// between leaves no index rather than one with files missing.
func (f folder) takeBack(m *manifest) error {
	if err := f.remove(manifestName); err != nil {
		return err
	}
	err := f.fs.SyncDir(f.dir)
	if err != nil {
		return err
	}
	for _, name := range append(m.files()[1:], manifestName+".new") {
		err = errors.Join(err, f.remove(name))
	}
	return err
}
