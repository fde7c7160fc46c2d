package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc64"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/pare-search/pare/simd"
)

// plainMaxima computes what the Scorer's documentation says, with a plain
// integer loop in place of the kernels. The similarities of cells are those of
// simd.CellRows, which has tests of its own.
func plainMaxima(t *testing.T, c *Codebook, q *simd.Query, data Payload) (best []float32, arg []int32) {
	t.Helper()
	p, err := c.parse(data)
	if err != nil {
		t.Fatal(err)
	}
	var cells []uint32
	var parts [maxForms]formPart
	if c.kind.Residual() {
		cells, parts = plainForms(t, c, &p)
	}
	var cellRows simd.CellRows
	cellRows.Scan(q, nil, c.table)
	var axisRows simd.CellRows
	if len(c.axes.scale) > 0 {
		axisRows.Scan(q, nil, c.axes.table)
	}
	best, arg = make([]float32, q.Rows), make([]int32, q.Rows)
	simd.Reset(best)
	for row := range q.Rows {
		arg[row] = -1
		codes, rowScale := q.Codes(row)
		var next [maxForms]int // row of each form
		for token := range p.rows {
			var score float32
			var sum int64
			switch c.kind {
			case Float32:
				v := make([]float32, c.dim)
				if err := c.floatRow(v, &p, token); err != nil {
					t.Fatal(err)
				}
				score = pairDot(q.Float().Row(row), v)
			case Int8:
				scale := p.scaleAt(token)
				if !isScale(scale) {
					t.Fatal(p.badScale(token))
				}
				for d, x := range codes {
					sum += int64(x) * int64(int8(p.body[token*c.dim+d]))
				}
				inner := rowScale * float32(sum)
				score = scale * inner
			default:
				cell := cells[token]
				similarity := cellRows.Unit() * float32(cellRows.Value(cell, row))
				number := c.formNumber(cell)
				if number == 0 {
					score = c.cellScale[cell] * similarity
					break
				}
				f, part := &c.forms[number-1], &parts[number-1]
				at := next[number-1]
				next[number-1]++
				values, scale := codes, rowScale
				if f.onAxes {
					on := make([]float32, f.dims)
					for k := range on {
						on[k] = axisRows.Unit() * float32(axisRows.Value(uint32(k), row))
					}
					values = make([]int8, f.dims)
					scale = simd.QuantizeInt8(values, on)
				}
				for d, x := range values {
					sum += int64(x) * int64(f.levels.weights[simd.Code(part.data[part.rows:], part.rows, f.dims, f.bits, at, d)])
				}
				step := scale * f.levels.scale
				step *= c.cellScale[cell]
				inner := float32(step * float32(sum))
				outer := float32(similarity + inner)
				score = f.factors.table[part.data[at]] * outer
			}
			if score > best[row] {
				best[row], arg[row] = score, int32(token)
			}
		}
	}
	return best, arg
}

// formPart is what a payload has of the rows of one form: a factor for each and
// then the planes.
type formPart struct {
	rows       int
	data, want []byte
}

// plainForms returns the cell of every row of a payload and cuts its codes.
func plainForms(t *testing.T, c *Codebook, p *payload) (cells []uint32, parts [maxForms]formPart) {
	t.Helper()
	distinct, err := c.appendCells(nil, p.cells)
	if err != nil {
		t.Fatal(err)
	}
	for row := range p.rows {
		cell := distinct[p.placeAt(row)]
		cells = append(cells, cell)
		if number := c.formNumber(cell); number > 0 {
			parts[number-1].rows++
		}
	}
	rest := p.body
	for i := range c.forms {
		part := &parts[i]
		size := part.rows * (1 + c.forms[i].dims*c.forms[i].bits/8)
		part.data, rest = rest[:size], rest[size:]
	}
	if len(rest) > 0 {
		t.Fatalf("%d bytes are left", len(rest))
	}
	return cells, parts
}

