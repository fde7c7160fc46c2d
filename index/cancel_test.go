package index

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/internal/durable"
	"github.com/pare-search/pare/internal/looks"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/simd"
)

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

	long := Document{ID: "long", Tokens: randomTokens(rng, 20_000, 64, true), Text: strings.Repeat("text ", 1<<15)}
	number := 0
	for name, do := range map[string]func(context.Context) error{
		"search": func(ctx context.Context) error {
			_, _, err := NewSearcher(s).Search(ctx, query, querypruner.Selection{}, ExhaustiveSearch(10))
			return err
		},
		"search in parts": func(ctx context.Context) error {
			options := ExhaustiveSearch(10)
			options.Reveal, options.FirstRows, options.Refine = RevealBounded, 4, 1000
			_, _, err := NewSearcher(s).Search(ctx, query, querypruner.Selection{}, options)
			return err
		},
		"add": func(ctx context.Context) error {
			more := randomDocuments(rand.New(rand.NewPCG(2, 70)), 500, 64, true)
			for i := range more {
				more[i].ID = "more-" + more[i].ID
			}
			return w.Update(ctx, more...)
		},
		"add a long one": func(ctx context.Context) error { return w.Update(ctx, long) },
		"commit": func(ctx context.Context) error {
			number++
			err := w.Update(context.WithoutCancel(ctx), randomDocuments(rand.New(rand.NewPCG(uint64(number), 72)), 500, 64, true)...)
			return errors.Join(err, w.Commit(ctx))
		},
		"train": func(ctx context.Context) error {
			w, err := folder{f.fs, filepath.Join(t.TempDir(), "index")}.createIndex(training, CreateOptions{})
			if err != nil {
				return err
			}
			return errors.Join(w.Add(ctx, documents...), w.Close())
		},
		"merge": func(ctx context.Context) error { // what Merge does with a context of its own
			err := w.Update(context.WithoutCancel(ctx), documents[:3]...)
			return errors.Join(err, w.Commit(context.WithoutCancel(ctx)),
				w.mergeAll(ctx, func() *job { return w.forcedJob(make(map[uint64]bool)) }, func() {}))
		},
		"code anew": func(ctx context.Context) error {
			w.mu.Lock()
			err := w.setCodebook(w.codebook(), population{Vectors: 1 << 40})
			w.mu.Unlock()
			return errors.Join(err, w.mergeAll(ctx, func() *job { return w.forcedJob(make(map[uint64]bool)) }, func() {}))
		},
		"verify": func(ctx context.Context) error { return f.verify(ctx) },
		"backup": func(ctx context.Context) error {
			_, err := f.backup(ctx, folder{f.fs, filepath.Join(t.TempDir(), "backup")}, BackupOptions{Copy: true})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			done, err := looks.Measure(t.Context(), 3, do)
			if err != nil {
				t.Fatal(err)
			}
			t.Log(done)
			if !done.Within(10 * time.Millisecond) {
				t.Errorf("%v without a look at the context", done.Longest)
			}
			for end := 1; end <= done.Looks; end = end*3/2 + 1 {
				if err := do(looks.Ending(t.Context(), end)); err != nil && !errors.Is(err, context.Canceled) {
					t.Fatalf("ended at look %d of %d: %v", end, done.Looks, err)
				}
			}
		})
	}
	check(t, w.Commit(t.Context()))
	check(t, f.verify(t.Context()))
}

// TestOrder compares the sort that can be stopped with that of the standard library.
func TestOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 71))
	for _, n := range []int{0, 1, 2, 1023, 1024, 1025, 2048, 3000, 5000, 10_000} {
		values := make([]int, n)
		for i := range values {
			values[i] = rng.IntN(n/2 + 1)
		}
		compare := func(x, y uint32) int { return cmp.Compare(values[x], values[y]) }
		want := make([]uint32, n)
		for i := range want {
			want[i] = uint32(i)
		}
		slices.SortStableFunc(want, compare)
		if got := order(t.Context(), n, compare); !slices.Equal(got, want) {
			t.Errorf("%d numbers: %v, want %v", n, got, want)
		}
		for end := 1; end < 20; end++ {
			got := order(looks.Ending(t.Context(), end), n, compare)
			slices.Sort(got)
			if slices.Sort(want); !slices.Equal(got, want) {
				t.Errorf("stopped at look %d, %d numbers are others", end, n)
			}
		}
	}
}
