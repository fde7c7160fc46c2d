package codec

import "fmt"

// ResetFirst starts the query of another scorer with the first rows compared
// there only, as many as given. Otherwise it is like ResetAs: scores are then
// the parts of the other's that these rows make up.
func (s *Scorer) ResetFirst(other *Scorer, rows int) error {
	if other.query == nil || other.book != s.book {
		return fmt.Errorf("%w: the other scorer has no query for this codebook", ErrShape)
	}
	if rows < 0 || rows > len(other.rows) {
		return fmt.Errorf("%w: the first %d of %d rows", ErrShape, rows, len(other.rows))
	}
	if err := s.reset(other.query, other.rows[:rows], nil, other.onAxes); err != nil {
		return err
	}
	s.sumAll = other.sumAll
	for _, j := range other.summed {
		if j < rows {
			s.summed = append(s.summed, j)
		}
	}
	s.cells = other.cells
	return nil
}

// Bound returns a number that what the rows compared from number first on add
// to Score is not above, whatever the codes of the payload are. For a row it is
//
//	F * max(0, S + residual scale * E)
//
// of the cell where that is largest, with the largest factor F of the payload's
// rows of the same form and the largest sum E that any of its codes give the row;
// rounding is allowed for. It is known for residual kinds only, for which it looks
// at no codes; ok is false for others. The error wraps ErrCorrupt or, without a
// query, ErrShape.
func (s *Scorer) Bound(data Payload, first int) (bound float64, ok bool, err error) {
	p, err := s.parse(data, s.book.kind)
	if err != nil || !s.book.kind.Residual() {
		return 0, false, err
	}
	g := &s.groups
	if err := g.split(s.book, &p); err != nil {
		return 0, false, err
	}
	s.extremes()
	var factors [maxForms]float64
	for i := range s.book.forms {
		var largest byte
		for _, code := range g.forms[i].factors {
			largest = max(largest, code) // codes ascend with the factors
		}
		factors[i] = float64(s.book.forms[i].factors.table[largest])
	}
	cells := s.Scan()
	unit := float64(cells.Unit())
	rowBound := func(j int) float64 {
		highest := 0.0
		for _, cell := range g.distinct {
			similarity := unit * float64(cells.Value(cell, j))
			scale := float64(s.book.cellScale[cell])
			if i := s.book.formNumber(cell) - 1; i >= 0 {
				highest = max(highest, factors[i]*(similarity+scale*s.extreme[i][j]))
			} else {
				highest = max(highest, scale*similarity)
			}
		}
		return highest
	}
	if s.sumAll {
		for j := first; j < len(s.rows); j++ {
			bound += rowBound(j)
		}
	}
	for _, j := range s.summed {
		if j >= first {
			bound += rowBound(j)
		}
	}
	const rounding = 1e-4
	return bound * (1 + rounding), true, nil
}

// extremes computes, once for a query, the largest dot product of each row with
// the weights of any codes of each form.
func (s *Scorer) extremes() {
	for i := range s.book.forms {
		f := &s.book.forms[i]
		if !s.book.used[i] || len(s.extreme[i]) > 0 {
			continue
		}
		least, most := int64(0), int64(0)
		for _, w := range f.levels.weights {
			least, most = min(least, int64(w)), max(most, int64(w))
		}
		for j := range s.rows {
			codes, scale := s.rowCodes(f, i, j)
			var sum int64
			for _, q := range codes {
				sum += max(int64(q)*least, int64(q)*most)
			}
			s.extreme[i] = append(s.extreme[i], float64(scale)*float64(f.levels.scale)*float64(sum))
		}
	}
}
