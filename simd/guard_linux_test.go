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

// floatsBeforeGuard is beforeGuard for n values.
func floatsBeforeGuard(t *testing.T, n int) []float32 {
	t.Helper()
	bytes := beforeGuard(t, 4*n)
	return unsafe.Slice((*float32)(unsafe.Pointer(&bytes[0])), n)
}

// TestNothingPastTheEndIsRead scores documents at the end of a mapping, as
// those of a mapped index may be.
func TestNothingPastTheEndIsRead(t *testing.T) {
	levels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(17, 18))
		for _, rows := range []int{1, 8, 16, 32, 40} {
			for _, tokens := range []int{1, 2, 5, 6, 7, 13} {
				for _, dim := range []int{8, 56, 64, 96, 128} {
					q := randomQuery(rng, rows, dim)
					dots := make([]int32, tokens*strideOf(rows))

					var int8s Int8Query
					int8s.Reset(q, nil)
					int8s.Dots(dots, beforeGuard(t, tokens*dim))

					for _, codeBits := range []int{1, 2, 4} {
						var codes CodeQuery
						codes.Reset(q, nil, make([]int8, 1<<codeBits), 1)
						codes.Dots(dots, beforeGuard(t, PlaneBytes(tokens, dim, codeBits)), tokens)
					}

					var floats FloatQuery
					floats.Reset(q.Float(), nil)
					doc := Matrix{Rows: tokens, Dim: dim, Data: floatsBeforeGuard(t, tokens*dim)}
					q.MaxSim(doc, make([]float32, rows))
				}
			}
		}
	})
}
