package index

import (
	"bytes"
	"fmt"

	"github.com/RoaringBitmap/roaring/v2"
)

// A deletes file holds the deleted document numbers of one segment: a
// container whose section "documents" is a bitmap in the portable Roaring
// format. A commit that deletes more writes a new file.
const deletesVersion = 1

func (f folder) writeDeletes(name string, deleted *roaring.Bitmap) error {
	data, err := deleted.ToBytes()
	if err != nil {
		return err
	}
	w, err := f.create(name)
	if err != nil {
		return err
	}
	w.add("documents", deletesVersion, data)
	return w.finish()
}

// readDeletes returns the bitmap of a segment entry, empty when it has none.
func (m *manifest) readDeletes(f folder, entry segmentEntry) (*roaring.Bitmap, error) {
	if entry.Deletes == "" {
		return roaring.New(), nil
	}
	c, err := m.open(f, entry.Deletes)
	if err != nil {
		return nil, err
	}
	defer c.close()
	data, err := c.checked("documents", deletesVersion)
	if err != nil {
		return nil, err
	}
	deleted, err := parseDeletes(data, entry.Documents)
	if err != nil {
		return nil, c.corrupt("documents", "%v", err)
	}
	if deleted.GetCardinality() != uint64(entry.Deleted) {
		return nil, c.corrupt("documents", "%d documents, the manifest says %d", deleted.GetCardinality(), entry.Deleted)
	}
	return deleted, nil
}

// parseDeletes reads a bitmap of document numbers below documents.
func parseDeletes(data []byte, documents uint32) (*roaring.Bitmap, error) {
	deleted := roaring.New()
	n, err := deleted.ReadFrom(bytes.NewReader(data))
	switch {
	case err != nil:
		return nil, err
	case n != int64(len(data)):
		return nil, fmt.Errorf("%d bytes too many", int64(len(data))-n)
	case deleted.IsEmpty():
		return deleted, nil
	}
	if err := deleted.Validate(); err != nil {
		return nil, err
	}
	if last := deleted.Maximum(); last >= documents {
		return nil, fmt.Errorf("document %d of %d", last, documents)
	}
	return deleted, nil
}
