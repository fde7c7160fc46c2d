package parebleve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/document"
	"github.com/blevesearch/bleve/v2/index/scorch"
	"github.com/blevesearch/bleve/v2/mapping"
	bleveindex "github.com/blevesearch/bleve_index_api"
	segment "github.com/blevesearch/scorch_segment_api/v2"
)

// Index is a bleve index whose text fields have token vectors. Everything that
// it does not say otherwise about is done by the bleve index inside, and all of
// it is safe for concurrent use.
//
// Documents must be added, changed and deleted through the Index. Those that
// were added without it are found by text only, until Reindex.
type Index struct {
	bleveIndex
	options Options
	library *library
	shelf   *shelf
	fields  map[string]*field

	// writes is held for reading while documents are added, and for writing while
	// documents are coded anew, which must not undo a change made meanwhile.
	writes sync.RWMutex

	// training is held while codebooks are trained and documents coded anew.
	training sync.Mutex
	ctx      context.Context // of what is done in the background; Close ends it
	cancel   context.CancelFunc
	close    sync.Once
}

// bleveIndex is bleve.Index by another name, since Index has a method Index.
type bleveIndex = bleve.Index

// field is one field with vectors.
type field struct {
	name, hidden string

	mu       sync.RWMutex
	current  *book // codes what is added
	trained  int64 // vectors in the field when it was trained
	vectors  int64 // vectors in the field, those that were replaced included
	failedAt int64 // vectors in the field when training failed
	err      error // why it did
	progress Progress

	// unfinished tells that documents were being coded anew when the index was
	// closed.
	unfinished bool
}

func (f *field) book() *book {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.current
}

// New creates an index at path, which must not exist, as bleve.New does. With
// the path "" it is kept in memory.
func New(path string, m mapping.IndexMapping, options Options) (*Index, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	idx, err := bleve.NewUsing(path, m, scorch.Name, scorch.Name, nil)
	if err != nil {
		return nil, err
	}
	return Wrap(idx, options)
}

// Open opens the bleve index at path, whether or not it has vectors. A mapping
// that is not nil takes the place of the stored one; bleve accepts those that
// index or store less than before.
func Open(path string, m mapping.IndexMapping, options Options) (*Index, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	var config map[string]any
	if m != nil {
		updated, err := json.Marshal(m)
		if err != nil {
			return nil, err
		}
		config = map[string]any{"updated_mapping": string(updated)}
	}
	idx, err := bleve.OpenUsing(path, config)
	if err != nil {
		return nil, err
	}
	return Wrap(idx, options)
}

// Wrap gives vectors to a bleve index that is open already. It closes the index
// when it fails. Codebooks are kept in a folder "pare" in the index's, which is
// idx.Name() as long as nobody has called SetName; after that Wrap can tell
// only once there are documents on disk.
func Wrap(idx bleve.Index, options Options) (x *Index, err error) {
	defer func() {
		if err != nil {
			x, err = nil, errors.Join(err, idx.Close())
		}
	}()
	if err := options.Validate(); err != nil {
		return nil, err
	}
	advanced, err := idx.Advanced()
	if err != nil {
		return nil, err
	}
	if _, ok := advanced.(*scorch.Scorch); !ok {
		return nil, fmt.Errorf("%w: %s is a %T", ErrNotScorch, idx.Name(), advanced)
	}
	x = &Index{bleveIndex: idx, options: options, shelf: newShelf(options.CacheBytes), fields: make(map[string]*field)}
	x.ctx, x.cancel = context.WithCancel(context.Background())
	folder, err := x.folder()
	if err != nil {
		return nil, err
	}
	if folder != "" {
		folder = filepath.Join(folder, libraryFolder)
	}
	if x.library, err = openLibrary(folder); err != nil {
		return nil, err
	}
	if err := x.loadState(); err != nil {
		return nil, err
	}
	if err := x.takeStock(); err != nil {
		return nil, err
	}
	x.maintain()
	return x, nil
}

// folder returns where the index is, "" for one in memory.
func (x *Index) folder() (_ string, err error) {
	if info, err := os.Stat(x.Name()); err == nil && info.IsDir() {
		return x.Name(), nil
	}
	snapshot, err := x.snapshot()
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	for _, seg := range snapshot.Segments() {
		if persisted, ok := seg.Segment().(segment.PersistedSegment); ok {
			return filepath.Dir(filepath.Dir(persisted.Path())), nil // in the folder "store"
		}
	}
	return "", nil
}