// mixed returns the codebook with its cells in all forms in turn, and none.
func mixed(t testing.TB, c *Codebook) *Codebook {
	t.Helper()
	for cell := range c.formOf {
		c.formOf[cell] = uint8(cell % (1 + len(c.forms)))
	}
	c.seal()
	loaded, err := Load(c.data)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// pairDot is the dot product of two vectors computed with no other.
func pairDot(a, b []float32) float32 {
	var q simd.FloatQuery
	q.Reset(simd.Matrix{Rows: 1, Dim: len(a), Data: a}, nil)
	dots := make([]float32, q.Stride())
	q.Dots(dots, simd.Matrix{Rows: 1, Dim: len(b), Data: b})
	return dots[0]
}

func TestScorerIsExact(t *testing.T) {
	for _, dim := range []int{8, 24, 40, 96, 128, 384, 768, 1024} {
		m, ids := tokens(11, 400, dim, 10)
		for _, kind := range Kinds {
			if kind == Banded && dim > 384 {
				continue // axes of so many dimensions take seconds
			}
			c, data := build(t, m, ids, kind, 37)
			if kind == Banded {
				c = mixed(t, c)
				data = encode(t, c, m.Slice(0, 37), ids[:37])
			}
			s := c.NewScorer()
			for _, rows := range []int{1, 3, 5, 64} { // the scorer is reused
				q := simd.PackQuery(m.Slice(100, 100+rows))
				reset(t, s, q, nil, nil)
				name := fmt.Sprint(kind, " ", dim, " dimensions, ", rows, " rows")
				checkScorer(t, name, c, s, q, data)
				checkScorer(t, name+", no vectors", c, s, q, encode(t, c, simd.Matrix{}, nil))
			}
		}
	}
}

func checkScorer(t *testing.T, name string, c *Codebook, s *Scorer, q *simd.Query, data Payload) {
	t.Helper()
	want, wantArg := plainMaxima(t, c, q, data)
	reset(t, s, q, nil, nil)
	best, arg := make([]float32, q.Rows), make([]int32, q.Rows)
	if err := s.Maxima(data, best, arg); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(best, want) || !slices.Equal(arg, wantArg) {
		t.Fatalf("%s: maxima %v at %v, want %v at %v", name, best, arg, want, wantArg)
	}
	for _, rows := range [][]int{nil, {q.Rows - 1}, {0, q.Rows / 2}, {}} {
		chosen := want
		if rows != nil {
			chosen = nil
			for _, row := range rows {
				chosen = append(chosen, want[row])
			}
		}
		for _, compared := range [][]int{nil, rows} {
			reset(t, s, q, compared, rows)
			got, vectors, err := s.Score(data, data)
			if err != nil {
				t.Fatal(err)
			}
			stored, err := c.Rows(data)
			if err != nil {
				t.Fatal(err)
			}
			if got != simd.Sum(chosen) || vectors != stored {
				t.Fatalf("%s, rows %v of %v: score %v of %d vectors, want %v of %d", name, rows, compared, got, vectors, simd.Sum(chosen), stored)
			}
		}
	}
}

func reset(t testing.TB, s *Scorer, q *simd.Query, rows, summed []int) {
	t.Helper()
	if err := s.Reset(q, rows, summed); err != nil {
		t.Fatal(err)
	}
}

// TestScorerAgreesWithDecode compares scores with float64 dot products of the
// decoded vectors. They may differ by the rounding of the query to int8, at
// most half its scale per dimension, and by float32 rounding.
func TestScorerAgreesWithDecode(t *testing.T) {
	m, ids := tokens(12, 1000, 128, 20)
	for _, kind := range Kinds {
		c, data := build(t, m, ids, kind, 60)
		vectors, err := c.Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		q := simd.PackQuery(m.Slice(500, 532))
		s := c.NewScorer()
		reset(t, s, q, nil, nil)
		best, arg := make([]float32, q.Rows), make([]int32, q.Rows)
		if err := s.Maxima(data, best, arg); err != nil {
			t.Fatal(err)
		}
		for row := range q.Rows {
			_, scale := q.Codes(row)
			want, bound := math.Inf(-1), 0.0
			for token := range vectors.Rows {
				var dot, size float64
				for d, x := range vectors.Row(token) {
					dot += float64(x) * float64(q.Float().Row(row)[d])
					size += math.Abs(float64(x)) // of all of v: more than of the residual alone
				}
				want = max(want, dot)
				bound = max(bound, float64(scale)/2*size*1.5+1e-5)
			}
			if kind == Float32 {
				bound = 1e-5
			}
			if diff := math.Abs(float64(best[row]) - want); diff > bound {
				t.Errorf("%v, row %d: %v, want %v within %g", kind, row, best[row], want, bound)
			}
		}
	}
}

// TestRefine compares with the int8 payload of the same vectors, which says the
// same in another place.
func TestRefine(t *testing.T) {
	m, ids := tokens(13, 500, 24, 10)
	q := simd.PackQuery(m.Slice(100, 108))
	c := train(t, m, ids, Int8)
	s := c.NewScorer()
	for _, n := range []int{0, 1, 50} {
		reset(t, s, q, nil, []int{1, 3, 4})
		want, _, err := s.Score(encode(t, c, m.Slice(0, n), nil), Payload{})
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range Kinds {
			c := train(t, m, ids, kind)
			refinement, err := c.EncodeRefinement(t.Context(), nil, m.Slice(0, n))
			if err != nil {
				t.Fatal(err)
			}
			if rows, err := c.CheckRefinement(refinement); rows != n || err != nil {
				t.Errorf("%v: %d vectors, %v", kind, rows, err)
			}
			s := c.NewScorer()
			reset(t, s, q, nil, []int{1, 3, 4})
			if got, err := s.Refine(refinement, nil); got != want || err != nil {
				t.Errorf("%v, %d vectors: %v (%v), want %v", kind, n, got, err, want)
			}
		}
	}
}

func TestScorerRefuses(t *testing.T) {
	m, ids := tokens(14, 200, 16, 5)
	c, data := build(t, m, ids, Residual2, 10)
	s := c.NewScorer()
	refused := func(what string) {
		t.Helper()
		if _, _, err := s.Score(data, Payload{}); !errors.Is(err, ErrShape) {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("without a query")
	if err := s.Reset(simd.PackQuery(simd.NewMatrix(2, 24)), nil, nil); !errors.Is(err, ErrShape) {
		t.Errorf("24 dimensions: %v", err)
	}
	refused("with 24 dimensions")
	q := simd.PackQuery(m.Slice(0, 2))
	for _, rows := range [][]int{{2}, {-1}} {
		if err := s.Reset(q, rows, nil); !errors.Is(err, ErrShape) {
			t.Errorf("rows %v: %v", rows, err)
		}
	}
	if err := s.Reset(q, []int{0}, []int{1}); !errors.Is(err, ErrShape) {
		t.Errorf("a row in the score that is not compared: %v", err)
	}
	reset(t, s, q, nil, nil)
	if err := s.Maxima(data, make([]float32, 3), nil); !errors.Is(err, ErrShape) {
		t.Errorf("three maxima of two rows: %v", err)
	}
	if _, _, err := s.Score(data, Payload{}); err != nil {
		t.Errorf("after errors: %v", err)
	}
}

func TestScorerDoesNotAllocate(t *testing.T) {
	m, ids := tokens(15, 500, 128, 10)
	for _, kind := range Kinds {
		c, data := build(t, m, ids, kind, 50)
		s := c.NewScorer()
		queries := []*simd.Query{simd.PackQuery(m.Slice(100, 132)), simd.PackQuery(m.Slice(200, 220))}
		some := []int{1, 2, 7}
		i := 0
		run := func() {
			for _, rows := range [][]int{nil, some} {
				if err := s.Reset(queries[i%2], rows, rows); err != nil {
					t.Fatal(err)
				}
				if _, err := s.RankScore(data.Cells, nil); err != nil {
					t.Fatal(err)
				}
				if _, _, err := s.Score(data, Payload{}); err != nil {
					t.Fatal(err)
				}
			}
			i++
		}
		run()
		run()
		run()
		if allocs := testing.AllocsPerRun(20, run); allocs > 0 {
			t.Errorf("%v: %g allocations per query", kind, allocs)
		}
	}
}

// checkDamaged uses a payload of unknown origin in every way. What Check
// accepts, the others must accept.
func checkDamaged(t *testing.T, c *Codebook, s *Scorer, data Payload) {
	t.Helper()
	_, checked := c.Check(data)
	_, _, scored := s.Score(data, Payload{})
	_, decoded := c.Decode(data)
	_, cells := c.DocumentCells(data.Cells)
	_, ranked := s.RankScore(data.Cells, nil)
	_, refined := s.Refine(data.Codes, nil)
	_, checkedRefinement := c.CheckRefinement(data.Codes)
	_, decodedRefinement := c.DecodeRefinement(data.Codes)
	if checkedRefinement == nil && (refined != nil || decodedRefinement != nil) {
		t.Fatalf("refinement checked, but not scored: %v, or not decoded: %v", refined, decodedRefinement)
	}
	for _, err := range []error{checked, scored, decoded, cells, ranked} {
		if err != nil && (checked == nil || !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrVersion)) {
			t.Fatalf("check %v, score %v, decode %v, cells %v, rank score %v", checked, scored, decoded, cells, ranked)
		}
	}
	// Other kinds are scored and decoded without their cells, and none looks for cells
	// of no row.
	spare := checked != nil && strings.Contains(checked.Error(), "of no row")
	if c.Kind().Residual() && (checked == nil || spare) != (scored == nil && decoded == nil) {
		t.Fatalf("check %v, but score %v, decode %v", checked, scored, decoded)
	}
}

func TestDamagedPayloads(t *testing.T) {
	m, ids := tokens(16, 300, 32, 5)
	for _, kind := range Kinds {
		c, data := build(t, m, ids, kind, 3)
		if kind == Banded {
			c = mixed(t, c)
			data = encode(t, c, m.Slice(0, 12), ids[:12])
		}
		s := c.NewScorer()
		reset(t, s, simd.PackQuery(m.Slice(50, 54)), nil, nil)
		for n := range data.Codes {
			short := Payload{data.Cells, data.Codes[:n]}
			if _, err := c.Check(short); !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrVersion) {
				t.Fatalf("%v: first %d bytes: %v", kind, n, err)
			}
			checkDamaged(t, c, s, short)
		}
		for n := range data.Cells {
			short := Payload{data.Cells[:n], data.Codes}
			if _, err := c.Check(short); kind.Residual() && !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%v: first %d bytes of cells: %v", kind, n, err)
			}
			checkDamaged(t, c, s, short)
		}
		checkDamaged(t, c, s, Payload{data.Cells, append(slices.Clone(data.Codes), 0)})
		checkDamaged(t, c, s, Payload{append(slices.Clone(data.Cells), 0), data.Codes})
		for bit := range 8 * len(data.Codes) {
			damaged := slices.Clone(data.Codes)
			damaged[bit/8] ^= 1 << (bit % 8)
			checkDamaged(t, c, s, Payload{data.Cells, damaged})
			if bit < 8*5 {
				if _, err := c.Check(Payload{data.Cells, damaged}); err == nil {
					t.Errorf("%v: header bit %d flipped, nobody noticed", kind, bit)
				}
			}
		}
		for bit := range 8 * len(data.Cells) {
			damaged := slices.Clone(data.Cells)
			damaged[bit/8] ^= 1 << (bit % 8)
			checkDamaged(t, c, s, Payload{damaged, data.Codes})
		}
	}
}

