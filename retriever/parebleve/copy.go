package parebleve

import (
	"fmt"
	"slices"

	"github.com/blevesearch/bleve/v2/document"
	"github.com/blevesearch/bleve/v2/index/scorch"
	"github.com/blevesearch/bleve/v2/mapping"
	bleveindex "github.com/blevesearch/bleve_index_api"
	segment "github.com/blevesearch/scorch_segment_api/v2"
)

// This file takes documents out of a segment as they are in it: terms with
// their frequencies, positions and norms, doc values and stored values. Put
// into a batch again, they make the same segment again. So documents can get
// other vectors though nobody has their source any more and most of their
// fields are not stored.

// copyable tells whether documents of this mapping can be copied: all that
// they are is in their stored values and in the inverted index.
func copyable(m mapping.IndexMapping) error {
	if nested, ok := m.(mapping.NestedMapping); ok && nested.CountNested() > 0 {
		return fmt.Errorf("%w: nested documents", ErrNotCopyable)
	}
	impl, ok := m.(*mapping.IndexMappingImpl)
	if !ok {
		return fmt.Errorf("%w: a mapping of type %T", ErrNotCopyable, m)
	}
	for _, dm := range append(mapValues(impl.TypeMapping), impl.DefaultMapping) {
		if err := copyableDocuments(dm); err != nil {
			return err
		}
	}
	return nil
}

func copyableDocuments(dm *mapping.DocumentMapping) error {
	if dm == nil {
		return nil
	}
	for _, f := range dm.Fields {
		switch f.Type {
		case "", "text", "number", "datetime", "boolean", "geopoint", "IP":
		default:
			return fmt.Errorf("%w: field %q of type %s", ErrNotCopyable, f.Name, f.Type)
		}
	}
	for _, sub := range dm.Properties {
		if err := copyableDocuments(sub); err != nil {
			return err
		}
	}
	return nil
}

func mapValues[K comparable, V any](m map[K]V) []V {
	var values []V
	for _, v := range m {
		values = append(values, v)
	}
	return values
}

// copiedField is a field of a copied document: one of its stored values, or
// all of its terms.
type copiedField struct {
	name    string
	options bleveindex.FieldIndexingOptions

	kind      byte
	value     []byte
	positions []uint64

	length int
	terms  bleveindex.TokenFrequencies
}

var _ document.Field = (*copiedField)(nil)

func (f *copiedField) Name() string                             { return f.name }
func (f *copiedField) ArrayPositions() []uint64                 { return f.positions }
func (f *copiedField) Options() bleveindex.FieldIndexingOptions { return f.options }
func (f *copiedField) Analyze()                                 {}
func (f *copiedField) Value() []byte                            { return f.value }
func (f *copiedField) NumPlainTextBytes() uint64                { return uint64(len(f.value)) }

func (f *copiedField) Size() int                                             { return len(f.value) + f.terms.Size() }
func (f *copiedField) EncodedFieldType() byte                                { return f.kind }
func (f *copiedField) AnalyzedLength() int                                   { return f.length }
func (f *copiedField) AnalyzedTokenFrequencies() bleveindex.TokenFrequencies { return f.terms }

// copyDocuments copies documents of a segment, given by their numbers there,
// ascending, leaving out one field.
func copyDocuments(seg *scorch.SegmentSnapshot, numbers []uint32, without string) ([]*document.Document, error) {
	documents := make([]*document.Document, len(numbers))
	for i, number := range numbers {
		id, err := seg.DocID(uint64(number))
		if err != nil {
			return nil, err
		}
		documents[i] = document.NewDocument(string(id))
		if err := copyStored(documents[i], seg, number, without); err != nil {
			return nil, err
		}
	}
	docValues := make(map[string]bool)
	if v, ok := seg.Segment().(segment.DocValueVisitable); ok {
		names, err := v.VisitableDocValueFields()
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			docValues[name] = true
		}
	}
	for _, name := range seg.Fields() {
		if name == "_id" || name == without {
			continue
		}
		fields, err := copyTerms(seg, name, numbers, docValues[name])
		if err != nil {
			return nil, fmt.Errorf("copying field %q: %w", name, err)
		}
		for i, f := range fields {
			if f != nil {
				documents[i].AddField(f)
			}
		}
	}
	return documents, nil
}

// copyStored adds the stored values of a document.
func copyStored(doc *document.Document, seg *scorch.SegmentSnapshot, number uint32, without string) error {
	return seg.VisitDocument(uint64(number), func(name string, kind byte, value []byte, positions []uint64) bool {
		if name != "_id" && name != without {
			doc.AddField(&copiedField{
				name: name, options: bleveindex.StoreField,
				kind: kind, value: slices.Clone(value), positions: slices.Clone(positions),
			})
		}
		return true
	})
}

// copyTerms returns the terms that documents have in a field, nil for those
// that have none.
func copyTerms(seg *scorch.SegmentSnapshot, name string, numbers []uint32, docValues bool) ([]*copiedField, error) {
	fields := make([]*copiedField, len(numbers))
	dictionary, err := seg.Segment().Dictionary(name)
	if err != nil {
		return nil, err
	}
	var list segment.PostingsList
	var postings segment.PostingsIterator
	terms := dictionary.AutomatonIterator(nil, nil, nil)
	for {
		entry, err := terms.Next()
		if err != nil {
			return nil, err
		}
		if entry == nil {
			return fields, nil
		}
		if list, err = dictionary.PostingsList([]byte(entry.Term), nil, list); err != nil {
			return nil, err
		}
		postings = list.Iterator(true, true, true, postings)
		for i := 0; i < len(numbers); {
			p, err := postings.Advance(uint64(numbers[i]))
			if err != nil {
				return nil, err
			}
			if p == nil {
				break
			}
			found := false
			if i, found = slices.BinarySearch(numbers, uint32(p.Number())); !found {
				continue
			}
			if fields[i] == nil {
				fields[i] = &copiedField{name: name, options: bleveindex.IndexField, terms: make(bleveindex.TokenFrequencies)}
				if docValues {
					fields[i].options |= bleveindex.DocValues
				}
			}
			if err := fields[i].add(entry.Term, p); err != nil {
				return nil, err
			}
			i++
		}
	}
}

// add adds a posting.
func (f *copiedField) add(term string, p segment.Posting) error {
	frequency := &bleveindex.TokenFreq{Term: []byte(term)}
	frequency.SetFrequency(int(p.Frequency()))
	if p.Frequency() == 0 {
		f.options |= bleveindex.SkipFreqNorm
	} else {
		// Norm gives 1/sqrt(length), rounded.
		exact, ok := p.(interface{ NormUint64() uint64 })
		if !ok {
			return fmt.Errorf("%w: postings of type %T", ErrNotCopyable, p)
		}
		f.length = int(exact.NormUint64())
	}
	for _, l := range p.Locations() {
		f.options |= bleveindex.IncludeTermVectors
		frequency.Locations = append(frequency.Locations, &bleveindex.TokenLocation{
			Field: l.Field(), ArrayPositions: slices.Clone(l.ArrayPositions()),
			Start: int(l.Start()), End: int(l.End()), Position: int(l.Pos()),
		})
	}
	f.terms[term] = frequency
	return nil
}
