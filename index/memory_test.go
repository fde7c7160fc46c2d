package index

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"

	"github.com/pare-search/pare/internal/durable"
)

// memory is a file system in memory that can fail and crash. It keeps apart what
// is and what would outlast a crash, as the in-memory file system of
// cockroachdb/pebble does (its pull request 3888).
type memory struct {
	mu    sync.Mutex
	names map[string]*inode // files and folders, by path
	safe  map[string]*inode // those whose names were synced
	locks map[string]bool
	open  int // files being written, mappings and locks
	calls int
	fail  func(call int, operation string) failure // nil: nothing fails
}

// inode is a file, or a folder, which has no data.
type inode struct {
	folder bool
	data   []byte
	synced int // bytes
}

// failure is what becomes of a call.
type failure struct {
	err   error
	after bool // the call has done its work when it fails
}

func newMemory() *memory {
	root := &inode{folder: true}
	return &memory{names: map[string]*inode{"/": root}, safe: map[string]*inode{"/": root}, locks: make(map[string]bool)}
}

// do is one call: work, unless that fails.
func (m *memory) do(operation, path string, work func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	var f failure
	if m.fail != nil {
		f = m.fail(m.calls, operation)
	}
	if f.err != nil && !f.after {
		return &fs.PathError{Op: operation, Path: path, Err: f.err}
	}
	err := work()
	if err == nil {
		err = f.err
	}
	if err != nil {
		return &fs.PathError{Op: operation, Path: path, Err: err}
	}
	return nil
}

func (m *memory) Create(path string) (durable.File, error) {
	file := &memoryFile{memory: m, path: path, inode: &inode{}}
	err := m.do("create", path, func() error {
		if m.names[path] != nil {
			return fs.ErrExist
		}
		if parent := m.names[filepath.Dir(path)]; parent == nil || !parent.folder {
			return fs.ErrNotExist
		}
		m.names[path] = file.inode
		return nil
	})
	if err != nil {
		return nil, err
	}
	m.hold(1)
	return file, nil
}

func (m *memory) hold(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open += n
}

type memoryFile struct {
	memory *memory
	path   string
	inode  *inode
	closed bool
}

// Write writes one half of the data when it fails.
func (f *memoryFile) Write(data []byte) (int, error) {
	before := len(f.inode.data)
	err := f.memory.do("write", f.path, func() error {
		f.inode.data = append(f.inode.data, data...)
		return nil
	})
	if err == nil {
		return len(data), nil
	}
	f.memory.mu.Lock()
	defer f.memory.mu.Unlock()
	f.inode.data = append(f.inode.data[:before], data[:len(data)/2]...)
	return len(data) / 2, err
}

func (f *memoryFile) Sync() error {
	return f.memory.do("sync", f.path, func() error {
		f.inode.synced = len(f.inode.data)
		return nil
	})
}

// Close closes the file also when it fails, as the operating system does.
func (f *memoryFile) Close() error {
	if f.closed {
		return fs.ErrClosed
	}
	f.closed = true
	f.memory.hold(-1)
	return f.memory.do("close", f.path, func() error { return nil })
}

func (m *memory) Map(path string) (*durable.Mapping, error) {
	var data []byte
	err := m.do("map", path, func() error {
		file := m.names[path]
		switch {
		case file == nil:
			return fs.ErrNotExist
		case file.folder:
			return fs.ErrInvalid
		}
		data = slices.Clone(file.data)
		return nil
	})
	if err != nil {
		return nil, err
	}
	m.hold(1)
	closed := false
	return durable.NewMapping(data, func() error {
		if closed {
			return fs.ErrClosed
		}
		closed = true
		m.hold(-1)
		clear(data) // whoever reads on gets zeros
		return m.do("unmap", path, func() error { return nil })
	}), nil
}

func (m *memory) ReadDir(path string) (entries []fs.DirEntry, err error) {
	err = m.do("readdir", path, func() error {
		if m.names[path] == nil {
			return fs.ErrNotExist
		}
		for _, name := range slices.Sorted(maps.Keys(m.names)) {
			if filepath.Dir(name) == path && name != path {
				entries = append(entries, memoryEntry{filepath.Base(name), m.names[name].folder})
			}
		}
		return nil
	})
	return entries, err
}

