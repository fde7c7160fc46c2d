package codec

import (
	"context"
	"errors"
	"flag"
	"testing"
	"time"

	"github.com/pare-search/pare/internal/looks"
	"github.com/pare-search/pare/simd"
)

var cancelVectors = flag.Int("cancel", 10000, "how many vectors TestCancel works on")

// TestCancel: training and encoding look at their context at least every 10 ms,
// however many vectors there are, in one document or in many, and end when it does.
func TestCancel(t *testing.T) {
	const dim = 128
	const longest = 10 * time.Millisecond
	m, ids := tokens(50, *cancelVectors, dim, 300)
	rare := make([]uint32, len(ids)) // one id in a thousand has cells of its own
	for i, id := range ids {
		rare[i] = id + uint32(i)<<10
	}
	work := map[string]func(context.Context) error{}
	for name, ids := range map[string][]uint32{"with ids": ids, "without ids": nil, "with rare ids": rare} {
		for _, kind := range []Kind{Banded, Residual2, Int8} {
			options := DefaultOptions()
			options.Kind, options.Iterations = kind, 3
			work["train "+kind.String()+" "+name] = func(ctx context.Context) error {
				_, err := Train(ctx, m, ids, options, nil)
				return err
			}
		}
	}
	var apart, together []Document
	for lo := 0; lo < m.Rows; lo += 100 {
		hi := min(lo+100, m.Rows)
		apart = append(apart, Document{m.Slice(lo, hi), ids[lo:hi]})
	}
	together = []Document{{Vectors: m}}
	for _, kind := range []Kind{Banded, Residual4, Int8} {
		options := DefaultOptions()
		options.Kind, options.Iterations = kind, 1
		c, err := Train(t.Context(), m, ids, options, nil)
		if err != nil {
			t.Fatal(err)
		}
		c.newFinder() // makes what is made once
		for name, documents := range map[string][]Document{"documents": apart, "one document": together} {
			work["encode "+name+" "+kind.String()] = func(ctx context.Context) error {
				_, err := c.EncodeAll(ctx, documents)
				return err
			}
		}
		work["refine "+kind.String()] = func(ctx context.Context) error {
			_, err := c.EncodeRefinement(ctx, nil, simd.Matrix{Rows: m.Rows, Dim: m.Dim, Data: m.Data})
			return err
		}
	}
	for name, do := range work {
		t.Run(name, func(t *testing.T) {
			w, err := looks.Measure(t.Context(), 3, do)
			if err != nil {
				t.Fatal(err)
			}
			t.Log(w)
			if !w.Within(longest) {
				t.Errorf("%v without a look at the context", w.Longest)
			}
			for end := 1; end <= w.Looks; end = end*7/4 + 1 {
				if err := do(looks.Ending(t.Context(), end)); !errors.Is(err, context.Canceled) {
					t.Fatalf("ended at look %d of %d: %v", end, w.Looks, err)
				}
			}
		})
	}
}
