package parebleve

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/blevesearch/bleve/v2/document"
	"github.com/blevesearch/bleve/v2/index/scorch"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/simd"
)

// Progress says how far Reindex is.
type Progress struct {
	// Field is the field at work; fields come one after the other.
	Field string
	// Done of Total documents are done with. Skipped of them stay as they were,
	// since their text is not stored and they have no vectors that can be read and
	// coded anew.
	Done, Total, Skipped int
}

// reindexDocuments is how many documents Reindex replaces at a time.
const reindexDocuments = 1024

// Reindex gives vectors to the documents that have none, and codes those anew
// that are coded with another codebook than new documents are. It works from
// what is in the index, the stored text or else the vectors, and leaves
// everything else about the documents as it is, whether it is stored or not;
// only their order in segments changes. Searches and changes go on meanwhile.
//
// It may be stopped, by the context, by Close or by a crash, and called again:
// what is done is done. It waits for its turn while something is trained. progress, unless nil, is called after each group of documents.
//
// Documents of nested mappings, geo shapes and bleve's own vectors cannot be
// carried over; the error wraps ErrNotCopyable then. Indexing the documents
// again gives them vectors too.
func (x *Index) Reindex(ctx context.Context, progress func(Progress)) error {
	ctx, end, err := x.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	return x.reindex(ctx, progress)
}

// reindex is Reindex for who has begun.
func (x *Index) reindex(ctx context.Context, progress func(Progress)) error {
	if progress == nil {
		progress = func(Progress) {}
	}
	if err := copyable(x.Mapping()); err != nil {
		return err
	}
	for _, name := range x.options.Fields {
		if err := x.reindexField(ctx, x.fields[name], progress); err != nil {
			return fmt.Errorf("field %q: %w", name, err)
		}
	}
	return x.tidy()
}

// work is some documents of one segment that need other vectors.
type work struct {
	segment *scorch.SegmentSnapshot
	numbers []uint32
}

// reindexField codes the documents of a field with its codebook, which does not
// change meanwhile. Documents that are added or changed meanwhile have it already.
func (x *Index) reindexField(ctx context.Context, f *field, progress func(Progress)) (err error) {
	snapshot, err := x.snapshot()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	book := f.book()
	todo, total, err := x.todo(snapshot, f, book)
	if err != nil {
		return err
	}
	p := Progress{Field: f.name, Total: total}
	progress(p)
	for _, w := range todo {
		if err := ctx.Err(); err != nil {
			return err
		}
		replaced, err := x.replace(ctx, f, book, w)
		if err != nil {
			return err
		}
		p.Done += len(w.numbers)
		p.Skipped += len(w.numbers) - replaced
		progress(p)
	}
	return nil
}

// todo lists the live documents that are not coded with the codebook.
func (x *Index) todo(snapshot *scorch.IndexSnapshot, f *field, book *book) (list []work, total int, err error) {
	for _, seg := range snapshot.Segments() {
		facts, err := x.shelf.of(snapshot, seg, f.hidden, book)
		if err != nil {
			return nil, 0, err
		}
		var numbers []uint32
		for it := seg.DocNumbersLive().Iterator(); it.HasNext(); {
			if n := it.Next(); !facts.has(n) {
				numbers = append(numbers, n)
			}
		}
		total += len(numbers)
		for part := range slices.Chunk(numbers, reindexDocuments) {
			list = append(list, work{seg, part})
		}
	}
	return list, total, nil
}

// has tells whether a document is coded with the codebook.
func (f *facts) has(document uint32) bool {
	return f.members != nil && f.members[document/64]&(1<<(document%64)) != 0
}

// material is what a document's vectors were, or are to be, made of.
type material struct {
	texts  []string
	record []byte // its vectors, if texts are not stored
	bad    bool   // the record cannot be read
}

func (m material) empty() bool { return len(m.texts) == 0 && m.record == nil }

func (m material) equal(other material) bool {
	return slices.Equal(m.texts, other.texts) && slices.Equal(m.record, other.record)
}

