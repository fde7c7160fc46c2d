// Package durable is the file system under an index: the operations that an
// index makes of files, in one interface, so that tests can put another file
// system under it, one that fails or forgets what was not synced.
//
// Files are written once, from beginning to end, synced, and never changed:
// what is new gets its name by Create, Link or Rename, and a name outlasts a
// crash once SyncDir has returned.
package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/blevesearch/mmap-go"
	"github.com/gofrs/flock"
)

// ErrLocked reports a lock that somebody else holds.
var ErrLocked = errors.New("locked")

// FS is a file system. Its methods are safe for concurrent use and return the
// errors of package os.
type FS interface {
	// Create makes a file for writing. Nothing may be there yet.
	Create(path string) (File, error)
	// Map opens a regular file for reading. What is read stays there, whatever
	// becomes of the name, where the system allows it.
	Map(path string) (*Mapping, error)
	// ReadDir lists a folder by name.
	ReadDir(path string) ([]fs.DirEntry, error)
	// MkdirAll makes a folder and those it lies in, and the names of those it has
	// made durable.
	MkdirAll(path string) error
	// Rename gives a file or folder another name, in the place of a file that
	// has it. Windows refuses while the file that is replaced, or one in the folder,
	// is open: OS tries again for a second, and then returns the error.
	Rename(from, to string) error
	// Exchange gives two files or folders each other's name, both at once. The error
	// wraps errors.ErrUnsupported where the system cannot do that.
	Exchange(one, other string) error
	// Link gives a file a second name. Nothing may be there yet.
	Link(from, to string) error
	// Remove removes a file or an empty folder. Windows refuses while it is open.
	Remove(path string) error
	// SyncDir makes the names in a folder durable.
	SyncDir(path string) error
	// Lock takes a lock that a file stands for, which is made if there is none.
	// The lock ends when it is closed, or with the process. The error wraps
	// ErrLocked if another process, or this one, has it.
	Lock(path string) (io.Closer, error)
}

// File is a file being written.
type File interface {
	io.WriteCloser
	// Sync makes the contents durable.
	Sync() error
}

// Mapping is a file opened for reading.
type Mapping struct {
	// Data is what is in the file, valid until Close. It must not be changed.
	Data  []byte
	close func() error
}

// NewMapping returns a mapping for an implementation of FS. Close calls close,
// unless that is nil.
func NewMapping(data []byte, close func() error) *Mapping { return &Mapping{data, close} }

// Close releases the file.
func (m *Mapping) Close() error {
	m.Data = nil
	if m.close == nil {
		return nil
	}
	return m.close()
}

// OS is the file system of the operating system.
var OS FS = system{}

type system struct{}

func (system) Create(path string) (File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
}

func (system) Map(path string) (_ *Mapping, err error) {
	// Looked at first, since opening a pipe would wait for a writer.
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "map", Path: path, Err: fmt.Errorf("%w: not a regular file", fs.ErrInvalid)}
	}
	var file *os.File
	err = patiently(func() (err error) {
		file, err = os.Open(path)
		return err
	}, busy)
	if err != nil {
		return nil, err
	}
	if info.Size() == 0 { // which cannot be mapped
		return NewMapping(nil, file.Close), nil
	}
	data, err := mmap.Map(file, mmap.RDONLY, 0)
	if err != nil {
		return nil, errors.Join(&fs.PathError{Op: "map", Path: path, Err: err}, file.Close())
	}
	return NewMapping(data, func() error { return errors.Join(data.Unmap(), file.Close()) }), nil
}

func (system) ReadDir(path string) ([]fs.DirEntry, error) { return os.ReadDir(path) }
func (system) Exchange(one, other string) error           { return exchange(one, other) }
func (system) Link(from, to string) error                 { return os.Link(from, to) }
func (system) Remove(path string) error                   { return os.Remove(path) }
func (system) SyncDir(path string) error                  { return SyncDir(path) }

func (system) Rename(from, to string) error {
	return patiently(func() error { return os.Rename(from, to) }, busy)
}

func (system) MkdirAll(path string) error {
	var parents []string // of what is missing
	for dir := filepath.Clean(path); ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			break
		}
		parents = append(parents, filepath.Dir(dir))
	}
	err := os.MkdirAll(path, 0o755)
	for _, dir := range parents {
		if err == nil {
			err = SyncDir(dir)
		}
	}
	return err
}

func (system) Lock(path string) (io.Closer, error) {
	// A link could lead out of the folder, and what it names would be made.
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "lock", Path: path, Err: fmt.Errorf("%w: not a regular file", fs.ErrInvalid)}
	}
	lock := flock.New(path)
	locked, err := lock.TryLock()
	if err == nil && !locked {
		err = ErrLocked
	}
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return lock, nil
}

// RemoveAll removes a folder of files, if it is there.
func RemoveAll(system FS, path string) error {
	entries, err := system.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, entry := range entries {
		err = errors.Join(err, system.Remove(filepath.Join(path, entry.Name())))
	}
	if err != nil {
		return err
	}
	return system.Remove(path)
}

// SyncDir makes renames and new files in dir durable. Where a folder cannot be
// synced that is no error: Windows has nothing of the kind, some file systems refuse
// the operation (EINVAL on Linux), and a parent folder may not be ours to open.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		_, err := os.Stat(dir)
		return err
	}
	d, err := os.Open(dir)
	if err == nil {
		err = d.Sync()
		d.Close()
	}
	for _, harmless := range []error{os.ErrPermission, errors.ErrUnsupported, syscall.EINVAL} {
		if errors.Is(err, harmless) {
			return nil
		}
	}
	return err
}
