package parebleve

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/blevesearch/bleve/v2/document"
	index "github.com/blevesearch/bleve_index_api"

	"github.com/pare-search/pare/encoder"
	pareindex "github.com/pare-search/pare/index"
	"github.com/pare-search/pare/index/codec"
)

// What a document stores for one field lies in a hidden field of its own, in
// the same segment as its text. Its stored value is the codes of its vectors,
// codec.Payload.Codes, and its terms, which are no part of any other field, _all
// included, are, with big-endian numbers,
//
//	"m" checksum(8)             documents coded with the codebook
//	"n" checksum(8) bit(1)      those whose number of vectors has this bit set
//	"c" checksum(8) cell(3)     those with a vector in the cell
//	"t" id(4) count(1)          those with the token id at least count times;
//	                            with Options.TokenStatistics, and up to 255
//
// The terms "n" are a bit-sliced sum (O'Neil and Quass, SIGMOD 1997): the
// number of all vectors is the sum of 2^bit times the number of documents. The
// terms "c" are codec.Payload.Cells turned round, which is stored nowhere else:
// facts makes it of them.
const (
	// hiddenPrefix begins the names of hidden fields. bleve compresses the stored
	// values of a document together, in the order of their fields' names. Codes do
	// not compress, and the compressor (snappy) skips much of what comes after
	// such bytes: a tenth of the index is saved by having them last.
	hiddenPrefix = "~pare/"
	// storedType marks the stored value. bleve reads the types it knows and
	// passes over others.
	storedType = 'M'
)

func hiddenName(field string) string { return hiddenPrefix + field }

// Terms of the hidden field.
func memberTerm(book uint64) []byte { return binary.BigEndian.AppendUint64([]byte{'m'}, book) }

func rowsTerm(book uint64, bit int) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{'n'}, book), byte(bit))
}

func cellTerm(dst []byte, book uint64, cell uint32) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, 'c'), book)
	return append(dst, byte(cell>>16), byte(cell>>8), byte(cell))
}

// cellOf returns the cell that a term is of.
func cellOf(term string) (cell int, ok bool) {
	if len(term) != 12 {
		return 0, false
	}
	return int(term[9])<<16 | int(term[10])<<8 | int(term[11]), true
}

func tokenTerm(id uint32, count int) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{'t'}, id), byte(count))
}

// vectorField is the stored half of a hidden field. The other half is a
// composite field: bleve adds the terms of all others to _all.
type vectorField struct {
	name  string
	codes []byte
}

var _ document.Field = (*vectorField)(nil)

func (f *vectorField) Name() string                                     { return f.name }
func (f *vectorField) ArrayPositions() []uint64                         { return nil }
func (f *vectorField) Options() index.FieldIndexingOptions              { return index.StoreField }
func (f *vectorField) Analyze()                                         {}
func (f *vectorField) Value() []byte                                    { return f.codes }
func (f *vectorField) NumPlainTextBytes() uint64                        { return 0 }
func (f *vectorField) Size() int                                        { return len(f.codes) }
func (f *vectorField) EncodedFieldType() byte                           { return storedType }
func (f *vectorField) AnalyzedLength() int                              { return 0 }
func (f *vectorField) AnalyzedTokenFrequencies() index.TokenFrequencies { return nil }

// addVectors codes tokens and adds the two halves of the hidden field to a
// document.
func addVectors(doc *document.Document, hidden string, book *codec.Codebook, tokens encoder.Tokens, statistics bool) error {
	if tokens.Vectors.Rows > pareindex.MaxTokens {
		return fmt.Errorf("document %q: %d vectors, at most %d are allowed", doc.ID(), tokens.Vectors.Rows, pareindex.MaxTokens)
	}
	encoded, err := book.Encode(tokens.Vectors, tokens.IDs)
	if err != nil {
		return fmt.Errorf("document %q: %w", doc.ID(), err)
	}
	terms := make(index.TokenFrequencies, len(encoded.Cells)+10)
	add := func(term []byte) { terms[string(term)] = &index.TokenFreq{Term: term} }
	sum := book.Checksum()
	add(memberTerm(sum))
	for rows := uint(tokens.Vectors.Rows); rows != 0; rows &= rows - 1 {
		add(rowsTerm(sum, bits.TrailingZeros(rows)))
	}
	for _, cell := range encoded.Cells {
		add(cellTerm(nil, sum, cell))
	}
	if statistics {
		counts := make(map[uint32]int)
		for _, id := range tokens.IDs {
			if counts[id]++; counts[id] <= 255 {
				add(tokenTerm(id, counts[id]))
			}
		}
	}
	composite := document.NewCompositeFieldWithIndexingOptions(hidden, false, []string{hidden}, nil, index.IndexField|index.SkipFreqNorm)
	composite.Compose(hidden, 0, terms)
	removeVectors(doc, hidden)
	doc.AddField(&vectorField{hidden, encoded.Payload.Codes})
	doc.AddField(composite)
	return nil
}

// removeVectors undoes addVectors, for batches that are executed again.
func removeVectors(doc *document.Document, hidden string) {
	for i, f := range doc.Fields {
		if f.Name() == hidden {
			doc.Fields = append(doc.Fields[:i:i], doc.Fields[i+1:]...)
			break
		}
	}
	for i, f := range doc.CompositeFields {
		if f.Name() == hidden {
			doc.CompositeFields = append(doc.CompositeFields[:i:i], doc.CompositeFields[i+1:]...)
			break
		}
	}
}

// textsOf returns the values of a text field, those of nested documents after
// their parent's.
func textsOf(doc *document.Document, field string) []string {
	var texts []string
	for _, f := range doc.Fields {
		if f.Name() != field {
			continue
		}
		if text, ok := f.(index.TextField); ok {
			texts = append(texts, text.Text())
		}
	}
	for _, nested := range doc.NestedDocuments {
		texts = append(texts, textsOf(nested, field)...)
	}
	return texts
}