// replace gives documents other vectors and returns how many it could. Vectors
// are made first, while the index may change; then, while it may not, those of
// documents that are still the same are put in.
func (x *Index) replace(ctx context.Context, f *field, book *book, w work) (int, error) {
	ids := make(map[string]int)
	var made []material
	for _, number := range w.numbers {
		m, err := readMaterial(w.segment, f, number)
		if err != nil {
			return 0, err
		}
		if m.empty() {
			continue
		}
		id, err := w.segment.DocID(uint64(number))
		if err != nil {
			return 0, err
		}
		ids[string(id)] = len(made)
		made = append(made, m)
	}
	tokens, err := x.tokensOf(ctx, made)
	if err != nil {
		return 0, err
	}
	if len(made) == 0 {
		return 0, nil
	}

	x.writes.Lock()
	defer x.writes.Unlock()
	documents, err := x.copyUnchanged(f, ids, made)
	if err != nil {
		return 0, err
	}
	batch := x.NewBatch()
	skipped := 0
	for _, doc := range documents {
		i := ids[doc.ID()]
		if made[i].bad || addVectors(doc, f.hidden, book.Codebook, tokens[i], x.options.TokenStatistics) != nil {
			skipped++ // one bad document must not keep all others from their vectors
			continue
		}
		if err := batch.IndexAdvanced(doc); err != nil {
			return 0, err
		}
	}
	return len(made) - skipped, x.bleveIndex.Batch(batch)
}

// copyUnchanged copies the documents whose material is still what it was.
func (x *Index) copyUnchanged(f *field, ids map[string]int, made []material) (_ []*document.Document, err error) {
	snapshot, err := x.snapshot()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	wanted := make([]string, 0, len(ids))
	for id := range ids {
		wanted = append(wanted, id)
	}
	slices.Sort(wanted)
	var documents []*document.Document
	for _, seg := range snapshot.Segments() {
		live, err := seg.DocNumbers(wanted)
		if err != nil {
			return nil, err
		}
		var numbers []uint32
		for it := live.Iterator(); it.HasNext(); {
			number := it.Next()
			id, err := seg.DocID(uint64(number))
			if err != nil {
				return nil, err
			}
			now, err := readMaterial(seg, f, number)
			if err != nil {
				return nil, err
			}
			if made[ids[string(id)]].equal(now) {
				numbers = append(numbers, number)
			}
		}
		if len(numbers) == 0 {
			continue
		}
		copies, err := copyDocuments(seg, numbers, f.hidden)
		if err != nil {
			return nil, err
		}
		documents = append(documents, copies...)
	}
	return documents, nil
}

// readMaterial reads what a document's vectors can be made of.
func readMaterial(seg *scorch.SegmentSnapshot, f *field, number uint32) (material, error) {
	var m material
	err := seg.VisitDocument(uint64(number), func(name string, kind byte, value []byte, _ []uint64) bool {
		switch {
		case name == f.name && kind == 't':
			m.texts = append(m.texts, string(value))
		case name == f.hidden && kind == storedType:
			m.record = slices.Clone(value)
		}
		return true
	})
	if len(m.texts) > 0 {
		m.record = nil
	}
	return m, err
}

// tokensOf makes vectors: from texts with the encoder, and from vectors as they
// are. It marks the material of which it cannot make any.
func (x *Index) tokensOf(ctx context.Context, made []material) ([]encoder.Tokens, error) {
	out := make([]encoder.Tokens, len(made))
	var texts []string
	var of []int // the document of each text
	size := 0
	flush := func() error {
		tokens, err := x.encodeDocuments(ctx, texts)
		if err != nil {
			return err
		}
		for i := 0; i < len(of); {
			end := i + 1
			for end < len(of) && of[end] == of[i] {
				end++
			}
			out[of[i]] = joinTokens(tokens[i:end])
			i = end
		}
		texts, of, size = nil, nil, 0
		return ctx.Err()
	}
	for i, m := range made {
		if m.record != nil {
			var err error
			out[i].Vectors, err = x.decode(m.record)
			made[i].bad = err != nil
			continue
		}
		for _, text := range m.texts {
			texts, of = append(texts, text), append(of, i)
			size += len(text)
		}
		if len(texts) >= groupTexts || size >= groupBytes {
			if err := flush(); err != nil {
				return nil, err
			}
		}
	}
	return out, flush()
}

// decode returns the vectors of a record, nearly as they were.
func (x *Index) decode(record []byte) (simd.Matrix, error) {
	checksum, payload, err := cutRecord(record)
	if err != nil {
		return simd.Matrix{}, err
	}
	book, err := x.library.get(checksum)
	if err != nil {
		return simd.Matrix{}, err
	}
	return book.Decode(payload)
}
