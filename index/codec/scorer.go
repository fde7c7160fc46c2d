package codec

import (
	"fmt"
	"slices"

	"github.com/pare-search/pare/simd"
)

// Scorer computes MaxSim of one query with payloads. It belongs to one
// goroutine at a time, is reused over queries, and allocates nothing once it
// is warm.
//
// The similarity of a query row and a document vector is
//
//	float32   dot product in float32
//	int8      scale * (row scale * I)
//	residual  factor * (S + (row scale * weight scale * residual scale) * I)
//	no codes  residual scale * S
//
// where I, the dot product of the row's int8 values with the vector's int8
// values or weights, is an exact integer. Codes on axes are compared with the
// row's coordinates on them, found in steps of 1/32766 of the largest possible
// and made int8 values with a scale like any row's. S is the row's similarity with the
// centroid, in steps of 1/32766 of the largest possible (simd.CellRows), and
// every operation on floats, from left to right within its brackets, is
// rounded to float32. All but the float32 kind give the same bits on every
// machine, and that kind the same on one machine, whichever rows are scored
// together.
type Scorer struct {
	book  *Codebook
	query *simd.Query

	rows   []int // rows[j] is the query row behind packed row j
	sumAll bool  // every row is part of a score
	summed []int // else the packed rows that are
	floats simd.FloatQuery
	codes  [maxForms]simd.CodeQuery
	int8s  simd.Int8Query
	own    simd.CellRows
	cells  *simd.CellRows // in use; nil until somebody needs it
	packed bool           // int8s and scales hold the rows
	scales []float32      // of the rows, zeros up to the stride

	extreme [maxForms][]float64 // see Bound; empty until somebody needs it

	onAxes     *simd.CellRows // the rows' coordinates on the axes, if there are any
	ownAxes    simd.CellRows
	axisRows   [maxForms]simd.Query // the rows on the axes of each form that has some
	axisFloats []float32            // of them all

	// Of one document.
	groups    groups
	factors   []float32
	vectors   []float32
	floatDots []float32
	dots      []int32
	best      []float32
	wide      []float32
}

// NewScorer returns a scorer for payloads of the codebook.
func (c *Codebook) NewScorer() *Scorer {
	return &Scorer{book: c, rows: []int{}} // nil rows would be all
}

// Reset starts a new query. rows are the query's rows to compare, nil for all,
// and summed those among them whose maxima add up to a score, nil for all of
// rows. The error wraps ErrShape: the query must have the codebook's
// dimensions and the rows.
func (s *Scorer) Reset(q *simd.Query, rows, summed []int) error {
	return s.reset(q, rows, summed, nil)
}

// reset is Reset, given the coordinates of the rows if they are known.
func (s *Scorer) reset(q *simd.Query, rows, summed []int, onAxes *simd.CellRows) error {
	s.query, s.cells, s.packed, s.onAxes = nil, nil, false, onAxes
	for i := range s.extreme {
		s.extreme[i] = s.extreme[i][:0]
	}
	if q.Dim != s.book.dim {
		return fmt.Errorf("%w: a query of %d dimensions, the codebook has %d", ErrShape, q.Dim, s.book.dim)
	}
	s.rows = s.rows[:0]
	if rows == nil {
		for row := range q.Rows {
			s.rows = append(s.rows, row)
		}
	}
	for _, row := range rows {
		if row < 0 || row >= q.Rows {
			return fmt.Errorf("%w: row %d of a query with %d rows", ErrShape, row, q.Rows)
		}
		s.rows = append(s.rows, row)
	}
	s.sumAll, s.summed = summed == nil, s.summed[:0]
	for _, row := range summed {
		j := slices.Index(s.rows, row)
		if j < 0 {
			return fmt.Errorf("%w: row %d makes up scores, but is not compared", ErrShape, row)
		}
		s.summed = append(s.summed, j)
	}
	s.query = q
	switch kind := s.book.kind; {
	case kind == Float32:
		s.floats.Reset(q.Float(), s.rows)
	case kind == Int8:
		s.packInt8()
	default:
		s.packForms()
	}
	return nil
}

