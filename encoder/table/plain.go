package table

import (
	"context"
	"fmt"

	"github.com/pare-search/pare/simd"
)

// plain rows are stored as they are, as float32.
//
//	kind 'p'
//	rows  rows x dim
type plain struct{ rows array }

func (p *plain) row(dst []float32, id int) {
	clear(dst)
	p.rows.add(dst, id, 1)
}

func openPlain(n node, rows, dim int) (form, error) {
	if len(n.arrays) != 1 || len(n.parts) > 0 {
		return nil, fmt.Errorf("%w: plain rows: %d arrays and %d parts", ErrCorrupt, len(n.arrays), len(n.parts))
	}
	p := &plain{n.arrays[0]}
	return p, p.rows.wants("plain rows", true, rows, dim)
}

func plainRows(m simd.Matrix) node {
	return node{kind: kindPlain, arrays: []array{floats(float32s, m)}}
}

// wasted is the share of a budget that may be left over.
const wasted = 0.01

// fitAll fits a method and, where steps between its sizes leave some of the budget
// over, spends that on rows that are stored as they are: the most frequent ones.
func fitAll(ctx context.Context, p problem, fit func(context.Context, problem) (node, error)) (node, error) {
	if exact := plainRows(p.Matrix); exact.size() <= p.budget {
		return exact, nil
	}
	best, err := fit(ctx, p)
	if err != nil {
		return node{}, err
	}
	order := p.byWeight()
	frame := groupsSize(p.Rows, order, 2) + nodeHeader + arrayHeader
	size, kept := best.size(), 0
	for {
		spare := p.budget - size
		if kept == 0 {
			spare -= frame
		}
		more := spare / (4 * p.Dim)
		if float64(p.budget-size) < wasted*float64(p.budget) || more < 1 || kept+more >= p.Rows {
			return best, nil
		}
		kept += more
		plainPart := plainRows(p.of(order[:kept], 0).Matrix)
		rest, err := fit(ctx, p.of(order[kept:], p.budget-frame-4*p.Dim*kept))
		if err != nil {
			return node{}, err
		}
		best = groups(p.Rows, order, []int{kept, p.Rows - kept}, []node{plainPart, rest})
		size = best.size()
	}
}
