package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Limits far above the list and the files of any model that is used here.
const (
	maxListing    = 16 << 20
	maxModelBytes = 64 << 30
)

var (
	commitPattern = regexp.MustCompile(`^[0-9a-f]{40}$`)
	sha256Pattern = regexp.MustCompile(`^[0-9a-f]{64}$`)
	modulePattern = regexp.MustCompile(`^[0-9]+_[A-Za-z]+$`)
)

// needed are the files in a model's own folder that an encoder may read.
var needed = []string{
	"config.json", "model.safetensors",
	"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt",
	"modules.json", "config_sentence_transformers.json", "sentence_bert_config.json",
	"artifact.metadata",
}

// wanted tells whether a file is worth its way: one of those above, or of a
// module such as 1_Pooling or 1_Dense.
func wanted(name string) bool {
	folder, file := path.Split(name)
	if folder == "" {
		return slices.Contains(needed, file)
	}
	return modulePattern.MatchString(strings.TrimSuffix(folder, "/")) &&
		(path.Ext(file) == ".json" || file == "model.safetensors")
}

// list asks the hub for the files of a model.
func (c *client) list(ctx context.Context, name string) (Model, error) {
	// GET /api/models/ORG/NAME/revision/REVISION?blobs=true
	address := c.base + "/api/models/" + name + "/revision/" + url.PathEscape(c.options.Revision) + "?blobs=true"
	data, err := c.read(ctx, address, maxListing)
	if err != nil {
		return Model{}, err
	}
	commit, files, err := parseListing(data)
	if err != nil {
		return Model{}, fmt.Errorf("%w (%s)", err, address)
	}
	return Model{Name: name, Source: c.base, Revision: c.options.Revision, Commit: commit, Files: files}, nil
}

// sibling is a file in a hub's answer.
type sibling struct {
	Name   string `json:"rfilename"`
	Size   *int64 `json:"size"`
	BlobID string `json:"blobId"`
	LFS    *struct {
		SHA256 string `json:"sha256"`
		Size   int64  `json:"size"`
	} `json:"lfs"` // of a large file
}

// parseListing returns the commit and the files that are wanted of a hub's
// answer, which it refuses as a whole for one bad name.
func parseListing(data []byte) (commit string, files []File, err error) {
	var listing struct {
		SHA      string    `json:"sha"`
		Siblings []sibling `json:"siblings"`
	}
	if err := json.Unmarshal(data, &listing); err != nil {
		return "", nil, fmt.Errorf("%w: %w", ErrListing, err)
	}
	if !commitPattern.MatchString(listing.SHA) {
		return "", nil, fmt.Errorf("%w: sha is %.60q, want a commit", ErrListing, listing.SHA)
	}
	seen := map[string]bool{} // in lower case, as some file systems see them
	var weights []string
	left := int64(maxModelBytes)
	for _, s := range listing.Siblings {
		if !safe(s.Name) {
			return "", nil, fmt.Errorf("%w: %.100q; nothing was downloaded", ErrUnsafe, s.Name)
		}
		if slices.Contains([]string{".bin", ".onnx", ".safetensors"}, path.Ext(s.Name)) {
			weights = append(weights, s.Name)
		}
		if !wanted(s.Name) {
			continue
		}
		f, err := s.file()
		if err != nil {
			return "", nil, fmt.Errorf("%w: %s %w", ErrListing, s.Name, err)
		}
		if left -= f.Size; left < 0 { // after which no sum can overflow
			return "", nil, fmt.Errorf("%w: %s has %d bytes, with which there are more than %d", ErrListing, s.Name, f.Size, int64(maxModelBytes))
		}
		lower := strings.ToLower(s.Name)
		if seen[lower] {
			return "", nil, fmt.Errorf("%w: %s is listed twice", ErrListing, s.Name)
		}
		seen[lower] = true
		files = append(files, f)
	}
	for _, must := range []string{"config.json", "model.safetensors"} {
		if !seen[must] {
			return "", nil, fmt.Errorf("%w: it has no %s; its weights are %.300q", ErrNoModel, must, weights)
		}
	}
	return listing.SHA, files, nil
}

// file checks what the hub says of a file.
func (s sibling) file() (File, error) {
	f := File{Path: s.Name}
	switch {
	case s.LFS != nil: // whose blob is only a pointer to the content
		f.Size, f.SHA256 = s.LFS.Size, s.LFS.SHA256
		if !sha256Pattern.MatchString(f.SHA256) {
			return f, fmt.Errorf("has the checksum %.80q, want a SHA-256", f.SHA256)
		}
	case s.Size != nil:
		f.Size, f.Blob = *s.Size, s.BlobID
		if !commitPattern.MatchString(f.Blob) {
			return f, fmt.Errorf("has the blob id %.60q, want a SHA-1", f.Blob)
		}
	default:
		return f, errors.New("has no size")
	}
	if f.Size < 0 {
		return f, fmt.Errorf("has a size of %d", f.Size)
	}
	return f, nil
}

// safe tells whether a name stays in the folder on every system.
func safe(name string) bool {
	return fs.ValidPath(name) && name != "." && filepath.IsLocal(filepath.FromSlash(name)) &&
		!strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' || r == ':' })
}
