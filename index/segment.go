package index

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"

	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/simd"
)

// A segment file holds a run of documents and never changes. Documents are
// numbered from zero in the order they were added. Sections (u32 and u64 are
// little-endian, "uv" is an unsigned varint):
//
//	meta      documents u32, vectors u64, dimensions u32, codebook checksum u64
//	cells     one u32 per document: where the cells of its payload end; the
//	          cells, one document after the other, see package codec
//	offsets   one u32 per document: where the codes of its payload end
//	payloads  the codes, one document after the other, see package codec
//	ids       one u32 per document: where its id ends in the bytes;
//	          one u32 per document: document numbers in ascending order of
//	          id, then number; the id bytes. A document that was updated
//	          before its segment was written leaves its id more than once:
//	          then only the last can be live
//	postings  one u32 per cell: where its list ends;
//	          one u32 per cell: the number of documents in it;
//	          the lists: the first document number and the gaps to the next
//	          ones (uv)
//	tokens    one entry per token id, ascending: gap to the id before (uv),
//	          number of vectors with this id (uv),
//	          number of documents (uv)
//	refined   optional: one u32 per document: where its refinement ends; one
//	          refinement per document, see package codec
//	text      optional, see text.go
//
// End offsets instead of lengths give random access with one look-up; the lengths
// of the lists stand together, so that a budget is planned without reading them.
const (
	metaVersion     = 1
	offsetsVersion  = 1
	cellsVersion    = 1
	payloadsVersion = 3 // 1 named a cell for every vector, 2 held the cells as well
	refinedVersion  = 1
	idsVersion      = 1
	postingsVersion = 2 // 1 had the number of documents in front of each list
	tokensVersion   = 1
)

const metaSize = 24

// maxSegmentBytes is the most payload bytes one segment can address.
const maxSegmentBytes = math.MaxUint32

// tokenCount is how often a token id occurs in a segment.
type tokenCount struct {
	id        uint32
	vectors   int64
	documents int64
}

// segmentBuilder gathers documents in memory until they are written.
type segmentBuilder struct {
	codebook *codec.Codebook
	file     string // of the codebook

	cells    []byte
	cellEnds []uint32
	payloads []byte // codes
	ends     []uint32
	refined  []byte // refinements
	refEnds  []uint32
	ids      []string
	idBytes  int
	vectors  uint64
	unpruned uint64     // vectors before pruning
	postings [][]uint32 // by cell: ascending document numbers
	tokens   map[uint32]tokenCount
	text     *textBuilder // nil when texts are not stored
}

func newSegmentBuilder(codebook *codec.Codebook, file string, storeText bool) *segmentBuilder {
	b := &segmentBuilder{
		codebook: codebook,
		file:     file,
		postings: make([][]uint32, codebook.Cells()),
		tokens:   make(map[uint32]tokenCount),
	}
	if storeText {
		b.text = newTextBuilder()
	}
	return b
}

// coded is a document whose vectors have become a payload.
type coded struct {
	document Document
	encoded  codec.Encoded
	refined  []byte // nil when refinements are not stored
}

// size returns what a segment is measured by: the bytes of its payloads, ids or
// compressed texts, whichever are more.
func (b *segmentBuilder) size() int {
	size := max(len(b.cells)+len(b.payloads), b.idBytes)
	if b.text != nil {
		size = max(size, len(b.text.blocks))
	}
	return size
}

// full tells whether another document should go to the next segment.
func (b *segmentBuilder) full(limit int, c coded) bool { return b.size() >= limit || !b.fits(c) }

// fits tells whether another document can be addressed.
func (b *segmentBuilder) fits(c coded) bool {
	return uint64(len(b.cells))+uint64(len(b.payloads))+uint64(c.encoded.Payload.Size()) <= maxSegmentBytes &&
		uint64(len(b.refined))+uint64(len(c.refined)) <= maxSegmentBytes && uint64(len(b.ids)) < math.MaxUint32
}

