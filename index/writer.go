package index

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
	"golang.org/x/sync/errgroup"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/index/docpruner"
	"github.com/pare-search/pare/internal/durable"
	"github.com/pare-search/pare/simd"
)

// Writer changes an index. Changes become visible, all at once, with Commit;
// Close without Commit drops them. There is one writer per index at a time,
// enforced by a lock that the operating system releases when the process
// ends. A Writer is not safe for concurrent use.
//
// An error from Add, Update or Delete that wraps ErrInvalid or ErrDuplicate
// leaves the writer as it was. After any other error the writer refuses to go
// on: close it and open it again at the last commit.
type Writer struct {
	folder   folder
	lock     io.Closer
	manifest manifest // what the next commit will say
	codebook *codec.Codebook
	pruner   *docpruner.Fitted // nil to store all vectors
	progress func(done, total int)

	parts   []writerPart
	builder *segmentBuilder // nil when empty
	// waiting holds documents until there are enough to train the codebook.
	waiting        []Document
	waitingVectors int
	fresh          map[string]int // ids in waiting or builder → position there
	freshDeleted   *roaring.Bitmap

	broken error
}

// writerPart is a segment, its deletes, and whether those changed.
type writerPart struct {
	part
	entry segmentEntry
	dirty bool
}

// CreateOptions is what Create may be given beside Options.
type CreateOptions struct {
	// Codebook codes all vectors. Without one, the writer trains one on the
	// first Options.TrainingVectors vectors; a codebook trained on a sample
	// of the whole collection is better when the collection has an order.
	Codebook *codec.Codebook
	// EncoderKind and EncoderData are the saved form of the encoder that makes
	// the vectors, kept with the index so that it can encode queries.
	EncoderKind string
	EncoderData []byte
	// Pruner decides which vectors of a document are stored, in this writer and
	// in those of later changes: it is kept with the index. Nil stores all.
	Pruner *docpruner.Fitted
	// Progress is told how far the training of the codebook is.
	Progress func(done, total int)
}

// Create makes an empty index in dir, which must not exist or be empty. The
// index is there, with no documents, when Create returns.
func Create(dir string, options Options, more CreateOptions) (*Writer, error) {
	return onDisk(dir).createIndex(options, more)
}

