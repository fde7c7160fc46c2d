package gemm

import (
	"syscall"
	"testing"
	"unsafe"
)

// beforeGuard returns n values that end where memory ends: reading on faults.
func beforeGuard[T float32 | byte](t *testing.T, n int) []T {
	t.Helper()
	page := syscall.Getpagesize()
	bytes := n * int(unsafe.Sizeof(*new(T)))
	size := (bytes + page - 1) / page * page
	all, err := syscall.Mmap(-1, 0, size+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = syscall.Munmap(all) })
	if err := syscall.Mprotect(all[size:], syscall.PROT_NONE); err != nil {
		t.Skip(err)
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&all[size-bytes])), n)
}

// TestNothingPastTheEndIsRead gives every function the least memory that it
// accepts.
func TestNothingPastTheEndIsRead(t *testing.T) {
	levels(t, func(t *testing.T) {
		floats := func(n int) []float32 { return beforeGuard[float32](t, n) }
		for _, rows := range []int{1, 12, 13} {
			last := TileRows(rows) - 1
			for _, inner := range []int{1, 4, 7, 32} {
				const stride = 40
				a := Rows{floats(last*stride + inner), rows, stride}
				dst := Rows{floats((rows-1)*stride + Panel), rows, stride}
				Multiply(dst, a, floats(inner*Panel), inner, (*[Panel]float32)(floats(Panel)))
				GELU(dst)
				GELUTanh(dst)
				ReLU(dst)
			}
			w := PackInt8(make([]float32, Panel*Panel), Panel, Panel, nil)
			q := Bytes{beforeGuard[byte](t, TileRows(rows)*Panel), floats(rows), Panel}
			q.Quantize(Rows{floats(rows * Panel), rows, Panel})
			w.Multiply(Rows{floats(rows * Panel), rows, Panel}, q, rows, 0)
			for _, n := range []int{1, 8, 17, 32} {
				Softmax(Rows{floats(rows * Panel), rows, Panel}, n, 1)
			}
		}
		for _, n := range []int{8, 16, 40} {
			AddNorm(floats(n), floats(n), floats(n), floats(n), floats(n), 1e-12)
			Transpose(floats(n*Panel), Rows{floats(Panel * n), Panel, n}, n)
		}
	})
}
