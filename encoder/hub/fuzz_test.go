package hub

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// FuzzListing checks that whatever a hub answers, only files of the model's own
// folder come out of it, with checksums.
func FuzzListing(f *testing.F) {
	const sha = `"sha": "0123456789012345678901234567890123456789"`
	const config = `{"rfilename": "config.json", "size": 3, "blobId": "0123456789012345678901234567890123456789"}`
	weights := `{"rfilename": "model.safetensors", "lfs": {"size": 9, "sha256": "` + strings.Repeat("ab", 32) + `"}}`
	for _, seed := range []string{
		``, `{}`, `{` + sha + `}`, `{` + sha + `, "siblings": [` + config + `, ` + weights + `]}`,
		`{` + sha + `, "siblings": [` + config + `, ` + weights + `, {"rfilename": "../1_Dense/config.json", "size": 1}]}`,
		`{` + sha + `, "siblings": [` + config + `, ` + weights + `, {"rfilename": "1_Dense\\..\\config.json", "size": 1}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		commit, files, err := parseListing(data)
		if err != nil {
			return
		}
		if len(commit) != 40 || !slices.ContainsFunc(files, func(f File) bool { return f.Path == "config.json" }) {
			t.Fatalf("%s: commit %q with %v", data, commit, files)
		}
		for i, file := range files {
			if !filepath.IsLocal(file.Path) || strings.ContainsAny(file.Path, "\\:\x00") || strings.Count(file.Path, "/") > 1 || strings.HasPrefix(file.Path, ".") {
				t.Errorf("took the name %q", file.Path)
			}
			if file.Size < 0 || len(file.SHA256) != 64 && len(file.Blob) != 40 {
				t.Errorf("took %+v", file)
			}
			for _, other := range files[:i] {
				if strings.EqualFold(file.Path, other.Path) {
					t.Errorf("took %q and %q", file.Path, other.Path)
				}
			}
		}
	})
}
