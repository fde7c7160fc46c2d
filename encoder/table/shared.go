package table

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/pare-search/pare/simd"
)

// quotients are rows that combine an entry chosen by the quotient of the row's
// number and one chosen by the remainder.
//
//	kind 'q'
//	operation   1 x 1: 0 adds, 1 multiplies value by value
//	quotients   ceil(rows / remainders) x dim
//	remainders  remainders x dim
type quotients struct {
	multiply bool
	by       int
	q, r     array
}

func (t *quotients) row(dst []float32, id int) {
	clear(dst)
	t.q.add(dst, id/t.by, 1)
	if !t.multiply {
		t.r.add(dst, id%t.by, 1)
		return
	}
	for d := range dst {
		dst[d] *= t.r.float(id%t.by, d)
	}
}

func openQuotients(n node, rows, dim int) (form, error) {
	if len(n.arrays) != 3 || len(n.parts) > 0 {
		return nil, fmt.Errorf("%w: quotients: %d arrays and %d parts", ErrCorrupt, len(n.arrays), len(n.parts))
	}
	operation := &n.arrays[0]
	if err := operation.wants("operation", false, 1, 1); err != nil {
		return nil, err
	}
	t := &quotients{multiply: operation.number(0, 0) == 1, q: n.arrays[1], r: n.arrays[2]}
	t.by = t.r.rows
	if err := t.r.wants("remainders", true, t.by, dim); err != nil {
		return nil, err
	}
	return t, t.q.wants("quotients", true, (rows+t.by-1)/t.by, dim)
}

const quotientRounds = 12

// fitQuotientRemainder is the quotient-remainder trick of Shi et al., who train both
// tables: here they come from alternating weighted least squares, once with the
// product of entries and once with their sum, and the better one is taken.
func fitQuotientRemainder(ctx context.Context, p problem) (node, error) {
	size := func(e element, by int) int {
		return nodeHeader + sizeOf(unsigneds, 1, 1, 1) + sizeOf(e, 0, (p.Rows+by-1)/by, p.Dim) + sizeOf(e, 0, by, p.Dim)
	}
	e, by := int8s, 1
	if size(float32s, 1) <= p.budget {
		e = float32s
	}
	// The fewer rows share a quotient the better; beyond the root of the rows
	// tables grow again.
	for size(e, by) > p.budget {
		if by*by > p.Rows {
			return node{}, p.tooSmall(size(e, by))
		}
		by++
	}
	var best node
	least := math.Inf(1)
	for operation, multiply := range []bool{false, true} {
		q, r := p.quotients(by, multiply)
		n := node{kind: kindQuotients, arrays: []array{numbers(1, 1, 1, []uint32{uint32(operation)}), floats(e, q), floats(e, r)}}
		loss, err := p.loss(n)
		if err != nil {
			return node{}, err
		}
		if loss < least {
			best, least = n, loss
		}
	}
	return best, ctx.Err()
}

// loss is the weighted squared error of what was fitted.
func (p problem) loss(n node) (sum float64, err error) {
	f, err := n.open(p.Rows, p.Dim)
	if err != nil {
		return 0, err
	}
	row := make([]float32, p.Dim)
	for i := range p.Rows {
		f.row(row, i)
		for d, v := range p.Row(i) {
			e := float64(v) - float64(row[d])
			sum += p.weights[i] * e * e
		}
	}
	return sum, nil
}

// quotients fits the two tables.
func (p problem) quotients(by int, multiply bool) (q, r simd.Matrix) {
	q, r = simd.NewMatrix((p.Rows+by-1)/by, p.Dim), simd.NewMatrix(by, p.Dim)
	if multiply {
		for i := range r.Data {
			r.Data[i] = 1
		}
	}
	for range quotientRounds {
		p.refit(q, r, multiply, func(id int) (int, int) { return id / by, id % by })
		p.refit(r, q, multiply, func(id int) (int, int) { return id % by, id / by })
	}
	return q, r
}

// refit sets each entry of a table to the weighted least squares given the other
// one; places gives the entries of a row in both.
func (p problem) refit(table, other simd.Matrix, multiply bool, places func(id int) (int, int)) {
	sums, total := make([]float64, len(table.Data)), make([]float64, len(table.Data))
	for id := range p.Rows {
		at, by := places(id)
		w := p.weights[id]
		for d, v := range p.Row(id) {
			o := float64(other.Row(by)[d])
			if multiply {
				sums[at*p.Dim+d] += w * o * float64(v)
				total[at*p.Dim+d] += w * o * o
			} else {
				sums[at*p.Dim+d] += w * (float64(v) - o)
				total[at*p.Dim+d] += w
			}
		}
	}
	for i, t := range total {
		if t > 0 {
			table.Data[i] = float32(sums[i] / t)
		}
	}
}

