package index

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/internal/durable"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/simd"
)

// watched is a context that notes how long it goes without being looked at, and
// ends when it was looked at so often.
type watched struct {
	context.Context
	mu      sync.Mutex
	looks   int
	end     int // looks, or 0
	last    time.Time
	longest time.Duration
}

func (w *watched) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.longest = max(w.longest, now.Sub(w.last))
	w.last = now
	if w.looks++; w.end > 0 && w.looks >= w.end {
		return context.Canceled
	}
	return w.Context.Err()
}

// TestCancel: whatever takes long looks at its context so often that it ends in
// time, wherever it is, and the index is then as if nothing had been begun.
func TestCancel(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 70))
	options := smallOptions(64, codec.Residual2)
	options.Codec.Cells, options.TrainingVectors = 100, 1
	options.SegmentBytes = 1 << 20
	documents := randomDocuments(rng, 1500, 64, true)
	f := folder{hasty{durable.OS}, filepath.Join(t.TempDir(), "index")}
	w := must[*Writer](t)(f.createIndex(options, CreateOptions{}))
	defer func() { check(t, w.Close()) }()
	check(t, w.Add(t.Context(), documents...))
	check(t, w.Commit(t.Context()))
	must[int](t)(w.Delete(documents[3].ID))
	check(t, w.Commit(t.Context()))
	s := must[*Snapshot](t)(f.openSnapshot())
	defer s.Close()
	query := simd.PackQuery(randomTokens(rng, 16, 64, false).Vectors)
	training := options
	training.Codec.Cells = 100

	for name, do := range map[string]func(context.Context) error{
		"search": func(ctx context.Context) error {
			_, _, err := NewSearcher(s).Search(ctx, query, querypruner.Selection{}, ExhaustiveSearch(10))
			return err
		},
		"add": func(ctx context.Context) error {
			more := randomDocuments(rand.New(rand.NewPCG(2, 70)), 500, 64, true)
			for i := range more {
				more[i].ID = "more-" + more[i].ID
			}
			return w.Add(ctx, more...)
		},
		"train": func(ctx context.Context) error {
			w, err := folder{f.fs, filepath.Join(t.TempDir(), "index")}.createIndex(training, CreateOptions{})
			if err != nil {
				return err
			}
			return errors.Join(w.Add(ctx, documents...), w.Close())
		},
		"merge": func(ctx context.Context) error { // what Merge does with a context of its own
			return w.mergeAll(ctx, func() *job { return w.forcedJob(make(map[uint64]bool)) }, func() {})
		},
		"verify": func(ctx context.Context) error { return f.verify(ctx) },
		"backup": func(ctx context.Context) error {
			_, err := f.backup(ctx, folder{f.fs, filepath.Join(t.TempDir(), "backup")}, BackupOptions{Copy: true})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			for end := 1; ; end = end*3/2 + 1 {
				ctx := &watched{Context: t.Context(), end: end, last: time.Now()}
				switch err := do(ctx); {
				case errors.Is(err, context.Canceled):
				case err != nil:
					t.Fatalf("after %d looks: %v", ctx.looks, err)
				default:
					t.Logf("done after %d looks, the longest time between two was %v", ctx.looks, ctx.longest)
					// A busy machine takes its time; alone it is a few milliseconds.
					if ctx.longest > 500*time.Millisecond {
						t.Errorf("%v without a look at the context", ctx.longest)
					}
					return
				}
			}
		})
	}
	check(t, f.verify(t.Context()))
}
