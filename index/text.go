package index

import (
	"encoding/binary"
	"sort"

	"github.com/klauspost/compress/zstd"
)

// The text section keeps the texts that the vectors were made of, for
// snippets and highlights. Texts are compressed in blocks of about 32 KiB:
// long enough to compress well, short enough to read one text quickly.
//
//	number of blocks                               u32
//	per block: its first document, where it ends   u32, u32
//	the blocks, each a zstd frame of:
//	  per document: length (uv), bytes
const textVersion = 1

const (
	textBlockSize = 32 << 10
	// maxTextBlock is what the longest block unpacks to: the longest text and
	// its length behind nearly a block of others. It bounds what a corrupt or
	// hostile block may ask for.
	maxTextBlock = MaxTextBytes + textBlockSize + binary.MaxVarintLen64
)

type textBuilder struct {
	encoder   *zstd.Encoder
	directory []uint32
	blocks    []byte
	pending   []byte
	first     uint32 // first document of pending
	documents uint32
}

func newTextBuilder() *textBuilder {
	// With no output stream to write to, NewWriter fails only on bad options.
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err)
	}
	return &textBuilder{encoder: encoder}
}

func (b *textBuilder) add(text string) {
	b.pending = binary.AppendUvarint(b.pending, uint64(len(text)))
	b.pending = append(b.pending, text...)
	b.documents++
	if len(b.pending) >= textBlockSize {
		b.flush()
	}
}

func (b *textBuilder) flush() {
	b.blocks = b.encoder.EncodeAll(b.pending, b.blocks)
	b.directory = append(b.directory, b.first, uint32(len(b.blocks)))
	b.pending, b.first = b.pending[:0], b.documents
}

// finish returns the section.
func (b *textBuilder) finish() []byte {
	if len(b.pending) > 0 {
		b.flush()
	}
	data := binary.LittleEndian.AppendUint32(nil, uint32(len(b.directory)/2))
	return append(appendUint32s(data, b.directory), b.blocks...)
}

// textOf returns the stored text of a document, "" when texts are not stored.
func (s *segment) textOf(document uint32) (string, error) {
	if s.text == nil {
		return "", nil
	}
	blocks, directory, err := s.textDirectory()
	if err != nil {
		return "", err
	}
	// The last block whose first document is not after this one.
	first := func(i int) uint32 { return binary.LittleEndian.Uint32(directory[8*i:]) }
	i := sort.Search(len(directory)/8, func(i int) bool { return first(i) > document }) - 1
	if i < 0 {
		return "", s.file.corrupt("text", "document %d is in no block", document)
	}
	texts, err := s.textBlock(blocks, directory, i)
	if err != nil {
		return "", err
	}
	for range document - first(i) {
		texts.bytes(texts.uvarint())
	}
	text := texts.bytes(texts.uvarint())
	if texts.bad {
		return "", s.file.corrupt("text", "document %d is cut short", document)
	}
	return string(text), nil
}

func (s *segment) textDirectory() (blocks, directory []byte, err error) {
	d := decoder{data: s.text}
	count := uint64(d.uint32())
	directory = d.bytes(8 * count)
	if d.bad {
		return nil, nil, s.file.corrupt("text", "the directory is cut short")
	}
	return d.data, directory, nil
}

func (s *segment) textBlock(blocks, directory []byte, i int) (decoder, error) {
	start, end := uint32(0), binary.LittleEndian.Uint32(directory[8*i+4:])
	if i > 0 {
		start = binary.LittleEndian.Uint32(directory[8*i-4:])
	}
	if start > end || uint64(end) > uint64(len(blocks)) {
		return decoder{}, s.file.corrupt("text", "block %d has no place", i)
	}
	texts, err := textDecoder.DecodeAll(blocks[start:end], nil)
	if err != nil {
		return decoder{}, s.file.corrupt("text", "block %d: %v", i, err)
	}
	return decoder{data: texts}, nil
}

// textDecoder is safe for concurrent DecodeAll calls.
var textDecoder = func() *zstd.Decoder {
	// With no input stream, NewReader fails only on bad options.
	d, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxTextBlock), zstd.WithDecoderConcurrency(0))
	if err != nil {
		panic(err)
	}
	return d
}()

// verifyText unpacks every block and counts the documents.
func (s *segment) verifyText() error {
	blocks, directory, err := s.textDirectory()
	if err != nil {
		return err
	}
	documents := uint32(0)
	for i := range len(directory) / 8 {
		if first := binary.LittleEndian.Uint32(directory[8*i:]); first != documents {
			return s.file.corrupt("text", "block %d begins with document %d, want %d", i, first, documents)
		}
		texts, err := s.textBlock(blocks, directory, i)
		if err != nil {
			return err
		}
		for len(texts.data) > 0 && documents <= s.documents {
			texts.bytes(texts.uvarint())
			documents++
		}
		if texts.bad {
			return s.file.corrupt("text", "block %d is cut short", i)
		}
	}
	if documents != s.documents {
		return s.file.corrupt("text", "%d texts for %d documents", documents, s.documents)
	}
	return nil
}
