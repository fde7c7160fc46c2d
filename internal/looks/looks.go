package looks

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// Context notes when it is looked at, by a call of Err. It may end when it was looked
// at so often. Contexts that are derived from it are looked at without its notice.
type Context struct {
	context.Context
	end int // looks, or 0

	mu   sync.Mutex
	last time.Duration
	gaps []time.Duration // before each look
}

// Ending returns a context that ends with parent or at the look with this number,
// counted from 1.
func Ending(parent context.Context, look int) *Context {
	return &Context{Context: parent, end: look, last: spent()}
}

// Err returns the error of the context.
func (c *Context) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := spent()
	c.gaps = append(c.gaps, now-c.last)
	c.last = now
	if c.end > 0 && len(c.gaps) >= c.end {
		return context.Canceled
	}
	return c.Context.Err()
}

// Work is what was measured.
type Work struct {
	Looks int
	// Longest is the longest time between two looks, and before the first and after
	// the last; At is how many looks came before.
	Longest time.Duration
	At      int
}

// String tells the figures.
func (w Work) String() string {
	return fmt.Sprintf("%d looks, at most %v apart, before look %d", w.Looks, w.Longest, w.At+1)
}

// Within tells whether the longest time is not above a limit, which is for code
// without the race detector: with it everything takes many times as long.
func (w Work) Within(limit time.Duration) bool { return w.Longest <= slowdown*limit }

// Measure calls do so often, on one processor, so that goroutines do not look in
// each other's place. Of the time between two looks it takes the least of all runs,
// for a garbage collection may fall into any, as far as runs look equally often.
func Measure(parent context.Context, runs int, do func(ctx context.Context) error) (Work, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var best Work
	var least []time.Duration
	for range runs {
		ctx := Ending(parent, 0)
		if err := do(ctx); err != nil {
			return best, err
		}
		_ = ctx.Err() // for what came after the last look
		if len(ctx.gaps) != len(least) {
			least = ctx.gaps
			if w := longest(least); best.Looks == 0 || w.Longest < best.Longest {
				best = w
			}
			continue
		}
		for i, gap := range ctx.gaps {
			least[i] = min(least[i], gap)
		}
		if w := longest(least); w.Longest < best.Longest {
			best = w
		}
	}
	return best, nil
}

func longest(gaps []time.Duration) Work {
	w := Work{Looks: len(gaps) - 1}
	for i, gap := range gaps {
		if gap > w.Longest {
			w.Longest, w.At = gap, i
		}
	}
	return w
}
