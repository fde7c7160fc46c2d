package configs_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pare-search/pare/configs"
)

// replace puts a file in place as a whole.
func replace(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// budgets is a file of two values that belong together.
func budgets(n int) string {
	return fmt.Sprintf("search:\n  budget: %d\n  depth: %d\n", n, n+1)
}

// watch watches a file with a budget of 100 and returns what the watcher reports.
func watch(t *testing.T, options configs.WatchOptions) (*configs.Watcher, string, <-chan configs.Change) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pare.yaml")
	replace(t, path, budgets(100))
	changes := make(chan configs.Change, 100)
	options.Report = func(c configs.Change) { changes <- c }
	w, err := configs.Watch(configs.Sources{File: path}, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w, path, changes
}

func next(t *testing.T, changes <-chan configs.Change) configs.Change {
	t.Helper()
	select {
	case c := <-changes:
		return c
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was reported within 10 s")
		return configs.Change{}
	}
}

// TestWatchWhileSearching changes a file many times, also to broken ones, while
// searches read the settings: none may see a mixture, or anything of a broken
// file. Run it with -race.
func TestWatchWhileSearching(t *testing.T) {
	w, path, changes := watch(t, configs.WatchOptions{})
	stop := make(chan struct{})
	var searches sync.WaitGroup
	for range 4 {
		searches.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				options := w.SearchOptions()
				if options.Search.Depth != options.Search.Budget+1 {
					t.Errorf("budget %d with depth %d", options.Search.Budget, options.Search.Depth)
					return
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	for i := range 12 {
		if i%4 == 3 {
			broken := []string{"search: {budget: [", "search:\n  bugdet: 5\n", ""}[i/4]
			replace(t, path, broken)
			if c := next(t, changes); c.Err == nil || !strings.Contains(c.Err.Error(), path) {
				t.Errorf("the broken file %q: %+v", broken, c)
			}
			if got := w.SearchOptions().Search.Budget; got != 200+i-1 {
				t.Errorf("budget %d after a broken file, want %d", got, 200+i-1)
			}
			continue
		}
		replace(t, path, budgets(200+i))
		c := next(t, changes)
		if c.Err != nil || len(c.Keys) != 2 || c.Keys[0].Name != "search.budget" || c.Keys[0].New != 200+i {
			t.Errorf("change %d: %+v", i, c)
		}
		if got := w.Loaded().Config.Search.Budget; got != 200+i {
			t.Errorf("budget %d, want %d", got, 200+i)
		}
	}
	close(stop)
	searches.Wait()
}

// TestWatchWaysToWrite: in place, removed and made again, through a link as
// Kubernetes mounts files, and other files of the folder.
func TestWatchWaysToWrite(t *testing.T) {
	w, path, changes := watch(t, configs.WatchOptions{})
	expect := func(how string, budget int) {
		t.Helper()
		for {
			// Writing in place may show an empty file first.
			if c := next(t, changes); c.Err == nil {
				break
			}
		}
		if got := w.SearchOptions().Search.Budget; got != budget {
			t.Errorf("%s: budget %d, want %d", how, got, budget)
		}
	}
	if err := os.WriteFile(path, []byte(budgets(300)), 0o644); err != nil {
		t.Fatal(err)
	}
	expect("in place", 300)

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if c := next(t, changes); !errors.Is(c.Err, configs.ErrFile) || !errors.Is(c.Err, os.ErrNotExist) {
		t.Errorf("removed: %+v", c)
	}
	if got := w.SearchOptions().Search.Budget; got != 300 {
		t.Errorf("removed: budget %d", got)
	}
	if err := os.WriteFile(path, []byte(budgets(400)), 0o644); err != nil {
		t.Fatal(err)
	}
	expect("made again", 400)

	dir := filepath.Dir(path)
	for i, version := range []string{"v1", "v2"} {
		folder := filepath.Join(dir, version)
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		replace(t, filepath.Join(folder, "pare.yaml"), budgets(500+i))
		if err := os.Symlink(version, filepath.Join(dir, "data.new")); err != nil {
			t.Skip("no links here:", err)
		}
		if err := os.Rename(filepath.Join(dir, "data.new"), filepath.Join(dir, "data")); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if err := os.Symlink(filepath.Join("data", "pare.yaml"), path+".link"); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(path+".link", path); err != nil {
				t.Fatal(err)
			}
		}
		expect("link to "+version, 500+i)
	}

	replace(t, filepath.Join(dir, "neighbour.yaml"), "search: [")
	replace(t, path, strings.ReplaceAll(budgets(501), "\n", "\n\n")) // the same settings
	replace(t, path, budgets(600))
	expect("after a file of others", 600)
}

// TestWatchRefuses: what shapes the index cannot change, nor what Check refuses,
// and then nothing changes at all.
func TestWatchRefuses(t *testing.T) {
	forbidden := errors.New("for another index")
	w, path, changes := watch(t, configs.WatchOptions{Check: func(l *configs.Loaded) error {
		if l.Config.Search.Budget == 13 {
			return forbidden
		}
		return nil
	}})
	for _, test := range []struct {
		content, says string
		is            error
	}{
		{budgets(200) + "codec:\n  kind: residual1\n", "file " + path + ": codec.kind: cannot change while searches run: it is residual2, got residual1", configs.ErrNotHot},
		{budgets(200) + "  k: 3\n", "search.k", configs.ErrNotHot},
		{budgets(13), "for another index", forbidden},
	} {
		replace(t, path, test.content)
		if c := next(t, changes); !errors.Is(c.Err, test.is) || !strings.Contains(c.Err.Error(), test.says) || len(c.Keys) > 0 {
			t.Errorf("%q: %+v, want %q", test.content, c, test.says)
		}
		if got := w.SearchOptions().Search.Budget; got != 100 {
			t.Errorf("%q: budget %d, want the old one", test.content, got)
		}
	}

	if _, err := configs.Watch(configs.Sources{}, configs.WatchOptions{}); !errors.Is(err, configs.ErrFile) {
		t.Errorf("no file: %v", err)
	}
	if _, err := configs.Watch(configs.Sources{File: filepath.Join(t.TempDir(), "none.yaml")}, configs.WatchOptions{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := configs.Watch(configs.Sources{File: path}, configs.WatchOptions{Check: func(*configs.Loaded) error { return forbidden }}); !errors.Is(err, forbidden) {
		t.Errorf("a file that Check refuses: %v", err)
	}
}

// TestWatchMended: whoever mends a file is told that it is taken, also where it says
// no more than before it was broken.
func TestWatchMended(t *testing.T) {
	_, path, changes := watch(t, configs.WatchOptions{})
	for _, broken := range []string{"search: {budget: [", budgets(100) + "codec: {kind: residual1}\n"} {
		replace(t, path, broken)
		if c := next(t, changes); c.Err == nil {
			t.Errorf("%q: %+v, want an error", broken, c)
		}
		replace(t, path, budgets(100))
		if c := next(t, changes); c.Err != nil || len(c.Keys) > 0 {
			t.Errorf("mended after %q: %+v, want neither an error nor changes", broken, c)
		}
	}
	replace(t, path, "# the same settings\n"+budgets(100))
	replace(t, path, budgets(101))
	if c := next(t, changes); len(c.Keys) != 2 {
		t.Errorf("%+v, want the two keys that change, and nothing before", c)
	}
}

// TestWatchOverruled: a flag or a variable beats the file, before and after.
func TestWatchOverruled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pare.yaml")
	replace(t, path, budgets(100))
	changes := make(chan configs.Change, 10)
	w, err := configs.Watch(configs.Sources{File: path, Env: []string{"PARE_SEARCH_DEPTH=77"}},
		configs.WatchOptions{Report: func(c configs.Change) { changes <- c }})
	if err != nil {
		t.Fatal(err)
	}
	replace(t, path, budgets(200))
	if c := next(t, changes); c.Err != nil || len(c.Keys) != 1 {
		t.Errorf("%+v", c)
	}
	if got := w.SearchOptions().Search; got.Budget != 200 || got.Depth != 77 {
		t.Errorf("budget %d, depth %d", got.Budget, got.Depth)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	replace(t, path, budgets(300))
	time.Sleep(50 * time.Millisecond)
	if got := w.SearchOptions().Search.Budget; got != 200 {
		t.Errorf("budget %d after Close", got)
	}
}

func TestHot(t *testing.T) {
	hot := 0
	for _, k := range configs.Keys() {
		if configs.Hot(k.Name) {
			hot++
		}
	}
	for _, name := range []string{"prune", "budget", "margin_share", "neighbors", "depth", "refine"} {
		if !configs.Hot("search." + name) {
			t.Errorf("search.%s is not hot", name)
		}
	}
	if configs.Hot("codec.kind") || configs.Hot("search.k") || hot < 6 {
		t.Errorf("%d hot keys", hot)
	}
}
