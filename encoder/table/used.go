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
	part, err := fitAll(ctx, p.of(order[:used], p.budget-groupsSize(order, p.Rows, used+1, 2)-rest.size()), fit)
	return groups(p.Rows, order, []int{used, 1}, []node{part, rest}), err
}

// standIn returns the one row for rows that do not occur.
func (p problem) standIn(unused []int32) simd.Matrix {
	if p.unknown != nil {
		return p.Slice(*p.unknown, *p.unknown+1)
	}
	return p.mean(unused)
}

// mean returns that of some rows, all counting the same.
func (p problem) mean(rows []int32) simd.Matrix {
	mean := simd.NewMatrix(1, p.Dim)
	for _, id := range rows {
		for d, v := range p.Row(int(id)) {
			mean.Data[d] += v / float32(len(rows))
		}
	}
	return mean
}

// beforeUsed cuts "used-rows+" from a method's name.
func beforeUsed(name string) (method string, ok bool) { return strings.CutPrefix(name, usedRows+"+") }
