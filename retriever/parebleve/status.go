package parebleve

import (
	"errors"
	"strings"

	"github.com/blevesearch/bleve/v2/index/scorch"

	"github.com/pare-search/pare/index/codec"
)

// Status says where the vectors of a field are.
type Status struct {
	Field string
	// Documents is the number of documents of the index, WithVectors of those
	// that a Query can find.
	Documents, WithVectors int
	// Vectors is the number of stored vectors, deleted documents' included.
	Vectors int64
	// Codebook is the checksum of the codebook that codes new documents, Kind
	// how it stores vectors, Cells its size.
	Codebook uint64
	Kind     codec.Kind
	Cells    int
	// Outdated is the number of documents coded with an older codebook. They are
	// found as well. Reindex codes them anew.
	Outdated int
	// Recoding is how far that is, all zero when nothing is going on.
	Recoding Progress
	// Err is why training in the background failed the last time.
	Err error
}

// Status returns the status of each field, in the order of Options.Fields.
func (x *Index) Status() (_ []Status, err error) {
	snapshot, err := x.snapshot()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	documents, err := snapshot.DocCount()
	if err != nil {
		return nil, err
	}
	var list []Status
	for _, name := range x.options.Fields {
		f := x.fields[name]
		current := f.book()
		s := Status{
			Field: name, Documents: int(documents),
			Codebook: current.Checksum(), Kind: current.Kind(), Cells: current.Cells(),
		}
		for _, book := range x.library.all() {
			src, err := newSource(snapshot, x.shelf, f.hidden, book)
			if err != nil {
				return nil, err
			}
			live := src.live()
			s.WithVectors += live
			s.Vectors += src.vectors
			if book != current {
				s.Outdated += live
			}
		}
		f.mu.RLock()
		s.Recoding, s.Err = f.progress, f.err
		f.mu.RUnlock()
		list = append(list, s)
	}
	return list, nil
}

// takeStock counts the vectors that are there and removes the codebooks that
// no document is coded with any more.
func (x *Index) takeStock() (err error) {
	snapshot, err := x.snapshot()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	for _, f := range x.fields {
		if f.vectors, err = x.countVectors(snapshot, f); err != nil {
			return err
		}
		current, err := newSource(snapshot, x.shelf, f.hidden, f.current)
		if err != nil {
			return err
		}
		f.unfinished = f.trained > 0 && current.vectors < f.vectors
	}
	for _, book := range x.library.all() {
		used, err := x.inUse(snapshot, book)
		if err != nil {
			return err
		}
		if !used {
			x.library.remove(book)
		}
	}
	return nil
}

// inUse tells whether a codebook is needed, also by fields that are not opened
// this time.
func (x *Index) inUse(snapshot *scorch.IndexSnapshot, book *book) (bool, error) {
	for _, f := range x.fields {
		if f.current == book {
			return true, nil
		}
	}
	s, err := x.storedState()
	if err != nil {
		return false, err
	}
	for _, f := range s.Fields {
		if bookFile(book.Checksum()) == bookPrefix+f.Codebook+bookSuffix {
			return true, nil
		}
	}
	for _, seg := range snapshot.Segments() {
		for _, name := range seg.Fields() {
			if !strings.HasPrefix(name, hiddenPrefix) {
				continue
			}
			terms, err := seg.Segment().Dictionary(name)
			if err != nil {
				return false, err
			}
			if used, err := terms.Contains(memberTerm(book.Checksum())); err != nil || used {
				return used, err
			}
		}
	}
	return false, nil
}
