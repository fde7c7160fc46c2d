package parebleve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/blevesearch/bleve/v2/document"
	"github.com/blevesearch/bleve/v2/index/scorch"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/index/codec"
)

// Progress says how far Reindex is.
type Progress struct {
	// Field is the field at work; fields come one after the other.
	Field string
	// Done of Total documents are done with. Skipped of them stay as they were,
	// since their text is not stored and they have no vectors that can be read;
	// Failed of them, since their text could not be encoded or their vectors not be
	// coded.
	Done, Total, Skipped, Failed int
}

// IncompleteError is what Reindex returns at its end if some documents could not
// be given vectors. These are as they were before, and the next Reindex tries
// them again.
type IncompleteError struct {
	// Documents are in no order.
	Documents []Failure
}

// Failure says why the text of a document could not be encoded, or its vectors not
// be coded.
type Failure struct {
	Field, ID string
	Err       error
}

// Error names the first documents.
func (e *IncompleteError) Error() string {
	const named = 10
	var b strings.Builder
	fmt.Fprintf(&b, "parebleve: %d documents could not be encoded:", len(e.Documents))
	for _, d := range e.Documents[:min(named, len(e.Documents))] {
		fmt.Fprintf(&b, "\n%q, field %q: %v", d.ID, d.Field, d.Err)
	}
	if more := len(e.Documents) - named; more > 0 {
		fmt.Fprintf(&b, "\nand %d more", more)
	}
	return b.String()
}

// Unwrap returns the documents' errors.
func (e *IncompleteError) Unwrap() []error {
	var list []error
	for _, d := range e.Documents {
		list = append(list, d.Err)
	}
	return list
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
// what is done is done. It waits for its turn while something is trained.
// progress, unless nil, is called after each group of documents. Documents whose
// texts the encoder refuses are passed over; the error is an *IncompleteError
// then, when everything else is done. An encoder that refuses all texts ends it
// at once.
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
	var incomplete IncompleteError
	for _, name := range x.options.Fields {
		failures, err := x.reindexField(ctx, x.fields[name], progress)
		if err != nil {
			return fmt.Errorf("field %q: %w", name, err)
		}
		incomplete.Documents = append(incomplete.Documents, failures...)
	}
	return incomplete.unless(x.tidy())
}

// unless returns err, or else e if there are failures.
func (e *IncompleteError) unless(err error) error {
	if err != nil || len(e.Documents) == 0 {
		return err
	}
	return e
}

// work is some documents of one segment that need other vectors.
type work struct {
	snapshot *scorch.IndexSnapshot
	segment  *scorch.SegmentSnapshot
	numbers  []uint32
}

// reindexField codes the documents of a field with its codebook, which does not
// change meanwhile. Documents that are added or changed meanwhile have it already.
func (x *Index) reindexField(ctx context.Context, f *field, progress func(Progress)) (failures []Failure, err error) {
	snapshot, err := x.snapshot()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	book := f.book()
	todo, total, err := x.todo(snapshot, f, book)
	if err != nil {
		return nil, err
	}
	p := Progress{Field: f.name, Total: total}
	progress(p)
	for _, w := range todo {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		replaced, failed, err := x.replace(ctx, f, book, w)
		if err != nil {
			return nil, err
		}
		failures = append(failures, failed...)
		p.Done += len(w.numbers)
		p.Failed += len(failed)
		p.Skipped += len(w.numbers) - replaced - len(failed)
		progress(p)
	}
	return failures, nil
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
			list = append(list, work{snapshot, seg, part})
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
	texts   []string
	vectors codec.Payload // if texts are not stored
	book    *book         // codes the vectors, nil if it is missing
	err     error         // why the texts cannot be encoded or the vectors not be coded
	bad     bool          // the vectors cannot be read
}

func (m material) empty() bool { return len(m.texts) == 0 && m.vectors.Codes == nil }

func (m material) equal(other material) bool {
	return slices.Equal(m.texts, other.texts) && m.book == other.book &&
		slices.Equal(m.vectors.Cells, other.vectors.Cells) && slices.Equal(m.vectors.Codes, other.vectors.Codes)
}

// replace gives documents other vectors and returns how many it could, and which
// have failed. Vectors are made first, while the index may change;
// then, while it may not, those of documents that are still the same are put in.
func (x *Index) replace(ctx context.Context, f *field, book *book, w work) (replaced int, failed []Failure, err error) {
	ids := make(map[string]int)
	var made []material
	source := x.materials(w.snapshot, w.segment, f)
	for _, number := range w.numbers {
		m, err := source.read(number)
		if err != nil {
			return 0, nil, err
		}
		if m.empty() {
			continue
		}
		id, err := w.segment.DocID(uint64(number))
		if err != nil {
			return 0, nil, err
		}
		ids[string(id)] = len(made)
		made = append(made, m)
	}
	tokens, err := x.tokensOf(ctx, made)
	if err != nil {
		return 0, nil, err
	}
	encoded, err := codeMaterial(ctx, book, made, tokens)
	if err != nil {
		return 0, nil, err
	}
	x.writes.Lock()
	defer x.writes.Unlock()
	documents, err := x.copyUnchanged(f, ids, made)
	if err != nil {
		return 0, nil, err
	}
	batch := x.NewBatch()
	replaced = len(made)
	for _, doc := range documents {
		i := ids[doc.ID()]
		m := &made[i]
		if m.err == nil && !m.bad {
			m.err = addVectors(doc, f.hidden, book, tokens[i], encoded[i], x.options.TokenStatistics)
		}
		switch {
		case m.err != nil:
			failed = append(failed, Failure{f.name, doc.ID(), m.err})
			fallthrough
		case m.bad:
			replaced-- // one bad document must not keep all others from their vectors
			continue
		}
		if err := batch.IndexAdvanced(doc); err != nil {
			return 0, nil, err
		}
	}
	if batch.Size() == 0 {
		return replaced, failed, nil
	}
	return replaced, failed, x.bleveIndex.Batch(batch)
}