func (b *segmentBuilder) add(c coded) {
	number := uint32(len(b.ids))
	b.cells = append(b.cells, c.encoded.Payload.Cells...)
	b.cellEnds = append(b.cellEnds, uint32(len(b.cells)))
	b.payloads = append(b.payloads, c.encoded.Payload.Codes...)
	b.ends = append(b.ends, uint32(len(b.payloads)))
	if c.refined != nil {
		b.refined = append(b.refined, c.refined...)
		b.refEnds = append(b.refEnds, uint32(len(b.refined)))
	}
	b.ids = append(b.ids, c.document.ID)
	b.idBytes += len(c.document.ID)
	b.vectors += uint64(c.document.Tokens.Vectors.Rows)
	b.unpruned += uint64(c.document.unpruned)
	for _, cell := range c.encoded.Cells {
		b.postings[cell] = append(b.postings[cell], number)
	}
	seen := slices.Clone(c.document.Tokens.IDs)
	slices.Sort(seen)
	for i, id := range seen {
		count := b.tokens[id]
		count.id = id
		count.vectors++
		if i == 0 || seen[i-1] != id {
			count.documents++
		}
		b.tokens[id] = count
	}
	if b.text != nil {
		b.text.add(c.document.Text)
	}
}

// write writes the segment to a file and syncs it. When ctx ends before that, the
// error is its own and there is no file.
func (b *segmentBuilder) write(ctx context.Context, f folder, name string) error {
	w, err := f.create(name)
	if err != nil {
		return err
	}
	b.put(ctx, w)
	if err := ctx.Err(); err != nil {
		return errors.Join(err, w.discard())
	}
	return w.finish()
}

// put writes the sections, until ctx ends.
func (b *segmentBuilder) put(ctx context.Context, w *containerWriter) {
	add := func(name string, version uint32, parts ...[]byte) {
		w.begin(name, version)
		for _, part := range parts {
			for piece := range slices.Chunk(part, 1<<20) {
				if ctx.Err() != nil {
					return
				}
				w.Write(piece)
			}
		}
		w.end()
	}
	add("meta", metaVersion, encodeMeta(uint32(len(b.ids)), b.vectors, b.codebook))
	add("cells", cellsVersion, appendUint32s(nil, b.cellEnds), b.cells)
	add("offsets", offsetsVersion, appendUint32s(nil, b.ends))
	add("payloads", payloadsVersion, b.payloads)
	if b.refEnds != nil {
		add("refined", refinedVersion, appendUint32s(nil, b.refEnds), b.refined)
	}
	add("ids", idsVersion, b.encodeIDs(ctx))
	add("postings", postingsVersion, b.encodePostings(ctx))
	add("tokens", tokensVersion, encodeTokens(b.tokenCounts(ctx)))
	if b.text != nil {
		add("text", textVersion, b.text.finish())
	}
}

func encodeMeta(documents uint32, vectors uint64, codebook *codec.Codebook) []byte {
	meta := make([]byte, 0, metaSize)
	meta = binary.LittleEndian.AppendUint32(meta, documents)
	meta = binary.LittleEndian.AppendUint64(meta, vectors)
	meta = binary.LittleEndian.AppendUint32(meta, uint32(codebook.Dim()))
	return binary.LittleEndian.AppendUint64(meta, codebook.Checksum())
}

func (b *segmentBuilder) encodeIDs(ctx context.Context) []byte {
	ends := make([]uint32, len(b.ids))
	data := make([]byte, 0, b.idBytes)
	for i, id := range b.ids {
		data = append(data, id...)
		ends[i] = uint32(len(data))
	}
	sorted := order(ctx, len(b.ids), func(x, y uint32) int { return cmp.Compare(b.ids[x], b.ids[y]) })
	return append(appendUint32s(appendUint32s(nil, ends), sorted), data...)
}

// order returns the numbers 0 to n-1 in an order, equals ascending. It merges runs,
// since no sort of the standard library can be stopped: when ctx ends, the numbers
// are in no order.
func order(ctx context.Context, n int, compare func(x, y uint32) int) []uint32 {
	const run = 1 << 10
	numbers, merged := make([]uint32, n), make([]uint32, n)
	for i := range numbers {
		numbers[i] = uint32(i)
	}
	for part := range slices.Chunk(numbers, run) {
		if ctx.Err() != nil {
			return numbers
		}
		slices.SortStableFunc(part, compare)
	}
	for width := run; width < n; width *= 2 {
		left, right := 0, min(width, n)
		leftEnd, rightEnd := right, min(2*width, n)
		for at := range merged {
			if at%run == 0 && ctx.Err() != nil {
				return numbers
			}
			if left == leftEnd && right == rightEnd { // on to the next two runs
				left, leftEnd = rightEnd, min(rightEnd+width, n)
				right, rightEnd = leftEnd, min(leftEnd+width, n)
			}
			if right == rightEnd || left < leftEnd && compare(numbers[left], numbers[right]) <= 0 {
				merged[at] = numbers[left]
				left++
			} else {
				merged[at] = numbers[right]
				right++
			}
		}
		numbers, merged = merged, numbers
	}
	return numbers
}

