package index

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/pare-search/pare/index/codec"
)

// manifestName is the file that makes an index of a folder. It is a container
// with one section, "index", that holds a manifest as JSON. A commit writes a
// new one beside it and renames it into place.
const (
	manifestName    = "MANIFEST"
	manifestVersion = 2 // 1 had one codebook, and a file of deletes for each segment
	lockName        = "LOCK"
)

// manifest lists the files that make up one committed state.
type manifest struct {
	// Generation counts commits.
	Generation uint64 `json:"generation"`
	// NextFile is the number of the next file to create.
	NextFile uint64 `json:"next_file"`
	Dim      int    `json:"dimensions"`
	// Codebooks are those that code the segments, and last the one that codes new
	// documents. There are none until the first commit with vectors.
	Codebooks []codebookEntry `json:"codebooks,omitempty"`
	Encoder   string          `json:"encoder,omitempty"`
	Pruner    string          `json:"pruner,omitempty"` // of documents' vectors
	Options   Options         `json:"options"`
	Segments  []segmentEntry  `json:"segments"`
	// Deletes says which documents of the segments are deleted, in the order of
	// the commits that deleted them.
	Deletes []deletesEntry `json:"deletes,omitempty"`
	// Checksums holds, for every other file of the index, the checksum in its
	// footer, which covers those of its sections: no file can take the place
	// of another.
	Checksums map[string]uint32 `json:"checksums"`

	frame  File            // what it was read from
	opened map[string]File // if not nil, open notes here what it opens
}

type codebookEntry struct {
	File string `json:"file"`
	// Trained are the vectors that the codebook was made for, Added those coded
	// with it since.
	Trained population `json:"trained"`
	Added   population `json:"added"`
}

// population is a number of vectors and the sum of the squares of their
// distances from their cells.
type population struct {
	Vectors  int64   `json:"vectors"`
	Residual float64 `json:"residual"`
}

func (p *population) add(other population) {
	p.Vectors += other.Vectors
	p.Residual += other.Residual
}

type segmentEntry struct {
	File      string `json:"file"`
	Codebook  string `json:"codebook"`
	Documents uint32 `json:"documents"`
	Deleted   uint32 `json:"deleted,omitempty"`
	// Unpruned is the number of vectors before pruning, 0 in an index without.
	Unpruned uint64 `json:"unpruned_vectors,omitempty"`
}

type deletesEntry struct {
	File      string `json:"file"`
	Documents uint64 `json:"documents"`
}

// codebook returns the file of the codebook that codes new documents, or "".
func (m *manifest) codebook() string {
	if len(m.Codebooks) == 0 {
		return ""
	}
	return m.Codebooks[len(m.Codebooks)-1].File
}

// files lists every file the manifest names.
func (m *manifest) files() []string {
	files := []string{manifestName}
	for _, c := range m.Codebooks {
		files = append(files, c.File)
	}
	for _, name := range []string{m.Encoder, m.Pruner} {
		if name != "" {
			files = append(files, name)
		}
	}
	for _, s := range m.Segments {
		files = append(files, s.File)
	}
	for _, d := range m.Deletes {
		files = append(files, d.File)
	}
	return files
}

// newFile hands out a file name that was never used before.
func (m *manifest) newFile(kind string) string {
	m.NextFile++
	return fileName(kind, m.NextFile)
}

func fileName(kind string, number uint64) string {
	return fmt.Sprintf("%s-%06d.pare", kind, number)
}

// parseFileName is the inverse of fileName; ok is false for any other name.
func parseFileName(name string) (kind string, number uint64, ok bool) {
	kind, rest, _ := strings.Cut(name, "-")
	number, err := strconv.ParseUint(strings.TrimSuffix(rest, ".pare"), 10, 64)
	return kind, number, err == nil && name == fileName(kind, number)
}

// removable tells whether a writer may remove a file of that name: all of
// an index but its manifest and lock.
func removable(name string) bool {
	kind, _, ok := parseFileName(name)
	return ok && slices.Contains([]string{"codebook", "encoder", "pruner", "segment", "deletes"}, kind) || name == manifestName+".new"
}

func readManifest(f folder) (manifest, error) {
	var m manifest
	c, err := f.open(manifestName)
	if errors.Is(err, fs.ErrNotExist) {
		return m, fmt.Errorf("%w: %s has no %s", ErrNotIndex, f.dir, manifestName)
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
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return m, c.corrupt("index", "there is more behind the manifest")
	}
	if err := m.check(); err != nil {
		return m, c.corrupt("index", "%v", err)
	}
	m.frame = describe(c)
	return m, nil
}

