package parebleve

import (
	"context"
	"errors"
	"fmt"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/index/scorch"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/simd"
)

// trainingSample is how many vectors a codebook is trained on at most, taken
// from documents spread evenly over the index.
const trainingSample = 1 << 18

// Train trains a codebook for each field on the vectors that are there, uses
// it for new documents from now on, and codes the others anew, as Reindex does.
// An index does so by itself, in the background, when a field has
// Options.TrainingVectors vectors and whenever it has doubled since. Fields
// without any vectors are left as they are, and so are documents that Reindex
// cannot carry over.
func (x *Index) Train(ctx context.Context, progress func(Progress)) error {
	if x.options.Codebook != nil {
		return fmt.Errorf("%w: the index has a codebook given by Options.Codebook", ErrOptions)
	}
	ctx, end, err := x.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	for _, name := range x.options.Fields {
		if err := x.trainField(ctx, x.fields[name]); err != nil {
			return fmt.Errorf("field %q: %w", name, err)
		}
	}
	if err := x.reindex(ctx, progress); !errors.Is(err, ErrNotCopyable) {
		return err
	}
	return nil
}

// begin waits until nothing else is trained or coded anew and returns a context
// that ends when the index is closed. The caller must call end.
func (x *Index) begin(ctx context.Context) (_ context.Context, end func(), err error) {
	if x.engine.readOnly {
		return nil, nil, ErrReadOnly
	}
	select {
	case x.training <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	if x.ctx.Err() != nil {
		<-x.training
		return nil, nil, bleve.ErrorIndexClosed
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(x.ctx, cancel)
	return ctx, func() {
		stop()
		cancel()
		<-x.training
	}, nil
}

// trainField gives a field a codebook trained on its vectors.
func (x *Index) trainField(ctx context.Context, f *field) (err error) {
	snapshot, err := x.snapshot()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	vectors, err := x.countVectors(snapshot, f)
	if err != nil || vectors == 0 {
		return err
	}
	sample, ids, err := x.sample(ctx, snapshot, f, vectors)
	if err != nil {
		return err
	}
	options := x.options.Codec
	options.Total = max(int(vectors), sample.Rows)
	codebook, err := codec.Train(ctx, sample, ids, options, nil)
	if err != nil {
		return fmt.Errorf("training the codebook: %w", err)
	}
	book, err := x.library.add(codebook)
	if err != nil {
		return err
	}
	x.writes.Lock()
	f.mu.Lock()
	f.current, f.trained = book, vectors
	f.mu.Unlock()
	x.writes.Unlock()
	return x.saveState()
}

// countVectors is the number of vectors of a field's live documents, whatever
// codes them.
func (x *Index) countVectors(snapshot *scorch.IndexSnapshot, f *field) (int64, error) {
	var n int64
	for _, book := range x.library.all() {
		src, err := newSource(snapshot, x.shelf, f.hidden, book)
		if err != nil {
			return 0, err
		}
		live, err := src.liveVectors()
		if err != nil {
			return 0, err
		}
		n += live
	}
	return n, nil
}

// recount counts the vectors of a field: those that were added may have
// replaced others.
func (x *Index) recount(f *field) (err error) {
	before := f.added()
	snapshot, err := x.snapshot()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	vectors, err := x.countVectors(snapshot, f)
	if err != nil {
		return err
	}
	f.grow(vectors - before)
	return nil
}

// sample returns the vectors of documents spread evenly, with their ids if all
// have some.
func (x *Index) sample(ctx context.Context, snapshot *scorch.IndexSnapshot, f *field, vectors int64) (simd.Matrix, []uint32, error) {
	sample := simd.Matrix{Dim: x.options.Encoder.Dim()}
	var ids []uint32
	withIDs := true
	step := float64(max(vectors, trainingSample)) / trainingSample
	next, seen := 0.0, 0
	var made []material
	take := func() error {
		tokens, err := x.tokensOf(ctx, made)
		if err != nil {
			return err
		}
		for _, t := range tokens {
			sample, ids, withIDs = appendSample(sample, ids, withIDs, t)
		}
		made = nil
		return nil
	}
	for _, seg := range snapshot.Segments() {
		source := x.materials(snapshot, seg, f)
		for it := seg.DocNumbersLive().Iterator(); it.HasNext(); seen++ {
			number := it.Next()
			if float64(seen) < next {
				continue
			}
			next += step
			m, err := source.read(number)
			if err != nil {
				return simd.Matrix{}, nil, err
			}
			if m.empty() {
				continue
			}
			if made = append(made, m); len(made) == reindexDocuments {
				if err := take(); err != nil {
					return simd.Matrix{}, nil, err
				}
			}
		}
	}
	if err := take(); err != nil {
		return simd.Matrix{}, nil, err
	}
	if !withIDs {
		ids = nil
	}
	return sample, ids, nil
}

// appendSample appends the vectors of a document.
func appendSample(sample simd.Matrix, ids []uint32, withIDs bool, t encoder.Tokens) (simd.Matrix, []uint32, bool) {
	sample.Data = append(sample.Data, t.Vectors.Data...)
	sample.Rows += t.Vectors.Rows
	ids = append(ids, t.IDs...)
	return sample, ids, withIDs && (t.IDs != nil || t.Vectors.Rows == 0)
}

// maintain trains fields in the background that have grown enough, unless
// something is being trained already.
func (x *Index) maintain() {
	if x.options.Codebook != nil || x.options.TrainingVectors < 0 || x.engine.readOnly {
		return
	}
	due := false
	for _, f := range x.fields {
		train, recode := f.due(int64(x.options.TrainingVectors))
		due = due || train || recode
	}
	if !due {
		return
	}
	select {
	case x.training <- struct{}{}:
	default:
		return
	}
	go func() {
		defer func() { <-x.training }()
		for _, name := range x.options.Fields {
			if x.ctx.Err() != nil { // closed
				return
			}
			x.maintainField(x.fields[name])
		}
	}()
}

// maintainField trains a field, if it is due, and codes its documents anew.
func (x *Index) maintainField(f *field) {
	first := int64(x.options.TrainingVectors)
	train, recode := f.due(first)
	var err error
	if train {
		err = x.recount(f)
		train, recode = f.due(first)
	}
	if err == nil && train {
		err = x.trainField(x.ctx, f)
	}
	if err == nil && (train || recode) && copyable(x.Mapping()) == nil {
		var incomplete IncompleteError
		if incomplete.Documents, err = x.reindexField(x.ctx, f, f.report); err == nil {
			err = incomplete.unless(x.tidy())
		}
	}
	if err != nil || train || recode {
		f.finish(err)
	}
}

// due tells whether the field should be trained: for the first time, or since
// it has doubled, after a failure since then; and whether documents are to be
// coded anew.
func (f *field) due(first int64) (train, recode bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.vectors >= max(first, 2*f.trained, 2*f.failedAt), f.unfinished
}

// added is the number of vectors that the field would have if none had been
// replaced since they were counted.
func (f *field) added() int64 {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.vectors
}

// grow notes vectors that were added.
func (f *field) grow(vectors int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.vectors += vectors
}

// report notes how far coding documents anew is.
func (f *field) report(p Progress) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.progress = p
}

// finish notes the end of training.
func (f *field) finish(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.progress, f.unfinished = Progress{}, false
	if f.err = err; err != nil {
		f.failedAt = f.vectors
	}
}

// Wait waits until nothing is trained or coded anew in the background.
func (x *Index) Wait() {
	x.training <- struct{}{}
	<-x.training
}