func FuzzPayload(f *testing.F) {
	m, ids := tokens(17, 300, 32, 5)
	books, scorers := make(map[Kind]*Codebook), make(map[Kind]*Scorer)
	for _, kind := range Kinds {
		c, data := build(f, m, ids, kind, 3)
		if kind == Banded {
			c = mixed(f, c)
			data = encode(f, c, m.Slice(0, 12), ids[:12])
		}
		books[kind], scorers[kind] = c, c.NewScorer()
		reset(f, scorers[kind], simd.PackQuery(m.Slice(50, 54)), nil, nil)
		f.Add(uint8(kind), data.Cells, data.Codes)
	}
	f.Fuzz(func(t *testing.T, kind uint8, cells, codes []byte) {
		if c := books[Kind(kind)]; c != nil {
			checkDamaged(t, c, scorers[Kind(kind)], Payload{cells, codes})
		}
	})
}

func TestLoad(t *testing.T) {
	m, ids := tokens(18, 40000, 8, 60)
	for _, kind := range Kinds {
		for _, ids := range [][]uint32{ids, nil} {
			opts := DefaultOptions()
			opts.Kind, opts.Cells = kind, 600 // enough for coarse groups
			c, err := Train(t.Context(), m, ids, opts, nil)
			if err != nil {
				t.Fatal(err)
			}
			data, err := c.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			size := 0
			for _, section := range c.Sections() {
				size += section.Bytes
			}
			if size != len(data) {
				t.Errorf("%v: sections are %d bytes, the codebook %d", kind, size, len(data))
			}
			back, err := Load(data)
			if err != nil {
				t.Fatal(err)
			}
			if back.Checksum() != c.Checksum() || back.Cells() != c.Cells() || back.Dim() != 8 || back.Kind() != kind {
				t.Errorf("%v came back as %v, %d cells", kind, back.Kind(), back.Cells())
			}
			a := encode(t, c, m.Slice(0, 100), firstIDs(ids, 100))
			b := encode(t, back, m.Slice(0, 100), firstIDs(ids, 100))
			if !equalPayloads(a, b) {
				t.Errorf("%v: payload differs after Load", kind)
			}
		}
	}
}