// check reports what no writer would write. File names must be ours, so that
// a manifest cannot lead out of its folder.
func (m *manifest) check() error {
	if err := m.Options.Validate(); err != nil {
		return err
	}
	if m.Dim != m.Options.Dim {
		return fmt.Errorf("%d dimensions, the options say %d", m.Dim, m.Options.Dim)
	}
	codebooks := make(map[string]bool)
	for _, c := range m.Codebooks {
		if err := m.checkFile("codebook", c.File); err != nil {
			return err
		}
		codebooks[c.File] = true
	}
	if m.Encoder != "" {
		if err := m.checkFile("encoder", m.Encoder); err != nil {
			return err
		}
	}
	if m.Pruner != "" {
		if err := m.checkFile("pruner", m.Pruner); err != nil {
			return err
		}
	}
	for _, s := range m.Segments {
		if !codebooks[s.Codebook] || s.Documents == 0 || s.Deleted > s.Documents || m.Pruner == "" && s.Unpruned > 0 {
			return fmt.Errorf("impossible segment %+v", s)
		}
		if err := m.checkFile("segment", s.File); err != nil {
			return err
		}
	}
	for _, d := range m.Deletes {
		if err := m.checkFile("deletes", d.File); err != nil {
			return err
		}
	}
	seen := make(map[string]bool)
	for _, name := range m.files()[1:] {
		if _, ok := m.Checksums[name]; !ok || seen[name] {
			return fmt.Errorf("no checksum of %s, or it stands there twice", name)
		}
		seen[name] = true
	}
	return nil
}

// checkFile checks that newFile made a name.
func (m *manifest) checkFile(kind, name string) error {
	found, number, ok := parseFileName(name)
	if !ok || found != kind || number > m.NextFile {
		return fmt.Errorf("%s file %q", kind, name)
	}
	return nil
}

// open opens a file that the manifest names, which must be the very file that
// was committed; for a file since the last commit there is nothing to compare.
func (m *manifest) open(f folder, name string) (*container, error) {
	c, err := f.open(name)
	if err != nil {
		return nil, err
	}
	if want, ok := m.Checksums[name]; ok && c.checksum != want {
		return nil, errors.Join(c.corrupt("", "another file than the %s means", manifestName), c.close())
	}
	if m.opened != nil {
		m.opened[name] = describe(c)
	}
	return c, nil
}

// readCodebooks reads the codebooks, which must be what the options ask for.
func (m *manifest) readCodebooks(f folder) (map[string]*codec.Codebook, error) {
	codebooks := make(map[string]*codec.Codebook)
	for _, entry := range m.Codebooks {
		codebook, err := m.readCodebook(f, entry.File)
		if err != nil {
			return nil, err
		}
		codebooks[entry.File] = codebook
	}
	return codebooks, nil
}

func (m *manifest) readCodebook(f folder, name string) (*codec.Codebook, error) {
	c, err := m.open(f, name)
	if err != nil {
		return nil, err
	}
	defer c.close()
	data, err := c.checked("codebook", codebookVersion)
	if err != nil {
		return nil, err
	}
	codebook, err := codec.Load(slices.Clone(data))
	if err != nil {
		return nil, c.fault("codebook", err)
	}
	if codebook.Dim() != m.Dim || codebook.Kind() != m.Options.Codec.Kind {
		return nil, c.corrupt("codebook", "for %d dimensions and %s, the index is for %d and %s",
			codebook.Dim(), codebook.Kind(), m.Dim, m.Options.Codec.Kind)
	}
	return codebook, nil
}

// outdated tells whether err may have come about because, after m was read, a
// writer made another commit and removed a file that m names, or Replace put
// another index in its place.
func (m *manifest) outdated(f folder, err error) bool {
	if err == nil {
		return false
	}
	now, err := readManifest(f)
	return err == nil && now.frame.Checksum != m.frame.Checksum
}

// seal notes the checksums of the files that m names.
func (m *manifest) seal(f folder) error {
	known := m.Checksums
	m.Checksums = make(map[string]uint32)
	for _, name := range m.files()[1:] {
		checksum, ok := known[name]
		if !ok {
			c, err := f.open(name)
			if err != nil {
				return err
			}
			checksum = c.checksum
			if err := c.close(); err != nil {
				return err
			}
		}
		m.Checksums[name] = checksum
	}
	return nil
}

// commit makes m the state of the index. Its files must be synced already.
func (m *manifest) commit(f folder) error {
	if err := m.seal(f); err != nil {
		return err
	}
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	const temporary = manifestName + ".new"
	if err := f.remove(temporary); err != nil {
		return err
	}
	w, err := f.create(temporary)
	if err != nil {
		return err
	}
	w.add("index", manifestVersion, data)
	if err := w.finish(); err != nil {
		return err
	}
	// The new files' names must be durable before a manifest that uses them.
	if err := f.fs.SyncDir(f.dir); err != nil {
		return err
	}
	if err := f.fs.Rename(f.path(temporary), f.path(manifestName)); err != nil {
		return err
	}
	return f.fs.SyncDir(f.dir)
}
