package simd

import (
	"math"

	"github.com/viterin/vek/vek32"
)

// Query is a query packed for the kernels: every layout of the same rows that
// they need, made once per query. But for Reset it is immutable and safe for
// concurrent use.
type Query struct {
	Rows, Dim int

	float  Matrix // the caller's rows
	packed FloatQuery

	// codes[i*Dim+d] is row i scaled to int8: float = scale[i] * code.
	codes []int8
	scale []float32
}

// PackQuery packs the rows of m. The query keeps a reference to m's data,
// which must not change afterwards. m must be valid (see Matrix.Validate).
func PackQuery(m Matrix) *Query {
	q := new(Query)
	q.Reset(m)
	return q
}

// Reset packs other rows, like PackQuery, into the memory of the ones before. No
// other goroutine may use the query meanwhile.
func (q *Query) Reset(m Matrix) {
	q.Rows, q.Dim, q.float = m.Rows, m.Dim, m
	q.packed.Reset(m, nil)
	q.codes = grow(q.codes, m.Rows*m.Dim)
	q.scale = grow(q.scale, m.Rows)
	for i := range m.Rows {
		q.scale[i] = QuantizeInt8(q.codes[i*m.Dim:(i+1)*m.Dim], m.Row(i))
	}
}

// Float returns the query's rows as float32.
func (q *Query) Float() Matrix { return q.float }

// Codes returns row i as int8 and the scale that turns it back into floats.
func (q *Query) Codes(i int) ([]int8, float32) {
	return q.codes[i*q.Dim : (i+1)*q.Dim : (i+1)*q.Dim], q.scale[i]
}

// QuantizeInt8 writes v to dst as int8 in -127..127, symmetric around zero and
// rounded half away from zero, and returns the scale: v ≈ scale * dst. A zero
// vector gets scale 0.
func QuantizeInt8(dst []int8, v []float32) (scale float32) {
	if len(v) == 0 {
		return 0
	}
	scale = max(vek32.Max(v), -vek32.Min(v)) / 127
	if scale == 0 { // all zero, or too small to tell from it
		clear(dst)
		return 0
	}
	for i, x := range v {
		quotient := float64(x / scale)
		dst[i] = int8(quotient + math.Copysign(0.5, quotient))
	}
	return scale
}

// Dot returns the dot product of two vectors of equal length. Results of
// different machines differ by at most a few units in the last place times
// the number of dimensions.
func Dot(a, b []float32) float32 {
	if len(a) == 0 {
		return 0
	}
	return vek32.Dot(a, b)
}

// MaxSim raises best[i] to the largest dot product of query row i with a row
// of doc. best has length q.Rows and starts at NoMatch for a new document.
func (q *Query) MaxSim(doc Matrix, best []float32) { q.packed.Maxima(best, doc, nil) }

// NoMatch is the value of a row maximum before any document token was seen.
const NoMatch = -math.MaxFloat32

// Reset fills best with NoMatch.
func Reset(best []float32) {
	for i := range best {
		best[i] = NoMatch
	}
}

// Sum adds row maxima in row order; rows still at NoMatch (a document without
// tokens) count as zero.
func Sum(best []float32) float32 {
	var sum float32
	for _, b := range best {
		if b > NoMatch {
			sum += b
		}
	}
	return sum
}

// Add adds src to dst, element by element; both have the same length.
func Add(dst, src []float32) {
	if len(dst) > 0 {
		vek32.Add_Inplace(dst, src)
	}
}