// packForms packs the rows for codes of every form.
func (s *Scorer) packForms() {
	s.axisFloats = s.axisFloats[:0]
	for i := range s.book.forms {
		f := &s.book.forms[i]
		switch {
		case !s.book.used[i]:
		case f.onAxes:
			if s.onAxes == nil {
				s.ownAxes.Scan(s.query, s.rows, s.book.axes.table)
				s.onAxes = &s.ownAxes
			}
			s.axisRows[i].Reset(s.rowsOnAxes(f.dims))
			s.codes[i].Reset(&s.axisRows[i], nil, f.levels.weights, f.levels.scale)
		default:
			s.codes[i].Reset(s.query, s.rows, f.levels.weights, f.levels.scale)
		}
	}
}

// rowsOnAxes returns the coordinates of the rows on the first axes.
func (s *Scorer) rowsOnAxes(n int) simd.Matrix {
	m := simd.Matrix{Rows: len(s.rows), Dim: n}
	start := len(s.axisFloats)
	for row := range s.rows {
		for axis := range n {
			s.axisFloats = append(s.axisFloats, s.onAxes.Unit()*float32(s.onAxes.Value(uint32(axis), row)))
		}
	}
	m.Data = s.axisFloats[start:]
	return m
}

// packInt8 packs the rows for int8 values.
func (s *Scorer) packInt8() {
	if s.packed {
		return
	}
	s.int8s.Reset(s.query, s.rows)
	s.scales = s.scales[:0]
	for _, row := range s.rows {
		_, scale := s.query.Codes(row)
		s.scales = append(s.scales, scale)
	}
	s.scales = append(s.scales, make([]float32, s.int8s.Stride()-len(s.scales))...)
	s.packed = true
}

// Scan compares the query with all cells, unless that is done, and returns the
// similarities, valid until Reset. Score and RankScore do it when they need it.
func (s *Scorer) Scan() *simd.CellRows {
	if s.cells == nil {
		s.own.Scan(s.query, s.rows, s.book.table)
		s.cells = &s.own
	}
	return s.cells
}

// ResetAs starts the query of another scorer of the same codebook, which must
// have scanned the cells and not be reset before the last use of this one.
// Both then serve one goroutine each.
func (s *Scorer) ResetAs(other *Scorer) error {
	if other.query == nil || other.book != s.book {
		return fmt.Errorf("%w: the other scorer has no query for this codebook", ErrShape)
	}
	if err := s.reset(other.query, other.rows, nil, other.onAxes); err != nil {
		return err
	}
	s.sumAll, s.summed = other.sumAll, append(s.summed[:0], other.summed...)
	s.cells = other.cells
	return nil
}

// Score returns MaxSim: the sum over the rows that make up a score of their
// largest similarity with a vector of the payload, added in the order given to
// Reset;
// 0 for a payload without vectors. It also returns how many vectors there are.
// next, which may be empty, is the payload that will be scored after it, and is
// fetched into the cache meanwhile. The error wraps ErrCorrupt, ErrVersion or,
// without a query, ErrShape.
func (s *Scorer) Score(data, next Payload) (score float32, vectors int, err error) {
	p, err := s.parse(data, s.book.kind)
	if err != nil {
		return 0, 0, err
	}
	s.best = grow(s.best, len(s.rows))
	if err := s.maxima(&p, s.best, nil, next.Codes); err != nil {
		return 0, 0, err
	}
	return s.sum(), p.rows, nil
}

// Refine is Score by a document's refinement (Codebook.EncodeRefinement), which
// is closer to the vectors than most payloads are.
func (s *Scorer) Refine(data, next []byte) (float32, error) {
	p, err := s.parse(Payload{Codes: data}, Int8)
	if err != nil {
		return 0, err
	}
	s.packInt8()
	s.best = grow(s.best, len(s.rows))
	simd.Reset(s.best)
	if err := s.maximaInt8(&p, s.best, nil, next); err != nil {
		return 0, err
	}
	return s.sum(), nil
}

// RefineMaxima is Maxima by a document's refinement.
func (s *Scorer) RefineMaxima(data []byte, best []float32, arg []int32) error {
	p, err := s.parse(Payload{Codes: data}, Int8)
	if err != nil {
		return err
	}
	if err := s.checkMaxima(best, arg); err != nil {
		return err
	}
	s.packInt8()
	unmatched(best, arg)
	return s.maximaInt8(&p, best, arg, nil)
}