// reseal corrects the checksum of a damaged codebook, so that the fields
// behind it are looked at.
func reseal(data []byte) []byte {
	if len(data) < checksumBytes {
		return data
	}
	body := data[:len(data)-checksumBytes]
	return binary.LittleEndian.AppendUint64(slices.Clone(body), crc64.Checksum(body, crcTable))
}

// checkLoaded uses a codebook of unknown origin if Load accepts it.
func checkLoaded(t *testing.T, data []byte) {
	t.Helper()
	c, err := Load(data)
	if err != nil {
		if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrVersion) {
			t.Fatal(err)
		}
		return
	}
	m, ids := tokens(19, 4, c.Dim(), 3)
	payload := encode(t, c, m, ids)
	if _, err := c.Check(payload); err != nil {
		t.Fatal(err)
	}
	encode(t, c, m, nil)
	s := c.NewScorer()
	reset(t, s, simd.PackQuery(m), nil, nil)
	if _, _, err := s.Score(payload, Payload{}); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedCodebooks(t *testing.T) {
	for _, kind := range []Kind{Banded, Residual2, Int8} {
		dim := 8
		if kind == Banded {
			dim = 16 // has axes
		}
		m, ids := tokens(20, 300, dim, 5)
		data, err := train(t, m, ids, kind).MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		for n := range data {
			if _, err := Load(data[:n]); err == nil {
				t.Fatalf("first %d bytes are a codebook", n)
			}
			checkLoaded(t, reseal(data[:n]))
		}
		for bit := range 8 * len(data) {
			damaged := slices.Clone(data)
			damaged[bit/8] ^= 1 << (bit % 8)
			if _, err := Load(damaged); err == nil {
				t.Fatalf("bit %d flipped, nobody noticed", bit)
			}
			checkLoaded(t, reseal(damaged))
		}
	}
}

