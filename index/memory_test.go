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
	"strings"
	"sync"

	"github.com/pare-search/pare/internal/durable"
)

// memory is a file system in memory that can fail and crash. It keeps apart what
// is and what would outlast a crash, as the in-memory file system of
// cockroachdb/pebble does (its pull request 3888).
type memory struct {
	mu    sync.Mutex
	root  *inode
	locks map[string]bool
	open  int // files being written, mappings and locks
	calls int
	fail  func(call int, operation string) failure // nil: nothing fails
	// noExchange: names cannot be exchanged, as on some systems.
	noExchange bool
}

// inode is a file or a folder.
type inode struct {
	data   []byte
	synced int // bytes

	names map[string]*inode // what is in a folder; nil for files
	safe  map[string]*inode // what was in it when it was synced
	// past is what was in it since then, before each change of the name of a folder:
	// of these, a system that keeps a journal leaves one state or the next.
	past []map[string]*inode
}

func newFolder() *inode { return &inode{names: make(map[string]*inode), safe: make(map[string]*inode)} }

func (f *inode) folder() bool { return f != nil && f.names != nil }

// failure is what becomes of a call.
type failure struct {
	err   error
	after bool // the call has done its work when it fails
}

func newMemory() *memory { return &memory{root: newFolder(), locks: make(map[string]bool)} }

// find returns what has a path, or nil.
func (m *memory) find(path string) *inode {
	at := m.root
	for name := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if name != "" && at != nil {
			at = at.names[name]
		}
	}
	return at
}

// in returns the folder that a path lies in, which is nil if there is none, and its
// name there.
func (m *memory) in(path string) (*inode, string) {
	if parent := m.find(filepath.Dir(path)); parent.folder() {
		return parent, filepath.Base(path)
	}
	return nil, ""
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
		parent, name := m.in(path)
		if parent == nil {
			return fs.ErrNotExist
		}
		if parent.names[name] != nil {
			return fs.ErrExist
		}
		parent.names[name] = file.inode
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
		file := m.find(path)
		switch {
		case file == nil:
			return fs.ErrNotExist
		case file.folder():
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
		folder := m.find(path)
		if !folder.folder() {
			return fs.ErrNotExist
		}
		for _, name := range slices.Sorted(maps.Keys(folder.names)) {
			entries = append(entries, memoryEntry{name, folder.names[name].folder()})
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
		at := m.root
		for name := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
			if at.names[name] == nil {
				made := newFolder()
				at.names[name], at.safe[name] = made, made
			}
			at = at.names[name]
		}
		return nil
	})
}

// note remembers what is in a folder before the name of a folder in it changes.
func (f *inode) note(changed ...*inode) {
	if slices.ContainsFunc(changed, (*inode).folder) {
		f.past = append(f.past, maps.Clone(f.names))
	}
}

// Rename renames within one folder.
func (m *memory) Rename(from, to string) error {
	return m.do("rename", from, func() error {
		parent, old := m.in(from)
		_, name := m.in(to)
		switch {
		case parent == nil || parent.names[old] == nil:
			return fs.ErrNotExist
		case filepath.Dir(from) != filepath.Dir(to):
			return errors.ErrUnsupported
		case parent.names[name].folder():
			return fs.ErrExist
		}
		parent.note(parent.names[old])
		parent.names[name] = parent.names[old]
		delete(parent.names, old)
		return nil
	})
}

func (m *memory) Exchange(one, other string) error {
	return m.do("exchange", one, func() error {
		parent, a := m.in(one)
		_, b := m.in(other)
		switch {
		case m.noExchange || filepath.Dir(one) != filepath.Dir(other):
			return errors.ErrUnsupported
		case parent == nil || parent.names[a] == nil || parent.names[b] == nil:
			return fs.ErrNotExist
		}
		parent.note(parent.names[a], parent.names[b])
		parent.names[a], parent.names[b] = parent.names[b], parent.names[a]
		return nil
	})
}

func (m *memory) Link(from, to string) error {
	return m.do("link", from, func() error {
		parent, name := m.in(to)
		file := m.find(from)
		switch {
		case file == nil || parent == nil:
			return fs.ErrNotExist
		case parent.names[name] != nil:
			return fs.ErrExist
		}
		parent.names[name] = file
		return nil
	})
}

func (m *memory) Remove(path string) error {
	return m.do("remove", path, func() error {
		parent, name := m.in(path)
		switch {
		case parent == nil || parent.names[name] == nil:
			return fs.ErrNotExist
		case len(parent.names[name].names) > 0:
			return errors.New("the folder is not empty")
		}
		parent.note(parent.names[name])
		delete(parent.names, name)
		return nil
	})
}

func (m *memory) SyncDir(path string) error {
	return m.do("syncdir", path, func() error {
		folder := m.find(path)
		if !folder.folder() {
			return fs.ErrNotExist
		}
		folder.safe, folder.past = maps.Clone(folder.names), nil
		return nil
	})
}

func (m *memory) Lock(path string) (io.Closer, error) {
	err := m.do("lock", path, func() error {
		if m.locks[path] {
			return durable.ErrLocked
		}
		parent, name := m.in(path)
		if parent == nil {
			return fs.ErrNotExist
		}
		if parent.names[name] == nil {
			parent.names[name] = &inode{}
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
// that was synced, and of the rest a part that is left to chance. Of each file's
// name that has changed since its folder was synced, either the old meaning or the
// new one is left, and of the names of folders what they were at one time; of the
// bytes written since the last sync a part, or zeros.
func (m *memory) crash(rng *rand.Rand) *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	after := newMemory()
	after.noExchange = m.noExchange
	after.root = crashed(rng, m.root, make(map[*inode]*inode))
	return after
}

// crashed is what is left of a file or folder; files keep all their names.
func crashed(rng *rand.Rand, before *inode, copies map[*inode]*inode) *inode {
	if copies[before] != nil {
		return copies[before]
	}
	if !before.folder() {
		data := slices.Clone(before.data[:before.synced])
		if rest := before.data[before.synced:]; len(rest) > 0 {
			rest = slices.Clone(rest[:rng.IntN(len(rest)+1)])
			if rng.IntN(3) == 0 {
				clear(rest[rng.IntN(len(rest)+1):])
			}
			data = append(data, rest...)
		}
		copies[before] = &inode{data: data, synced: len(data)}
		return copies[before]
	}
	after := newFolder()
	copies[before] = after
	states := append(slices.Clone(before.past), before.names)
	state := states[rng.IntN(len(states))]
	all := maps.Clone(before.safe)
	maps.Copy(all, before.names)
	for _, past := range before.past {
		maps.Copy(all, past)
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		file := before.safe[name]
		if rng.IntN(2) == 0 {
			file = before.names[name]
		}
		if all[name].folder() {
			file = state[name]
		}
		if file != nil {
			after.names[name] = crashed(rng, file, copies)
			after.safe[name] = after.names[name]
		}
	}
	return after
}

// files returns all files by their paths.
func (m *memory) files() map[string]*inode {
	files := make(map[string]*inode)
	var walk func(path string, at *inode)
	walk = func(path string, at *inode) {
		if !at.folder() {
			files[path] = at
		}
		for name, file := range at.names {
			walk(filepath.Join(path, name), file)
		}
	}
	walk("/", m.root)
	return files
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
