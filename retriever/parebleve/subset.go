package parebleve

// subset is an index.Source of a few documents of another, numbered anew. All
// of them are searched: it has no postings.
type subset struct {
	*source
	documents []uint32 // ascending
}

func newSubset(s *source, documents []uint32) *subset { return &subset{s, documents} }

// Documents is the number of documents in the subset.
func (s *subset) Documents() int { return len(s.documents) }

// Live is true.
func (s *subset) Live(uint32) bool { return true }

// PostingCount is 0.
func (s *subset) PostingCount(uint32) int { return 0 }

// AppendPostings appends nothing.
func (s *subset) AppendPostings(dst []uint32, _ uint32) ([]uint32, error) { return dst, nil }

// Payload returns a document's payload.
func (s *subset) Payload(document uint32) ([]byte, error) {
	return s.source.Payload(s.documents[document])
}

// ID returns a document's external id.
func (s *subset) ID(document uint32) (string, error) { return s.source.ID(s.documents[document]) }
