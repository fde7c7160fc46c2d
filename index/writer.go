package index

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/index/docpruner"
	"github.com/pare-search/pare/internal/durable"
)

// Writer changes an index. Changes become visible, all at once, with Commit;
// Close without Commit drops them. There is one writer per index at a time,
// enforced by a lock that the operating system releases when the process
// ends. A Writer is safe for concurrent use; its calls take turns.
//
// An error from Add, Update, Delete or Commit that wraps ErrInvalid or ErrDuplicate,
// or is that of the context, leaves the writer as it was. After any other error the
// writer refuses to go on: close it and open it again at the last commit.
//
// After a commit the writer merges segments in the background, as Options.Merge
// says, see merge.go.
type Writer struct {
	folder   folder
	lock     io.Closer
	pruner   *docpruner.Fitted // nil to store all vectors
	progress func(done, total int)

	// mu guards what follows. A merge holds it only to begin and to end.
	mu        sync.Mutex
	manifest  manifest // the last commit's, but for NextFile and a first codebook
	codebooks map[string]*codec.Codebook
	parts     []*writerPart
	deletes   []deletes // what each of manifest.Deletes lists

	builder *segmentBuilder // nil when empty
	// waiting holds documents until there are enough to train the codebook.
	waiting        []Document
	waitingVectors int
	fresh          map[string]int // ids in waiting or builder → position there
	freshDeleted   *roaring.Bitmap
	added          population // since the last commit

	merging merging
	broken  error
}

// writerPart is a segment and what of it is deleted.
type writerPart struct {
	*segment
	entry     segmentEntry // as committed, if it was
	number    uint64       // of the file
	committed bool
	deleted   *roaring.Bitmap // in commits
	fresh     *roaring.Bitmap // since the last commit
	busy      bool            // being merged
}

// has tells whether a document is live.
func (p *writerPart) has(document uint32) bool {
	return !p.deleted.Contains(document) && !p.fresh.Contains(document)
}

