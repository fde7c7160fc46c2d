package table

import (
	"context"
	"slices"

	"github.com/pare-search/pare/simd"
)

const (
	additiveEntries = 256 // of a codebook
	additiveRounds  = 3
)

// fitAdditive makes every row a sum of one entry of each of several codebooks, all as
// wide as the row: the compositional codes of Shu and Nakayama, who learn them with
// Gumbel-softmax. Here codebooks begin as k-means of what the ones before leave over;
// then, in rounds, codes are chosen anew one by one given all others (iterated
// conditional modes, as in Martinez et al., LSQ++, ECCV 2018), and the entries of each
// codebook are set to the least squares given the others.
func fitAdditive(ctx context.Context, p problem) (node, error) {
	entries := min(additiveEntries, max(2, p.Rows/4))
	if p.Rows < 2 {
		return node{}, p.tooSmall(plainRows(p.Matrix).size())
	}
	size := func(books int) int {
		return booksSize(p.Rows, int8s, entries, slices.Repeat([]int{p.Dim}, books))
	}
	books := most(1, min(p.Dim, maxParts-1), func(books int) bool { return size(books) <= p.budget })
	if books < 1 {
		return node{}, p.tooSmall(size(1))
	}
	a := additive{problem: p, rest: simd.NewMatrix(p.Rows, p.Dim), distances: make([]float32, p.Rows)}
	copy(a.rest.Data, p.Data)
	for b := range books {
		book, codes, err := kmeans(ctx, a.rest, p.weights, entries, roughIterations, p.seed+uint64(b))
		if err != nil {
			return node{}, err
		}
		a.books, a.codes = append(a.books, book), append(a.codes, codes)
		a.move(b, -1)
	}
	for range additiveRounds {
		for b := range books {
			a.move(b, 1) // without the book, the rest is what it should be
			a.means(b)
			if err := assign(ctx, a.rest, a.books[b], a.codes[b], a.distances); err != nil {
				return node{}, err
			}
			a.means(b)
			a.move(b, -1)
		}
	}
	n := node{kind: kindCodebooks, arrays: []array{interleaved(bitsFor(entries), a.codes)}}
	for _, book := range a.books {
		n.arrays = append(n.arrays, floats(int8s, book))
	}
	return n, nil
}

// additive is what is fitted: codebooks, codes by codebook and row, and what they
// leave of each row.
type additive struct {
	problem
	books     []simd.Matrix
	codes     [][]uint32
	rest      simd.Matrix
	distances []float32
}

// move adds sign times the entries of a codebook to the rest.
func (a *additive) move(book int, sign float32) {
	for i, code := range a.codes[book] {
		rest := a.rest.Row(i)
		for d, v := range a.books[book].Row(int(code)) {
			rest[d] += sign * v
		}
	}
}

// means sets the entries of a codebook to the weighted means of the rests that have
// them.
func (a *additive) means(book int) {
	sums, total := make([]float64, len(a.books[book].Data)), make([]float64, a.books[book].Rows)
	for i, code := range a.codes[book] {
		total[code] += a.weights[i]
		sum := sums[int(code)*a.Dim:][:a.Dim]
		for d, v := range a.rest.Row(i) {
			sum[d] += a.weights[i] * float64(v)
		}
	}
	for i, sum := range sums {
		if t := total[i/a.Dim]; t > 0 {
			a.books[book].Data[i] = float32(sum / t)
		}
	}
}

// interleaved stores codes row by row.
func interleaved(bits int, codes [][]uint32) array {
	rows := len(codes[0])
	all := make([]uint32, 0, rows*len(codes))
	for i := range rows {
		for _, column := range codes {
			all = append(all, column[i])
		}
	}
	return numbers(bits, rows, len(codes), all)
}
