package bench

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/viterin/vek/vek32"

	"github.com/pare-search/pare/simd"
)

// The shape of the data: documents as long as usual passages, of the width that
// late-interaction models produce.
const (
	dim    = 128
	tokens = 120 // of a document
	cells  = 64  // that the tokens of fused kernels refer to
)

var (
	kernels     = []string{"fp32", "int8", "fused1", "fused2", "fused4", "scan", "rank"}
	queryTokens = []int{4, 8, 16, 32}
	places      = []string{"cache", "ram"}
)

// Case is a kernel, the number of rows of a query and where the documents are.
// The kernels are
//
//	fp32    MaxSim with float32 vectors
//	int8    MaxSim with bytes
//	fused1  MaxSim with codes of 1 bit per dimension and the values of cells
//	fused2  the same with 2 bits
//	fused4  the same with 4 bits
//	scan    comparing the query with all cells of an index
//	rank    adding up the largest bytes of the cells of a document's vectors
//
// In the "cache" it is always the same document of 120 vectors, in "ram" a
// random one of a large set, with the next one read ahead; cells are few, except
// that rank has 65,536 in "ram". A scan is of 8,192 cells in the "cache", of
// eight times as many in "ram".
type Case struct {
	Kernel      string
	QueryTokens int
	Where       string

	level  string
	slice  time.Duration
	kernel work
	vek    work
	peak   work // without run where there is none
}

// floats tells whether the kernel multiplies float32 values, not bytes.
func (c *Case) floats() bool { return c.Kernel == "fp32" }

// NewCases prepares the documents and packs the queries of every case. It
// overrides simd's level until it returns. All cases share memory: only one may
// be measured at a time.
func NewCases(o Options) ([]*Case, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	undo, err := simd.SetLevel(o.Level)
	if err != nil {
		return nil, err
	}
	defer undo()

	rng := rand.New(rand.NewPCG(1, 1))
	s := newSet(rng, o.SetBytes)
	var cases []*Case
	for _, kernel := range kernels {
		for _, rows := range queryTokens {
			query := randomMatrix(rng, rows)
			for _, where := range places {
				cases = append(cases, newCase(rng, s, query, kernel, where, o))
			}
		}
	}
	return cases, nil
}

func newCase(rng *rand.Rand, s *set, query simd.Matrix, kernel, where string, o Options) *Case {
	c := &Case{Kernel: kernel, QueryTokens: query.Rows, Where: where, level: o.Level, slice: sliceOf(o.Duration)}
	// compare returns the work of comparing the query with one of so many
	// documents after the other; it is told the next one too.
	compare := func(documents int, use func(document, next int)) work {
		w := walk{order: []int{0}}
		if where == "ram" {
			w.order = rng.Perm(documents)
		}
		return work{products: query.Rows * tokens * dim, run: func(n int) {
			for range n {
				use(w.next())
			}
		}}
	}
	vectors := func(use func(doc, next simd.Matrix)) work {
		return compare(len(s.floats)/(tokens*dim), func(i, next int) { use(s.matrix(i), s.matrix(next)) })
	}
	codes := func(bytes int, use func(doc, next []byte)) work {
		doc := func(i int) []byte { return s.codes[i*bytes : (i+1)*bytes] }
		return compare(len(s.codes)/bytes, func(i, next int) { use(doc(i), doc(next)) })
	}

	c.vek = vectors(vekDots(query))
	c.peak = peakWork(simd.Int8Peak())
	if c.floats() {
		c.peak = peakWork(simd.FloatPeak())
	}
	switch kernel {
	case "fp32":
		c.kernel = vectors(floatMaxSim(query))
	case "int8":
		c.kernel = codes(tokens*dim, int8MaxSim(query))
	case "fused1":
		c.kernel = codes(simd.PlaneBytes(tokens, dim, 1), codeMaxSim(query, 1))
	case "fused2":
		c.kernel = codes(simd.PlaneBytes(tokens, dim, 2), codeMaxSim(query, 2))
	case "fused4":
		c.kernel = codes(simd.PlaneBytes(tokens, dim, 4), codeMaxSim(query, 4))
	case "scan":
		table := s.table(8 << 10)
		if where == "ram" {
			table = s.table(64 << 10)
		}
		c.kernel = scan(query, table)
	case "rank":
		table := s.table(cells)
		if where == "ram" {
			table = s.table(64 << 10)
		}
		c.kernel = codes(2*tokens, rank(query, table))
		c.peak = work{}
	}
	return c
}

func floatMaxSim(query simd.Matrix) func(doc, next simd.Matrix) {
	var q simd.FloatQuery
	q.Reset(query, nil)
	best := make([]float32, query.Rows)
	return func(doc, next simd.Matrix) { q.Maxima(best, doc, next.Data) }
}