func (b *segmentBuilder) encodePostings(ctx context.Context) []byte {
	ends := make([]uint32, len(b.postings))
	counts := make([]uint32, len(b.postings))
	var lists []byte
	looked := 0 // bytes when ctx was looked at
	for cell, list := range b.postings {
		if len(lists) >= looked+1<<16 || cell%checkEvery == 0 {
			if looked = len(lists); ctx.Err() != nil {
				break
			}
		}
		lists = appendList(lists, list)
		ends[cell], counts[cell] = uint32(len(lists)), uint32(len(list))
	}
	return append(appendUint32s(appendUint32s(nil, ends), counts), lists...)
}

// appendList appends a posting list.
func appendList(dst []byte, documents []uint32) []byte {
	last := uint32(0)
	for _, document := range documents {
		dst = binary.AppendUvarint(dst, uint64(document-last))
		last = document
	}
	return dst
}

// tokenCounts returns the counts, ascending by id.
func (b *segmentBuilder) tokenCounts(ctx context.Context) []tokenCount {
	counts := slices.Collect(maps.Values(b.tokens))
	sorted := make([]tokenCount, len(counts))
	for i, n := range order(ctx, len(counts), func(x, y uint32) int { return cmp.Compare(counts[x].id, counts[y].id) }) {
		sorted[i] = counts[n]
	}
	return sorted
}

func encodeTokens(counts []tokenCount) []byte {
	var data []byte
	last := uint32(0)
	for _, count := range counts {
		data = binary.AppendUvarint(data, uint64(count.id-last))
		data = binary.AppendUvarint(data, uint64(count.vectors))
		data = binary.AppendUvarint(data, uint64(count.documents))
		last = count.id
	}
	return data
}

func appendUint32s(dst []byte, values []uint32) []byte {
	for _, v := range values {
		dst = binary.LittleEndian.AppendUint32(dst, v)
	}
	return dst
}

// segment is an opened segment file.
type segment struct {
	file      *container
	documents uint32
	vectors   uint64
	dim       uint32
	codebook  uint64 // checksum

	cells      items
	codes      items
	refined    items // missing when refinements are not stored
	ids        items
	idOrder    view
	lists      items
	listCounts view
	text       view // missing when texts are not stored

	counting sync.Once
	tokens   []tokenCount // ascending ids, read by tokenCounts
	fault    error        // why they cannot be
}

// mapSegment maps a segment and checks the sizes of its sections and the
// sections that it keeps in memory.
func (m *manifest) mapSegment(f folder, name string, cells int) (*segment, error) {
	file, err := m.open(f, name)
	if err != nil {
		return nil, err
	}
	s := &segment{file: file}
	if err := s.load(cells); err != nil {
		file.close()
		return nil, err
	}
	return s, nil
}

func (s *segment) load(cells int) error {
	meta, err := s.file.checked("meta", metaVersion)
	if err != nil {
		return err
	}
	if len(meta) != metaSize {
		return s.file.corrupt("meta", "%d bytes, want %d", len(meta), metaSize)
	}
	s.documents = binary.LittleEndian.Uint32(meta)
	s.vectors = binary.LittleEndian.Uint64(meta[4:])
	s.dim = binary.LittleEndian.Uint32(meta[12:])
	s.codebook = binary.LittleEndian.Uint64(meta[16:])

	n := uint64(s.documents)
	cellBytes, err := s.lazy("cells", cellsVersion, 4*n)
	if err != nil {
		return err
	}
	s.cells = items{cellBytes.cut(0, 4*n), cellBytes.from(4 * n)}
	if s.codes.ends, err = s.lazy("offsets", offsetsVersion, 4*n); err != nil {
		return err
	}
	if size := uint64(len(s.codes.ends.data)); size != 4*n {
		return s.file.corrupt("offsets", "%d bytes for %d documents", size, n)
	}
	if s.codes.data, err = s.lazy("payloads", payloadsVersion, 0); err != nil {
		return err
	}
	ids, err := s.lazy("ids", idsVersion, 8*n)
	if err != nil {
		return err
	}
	s.ids, s.idOrder = items{ids.cut(0, 4*n), ids.from(8 * n)}, ids.cut(4*n, 8*n)
	c := uint64(cells)
	postings, err := s.lazy("postings", postingsVersion, 8*c)
	if err != nil {
		return err
	}
	s.lists, s.listCounts = items{postings.cut(0, 4*c), postings.from(8 * c)}, postings.cut(4*c, 8*c)
	if s.file.has("refined") {
		refined, err := s.lazy("refined", refinedVersion, 4*n)
		if err != nil {
			return err
		}
		s.refined = items{refined.cut(0, 4*n), refined.from(4 * n)}
	}
	if s.file.has("text") {
		if s.text, err = s.lazy("text", textVersion, 0); err != nil {
			return err
		}
	}
	_, _, err = s.file.find("tokens", tokensVersion)
	return err
}