type memoryEntry struct {
	name   string
	folder bool
}

func (e memoryEntry) Name() string               { return e.name }
func (e memoryEntry) IsDir() bool                { return e.folder }
func (e memoryEntry) Info() (fs.FileInfo, error) { return nil, errors.ErrUnsupported }
func (e memoryEntry) Type() fs.FileMode {
	if e.folder {
		return fs.ModeDir
	}
	return 0
}

func (m *memory) MkdirAll(path string) error {
	return m.do("mkdir", path, func() error {
		for ; m.names[path] == nil; path = filepath.Dir(path) {
			m.names[path] = &inode{folder: true}
			m.safe[path] = m.names[path]
		}
		return nil
	})
}

// Rename renames files, no folders.
func (m *memory) Rename(from, to string) error {
	return m.do("rename", from, func() error {
		file := m.names[from]
		if file == nil || file.folder {
			return fs.ErrNotExist
		}
		delete(m.names, from)
		m.names[to] = file
		return nil
	})
}

func (m *memory) Link(from, to string) error {
	return m.do("link", from, func() error {
		switch {
		case m.names[from] == nil:
			return fs.ErrNotExist
		case m.names[to] != nil:
			return fs.ErrExist
		}
		m.names[to] = m.names[from]
		return nil
	})
}

func (m *memory) Remove(path string) error {
	return m.do("remove", path, func() error {
		if m.names[path] == nil {
			return fs.ErrNotExist
		}
		delete(m.names, path)
		return nil
	})
}

func (m *memory) SyncDir(path string) error {
	return m.do("syncdir", path, func() error {
		if m.names[path] == nil {
			return fs.ErrNotExist
		}
		for _, names := range []map[string]*inode{m.safe, m.names} {
			for name := range names {
				if filepath.Dir(name) != path || name == path {
					continue
				}
				if file := m.names[name]; file != nil {
					m.safe[name] = file
				} else {
					delete(m.safe, name)
				}
			}
		}
		return nil
	})
}

func (m *memory) Lock(path string) (io.Closer, error) {
	err := m.do("lock", path, func() error {
		if m.locks[path] {
			return durable.ErrLocked
		}
		if m.names[path] == nil {
			m.names[path] = &inode{}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.locks[path] = true
	m.open++
	return &memoryLock{m, path}, nil
}

type memoryLock struct {
	memory *memory
	path   string
}

func (l *memoryLock) Close() error {
	l.memory.mu.Lock()
	if l.memory.locks[l.path] {
		l.memory.open--
	}
	delete(l.memory.locks, l.path)
	l.memory.mu.Unlock()
	return l.memory.do("unlock", l.path, func() error { return nil })
}

// crash returns what might be found when the machine has lost its power: all
// that was synced, and of the rest a part that is left to chance. Of each name
// that has changed since its folder was synced, either the old meaning or the new
// one is left; of the bytes written since the last sync a part, or zeros.
func (m *memory) crash(rng *rand.Rand) *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	after := newMemory()
	paths := maps.Clone(m.safe)
	maps.Copy(paths, m.names)
	copies := make(map[*inode]*inode)                      // a file keeps all its names
	for _, path := range slices.Sorted(maps.Keys(paths)) { // folders before what is in them
		file := m.safe[path]
		if rng.IntN(2) == 0 {
			file = m.names[path]
		}
		if parent := after.names[filepath.Dir(path)]; path == "/" || file == nil || parent == nil {
			continue
		}
		if copies[file] == nil {
			data := slices.Clone(file.data[:file.synced])
			if rest := file.data[file.synced:]; len(rest) > 0 {
				rest = slices.Clone(rest[:rng.IntN(len(rest)+1)])
				if rng.IntN(3) == 0 {
					clear(rest[rng.IntN(len(rest)+1):])
				}
				data = append(data, rest...)
			}
			copies[file] = &inode{folder: file.folder, data: data, synced: len(data)}
		}
		after.names[path], after.safe[path] = copies[file], copies[file]
	}
	return after
}

// check reports what was not closed.
func (m *memory) check() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open != 0 || len(m.locks) != 0 {
		return fmt.Errorf("%d files, mappings and locks are open, %d locks", m.open, len(m.locks))
	}
	return nil
}