func int8MaxSim(query simd.Matrix) func(doc, next []byte) {
	var q simd.Int8Query
	q.Reset(simd.PackQuery(query), nil)
	best := make([]float32, query.Rows)
	factors, scales := ones(tokens), ones(q.Stride())
	return func(doc, next []byte) { q.Maxima(best, doc, factors, scales, next) }
}

func codeMaxSim(query simd.Matrix, codeBits int) func(planes, next []byte) {
	packed := simd.PackQuery(query)
	var rows simd.CellRows
	rows.Scan(packed, nil, simd.NewCellTable(dim, make([]int8, cells*dim), ones(cells), ones(cells)))
	var q simd.CodeQuery
	q.Reset(packed, nil, weights[codeBits], 1)
	best := make([]float32, query.Rows)
	doc := simd.CodedTokens{Cells: make([]uint32, tokens), Factors: make([]byte, tokens), FactorTable: &[256]float32{1}}
	for t := range doc.Cells {
		doc.Cells[t] = uint32(t % cells)
	}
	return func(planes, next []byte) {
		doc.Planes, doc.Next = planes, next
		q.Maxima(best, doc, &rows)
	}
}

func scan(query simd.Matrix, table *simd.CellTable) work {
	packed := simd.PackQuery(query)
	var rows simd.CellRows
	return work{products: query.Rows * table.Cells * dim, run: func(n int) {
		for range n {
			rows.Scan(packed, nil, table)
		}
	}}
}

func rank(query simd.Matrix, table *simd.CellTable) func(ids, next []byte) {
	var rows simd.CellRows
	rows.Scan(simd.PackQuery(query), nil, table)
	return func(ids, next []byte) { rows.RankScore(ids, 2, next) }
}

// weights are as large as those of an index's codes.
var weights = map[int][]int8{
	1: {-31, 31},
	2: {-31, -9, 9, 31},
	4: {-63, -49, -41, -33, -25, -19, -13, -7, -1, 7, 13, 19, 25, 33, 45, 63},
}

func vekDots(query simd.Matrix) func(doc, next simd.Matrix) {
	var sum float32
	return func(m, _ simd.Matrix) {
		for t := range m.Rows {
			for j := range query.Rows {
				sum += vek32.Dot(query.Row(j), m.Row(t))
			}
		}
	}
}

func ones(n int) []float32 { return slices.Repeat([]float32{1}, n) }

// set is memory to take documents from: vectors, and bytes for every kind of
// codes. What they say does not matter, only that it is not the same memory.
type set struct {
	floats []float32
	codes  []byte
}

// newSet returns a set of so many bytes, half of them vectors. Its values are
// those of one document, again and again.
func newSet(rng *rand.Rand, bytes int) *set {
	s := &set{floats: make([]float32, bytes/2/4), codes: make([]byte, bytes/2)}
	floats := randomMatrix(rng, tokens).Data
	for rest := s.floats; len(rest) > 0; {
		rest = rest[copy(rest, floats):]
	}
	codes := make([]byte, tokens*dim)
	for i := range codes {
		codes[i] = byte(rng.Uint32())
	}
	for rest := s.codes; len(rest) > 0; {
		rest = rest[copy(rest, codes):]
	}
	return s
}

// table returns cells, as many as wanted or as there are codes for. Their values
// are small enough for the faster kernels.
func (s *set) table(cells int) *simd.CellTable {
	cells = min(cells, len(s.codes)/dim)
	centroids := make([]int8, cells*dim)
	for i, code := range s.codes[:len(centroids)] {
		centroids[i] = int8(code%63) - 31
	}
	return simd.NewCellTable(dim, centroids, ones(cells), ones(cells))
}

// matrix returns document i of the vectors.
func (s *set) matrix(i int) simd.Matrix {
	const size = tokens * dim
	return simd.Matrix{Rows: tokens, Dim: dim, Data: s.floats[i*size : (i+1)*size]}
}

// randomMatrix returns vectors of values in -1..1.
func randomMatrix(rng *rand.Rand, rows int) simd.Matrix {
	m := simd.NewMatrix(rows, dim)
	for i := range m.Data {
		m.Data[i] = 2*rng.Float32() - 1
	}
	return m
}

// walk goes through document numbers in a fixed order, round and round.
type walk struct {
	order []int
	at    int
}

// next returns a document's number and the one that follows.
func (w *walk) next() (document, next int) {
	document = w.order[w.at]
	w.at = (w.at + 1) % len(w.order)
	return document, w.order[w.at]
}
