package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Model is a model folder and where it comes from.
type Model struct {
	Name     string `json:"name"`     // ORG/NAME
	Source   string `json:"source"`   // address of the hub
	Revision string `json:"revision"` // as asked for
	Commit   string `json:"commit"`   // what it stood for
	Files    []File `json:"files"`    // in the order of the hub's list
	Path     string `json:"-"`        // the folder
}

// File is a file of a model, named with slashes. It has one of two checksums.
type File struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256,omitempty"` // of the content
	Blob   string `json:"blob,omitempty"`   // git's blob id, a SHA-1
}

// Bytes is the size of all files.
func (m Model) Bytes() int64 {
	var sum int64
	for _, f := range m.Files {
		sum += f.Size
	}
	return sum
}

// recordName is the file that makes a folder a finished model. Package
// encoder/bert reads it, too, to tell damaged files.
const recordName = "pare-model.json"

// readRecord returns the model in a folder. The error wraps fs.ErrNotExist when
// there is none.
func readRecord(dir string) (Model, error) {
	data, err := os.ReadFile(filepath.Join(dir, recordName))
	if err != nil {
		return Model{}, err
	}
	var m Model
	if err := json.Unmarshal(data, &m); err != nil {
		return Model{}, fmt.Errorf("hub: %s: %w", filepath.Join(dir, recordName), err)
	}
	m.Path = dir
	return m, nil
}

func (m Model) writeRecord(dir string) error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, recordName), append(data, '\n'), 0o644)
}

// CacheDir returns the folder that Get puts models into: pare/models in
// os.UserCacheDir.
func CacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("hub: no cache folder: %w", err)
	}
	return filepath.Join(dir, "pare", "models"), nil
}

var namePattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,95}/[A-Za-z0-9_][A-Za-z0-9._-]{0,95}$`)

// CheckName accepts ORG/NAME as hubs do, and nothing that leads elsewhere; its error
// wraps ErrName.
func CheckName(name string) error {
	if !namePattern.MatchString(name) || strings.Contains(name, "..") || !filepath.IsLocal(filepath.FromSlash(name)) {
		return fmt.Errorf("%w: %q", ErrName, name)
	}
	return nil
}

// place is where a model lies in the cache.
func place(name string) (string, error) {
	if err := CheckName(name); err != nil {
		return "", err
	}
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, filepath.FromSlash(name)), nil
}

// present tells whether all files are there, by their sizes.
func (m Model) present() bool {
	return !slices.ContainsFunc(m.Files, func(f File) bool {
		info, err := os.Stat(m.file(m.Path, f))
		return err != nil || !info.Mode().IsRegular() || info.Size() != f.Size
	})
}

// Find returns the folder of a model in the cache. found is false for what is
// not a name, not there or not there in full, by the sizes of its files. It
// uses no network.
func Find(name string) (dir string, found bool) {
	dir, err := place(name)
	if err != nil {
		return "", false
	}
	m, err := readRecord(dir)
	if err != nil || m.Name != name || !m.present() {
		return "", false
	}
	return dir, true
}

// List returns the models in the cache, sorted by name: those that Find finds.
func List() ([]Model, error) {
	cache, err := CacheDir()
	if err != nil {
		return nil, err
	}
	// Never a dot in front, which is what begins the name of a download.
	records, err := fs.Glob(os.DirFS(cache), "[^.]*/[^.]*/"+recordName)
	if err != nil {
		return nil, err
	}
	var models []Model
	for _, record := range records {
		name := path.Dir(record)
		m, err := readRecord(filepath.Join(cache, filepath.FromSlash(name)))
		if errors.Is(err, fs.ErrPermission) {
			return nil, err
		}
		if err == nil && m.Name == name && m.present() {
			models = append(models, m)
		}
	}
	return models, nil
}
