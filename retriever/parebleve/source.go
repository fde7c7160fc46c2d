package parebleve

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/blevesearch/bleve/v2/index/scorch"
	segment "github.com/blevesearch/scorch_segment_api/v2"

	"github.com/pare-search/pare/index/codec"
)

// source is an index.Source: the documents of a bleve snapshot that are coded
// with one codebook. Document numbers are those of the snapshot, so that a
// number is also bleve's internal id. Documents that are coded otherwise count
// as deleted. It must not be used once the snapshot is closed.
type source struct {
	book      *book
	shelf     *shelf
	hidden    string
	parts     []part
	documents int
	vectors   int64

	counting sync.Once
	counts   []uint32 // by cell: postings in all segments
}

// part is a segment of the snapshot.
type part struct {
	snapshot *scorch.SegmentSnapshot
	facts    *facts
	base     uint32
	size     uint32
	terms    segment.TermDictionary
	live     []uint64 // bitmap of the documents to be found
}

// facts is what is known about the documents of a segment that are coded with
// one codebook. Segments never change.
type facts struct {
	once sync.Once // reads them
	err  error     // why that failed

	members []uint64 // bitmap of the segment's documents
	count   int
	vectors int64

	// The posting lists of cells turned round: codec.Payload.Cells of a document
	// is cells[first[document]:first[document+1]].
	cells  []byte
	first  []uint32
	counts []uint32 // documents by cell

	// Codes that were read before, by document. A segment holds them compressed,
	// together with its stored texts.
	codes []atomic.Pointer[[]byte]
	bytes atomic.Int64 // of the codes
}

// shelf keeps the facts of the segments in use, and codes up to a limit.
type shelf struct {
	room    atomic.Int64 // bytes of codes there is still room for
	readers sync.Pool    // of *reader

	mu    sync.Mutex
	facts map[shelfKey]*facts
}

type shelfKey struct {
	segment, book uint64
	hidden        string
}

func newShelf(room int64) *shelf {
	s := &shelf{facts: make(map[shelfKey]*facts)}
	s.room.Store(room)
	return s
}

// of returns the facts of a segment, and reads them if it is the first to ask.
func (s *shelf) of(snapshot *scorch.IndexSnapshot, seg *scorch.SegmentSnapshot, hidden string, book *book) (*facts, error) {
	key := shelfKey{seg.Id(), book.Checksum(), hidden}
	s.mu.Lock()
	f, ok := s.facts[key]
	if !ok {
		s.sweep(snapshot.Segments())
		f = new(facts)
		s.facts[key] = f
	}
	s.mu.Unlock()
	f.once.Do(func() { f.err = f.read(seg, hidden, book) })
	if f.err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.facts[key] == f {
			delete(s.facts, key)
		}
	}
	return f, f.err
}

// sweep drops the facts of other segments than those. A search that still uses
// an older snapshot has its own references.
func (s *shelf) sweep(segments []*scorch.SegmentSnapshot) {
	current := make(map[uint64]bool)
	for _, seg := range segments {
		current[seg.Id()] = true
	}
	for key, f := range s.facts {
		if !current[key.segment] {
			delete(s.facts, key)
			s.room.Add(f.bytes.Swap(math.MinInt64 / 2)) // closes it for keep
		}
	}
}

// keep remembers the codes of a document if there is room for them.
func (s *shelf) keep(f *facts, document uint32, codes *[]byte) {
	size := int64(len(*codes))
	if s.room.Add(-size) < 0 {
		s.room.Add(size)
		return
	}
	// Another search may have been quicker, or the segment be gone.
	if !f.codes[document].CompareAndSwap(nil, codes) || f.bytes.Add(size) < 0 {
		s.room.Add(size)
	}
}

