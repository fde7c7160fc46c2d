package index

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// A deletes file holds what one commit, or several since, deleted: a container
// with the section "documents", in which each segment concerned has
//
//	number of the segment's file              uv
//	length of the bitmap                      uv
//	document numbers, a bitmap in the portable Roaring format
//
// in ascending order of the segments. So a commit writes what it deletes, in
// one file, however much was deleted before. When a commit deletes at least
// half as many documents as the last file lists, it replaces that file, and then
// perhaps the one before: a document is written a logarithmic number of times, and
// there is a logarithmic number of files. Segments that are gone may still
// be spoken of.
const deletesVersion = 2 // 1 was the bitmap of one segment

// deletes are document numbers by the number of the segment's file.
type deletes map[uint64]*roaring.Bitmap

func (d deletes) count() (n uint64) {
	for _, documents := range d {
		n += documents.GetCardinality()
	}
	return n
}

// add adds others, which stay as they are.
func (d deletes) add(others deletes) {
	for segment, documents := range others {
		if d[segment] == nil {
			d[segment] = roaring.New()
		}
		d[segment].Or(documents)
	}
}

func (f folder) writeDeletes(name string, d deletes) error {
	var data []byte
	for _, segment := range slices.Sorted(maps.Keys(d)) {
		bitmap, err := d[segment].ToBytes()
		if err != nil {
			return err
		}
		data = binary.AppendUvarint(data, segment)
		data = binary.AppendUvarint(data, uint64(len(bitmap)))
		data = append(data, bitmap...)
	}
	w, err := f.create(name)
	if err != nil {
		return err
	}
	w.add("documents", deletesVersion, data)
	return w.finish()
}

// readDeletes returns what one file says is deleted.
func (m *manifest) readDeletes(f folder, entry deletesEntry) (deletes, error) {
	c, err := m.open(f, entry.File)
	if err != nil {
		return nil, err
	}
	defer c.close()
	data, err := c.checked("documents", deletesVersion)
	if err != nil {
		return nil, err
	}
	d, err := parseDeletes(data)
	if err != nil {
		return nil, c.corrupt("documents", "%v", err)
	}
	if n := d.count(); n != entry.Documents {
		return nil, c.corrupt("documents", "%d documents, the manifest says %d", n, entry.Documents)
	}
	return d, nil
}

// parseDeletes reads the section "documents".
func parseDeletes(data []byte) (deletes, error) {
	all := make(deletes)
	d := decoder{data: data}
	last := uint64(0)
	for len(d.data) > 0 {
		segment := d.uvarint()
		bitmap := d.bytes(d.uvarint())
		if d.bad || segment <= last {
			return nil, fmt.Errorf("segment %d after %d", segment, last)
		}
		documents, err := parseBitmap(bitmap)
		if err != nil {
			return nil, fmt.Errorf("segment %d: %w", segment, err)
		}
		all[segment], last = documents, segment
	}
	return all, nil
}

func parseBitmap(data []byte) (*roaring.Bitmap, error) {
	bitmap := roaring.New()
	n, err := bitmap.ReadFrom(bytes.NewReader(data))
	switch {
	case err != nil:
		return nil, err
	case n != int64(len(data)):
		return nil, fmt.Errorf("%d bytes too many", int64(len(data))-n)
	case bitmap.IsEmpty():
		return nil, fmt.Errorf("no documents")
	}
	return bitmap, bitmap.Validate()
}

// readAllDeletes returns what each file says is deleted.
func (m *manifest) readAllDeletes(f folder) ([]deletes, error) {
	var all []deletes
	for _, entry := range m.Deletes {
		d, err := m.readDeletes(f, entry)
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

// deletedOf returns the deleted documents of a segment, which must be as many
// as the manifest says.
func (m *manifest) deletedOf(entry segmentEntry, all []deletes) (*roaring.Bitmap, error) {
	_, number, _ := parseFileName(entry.File)
	deleted := roaring.New()
	for _, d := range all {
		if documents := d[number]; documents != nil {
			deleted.Or(documents)
		}
	}
	switch {
	case deleted.GetCardinality() != uint64(entry.Deleted):
		return nil, fmt.Errorf("%w: %d documents of %s are deleted, the manifest says %d",
			ErrCorrupt, deleted.GetCardinality(), entry.File, entry.Deleted)
	case !deleted.IsEmpty() && deleted.Maximum() >= entry.Documents:
		return nil, fmt.Errorf("%w: document %d of %d of %s is deleted", ErrCorrupt, deleted.Maximum(), entry.Documents, entry.File)
	}
	return deleted, nil
}

// concern tells whether any of the segments has lost something.
func (d deletes) concern(segments map[uint64]bool) bool {
	for segment := range d {
		if segments[segment] {
			return true
		}
	}
	return false
}

// keep forgets all but the given segments.
func (d deletes) keep(segments map[uint64]bool) {
	maps.DeleteFunc(d, func(segment uint64, _ *roaring.Bitmap) bool { return !segments[segment] })
}
