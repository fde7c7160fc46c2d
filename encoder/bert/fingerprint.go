package bert

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
)

// fingerprint hashes the files that a model's vectors depend on, in the order
// in which they are used: of each its name, its length and its SHA-256.
// Packages that download models leave a record of what the files should be
// (encoder/hub); where there is one, files that differ are refused with
// ErrModel.
func fingerprint(dir string, files []string) (sum [sha256.Size]byte, err error) {
	record, err := readRecord(dir)
	if err != nil {
		return sum, err
	}
	all := sha256.New()
	for _, path := range files {
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return sum, err
		}
		name = filepath.ToSlash(name)
		hashed, err := hashFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // one that may be left out
		}
		if err != nil {
			return sum, err
		}
		if want, listed := record[name]; listed && !want.is(hashed) {
			return sum, fmt.Errorf("%w: %s is not as it was downloaded: its checksum is not the one in %s", ErrModel, path, recordName)
		}
		fmt.Fprintf(all, "%s\x00%d\x00%s", name, hashed.size, hashed.sha256)
	}
	return [sha256.Size]byte(all.Sum(nil)), nil
}

// hashes are what a file's bytes are told by.
type hashes struct {
	size         int64
	sha256, blob []byte // blob is git's object id; none for large files
}

// maxBlobBytes bounds the files that are hashed the other way, too: SHA-1 is
// slow, and large files have SHA-256 in records.
const maxBlobBytes = 16 << 20

func hashFile(path string) (h hashes, err error) {
	file, err := openRegular(path)
	if err != nil {
		return h, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return h, err
	}
	content, blob := sha256.New(), sha1.New()
	to := io.Writer(content)
	if info.Size() <= maxBlobBytes {
		fmt.Fprintf(blob, "blob %d\x00", info.Size())
		to = io.MultiWriter(content, blob)
		defer func() { h.blob = blob.Sum(nil) }()
	}
	if h.size, err = io.Copy(to, file); err != nil {
		return h, fmt.Errorf("reading %s: %w", path, err)
	}
	h.sha256 = content.Sum(nil)
	return h, nil
}

// recordName is the file that says where a downloaded folder comes from.
const recordName = "pare-model.json"

// recorded is a file in a record; it has one of two checksums, in hexadecimal.
type recorded struct {
	Path   string `json:"path"` // with slashes
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	Blob   string `json:"blob"`
}

func (r recorded) is(h hashes) bool {
	switch {
	case r.Size != h.size:
		return false
	case r.SHA256 != "":
		return r.SHA256 == hex.EncodeToString(h.sha256)
	case h.blob != nil:
		return r.Blob == hex.EncodeToString(h.blob)
	}
	return true // too large to tell
}

// readRecord returns the files of a folder's record by their names, none when
// there is no record.
func readRecord(dir string) (map[string]recorded, error) {
	var record struct {
		Files []recorded `json:"files"`
	}
	if err := readOptional(filepath.Join(dir, recordName), &record); err != nil {
		return nil, err
	}
	files := make(map[string]recorded, len(record.Files))
	for _, f := range record.Files {
		files[f.Path] = f
	}
	return files, nil
}