func (s *Scorer) checkMaxima(best []float32, arg []int32) error {
	if len(best) != len(s.rows) || arg != nil && len(arg) != len(s.rows) {
		return fmt.Errorf("%w: maxima of %d rows into %d and %d elements", ErrShape, len(s.rows), len(best), len(arg))
	}
	return nil
}

// unmatched is what maxima are before any vector was seen.
func unmatched(best []float32, arg []int32) {
	simd.Reset(best)
	for j := range arg {
		arg[j] = -1
	}
}

// sum adds up the maxima that make up a score.
func (s *Scorer) sum() float32 {
	if s.sumAll {
		return simd.Sum(s.best)
	}
	var sum float32
	for _, j := range s.summed {
		if s.best[j] > simd.NoMatch {
			sum += s.best[j]
		}
	}
	return sum
}

// Maxima writes the largest similarity of each row compared with a vector of
// the payload to best and the number of that vector, the first of equals, to
// arg. Both have as many elements as there are rows; arg may be nil. Without
// vectors they are simd.NoMatch and -1.
func (s *Scorer) Maxima(data Payload, best []float32, arg []int32) error {
	p, err := s.parse(data, s.book.kind)
	if err != nil {
		return err
	}
	if err := s.checkMaxima(best, arg); err != nil {
		return err
	}
	return s.maxima(&p, best, arg, nil)
}

// RankScore estimates Score from the cells of a payload alone, in a unit of its
// own: the sum over all rows compared of the largest
//
//	S / sqrt(length of the centroid)
//
// among them, in 256 steps; 0 for a payload without vectors. It costs a
// nanosecond or two for each cell, and is good enough to tell which documents
// are worth a Score, like the centroid interaction of PLAID (Santhanam et al.,
// 2022, section 4.2). The vectors of a wide cell are longer than its centroid,
// which the division makes up for in part. next is the Payload.Cells that will
// be ranked soon. The error wraps ErrCorrupt or, without a query, ErrShape;
// names of cells that do not exist count for nothing.
func (s *Scorer) RankScore(cells, next []byte) (uint32, error) {
	if s.query == nil {
		return 0, s.noQuery()
	}
	if _, err := s.book.countCells(cells); err != nil {
		return 0, err
	}
	return s.Scan().RankScore(cells, s.book.CellBytes(), next), nil
}

func (s *Scorer) parse(data Payload, kind Kind) (payload, error) {
	if s.query == nil {
		return payload{}, s.noQuery()
	}
	return s.book.parseKind(data, kind)
}

func (s *Scorer) noQuery() error { return fmt.Errorf("%w: the scorer has no query", ErrShape) }

// maxima computes the maxima of the rows; arg may be nil.
func (s *Scorer) maxima(p *payload, best []float32, arg []int32, next []byte) error {
	unmatched(best, arg)
	switch s.book.kind {
	case Float32:
		return s.maximaFloat32(p, best, arg)
	case Int8:
		return s.maximaInt8(p, best, arg, next)
	}
	return s.maximaResidual(p, best, arg, next)
}

func (s *Scorer) maximaResidual(p *payload, best []float32, arg []int32, next []byte) error {
	g := &s.groups
	if err := g.split(s.book, p); err != nil {
		return err
	}
	cells := s.Scan()
	if arg != nil {
		s.argMaxima(p, cells, best, arg)
		return nil
	}
	for i := range s.book.forms {
		form := &g.forms[i]
		if len(form.cells) == 0 {
			continue
		}
		s.codes[i].Maxima(best, simd.CodedTokens{
			Planes: form.planes, Cells: form.cells, Factors: form.factors, FactorTable: &s.book.forms[i].factors.table, Next: next,
		}, cells)
		next = nil // fetched
	}
	s.bareMaxima(cells, best)
	return nil
}

// bareMaxima raises best to the maxima of the rows without codes. The cells may
// have been compared with further rows than those of best.
func (s *Scorer) bareMaxima(cells *simd.CellRows, best []float32) {
	bare := s.groups.bare
	if len(bare) == 0 || len(best) == cells.Rows() {
		cells.Maxima(best, bare, s.book.cellScale)
		return
	}
	s.wide = grow(s.wide, cells.Rows())
	simd.Reset(s.wide)
	cells.Maxima(s.wide, bare, s.book.cellScale)
	for j, v := range s.wide[:len(best)] {
		best[j] = max(best[j], v)
	}
}

