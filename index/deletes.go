package index

import (
	"bytes"
	"path/filepath"

	"github.com/RoaringBitmap/roaring/v2"
)

// A deletes file holds the deleted document numbers of one segment: a
// container whose section "documents" is a bitmap in the portable Roaring
// format. A commit that deletes more writes a new file.
const deletesVersion = 1

func writeDeletes(path string, deleted *roaring.Bitmap) error {
	data, err := deleted.ToBytes()
	if err != nil {
		return err
	}
	w, err := createContainer(path)
	if err != nil {
		return err
	}
	w.add("documents", deletesVersion, data)
	return w.finish()
}

// readDeletes returns the bitmap of a segment entry, empty when it has none.
func readDeletes(dir string, entry segmentEntry) (*roaring.Bitmap, error) {
	deleted := roaring.New()
	if entry.Deletes == "" {
		return deleted, nil
	}
	c, err := openContainer(filepath.Join(dir, entry.Deletes))
	if err != nil {
		return nil, err
	}
	defer c.close()
	data, err := c.checked("documents", deletesVersion)
	if err != nil {
		return nil, err
	}
	if _, err := deleted.ReadFrom(bytes.NewReader(data)); err != nil {
		return nil, c.corrupt("documents", "%v", err)
	}
	if err := deleted.Validate(); err != nil && !deleted.IsEmpty() {
		return nil, c.corrupt("documents", "%v", err)
	}
	if !deleted.IsEmpty() && deleted.Maximum() >= entry.Documents {
		return nil, c.corrupt("documents", "document %d of %d", deleted.Maximum(), entry.Documents)
	}
	if deleted.GetCardinality() != uint64(entry.Deleted) {
		return nil, c.corrupt("documents", "%d documents, the manifest says %d", deleted.GetCardinality(), entry.Deleted)
	}
	return deleted, nil
}