// blocks are rows whose blocks of values lie anywhere in one shared array, with a
// sign.
//
//	kind 'b'
//	hash   1 x 4: multiplier and shift of the block's slot, seed of the signs,
//	       values of a block
//	array  slots x values of a block
type blocks struct {
	multiplier, shift uint64
	seed              uint32
	width, perRow     int
	array             array
}

// slot returns where a block lies, and its sign: slots are visited in strides, so
// that as many slots as there are blocks give each its own.
func (b *blocks) slot(block int) (slot int, sign float32) {
	slot = int((uint64(block)*b.multiplier + b.shift) % uint64(b.array.rows))
	hash := (uint32(block) ^ b.seed) * 0x9e3779b1
	hash ^= hash >> 15
	hash *= 0x85ebca6b
	return slot, 1 - 2*float32(hash>>31)
}

func (b *blocks) row(dst []float32, id int) {
	clear(dst)
	for i := range b.perRow {
		slot, sign := b.slot(id*b.perRow + i)
		b.array.add(dst[i*b.width:min((i+1)*b.width, len(dst))], slot, sign)
	}
}

func openBlocks(n node, rows, dim int) (form, error) {
	if len(n.arrays) != 2 || len(n.parts) > 0 {
		return nil, fmt.Errorf("%w: shared blocks: %d arrays and %d parts", ErrCorrupt, len(n.arrays), len(n.parts))
	}
	hash := &n.arrays[0]
	if err := hash.wants("hash of blocks", false, 1, 4); err != nil {
		return nil, err
	}
	b := &blocks{multiplier: uint64(hash.number(0, 0)), shift: uint64(hash.number(0, 1)), seed: hash.number(0, 2), array: n.arrays[1]}
	b.width = int(hash.number(0, 3))
	if b.width < 1 || b.width > dim {
		return nil, fmt.Errorf("%w: hash of blocks: blocks of %d values", ErrCorrupt, b.width)
	}
	b.perRow = (dim + b.width - 1) / b.width
	return b, b.array.wants("shared blocks", true, b.array.rows, b.width)
}

// blockWidth is how many values lie together: as many as a row of float32 takes up
// a few lines of a cache.
const blockWidth = 32

// fitROBE shares one array among all rows (Desai et al., random offset block
// embedding). They train the array; here each of its values is the weighted mean of
// the values that share it, signs undone, which is the least squares solution: every
// value of the matrix depends on one of the array.
func fitROBE(_ context.Context, p problem) (node, error) {
	width := min(blockWidth, p.Dim)
	perRow := (p.Dim + width - 1) / width
	size := func(e element, slots int) int {
		return nodeHeader + sizeOf(unsigneds, 32, 1, 4) + sizeOf(e, 0, slots, width)
	}
	full := p.Rows * perRow
	e := int8s
	if size(float32s, full) <= p.budget {
		e = float32s
	}
	slots := most(1, full, func(slots int) bool { return size(e, slots) <= p.budget })
	if slots < 1 {
		return node{}, p.tooSmall(size(e, 1))
	}
	rng := rand.New(rand.NewPCG(p.seed, 0x726f6265))
	b := &blocks{multiplier: uint64(coprime(slots, rng)), shift: uint64(rng.IntN(slots)), seed: rng.Uint32(), width: width, perRow: perRow}
	b.array.rows = slots
	sums, total := make([]float64, slots*width), make([]float64, slots*width)
	for id := range p.Rows {
		for i, block := range slices.Collect(slices.Chunk(p.Row(id), width)) {
			slot, sign := b.slot(id*perRow + i)
			for d, v := range block {
				sums[slot*width+d] += p.weights[id] * float64(sign*v)
				total[slot*width+d] += p.weights[id]
			}
		}
	}
	shared := simd.NewMatrix(slots, width)
	for i, t := range total {
		if t > 0 {
			shared.Data[i] = float32(sums[i] / t)
		}
	}
	hash := numbers(32, 1, 4, []uint32{uint32(b.multiplier), uint32(b.shift), b.seed, uint32(width)})
	return node{kind: kindBlocks, arrays: []array{hash, floats(e, shared)}}, nil
}

// coprime returns a number from 1 to n without a divisor in common with n.
func coprime(n int, rng *rand.Rand) int {
	for {
		m := 1 + rng.IntN(max(1, n-1))
		if gcd(m, n) == 1 {
			return m
		}
	}
}

func gcd(a, b int) int {
	for b > 0 {
		a, b = b, a%b
	}
	return a
}
