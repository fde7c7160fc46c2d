package sweep

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// AskOptions say how systems are asked.
type AskOptions struct {
	// Depth is the number of results asked of each system.
	Depth int
	// Workers is the number of queries in work at once, 0 for one per CPU. Each
	// query is answered by one goroutine.
	Workers int
	// Progress, if set, is told how many queries are done. It is called from
	// several goroutines.
	Progress func(done, total int)
}

// Ask collects the answers of all systems to all queries: the answer of system s
// to query q is answers[s][q]. Each query goes to all systems in turn, so that a
// machine that slows down slows all of them.
func Ask(ctx context.Context, systems []System, queries []Query, options AskOptions) ([][]Answer, error) {
	answers := make([][]Answer, len(systems))
	for s := range answers {
		answers[s] = make([]Answer, len(queries))
	}
	workers := options.Workers
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	var next, done atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range min(workers, len(queries)) {
		group.Go(func() error {
			for {
				q := int(next.Add(1)) - 1
				if q >= len(queries) {
					return nil
				}
				// Whoever is asked first finds the data of the query in no cache.
				for i := range systems {
					s := (q + i) % len(systems)
					system := systems[s]
					start := time.Now()
					results, work, err := system.Search(ctx, queries[q].Text, options.Depth)
					if err != nil {
						return fmt.Errorf("%s, query %q: %w", system.Name, queries[q].ID, err)
					}
					answers[s][q] = Answer{results, work, time.Since(start)}
				}
				if options.Progress != nil {
					options.Progress(int(done.Add(1)), len(queries))
				}
			}
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return answers, nil
}
