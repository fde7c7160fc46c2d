package index

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"runtime"
	"slices"

	"github.com/pare-search/pare/index/codec"
)

// copy writes the documents that the inputs have left to one segment. All inputs
// are coded with the same codebook, so what is stored of a document is copied
// byte by byte and never decoded; posting lists are joined and their documents
// numbered anew.
func (j *job) copy(ctx context.Context) error {
	c := &copier{ctx: ctx, job: j}
	if err := c.count(); err != nil {
		return err
	}
	if c.documents == 0 {
		return nil
	}
	file := j.newFile()
	w, err := j.folder.create(file)
	if err != nil {
		return err
	}
	c.w = w
	if err := errors.Join(c.write(), w.err); err != nil {
		return errors.Join(err, w.discard())
	}
	if err := w.finish(); err != nil {
		return err
	}
	return j.open(file, c.documents, j.unpruned())
}

// copier writes one segment.
type copier struct {
	ctx  context.Context
	job  *job
	w    *containerWriter
	word []byte // scratch

	documents uint32
	vectors   uint64
}

// count counts what is left, and checks the inputs: what is damaged must not get
// a checksum that is right.
func (c *copier) count() error {
	for _, in := range c.job.inputs {
		in.count()
		c.documents += in.live
		if err := in.file.verify(c.ctx); err != nil {
			return err
		}
		err := c.each(in, func(document uint32) error {
			payload, err := in.payload(document)
			if err != nil {
				return err
			}
			rows, err := in.codebook.Rows(payload)
			if err != nil {
				return in.file.fault("payloads", err)
			}
			c.vectors += uint64(rows)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// each calls do for every document that an input has left.
func (c *copier) each(in *mergeInput, do func(document uint32) error) error {
	for document, number := range in.numbers {
		if document%checkEvery == 0 {
			if err := c.ctx.Err(); err != nil {
				return err
			}
			runtime.Gosched() // searches come first
		}
		if number == noDocument {
			continue
		}
		if err := do(uint32(document)); err != nil {
			return err
		}
	}
	return nil
}

// eachDocument calls do for every document of the output, in its order.
func (c *copier) eachDocument(do func(in *mergeInput, document uint32) error) error {
	for _, in := range c.job.inputs {
		if err := c.each(in, func(document uint32) error { return do(in, document) }); err != nil {
			return err
		}
	}
	return nil
}

func (c *copier) write() error {
	w := c.w
	w.add("meta", metaVersion, encodeMeta(c.documents, c.vectors, c.job.codebook))

	w.begin("cells", cellsVersion)
	if err := cmp.Or(c.putEnds((*segment).cellsOf), c.putParts((*segment).cellsOf)); err != nil {
		return err
	}
	w.end()

	w.begin("offsets", offsetsVersion)
	if err := c.putEnds((*segment).codesOf); err != nil {
		return err
	}
	w.end()
	w.begin("payloads", payloadsVersion)
	if err := c.putParts((*segment).codesOf); err != nil {
		return err
	}
	w.end()

	if c.job.manifest.Options.Refine {
		w.begin("refined", refinedVersion)
		if err := cmp.Or(c.putEnds((*segment).refinement), c.putParts((*segment).refinement)); err != nil {
			return err
		}
		w.end()
	}

	w.begin("ids", idsVersion)
	if err := cmp.Or(c.putEnds((*segment).idBytes), c.putOrder(), c.putParts((*segment).idBytes)); err != nil {
		return err
	}
	w.end()
	w.begin("postings", postingsVersion)
	if err := c.putPostings(); err != nil {
		return err
	}
	w.end()
	tokens, err := c.job.tokens(c.vectors, uint64(c.documents))
	if err != nil {
		return err
	}
	w.add("tokens", tokensVersion, encodeTokens(tokens))

	if c.job.manifest.Options.StoreText {
		w.begin("text", textVersion)
		if err := c.putTexts(); err != nil {
			return err
		}
		w.end()
	}
	return nil
}

func (c *copier) putUint32(v uint32) {
	c.word = binary.LittleEndian.AppendUint32(c.word[:0], v)
	c.w.Write(c.word)
}

// putEnds writes where one part of each document ends.
func (c *copier) putEnds(part func(*segment, uint32) ([]byte, error)) error {
	end := uint64(0)
	return c.eachDocument(func(in *mergeInput, document uint32) error {
		data, err := part(in.segment, document)
		end += uint64(len(data))
		c.putUint32(uint32(end)) // fits, see mergeable
		return err
	})
}

// putParts writes one part of each document.
func (c *copier) putParts(part func(*segment, uint32) ([]byte, error)) error {
	return c.eachDocument(func(in *mergeInput, document uint32) error {
		data, err := part(in.segment, document)
		if err == nil {
			_, err = c.w.Write(data)
		}
		return err
	})
}

// putOrder writes the document numbers in the order of the ids, which the
// inputs have each for themselves.
func (c *copier) putOrder() error {
	var heads []*orderHead
	first := uint32(0)
	for _, in := range c.job.inputs {
		h := &orderHead{in: in, first: first}
		if err := h.next(); err != nil {
			return err
		}
		heads = append(heads, h)
		first += in.live
	}
	for n := 0; ; n++ {
		if n%checkEvery == 0 {
			if err := c.ctx.Err(); err != nil {
				return err
			}
		}
		heads = slices.DeleteFunc(heads, func(h *orderHead) bool { return h.ended })
		if len(heads) == 0 {
			return nil
		}
		// Of equal ids, which only one document can have that is live by now, the
		// first input's come first.
		least := slices.MinFunc(heads, func(a, b *orderHead) int { return cmp.Compare(a.id, b.id) })
		c.putUint32(least.number)
		if err := least.next(); err != nil {
			return err
		}
	}
}

// orderHead goes through an input in the order of the ids.
type orderHead struct {
	in     *mergeInput
	first  uint32 // number of the input's first document
	place  uint32 // of the next one
	id     string
	number uint32
	ended  bool
}

func (h *orderHead) next() error {
	for ; h.place < h.in.documents; h.place++ {
		document, err := h.in.byID(h.place)
		if err != nil {
			return err
		}
		if document >= h.in.documents {
			return h.in.file.corrupt("ids", "document %d of %d", document, h.in.documents)
		}
		number := h.in.numbers[document]
		if number == noDocument {
			continue
		}
		id, err := h.in.id(document)
		h.id, h.number = id, h.first+number
		h.place++
		return err
	}
	h.ended = true
	return nil
}

// putPostings writes the lists twice, once only to see how long they are.
func (c *copier) putPostings() error {
	cells := uint32(c.job.codebook.Cells())
	var documents []uint32
	var list []byte
	encode := func(cell uint32) (err error) {
		if cell%checkEvery == 0 {
			if err := c.ctx.Err(); err != nil {
				return err
			}
		}
		if documents, err = c.postings(documents[:0], cell); err == nil {
			list = appendList(list[:0], documents)
		}
		return err
	}
	end, counts := uint64(0), make([]uint32, cells)
	for cell := range cells {
		if err := encode(cell); err != nil {
			return err
		}
		end += uint64(len(list))
		c.putUint32(uint32(end))
		counts[cell] = uint32(len(documents))
	}
	c.w.Write(appendUint32s(nil, counts))
	for cell := range cells {
		if err := encode(cell); err != nil {
			return err
		}
		c.w.Write(list)
	}
	return nil
}

// postings appends the documents of a cell that are left, numbered anew.
func (c *copier) postings(dst []uint32, cell uint32) ([]uint32, error) {
	first := uint32(0)
	for _, in := range c.job.inputs {
		start := len(dst)
		var err error
		if dst, err = in.appendPostings(dst, cell, 0); err != nil {
			return dst, err
		}
		kept := dst[:start]
		for _, document := range dst[start:] {
			if number := in.numbers[document]; number != noDocument {
				kept = append(kept, first+number)
			}
		}
		dst = kept
		first += in.live
	}
	return dst, nil
}

// putTexts writes the texts: blocks of which nothing is gone as they are, unless
// that would leave small ones before them.
func (c *copier) putTexts() error {
	b := newTextBuilder()
	for _, in := range c.job.inputs {
		texts, err := newTextCursor(in.segment)
		if err != nil {
			return err
		}
		for i := range texts.count() {
			if err := c.ctx.Err(); err != nil {
				return err
			}
			first, end, err := texts.documents(i)
			if err != nil {
				return err
			}
			whole := !slices.Contains(in.numbers[first:end], noDocument)
			if whole && (len(b.pending) == 0 || len(b.pending) >= textBlockSize/2) {
				block, err := in.blockBytes(texts.blocks, texts.directory, i)
				if err != nil {
					return err
				}
				b.addBlock(block, end-first)
			} else if err := c.addTexts(b, in, texts, first, end); err != nil {
				return err
			}
			if err := b.write(c.w); err != nil {
				return err
			}
		}
	}
	c.w.Write(b.finish())
	return nil
}

// addTexts adds the texts that are left of some documents.
func (c *copier) addTexts(b *textBuilder, in *mergeInput, texts *textCursor, first, end uint32) error {
	for document := first; document < end; document++ {
		if in.numbers[document] == noDocument {
			continue
		}
		text, err := texts.text(document)
		if err != nil {
			return err
		}
		b.add(text)
	}
	return nil
}

// tokens returns how often token ids occur in what is left of the inputs, given
// how much that is. Documents do not tell their token ids, so this is an
// estimate: of each input's counts, the share of its documents that is left,
// rounded up as often as will make the sum over all ids right.
func (j *job) tokens(vectors, documents uint64) ([]tokenCount, error) {
	var sums []tokenSum
	for _, in := range j.inputs {
		tokens, err := in.tokenCounts()
		if err != nil {
			return nil, err
		}
		share := float64(in.live) / float64(in.documents)
		counts := make([]tokenSum, len(tokens))
		for i, t := range tokens {
			counts[i] = tokenSum{t.id, share * float64(t.vectors), share * float64(t.documents)}
		}
		sums = addTokens(sums, counts)
	}
	var counts []tokenCount
	for _, s := range sums {
		threshold := float64(s.id*2654435769) / (1 << 32) // Knuth's multiplicative hash
		t := tokenCount{s.id, int64(s.vectors + threshold), int64(s.documents + threshold)}
		t.vectors = min(t.vectors, int64(vectors))
		t.documents = min(t.documents, int64(documents), t.vectors)
		if t.vectors > 0 {
			t.documents = max(t.documents, 1)
			counts = append(counts, t)
		}
	}
	return counts, nil
}

// unpruned estimates how many vectors the documents that are left had before
// pruning: documents do not tell.
func (j *job) unpruned() uint64 {
	sum := 0.0
	for _, in := range j.inputs {
		sum += float64(in.entry.Unpruned) * float64(in.live) / float64(in.documents)
	}
	return uint64(math.Round(sum))
}

type tokenSum struct {
	id                 uint32
	vectors, documents float64
}

// addTokens merges two lists that ascend by id.
func addTokens(a, b []tokenSum) []tokenSum {
	sums := make([]tokenSum, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].id < b[0].id:
			sums, a = append(sums, a[0]), a[1:]
		case a[0].id > b[0].id:
			sums, b = append(sums, b[0]), b[1:]
		default:
			sums = append(sums, tokenSum{a[0].id, a[0].vectors + b[0].vectors, a[0].documents + b[0].documents})
			a, b = a[1:], b[1:]
		}
	}
	return append(append(sums, a...), b...)
}

// open opens an output that was written.
func (j *job) open(file string, documents uint32, unpruned uint64) error {
	entry := segmentEntry{File: file, Codebook: j.file, Documents: documents, Unpruned: unpruned}
	seg, err := j.manifest.openSegment(j.folder, entry, j.codebook)
	if err != nil {
		return errors.Join(err, j.folder.remove(file))
	}
	j.outputs = append(j.outputs, newPart(seg, entry))
	return nil
}

// recode codes the documents that the inputs have left with another codebook,
// from their refinements, where there are some, or from what their payloads stand
// for.
func (j *job) recode(ctx context.Context) error {
	c := &copier{ctx: ctx, job: j}
	if err := c.count(); err != nil {
		return err
	}
	tokens, err := j.tokens(c.vectors, uint64(c.documents))
	if err != nil {
		return err
	}
	r := &recoder{ctx: ctx, job: j, tokens: tokens}
	for _, in := range j.inputs {
		texts, err := newTextCursor(in.segment)
		if err != nil {
			return err
		}
		if err := c.each(in, func(document uint32) error { return r.add(in, texts, document) }); err != nil {
			return err
		}
	}
	if err := r.code(); err != nil || r.builder == nil {
		return err
	}
	for _, t := range r.tokens {
		// Nobody asks one segment alone how often a token occurs.
		t.vectors = min(t.vectors, int64(r.builder.vectors))
		t.documents = min(t.documents, t.vectors, int64(len(r.builder.ids)))
		if t.documents > 0 {
			r.builder.tokens[t.id] = t
		}
	}
	r.builder.unpruned = j.unpruned()
	return r.flush()
}

// recodeVectors is how many vectors are decoded and coded together.
const recodeVectors = 1 << 13

// recoder gathers documents for recode.
type recoder struct {
	ctx     context.Context
	job     *job
	tokens  []tokenCount
	batch   []coded
	decoded []codec.Document
	vectors int
	builder *segmentBuilder
}

func (r *recoder) add(in *mergeInput, texts *textCursor, document uint32) error {
	vectors, ids, err := in.decode(document, in.codebook)
	if err != nil {
		return err
	}
	id, err := in.id(document)
	if err != nil {
		return err
	}
	text, err := texts.text(document)
	if err != nil {
		return err
	}
	refinement, err := in.refinement(document)
	if err != nil {
		return err
	}
	c := coded{document: Document{ID: id, Text: text}}
	c.document.Tokens.Vectors = vectors
	if refinement != nil {
		c.refined = r.job.codebook.AdoptRefinement(refinement)
	}
	r.batch = append(r.batch, c)
	r.decoded = append(r.decoded, codec.Document{Vectors: vectors, IDs: ids})
	if r.vectors += vectors.Rows; r.vectors < recodeVectors {
		return nil
	}
	return r.code()
}

// code codes what was gathered.
func (r *recoder) code() error {
	encoded, err := r.job.codebook.EncodeAll(r.ctx, r.decoded)
	if err != nil {
		return err
	}
	for i, c := range r.batch {
		c.encoded = encoded[i]
		if b := r.builder; b != nil && b.full(r.job.manifest.Options.SegmentBytes, c) {
			if err := r.flush(); err != nil {
				return err
			}
		}
		if r.builder == nil {
			r.builder = newSegmentBuilder(r.job.codebook, r.job.file, r.job.manifest.Options.StoreText)
		}
		r.builder.add(c)
	}
	r.batch, r.decoded, r.vectors = r.batch[:0], r.decoded[:0], 0
	return nil
}

func (r *recoder) flush() error {
	b := r.builder
	r.builder = nil
	file := r.job.newFile()
	if err := b.write(r.ctx, r.job.folder, file); err != nil {
		return err
	}
	return r.job.open(file, uint32(len(b.ids)), b.unpruned)
}

// retrain trains another codebook on documents spread evenly over the inputs.
func (j *job) retrain(ctx context.Context) error {
	total := int64(0)
	for _, in := range j.inputs {
		in.count()
		total += int64(float64(in.vectors) * float64(in.live) / float64(in.documents))
	}
	c := &copier{ctx: ctx, job: j}
	sample := newSample(j.manifest.Dim)
	step := max(float64(total)/float64(j.manifest.Options.TrainingVectors), 1)
	seen, next := 0.0, 0.0
	err := c.eachDocument(func(in *mergeInput, document uint32) error {
		seen++
		if seen <= next {
			return nil
		}
		next += step
		vectors, ids, err := in.decode(document, in.codebook)
		if err == nil {
			sample.add(vectors, ids)
		}
		return err
	})
	if err != nil {
		return err
	}
	options := j.manifest.Options.Codec
	options.Total = int(min(max(total, int64(sample.vectors.Rows)), math.MaxInt32))
	if j.codebook, err = sample.train(ctx, options, nil); err != nil {
		return err
	}
	j.trained, err = sample.population(ctx, j.codebook, total)
	return err
}