// read reads the terms of a segment's hidden field.
func (f *facts) read(seg *scorch.SegmentSnapshot, hidden string, book *book) error {
	terms, err := seg.Segment().Dictionary(hidden)
	if err != nil {
		return err
	}
	all := roaring.New()
	if err := eachTerm(terms, func(_ uint64, vectors int, term []byte) error {
		list, err := terms.PostingsList(term, nil, nil)
		if err != nil {
			return err
		}
		f.vectors += int64(vectors) * int64(list.Count())
		return eachBitmap(list, func(b *roaring.Bitmap) { all.Or(b) }, all.Add)
	}, book.Checksum()); err != nil {
		return err
	}
	if f.count = int(all.GetCardinality()); f.count == 0 {
		return nil
	}
	f.members = dense(all, int(seg.FullSize()))
	f.codes = make([]atomic.Pointer[[]byte], seg.FullSize())
	return f.readCells(terms, int(seg.FullSize()), book)
}

// readCells turns the posting lists of cells round.
func (f *facts) readCells(terms segment.TermDictionary, documents int, book *book) error {
	f.counts = make([]uint32, book.Cells())
	f.first = make([]uint32, documents+1)
	var numbers []uint32 // of one cell after the other
	var list segment.PostingsList
	low := cellTerm(nil, book.Checksum(), 0)
	high := append(slices.Clone(low[:9]), 0xff, 0xff, 0xff, 0xff)
	cells := terms.AutomatonIterator(nil, low, high)
	for {
		entry, err := cells.Next()
		if err != nil {
			return err
		}
		if entry == nil {
			break
		}
		cell, ok := cellOf(entry.Term)
		if !ok || cell >= len(f.counts) {
			return fmt.Errorf("%w: a term of %d bytes for a cell", ErrCorrupt, len(entry.Term))
		}
		if list, err = terms.PostingsList([]byte(entry.Term), nil, list); err != nil {
			return err
		}
		before := len(numbers)
		if numbers, err = appendNumbers(numbers, list); err != nil {
			return err
		}
		f.counts[cell] = uint32(len(numbers) - before)
	}
	width := uint32(book.CellBytes())
	if uint64(len(numbers))*uint64(width) > math.MaxUint32 {
		return fmt.Errorf("parebleve: %d cells of the documents of one segment are too many", len(numbers))
	}
	for _, n := range numbers {
		if int(n) >= documents {
			return fmt.Errorf("%w: a cell has document number %d of %d", ErrCorrupt, n, documents)
		}
		f.first[n+1] += width
	}
	for i := range documents {
		f.first[i+1] += f.first[i]
	}
	f.cells = make([]byte, f.first[documents])
	next := slices.Clone(f.first)
	for cell, count := range f.counts {
		for _, n := range numbers[:count] {
			for b := range width {
				f.cells[next[n]+b] = byte(cell >> (8 * b))
			}
			next[n] += width
		}
		numbers = numbers[count:]
	}
	return nil
}

// cellsOf returns codec.Payload.Cells of a document.
func (f *facts) cellsOf(document uint32) []byte {
	if f.first == nil {
		return nil
	}
	lo, hi := f.first[document], f.first[document+1]
	return f.cells[lo:hi:hi]
}

// postings is how zap, bleve's segment format, hands out what an iterator is
// going to yield.
type postings interface {
	ActualBitmap() *roaring.Bitmap
	DocNum1Hit() (uint64, bool)
}

// eachBitmap calls bitmap or one for what a posting list holds.
func eachBitmap(list segment.PostingsList, bitmap func(*roaring.Bitmap), one func(uint32)) error {
	iterator := list.Iterator(false, false, false, nil)
	it, ok := iterator.(postings)
	if !ok { // another segment format
		for {
			p, err := iterator.Next()
			if err != nil || p == nil {
				return err
			}
			one(uint32(p.Number()))
		}
	}
	if n, ok := it.DocNum1Hit(); ok {
		one(uint32(n))
	} else if b := it.ActualBitmap(); b != nil {
		bitmap(b)
	}
	return nil
}

