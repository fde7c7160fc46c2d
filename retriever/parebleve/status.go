package parebleve

import (
	"errors"
	"fmt"
	"maps"
	"slices"
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
	// Vectors is the number of stored vectors, deleted documents' included as long
	// as bleve has not merged them away.
	Vectors int64
	// Codebook is the checksum of the codebook that codes new documents, Kind
	// how it stores vectors, Cells its size.
	Codebook uint64
	Kind     codec.Kind
	Cells    int
	// Outdated is the number of documents coded with an older codebook. They are
	// found as well. Reindex codes them anew.
	Outdated int
	// Lost is the number of documents coded with a codebook that is missing. They
	// are found by text only, until Reindex; see ErrCodebook.
	Lost int
	// Recoding is how far that is, all zero when nothing is going on.
	Recoding Progress
	// Err is why training in the background failed the last time, or which
	// documents could not be coded anew, an *IncompleteError.
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
		coded, err := coders(snapshot, f.hidden)
		if err != nil {
			return nil, err
		}
		for checksum, n := range coded {
			if !x.library.has(checksum) {
				s.Lost += n
			}
		}
		f.mu.RLock()
		s.Recoding, s.Err = f.progress, f.err
		f.mu.RUnlock()
		list = append(list, s)
	}
	return list, nil
}

// takeStock looks at what is there when the index is opened: it counts the
// vectors, looks for the codebooks that documents are coded with, and removes
// the others.
func (x *Index) takeStock() (err error) {
	snapshot, err := x.snapshot()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	for _, f := range x.fields {
		if err := x.findBooks(snapshot, f); err != nil {
			return err
		}
		if f.vectors, err = x.countVectors(snapshot, f); err != nil {
			return err
		}
		current, err := newSource(snapshot, x.shelf, f.hidden, f.current)
		if err != nil {
			return err
		}
		vectors, err := current.liveVectors()
		if err != nil {
			return err
		}
		f.unfinished = f.trained > 0 && vectors < f.vectors
	}
	return x.removeBooks(snapshot)
}

// findBooks returns ErrCodebook if documents are coded with a codebook that is
// missing, unless another one is given to code them anew.
func (x *Index) findBooks(snapshot *scorch.IndexSnapshot, f *field) error {
	coded, err := coders(snapshot, f.hidden)
	if err != nil {
		return err
	}
	var faults []error
	for _, checksum := range slices.Sorted(maps.Keys(coded)) {
		if _, err := x.bookOf(checksum); err != nil {
			faults = append(faults, fmt.Errorf("%d documents of field %q: %w", coded[checksum], f.name, err))
		}
	}
	if x.options.Codebook != nil {
		return nil
	}
	return errors.Join(faults...)
}

// tidy removes the codebooks that no document is coded with any more, once
// documents were coded anew. If a crash may bring back documents as they were,
// that has to wait until the index is opened again.
func (x *Index) tidy() (err error) {
	if !x.engine.durable() {
		return nil
	}
	snapshot, err := x.snapshot()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	return x.removeBooks(snapshot)
}

// removeBooks removes the codebooks that neither documents of the snapshot nor
// new ones need, also in fields that are not opened this time.
func (x *Index) removeBooks(snapshot *scorch.IndexSnapshot) error {
	if x.engine.readOnly {
		return nil
	}
	needed := make(map[string]bool)
	for _, f := range x.fields {
		needed[bookFile(f.book().Checksum())] = true
	}
	s, err := x.storedState()
	if err != nil {
		return err
	}
	for _, f := range s.Fields {
		needed[bookPrefix+f.Codebook+bookSuffix] = true
	}
	hidden := make(map[string]bool)
	for _, seg := range snapshot.Segments() {
		for _, name := range seg.Fields() {
			if strings.HasPrefix(name, hiddenPrefix) {
				hidden[name] = true
			}
		}
	}
	for name := range hidden {
		coded, err := coders(snapshot, name)
		if err != nil {
			return err
		}
		for checksum := range coded {
			needed[bookFile(checksum)] = true
		}
	}
	for _, book := range x.library.all() {
		if !needed[bookFile(book.Checksum())] {
			x.library.retire(book)
		}
	}
	return nil
}
