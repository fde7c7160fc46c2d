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
// the same segment as its text. Its stored value is the record
//
//	format version       1
//	codebook checksum    8   little-endian
//	bytes of the cells   uv  unsigned varint
//	cells, codes         the payload, as codec.Codebook.Encode makes it
//
// and its terms, which are no part of any other field, _all included, are, with
// big-endian numbers,
//
//	"m" checksum(8)             documents coded with the codebook
//	"n" checksum(8) bit(1)      those whose number of vectors has this bit set
//	"c" checksum(8) cell(3)     those with a vector in the cell
//	"t" id(4) count(1)          those with the token id at least count times;
//	                            with Options.TokenStatistics, and up to 255
//
// The terms "n" are a bit-sliced sum (O'Neil and Quass, SIGMOD 1997): the
// number of all vectors is the sum of 2^bit times the number of documents.
const (
	// hiddenPrefix begins the names of hidden fields.
	hiddenPrefix = "_pare/"
	// storedType marks the stored value. bleve reads the types it knows and
	// passes over others.
	storedType = 'M'

	recordVersion = 2 // in 1 the payload was of one part
	recordHeader  = 9 // bytes before those of the cells
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

func tokenTerm(id uint32, count int) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{'t'}, id), byte(count))
}

// makeRecord returns the stored value of a document's tokens and the cells of
// its vectors.
func makeRecord(book *codec.Codebook, tokens encoder.Tokens) (record []byte, cells []uint32, err error) {
	encoded, err := book.Encode(tokens.Vectors, tokens.IDs)
	if err != nil {
		return nil, nil, err
	}
	payload := encoded.Payload
	record = make([]byte, 0, recordHeader+binary.MaxVarintLen32+payload.Size())
	record = append(record, recordVersion)
	record = binary.LittleEndian.AppendUint64(record, book.Checksum())
	record = binary.AppendUvarint(record, uint64(len(payload.Cells)))
	record = append(append(record, payload.Cells...), payload.Codes...)
	return record, encoded.Cells, nil
}

// cutRecord returns the codebook's checksum and the payload of a stored value.
func cutRecord(record []byte) (book uint64, payload codec.Payload, err error) {
	if len(record) < recordHeader || record[0] != recordVersion {
		return 0, payload, fmt.Errorf("%w: %d bytes are no record of version %d", ErrCorrupt, len(record), recordVersion)
	}
	rest := record[recordHeader:]
	cells, n := binary.Uvarint(rest)
	if n <= 0 || cells > uint64(len(rest)-n) {
		return 0, payload, fmt.Errorf("%w: a record of %d bytes ends among its cells", ErrCorrupt, len(record))
	}
	rest = rest[n:]
	payload = codec.Payload{Cells: rest[:cells:cells], Codes: rest[cells:]}
	return binary.LittleEndian.Uint64(record[1:]), payload, nil
}

// vectorField is the stored half of a hidden field. The other half is a
// composite field: bleve adds the terms of all others to _all.
type vectorField struct {
	name   string
	record []byte
}

var _ document.Field = (*vectorField)(nil)

func (f *vectorField) Name() string                                     { return f.name }
func (f *vectorField) ArrayPositions() []uint64                         { return nil }
func (f *vectorField) Options() index.FieldIndexingOptions              { return index.StoreField }
func (f *vectorField) Analyze()                                         {}
func (f *vectorField) Value() []byte                                    { return f.record }
func (f *vectorField) NumPlainTextBytes() uint64                        { return 0 }
func (f *vectorField) Size() int                                        { return len(f.record) }
func (f *vectorField) EncodedFieldType() byte                           { return storedType }
func (f *vectorField) AnalyzedLength() int                              { return 0 }
func (f *vectorField) AnalyzedTokenFrequencies() index.TokenFrequencies { return nil }

// addVectors codes tokens and adds the two halves of the hidden field to a
// document.
func addVectors(doc *document.Document, hidden string, book *codec.Codebook, tokens encoder.Tokens, statistics bool) error {
	if tokens.Vectors.Rows > pareindex.MaxTokens {
		return fmt.Errorf("document %q: %d vectors, at most %d are allowed", doc.ID(), tokens.Vectors.Rows, pareindex.MaxTokens)
	}
	record, cells, err := makeRecord(book, tokens)
	if err != nil {
		return fmt.Errorf("document %q: %w", doc.ID(), err)
	}
	terms := make(index.TokenFrequencies, len(cells)+10)
	add := func(term []byte) { terms[string(term)] = &index.TokenFreq{Term: term} }
	sum := book.Checksum()
	add(memberTerm(sum))
	for rows := uint(tokens.Vectors.Rows); rows != 0; rows &= rows - 1 {
		add(rowsTerm(sum, bits.TrailingZeros(rows)))
	}
	if book.Cells() > 1 {
		for _, cell := range cells {
			add(cellTerm(nil, sum, cell))
		}
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
	doc.AddField(&vectorField{hidden, record})
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