// Unwrap returns the bleve index inside, for what bleve.Index does not offer.
func (x *Index) Unwrap() bleve.Index { return x.bleveIndex }

// Batch executes a batch. The texts of its documents are encoded and stored
// with them; the batch is visible, and after a crash there, as a whole or not
// at all.
func (x *Index) Batch(batch *bleve.Batch) error {
	return x.BatchInContext(context.Background(), batch)
}

// BatchInContext is Batch with a context for the encoder.
func (x *Index) BatchInContext(ctx context.Context, batch *bleve.Batch) error {
	ops, err := operations(batch)
	if err != nil {
		return err
	}
	var documents []*document.Document
	for _, op := range ops.IndexOps {
		if doc, ok := op.(*document.Document); ok {
			documents = append(documents, doc)
		}
	}
	if err := x.attach(ctx, documents); err != nil {
		return err
	}
	if err := x.write(batch); err != nil {
		return err
	}
	x.maintain()
	return nil
}

func (x *Index) write(batch *bleve.Batch) error {
	x.writes.RLock()
	defer x.writes.RUnlock()
	return x.bleveIndex.Batch(batch)
}

// Index adds or replaces a document.
func (x *Index) Index(id string, data any) error {
	batch := x.NewBatch()
	if err := batch.Index(id, data); err != nil {
		return err
	}
	return x.Batch(batch)
}

// Delete deletes a document.
func (x *Index) Delete(id string) error {
	x.writes.RLock()
	defer x.writes.RUnlock()
	return x.bleveIndex.Delete(id)
}

// Search executes a search request, see SearchInContext.
func (x *Index) Search(req *bleve.SearchRequest) (*bleve.SearchResult, error) {
	return x.SearchInContext(context.Background(), req)
}

// SearchInContext executes a search request, in which queries of this package
// may stand wherever bleve takes a query.
func (x *Index) SearchInContext(ctx context.Context, req *bleve.SearchRequest) (*bleve.SearchResult, error) {
	s := newSession(x, req)
	result, err := x.bleveIndex.SearchInContext(context.WithValue(ctx, sessionKey{}, s), req)
	if found := s.found.Load(); err == nil && found > result.Total {
		result.Total = found
	}
	return result, err
}

// Fields returns the names of the fields, without those that hold vectors.
func (x *Index) Fields() ([]string, error) {
	names, err := x.bleveIndex.Fields()
	visible := names[:0]
	for _, name := range names {
		if !strings.HasPrefix(name, hiddenPrefix) {
			visible = append(visible, name)
		}
	}
	return visible, err
}

// CopyTo copies the index while it is in use, codebooks included.
func (x *Index) CopyTo(d bleveindex.Directory) error {
	source, ok := x.bleveIndex.(bleve.IndexCopyable)
	if !ok {
		return fmt.Errorf("parebleve: a %T cannot be copied", x.bleveIndex)
	}
	// The codebooks come last, for there may be new ones since the copy began.
	return errors.Join(source.CopyTo(d), x.library.copyTo(d))
}

// Close closes the index. What is done in the background is stopped, and goes
// on when the index is opened again. A second Close does nothing; bleve's own
// panics.
func (x *Index) Close() error {
	var err error
	x.close.Do(func() {
		x.cancel()
		x.training.Lock()
		defer x.training.Unlock()
		err = x.bleveIndex.Close()
	})
	return err
}

// snapshot returns the documents as they are now; the caller must close it.
func (x *Index) snapshot() (*scorch.IndexSnapshot, error) {
	advanced, err := x.Advanced()
	if err != nil {
		return nil, err
	}
	reader, err := advanced.Reader()
	if err != nil {
		return nil, err
	}
	snapshot, err := snapshotOf(reader)
	if err != nil {
		return nil, errors.Join(err, reader.Close())
	}
	return snapshot, nil
}

func snapshotOf(reader bleveindex.IndexReader) (*scorch.IndexSnapshot, error) {
	if snapshot, ok := reader.(*scorch.IndexSnapshot); ok {
		return snapshot, nil
	}
	return nil, fmt.Errorf("%w: its reader is a %T", ErrNotScorch, reader)
}
