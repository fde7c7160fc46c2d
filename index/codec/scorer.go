package codec

import (
	"cmp"
	"encoding/binary"
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
//
// where I, the dot product of the row's int8 values with the vector's int8
// values or weights, is an exact integer, S is the float32 dot product of the
// row with the centroid, and every operation on floats, from left to right
// within its brackets, is rounded to float32. I is the same on every machine;
// S and the float32 kind are simd.FloatQuery's and, on one machine, the same
// whichever rows are scored together.
type Scorer struct {
	book  *Codebook
	query *simd.Query

	// The rows in use, packed for the kernels.
	all    bool  // rows is every row of the query
	rows   []int // rows[j] is the query row behind packed row j
	packed bool
	floats simd.FloatQuery
	codes  simd.CodeQuery
	int8s  simd.Int8Query
	scales []float32 // row scale, times the weight scale for residual kinds; zeros up to the stride

	// The line of a cell holds S for the rows in use. lineOf[cell] is its
	// number + 1, 0 if it was not needed so far.
	lineOf  []int32
	lines   []float32
	touched []uint32
	ruled   bool // all cells have lines, in their order

	// The similarities of whole query rows with all cells.
	similarities []float32
	known        []bool
	scanned      []int // rows being scanned
	scan         simd.FloatQuery

	dots      []int32
	floatDots []float32
	tokens    []simd.Token
	factors   []float32
	best      []float32
	vectors   []float32
	cells     []uint32
}

// NewScorer returns a scorer for payloads of the codebook.
func (c *Codebook) NewScorer() *Scorer {
	return &Scorer{book: c, lineOf: make([]int32, c.Cells())}
}

// Reset starts a new query, which must have the codebook's dimensions.
func (s *Scorer) Reset(q *simd.Query) {
	s.query = q
	s.packed = false
	s.known = append(s.known[:0], make([]bool, q.Rows)...)
}

// Score returns MaxSim: the sum over the given query rows, nil for all, of
// their largest similarity with a vector of the payload, added in the order
// of rows; 0 for a payload without vectors. The error wraps ErrCorrupt,
// ErrVersion or, for rows that are not the query's, ErrShape.
func (s *Scorer) Score(data []byte, rows []int) (float32, error) {
	if err := s.use(rows); err != nil {
		return 0, err
	}
	s.best = grow(s.best, len(s.rows))
	if err := s.maxima(data, s.best, nil); err != nil {
		return 0, err
	}
	return simd.Sum(s.best), nil
}

// Maxima writes the largest similarity of each query row with a vector of the
// payload to best and the number of that vector, the first of equals, to arg.
// Both have as many elements as the query has rows; arg may be nil. Without
// vectors they are simd.NoMatch and -1.
func (s *Scorer) Maxima(data []byte, best []float32, arg []int32) error {
	if err := s.use(nil); err != nil {
		return err
	}
	if len(best) != len(s.rows) || arg != nil && len(arg) != len(s.rows) {
		return fmt.Errorf("%w: maxima of %d rows into %d and %d elements", ErrShape, len(s.rows), len(best), len(arg))
	}
	return s.maxima(data, best, arg)
}

// RankScore estimates Score from the payload's cells alone: the sum over the
// given query rows, nil for all, of the largest
//
//	S / sqrt(length of the centroid)
//
// among them; 0 for a payload without vectors. It is cheap, and good enough to
// tell which documents are worth a Score, like the centroid interaction of
// PLAID (Santhanam et al., 2022, section 4.2). The vectors of a wide cell are
// longer than its centroid, which the division makes up for in part. The first
// call for some rows is a ScanRows.
//
// The error wraps ErrCorrupt, ErrVersion or, for rows that are not the query's
// and for kinds that do not store cells, ErrShape.
func (s *Scorer) RankScore(data []byte, rows []int) (float32, error) {
	if !s.book.kind.StoresCells() {
		return 0, fmt.Errorf("%w: payloads of kind %v have no cells", ErrShape, s.book.kind)
	}
	if err := s.ScanRows(rows); err != nil {
		return 0, err
	}
	p, err := s.book.parse(data)
	if err != nil {
		return 0, err
	}
	s.cells = grow(s.cells, p.rows)
	all := uint32(s.book.Cells())
	for t := range s.cells {
		cell := p.cellAt(t)
		if cell >= all {
			_, err := s.book.cell(&p, t)
			return 0, err
		}
		s.cells[t] = cell
	}
	s.best = grow(s.best, len(s.rows))
	simd.Reset(s.best)
	s.floats.MaximaOf(s.best, s.lines, s.book.rankWeight, s.cells)
	return simd.Sum(s.best), nil
}

// ScanRows compares the given query rows, nil for all, with all cells, which
// makes a Score with the same rows faster. Once a good part of the cells is
// needed, that is cheaper than cell by cell. A ScanCells of any of the rows
// that follows costs little. It takes 4 bytes for each cell and row, and does
// nothing for kinds that do not store cells. The error wraps ErrShape.
func (s *Scorer) ScanRows(rows []int) error {
	if err := s.use(rows); err != nil || s.ruled || !s.book.kind.StoresCells() {
		return err
	}
	cells := s.book.Cells()
	s.lines = grow(s.lines, cells*s.stride())
	s.floats.Dots(s.lines, s.book.floats)
	s.touched = grow(s.touched, cells)
	for cell := range s.touched {
		s.touched[cell] = uint32(cell)
		s.lineOf[cell] = int32(cell) + 1
	}
	s.ruled = true
	return nil
}

// CellSimilarities returns the dot products of a query row with all centroids.
// They are computed once per row and valid until Reset; they must not be
// changed. Where several rows are needed, ScanCells is faster.
func (s *Scorer) CellSimilarities(row int) []float32 {
	if !s.known[row] {
		s.ScanCells([]int{row})
	}
	cells := s.book.Cells()
	return s.similarities[row*cells : (row+1)*cells : (row+1)*cells]
}

// ScanCells computes the CellSimilarities of several query rows together, in
// one pass over the centroids.
func (s *Scorer) ScanCells(rows []int) {
	cells := s.book.Cells()
	s.similarities = growKeep(s.similarities, s.query.Rows*cells)
	s.scanned = s.scanned[:0]
	for _, row := range rows {
		if !s.known[row] {
			s.scanned = append(s.scanned, row)
			s.known[row] = true
		}
	}
	s.scanned = slices.DeleteFunc(s.scanned, s.copyLines)
	if len(s.scanned) == 0 {
		return
	}
	s.scan.Reset(s.query.Float(), s.scanned)
	const part = 96 // cells whose dot products stay in the first cache
	stride := s.scan.Stride()
	s.floatDots = grow(s.floatDots, part*stride)
	for lo := 0; lo < cells; lo += part {
		hi := min(lo+part, cells)
		s.scan.Dots(s.floatDots, s.book.floats.Slice(lo, hi))
		for j, row := range s.scanned {
			out := s.similarities[row*cells+lo : row*cells+hi]
			for i := range out {
				out[i] = s.floatDots[i*stride+j]
			}
		}
	}
}

// copyLines takes the similarities of a query row from the lines if all cells
// have one with the row in it.
func (s *Scorer) copyLines(row int) bool {
	j := slices.Index(s.rows, row)
	if !s.packed || !s.ruled || j < 0 {
		return false
	}
	cells, n := s.book.Cells(), s.stride()
	for cell := range cells {
		s.similarities[row*cells+cell] = s.lines[cell*n+j]
	}
	return true
}

// use packs the given rows unless they are packed already.
func (s *Scorer) use(rows []int) error {
	if s.query == nil || s.query.Dim != s.book.dim {
		return fmt.Errorf("%w: the scorer has no query of %d dimensions", ErrShape, s.book.dim)
	}
	if s.packed && s.all == (rows == nil) && (rows == nil || slices.Equal(rows, s.rows)) {
		return nil
	}
	s.packed = false
	s.all = rows == nil
	s.rows = s.rows[:0]
	if rows == nil {
		for row := range s.query.Rows {
			s.rows = append(s.rows, row)
		}
	}
	for _, row := range rows {
		if row < 0 || row >= s.query.Rows {
			return fmt.Errorf("%w: row %d of a query with %d rows", ErrShape, row, s.query.Rows)
		}
		s.rows = append(s.rows, row)
	}

	for _, cell := range s.touched {
		s.lineOf[cell] = 0
	}
	s.touched, s.lines, s.ruled = s.touched[:0], s.lines[:0], false
	s.scales = s.scales[:0]
	for _, row := range s.rows {
		_, scale := s.query.Codes(row)
		if s.book.kind.bits() > 0 {
			scale *= s.book.levels.scale
		}
		s.scales = append(s.scales, scale)
	}
	if s.book.kind != Int8 {
		s.floats.Reset(s.query.Float(), s.rows)
	}
	switch {
	case s.book.kind == Int8:
		s.int8s.Reset(s.query, s.rows)
	case s.book.kind.bits() > 0:
		s.codes.Reset(s.query, s.rows, s.book.levels.weights)
	}
	s.scales = append(s.scales, make([]float32, s.stride()-len(s.scales))...)
	s.packed = true
	return nil
}

// stride returns the number of values that a line or a vector's dot products
// take.
func (s *Scorer) stride() int {
	if s.book.kind == Int8 {
		return s.int8s.Stride()
	}
	return s.floats.Stride()
}

// addLine computes the line of a cell that has none and returns its number.
func (s *Scorer) addLine(cell uint32) int32 {
	n, start := s.stride(), len(s.lines)
	s.lines = slices.Grow(s.lines, n)[:start+n]
	s.floats.Dots(s.lines[start:], s.book.floats.Slice(int(cell), int(cell)+1))
	s.touched = append(s.touched, cell)
	s.lineOf[cell] = int32(len(s.touched))
	return s.lineOf[cell] - 1
}

// maxima computes the maxima of the rows in use; arg may be nil.
func (s *Scorer) maxima(data []byte, best []float32, arg []int32) error {
	p, err := s.book.parse(data)
	if err != nil {
		return err
	}
	simd.Reset(best)
	for j := range arg {
		arg[j] = -1
	}
	switch s.book.kind {
	case Float32:
		return s.maximaFloat32(&p, best, arg)
	case Int8:
		return s.maximaInt8(&p, best, arg)
	}
	return s.maximaResidual(&p, best, arg)
}

func (s *Scorer) maximaResidual(p *payload, best []float32, arg []int32) error {
	if err := s.readTokens(p); err != nil {
		return err
	}
	if arg == nil {
		s.codes.Maxima(best, p.body, s.tokens, s.scales, s.lines)
		return nil
	}
	n := s.stride()
	s.dots = grow(s.dots, p.rows*n)
	s.codes.Dots(s.dots, p.body, p.rows)
	for t, token := range s.tokens {
		line, dots := s.lines[int(token.Line)*n:], s.dots[t*n:]
		for j, b := range best {
			step := float32(s.scales[j] * token.Scale)
			// The conversions keep the compiler from fusing operations, which
			// would round differently on some machines.
			if v := token.Factor * float32(line[j]+float32(step*float32(dots[j]))); v > b {
				best[j], arg[j] = v, int32(t)
			}
		}
	}
	return nil
}

// readTokens reads the cells and factors of a residual payload.
func (s *Scorer) readTokens(p *payload) error {
	s.tokens = grow(s.tokens, p.rows)
	lineOf, scales := s.lineOf, s.book.cellScale[:len(s.lineOf)]
	for t := range s.tokens {
		cell := p.cellAt(t)
		factor, ok := fromFloat16(binary.LittleEndian.Uint16(p.factors[2*t:]))
		if int(cell) >= len(lineOf) || !ok {
			_, errCell := s.book.cell(p, t)
			_, errFactor := s.book.factor(p, t)
			return cmp.Or(errCell, errFactor)
		}
		line := lineOf[cell] - 1
		if line < 0 {
			line = s.addLine(cell)
		}
		s.tokens[t] = simd.Token{Line: line, Scale: scales[cell], Factor: factor}
	}
	return nil
}

func (s *Scorer) maximaInt8(p *payload, best []float32, arg []int32) error {
	s.factors = grow(s.factors, p.rows)
	for t := range s.factors {
		var err error
		if s.factors[t], err = s.book.factor(p, t); err != nil {
			return err
		}
	}
	if arg == nil {
		s.int8s.Maxima(best, p.body, s.factors, s.scales)
		return nil
	}
	n := s.stride()
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
	n := s.stride()
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
			s.floats.Maxima(best, m)
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

// growKeep is grow that keeps the contents.
func growKeep[T any](s []T, n int) []T {
	if n <= len(s) {
		return s
	}
	return append(s, make([]T, n-len(s))...)
}
