package codec

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/pare-search/pare/simd"
)

// tokens returns vectors of unit length around a direction per token id, and
// the ids: frequent ids have low numbers.
func tokens(seed uint64, n, dim, vocabulary int) (simd.Matrix, []uint32) {
	rng := rand.New(rand.NewPCG(seed, 0))
	words := simd.NewMatrix(vocabulary, dim)
	shared := rand.New(rand.NewPCG(7, 7))
	for i := range words.Data {
		words.Data[i] = float32(shared.NormFloat64())
	}
	m := simd.NewMatrix(n, dim)
	ids := make([]uint32, n)
	for i := range n {
		u := rng.Float64()
		ids[i] = uint32(float64(vocabulary) * u * u * u)
		for d, w := range words.Row(int(ids[i])) {
			m.Row(i)[d] = w + float32(rng.NormFloat64())*0.8
		}
	}
	m.Normalize()
	return m, ids
}

func train(t testing.TB, m simd.Matrix, ids []uint32, kind Kind) *Codebook {
	t.Helper()
	opts := DefaultOptions()
	opts.Kind = kind
	c, err := Train(t.Context(), m, ids, opts, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// build trains with options of its own and encodes the first rows as one
// document.
func build(t testing.TB, m simd.Matrix, ids []uint32, kind Kind, rows int) (*Codebook, Payload) {
	t.Helper()
	c := train(t, m, ids, kind)
	return c, encode(t, c, m.Slice(0, rows), firstIDs(ids, rows))
}

func encode(t testing.TB, c *Codebook, m simd.Matrix, ids []uint32) Payload {
	t.Helper()
	encoded, err := c.Encode(m, ids)
	if err != nil {
		t.Fatal(err)
	}
	return encoded.Payload
}

func equalPayloads(a, b Payload) bool {
	return bytes.Equal(a.Cells, b.Cells) && bytes.Equal(a.Codes, b.Codes)
}

func firstIDs(ids []uint32, n int) []uint32 {
	if ids == nil {
		return nil
	}
	return ids[:n]
}

// squaredError returns the mean squared distance between the rows of a and b.
func squaredError(a, b simd.Matrix) float64 {
	var sum float64
	for i, x := range a.Data {
		sum += math.Pow(float64(x)-float64(b.Data[i]), 2)
	}
	return sum / float64(a.Rows)
}

func TestErrorFallsWithBits(t *testing.T) {
	for _, dim := range []int{8, 24, 40, 96, 128, 384, 768, 1024} {
		m, ids := tokens(1, 600, dim, 20)
		last := 1.0                      // unit vectors against nothing at all
		for _, kind := range Kinds[1:] { // all but banded, which has a test of its own
			c, data := build(t, m, ids, kind, 100)
			got, err := c.Decode(data)
			if err != nil {
				t.Fatal(err)
			}
			e := squaredError(m.Slice(0, 100), got)
			if e > last/2 {
				t.Errorf("%v, %d dimensions: squared error %g, that of the kind before is %g", kind, dim, e, last)
			}
			last = e
		}
		if last != 0 {
			t.Errorf("float32, %d dimensions: squared error %g", dim, last)
		}
	}
}

// TestPayloadBytes pins the sizes that the documentation promises.
func TestPayloadBytes(t *testing.T) {
	m, ids := tokens(1, 300, 128, 5)
	for kind, perVector := range map[Kind]int{Residual1: 18, Residual2: 34, Residual4: 66, Int8: 132, Float32: 512} {
		c := train(t, m, ids, kind)
		encoded, err := c.Encode(m.Slice(0, 100), ids[:100])
		if err != nil {
			t.Fatal(err)
		}
		data, cells := encoded.Payload, len(encoded.Cells)
		if want := 5 + 100*perVector; len(data.Cells) != 2*cells || len(data.Codes) != want || data.Size() != 2*cells+want {
			t.Errorf("%v: %d and %d bytes for 100 vectors in %d cells, want %d for the codes", kind, len(data.Cells), len(data.Codes), cells, want)
		}
	}
}

func TestDecodedLength(t *testing.T) {
	m, ids := tokens(2, 500, 96, 10)
	for i := range 100 {
		for d := range m.Row(i) {
			m.Row(i)[d] *= float32(1 + i) // lengths 1 to 100
		}
	}
	for _, kind := range []Kind{Residual1, Residual2, Residual4} {
		c, data := build(t, m, ids, kind, 100)
		got, err := c.Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		for i := range got.Rows {
			length := math.Sqrt(float64(simd.Dot(got.Row(i), got.Row(i))))
			// The nearest factor is off by half a ratio at most.
			if want := float64(1 + i); math.Abs(length-want) > want*(float64(c.forms[0].factors.ratio)-1)/1.9 {
				t.Errorf("%v: vector %d has length %g, want %g", kind, i, length, want)
			}
		}
	}
}

func TestPlanesNest(t *testing.T) {
	const rows, dim = 40, 40
	m, ids := tokens(3, 2000, dim, 30)
	planes := make(map[Kind][]byte)
	for _, kind := range []Kind{Residual1, Residual2, Residual4} {
		c, data := build(t, m, ids, kind, rows)
		p, err := c.parse(data)
		if err != nil {
			t.Fatal(err)
		}
		planes[kind] = p.body[rows:] // after the factors
	}
	one, two := planes[Residual1], planes[Residual2]
	if !bytes.Equal(one, two[:len(one)]) {
		t.Error("plane 0 of residual1 and residual2 differ")
	}
	if !bytes.Equal(two, planes[Residual4][:len(two)]) {
		t.Error("planes 0 and 1 of residual2 and residual4 differ")
	}
}

func TestLevelsOfNormalDistribution(t *testing.T) {
	// Max, Quantizing for minimum distortion, 1960, table I: cuts and outputs
	// of the best quantiser with 2 and 4 levels.
	for _, want := range []struct {
		bits    int
		cuts    []float64
		weights []float64
	}{
		{1, []float64{0}, []float64{-.7980, .7980}},
		{2, []float64{-.9816, 0, .9816}, []float64{-1.510, -.4528, .4528, 1.510}},
	} {
		l, err := trainLevels(t.Context(), normalQuantiles(1<<16), want.bits)
		if err != nil {
			t.Fatal(err)
		}
		for i, cut := range want.cuts {
			if math.Abs(float64(l.cuts[i])-cut) > 0.01 {
				t.Errorf("%d bits: cut %d is %g, want %g", want.bits, i, l.cuts[i], cut)
			}
		}
		for i, w := range want.weights {
			if got := float64(l.scale) * float64(l.weights[i]); math.Abs(got-w) > float64(l.scale)/2+0.01 {
				t.Errorf("%d bits: weight %d is %g, want %g", want.bits, i, got, w)
			}
		}
	}
}

func TestSortFloats(t *testing.T) {
	rng := rand.New(rand.NewPCG(35, 35))
	for _, n := range []int{0, 1, 2, 1000} {
		values := make([]float32, n)
		for i := range values {
			for {
				if values[i] = math.Float32frombits(rng.Uint32()); values[i] == values[i] {
					break
				}
			}
		}
		copy(values, []float32{float32(math.Inf(1)), 0, float32(math.Inf(-1)), 1, 1, math.MaxFloat32, -math.MaxFloat32, -1e-45})
		want := slices.Sorted(slices.Values(values))
		sortFloats(t.Context(), values)
		if !slices.Equal(values, want) {
			t.Errorf("%d values are not sorted", n)
		}
	}
}

func TestTrainIsDeterministic(t *testing.T) {
	m, ids := tokens(4, 40000, 8, 50)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, ids := range [][]uint32{ids, nil} {
		var first *Codebook
		for _, procs := range []int{1, 2, 5} {
			runtime.GOMAXPROCS(procs)
			opts := DefaultOptions()
			opts.Cells = 600 // enough for the shared and the two-level paths
			c, err := Train(t.Context(), m, ids, opts, nil)
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = c
				if c.coarse.floats.Rows == 0 {
					t.Fatalf("%d cells have no coarse groups", c.Cells())
				}
			}
			if !bytes.Equal(c.data, first.data) {
				t.Errorf("codebook of %d processors differs from that of one", procs)
			}
		}
	}
}

// TestTinyCollections trains on samples with nothing to learn from.
// A codebook that saw no vectors, or only zeros, must still code those to come.
func TestCodesVectorsAfterEmptySample(t *testing.T) {
	const dim = 64
	vectors, ids := tokens(1, 50, dim, 20)
	zeros := simd.NewMatrix(3, dim)
	for _, kind := range Kinds {
		for name, sample := range map[string]simd.Matrix{"no vectors": {Dim: dim}, "zeros": zeros} {
			book := train(t, sample, make([]uint32, sample.Rows), kind)
			decoded, err := book.Decode(encode(t, book, vectors, ids))
			if err != nil {
				t.Fatal(err)
			}
			// Unit vectors coded with one bit and no centroid keep 2/pi of
			// their square (the mean of a half-normal), so an error below 1/2
			// leaves room and zeros, whose error is 1, do not pass.
			if e := squaredError(vectors, decoded); e > 0.5 {
				t.Errorf("%v after %s: squared error %v of 1", kind, name, e)
			}
		}
	}
}

func TestTinyCollections(t *testing.T) {
	equal := simd.NewMatrix(200, 16)
	for i := range equal.Data {
		equal.Data[i] = float32(i%16) - 4
	}
	some, _ := tokens(5, 5, 16, 3)
	huge, tiny := simd.NewMatrix(50, 16), simd.NewMatrix(50, 16)
	for i := range huge.Data {
		huge.Data[i] = MaxComponent * float32(1-i%3)
		tiny.Data[i] = 1e-38 * float32(i%7)
	}
	for name, m := range map[string]simd.Matrix{
		"no vectors":  {Dim: 16},
		"one vector":  some.Slice(0, 1),
		"few vectors": some,
		"all equal":   equal,
		"all zero":    simd.NewMatrix(100, 16),
		"huge":        huge,
		"tiny":        tiny,
	} {
		for _, kind := range Kinds {
			for _, ids := range [][]uint32{nil, make([]uint32, m.Rows)} {
				opts := DefaultOptions()
				opts.Kind, opts.Cells = kind, 40
				c, err := Train(t.Context(), m, ids, opts, nil)
				if err != nil {
					t.Fatalf("%s, %v: %v", name, kind, err)
				}
				if c.Cells() < 1 {
					t.Fatalf("%s, %v: %d cells", name, kind, c.Cells())
				}
				if _, err := Load(c.data); err != nil {
					t.Errorf("%s, %v: %v", name, kind, err)
				}
				for _, doc := range []simd.Matrix{m, {}, some} {
					data := encode(t, c, doc, nil)
					if rows, err := c.Check(data); err != nil || rows != doc.Rows {
						t.Errorf("%s, %v: %d rows, %v", name, kind, rows, err)
					}
				}
				back, err := c.Decode(encode(t, c, m, ids))
				if err != nil {
					t.Fatal(err)
				}
				if name == "all equal" {
					// Only the rounding of centroids to int8 is left.
					if e := squaredError(m, back); e > 1e-4*float64(simd.Dot(m.Row(0), m.Row(0))) {
						t.Errorf("%s, %v: squared error %g", name, kind, e)
					}
				}
			}
		}
	}
}

// TestCellOf compares the search through groups with a plain loop over cells.
func TestCellOf(t *testing.T) {
	m, ids := tokens(6, 20000, 32, 400)
	opts := DefaultOptions()
	opts.Cells = 800
	c, err := Train(t.Context(), m, ids, opts, nil)
	if err != nil {
		t.Fatal(err)
	}
	distance := func(v []float32, cell int) (sum float64) {
		for d, x := range c.Centroid(cell) {
			sum += math.Pow(float64(x)-float64(v[d]), 2)
		}
		return sum
	}
	known, unknown := c.newFinder(), c.newFinder()
	for i := range 500 {
		known.add(m.Row(i), ids[i], true)
		unknown.add(m.Row(i), 0, false)
	}
	known.find(t.Context())
	unknown.find(t.Context())
	found := 0
	for i := range 500 {
		v := m.Row(i)
		got := int(unknown.cells[i])
		best := 0
		for cell := range c.Cells() {
			if distance(v, cell) < distance(v, best) {
				best = cell
			}
		}
		if got == best {
			found++
		}

		own, ok := slices.BinarySearch(c.ids, ids[i])
		if !ok {
			continue
		}
		got = int(known.cells[i])
		best = int(c.first[own])
		for cell := best; cell < int(c.first[own+1]); cell++ {
			if distance(v, cell) < distance(v, best) {
				best = cell
			}
		}
		if distance(v, got) > distance(v, best)*(1+1e-5) {
			t.Fatalf("vector %d of id %d: cell %d, want %d", i, ids[i], got, best)
		}
	}
	if found < 490 {
		t.Errorf("groups found the nearest cell of %d of 500 vectors", found)
	}
}

func TestEncodeReturnsDistinctCells(t *testing.T) {
	m, ids := tokens(7, 3000, 16, 60)
	for _, kind := range Kinds {
		c := train(t, m, ids, kind)
		encoded, err := c.Encode(m.Slice(0, 200), ids[:200])
		if err != nil {
			t.Fatal(err)
		}
		f := c.newFinder()
		for i := range 200 {
			f.add(m.Row(i), ids[i], true)
		}
		f.find(t.Context())
		want := slices.Clone(f.cells)
		slices.Sort(want)
		if want = slices.Compact(want); !slices.Equal(encoded.Cells, want) {
			t.Errorf("%v: cells %v, want %v", kind, encoded.Cells, want)
		}
		if got, err := c.DocumentCells(encoded.Payload.Cells); err != nil || !slices.Equal(got, want) {
			t.Errorf("%v: cells of the payload %v (%v), want %v", kind, got, err, want)
		}
	}
}

// TestScalesAreChecked: a scale of int8 payloads is neither negative nor
// infinite nor NaN, for then scores would be nonsense.
func TestScalesAreChecked(t *testing.T) {
	m, ids := tokens(27, 300, 8, 5)
	c := train(t, m, ids, Int8)
	data := encode(t, c, m.Slice(0, 1), ids[:1])
	p, err := c.parse(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []float64{-1, math.Inf(1), math.NaN()} {
		binary.LittleEndian.PutUint32(p.factors, math.Float32bits(float32(bad)))
		if _, err := c.Check(data); !errors.Is(err, ErrCorrupt) {
			t.Errorf("scale %v: %v", bad, err)
		}
	}
}

// TestCellOfNoRow: a cell that a document names and none of its rows lies in would
// count for it when it is ranked.
func TestCellOfNoRow(t *testing.T) {
	m, ids := tokens(27, 300, 32, 5)
	for _, kind := range Kinds {
		if !kind.Residual() {
			continue
		}
		c := train(t, m, ids, kind)
		same := simd.NewMatrix(6, 32)
		for row := range same.Rows {
			copy(same.Row(row), m.Row(0))
		}
		data := encode(t, c, same, make([]uint32, 6))
		if rows, err := c.Check(data); err != nil || rows != 6 || len(data.Cells) != 2 {
			t.Fatalf("%v: %d rows in %d bytes of cells, %v", kind, rows, len(data.Cells), err)
		}
		cell := binary.LittleEndian.Uint16(data.Cells)
		other := binary.LittleEndian.AppendUint16(nil, (cell+1)%uint16(c.Cells()))
		data.Cells = append(slices.Clone(data.Cells), other...)
		if int(cell)+1 == c.Cells() {
			data.Cells = append(other, data.Cells[:2]...)
		}
		if _, err := c.Check(data); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "of no row") {
			t.Errorf("%v: %v", kind, err)
		}
	}
}

func TestEncodeRefusesBadVectors(t *testing.T) {
	m, ids := tokens(8, 100, 16, 5)
	c := train(t, m, ids, Residual2)
	nan := simd.NewMatrix(2, 16)
	nan.Data[20] = float32(math.NaN())
	large := simd.NewMatrix(2, 16)
	large.Data[3] = 2 * MaxComponent
	for _, bad := range []struct {
		m    simd.Matrix
		ids  []uint32
		want error
	}{
		{simd.NewMatrix(2, 24), nil, ErrShape},
		{m, ids[:5], ErrShape},
		{simd.Matrix{Rows: 2, Dim: 16, Data: make([]float32, 31)}, nil, simd.ErrShape},
		{nan, nil, simd.ErrNotFinite},
		{large, nil, ErrShape},
	} {
		if encoded, err := c.Encode(bad.m, bad.ids); !errors.Is(err, bad.want) || encoded.Payload.Size() != 0 {
			t.Errorf("%d x %d: %v, want %v", bad.m.Rows, bad.m.Dim, err, bad.want)
		}
	}
}

// TestShare checks the rule itself: counts grow with the weight, keep within
// their limits and add up to what was asked for, as far as limits allow.
func TestShare(t *testing.T) {
	m, ids := tokens(25, 20000, 16, 300)
	byID, _ := groupByID(t.Context(), sequence(m.Rows), ids, 1)
	for _, cells := range []int{1, 300, 400, 500, 1 << 20} {
		var groups []group
		for _, id := range slices.Sorted(maps.Keys(byID)) {
			groups = append(groups, group{rows: byID[id]})
		}
		share(t.Context(), m, groups, cells)
		sum, room := 0, 0
		for _, g := range groups {
			limit := max(1, len(g.rows)/39)
			if g.cells < 1 || g.cells > limit {
				t.Errorf("%d cells for %d vectors", g.cells, len(g.rows))
			}
			sum += g.cells
			room += limit
		}
		want := min(max(cells, len(groups)), room)
		if sum > want || sum < want*9/10 {
			t.Errorf("%d cells shared out, want %d", sum, want)
		}
	}
}

func TestTrainStopsWithContext(t *testing.T) {
	m, ids := tokens(9, 2000, 16, 5)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Train(ctx, m, ids, DefaultOptions(), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}

func TestTrainReportsProgress(t *testing.T) {
	m, ids := tokens(10, 5000, 16, 50)
	last, end := 0, 0
	_, err := Train(t.Context(), m, ids, DefaultOptions(), func(done, total int) {
		if done < last {
			t.Errorf("progress went from %d to %d", last, done)
		}
		last, end = done, total
	})
	if err != nil || last != end || end != 2*m.Rows {
		t.Errorf("ended at %d of %d (%v)", last, end, err)
	}
}

func TestOptionsValidateReportsEverything(t *testing.T) {
	if err := DefaultOptions().Validate(); err != nil {
		t.Error(err)
	}
	err := Options{Kind: 3, Cells: -1, Total: -1}.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, word := range []string{"kind(3)", "cells -1", "vectors per cell 0", "of its own 0", "total -1", "iterations 0", "sample 0"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error lacks %q:\n%v", word, err)
		}
	}
}

func TestKindNames(t *testing.T) {
	for _, k := range Kinds {
		text, err := k.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var back Kind
		if err := back.UnmarshalText(text); err != nil || back != k {
			t.Errorf("%v came back as %v (%v)", k, back, err)
		}
	}
	if _, err := ParseKind("residual3"); err == nil {
		t.Error("residual3 is a kind")
	}
}

// TestFactors compares the code of a factor with a plain loop over the table.
func TestFactors(t *testing.T) {
	for _, sample := range [][]float64{{1}, {0.93, 1.2}, {0, 0.01, 50}, {1e-9, 1}, nil, {0}} {
		f := trainFactors(sample)
		if !f.valid() || f.table[0] != 0 {
			t.Errorf("%v: low %v, ratio %v", sample, f.low, f.ratio)
		}
		for _, x := range append([]float64{1e-4, 0.011, 0.5, 0.95, 1, 1.19, 2, 49, 3e4}, sample...) {
			nearest := 1
			for code := 2; code < 256; code++ {
				if math.Abs(math.Log(float64(f.table[code])/x)) < math.Abs(math.Log(float64(f.table[nearest])/x)) {
					nearest = code
				}
			}
			if x == 0 {
				nearest = 0
			}
			if got := int(f.code(x)); f.table[got] != f.table[nearest] {
				t.Errorf("%v: factor %v has code %d (%v), want %d (%v)", sample, x, got, f.table[got], nearest, f.table[nearest])
			}
		}
	}
}

// TestBands: vectors take the bytes they are given, every band gets more of them
// only where they take more of the error, and vectors without codes become the
// centroid with the vectors' mean length.
func TestBands(t *testing.T) {
	const dim = 64
	m, ids := tokens(28, 6000, dim, 60)
	for _, withIDs := range []bool{true, false} {
		ids := ids
		if !withIDs {
			ids = nil
		}
		lastError := math.Inf(1)
		for _, bytes := range []float64{0, 2, 4, 9, 17, 33} {
			opts := DefaultOptions()
			opts.Kind, opts.CodeBytes, opts.Cells = Banded, bytes, 120
			c, err := Train(t.Context(), m, ids, opts, nil)
			if err != nil {
				t.Fatal(err)
			}
			data := encode(t, c, m, ids)
			p, err := c.parse(data)
			if err != nil {
				t.Fatal(err)
			}
			if got := float64(len(p.body)) / float64(m.Rows); got > bytes+0.01 || got < bytes-1.5 {
				t.Errorf("ids %v: %.2f bytes, want %v", withIDs, got, bytes)
			}
			back, err := c.Decode(data)
			if err != nil {
				t.Fatal(err)
			}
			e := squaredError(m, back)
			if e >= lastError {
				t.Errorf("ids %v, %v bytes: squared error %v, with fewer bytes %v", withIDs, bytes, e, lastError)
			}
			lastError = e

			cells, _ := plainForms(t, c, &p)
			for i, cell := range cells {
				if c.form(cell) != nil {
					continue
				}
				// All vectors have length 1, so the direction is all there is.
				centroid := c.Centroid(int(cell))
				length := math.Sqrt(float64(simd.Dot(centroid, centroid)))
				for d, x := range back.Row(i) {
					if want := float64(centroid[d]) / length; math.Abs(float64(x)-want) > 1e-5 {
						t.Fatalf("vector %d, column %d: %v, want %v", i, d, x, want)
					}
				}
			}
		}
	}
}

// TestAllocate: of two bands of equally many vectors that one bit helps alike in
// proportion, the one with larger errors has it first, and what is left goes where
// it helps most.
func TestAllocate(t *testing.T) {
	forms := formsOf(Banded, 64) // of 3, 5, 9, 17 and 33 bytes
	share := [1 + maxForms]float64{1, 0.7, 0.5, 0.35, 0.1, 0.01}
	for _, want := range []struct {
		bytes        float64
		small, large int
	}{
		{0, 0, 0},
		{1.5, 0, 1}, // 3 bytes for half of the vectors
		{2.5, 0, 2}, // 5
		{4.5, 1, 2}, // 2.5 for the large errors; of the 2 left, 1.5 for the small
		{5, 2, 2},
		{7, 2, 3}, // the step from 5 to 9 bytes takes more of large errors
		{9, 3, 3},
		{33, 5, 5},
	} {
		bands := []band{{vectors: 10}, {vectors: 10}}
		for i, s := range share {
			bands[0].errors[i], bands[1].errors[i] = 2*s, 4*s
		}
		allocate(bands, forms, want.bytes)
		if bands[0].form != want.small || bands[1].form != want.large {
			t.Errorf("%v bytes: forms %d and %d, want %d and %d", want.bytes, bands[0].form, bands[1].form, want.small, want.large)
		}
	}
}

// TestAxes: the axes of vectors that vary along three directions, and a little
// along a fourth, are these directions, as long as their standard deviations.
func TestAxes(t *testing.T) {
	const dim, n = 16, 20000
	deviations := []float64{3, 2, 1, 0.1}
	rng := rand.New(rand.NewPCG(33, 33))
	vectors := make([]float32, n*dim)
	for i := range n {
		for k, s := range deviations {
			vectors[i*dim+2*k+1] = float32(s * rng.NormFloat64())
		}
	}
	a, err := trainAxes(t.Context(), vectors, dim, 3)
	if err != nil {
		t.Fatal(err)
	}
	a.prepare(dim)
	for k, want := range deviations[:3] {
		axis := a.floats.Row(k)
		if got := math.Abs(float64(axis[2*k+1])); math.Abs(got-want) > want/30 {
			t.Errorf("axis %d is %v long in its direction, want %v", k, got, want)
		}
		if length := math.Sqrt(square(axis)); math.Abs(length-want) > want/30 {
			t.Errorf("axis %d is %v long, want %v", k, length, want)
		}
	}
}

// TestOtherLengths: vectors much shorter or longer than those of the sample keep
// their length, less exactly, and never become zero.
func TestOtherLengths(t *testing.T) {
	m, ids := tokens(29, 2000, 32, 20)
	for _, kind := range []Kind{Residual1, Residual2, Residual4} {
		c := train(t, m, ids, kind)
		for _, scale := range []float32{1e-3, 0.15, 0.5, 2, 8, 1000} {
			doc := simd.NewMatrix(50, 32)
			for i := range doc.Data {
				doc.Data[i] = scale * m.Data[i]
			}
			back, err := c.Decode(encode(t, c, doc, ids[:50]))
			if err != nil {
				t.Fatal(err)
			}
			for i := range back.Rows {
				length := math.Sqrt(float64(simd.Dot(back.Row(i), back.Row(i))))
				if ratio := length / float64(scale); ratio < 1/1.25 || ratio > 1.25 {
					t.Fatalf("%v: a vector of length %v has length %v", kind, scale, length)
				}
			}
		}
	}
}
