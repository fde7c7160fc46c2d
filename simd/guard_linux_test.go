package simd

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"unsafe"
)

// beforeGuard returns n bytes that end where memory ends: reading on faults.
func beforeGuard(t *testing.T, n int) []byte {
	t.Helper()
	page := syscall.Getpagesize()
	size := roundUp(n, page)
	all, err := syscall.Mmap(-1, 0, size+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = syscall.Munmap(all) })
	if err := syscall.Mprotect(all[size:], syscall.PROT_NONE); err != nil {
		t.Skip(err)
	}
	return all[size-n : size : size]
}

// beforeGuardOf is beforeGuard for n values.
func beforeGuardOf[T float32 | uint32 | int16](t *testing.T, n int) []T {
	t.Helper()
	var zero T
	bytes := beforeGuard(t, n*int(unsafe.Sizeof(zero)))
	return unsafe.Slice((*T)(unsafe.Pointer(&bytes[0])), n)
}

// TestNothingPastTheEndIsRead scores documents at the end of a mapping, as
// those of a mapped index may be. What they give is tested elsewhere.
func TestNothingPastTheEndIsRead(t *testing.T) {
	levels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(17, 18))
		for _, rows := range []int{1, 8, 16, 32, 40} {
			for _, tokens := range []int{1, 2, 4, 5, 6, 7, 8, 9, 13} {
				for _, dim := range []int{8, 56, 64, 96, 128} {
					q := randomQuery(rng, rows, dim)
					best := make([]float32, rows)
					scales, factors := beforeGuardOf[float32](t, strideOf(rows)), beforeGuardOf[float32](t, tokens)

					var int8s Int8Query
					int8s.Reset(q, nil)
					codes := beforeGuard(t, tokens*dim)
					int8s.Maxima(best, codes, factors, scales, codes)

					table, _ := randomTable(rng, 3, dim, 31)
					var cells CellRows
					cells.Scan(q, nil, table)
					ids := beforeGuardOf[uint32](t, tokens)
					for i := range ids {
						ids[i] = rng.Uint32N(5)
					}
					cells.Maxima(best, ids, beforeGuardOf[float32](t, 3))
					cells.Above(nil, beforeGuardOf[int16](t, rows))
					for _, width := range []int{2, 3} {
						ids := beforeGuard(t, width*tokens)
						cells.RankScore(ids, width, ids)
					}
					for _, codeBits := range []int{1, 2, 4} {
						var codes CodeQuery
						codes.Reset(q, nil, make([]int8, 1<<codeBits), 1)
						planes := beforeGuard(t, PlaneBytes(tokens, dim, codeBits))
						codes.Maxima(best, CodedTokens{
							Planes: planes, Cells: ids, Factors: beforeGuard(t, tokens),
							FactorTable: (*[256]float32)(beforeGuardOf[float32](t, 256)), Next: planes,
						}, &cells)
					}

					doc := Matrix{Rows: tokens, Dim: dim, Data: beforeGuardOf[float32](t, tokens*dim)}
					q.MaxSim(doc, best)
				}
			}
		}
	})
}
