package index

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"testing"

	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/internal/durable"
)

// replaceIndex makes an index without documents and returns its folder.
func replaceIndex(t *testing.T, dir string, dim int) string {
	t.Helper()
	w, err := Create(dir, DefaultOptions(dim), CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func replacePut(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestReplace(t *testing.T) {
	for name, prepare := range map[string]func(dir string){
		"nothing":      func(string) {},
		"empty folder": func(dir string) { _ = os.Mkdir(dir, 0o755) },
		"index":        func(dir string) { replaceIndex(t, dir, 16) },
		"damaged index": func(dir string) {
			replaceIndex(t, dir, 16)
			replacePut(t, filepath.Join(dir, "segment-000009.pare"), "")
			replacePut(t, filepath.Join(dir, manifestName), containerMagic)
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			dir := filepath.Join(root, "index")
			prepare(dir)
			if err := Replace(dir, replaceIndex(t, filepath.Join(root, "fresh"), 8)); err != nil {
				t.Fatal(err)
			}
			s, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if s.Dim() != 8 {
				t.Errorf("%d dimensions: this is not the new index", s.Dim())
			}
			if entries, _ := os.ReadDir(root); len(entries) != 1 {
				t.Errorf("left behind: %v", entries)
			}
		})
	}
}

// TestReplaceRefuses tries what is not an index; all of it must stay.
func TestReplaceRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(dir string)
		want    error
	}{
		"a file":         {func(dir string) { replacePut(t, dir, "PARE") }, ErrNotIndex},
		"other files":    {func(dir string) { replacePut(t, filepath.Join(dir, "notes.txt"), "") }, ErrNotIndex},
		"no manifest":    {func(dir string) { replacePut(t, filepath.Join(dir, "segment-000001.pare"), "PARE") }, ErrNotIndex},
		"other manifest": {func(dir string) { replacePut(t, filepath.Join(dir, manifestName), "name: x") }, ErrNotIndex},
		"index and a file": {func(dir string) {
			replacePut(t, filepath.Join(replaceIndex(t, dir, 16), "notes.txt"), "")
		}, ErrNotIndex},
		"index and an archive": {func(dir string) {
			replacePut(t, filepath.Join(replaceIndex(t, dir, 16), "archive.pare"), "")
		}, ErrNotIndex},
		"index and a folder": {func(dir string) {
			replacePut(t, filepath.Join(replaceIndex(t, dir, 16), "segment-000007.pare", "y"), "")
		}, ErrNotIndex},
		"index with a writer": {func(dir string) {
			w, err := OpenWriter(replaceIndex(t, dir, 16))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { w.Close() })
		}, ErrLocked},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			dir, fresh := filepath.Join(root, "index"), filepath.Join(root, "fresh")
			test.prepare(dir)
			before, _ := os.ReadDir(dir)
			replaceIndex(t, fresh, 8)
			if err := Replace(dir, fresh); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if after, _ := os.ReadDir(dir); len(after) != len(before) {
				t.Errorf("the folder holds %v, held %v", after, before)
			}
			if _, err := os.Stat(fresh); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestReplaceLink: where the folder is a link, what it leads to is replaced, and
// what it would lead to from elsewhere stays.
func TestReplaceLink(t *testing.T) {
	root := t.TempDir()
	link, fresh := filepath.Join(root, "deep", "er", "index"), filepath.Join(root, "deep", "er", "site", "index")
	real, other := replaceIndex(t, filepath.Join(root, "data", "index"), 16), filepath.Join(root, "deep", "data", "index", "precious.txt")
	replacePut(t, other, "precious")
	replaceIndex(t, fresh, 8)
	if err := os.Symlink(filepath.Join("..", "..", "data", "index"), link); err != nil {
		t.Skip(err)
	}
	check(t, Replace(link, fresh))
	for _, dir := range []string{link, real} {
		s := must[*Snapshot](t)(Open(dir))
		if s.Dim() != 8 {
			t.Errorf("%s has %d dimensions: this is not the new index", dir, s.Dim())
		}
		check(t, s.Close())
	}
	if _, err := os.Stat(other); err != nil {
		t.Error(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info, err)
	}
}

// late is a file system where somebody opens the index for writing right before names
// are exchanged.
type late struct {
	durable.FS
	open func()
}

func (l late) Exchange(one, other string) error {
	l.open()
	return l.FS.Exchange(one, other)
}

// TestReplaceLocks: no writer gets hold of an index while it is replaced.
func TestReplaceLocks(t *testing.T) {
	root := t.TempDir()
	dir := replaceIndex(t, filepath.Join(root, "index"), 16)
	asked := false
	f := folder{late{durable.OS, func() {
		asked = true
		if _, err := OpenWriter(dir); !errors.Is(err, ErrLocked) {
			t.Errorf("error %v, want ErrLocked", err)
		}
	}}, dir}
	check(t, f.replace(replaceIndex(t, filepath.Join(root, "fresh"), 8)))
	if !asked {
		t.Error("no names were exchanged")
	}
	check(t, must[*Writer](t)(OpenWriter(dir)).Close())
}

// TestReplaceUnderReaders: a snapshot outlives the index that it was opened on,
// and a reader that was overtaken while it opened the old index starts again.
func TestReplaceUnderReaders(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows does not replace open files")
	}
	dir, other := buildEverything(t, 1), buildEverything(t, 2)
	before, after := open(t, dir), open(t, other)
	kind, data, err := before.Encoder()
	check(t, err)
	want := must[Info](t)(before.Inspect())

	// The new index has the same generation and files of the same names.
	overtaken := before.manifest
	if overtaken.Generation != after.manifest.Generation {
		t.Fatalf("generations %d and %d", overtaken.Generation, after.manifest.Generation)
	}
	if overtaken.outdated(onDisk(dir), overtaken.verify(t.Context(), onDisk(dir))) || overtaken.outdated(onDisk(dir), ErrCorrupt) {
		t.Error("outdated before anything has happened")
	}
	check(t, Replace(dir, other))
	if !overtaken.outdated(onDisk(dir), overtaken.verify(t.Context(), onDisk(dir))) {
		t.Error("not outdated by another index")
	}

	if k, d, err := before.Encoder(); k != kind || !bytes.Equal(d, data) || err != nil {
		t.Errorf("the encoder is now %q, %q, %v", k, d, err)
	}
	if got, err := before.Inspect(); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("now inspected as %+v, %v", got, err)
	}
}

