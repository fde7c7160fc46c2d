package table

import (
	"context"
	"fmt"
	"math"

	"github.com/pare-search/pare/simd"
)

// codebooks are rows that are put together from the entries of a few books, one
// entry of each: one behind the other if books are narrower than a row, added up
// if they are as wide.
//
//	kind 'c'
//	codes  rows x books: numbers of entries
//	books  for each book its entries x its width, the same number of entries in all
type codebooks struct {
	codes array
	books []array
}

func (c *codebooks) row(dst []float32, id int) {
	clear(dst)
	rest := dst
	for b := range c.books {
		book := &c.books[b]
		book.add(rest[:book.columns], int(c.codes.number(id, b)), 1)
		if book.columns < len(dst) {
			rest = rest[book.columns:]
		}
	}
}

func openCodebooks(n node, rows, dim int) (form, error) {
	if len(n.arrays) < 2 || len(n.parts) > 0 {
		return nil, fmt.Errorf("%w: codebooks: %d arrays and %d parts", ErrCorrupt, len(n.arrays), len(n.parts))
	}
	c := &codebooks{codes: n.arrays[0], books: n.arrays[1:]}
	if err := c.codes.wants("codes", false, rows, len(c.books)); err != nil {
		return nil, err
	}
	entries, width, whole := c.books[0].rows, 0, 0
	for b := range c.books {
		book := &c.books[b]
		if err := book.wants("codebook", true, entries, book.columns); err != nil {
			return nil, err
		}
		if width += book.columns; book.columns == dim {
			whole++
		}
	}
	if width != dim && whole != len(c.books) {
		return nil, fmt.Errorf("%w: codebooks: together %d wide, want %d", ErrCorrupt, width, dim)
	}
	return c, c.codes.below("codes", entries)
}

// booksSize is the size of a node of codebooks.
func booksSize(rows int, e element, entries int, widths []int) int {
	size := nodeHeader + sizeOf(unsigneds, bitsFor(entries), rows, len(widths))
	for _, w := range widths {
		size += sizeOf(e, 0, entries, w)
	}
	return size
}

// fitRowClusters stores the means of clusters of rows, and of each row its
// cluster. Saec clusters a vocabulary as it streams by; here frequencies weigh.
func fitRowClusters(ctx context.Context, p problem) (node, error) {
	width := []int{p.Dim}
	k := most(1, p.Rows, func(k int) bool { return booksSize(p.Rows, int8s, k, width) <= p.budget })
	if k < 1 {
		return node{}, p.tooSmall(booksSize(p.Rows, int8s, 1, width))
	}
	means, codes, err := kmeans(ctx, p.Matrix, p.weights, k, kmeansIterations, p.seed)
	if err != nil {
		return node{}, err
	}
	e := int8s
	if booksSize(p.Rows, float32s, k, width) <= p.budget {
		e = float32s
	}
	return node{kind: kindCodebooks, arrays: []array{numbers(bitsFor(k), p.Rows, 1, codes), floats(e, means)}}, nil
}

// maxCodeBits bounds the entries of a codebook, and with them the time to train it.
const maxCodeBits = 10

// fitProduct cuts rows into sub-vectors and rounds each to the nearest entry of
// the codebook of its place (Suzuki and Nagata share sub-vectors while they train;
// Jégou, Douze and Schmid, product quantisation, PAMI 2011, is what is left of
// that without training). Of all numbers of sub-vectors and bits that the budget
// has room for, it takes the pair that leaves the least error by the rule of rate
// and distortion: error falls as 2^(-2 bits/width).
func fitProduct(ctx context.Context, p problem) (node, error) {
	return p.product(ctx, kmeansIterations)
}

func (p problem) product(ctx context.Context, iterations int) (node, error) {
	books, bits := p.bestBooks()
	if books == 0 {
		return node{}, p.tooSmall(booksSize(p.Rows, float32s, 2, []int{p.Dim}))
	}
	widths := widthsOf(p.Dim, books)
	// Entries beyond the power of two that codes can name would be wasted.
	entries := most(2, min(p.Rows, 1<<bits), func(k int) bool { return booksSize(p.Rows, float32s, k, widths) <= p.budget })
	codes := make([]uint32, p.Rows*books)
	n := node{kind: kindCodebooks, arrays: make([]array, 1, 1+books)}
	first := 0
	for b, width := range widths {
		means, assigned, err := kmeans(ctx, columns(p.Matrix, first, width), p.weights, entries, iterations, p.seed+uint64(b))
		if err != nil {
			return node{}, err
		}
		for i, code := range assigned {
			codes[i*books+b] = code
		}
		n.arrays = append(n.arrays, floats(float32s, means))
		first += width
	}
	n.arrays[0] = numbers(bitsFor(entries), p.Rows, books, codes)
	return n, nil
}

// bestBooks returns the number of codebooks and the bits of a code.
func (p problem) bestBooks() (books, bits int) {
	least := math.Inf(1)
	for b := 1; b <= min(p.Dim, maxParts-1); b++ {
		widths := widthsOf(p.Dim, b)
		size := func(bits int) int { return booksSize(p.Rows, float32s, 1<<bits, widths) }
		most := most(1, min(maxCodeBits, bitsFor(p.Rows+1)-1), func(bits int) bool { return size(bits) <= p.budget })
		if most < 1 {
			break
		}
		loss := math.Exp2(-2 * float64(most*b) / float64(p.Dim))
		if loss <= least {
			books, bits, least = b, most, loss
		}
	}
	return books, bits
}

// widthsOf cuts dim into so many parts, the wider ones first.
func widthsOf(dim, parts int) []int {
	widths := make([]int, parts)
	for i := range widths {
		widths[i] = (dim + parts - 1 - i) / parts
	}
	return widths
}

// columns copies some columns.
func columns(m simd.Matrix, first, width int) simd.Matrix {
	out := simd.NewMatrix(m.Rows, width)
	for i := range m.Rows {
		copy(out.Row(i), m.Row(i)[first:first+width])
	}
	return out
}