// lazy returns a section that is checked as it is read, with room for what has to
// be in it.
func (s *segment) lazy(name string, version uint32, atLeast uint64) (view, error) {
	v, err := s.file.lazy(name, version)
	if err == nil && uint64(len(v.data)) < atLeast {
		err = v.corrupt("%d bytes, want %d at least", len(v.data), atLeast)
	}
	return v, err
}

// tokenCounts reads how often tokens occur, the first time that it is asked.
func (s *segment) tokenCounts() ([]tokenCount, error) {
	s.counting.Do(func() {
		data, err := s.file.checked("tokens", tokensVersion)
		if err == nil {
			err = s.parseTokens(data)
		}
		s.fault = err
	})
	return s.tokens, s.fault
}

func (s *segment) parseTokens(data []byte) error {
	d := decoder{data: data}
	id := uint64(0)
	for len(d.data) > 0 {
		gap := d.uvarint()
		vectors, documents := d.uvarint(), d.uvarint()
		id += gap
		if d.bad || gap > math.MaxUint32 || id > math.MaxUint32 || (gap == 0 && len(s.tokens) > 0) ||
			vectors > s.vectors || documents > uint64(s.documents) || documents > vectors {
			return s.file.corrupt("tokens", "entry %d is impossible", len(s.tokens))
		}
		s.tokens = append(s.tokens, tokenCount{uint32(id), int64(vectors), int64(documents)})
	}
	return nil
}

// cellsOf returns the cells of a document's payload.
func (s *segment) cellsOf(document uint32) ([]byte, error) { return s.cells.at(document) }

// codesOf returns the codes of a document's payload.
func (s *segment) codesOf(document uint32) ([]byte, error) { return s.codes.at(document) }

func (s *segment) payload(document uint32) (codec.Payload, error) {
	cells, err := s.cells.at(document)
	if err != nil {
		return codec.Payload{}, err
	}
	codes, err := s.codes.at(document)
	return codec.Payload{Cells: cells, Codes: codes}, err
}

// refinement returns a document's refinement, nil when none are stored.
func (s *segment) refinement(document uint32) ([]byte, error) {
	if s.refined.data.missing() {
		return nil, nil
	}
	return s.refined.at(document)
}

func (s *segment) id(document uint32) (string, error) {
	id, err := s.ids.at(document)
	return string(id), err
}

func (s *segment) idBytes(document uint32) ([]byte, error) { return s.ids.at(document) }

// decode returns a document's vectors as well as they are known, and their token
// ids as far as their cells tell them.
func (s *segment) decode(document uint32, codebook *codec.Codebook) (simd.Matrix, []uint32, error) {
	payload, err := s.payload(document)
	if err != nil {
		return simd.Matrix{}, nil, err
	}
	refinement, err := s.refinement(document)
	if err != nil {
		return simd.Matrix{}, nil, err
	}
	var vectors simd.Matrix
	if refinement != nil && codebook.Kind().Residual() {
		vectors, err = codebook.DecodeRefinement(refinement)
	} else {
		vectors, err = codebook.Decode(payload)
	}
	if err != nil {
		return simd.Matrix{}, nil, s.file.fault("payloads", fmt.Errorf("document %d: %w", document, err))
	}
	ids, err := codebook.TokenIDs(payload, vectors)
	if err != nil {
		return simd.Matrix{}, nil, s.file.fault("payloads", fmt.Errorf("document %d: %w", document, err))
	}
	return vectors, ids, nil
}

// lookup finds the document with an id, the last one if there are several.
func (s *segment) lookup(id string) (document uint32, found bool, err error) {
	lo, hi := uint32(0), s.documents
	for lo < hi {
		mid := lo + (hi-lo)/2
		candidate, err := s.byID(mid)
		if err != nil {
			return 0, false, err
		}
		other, err := s.id(candidate)
		if err != nil {
			return 0, false, err
		}
		if other > id {
			hi = mid
			continue
		}
		lo = mid + 1
		document, found = candidate, other == id
	}
	return document, found, nil
}

// byID returns the document at a place in the order of ids.
func (s *segment) byID(place uint32) (uint32, error) { return s.idOrder.number(place) }

