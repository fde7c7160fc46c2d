package index

import (
	"encoding/binary"
	"io"
	"sort"

	"github.com/klauspost/compress/zstd"
)

// The text section keeps the texts that the vectors were made of, for
// snippets and highlights. Texts are compressed in blocks of about 32 KiB:
// long enough to compress well, short enough to read one text quickly.
//
//	the blocks, each a zstd frame of:
//	  per document: length (uv), bytes
//	per block: its first document, where it ends   u32, u32
//	number of blocks                               u32
//
// The directory is behind the blocks, so that they are written one by one.
const textVersion = 2 // 1 began with the directory

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
	written   int    // bytes of blocks before those in blocks
	blocks    []byte // not yet written
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
	b.directory = append(b.directory, b.first, uint32(b.written+len(b.blocks)))
	b.pending, b.first = b.pending[:0], b.documents
}

// addBlock adds a block of so many documents as it is.
func (b *textBuilder) addBlock(block []byte, documents uint32) {
	if len(b.pending) > 0 {
		b.flush()
	}
	b.blocks = append(b.blocks, block...)
	b.documents += documents
	b.directory = append(b.directory, b.first, uint32(b.written+len(b.blocks)))
	b.first = b.documents
}

// write writes the blocks that are finished.
func (b *textBuilder) write(w io.Writer) error {
	_, err := w.Write(b.blocks)
	b.written += len(b.blocks)
	b.blocks = b.blocks[:0]
	return err
}

// finish returns the section, or what is left of it to write.
func (b *textBuilder) finish() []byte {
	if len(b.pending) > 0 {
		b.flush()
	}
	data := appendUint32s(b.blocks, b.directory)
	return binary.LittleEndian.AppendUint32(data, uint32(len(b.directory)/2))
}

// textOf returns the stored text of a document, "" when texts are not stored.
func (s *segment) textOf(document uint32) (string, error) {
	if s.text.missing() {
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

func (s *segment) textDirectory() (blocks view, directory []byte, err error) {
	size := uint64(len(s.text.data))
	if size < 4 {
		return view{}, nil, s.text.corrupt("%d bytes", size)
	}
	end := size - 4
	last := s.text.from(end)
	count, err := last.number(0)
	if err != nil {
		return view{}, nil, err
	}
	if 8*uint64(count) > end {
		return view{}, nil, s.text.corrupt("the directory is cut short")
	}
	at := end - 8*uint64(count)
	entries := s.text.cut(at, end)
	directory, err = entries.all()
	return s.text.cut(0, at), directory, err
}

// blockBytes returns a block as it is stored.
func (s *segment) blockBytes(blocks view, directory []byte, i int) ([]byte, error) {
	start, end := uint32(0), binary.LittleEndian.Uint32(directory[8*i+4:])
	if i > 0 {
		start = binary.LittleEndian.Uint32(directory[8*i-4:])
	}
	if start > end || uint64(end) > uint64(len(blocks.data)) {
		return nil, s.text.corrupt("block %d has no place", i)
	}
	block := blocks.cut(uint64(start), uint64(end))
	return block.all()
}

func (s *segment) textBlock(blocks view, directory []byte, i int) (decoder, error) {
	block, err := s.blockBytes(blocks, directory, i)
	if err != nil {
		return decoder{}, err
	}
	texts, err := textDecoder.DecodeAll(block, nil)
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

// textCursor reads the texts of a segment, or nothing when texts are not stored,
// ascending, and unpacks each block once.
type textCursor struct {
	segment   *segment
	blocks    view
	directory []byte
	block     int     // -1 before the first
	next, end uint32  // documents: the next one in texts, and that behind the block
	texts     decoder // the rest of the block
}

func newTextCursor(s *segment) (*textCursor, error) {
	c := &textCursor{segment: s, block: -1}
	if s.text.missing() {
		return c, nil
	}
	var err error
	c.blocks, c.directory, err = s.textDirectory()
	return c, err
}

// count returns the number of blocks.
func (c *textCursor) count() int { return len(c.directory) / 8 }

// documents returns the first document of a block and the one after the last.
func (c *textCursor) documents(block int) (first, end uint32, err error) {
	first, end = binary.LittleEndian.Uint32(c.directory[8*block:]), c.segment.documents
	if block+1 < c.count() {
		end = binary.LittleEndian.Uint32(c.directory[8*block+8:])
	}
	if first > end || end > c.segment.documents {
		return 0, 0, c.segment.file.corrupt("text", "block %d begins with document %d", block, first)
	}
	return first, end, nil
}

// text returns the text of a document, which comes after the last one asked for.
func (c *textCursor) text(document uint32) (string, error) {
	if c.segment.text.missing() {
		return "", nil
	}
	for c.block < 0 || document >= c.end {
		c.block++
		if c.block >= c.count() {
			return "", c.segment.file.corrupt("text", "document %d is in no block", document)
		}
		var err error
		if c.next, c.end, err = c.documents(c.block); err != nil {
			return "", err
		}
		if document >= c.end {
			continue
		}
		if c.texts, err = c.segment.textBlock(c.blocks, c.directory, c.block); err != nil {
			return "", err
		}
	}
	for ; c.next < document; c.next++ {
		c.texts.bytes(c.texts.uvarint())
	}
	text := c.texts.bytes(c.texts.uvarint())
	c.next++
	if c.texts.bad {
		return "", c.segment.file.corrupt("text", "document %d is cut short", document)
	}
	return string(text), nil
}

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
