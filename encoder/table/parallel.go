package table

import (
	"context"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/pare-search/pare/simd"
	"github.com/pare-search/pare/simd/gemm"
)

// parallel calls do for 0 to n-1 with GOMAXPROCS goroutines, until one fails or
// ctx ends.
func parallel(ctx context.Context, n int, do func(i int) error) error {
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range min(runtime.GOMAXPROCS(0), n) {
		group.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return nil
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := do(i); err != nil {
					return err
				}
			}
		})
	}
	return group.Wait()
}

// grain is how many rows are multiplied at once, a multiple of every kernel's
// tile.
const grain = 240

// times calls do with rows lo to hi-1 of a·bᵀ + bias, for all rows of a and from
// several goroutines. There are as many columns as b has rows, and maybe more
// that are to be left alone.
func times(ctx context.Context, a, b simd.Matrix, bias []float32, do func(lo, hi int, product gemm.Rows)) error {
	weights := gemm.Pack(b.Data, b.Rows, b.Dim, bias)
	stride := weights.Panels() * gemm.Panel
	return parallel(ctx, (a.Rows+grain-1)/grain, func(chunk int) error {
		lo := chunk * grain
		hi := min(lo+grain, a.Rows)
		from := a.Data[lo*a.Dim:]
		if need := gemm.TileRows(hi-lo) * a.Dim; len(from) < need {
			from = append(make([]float32, 0, need), from...)[:need]
		}
		product := gemm.Rows{Data: make([]float32, (hi-lo)*stride), Count: hi - lo, Stride: stride}
		for panel := range weights.Panels() {
			weights.Multiply(product.Columns(panel*gemm.Panel), gemm.Rows{Data: from, Count: hi - lo, Stride: a.Dim}, panel)
		}
		do(lo, hi, product)
		return nil
	})
}
