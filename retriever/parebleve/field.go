package parebleve

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/blevesearch/bleve/v2/document"
	index "github.com/blevesearch/bleve_index_api"

	"github.com/pare-search/pare/encoder"
	pareindex "github.com/pare-search/pare/index"
	"github.com/pare-search/pare/index/codec"
)

// What a document stores for one field lies in a hidden field of its own, in
// the same segment as its text. Its stored value is
//
//	codes of its vectors, codec.Payload.Codes    as many bytes as are left
//	CRC-32C of these and of its cells,
//	  codec.Payload.Cells, little-endian         u32
//
// and its terms, which are no part of any other field, _all included, are, with
// big-endian numbers,
//
//	"m" checksum(8) vectors(4)  documents coded with the codebook that have so
//	                            many vectors
//	"c" checksum(8) cell(3)     those with a vector in the cell
//	"t" id(4) count(1)          those with the token id at least count times;
//	                            with Options.TokenStatistics, and up to 255
//
// The terms "c" are codec.Payload.Cells turned round, which is stored nowhere else:
// facts makes it of them. bleve writes a checksum of each file and does not read
// it. That of the payload is checked when a document is first scored or coded anew,
// so that damage to its codes, or to the posting lists that name its cells, gives
// an error that wraps ErrCorrupt and never another score. It takes four bytes of
// some thousand, and a tenth of a microsecond of the several that reading takes.
// Not noticed is damage to posting lists because of which a document is no
// candidate, and so not read at all, or its rank among candidates is another; and
// damage to the terms "m", which hide documents, and "t".
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
func memberTerm(dst []byte, book uint64, vectors int) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, 'm'), book)
	return binary.BigEndian.AppendUint32(dst, uint32(vectors))
}

// members is the range of all member terms, or of those of one codebook.
func members(book ...uint64) (from, to []byte) {
	from = []byte{'m'}
	for _, b := range book {
		from = binary.BigEndian.AppendUint64(from, b)
	}
	return from, append(slices.Clone(from), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
}

// memberOf returns what a member term says.
func memberOf(term string) (book uint64, vectors int, ok bool) {
	if len(term) != 13 {
		return 0, 0, false
	}
	return binary.BigEndian.Uint64([]byte(term[1:9])), int(binary.BigEndian.Uint32([]byte(term[9:]))), true
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

func tokenTerm(dst []byte, id uint32, count int) []byte {
	return append(binary.BigEndian.AppendUint32(append(dst, 't'), id), byte(count))
}

// vectorField is the hidden field. Its terms are its own: bleve adds the terms
// of indexed fields to those of composite ones such as _all, so it says that it
// is stored only. That it is indexed as well is said by indexedField, a second
// field of the same name.
type vectorField struct {
	name  string
	codes []byte
	terms index.TokenFrequencies
}

// indexedField has no terms.
type indexedField struct{ vectorField }

var (
	_ document.Field = (*vectorField)(nil)
	_ document.Field = (*indexedField)(nil)
)

func (f *vectorField) Name() string                                     { return f.name }
func (f *vectorField) ArrayPositions() []uint64                         { return nil }
func (f *vectorField) Options() index.FieldIndexingOptions              { return index.StoreField }
func (f *vectorField) Analyze()                                         {}
func (f *vectorField) Value() []byte                                    { return f.codes }
func (f *vectorField) NumPlainTextBytes() uint64                        { return 0 }
func (f *vectorField) Size() int                                        { return len(f.codes) + f.terms.Size() }
func (f *vectorField) EncodedFieldType() byte                           { return storedType }
func (f *vectorField) AnalyzedLength() int                              { return 0 }
func (f *vectorField) AnalyzedTokenFrequencies() index.TokenFrequencies { return f.terms }

func (f *indexedField) Options() index.FieldIndexingOptions {
	return index.IndexField | index.SkipFreqNorm
}

// encodeAll codes the tokens of documents.
func (b *book) encodeAll(ctx context.Context, tokens []encoder.Tokens) ([]codec.Encoded, error) {
	documents := make([]codec.Document, len(tokens))
	for i, t := range tokens {
		documents[i] = codec.Document{Vectors: t.Vectors, IDs: t.IDs}
	}
	return b.EncodeAll(ctx, documents)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksumOf(codes, cells []byte) uint32 {
	return crc32.Update(crc32.Checksum(codes, castagnoli), castagnoli, cells)
}

// seal returns the stored value of a payload.
func seal(payload codec.Payload) []byte {
	value := append(make([]byte, 0, len(payload.Codes)+4), payload.Codes...)
	return binary.LittleEndian.AppendUint32(value, checksumOf(payload.Codes, payload.Cells))
}

// unseal returns the codes of a stored value, given the document's cells.
func unseal(value, cells []byte) ([]byte, error) {
	end := len(value) - 4
	if end < 0 {
		return nil, fmt.Errorf("%w: %d bytes are stored", ErrCorrupt, len(value))
	}
	codes := value[:end:end]
	if checksumOf(codes, cells) != binary.LittleEndian.Uint32(value[end:]) {
		return nil, fmt.Errorf("%w: the checksum of codes and cells is wrong", ErrCorrupt)
	}
	return codes, nil
}

// termsOf returns the terms of the hidden field for tokens that are coded.
func (b *book) termsOf(tokens encoder.Tokens, cells []uint32, statistics bool) index.TokenFrequencies {
	// All terms are one string, and what belongs to them one slice.
	sum := b.Checksum()
	text := memberTerm(make([]byte, 0, 16*(len(cells)+1)), sum, tokens.Vectors.Rows)
	ends := append(make([]int, 0, len(cells)+1), len(text))
	for _, cell := range cells {
		text = cellTerm(text, sum, cell)
		ends = append(ends, len(text))
	}
	if statistics {
		counts := make(map[uint32]int)
		for _, id := range tokens.IDs {
			if counts[id]++; counts[id] <= 255 {
				text = tokenTerm(text, id, counts[id])
				ends = append(ends, len(text))
			}
		}
	}
	names, start := string(text), 0
	frequencies := make([]index.TokenFreq, len(ends))
	terms := make(index.TokenFrequencies, len(ends))
	for i, end := range ends {
		frequencies[i].Term = text[start:end:end]
		terms[names[start:end]] = &frequencies[i]
		start = end
	}
	return terms
}

// addVectors adds the hidden field to a document, given its tokens and what they
// are coded as.
func addVectors(doc *document.Document, hidden string, book *book, tokens encoder.Tokens, encoded codec.Encoded, statistics bool) error {
	if tokens.Vectors.Rows > pareindex.MaxTokens {
		return fmt.Errorf("document %q: %d vectors, at most %d are allowed", doc.ID(), tokens.Vectors.Rows, pareindex.MaxTokens)
	}
	removeVectors(doc, hidden)
	doc.AddField(&vectorField{hidden, seal(encoded.Payload), book.termsOf(tokens, encoded.Cells, statistics)})
	doc.AddField(&indexedField{vectorField{name: hidden}})
	return nil
}

// removeVectors undoes addVectors, for batches that are executed again.
func removeVectors(doc *document.Document, hidden string) {
	doc.Fields = slices.DeleteFunc(doc.Fields, func(f document.Field) bool { return f.Name() == hidden })
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