// addPostingCounts adds the lengths of the lists, by cell, without decoding them.
func (s *segment) addPostingCounts(counts []uint32) error {
	lengths, err := s.listCounts.all()
	if err != nil {
		return err
	}
	for cell := range counts {
		counts[cell] += min(binary.LittleEndian.Uint32(lengths[4*cell:]), s.documents)
	}
	return nil
}

// appendPostings appends base plus each document number of a cell's list.
func (s *segment) appendPostings(dst []uint32, cell, base uint32) ([]uint32, error) {
	list, err := s.lists.at(cell)
	if err != nil {
		return dst, err
	}
	count, err := s.listCounts.number(cell)
	if err != nil {
		return dst, err
	}
	if uint64(count) > min(uint64(s.documents), uint64(len(list))) { // each takes a byte
		return dst, s.file.corrupt("postings", "cell %d lists %d of %d documents", cell, count, s.documents)
	}
	dst = slices.Grow(dst, int(count))
	document := uint64(0)
	for i := range count {
		gap, n := uint64(0), 1
		if len(list) > 0 && list[0] < 0x80 { // as nearly all are
			gap = uint64(list[0])
		} else {
			gap, n = binary.Uvarint(list)
		}
		document += gap
		if n <= 0 || gap > math.MaxUint32 || document >= uint64(s.documents) || (gap == 0 && i > 0) {
			return dst, s.file.corrupt("postings", "cell %d, entry %d is impossible", cell, i)
		}
		list = list[n:]
		dst = append(dst, base+uint32(document))
	}
	if len(list) > 0 {
		return dst, s.file.corrupt("postings", "cell %d has %d bytes too many", cell, len(list))
	}
	return dst, nil
}

// tokenFrequency returns what tokenCounts has read.
func (s *segment) tokenFrequency(id uint32) (vectors, documents int64) {
	i, found := slices.BinarySearchFunc(s.tokens, id, func(t tokenCount, id uint32) int { return cmp.Compare(t.id, id) })
	if !found {
		return 0, 0
	}
	return s.tokens[i].vectors, s.tokens[i].documents
}

// verify reads every byte: all checksums, then the sense of each section.
func (s *segment) verify(ctx context.Context, codebook *codec.Codebook) error {
	if err := s.file.verify(ctx); err != nil {
		return err
	}
	var faults []error
	vectors := uint64(0)
	for document := range s.documents {
		if document%checkEvery == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		payload, err := s.payload(document)
		if err != nil {
			faults = append(faults, err)
			break
		}
		rows, err := codebook.Check(payload)
		if err != nil {
			faults = append(faults, s.file.fault("payloads", fmt.Errorf("document %d: %w", document, err)))
			break
		}
		vectors += uint64(rows)
		if err := s.verifyRefinement(codebook, document, rows); err != nil {
			faults = append(faults, err)
			break
		}
	}
	if len(faults) == 0 && vectors != s.vectors {
		faults = append(faults, s.file.corrupt("payloads", "%d vectors, meta says %d", vectors, s.vectors))
	}
	faults = append(faults, s.verifyIDs())
	var list []uint32
	for cell := range uint32(codebook.Cells()) {
		if cell%checkEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		var err error
		if list, err = s.appendPostings(list[:0], cell, 0); err != nil {
			faults = append(faults, err)
			break
		}
	}
	_, err := s.tokenCounts()
	faults = append(faults, err)
	if !s.text.missing() {
		faults = append(faults, s.verifyText())
	}
	return errors.Join(faults...)
}

func (s *segment) verifyRefinement(codebook *codec.Codebook, document uint32, rows int) error {
	refinement, err := s.refinement(document)
	if err != nil || refinement == nil {
		return err
	}
	refined, err := codebook.CheckRefinement(refinement)
	if err != nil {
		return s.file.fault("refined", fmt.Errorf("document %d: %w", document, err))
	}
	if refined != rows {
		return s.file.corrupt("refined", "document %d: %d vectors, its payload has %d", document, refined, rows)
	}
	return nil
}

func (s *segment) verifyIDs() error {
	lastID, last := "", uint32(0)
	for i := range s.documents {
		document, err := s.byID(i)
		if err != nil {
			return err
		}
		id, err := s.id(document)
		if err != nil {
			return err
		}
		if id == "" || i > 0 && cmp.Or(cmp.Compare(lastID, id), cmp.Compare(last, document)) >= 0 {
			return s.file.corrupt("ids", "document %d is out of order", document)
		}
		lastID, last = id, document
	}
	return nil
}
