package retriever

import (
	"context"
	"fmt"
	"runtime"

	"github.com/RoaringBitmap/roaring/v2"
	"golang.org/x/sync/errgroup"
)

// SearchBatch answers many queries, several at a time; workers is how many, 0
// one for each CPU. Results come in the order of the queries. The first error
// ends the batch and says the number of its query, from 0.
func (r *Retriever) SearchBatch(ctx context.Context, queries []string, options Options, workers int) ([]Results, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	results := make([]Results, len(queries))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for i, query := range queries {
		group.Go(func() error {
			err := ctx.Err()
			if err != nil {
				return fmt.Errorf("query %d of the batch: %w", i, err)
			}
			if results[i], err = r.Search(ctx, query, options); err != nil {
				return fmt.Errorf("query %d of the batch: %w", i, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return results, nil
}

// Filter returns the numbers of the documents with these ids in the retriever's
// snapshot, for index.SearchOptions.Filter. Ids that are not in the index are passed over.
func (r *Retriever) Filter(ids ...string) (*roaring.Bitmap, error) {
	r.use.RLock()
	defer r.use.RUnlock()
	if r.closed {
		return nil, ErrClosed
	}
	filter := roaring.New()
	for _, id := range ids {
		document, found, err := r.snapshot.Lookup(id)
		if err != nil {
			return nil, err
		}
		if found {
			filter.Add(document)
		}
	}
	return filter, nil
}
