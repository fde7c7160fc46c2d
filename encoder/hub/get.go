package hub

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// Get downloads a model unless its folder holds it already, which is told by
// the checksums of all files. Another revision of the model in the same folder
// is replaced, another model never. The error is one of ctx, the network or the file system, or
// wraps one of the package's.
func Get(ctx context.Context, name string, options Options) (Model, error) {
	if err := errors.Join(CheckName(name), options.Validate()); err != nil {
		return Model{}, err
	}
	dir := options.Dir
	if dir == "" {
		var err error
		if dir, err = place(name); err != nil {
			return Model{}, err
		}
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Model{}, err
	}
	if err := checkTarget(dir, name); err != nil {
		return Model{}, err
	}
	c := newClient(options)
	m, err := c.list(ctx, name)
	if err != nil {
		return Model{}, err
	}
	m.Path = dir
	parent, base := filepath.Split(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return Model{}, err
	}
	lock := flock.New(filepath.Join(parent, "."+base+".lock"))
	if _, err := lock.TryLockContext(ctx, 100*time.Millisecond); err != nil {
		return Model{}, fmt.Errorf("hub: waiting for another download of %s: %w", name, err)
	}
	defer lock.Unlock()
	if err := checkTarget(dir, name); err != nil {
		return Model{}, err
	}
	if have, err := readRecord(dir); err == nil && slices.Equal(have.Files, m.Files) && have.complete() {
		if options.Progress != nil {
			options.Progress(m.Bytes(), m.Bytes())
		}
		return have, nil
	}
	site := filepath.Join(parent, "."+base+"."+m.Commit[:12]+".download")
	if err := c.fill(ctx, m, site); err != nil {
		return Model{}, err
	}
	if err := replace(dir, site); err != nil {
		return Model{}, err
	}
	if err := removeStale(parent, base); err != nil {
		return Model{}, err
	}
	return m, nil
}

// checkTarget refuses a folder that Get must not replace: one with another
// model or with anything in it that Get did not put there.
func checkTarget(dir, name string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%w: %s is not a folder", ErrExists, dir)
	}
	have, err := readRecord(dir)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case err == nil && have.Name != name:
		return fmt.Errorf("%w: %s holds the model %q", ErrExists, dir, have.Name)
	}
	ours := map[string]bool{recordName: true}
	for _, f := range have.Files {
		ours[f.Path] = true
	}
	return fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !entry.IsDir() && !ours[name]:
			return fmt.Errorf("%w: %s holds %s, which was not downloaded", ErrExists, dir, name)
		}
		return nil
	})
}

// removeStale removes what is left of downloads that were never completed: of
// other commits, and folders that were about to be replaced.
func removeStale(parent, base string) error {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return err
	}
	pattern := regexp.MustCompile(`^\.` + regexp.QuoteMeta(base) + `\.[0-9a-f]{12}\.download(\.old)?$`)
	for _, entry := range entries {
		if pattern.MatchString(entry.Name()) {
			if err := os.RemoveAll(filepath.Join(parent, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// complete tells whether all files are there and whole.
func (m Model) complete() bool {
	return !slices.ContainsFunc(m.Files, func(f File) bool { return !f.verify(m.file(m.Path, f)) })
}

func (m Model) file(dir string, f File) string { return filepath.Join(dir, filepath.FromSlash(f.Path)) }

// fill downloads all files of a model that are not in a folder yet.
func (c *client) fill(ctx context.Context, m Model, dir string) error {
	total, before := m.Bytes(), int64(0)
	for _, f := range m.Files {
		report := func(have int64) {
			if c.options.Progress != nil {
				c.options.Progress(before+have, total)
			}
		}
		target := m.file(dir, f)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		if !f.verify(target) {
			// ORG/NAME/resolve/COMMIT/FILE
			address := c.base + "/" + m.Name + "/resolve/" + m.Commit + "/" + escapePath(f.Path)
			if err := c.fetch(ctx, address, target, f, report); err != nil {
				return err
			}
		}
		report(f.Size)
		before += f.Size
	}
	return m.writeRecord(dir)
}

func escapePath(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return strings.Join(parts, "/")
}

// replace moves a finished folder to its place.
func replace(dir, fresh string) error {
	old := fresh + ".old"
	if err := os.RemoveAll(old); err != nil {
		return err
	}
	if err := os.Rename(dir, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(fresh, dir); err != nil {
		return errors.Join(err, os.Rename(old, dir))
	}
	return os.RemoveAll(old)
}
