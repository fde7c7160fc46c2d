package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// maxListing is far above the list of any model.
const maxListing = 16 << 20

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
	var listing struct {
		SHA      string `json:"sha"`
		Siblings []struct {
			Name   string `json:"rfilename"`
			Size   *int64 `json:"size"`
			BlobID string `json:"blobId"`
			LFS    *struct {
				SHA256 string `json:"sha256"`
				Size   int64  `json:"size"`
			} `json:"lfs"`
		} `json:"siblings"`
	}
	if err := json.Unmarshal(data, &listing); err != nil {
		return Model{}, fmt.Errorf("%w: %s: %w", ErrListing, address, err)
	}
	fault := func(format string, args ...any) (Model, error) {
		return Model{}, fmt.Errorf("%w: %s: %w", ErrListing, address, fmt.Errorf(format, args...))
	}
	if !commitPattern.MatchString(listing.SHA) {
		return fault("sha is %.60q, want a commit", listing.SHA)
	}
	m := Model{Name: name, Source: c.base, Revision: c.options.Revision, Commit: listing.SHA}
	seen := map[string]bool{}
	var weights []string
	for _, s := range listing.Siblings {
		if !safe(s.Name) {
			return Model{}, fmt.Errorf("%w: %s lists %.100q; nothing was downloaded", ErrUnsafe, address, s.Name)
		}
		if strings.HasPrefix(path.Ext(s.Name), ".bin") || path.Ext(s.Name) == ".onnx" || path.Ext(s.Name) == ".safetensors" {
			weights = append(weights, s.Name)
		}
		if !wanted(s.Name) {
			continue
		}
		f := File{Path: s.Name, Blob: s.BlobID}
		switch {
		case s.LFS != nil:
			// The blob is only a pointer to the content then.
			f.Size, f.SHA256, f.Blob = s.LFS.Size, s.LFS.SHA256, ""
		case s.Size != nil:
			f.Size = *s.Size
		default:
			return fault("%s has no size", s.Name)
		}
		switch lower := strings.ToLower(f.Path); {
		case seen[lower]:
			return fault("%s is listed twice", s.Name)
		case f.Size < 0:
			return fault("%s has a size of %d", s.Name, f.Size)
		case s.LFS != nil && !sha256Pattern.MatchString(f.SHA256):
			return fault("%s has the checksum %.80q, want a SHA-256", s.Name, f.SHA256)
		case s.LFS == nil && !commitPattern.MatchString(f.Blob):
			return fault("%s has the blob id %.60q, want a SHA-1", s.Name, f.Blob)
		default:
			seen[lower] = true
		}
		m.Files = append(m.Files, f)
	}
	for _, must := range []string{"config.json", "model.safetensors"} {
		if !seen[must] {
			return Model{}, fmt.Errorf("%w: %s has no %s; its weights are %.300q", ErrNoModel, name, must, weights)
		}
	}
	return m, nil
}

// safe tells whether a name stays in the folder on every system.
func safe(name string) bool {
	return fs.ValidPath(name) && name != "." && filepath.IsLocal(filepath.FromSlash(name)) &&
		!strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' || r == ':' })
}
