package retriever

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/encoder/bert"
	"github.com/pare-search/pare/encoder/remote"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/simd"
)

// Errors that callers test for.
var (
	// ErrEncoder: the index does not hold the encoder that is needed, or
	// the one given does not fit it.
	ErrEncoder = errors.New("retriever: no fitting encoder")
	// ErrNoEncoder: the index holds no encoder, as one that was made of given
	// vectors. It wraps ErrEncoder.
	ErrNoEncoder = fmt.Errorf("%w: the index holds none", ErrEncoder)
	// ErrNotFound: there is no document with this id.
	ErrNotFound = errors.New("retriever: no such document")
	// ErrClosed: the retriever was closed before.
	ErrClosed = errors.New("retriever: closed")
	// ErrNoDocuments: there is nothing to build an index of.
	ErrNoDocuments = errors.New("retriever: no documents")
	// ErrChanged: the documents were not the same each time.
	ErrChanged = errors.New("retriever: the documents changed while the index was built")
)

// Options are the settings of one search.
type Options struct {
	// Pruner selects the query rows that look for candidates.
	Pruner querypruner.Pruner
	// Search says how candidates are found and how many hits are wanted.
	Search index.SearchOptions
}

// DefaultOptions lets all query tokens look for candidates, within a common
// budget, and returns ten hits.
func DefaultOptions() Options { return Options{Search: index.DefaultSearchOptions()} }

// Validate reports every option that makes no sense.
func (o Options) Validate() error {
	return errors.Join(o.Pruner.Validate(), o.Search.Validate())
}

// Results are the answer to one query.
type Results struct {
	// Hits, best first; equal scores by descending id.
	Hits []index.Hit
	// Query is the encoded query, Selection what its rows were used for.
	Query     encoder.Tokens
	Selection querypruner.Selection
	Stats     Stats
}

// Stats counts the work of one search. Times are zero unless
// Options.Search.Times is set.
type Stats struct {
	index.Stats
	EncodeTime, PruneTime time.Duration
}

// Retriever searches one snapshot of an index with one encoder. Its methods are
// safe for concurrent use; each search runs on one goroutine and those that
// index.SearchOptions.Workers asks for.
type Retriever struct {
	snapshot  *index.Snapshot
	encoder   encoder.Encoder
	searchers sync.Pool // of *index.Searcher

	// use is held for reading during a call and for writing by Close, so
	// that no file is unmapped under a running search.
	use    sync.RWMutex
	closed bool
}

// Open opens the index in dir with the encoder that is stored in it. One that
// asks a service, see package encoder/remote, is refused: OpenWith allows it.
// Errors wrap index.ErrNotIndex, index.ErrVersion or index.ErrCorrupt,
// ErrEncoder, bert.ErrOtherModel or remote.ErrAddress, and name the file.
func Open(dir string) (*Retriever, error) {
	r, err := OpenWith(dir, OpenOptions{})
	if errors.Is(err, remote.ErrAddress) {
		err = fmt.Errorf("%w; OpenWith asks it if OpenOptions.Service names it", err)
	}
	return r, err
}

// OpenOptions say what opening an index needs besides its folder.
type OpenOptions struct {
	// Model says where the model is that the index was made with, if one was
	// and it is not where it used to be; see package encoder/bert.
	Model bert.LoadOptions
	// Service is the address of the service that may be asked to encode, if the
	// index names one. It must be the one that the index names, else the error
	// wraps remote.ErrAddress: whoever made the index has chosen where queries
	// would be sent, so that is never believed.
	Service string
	// Key is the key of Service and sent nowhere else. An index never knows it.
	Key string
}

// OpenWith opens an index as Open does, with options.
func OpenWith(dir string, options OpenOptions) (*Retriever, error) {
	snapshot, err := index.Open(dir)
	if err != nil {
		return nil, err
	}
	enc, err := loadEncoder(snapshot, options)
	if err != nil {
		return nil, errors.Join(err, snapshot.Close())
	}
	return New(snapshot, enc)
}

// New returns a retriever on a snapshot, which it closes when it is closed or
// when New fails. The encoder may be nil if only SearchTokens is used; else it
// must be the one that made the index's vectors.
func New(snapshot *index.Snapshot, enc encoder.Encoder) (*Retriever, error) {
	if enc != nil && enc.Dim() != snapshot.Dim() {
		return nil, errors.Join(snapshot.Close(),
			fmt.Errorf("%w: it makes vectors of %d dimensions, the index has %d", ErrEncoder, enc.Dim(), snapshot.Dim()))
	}
	r := &Retriever{snapshot: snapshot, encoder: enc}
	r.searchers.New = func() any { return index.NewSearcher(snapshot) }
	return r, nil
}

// Close waits for running calls and closes the snapshot.
func (r *Retriever) Close() error {
	r.use.Lock()
	defer r.use.Unlock()
	r.closed = true
	return r.snapshot.Close()
}

