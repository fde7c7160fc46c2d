package configs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/pare-search/pare/retriever"
)

// ErrNotHot reports a changed file that changes a key which needs a restart.
var ErrNotHot = errors.New("cannot change while searches run")

// Hot tells whether a key may change under a Watcher: all that say how a query is
// searched, but for the number of hits, which callers count on.
func Hot(key string) bool { return strings.HasPrefix(key, "search.") && key != "search.k" }

// Change is what became of a changed file.
type Change struct {
	// Err says why the file was refused and everything stays as it was; nil if
	// its settings are in force.
	Err error
	// Keys are those with new values: none where Err is set, and none where a file
	// that was refused is mended and says what it said before.
	Keys []ChangedKey
}

// ChangedKey is a key and its values before and after.
type ChangedKey struct {
	Name     string
	Old, New any
}

// WatchOptions are the settings of Watch.
type WatchOptions struct {
	// Check, if set, may refuse a file that is valid in itself, such as one with
	// the certificate of another index. It is also asked about the first.
	Check func(*Loaded) error
	// Report, if set, is told of every file that was taken or refused, by one
	// goroutine, which takes no further file meanwhile.
	Report func(Change)
}

// Watcher holds the settings of a file, as they are now: when the file changes
// it loads all sources again, and if they make sense and only keys change that
// Hot allows, the next search has the new values. Else all stays as it is: a file
// is taken as a whole or not at all, so that no search ever sees half of it. Its
// methods are safe for concurrent use, and reading settings takes no lock.
//
// A change counts when the file has been quiet for a moment. Replace the file
// by renaming another one to its name: a file that is written in place may be
// seen unfinished, and is refused then unless what is there makes sense. An
// empty file makes none.
type Watcher struct {
	sources Sources
	options WatchOptions
	current atomic.Pointer[hotSettings]
	content []byte // of the file as last seen
	refused bool   // which was reported

	files *fsnotify.Watcher
	done  chan struct{}
}

// hotSettings are never changed once they are stored.
type hotSettings struct {
	loaded *Loaded
	search retriever.Options
}

// settle is how long after the first sign of a change the file is read.
const settle = 20 * time.Millisecond

// Watch loads the sources, which must include a file, and watches it until Close.
// What may go wrong at first is what may with Load.
func Watch(sources Sources, options WatchOptions) (*Watcher, error) {
	if sources.File == "" {
		return nil, fmt.Errorf("%w: none to watch", ErrFile)
	}
	w := &Watcher{sources: sources, options: options, done: make(chan struct{})}
	var err error
	if w.files, err = fsnotify.NewWatcher(); err != nil {
		return nil, fmt.Errorf("configs: watching %s: %w", sources.File, err)
	}
	// The folder, since a file that is replaced is not watched any more. Before the
	// file is read, so that no change is missed.
	err = w.files.Add(filepath.Dir(sources.File))
	if err != nil {
		err = fmt.Errorf("configs: watching %s: %w", filepath.Dir(sources.File), err)
	} else {
		var settings *hotSettings
		if settings, err = w.load(); err == nil {
			w.current.Store(settings)
		}
	}
	if err != nil {
		return nil, errors.Join(err, w.files.Close())
	}
	go w.follow()
	return w, nil
}

// Loaded returns the settings in force. They are not changed later.
func (w *Watcher) Loaded() *Loaded { return w.current.Load().loaded }

// SearchOptions returns the options in force, for one search: they do not change
// under it.
func (w *Watcher) SearchOptions() retriever.Options { return w.current.Load().search }

// Close stops watching; the settings stay.
func (w *Watcher) Close() error {
	err := w.files.Close()
	<-w.done
	return err
}

// follow waits for changes. The timer is not put off by further events, so that
// a busy folder does not keep it from firing.
func (w *Watcher) follow() {
	defer close(w.done)
	var timer <-chan time.Time
	for {
		select {
		case _, open := <-w.files.Events:
			if !open {
				return
			}
			if timer == nil {
				timer = time.After(settle)
			}
		case err, open := <-w.files.Errors:
			if !open {
				return
			}
			w.report(Change{Err: fmt.Errorf("configs: watching %s: %w", w.sources.File, err)})
			if timer == nil {
				timer = time.After(settle) // events may have been lost
			}
		case <-timer:
			timer = nil
			w.reload()
		}
	}
}

// reload takes the file if it has changed and makes sense.
func (w *Watcher) reload() {
	content, err := os.ReadFile(w.sources.File)
	if err == nil && bytes.Equal(content, w.content) {
		return // something else in the folder has changed
	}
	if err != nil && w.content == nil {
		return // it is still away
	}
	settings, err := w.load()
	if err != nil {
		w.refuse(err)
		return
	}
	changed := changedKeys(w.Loaded().Config, settings.loaded.Config)
	var faults []error
	for _, key := range changed {
		if !Hot(key.Name) {
			faults = append(faults, &Error{
				Origin: settings.loaded.Origin(key.Name), Key: key.Name,
				Err:  fmt.Errorf("%w: it is %v, got %v", ErrNotHot, key.Old, key.New),
				hint: "restart to change it; nothing of the file was taken",
			})
		}
	}
	if err := errors.Join(faults...); err != nil {
		w.refuse(err)
		return
	}
	w.current.Store(settings)
	if len(changed) > 0 || w.refused {
		w.refused = false
		w.report(Change{Keys: changed})
	}
}

func (w *Watcher) refuse(err error) {
	w.refused = true
	w.report(Change{Err: err})
}

// load reads all sources.
func (w *Watcher) load() (*hotSettings, error) {
	w.content = nil
	content, err := os.ReadFile(w.sources.File)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	w.content = content
	if len(bytes.TrimSpace(content)) == 0 {
		return nil, fmt.Errorf("%w: %s is empty", ErrFile, w.sources.File)
	}
	loaded, err := Load(w.sources)
	if err != nil {
		return nil, err
	}
	if w.options.Check != nil {
		if err := w.options.Check(loaded); err != nil {
			return nil, err
		}
	}
	search, err := loaded.Config.SearchOptions()
	return &hotSettings{loaded, search}, err
}

func (w *Watcher) report(c Change) {
	if w.options.Report != nil {
		w.options.Report(c)
	}
}

// changedKeys returns the keys whose values differ.
func changedKeys(old, new Config) []ChangedKey {
	var changed []ChangedKey
	for _, k := range Keys() {
		before, after := k.Value(old), k.Value(new)
		if !reflect.DeepEqual(before, after) {
			changed = append(changed, ChangedKey{k.Name, before, after})
		}
	}
	return changed
}