// appendNumbers appends what a posting list holds.
func appendNumbers(dst []uint32, list segment.PostingsList) ([]uint32, error) {
	err := eachBitmap(list, func(b *roaring.Bitmap) {
		start, n := len(dst), int(b.GetCardinality())
		dst = slices.Grow(dst, n)[:start+n]
		b.ManyIterator().NextMany(dst[start:])
	}, func(n uint32) { dst = append(dst, n) })
	return dst, err
}

// eachTerm calls do with the member terms of a segment, or with those of one
// codebook.
func eachTerm(terms segment.TermDictionary, do func(checksum uint64, vectors int, term []byte) error, book ...uint64) error {
	from, to := members(book...)
	iterator := terms.AutomatonIterator(nil, from, to)
	for {
		entry, err := iterator.Next()
		if err != nil || entry == nil {
			return err
		}
		checksum, vectors, ok := memberOf(entry.Term)
		if !ok {
			return fmt.Errorf("%w: a term of %d bytes for the codebook", ErrCorrupt, len(entry.Term))
		}
		if err := do(checksum, vectors, []byte(entry.Term)); err != nil {
			return err
		}
	}
}

// coders returns the number of live documents of a snapshot by the codebook that
// they are coded with.
func coders(snapshot *scorch.IndexSnapshot, hidden string) (map[uint64]int, error) {
	documents := make(map[uint64]int)
	for _, seg := range snapshot.Segments() {
		terms, err := seg.Segment().Dictionary(hidden)
		if err != nil {
			return nil, err
		}
		if err := eachTerm(terms, func(checksum uint64, _ int, term []byte) error {
			list, err := terms.PostingsList(term, seg.Deleted(), nil)
			if err == nil && list.Count() > 0 {
				documents[checksum] += int(list.Count())
			}
			return err
		}); err != nil {
			return nil, err
		}
	}
	return documents, nil
}

// dense returns a bitmap of size bits.
func dense(b *roaring.Bitmap, size int) []uint64 {
	words := make([]uint64, (size+63)/64)
	copy(words, b.ToDense())
	return words
}

// newSource returns the documents of a snapshot that are coded with the
// codebook.
func newSource(snapshot *scorch.IndexSnapshot, shelf *shelf, hidden string, book *book) (*source, error) {
	s := &source{book: book, shelf: shelf, hidden: hidden}
	for _, seg := range snapshot.Segments() {
		size := seg.FullSize()
		if int64(s.documents)+size > math.MaxUint32 {
			return nil, fmt.Errorf("%w: more than %d documents", ErrNotScorch, uint32(math.MaxUint32))
		}
		p := part{snapshot: seg, base: uint32(s.documents), size: uint32(size)}
		var err error
		if p.facts, err = shelf.of(snapshot, seg, hidden, book); err != nil {
			return nil, err
		}
		s.documents += int(size)
		s.vectors += p.facts.vectors
		if p.facts.count > 0 {
			if p.terms, err = seg.Segment().Dictionary(hidden); err != nil {
				return nil, err
			}
			p.live = p.facts.members
			if deleted := seg.Deleted(); deleted != nil && !deleted.IsEmpty() {
				p.live = slices.Clone(p.live)
				for i, word := range deleted.ToDense() {
					p.live[i] &^= word
				}
			}
		}
		s.parts = append(s.parts, p)
	}
	return s, nil
}

// part returns the part that a document number belongs to.
func (s *source) part(document uint32) (*part, uint32) {
	lo, hi := 0, len(s.parts)
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; s.parts[mid].base <= document {
			lo = mid
		} else {
			hi = mid
		}
	}
	return &s.parts[lo], document - s.parts[lo].base
}

// Codebook returns the codebook.
func (s *source) Codebook() *codec.Codebook { return s.book.Codebook }

