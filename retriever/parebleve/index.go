package parebleve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/document"
	"github.com/blevesearch/bleve/v2/index/scorch"
	"github.com/blevesearch/bleve/v2/mapping"
	bleveindex "github.com/blevesearch/bleve_index_api"
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
	engine  engine
	library *library
	shelf   *shelf
	fields  map[string]*field

	// writes is held for reading while documents are added, and for writing while
	// documents are coded anew, which must not undo a change made meanwhile, and
	// while a field gets another codebook: whatever is written afterwards is coded
	// with that.
	writes sync.RWMutex

	// training has an element while codebooks are trained and documents coded
	// anew.
	training chan struct{}
	ctx      context.Context // of what is done in the background; Close ends it
	cancel   context.CancelFunc
	close    sync.Once
}

// bleveIndex is bleve.Index by another name, since Index has a method Index.
type bleveIndex = bleve.Index

var (
	_ bleve.SynonymIndex  = (*Index)(nil)
	_ bleve.InsightsIndex = (*Index)(nil)
)

// field is one field with vectors.
type field struct {
	name, hidden string

	mu       sync.RWMutex
	current  *book // codes what is added
	trained  int64 // vectors in the field when it was trained
	vectors  int64 // vectors in the field when they were counted, and those added since
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
// the path "" it is kept in memory. A mapping that is nil is that of
// bleve.NewIndexMapping.
func New(path string, m mapping.IndexMapping, options Options) (*Index, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	if m == nil {
		m = bleve.NewIndexMapping()
	}
	idx, err := bleve.NewUsing(path, m, scorch.Name, scorch.Name, nil)
	if err != nil {
		return nil, err
	}
	return wrapOwn(idx, options)
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
	return wrapOwn(idx, options)
}

// wrapOwn wraps an index that nobody else has, and closes it when that fails.
func wrapOwn(idx bleve.Index, options Options) (*Index, error) {
	x, err := Wrap(idx, options)
	if err != nil {
		return nil, errors.Join(err, idx.Close())
	}
	return x, nil
}

// Wrap gives vectors to a bleve index that is open already. When it fails, the
// index stays open. Codebooks are kept in a folder "pare" in the index's.
//
// An index that was opened for reading only, by bleve.OpenUsing with
// "read_only", is searched as it is: nothing is trained, coded or removed, and
// changes return ErrReadOnly.
func Wrap(idx bleve.Index, options Options) (*Index, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	options = options.withDefaults()
	engine, err := engineOf(idx)
	if err != nil {
		return nil, err
	}
	x := &Index{
		bleveIndex: idx, options: options, engine: engine,
		shelf: newShelf(max(options.CacheBytes, 0)), fields: make(map[string]*field), training: make(chan struct{}, 1),
	}
	folder := ""
	if engine.folder != "" {
		folder = filepath.Join(engine.folder, libraryFolder)
	}
	if x.library, err = openLibrary(folder, engine.readOnly); err != nil {
		return nil, err
	}
	if err := x.loadState(); err != nil {
		return nil, err
	}
	if x.options.DocumentPruner, err = x.library.keepPruner(options.DocumentPruner); err != nil {
		return nil, err
	}
	if err := x.takeStock(); err != nil {
		return nil, err
	}
	x.ctx, x.cancel = context.WithCancel(context.Background())
	x.maintain()
	return x, nil
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
	if x.engine.readOnly {
		return ErrReadOnly
	}
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
	for {
		made, err := x.attach(ctx, documents)
		if err != nil {
			return err
		}
		if done, err := x.write(batch, made); err != nil {
			return err
		} else if done {
			x.maintain()
			return nil
		}
	}
}

// write executes a batch, unless a field has another codebook by now than the
// one its vectors were made with.
func (x *Index) write(batch *bleve.Batch, made []attached) (bool, error) {
	x.writes.RLock()
	defer x.writes.RUnlock()
	for _, a := range made {
		if a.field.book() != a.book {
			return false, nil
		}
	}
	if err := x.bleveIndex.Batch(batch); err != nil {
		return false, err
	}
	for _, a := range made {
		a.field.grow(a.vectors)
	}
	return true, nil
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
	return x.change(func() error { return x.bleveIndex.Delete(id) })
}

// SetInternal sets an internal value of the index.
func (x *Index) SetInternal(key, value []byte) error {
	return x.change(func() error { return x.bleveIndex.SetInternal(key, value) })
}

// DeleteInternal deletes an internal value of the index.
func (x *Index) DeleteInternal(key []byte) error {
	return x.change(func() error { return x.bleveIndex.DeleteInternal(key) })
}

// IndexSynonym adds or replaces a definition of synonyms, as bleve does.
func (x *Index) IndexSynonym(id, collection string, definition *bleve.SynonymDefinition) error {
	synonyms, ok := x.bleveIndex.(bleve.SynonymIndex)
	if !ok {
		return fmt.Errorf("%w: a %T has no synonyms", errors.ErrUnsupported, x.bleveIndex)
	}
	return x.change(func() error { return synonyms.IndexSynonym(id, collection, definition) })
}

// change changes the index in a way that vectors have no part in.
func (x *Index) change(do func() error) error {
	if x.engine.readOnly {
		return ErrReadOnly
	}
	x.writes.RLock()
	defer x.writes.RUnlock()
	return do()
}

// TermFrequencies returns the most frequent terms of a field, as bleve does.
func (x *Index) TermFrequencies(field string, limit int, descending bool) ([]bleveindex.TermFreq, error) {
	insights, ok := x.bleveIndex.(bleve.InsightsIndex)
	if !ok {
		return nil, fmt.Errorf("%w: a %T has no insights", errors.ErrUnsupported, x.bleveIndex)
	}
	return insights.TermFrequencies(field, limit, descending)
}

// CentroidCardinalities returns the sizes of the clusters of bleve's own
// vectors, as bleve does.
func (x *Index) CentroidCardinalities(field string, limit int, descending bool) ([]bleveindex.CentroidCardinality, error) {
	insights, ok := x.bleveIndex.(bleve.InsightsIndex)
	if !ok {
		return nil, fmt.Errorf("%w: a %T has no insights", errors.ErrUnsupported, x.bleveIndex)
	}
	return insights.CentroidCardinalities(field, limit, descending)
}

// Search executes a search request, see SearchInContext.
func (x *Index) Search(req *bleve.SearchRequest) (*bleve.SearchResult, error) {
	return x.SearchInContext(context.Background(), req)
}

// SearchInContext executes a search request, in which queries of this package
// may stand wherever bleve takes a query.
func (x *Index) SearchInContext(ctx context.Context, req *bleve.SearchRequest) (*bleve.SearchResult, error) {
	for _, cursor := range [][]string{req.SearchAfter, req.SearchBefore} {
		if cursor != nil && len(cursor) != len(req.Sort) {
			// Of requests that nobody has validated bleve reads what is not there.
			return nil, fmt.Errorf("parebleve: search_after or search_before has %d values, for an order by %d", len(cursor), len(req.Sort))
		}
	}
	p := &pass{}
	var took time.Duration
	for {
		s := newSession(x, req, p)
		result, err := x.bleveIndex.SearchInContext(context.WithValue(ctx, sessionKey{}, s), req)
		if err != nil || result == nil {
			return result, err
		}
		result.Total = max(result.Total, s.found.Load())
		took += result.Took
		if result.Took = took; !p.again(result) {
			return result, nil
		}
	}
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
	return errors.Join(source.CopyTo(d), x.library.copyTo(d, x.options.DocumentPruner))
}

// Close closes the index. What is being trained or coded anew is stopped, and
// goes on when the index is opened again. A second Close does nothing; bleve's
// own panics.
func (x *Index) Close() error {
	var err error
	x.close.Do(func() {
		x.cancel()
		x.training <- struct{}{}
		defer func() { <-x.training }()
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