// argMaxima is maximaResidual in plain Go, which knows the vectors' numbers.
func (s *Scorer) argMaxima(p *payload, cells *simd.CellRows, best []float32, arg []int32) {
	g := &s.groups
	var starts [maxForms]int // of each form in dots
	size := 0
	for i := range s.book.forms {
		starts[i] = size
		size += len(g.forms[i].cells) * s.codes[i].Stride()
	}
	s.dots = grow(s.dots, size)
	for i := range s.book.forms {
		if form := &g.forms[i]; len(form.cells) > 0 {
			s.codes[i].Dots(s.dots[starts[i]:], form.planes, len(form.cells))
		}
	}
	var nextRow [maxForms]int
	for t := range p.rows {
		cell := g.distinct[p.placeAt(t)]
		scale := s.book.cellScale[cell]
		number := s.book.formNumber(cell)
		if number == 0 {
			for j, b := range best {
				if v := scale * float32(cells.Unit()*float32(cells.Value(cell, j))); v > b {
					best[j], arg[j] = v, int32(t)
				}
			}
			continue
		}
		i := number - 1
		f, at := &s.book.forms[i], nextRow[i]
		nextRow[i]++
		factor, dots := f.factors.table[g.forms[i].factors[at]], s.dots[starts[i]+at*s.codes[i].Stride():]
		for j, b := range best {
			_, rowScale := s.rowCodes(f, i, j)
			step := float32(float32(rowScale*f.levels.scale) * scale)
			// The conversions keep the compiler from fusing operations, which
			// would round differently on some machines.
			similarity := float32(cells.Unit() * float32(cells.Value(cell, j)))
			if v := factor * float32(similarity+float32(step*float32(dots[j]))); v > b {
				best[j], arg[j] = v, int32(t)
			}
		}
	}
}

// rowCodes returns the int8 values that codes of form number i are compared with,
// those of packed row j, and their scale.
func (s *Scorer) rowCodes(f *form, i, j int) ([]int8, float32) {
	if f.onAxes {
		return s.axisRows[i].Codes(j)
	}
	return s.query.Codes(s.rows[j])
}

func (s *Scorer) maximaInt8(p *payload, best []float32, arg []int32, next []byte) error {
	s.factors = grow(s.factors, p.rows)
	for t := range s.factors {
		scale := p.scaleAt(t)
		if !isScale(scale) {
			return p.badScale(t)
		}
		s.factors[t] = scale
	}
	if arg == nil {
		s.int8s.Maxima(best, p.body, s.factors, s.scales, next)
		return nil
	}
	n := s.int8s.Stride()
	s.dots = grow(s.dots, p.rows*n)
	s.int8s.Dots(s.dots, p.body)
	for t, factor := range s.factors {
		for j, dot := range s.dots[t*n : t*n+len(best)] {
			if v := factor * float32(s.scales[j]*float32(dot)); v > best[j] {
				best[j], arg[j] = v, int32(t)
			}
		}
	}
	return nil
}

func (s *Scorer) maximaFloat32(p *payload, best []float32, arg []int32) error {
	const part = 24 // vectors that stay in the first cache
	n := s.floats.Stride()
	s.vectors = grow(s.vectors, part*s.book.dim)
	s.floatDots = grow(s.floatDots, part*n)
	for lo := 0; lo < p.rows; lo += part {
		rows := min(part, p.rows-lo)
		m := simd.Matrix{Rows: rows, Dim: s.book.dim, Data: s.vectors[:rows*s.book.dim]}
		for t := range rows {
			if err := s.book.floatRow(m.Row(t), p, lo+t); err != nil {
				return err
			}
		}
		if arg == nil {
			s.floats.Maxima(best, m, nil)
			continue
		}
		s.floats.Dots(s.floatDots, m)
		for t := range rows {
			for j, v := range s.floatDots[t*n : t*n+len(best)] {
				if v > best[j] {
					best[j], arg[j] = v, int32(lo+t)
				}
			}
		}
	}
	return nil
}

// grow returns a slice of length n, reusing s where it is large enough; its
// contents are undefined.
func grow[T any](s []T, n int) []T { return slices.Grow(s[:0], n)[:n] }