// codeMaterial codes tokens, all together or, if that fails, one document after
// the other. It notes in the material what cannot be coded.
func codeMaterial(ctx context.Context, book *book, made []material, tokens []encoder.Tokens) ([]codec.Encoded, error) {
	encoded, err := book.encodeAll(ctx, tokens)
	if err == nil || ctx.Err() != nil {
		return encoded, ctx.Err()
	}
	encoded = make([]codec.Encoded, len(tokens))
	for i, t := range tokens {
		if encoded[i], err = book.Encode(t.Vectors, t.IDs); err != nil {
			made[i].err = cmp.Or(made[i].err, fmt.Errorf("coding the vectors: %w", err))
		}
	}
	return encoded, nil
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
		source := x.materials(snapshot, seg, f)
		var numbers []uint32
		for it := live.Iterator(); it.HasNext(); {
			number := it.Next()
			id, err := seg.DocID(uint64(number))
			if err != nil {
				return nil, err
			}
			now, err := source.read(number)
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

// materials reads what vectors of a segment's documents can be made of.
type materials struct {
	field   *field
	segment *scorch.SegmentSnapshot
	coded   func() ([]coded, error) // how documents are, in the segment
}

// coded is the documents of a segment that are coded with one codebook.
type coded struct {
	book  *book
	facts *facts
}

func (x *Index) materials(snapshot *scorch.IndexSnapshot, seg *scorch.SegmentSnapshot, f *field) materials {
	return materials{f, seg, sync.OnceValues(func() (list []coded, err error) {
		for _, book := range x.library.all() {
			facts, err := x.shelf.of(snapshot, seg, f.hidden, book)
			if err != nil {
				return nil, err
			}
			list = append(list, coded{book, facts})
		}
		return list, nil
	})}
}

// read reads what a document's vectors can be made of.
func (m materials) read(number uint32) (material, error) {
	var found material
	if err := m.segment.VisitDocument(uint64(number), func(name string, kind byte, value []byte, _ []uint64) bool {
		switch {
		case name == m.field.name && kind == 't':
			found.texts = append(found.texts, string(value))
		case name == m.field.hidden && kind == storedType:
			found.vectors.Codes = slices.Clone(value)
		}
		return true
	}); err != nil || found.vectors.Codes == nil {
		return found, err
	}
	if len(found.texts) > 0 {
		found.vectors.Codes = nil
		return found, nil
	}
	list, err := m.coded()
	for _, c := range list {
		if c.facts.has(number) {
			found.book, found.vectors.Cells = c.book, c.facts.cellsOf(number)
			break
		}
	}
	if codes, damaged := unseal(found.vectors.Codes, found.vectors.Cells); damaged == nil {
		found.vectors.Codes = codes
	} else {
		found.bad = true
	}
	return found, err
}

// tokensOf makes vectors: from texts with the encoder, and from vectors as they
// are. It marks the material of which it cannot make any.
func (x *Index) tokensOf(ctx context.Context, made []material) ([]encoder.Tokens, error) {
	out := make([]encoder.Tokens, len(made))
	for i := range made {
		if m := &made[i]; m.vectors.Codes != nil {
			if m.bad = m.bad || m.book == nil; !m.bad {
				var err error
				out[i].Vectors, err = m.book.Decode(m.vectors) // nearly as they were
				m.bad = err != nil
			}
		}
	}
	for first := 0; first < len(made); {
		texts, size, end := 0, 0, first
		for ; end < len(made) && texts < groupTexts && size < groupBytes; end++ {
			for _, text := range made[end].texts {
				texts++
				size += len(text)
			}
		}
		if err := x.encodeMaterial(ctx, made[first:end], out[first:end]); err != nil {
			return nil, err
		}
		first = end
	}
	return out, nil
}

// encodeMaterial encodes texts, all together or, if that fails, those of one
// document after the other.
func (x *Index) encodeMaterial(ctx context.Context, made []material, out []encoder.Tokens) error {
	var texts []string
	for _, m := range made {
		texts = append(texts, m.texts...)
	}
	tokens, err := x.encodeDocuments(ctx, texts)
	if err == nil {
		for i, m := range made {
			if n := len(m.texts); n > 0 {
				out[i] = joinTokens(tokens[:n])
				tokens = tokens[n:]
			}
		}
		err = x.pruneMaterial(ctx, made, out)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && len(made) > 1 {
		for i := range made {
			if err := x.encodeMaterial(ctx, made[i:i+1], out[i:i+1]); err != nil {
				return err
			}
		}
		return nil
	}
	if err != nil {
		// Is it the text or the encoder?
		if _, broken := x.encodeDocuments(ctx, []string{"text"}); broken != nil {
			return err
		}
		made[0].err = err
	}
	return nil
}

// pruneMaterial prunes what was made of texts; vectors were pruned when they were
// stored.
func (x *Index) pruneMaterial(ctx context.Context, made []material, out []encoder.Tokens) error {
	var fresh []encoder.Tokens
	var of []int
	for i, m := range made {
		if len(m.texts) > 0 {
			fresh, of = append(fresh, out[i]), append(of, i)
		}
	}
	stored, err := x.prune(ctx, fresh)
	for i, t := range stored {
		out[of[i]] = t
	}
	return err
}
