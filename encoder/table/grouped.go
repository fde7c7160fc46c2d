package table

import (
	"cmp"
	"fmt"
	"slices"
)

// grouped puts rows together that are stored in different ways. The rows of part
// p have the places ends[p-1] to ends[p]-1.
//
//	kind 'g'
//	ends    number of parts x 1: where the places of a part end
//	places  optional, rows x 1: the place of each row; left out when rows are in
//	        the order of their places
type grouped struct {
	places array // none if rows are in order
	ends   []int
	parts  []form
}

func (g *grouped) row(dst []float32, id int) {
	place := id
	if g.places.rows > 0 {
		place = int(g.places.number(id, 0))
	}
	begin := 0
	for p, end := range g.ends {
		if place < end {
			g.parts[p].row(dst, place-begin)
			return
		}
		begin = end
	}
}

func openGrouped(n node, rows, dim int) (form, error) {
	if len(n.arrays) < 1 || len(n.arrays) > 2 || len(n.parts) < 1 {
		return nil, fmt.Errorf("%w: groups: %d arrays and %d parts", ErrCorrupt, len(n.arrays), len(n.parts))
	}
	g := &grouped{}
	ends := &n.arrays[0]
	if err := ends.wants("ends of groups", false, len(n.parts), 1); err != nil {
		return nil, err
	}
	begin := 0
	for p, part := range n.parts {
		end := int(ends.number(p, 0))
		if end <= begin || end > rows {
			return nil, fmt.Errorf("%w: ends of groups: group %d has places %d to %d of %d", ErrCorrupt, p, begin, end, rows)
		}
		f, err := part.open(end-begin, dim)
		if err != nil {
			return nil, fmt.Errorf("group %d: %w", p, err)
		}
		g.ends, g.parts = append(g.ends, end), append(g.parts, f)
		begin = end
	}
	if len(n.arrays) == 1 {
		if begin < rows {
			return nil, fmt.Errorf("%w: ends of groups: the last is %d of %d", ErrCorrupt, begin, rows)
		}
		return g, nil
	}
	g.places = n.arrays[1]
	if err := g.places.wants("places of rows", false, rows, 1); err != nil {
		return nil, err
	}
	return g, g.places.below("places of rows", begin)
}

// groups puts the rows of order into parts, so many places in each. Rows beyond the
// last place share it. A nil order is that of the rows.
func groups(rows int, order []int32, counts []int, parts []node) node {
	ends := make([]uint32, len(counts))
	end := 0
	for p, count := range counts {
		end += count
		ends[p] = uint32(end)
	}
	n := node{kind: kindGrouped, parts: parts, arrays: []array{numbers(bitsFor(end+1), len(ends), 1, ends)}}
	if end < rows || !inOrder(order) {
		places := make([]uint32, rows)
		for place, id := range order {
			places[id] = uint32(min(place, end-1))
		}
		n.arrays = append(n.arrays, numbers(bitsFor(end), rows, 1, places))
	}
	return n
}

// groupsSize is what groups adds to the size of its parts with so many places.
func groupsSize(order []int32, rows, places, parts int) int {
	size := nodeHeader + sizeOf(unsigneds, bitsFor(places+1), parts, 1)
	if places < rows || !inOrder(order) {
		size += sizeOf(unsigneds, bitsFor(places), rows, 1)
	}
	return size
}

func inOrder(order []int32) bool {
	for place, id := range order {
		if int(id) != place {
			return false
		}
	}
	return true
}

// byWeight returns the rows, heaviest first, equals in order.
func (p problem) byWeight() []int32 {
	order := make([]int32, p.Rows)
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(p.weights[b], p.weights[a]) })
	return order
}

// of returns the problem of some rows.
func (p problem) of(rows []int32, budget int) problem {
	q := problem{budget: budget, seed: p.seed, weights: make([]float64, len(rows))}
	q.Rows, q.Dim = len(rows), p.Dim
	q.Data = make([]float32, 0, len(rows)*p.Dim)
	for i, id := range rows {
		q.Data = append(q.Data, p.Row(int(id))...)
		q.weights[i] = p.weights[id]
		if p.sensitivities != nil {
			q.sensitivities = append(q.sensitivities, p.sensitivities[id])
		}
	}
	return q
}