// Documents is the number of document numbers of the snapshot.
func (s *source) Documents() int { return s.documents }

// Vectors is the number of vectors coded with the codebook.
func (s *source) Vectors() int64 { return s.vectors }

// has tells whether a document is coded with the codebook and not deleted.
func (s *source) has(document uint32) bool {
	p, local := s.part(document)
	return p.live != nil && p.live[local/64]&(1<<(local%64)) != 0
}

// ClearDeleted clears the bits of documents that are deleted or are coded with
// another codebook.
func (s *source) ClearDeleted(bitmap []uint64) {
	for i := range s.parts {
		p := &s.parts[i]
		for word := range (p.size + 63) / 64 {
			dead := ^uint64(0)
			if p.live != nil {
				dead = ^p.live[word]
			}
			if rest := p.size - word*64; rest < 64 {
				dead &= 1<<rest - 1
			}
			// The segment's words lie across those of the snapshot.
			at, shift := (p.base+word*64)/64, p.base%64
			bitmap[at] &^= dead << shift
			if high := dead >> (64 - shift); high != 0 {
				bitmap[at+1] &^= high
			}
		}
	}
}

// PostingCounts returns the number of documents with a vector in each cell.
func (s *source) PostingCounts() ([]uint32, error) {
	s.counting.Do(func() {
		s.counts = make([]uint32, s.book.Cells())
		for i := range s.parts {
			for cell, n := range s.parts[i].facts.counts {
				s.counts[cell] += n
			}
		}
	})
	return s.counts, nil
}

// AppendPostings appends the documents of a cell.
func (s *source) AppendPostings(dst []uint32, cell uint32) ([]uint32, error) {
	term := cellTerm(make([]byte, 0, 16), s.book.Checksum(), cell)
	// The list points into a mapped file: it must not live longer than the
	// snapshot, not even in a pool.
	var list segment.PostingsList
	for i := range s.parts {
		p := &s.parts[i]
		if p.facts.counts == nil || p.facts.counts[cell] == 0 {
			continue
		}
		var err error
		if list, err = p.terms.PostingsList(term, nil, list); err != nil {
			return dst, err
		}
		start := len(dst)
		if dst, err = appendNumbers(dst, list); err != nil {
			return dst, err
		}
		for j := range dst[start:] {
			dst[start+j] += p.base
		}
	}
	return dst, nil
}

// Payload returns a document's payload.
func (s *source) Payload(document uint32) (codec.Payload, error) {
	p, local := s.part(document)
	payload := codec.Payload{Cells: p.facts.cellsOf(local)}
	if known := p.facts.codes; known != nil {
		if codes := known[local].Load(); codes != nil {
			payload.Codes = *codes
			return payload, nil
		}
	}
	r := s.shelf.borrow(s.hidden)
	defer s.shelf.readers.Put(r)
	value, err := r.read(p.snapshot, local)
	if err == nil {
		payload.Codes, err = unseal(value, payload.Cells)
	}
	if err != nil {
		return payload, fmt.Errorf("document number %d, field %s: %w", document, s.hidden, err)
	}
	if p.facts.codes != nil {
		s.shelf.keep(p.facts, local, r.header(payload.Codes))
	}
	return payload, nil
}

// Refinement returns nil: none are stored.
func (s *source) Refinement(uint32) ([]byte, error) { return nil, nil }

// ID returns a name for a document that orders equals as bleve does, by
// ascending number: a search orders them by descending id. The external ids are
// not needed for that, bleve reads those of the hits that it returns.
func (s *source) ID(document uint32) (string, error) {
	return fmt.Sprintf("%08x (document number %d)", ^document, document), nil
}

// reader reads stored values, and keeps its memory. Values are copied, since
// segments hand them out for a moment only; what it has returned stays as it is.
type reader struct {
	hidden  string
	visit   segment.StoredFieldValueVisitor // take, made once
	value   []byte
	block   []byte   // for values
	headers [][]byte // for pointers to codes
}