// Snapshot returns the snapshot that is searched, for its statistics. It must
// not be used after Close.
func (r *Retriever) Snapshot() *index.Snapshot { return r.snapshot }

// Encoder returns the encoder of queries, or nil.
func (r *Retriever) Encoder() encoder.Encoder { return r.encoder }

// Search encodes a query and searches for it. A query without tokens finds nothing.
// The error is the encoder's or the context's, or wraps ErrEncoder, ErrClosed, what
// options.Validate reports, or index.ErrCorrupt.
func (r *Retriever) Search(ctx context.Context, query string, options Options) (Results, error) {
	start := time.Now()
	tokens, err := r.encode(ctx, query)
	if err != nil {
		return Results{}, err
	}
	encoded := time.Since(start)
	results, err := r.SearchTokens(ctx, tokens, options)
	if options.Search.Times {
		results.Stats.EncodeTime = encoded
	}
	return results, err
}

func (r *Retriever) encode(ctx context.Context, query string) (encoder.Tokens, error) {
	if r.encoder == nil {
		return encoder.Tokens{}, fmt.Errorf("%w: the retriever has none, so it cannot encode a query", ErrEncoder)
	}
	tokens, err := r.encoder.EncodeQuery(ctx, query)
	if err != nil {
		return encoder.Tokens{}, fmt.Errorf("encoding the query: %w", err)
	}
	if err := tokens.Validate(r.encoder.Dim()); err != nil {
		return encoder.Tokens{}, fmt.Errorf("%w: the query: %w", ErrEncoder, err)
	}
	return tokens, nil
}

// Encode makes documents for an index.Writer, to add them to the index or to
// update them there. A retriever keeps searching the snapshot it was opened on;
// open another one after Writer.Commit to see the changes.
func (r *Retriever) Encode(ctx context.Context, documents ...Document) ([]index.Document, error) {
	if r.encoder == nil {
		return nil, fmt.Errorf("%w: the retriever has none, so it cannot encode documents", ErrEncoder)
	}
	texts := make([]string, len(documents))
	for i, document := range documents {
		texts[i] = document.Text
	}
	tokens, err := encodeTexts(ctx, r.encoder, texts)
	if err != nil {
		return nil, err
	}
	encoded := make([]index.Document, len(documents))
	for i, document := range documents {
		encoded[i] = index.Document{ID: document.ID, Tokens: tokens[i], Text: document.Text}
	}
	return encoded, nil
}

// SearchTokens searches for a query that is encoded already. A query without
// tokens finds nothing.
func (r *Retriever) SearchTokens(ctx context.Context, query encoder.Tokens, options Options) (Results, error) {
	r.use.RLock()
	defer r.use.RUnlock()
	if r.closed {
		return Results{}, ErrClosed
	}
	if err := query.Validate(r.snapshot.Dim()); err != nil {
		return Results{}, fmt.Errorf("query: %w", err)
	}
	start := time.Now()
	statistics, err := r.snapshot.Statistics()
	if err != nil {
		return Results{}, err
	}
	selection, err := Informed(options.Pruner, r.encoder).Select(query, statistics)
	if err != nil {
		return Results{}, err
	}
	results := Results{Query: query, Selection: selection}
	if options.Search.Times {
		results.Stats.PruneTime = time.Since(start)
	}
	searcher := r.searchers.Get().(*index.Searcher)
	defer r.searchers.Put(searcher)
	results.Hits, results.Stats.Stats, err = searcher.Search(ctx, simd.PackQuery(selection.Vectors), selection, options.Search)
	results.Stats.Rows = query.Vectors.Rows
	noteVisits(results.Selection, searcher.Visited())
	return results, err
}

// noteVisits tells the rows of a selection where a search has looked for them.
func noteVisits(selection querypruner.Selection, visited []index.Visited) {
	for vector, v := range visited {
		if v == (index.Visited{}) {
			continue
		}
		row := &selection.Rows[selection.RowOf(vector)]
		row.Cells, row.Postings = v.Cells, v.Postings
		if v.Flat && v.Cells == 0 {
			row.Kept, row.Reason = false, querypruner.Flat
		}
	}
}

// Text returns the stored text of a document by id: "" when texts are not
// stored.
func (r *Retriever) Text(id string) (string, error) {
	r.use.RLock()
	defer r.use.RUnlock()
	if r.closed {
		return "", ErrClosed
	}
	document, err := r.lookup(id)
	if err != nil {
		return "", err
	}
	return r.snapshot.Text(document)
}

func (r *Retriever) lookup(id string) (uint32, error) {
	document, found, err := r.snapshot.Lookup(id)
	if err != nil {
		return 0, err
	}
	if !found {
		return 0, fmt.Errorf("%w: %q", ErrNotFound, id)
	}
	return document, nil
}
