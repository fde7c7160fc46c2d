package corpus

import (
	"context"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// parallel covers 0..n in chunks of grain with GOMAXPROCS goroutines. Each
// goroutine makes its own body, which may hold scratch space. Results are
// deterministic when a chunk's output depends on nothing but the chunk. It
// stops early, with ctx's error, when ctx ends.
func parallel(ctx context.Context, n, grain int, newBody func() func(lo, hi int)) error {
	var next atomic.Int64
	var group errgroup.Group
	chunks := (n + grain - 1) / grain
	for range min(runtime.GOMAXPROCS(0), chunks) {
		group.Go(func() error {
			body := newBody()
			for {
				c := int(next.Add(1)) - 1
				if c >= chunks {
					return nil
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				body(c*grain, min((c+1)*grain, n))
			}
		})
	}
	return group.Wait()
}
