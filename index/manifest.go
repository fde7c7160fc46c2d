package index

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// manifestName is the file that makes an index of a folder. It is a container
// with one section, "index", that holds a manifest as JSON. A commit writes a
// new one beside it and renames it into place.
const (
	manifestName    = "MANIFEST"
	manifestVersion = 1
	lockName        = "LOCK"
)

// manifest lists the files that make up one committed state.
type manifest struct {
	// Generation counts commits.
	Generation uint64 `json:"generation"`
	// NextFile is the number of the next file to create.
	NextFile uint64         `json:"next_file"`
	Dim      int            `json:"dimensions"`
	Codebook string         `json:"codebook,omitempty"` // "" until the first commit with vectors
	Encoder  string         `json:"encoder,omitempty"`
	Options  Options        `json:"options"`
	Segments []segmentEntry `json:"segments"`
}

type segmentEntry struct {
	File      string `json:"file"`
	Documents uint32 `json:"documents"`
	Deletes   string `json:"deletes,omitempty"`
	Deleted   uint32 `json:"deleted,omitempty"`
}

// files lists every file the manifest names.
func (m *manifest) files() []string {
	files := []string{manifestName}
	add := func(name string) {
		if name != "" {
			files = append(files, name)
		}
	}
	add(m.Codebook)
	add(m.Encoder)
	for _, s := range m.Segments {
		add(s.File)
		add(s.Deletes)
	}
	return files
}

// newFile hands out a file name that was never used before.
func (m *manifest) newFile(kind string) string {
	m.NextFile++
	return fmt.Sprintf("%s-%06d.pare", kind, m.NextFile)
}

func readManifest(dir string) (manifest, error) {
	var m manifest
	c, err := openContainer(filepath.Join(dir, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return m, fmt.Errorf("%w: %s has no %s", ErrNotIndex, dir, manifestName)
	}
	if err != nil {
		return m, err
	}
	defer c.close()
	data, err := c.checked("index", manifestVersion)
	if err != nil {
		return m, err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&m); err != nil {
		return m, c.corrupt("index", "%v", err)
	}
	for _, name := range m.files() {
		// A manifest must not lead out of its folder.
		if name != filepath.Base(name) || strings.ContainsAny(name, `/\`) {
			return m, c.corrupt("index", "file name %q", name)
		}
	}
	return m, nil
}

// commit makes m the state of the index. Its files must be synced already.
func (m *manifest) commit(dir string) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	temporary := filepath.Join(dir, manifestName+".new")
	w, err := createContainer(temporary)
	if err != nil {
		return err
	}
	w.add("index", manifestVersion, data)
	if err := w.finish(); err != nil {
		return err
	}
	// The new files' names must be durable before a manifest that uses them.
	if err := syncDir(dir); err != nil {
		return err
	}
	if err := os.Rename(temporary, filepath.Join(dir, manifestName)); err != nil {
		return err
	}
	return syncDir(dir)
}
