package parebleve

import (
	"github.com/RoaringBitmap/roaring/v2"

	"github.com/pare-search/pare/index/codec"
)

// subset is an index.Source of a few documents of another, numbered anew. All
// of them are searched: it has no postings.
type subset struct {
	*source
	documents []uint32 // ascending
}

// newSubset returns those of some documents that the source has.
func newSubset(s *source, documents *roaring.Bitmap) *subset {
	part := &subset{source: s}
	for it := documents.Iterator(); it.HasNext(); {
		if number := it.Next(); s.has(number) {
			part.documents = append(part.documents, number)
		}
	}
	return part
}

// Documents is the number of documents in the subset.
func (s *subset) Documents() int { return len(s.documents) }

// ClearDeleted does nothing: those of the subset are live.
func (s *subset) ClearDeleted([]uint64) {}

// PostingCounts returns zeros.
func (s *subset) PostingCounts() ([]uint32, error) { return make([]uint32, s.book.Cells()), nil }

// AppendPostings appends nothing.
func (s *subset) AppendPostings(dst []uint32, _ uint32) ([]uint32, error) { return dst, nil }

// ID returns a document's external id.
func (s *subset) ID(document uint32) (string, error) { return s.source.ID(s.documents[document]) }

// AppendCells appends the cells of the documents' payloads to dst.
func (s *subset) AppendCells(dst [][]byte, documents []uint32) ([][]byte, error) {
	for _, document := range documents {
		p, local := s.part(s.documents[document])
		dst = append(dst, p.facts.cellsOf(local))
	}
	return dst, nil
}

// AppendPayloads appends the documents' payloads to dst.
func (s *subset) AppendPayloads(dst []codec.Payload, documents []uint32) ([]codec.Payload, error) {
	for _, document := range documents {
		payload, err := s.source.Payload(s.documents[document])
		if err != nil {
			return dst, err
		}
		dst = append(dst, payload)
	}
	return dst, nil
}