func (f folder) createIndex(options Options, more CreateOptions) (*Writer, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	if c := more.Codebook; c != nil && (c.Dim() != options.Dim || c.Kind() != options.Codec.Kind) {
		return nil, fmt.Errorf("%w: the codebook is for %d dimensions and %s, the index for %d and %s",
			ErrInvalid, c.Dim(), c.Kind(), options.Dim, options.Codec.Kind)
	}
	if p := more.Pruner; p != nil && p.Dim() > 0 && p.Dim() != options.Dim {
		return nil, fmt.Errorf("%w: the pruner is for %d dimensions, the index for %d", ErrInvalid, p.Dim(), options.Dim)
	}
	if err := f.fs.MkdirAll(f.dir); err != nil {
		return nil, err
	}
	// Looked at before the lock, not to leave a lock file in a folder that is
	// not ours, and after it, for another Create may have been quicker.
	if err := f.checkEmpty(); err != nil {
		return nil, err
	}
	w, err := f.lockWriter()
	if err != nil {
		return nil, err
	}
	if err := f.checkEmpty(); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	w.progress = more.Progress
	w.manifest = manifest{Dim: options.Dim, Options: options}
	if err := w.create(more); err != nil {
		for _, name := range append(w.manifest.files(), manifestName+".new") {
			err = errors.Join(err, f.remove(name))
		}
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// CheckEmpty returns an error that wraps ErrExists if Create would refuse dir
// for what it holds. A folder that does not exist is empty.
func CheckEmpty(dir string) error { return onDisk(dir).checkEmpty() }

func (f folder) checkEmpty() error {
	entries, err := f.fs.ReadDir(f.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		switch entry.Name() {
		case lockName:
		case manifestName:
			return fmt.Errorf("%w: %s holds an index already", ErrExists, f.dir)
		default:
			return fmt.Errorf("%w: %s holds %s", ErrExists, f.dir, entry.Name())
		}
	}
	return nil
}

func (w *Writer) create(more CreateOptions) error {
	if more.EncoderKind != "" {
		w.manifest.Encoder = w.manifest.newFile("encoder")
		c, err := w.folder.create(w.manifest.Encoder)
		if err != nil {
			return err
		}
		c.add("kind", encoderVersion, []byte(more.EncoderKind))
		c.add("data", encoderVersion, more.EncoderData)
		if err := c.finish(); err != nil {
			return err
		}
	}
	if more.Pruner != nil {
		w.manifest.Pruner, w.pruner = w.manifest.newFile("pruner"), more.Pruner
		if err := w.folder.writePruner(w.manifest.Pruner, more.Pruner); err != nil {
			return err
		}
	}
	if more.Codebook != nil {
		if err := w.setCodebook(more.Codebook); err != nil {
			return err
		}
	}
	if err := w.manifest.commit(w.folder); err != nil {
		return err
	}
	return w.folder.fs.SyncDir(filepath.Dir(w.folder.dir)) // where the folder itself may be new
}

// OpenWriter opens the index in dir for changes, at its last commit. Files
// that an interrupted writer left behind are removed.
func OpenWriter(dir string) (*Writer, error) { return onDisk(dir).openWriter() }

func (f folder) openWriter() (*Writer, error) {
	// Before the lock, not to leave a lock file in a folder that is not ours.
	if _, err := readManifest(f); err != nil {
		return nil, err
	}
	w, err := f.lockWriter()
	if err != nil {
		return nil, err
	}
	if err := w.open(); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

func (f folder) lockWriter() (*Writer, error) {
	lock, err := f.fs.Lock(f.path(lockName))
	if errors.Is(err, durable.ErrLocked) {
		return nil, fmt.Errorf("%w: %s", ErrLocked, f.dir)
	}
	if err != nil {
		return nil, err
	}
	return &Writer{folder: f, lock: lock, fresh: make(map[string]int), freshDeleted: roaring.New()}, nil
}

func (w *Writer) open() error {
	var err error
	if w.manifest, err = readManifest(w.folder); err != nil {
		return err
	}
	if err := w.removeStray(); err != nil {
		return err
	}
	if _, err := w.manifest.describe(w.folder); err != nil {
		return err
	}
	if w.pruner, err = w.manifest.readPruner(w.folder); err != nil {
		return err
	}
	if w.manifest.Codebook == "" {
		return nil
	}
	if w.codebook, err = w.manifest.readCodebook(w.folder); err != nil {
		return err
	}
	for _, entry := range w.manifest.Segments {
		p, err := w.manifest.openPart(w.folder, entry, w.codebook)
		if err != nil {
			return err
		}
		w.parts = append(w.parts, writerPart{part: p, entry: entry})
	}
	return nil
}

// removeStray removes files of ours that the manifest does not name.
func (w *Writer) removeStray() error {
	entries, err := w.folder.fs.ReadDir(w.folder.dir)
	if err != nil {
		return err
	}
	known := w.manifest.files()
	for _, entry := range entries {
		name := entry.Name()
		if removable(name) && !slices.Contains(known, name) {
			if err := w.folder.remove(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// Codebook returns the codebook, or nil as long as none has been trained.
func (w *Writer) Codebook() *codec.Codebook { return w.codebook }

// Add adds documents, whose ids must be new to the index. Vectors are coded
// in parallel. Nothing is added when an error wraps ErrInvalid or
// ErrDuplicate.
func (w *Writer) Add(ctx context.Context, documents ...Document) error {
	documents, err := w.prepare(ctx, documents)
	if err != nil {
		return err
	}
	for _, d := range documents {
		_, _, found, err := w.find(d.ID)
		if err != nil {
			return w.fail(err)
		}
		if found {
			return fmt.Errorf("%w: %q is in the index already", ErrDuplicate, d.ID)
		}
	}
	return w.fail(w.add(ctx, documents))
}

// Update adds documents and deletes those that had their ids before.
func (w *Writer) Update(ctx context.Context, documents ...Document) error {
	documents, err := w.prepare(ctx, documents)
	if err != nil {
		return err
	}
	ids := make([]string, len(documents))
	for i, d := range documents {
		ids[i] = d.ID
	}
	if _, err := w.Delete(ids...); err != nil {
		return err
	}
	return w.fail(w.add(ctx, documents))
}

// check refuses a batch that must not be added, before anything has changed.
func (w *Writer) check(ctx context.Context, documents []Document) error {
	if w.broken != nil {
		return w.broken
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	seen := make(map[string]bool, len(documents))
	for i, d := range documents {
		if err := d.validate(w.manifest.Dim); err != nil {
			return fmt.Errorf("%w: document %d of the batch: %w", ErrInvalid, i, err)
		}
		if seen[d.ID] {
			return fmt.Errorf("%w: %q stands twice in one batch", ErrDuplicate, d.ID)
		}
		seen[d.ID] = true
	}
	return nil
}

// prepare checks a batch and leaves of its vectors what is stored.
func (w *Writer) prepare(ctx context.Context, documents []Document) ([]Document, error) {
	if err := w.check(ctx, documents); err != nil || w.pruner == nil {
		return documents, err
	}
	tokens := make([]encoder.Tokens, len(documents))
	for i, d := range documents {
		tokens[i] = d.Tokens
	}
	pruned, err := w.pruner.PruneAll(ctx, tokens)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w: batch of documents %q to %q: %w", ErrInvalid, documents[0].ID, documents[len(documents)-1].ID, err)
	}
	documents = slices.Clone(documents)
	for i := range documents {
		documents[i].unpruned = tokens[i].Vectors.Rows
		documents[i].Tokens = pruned[i].Tokens
	}
	return documents, nil
}

// fail remembers an error that leaves the writer in an unknown state.
func (w *Writer) fail(err error) error {
	if err != nil {
		w.broken = fmt.Errorf("the writer failed before: %w", err)
	}
	return err
}

// Delete deletes documents by id and returns how many there were. Unknown ids
// are no error.
func (w *Writer) Delete(ids ...string) (deleted int, err error) {
	if w.broken != nil {
		return 0, w.broken
	}
	for _, id := range ids {
		p, document, found, err := w.find(id)
		if err != nil {
			return deleted, w.fail(err)
		}
		if !found {
			continue
		}
		deleted++
		if p == nil {
			w.freshDeleted.Add(document)
			delete(w.fresh, id)
			if w.codebook == nil {
				w.waitingVectors -= w.waiting[document].Tokens.Vectors.Rows
				w.waiting[document] = Document{}
			}
			continue
		}
		p.deleted.Add(document)
		p.dirty = true
	}
	return deleted, nil
}

// find returns where a live document is: in a part, or, with a nil part,
// among the documents that are in no segment yet.
func (w *Writer) find(id string) (p *writerPart, document uint32, found bool, err error) {
	if at, ok := w.fresh[id]; ok {
		return nil, uint32(at), true, nil
	}
	for i := range w.parts {
		p := &w.parts[i]
		document, found, err := p.lookup(id)
		if err != nil {
			return nil, 0, false, err
		}
		if found && !p.deleted.Contains(document) {
			return p, document, true, nil
		}
	}
	return nil, 0, false, nil
}

func (w *Writer) add(ctx context.Context, documents []Document) error {
	if w.codebook != nil {
		return w.code(ctx, documents)
	}
	for _, d := range documents {
		w.fresh[d.ID] = len(w.waiting)
		// The caller may use the slices again.
		d.Tokens.Vectors.Data = slices.Clone(d.Tokens.Vectors.Data)
		d.Tokens.IDs = slices.Clone(d.Tokens.IDs)
		d.Tokens.Spans = nil
		w.waiting = append(w.waiting, d)
		w.waitingVectors += d.Tokens.Vectors.Rows
	}
	if w.waitingVectors < w.manifest.Options.TrainingVectors {
		return nil
	}
	return w.train(ctx)
}

// train trains the codebook on the waiting documents and codes them.
func (w *Writer) train(ctx context.Context) error {
	var waiting []Document
	for i, d := range w.waiting {
		if !w.freshDeleted.Contains(uint32(i)) {
			waiting = append(waiting, d)
		}
	}
	sample := simd.Matrix{Dim: w.manifest.Dim, Data: make([]float32, 0, w.waitingVectors*w.manifest.Dim)}
	var ids []uint32
	withIDs := true
	for _, d := range waiting {
		sample.Data = append(sample.Data, d.Tokens.Vectors.Data...)
		sample.Rows += d.Tokens.Vectors.Rows
		ids = append(ids, d.Tokens.IDs...)
		withIDs = withIDs && (d.Tokens.IDs != nil || d.Tokens.Vectors.Rows == 0)
	}
	if !withIDs {
		ids = nil
	}
	codebook, err := codec.Train(ctx, sample, ids, w.manifest.Options.Codec, w.progress)
	if err != nil {
		return fmt.Errorf("training the codebook: %w", err)
	}
	if err := w.setCodebook(codebook); err != nil {
		return err
	}
	w.waiting, w.waitingVectors = nil, 0
	clear(w.fresh)
	w.freshDeleted.Clear()
	return w.code(ctx, waiting)
}

func (w *Writer) setCodebook(codebook *codec.Codebook) error {
	w.manifest.Codebook = w.manifest.newFile("codebook")
	w.codebook = codebook
	return w.folder.writeCodebook(w.manifest.Codebook, codebook)
}

// code turns documents into payloads, in parallel, and gathers them in the
// builder in their order.
func (w *Writer) code(ctx context.Context, documents []Document) error {
	vectors := make([]codec.Document, len(documents))
	for i, d := range documents {
		vectors[i] = codec.Document{Vectors: d.Tokens.Vectors, IDs: d.Tokens.IDs}
	}
	encoded, err := w.codebook.EncodeAll(ctx, vectors)
	if err != nil {
		return err
	}
	batch := make([]coded, len(documents))
	for i, d := range documents {
		batch[i] = coded{document: d, encoded: encoded[i]}
	}
	if w.manifest.Options.Refine {
		if err := w.refine(ctx, batch); err != nil {
			return err
		}
	}
	for _, c := range batch {
		if w.builder != nil && (w.builder.size() >= w.manifest.Options.SegmentBytes || !w.builder.fits(c)) {
			if err := w.flush(); err != nil {
				return err
			}
		}
		if w.builder == nil {
			w.builder = newSegmentBuilder(w.codebook, w.manifest.Options.StoreText)
		}
		w.fresh[c.document.ID] = len(w.builder.ids)
		w.builder.add(c)
	}
	return nil
}

// refine makes the documents' refinements, in parallel.
func (w *Writer) refine(ctx context.Context, batch []coded) error {
	group, ctx := errgroup.WithContext(ctx)
	workers := runtime.GOMAXPROCS(0)
	for worker := range workers {
		group.Go(func() (err error) {
			for i := worker; i < len(batch); i += workers {
				if err := ctx.Err(); err != nil {
					return err
				}
				d := batch[i].document
				if batch[i].refined, err = w.codebook.EncodeRefinement(nil, d.Tokens.Vectors); err != nil {
					return fmt.Errorf("document %q: %w", d.ID, err)
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// flush writes the builder's documents as a segment, not yet committed.
func (w *Writer) flush() error {
	if w.builder == nil {
		return nil
	}
	entry := segmentEntry{File: w.manifest.newFile("segment"), Documents: uint32(len(w.builder.ids)), Unpruned: w.builder.unpruned}
	if err := w.builder.write(w.folder, entry.File); err != nil {
		return err
	}
	p, err := w.manifest.openPart(w.folder, entry, w.codebook)
	if err != nil {
		return err
	}
	// Documents deleted before they reached a segment.
	p.deleted = w.freshDeleted
	w.parts = append(w.parts, writerPart{part: p, entry: entry, dirty: !p.deleted.IsEmpty()})
	w.builder, w.freshDeleted = nil, roaring.New()
	clear(w.fresh)
	return nil
}

// Commit makes all changes since the last commit visible and durable, all at
// once: after a crash the index is either as before or as after.
func (w *Writer) Commit(ctx context.Context) error {
	if w.broken != nil {
		return w.broken
	}
	return w.fail(w.commit(ctx))
}

func (w *Writer) commit(ctx context.Context) error {
	// Documents that were deleted again are nothing to train on.
	if w.codebook == nil && len(w.fresh) > 0 {
		if err := w.train(ctx); err != nil {
			return err
		}
	}
	if err := w.flush(); err != nil {
		return err
	}
	old := w.manifest.files()
	w.manifest.Segments = nil
	for i := range w.parts {
		p := &w.parts[i]
		if p.dirty {
			p.entry.Deletes = w.manifest.newFile("deletes")
			p.entry.Deleted = uint32(p.deleted.GetCardinality())
			if err := w.folder.writeDeletes(p.entry.Deletes, p.deleted); err != nil {
				return err
			}
			p.dirty = false
		}
		w.manifest.Segments = append(w.manifest.Segments, p.entry)
	}
	w.manifest.Generation++
	if err := w.manifest.commit(w.folder); err != nil {
		return err
	}
	w.removeReplaced(old)
	return nil
}

// removeReplaced removes files that only the last commit used. A snapshot
// that has them mapped keeps them; where the system forbids removing mapped
// files they stay until the next writer opens the index.
func (w *Writer) removeReplaced(old []string) {
	current := w.manifest.files()
	for _, name := range old {
		if !slices.Contains(current, name) {
			_ = w.folder.remove(name)
		}
	}
}

// Close releases the index. Changes since the last commit are dropped.
func (w *Writer) Close() error {
	if w.lock == nil {
		return nil
	}
	var err error
	for _, p := range w.parts {
		err = errors.Join(err, p.file.close())
	}
	w.parts, w.builder, w.waiting = nil, nil, nil
	w.broken = fmt.Errorf("writer: %w", ErrClosed)
	// What was not committed is of no use, but does no harm if it stays.
	if m, readErr := readManifest(w.folder); readErr == nil {
		w.manifest = m
		_ = w.removeStray()
	}
	err = errors.Join(err, w.lock.Close())
	w.lock = nil
	return err
}