// live is the number of documents not deleted by a commit.
func (p *writerPart) live() uint64 { return uint64(p.documents) - p.deleted.GetCardinality() }

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
	// Bulk says that a whole collection comes at once: this writer merges nothing
	// in the background, so that the same documents make the same files.
	Bulk bool
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
	w.progress, w.merging.off = more.Progress, more.Bulk
	w.manifest = manifest{Dim: options.Dim, Options: options}
	if err := w.create(more); err != nil {
		return nil, errors.Join(err, f.takeBack(&w.manifest), w.Close())
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
		if err := w.setCodebook(more.Codebook, population{}); err != nil {
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
	return &Writer{
		folder: f, lock: lock,
		codebooks: make(map[string]*codec.Codebook),
		fresh:     make(map[string]int), freshDeleted: roaring.New(),
		merging: newMerging(),
	}, nil
}

func (w *Writer) open() error {
	var err error
	if w.manifest, err = readManifest(w.folder); err != nil {
		return err
	}
	if err := w.removeStray(); err != nil {
		return err
	}
	if w.manifest.Encoder != "" {
		c, err := w.manifest.open(w.folder, w.manifest.Encoder)
		if err != nil {
			return err
		}
		if err := c.close(); err != nil {
			return err
		}
	}
	if w.pruner, err = w.manifest.readPruner(w.folder); err != nil {
		return err
	}
	if w.codebooks, err = w.manifest.readCodebooks(w.folder); err != nil {
		return err
	}
	if w.deletes, err = w.manifest.readAllDeletes(w.folder); err != nil {
		return err
	}
	for _, entry := range w.manifest.Segments {
		p, err := w.openPart(entry)
		if err != nil {
			return err
		}
		w.parts = append(w.parts, p)
		if p.deleted, err = w.manifest.deletedOf(entry, w.deletes); err != nil {
			return err
		}
		p.committed = true
	}
	return nil
}

// openPart opens a segment of which nothing is deleted.
func (w *Writer) openPart(entry segmentEntry) (*writerPart, error) {
	seg, err := w.manifest.openSegment(w.folder, entry, w.codebooks[entry.Codebook])
	if err != nil {
		return nil, err
	}
	return newPart(seg, entry), nil
}

func newPart(seg *segment, entry segmentEntry) *writerPart {
	_, number, _ := parseFileName(entry.File)
	return &writerPart{segment: seg, entry: entry, number: number, deleted: roaring.New(), fresh: roaring.New()}
}

// removeStray removes files of ours that the manifest does not name.
func (w *Writer) removeStray() error {
	entries, err := w.folder.fs.ReadDir(w.folder.dir)
	if err != nil {
		return err
	}
	known := w.manifest.files()
	entries = slices.DeleteFunc(entries, func(entry fs.DirEntry) bool {
		return !removable(entry.Name()) || slices.Contains(known, entry.Name())
	})
	if len(entries) == 0 {
		return nil
	}
	// The writer that was interrupted may have renamed its manifest and no more;
	// until that is durable, the one before may come back and need its files.
	if err := w.folder.fs.SyncDir(w.folder.dir); err != nil {
		return err
	}
	for _, entry := range entries {
		err := w.folder.remove(entry.Name())
		if err == nil {
			continue
		}
		// Snapshots of an older commit may have its files open; see release. Others
		// have names that the next files will want.
		if _, number, ok := parseFileName(entry.Name()); !ok || number > w.manifest.NextFile {
			return err
		}
		w.merging.left = append(w.merging.left, entry.Name())
	}
	return nil
}

// Codebook returns the codebook, or nil as long as none has been trained.
func (w *Writer) Codebook() *codec.Codebook {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.codebook()
}

// codebook codes new documents; nil as long as none has been trained.
func (w *Writer) codebook() *codec.Codebook { return w.codebooks[w.manifest.codebook()] }

// find returns where a live document is: in a part, or, with a nil part,
// among the documents that are in no segment yet.
func (w *Writer) find(id string) (p *writerPart, document uint32, found bool, err error) {
	if at, ok := w.fresh[id]; ok {
		return nil, uint32(at), true, nil
	}
	for _, p := range w.parts {
		document, found, err := p.lookup(id)
		if err != nil {
			return nil, 0, false, err
		}
		if found && p.has(document) {
			return p, document, true, nil
		}
	}
	return nil, 0, false, nil
}

// Delete deletes documents by id and returns how many there were. Unknown ids
// are no error.
func (w *Writer) Delete(ids ...string) (deleted int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil {
		return 0, w.broken
	}
	deleted, err = w.delete(ids)
	return deleted, w.fail(err)
}

func (w *Writer) delete(ids []string) (deleted int, err error) {
	for _, id := range ids {
		p, document, found, err := w.find(id)
		if err != nil {
			return deleted, err
		}
		if !found {
			continue
		}
		deleted++
		if p != nil {
			p.fresh.Add(document)
			continue
		}
		w.freshDeleted.Add(document)
		delete(w.fresh, id)
		if w.codebook() == nil {
			w.waitingVectors -= w.waiting[document].Tokens.Vectors.Rows
			w.waiting[document] = Document{}
		}
	}
	return deleted, nil
}

// fail remembers an error that leaves the writer in an unknown state.
func (w *Writer) fail(err error) error {
	if err != nil {
		w.broken = fmt.Errorf("the writer failed before: %w", err)
	}
	return err
}

// flush writes the builder's documents as a segment, not yet committed. When ctx
// ends before, nothing has changed.
func (w *Writer) flush(ctx context.Context) error {
	if w.builder == nil {
		return nil
	}
	p, err := w.writeSegment(ctx, w.builder, w.manifest.newFile("segment"))
	if err != nil {
		return err
	}
	// Documents deleted before they reached a segment.
	p.fresh = w.freshDeleted
	w.parts = append(w.parts, p)
	w.builder, w.freshDeleted = nil, roaring.New()
	clear(w.fresh)
	return nil
}

// writeSegment writes a segment and opens it.
func (w *Writer) writeSegment(ctx context.Context, b *segmentBuilder, file string) (*writerPart, error) {
	if err := b.write(ctx, w.folder, file); err != nil {
		return nil, err
	}
	return w.openPart(segmentEntry{File: file, Codebook: b.file, Documents: uint32(len(b.ids)), Unpruned: b.unpruned})
}

// Commit makes all changes since the last commit visible and durable, all at
// once: after a crash the index is either as before or as after. It writes what
// has changed, however large the index is. When ctx ends before the new manifest is
// written, the error is its own and the changes wait for another Commit.
func (w *Writer) Commit(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil {
		return w.broken
	}
	// Documents that were deleted again are nothing to train on.
	if w.codebook() == nil && len(w.fresh) > 0 {
		if err := w.train(ctx, nil, nil); err != nil {
			return err
		}
	}
	err := w.flush(ctx)
	if ended := ctx.Err(); ended != nil && (err == nil || errors.Is(err, ended)) {
		return ended
	}
	if err := w.fail(err); err != nil {
		return err
	}
	if err := w.fail(w.commit()); err != nil {
		return err
	}
	w.mergeInBackground()
	return nil
}

func (w *Writer) commit() error {
	w.dropDead()
	deleted := make(deletes)
	for _, p := range w.parts {
		if !p.fresh.IsEmpty() {
			deleted[p.number] = p.fresh
		}
	}
	old := w.manifest.files()
	if err := w.publish(w.parts, deleted, w.added); err != nil {
		return err
	}
	for _, p := range w.parts {
		p.deleted.Or(p.fresh)
		p.fresh, p.committed = roaring.New(), true
	}
	w.added = population{}
	w.release(old)
	return nil
}

// dropDead drops the segments of which every document is deleted.
func (w *Writer) dropDead() {
	w.parts = slices.DeleteFunc(w.parts, func(p *writerPart) bool {
		dead := !p.busy && p.deleted.GetCardinality()+p.fresh.GetCardinality() == uint64(p.documents)
		if dead {
			w.merging.released = append(w.merging.released, p)
		}
		return dead
	})
}

// publish makes a new manifest of parts, which beside what was deleted before
// have lost what deleted holds.
func (w *Writer) publish(parts []*writerPart, deleted deletes, added population) error {
	entries := make([]segmentEntry, len(parts))
	for i, p := range parts {
		entries[i] = p.entry
		entries[i].Deleted = uint32(p.deleted.GetCardinality())
		if fresh := deleted[p.number]; fresh != nil {
			entries[i].Deleted += uint32(fresh.GetCardinality())
		}
	}
	deletesEntries, all, err := w.writeDeletes(parts, deleted)
	if err != nil {
		return err
	}
	next := w.manifest
	next.Segments, next.Deletes = entries, deletesEntries
	next.Codebooks = w.codebooksOf(parts, added)
	next.Generation++
	if err := next.commit(w.folder); err != nil {
		return err
	}
	w.manifest, w.deletes = next, all
	for i, p := range parts {
		p.entry = entries[i]
	}
	return nil
}

// codebooksOf returns the codebooks of parts, of documents that wait for a commit
// and of new documents, which codes so many vectors more.
func (w *Writer) codebooksOf(parts []*writerPart, added population) []codebookEntry {
	var used []codebookEntry
	uses := func(file string) bool {
		codes := func(p *writerPart) bool { return p.entry.Codebook == file }
		return w.builder != nil && w.builder.file == file || slices.ContainsFunc(parts, codes) ||
			slices.ContainsFunc(w.parts, func(p *writerPart) bool { return !p.committed && codes(p) })
	}
	for i, entry := range w.manifest.Codebooks {
		current := i == len(w.manifest.Codebooks)-1
		if current {
			entry.grow(added)
		}
		if current || uses(entry.File) {
			used = append(used, entry)
		}
	}
	return used
}

// writeDeletes writes what parts have lost, and returns the files that list all
// they have lost ever, with what each of them lists.
func (w *Writer) writeDeletes(parts []*writerPart, deleted deletes) ([]deletesEntry, []deletes, error) {
	exists := make(map[uint64]bool, len(parts))
	for _, p := range parts {
		exists[p.number] = true
	}
	var entries []deletesEntry
	var all []deletes
	for i, d := range w.deletes {
		if d.concern(exists) {
			entries, all = append(entries, w.manifest.Deletes[i]), append(all, d)
		}
	}
	if len(deleted) == 0 {
		return entries, all, nil
	}
	sum := make(deletes)
	sum.add(deleted)
	for n := len(all); n > 0 && 2*sum.count() >= entries[n-1].Documents; n-- {
		sum.add(all[n-1])
		entries, all = entries[:n-1], all[:n-1]
	}
	sum.keep(exists)
	file := w.manifest.newFile("deletes")
	if err := w.folder.writeDeletes(file, sum); err != nil {
		return nil, nil, err
	}
	return append(entries, deletesEntry{file, sum.count()}), append(all, sum), nil
}

// release closes the segments that have gone, and removes the files that only
// the last commit used. A snapshot has all its files open, in this process or
// another, and keeps them. Where the system forbids to remove open files it is
// tried again at the next commit, and when the next writer opens the index.
func (w *Writer) release(old []string) {
	for _, p := range w.merging.released {
		_ = p.file.close()
	}
	w.merging.released = nil
	current := w.manifest.files()
	left := slices.Concat(w.merging.left, old)
	w.merging.left = nil
	for _, name := range left {
		if !slices.Contains(current, name) && w.folder.remove(name) != nil {
			w.merging.left = append(w.merging.left, name)
		}
	}
}

// Close releases the index. Changes since the last commit are dropped, and so is
// a merge that is under way.
func (w *Writer) Close() error {
	w.stopMerging()
	// A Merge that another goroutine has called reads segments until it sees that
	// it is to end.
	w.merging.slot <- struct{}{}
	defer func() { <-w.merging.slot }()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lock == nil {
		return nil
	}
	err := w.merging.err
	for _, p := range slices.Concat(w.parts, w.merging.released) {
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