func FuzzLoad(f *testing.F) {
	m, ids := tokens(21, 300, 16, 5)
	for _, kind := range Kinds {
		data, err := train(f, m, ids, kind).MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		checkLoaded(t, data)
		checkLoaded(t, reseal(data))
	})
}

func BenchmarkScore(b *testing.B) {
	const rows, length = 32, 120
	m, ids := tokens(22, 12000, 128, 300)
	for _, kind := range Kinds {
		b.Run(kind.String(), func(b *testing.B) {
			c := train(b, m, ids, kind)
			var docs []Payload
			for at := 0; at+length <= m.Rows; at += length {
				docs = append(docs, encode(b, c, m.Slice(at, at+length), ids[at:at+length]))
			}
			rng := rand.New(rand.NewPCG(1, 1))
			s := c.NewScorer()
			reset(b, s, simd.PackQuery(m.Slice(0, rows)), nil, nil)
			for b.Loop() {
				if _, _, err := s.Score(docs[rng.IntN(len(docs))], docs[rng.IntN(len(docs))]); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(rows*length)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mpair/s")
		})
	}
}

func BenchmarkTrain(b *testing.B) {
	m, ids := tokens(23, 150_000, 128, 5000)
	for name, ids := range map[string][]uint32{"ids": ids, "noids": nil} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := Train(b.Context(), m, ids, DefaultOptions(), nil); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(m.Rows)*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}

// BenchmarkEncode encodes documents one by one and all together.
func BenchmarkEncode(b *testing.B) {
	const length = 120
	m, ids := tokens(24, 30_000, 128, 500)
	for name, ids := range map[string][]uint32{"ids": ids, "noids": nil} {
		for _, kind := range Kinds {
			c := train(b, m, ids, kind)
			var documents []Document
			for at := 0; at < m.Rows; at += length {
				d := Document{Vectors: m.Slice(at, at+length)}
				if ids != nil {
					d.IDs = ids[at : at+length]
				}
				documents = append(documents, d)
			}
			b.Run(name+"/"+kind.String()+"/one", func(b *testing.B) {
				for i := 0; b.Loop(); i++ {
					d := documents[i%len(documents)]
					if _, err := c.Encode(d.Vectors, d.IDs); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(length*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
			})
			b.Run(name+"/"+kind.String()+"/all", func(b *testing.B) {
				for b.Loop() {
					if _, err := c.EncodeAll(b.Context(), documents); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(m.Rows)*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
			})
		}
	}
}

// manyCells makes a codebook of random cells, in all forms and without codes if it
// is banded: training so many would take long.
func manyCells(t testing.TB, kind Kind, dim, cells int) *Codebook {
	t.Helper()
	m, ids := tokens(3, 300, dim, 5)
	trained := train(t, m, ids, kind)
	rng := rand.New(rand.NewPCG(1, 2))
	c := &Codebook{
		kind: kind, dim: dim, forms: trained.forms, axes: trained.axes,
		centroids: make([]int8, cells*dim), centroidScale: make([]float32, cells),
		cellScale: make([]float32, cells), first: []uint32{0},
	}
	for i := range c.centroids {
		c.centroids[i] = int8(rng.IntN(63) - 31)
	}
	for i := range cells {
		c.centroidScale[i], c.cellScale[i] = 0.01, 0.1+rng.Float32()/10
	}
	if kind == Banded {
		c.formOf = make([]uint8, cells)
		for i := range c.formOf {
			c.formOf[i] = uint8(rng.IntN(1 + len(c.forms)))
		}
	}
	c.coarse = coarse{floats: simd.Matrix{Dim: dim}, first: []uint32{0}}
	c.expand()
	c.seal()
	loaded, err := Load(c.data)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// payloadOf makes a payload of rows in the given cells, with random codes.
func payloadOf(c *Codebook, rowCells []uint32, rng *rand.Rand) Payload {
	cells := slices.Clone(rowCells)
	slices.Sort(cells)
	cells = slices.Compact(cells)
	size := 0
	for _, cell := range rowCells {
		if f := c.form(cell); f != nil {
			size += f.bytes()
		}
	}
	names := c.putCells(cells)
	codes, p := c.start(nil, names, c.kind, len(rowCells), size)
	for row, cell := range rowCells {
		place, _ := slices.BinarySearch(cells, cell)
		p.setPlace(row, place)
	}
	for i := range p.body {
		p.body[i] = byte(rng.IntN(256))
	}
	return Payload{names, codes}
}

// TestScorerWithManyCells: cells of 2 and 3 bytes, places of 1, 2 and 3 bytes,
// and cells without codes among others.
func TestScorerWithManyCells(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	m := simd.NewMatrix(40, 8)
	for i := range m.Data {
		m.Data[i] = float32(rng.NormFloat64())
	}
	q := simd.PackQuery(m)
	for _, cells := range []int{1 << 16, 1<<16 + 1} {
		c := manyCells(t, Banded, 8, cells)
		for _, distinct := range []int{1, 256, 257, 1 << 16, 1<<16 + 1} {
			if distinct > cells {
				continue
			}
			var rowCells []uint32
			for _, cell := range rng.Perm(cells)[:distinct] {
				rowCells = append(rowCells, uint32(cell))
			}
			rowCells = append(rowCells, rowCells[:min(40, distinct)]...)
			data := payloadOf(c, rowCells, rng)
			if rows, err := c.Check(data); err != nil || rows != len(rowCells) {
				t.Fatalf("%d cells, %d of them used: %d rows, %v", cells, distinct, rows, err)
			}
			checkScorer(t, fmt.Sprintf("%d cells, %d of them used", cells, distinct), c, c.NewScorer(), q, data)
		}
	}
}

// TestDamagedPayloadsOfManyCells goes through the paths that small codebooks
// never take.
func TestDamagedPayloadsOfManyCells(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	c := manyCells(t, Banded, 8, 70_000)
	m := simd.NewMatrix(35, 8)
	for i := range m.Data {
		m.Data[i] = float32(rng.NormFloat64())
	}
	s := c.NewScorer()
	reset(t, s, simd.PackQuery(m), nil, nil)
	for range 3000 {
		n := rng.IntN(20)
		if rng.IntN(20) == 0 {
			n = 250 + rng.IntN(20)
		}
		rowCells := make([]uint32, n)
		for i := range rowCells {
			rowCells[i] = uint32(rng.IntN(c.Cells()))
		}
		data := payloadOf(c, rowCells, rng)
		for range 1 + rng.IntN(3) {
			part := &data.Codes
			if len(data.Cells) > 0 && rng.IntN(3) == 0 {
				part = &data.Cells
			}
			switch d := *part; rng.IntN(4) {
			case 0:
				d[rng.IntN(len(d))] = byte(rng.IntN(256))
			case 1:
				d[rng.IntN(min(10, len(d)))] += byte(rng.IntN(5) - 2)
			case 2:
				*part = d[:rng.IntN(len(d))+1]
			case 3:
				*part = slices.Insert(d, rng.IntN(len(d)), byte(rng.IntN(256)))
			}
		}
		checkDamaged(t, c, s, data)
	}
}
