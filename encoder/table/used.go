package table

import (
	"context"
	"strings"

	"github.com/pare-search/pare/simd"
)

const usedRows = "used-rows"

// fitUsedRows stores the rows of tokens that occur as they are, and one row in place
// of all others: texts of tokens that occur get exactly the same vectors. The one row
// is the mean of those that it stands for, which is nearest to them all, or the
// row of the unknown token, which a model has seen where it did not know a word. As
// many of those as there is room for are stored all the same.
func fitUsedRows(ctx context.Context, p problem) (node, error) {
	return fitUsed(ctx, p, func(_ context.Context, used problem) (node, error) {
		n := plainRows(used.Matrix)
		if n.size() > used.budget {
			return node{}, used.tooSmall(n.size())
		}
		return n, nil
	})
}

// fitUsed fits the rows of tokens that occur by another method.
func fitUsed(ctx context.Context, p problem, fit func(context.Context, problem) (node, error)) (node, error) {
	order := p.byWeight()
	used := most(1, p.Rows, func(n int) bool { return p.weights[order[n-1]] > unseen })
	if used < 1 || used == p.Rows {
		return fit(ctx, p)
	}
	rest := plainRows(p.standIn(order[used:]))
	places := make([]uint32, p.Rows)
	for place, id := range order {
		places[id] = uint32(min(place, used))
	}
	n := node{kind: kindGrouped, arrays: []array{
		numbers(bitsFor(used+2), 2, 1, []uint32{uint32(used), uint32(used + 1)}),
		numbers(bitsFor(used+1), p.Rows, 1, places),
	}}
	part, err := fitAll(ctx, p.of(order[:used], p.budget-n.size()-rest.size()), fit)
	n.parts = []node{part, rest}
	return n, err
}

// standIn returns the one row for rows that do not occur.
func (p problem) standIn(unused []int32) simd.Matrix {
	if p.unknown != nil {
		return p.Slice(*p.unknown, *p.unknown+1)
	}
	mean := simd.NewMatrix(1, p.Dim)
	for _, id := range unused {
		for d, v := range p.Row(int(id)) {
			mean.Data[d] += v / float32(len(unused))
		}
	}
	return mean
}

// beforeUsed cuts "used-rows+" from a method's name.
func beforeUsed(name string) (method string, ok bool) { return strings.CutPrefix(name, usedRows+"+") }
