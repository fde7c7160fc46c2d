package table

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"

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

// overlaid are rows most of which a part makes, but for some that are stored as
// they are.
//
//	kind 'o'
//	ids    n x 1: the rows stored, ascending
//	rows   n x dim
//	part   all rows
type overlaid struct {
	ids, rows array
	part      form
}

func (o *overlaid) row(dst []float32, id int) {
	at := sort.Search(o.ids.rows, func(i int) bool { return int(o.ids.number(i, 0)) >= id })
	if at < o.ids.rows && int(o.ids.number(at, 0)) == id {
		clear(dst)
		o.rows.add(dst, at, 1)
		return
	}
	o.part.row(dst, id)
}

func openOverlaid(n node, rows, dim int) (form, error) {
	if len(n.arrays) != 2 || len(n.parts) != 1 {
		return nil, fmt.Errorf("%w: stored rows: %d arrays and %d parts", ErrCorrupt, len(n.arrays), len(n.parts))
	}
	o := &overlaid{ids: n.arrays[0], rows: n.arrays[1]}
	if err := errors.Join(
		o.ids.wants("ids of stored rows", false, o.ids.rows, 1),
		o.rows.wants("stored rows", true, o.ids.rows, dim)); err != nil {
		return nil, err
	}
	for i := 1; i < o.ids.rows; i++ {
		if o.ids.number(i, 0) <= o.ids.number(i-1, 0) {
			return nil, fmt.Errorf("%w: ids of stored rows: number %d does not ascend", ErrCorrupt, i)
		}
	}
	var err error
	o.part, err = n.parts[0].open(rows, dim)
	return o, err
}

// fitAll fits a method and, where steps between its sizes leave some of the budget
// over, spends that on rows that are stored as they are: those with the largest
// weighted errors.
func fitAll(ctx context.Context, p problem, fit func(context.Context, problem) (node, error)) (node, error) {
	if exact := plainRows(p.Matrix); exact.size() <= p.budget {
		return exact, nil
	}
	fitted, err := fit(ctx, p)
	if err != nil {
		return node{}, err
	}
	size := fitted.size()
	stored := most(1, p.Rows, func(n int) bool {
		return nodeHeader+size+sizeOf(unsigneds, bitsFor(p.Rows), n, 1)+sizeOf(float32s, 0, n, p.Dim) <= p.budget
	})
	if stored < 1 {
		return fitted, nil
	}
	rows, err := p.worst(fitted, stored)
	if err != nil {
		return node{}, err
	}
	ids := make([]uint32, stored)
	for i, row := range rows {
		ids[i] = uint32(row)
	}
	return node{kind: kindOverlaid, parts: []node{fitted}, arrays: []array{
		numbers(bitsFor(p.Rows), stored, 1, ids),
		floats(float32s, p.of(rows, 0).Matrix),
	}}, nil
}

// worst returns the n rows with the largest weighted errors, ascending.
func (p problem) worst(fitted node, n int) ([]int32, error) {
	f, err := fitted.open(p.Rows, p.Dim)
	if err != nil {
		return nil, err
	}
	distances, row := make([]float32, p.Rows), make([]float32, p.Dim)
	for i := range distances {
		f.row(row, i)
		for d, v := range p.Row(i) {
			distances[i] += (v - row[d]) * (v - row[d])
		}
	}
	rows := make([]int32, n)
	for i, row := range byLoss(p.weights, distances)[:n] {
		rows[i] = int32(row)
	}
	slices.Sort(rows)
	return rows, nil
}
