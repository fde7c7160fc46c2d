package index

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/internal/durable"
)

// clinging is a file system like that of Windows: what is open is neither removed
// nor replaced, nor is a folder renamed that it lies in.
type clinging struct {
	durable.FS
	mutex sync.Mutex
	open  map[string]int
	link  map[string]string // the first name of a file with several
}

func (c *clinging) Link(from, to string) error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.link[to] = cmp.Or(c.link[from], from)
	return c.FS.Link(from, to)
}

func (c *clinging) hold(path string) (release func()) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	path = cmp.Or(c.link[path], path)
	c.open[path]++
	return sync.OnceFunc(func() {
		c.mutex.Lock()
		defer c.mutex.Unlock()
		c.open[path]--
	})
}

func (c *clinging) free(op, path string) error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for held, times := range c.open {
		if times > 0 && (held == cmp.Or(c.link[path], path) || strings.HasPrefix(held, path+string(filepath.Separator))) {
			return &fs.PathError{Op: op, Path: path, Err: fs.ErrPermission}
		}
	}
	return nil
}

func (c *clinging) Map(path string) (*durable.Mapping, error) {
	mapping, err := c.FS.Map(path)
	if err != nil {
		return nil, err
	}
	release := c.hold(path)
	return durable.NewMapping(mapping.Data, func() error {
		release()
		return mapping.Close()
	}), nil
}

func (c *clinging) Create(path string) (durable.File, error) {
	file, err := c.FS.Create(path)
	if err != nil {
		return nil, err
	}
	return clingingFile{file, c.hold(path)}, nil
}

type clingingFile struct {
	durable.File
	release func()
}

func (f clingingFile) Close() error {
	f.release()
	return f.File.Close()
}

func (c *clinging) Remove(path string) error {
	if err := c.free("remove", path); err != nil {
		return err
	}
	return c.FS.Remove(path)
}

func (c *clinging) Rename(from, to string) error {
	if err := errors.Join(c.free("rename", from), c.free("rename", to)); err != nil {
		return err
	}
	return c.FS.Rename(from, to)
}

// Exchange is unknown to systems where open files stay.
func (c *clinging) Exchange(string, string) error { return errors.ErrUnsupported }

// TestOpenFilesStay: where open files can neither be removed nor replaced, writers
// commit, merge and open an index under a snapshot, which keeps what it shows; its
// files go when it has gone. Another index does not take its place meanwhile.
func TestOpenFilesStay(t *testing.T) {
	s := newStory()
	dir := t.TempDir()
	s.folder = folder{&clinging{FS: hasty{durable.OS}, open: make(map[string]int), link: make(map[string]string)}, filepath.Join(dir, "one")}
	options := smallOptions(machineDim, codec.Float32)
	options.Codec.Cells, options.Codec.Iterations = 3, 1
	options.SegmentBytes, options.TrainingVectors = 1<<10, 1
	ctx := t.Context()
	s.writer = must[*Writer](t)(s.folder.createIndex(options, CreateOptions{}))
	for _, step := range []func() error{
		func() error { return s.update(1, "a", "b", "c", "d", "e")(ctx) },
		func() error { return s.delete("b")(ctx) },
		func() error { return s.commit(ctx) },
	} {
		check(t, step())
	}
	before := maps.Clone(s.now)
	snapshot := must[*Snapshot](t)(s.folder.openSnapshot())
	files := snapshot.manifest.files()[1:]

	for round := range uint64(2) {
		check(t, s.update(2+round, "a", "f", "g")(ctx))
		check(t, s.delete("c")(ctx))
		check(t, s.commit(ctx))
		check(t, s.merge(ctx))
		check(t, s.read(ctx))
		check(t, s.reopen(ctx))
		check(t, differs(snapshot, before))
	}
	if names := s.names(t); !slices.Contains(names, files[0]) {
		t.Errorf("%v lacks %s, which is open", names, files[0])
	}

	fresh := folder{s.folder.fs, filepath.Join(dir, "fresh")}
	check(t, must[*Writer](t)(fresh.createIndex(options, CreateOptions{})).Close())
	check(t, s.writer.Close())
	if err := s.folder.replace(fresh.dir); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("replacing it under a snapshot: error %v", err)
	}
	check(t, s.read(ctx))

	check(t, snapshot.Close())
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	backup := folder{s.folder.fs, filepath.Join(dir, "backup")}
	if _, err := s.folder.backup(cancelled, backup, BackupOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a backup that is cancelled: error %v", err)
	}
	for _, entry := range must[[]fs.DirEntry](t)(backup.fs.ReadDir(backup.dir)) {
		if entry.Name() != lockName {
			t.Errorf("a backup that was cancelled has left %s", entry.Name())
		}
	}
	s.writer = must[*Writer](t)(s.folder.openWriter())
	check(t, s.writer.Close())
	for _, name := range s.names(t) {
		if manifest := must[manifest](t)(readManifest(s.folder)); name != lockName && !slices.Contains(manifest.files(), name) {
			t.Errorf("%s is left", name)
		}
	}
	check(t, s.folder.replace(fresh.dir))
}

// names are those of the files of the index.
func (s *story) names(t *testing.T) []string {
	var names []string
	for _, entry := range must[[]fs.DirEntry](t)(s.folder.fs.ReadDir(s.folder.dir)) {
		names = append(names, entry.Name())
	}
	return names
}