// borrow returns a reader for a hidden field.
func (s *shelf) borrow(hidden string) *reader {
	r, ok := s.readers.Get().(*reader)
	if !ok {
		r = new(reader)
		r.visit = r.take
	}
	r.hidden = hidden
	return r
}

// codesBlock is how much memory for values is taken at a time.
const codesBlock = 256 << 10

func (r *reader) take(name string, kind byte, value []byte, _ []uint64) bool {
	if kind != storedType || name != r.hidden {
		return true
	}
	if len(value) > cap(r.block)-len(r.block) {
		r.block = make([]byte, 0, max(codesBlock, len(value)))
	}
	start := len(r.block)
	r.block = append(r.block, value...)
	r.value = r.block[start:len(r.block):len(r.block)]
	return false
}

// read returns the stored value of a document, nil if it has none.
func (r *reader) read(seg *scorch.SegmentSnapshot, document uint32) ([]byte, error) {
	r.value = nil
	err := seg.VisitDocument(uint64(document), r.visit)
	return r.value, err
}

// header returns a pointer to codes that may be kept. Headers are made many at a
// time, like blocks.
func (r *reader) header(codes []byte) *[]byte {
	if len(r.headers) == 0 {
		r.headers = make([][]byte, 128)
	}
	h := &r.headers[0]
	r.headers = r.headers[1:]
	*h = codes
	return h
}

// internalID writes a document number as bleve's internal id.
func internalID(dst []byte, document uint32) []byte {
	return binary.BigEndian.AppendUint64(dst[:0], uint64(document))
}

// count is the number of documents coded with the codebook.
func (s *source) count() int {
	n := 0
	for i := range s.parts {
		n += s.parts[i].facts.count
	}
	return n
}

// live is the number of documents to be found.
func (s *source) live() int {
	n := 0
	for i := range s.parts {
		for _, word := range s.parts[i].live {
			n += bits.OnesCount64(word)
		}
	}
	return n
}

// liveVectors is the number of vectors of the documents to be found.
func (s *source) liveVectors() (int64, error) {
	var n int64
	for i := range s.parts {
		p := &s.parts[i]
		deleted := p.snapshot.Deleted()
		if p.terms == nil || deleted == nil || deleted.IsEmpty() {
			n += p.facts.vectors
			continue
		}
		if err := eachTerm(p.terms, func(_ uint64, vectors int, term []byte) error {
			list, err := p.terms.PostingsList(term, deleted, nil)
			if err == nil {
				n += int64(vectors) * int64(list.Count())
			}
			return err
		}, s.book.Checksum()); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// termCount is the number of documents with a term of the hidden field.
func (s *source) termCount(term []byte) int64 {
	var n int64
	var list segment.PostingsList
	for i := range s.parts {
		p := &s.parts[i]
		terms, err := p.snapshot.Segment().Dictionary(s.hidden)
		if err != nil {
			continue
		}
		if list, err = terms.PostingsList(term, nil, list); err == nil {
			n += int64(list.Count())
		}
	}
	return n
}

// AppendCells appends the cells of the documents' payloads to dst.
func (s *source) AppendCells(dst [][]byte, documents []uint32) ([][]byte, error) {
	for len(documents) > 0 {
		p, _ := s.part(documents[0])
		end := p.base + p.size
		for len(documents) > 0 && documents[0] < end {
			dst = append(dst, p.facts.cellsOf(documents[0]-p.base))
			documents = documents[1:]
		}
	}
	return dst, nil
}

// AppendPayloads appends the documents' payloads to dst.
func (s *source) AppendPayloads(dst []codec.Payload, documents []uint32) ([]codec.Payload, error) {
	for _, document := range documents {
		payload, err := s.Payload(document)
		if err != nil {
			return dst, err
		}
		dst = append(dst, payload)
	}
	return dst, nil
}