// TestReplaceFaults lets each call of the file system fail while an index is
// replaced, and then the power: the folder is one index or the other, whole, and the
// new one if that was acknowledged. Where names cannot be exchanged the old one may
// be beside it.
func TestReplaceFaults(t *testing.T) {
	checkGoroutines(t)
	const dir, fresh = "/indexes/one", "/indexes/fresh"
	make := func(m *memory, dir string, seed uint64, ids ...string) model {
		options := smallOptions(machineDim, codec.Float32)
		options.TrainingVectors = 1
		w := must[*Writer](t)(folder{m, dir}.createIndex(options, CreateOptions{}))
		held := model{}
		for _, id := range ids {
			held[id] = storyDocument(seed, id)
			check(t, w.Update(t.Context(), held[id]))
			check(t, w.Commit(t.Context()))
		}
		check(t, w.Close())
		return held
	}
	injected, crashes := 0, 0
	for _, test := range []struct {
		name             string
		stands, exchange bool
	}{{"exchanged", true, true}, {"in turn", true, false}, {"nothing there", false, true}} {
		t.Run(test.name, func(t *testing.T) {
			calls := 1
			for at := 0; at <= calls; at++ {
				for _, kind := range faultKinds {
					m := newMemory()
					m.noExchange = !test.exchange
					var old model
					if test.stands {
						old = make(m, dir, 1, "a", "b")
					}
					new := make(m, fresh, 2, "b", "c", "d")
					check(t, m.SyncDir("/indexes"))
					m.calls, m.fail = 0, kind.fail(at)
					if at == 0 {
						m.fail = nil
					}
					err := folder{m, dir}.replace(fresh)
					m.fail = nil
					if at == 0 {
						calls = m.calls
						check(t, err)
					}
					where := fmt.Sprintf("call %d of %d fails %s, which gives %v", at, calls, kind.name, err)
					injected++
					states := []model{new}
					if err != nil && test.stands {
						states = append(states, old)
					}
					look := func(m *memory) {
						acknowledged := test.stands || err == nil
						fault := checkState(t.Context(), folder{m, dir}, acknowledged, states)
						if fault != nil && !test.exchange && err != nil {
							fault = checkState(t.Context(), folder{m, fresh + ".old"}, true, []model{old})
						}
						if fault := errors.Join(fault, m.check()); fault != nil {
							t.Errorf("%s: %v", where, fault)
						}
					}
					for seed := range uint64(5) {
						crashes++
						look(m.crash(rand.New(rand.NewPCG(seed, uint64(at)))))
					}
					look(m)
					if err == nil && len(must[[]fs.DirEntry](t)(m.ReadDir("/indexes"))) != 1 {
						t.Errorf("%s: the old index is left", where)
					}
				}
			}
		})
	}
	t.Logf("%d faults injected, %d crashes", injected, crashes)
}
