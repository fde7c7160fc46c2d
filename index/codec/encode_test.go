package codec

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/pare-search/pare/simd"
)

// plainCode walks down the halves of the cuts that are left.
func plainCode(cuts []float32, x float32) (code uint8) {
	for len(cuts) > 0 {
		mid := len(cuts) / 2
		code *= 2
		if x >= cuts[mid] {
			code++
			cuts = cuts[mid+1:]
		} else {
			cuts = cuts[:mid]
		}
	}
	return code
}

// plainResidual stores the code and the factor of one of so many vectors of a
// form in its part of the payload, one number at a time, as the format says.
func plainResidual(c *Codebook, f *form, part []byte, vectors, at int, v []float32, cell uint32) {
	var inverse float32
	if scale := c.cellScale[cell]; scale > 0 {
		inverse = 1 / scale
	}
	centroid := c.Centroid(int(cell))
	residual := simd.NewMatrix(1, c.dim)
	for d := range v {
		residual.Data[d] = (v[d] - centroid[d]) * inverse
	}
	numbers := residual.Data
	if f.onAxes {
		// As the encoder finds them, for a coordinate near a cut may be on
		// either side.
		numbers = make([]float32, c.axes.packed.Stride())
		c.axes.coordinates(numbers, residual, f.dims)
	}
	rebuilt := make([]float64, c.dim)
	for d, x := range centroid {
		rebuilt[d] = float64(x)
	}
	step := float64(c.cellScale[cell] * f.levels.scale)
	for k, x := range numbers[:f.dims] {
		code := plainCode(f.levels.cuts, x)
		simd.SetCode(part[vectors:], vectors, f.dims, f.bits, at, k, code)
		weight := step * float64(f.levels.weights[code])
		if !f.onAxes {
			rebuilt[k] += weight
			continue
		}
		for d, a := range c.axes.floats.Row(k) {
			rebuilt[d] += weight * float64(a)
		}
	}
	var length, square float64
	for d, r := range rebuilt {
		length += float64(v[d]) * float64(v[d])
		square += r * r
	}
	factor := 1.0
	if square > 0 {
		factor = math.Sqrt(length / square)
	}
	part[at] = f.factors.code(factor)
}

// TestEncodeMatchesPlainLoops compares payloads with what loops over vectors
// and dimensions make of the same cells. Factors may be off by one where rounding
// decides.
func TestEncodeMatchesPlainLoops(t *testing.T) {
	for _, dim := range []int{8, 24, 32, 128, 1024} {
		m, ids := tokens(31, 700, dim, 12)
		for _, kind := range []Kind{Banded, Residual1, Residual2, Residual4} {
			if kind == Banded && dim > 384 {
				continue // axes of so many dimensions take seconds
			}
			c := train(t, m, ids, kind)
			if kind == Banded {
				c = mixed(t, c)
			}
			odd := oddVectors(dim)
			for name, doc := range map[string]simd.Matrix{"sample": m, "odd": odd, "one": m.Slice(3, 4)} {
				data := encode(t, c, doc, nil)
				p, err := c.parse(data)
				if err != nil {
					t.Fatal(err)
				}
				cells, parts := plainForms(t, c, &p)
				var next [maxForms]int
				for row, cell := range cells {
					number := c.formNumber(cell)
					if number == 0 {
						continue
					}
					f, part := &c.forms[number-1], &parts[number-1]
					if next[number-1] == 0 {
						part.want = make([]byte, len(part.data))
					}
					plainResidual(c, f, part.want, part.rows, next[number-1], doc.Row(row), cell)
					next[number-1]++
				}
				for i, part := range parts {
					for at := range part.rows {
						if got, want := int(part.data[at]), int(part.want[at]); got < want-1 || got > want+1 {
							t.Errorf("%d dimensions, %v, %s, form %d: factor %d is %d, want %d", dim, kind, name, i, at, got, want)
						}
					}
					if part.rows > 0 && !bytes.Equal(part.data[part.rows:], part.want[part.rows:]) {
						t.Errorf("%d dimensions, %v, %s, form %d: codes differ from those of plain loops", dim, kind, name, i)
					}
				}
			}
		}
	}
}

// oddVectors returns vectors at the borders of what may be encoded.
func oddVectors(dim int) simd.Matrix {
	values := []float32{0, float32(math.Copysign(0, -1)), 1e-45, -1e-38, 0.5, -0.5, MaxComponent, -MaxComponent}
	m := simd.NewMatrix(4*len(values), dim)
	rng := rand.New(rand.NewPCG(31, 31))
	for i := range m.Data {
		if m.Data[i] = values[i/dim%len(values)]; i/dim >= len(values) {
			m.Data[i] = values[rng.IntN(len(values))]
		}
	}
	return m
}

// TestCodes compares codes with a walk down the cuts, for cuts that are equal
// or far apart and residuals that hit them, overflow or are not a number.
func TestCodes(t *testing.T) {
	const dim = 64
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	rng := rand.New(rand.NewPCG(32, 32))
	for _, bits := range []int{1, 2, 4} {
		for range 100 {
			cuts := make([]float32, 1<<bits-1)
			for i := range cuts {
				cuts[i] = float32(rng.IntN(7)) - 3 // often equal
			}
			slices.Sort(cuts)
			l := levels{cuts: cuts, weights: make([]int8, 1<<bits)}
			l.setDigits()
			v, zeros, codes := make([]float32, dim), make([]float32, dim), make([]uint8, dim)
			for d := range v {
				v[d] = float32(rng.IntN(29))/4 - 3.5
			}
			copy(v, []float32{inf, -inf, nan, float32(math.Copysign(0, -1))})
			for i := range codes {
				codes[i] = 0xff // of the vector before
			}
			l.code(codes, v, zeros, 1)
			planes, want := make([]byte, 3*dim/8*bits), make([]byte, 3*dim/8*bits)
			putPlanes(planes, 3, bits, 1, codes)
			for d, x := range v {
				if code := plainCode(cuts, x); codes[d] != code {
					t.Fatalf("%d bits, cuts %v: residual %v has code %d, want %d", bits, cuts, x, codes[d], code)
				}
				simd.SetCode(want, 3, dim, bits, 1, d, codes[d])
			}
			if !bytes.Equal(planes, want) {
				t.Fatalf("%d bits: planes %x, want %x", bits, planes, want)
			}
		}
	}
}

// TestEncodeAll: documents together become what each becomes alone, whatever
// the number of goroutines.
func TestEncodeAll(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	m, ids := tokens(33, 12000, 24, 300)
	opts := DefaultOptions()
	opts.Cells = 700 // enough for groups
	for _, sampleIDs := range [][]uint32{ids, nil} {
		c, err := Train(t.Context(), m, sampleIDs, opts, nil)
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(33, 33))
		documents := []Document{{}, {Vectors: m, IDs: ids}}
		for range 100 {
			at, n := rng.IntN(m.Rows-300), rng.IntN(300)
			d := Document{Vectors: m.Slice(at, at+n), IDs: ids[at : at+n]}
			if rng.IntN(4) == 0 {
				d.IDs = nil
			}
			documents = append(documents, d)
		}
		for _, procs := range []int{1, 3} {
			runtime.GOMAXPROCS(procs)
			all, err := c.EncodeAll(t.Context(), documents)
			if err != nil {
				t.Fatal(err)
			}
			for i, d := range documents {
				alone, err := c.Encode(d.Vectors, d.IDs)
				if err != nil {
					t.Fatal(err)
				}
				if !equalPayloads(all[i].Payload, alone.Payload) || !slices.Equal(all[i].Cells, alone.Cells) {
					t.Errorf("document %d of %d vectors differs from what it is alone", i, d.Vectors.Rows)
				}
			}
		}
	}
}

func TestEncodeAllNamesTheDocument(t *testing.T) {
	m, ids := tokens(34, 5000, 16, 20)
	c := train(t, m, ids, Residual2)
	documents := []Document{{Vectors: m}, {Vectors: m}, {Vectors: m, IDs: ids[:3]}, {Vectors: m}}
	if _, err := c.EncodeAll(t.Context(), documents); !errors.Is(err, ErrShape) || !strings.HasPrefix(err.Error(), "document 2: ") {
		t.Errorf("error %v, want one of document 2", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.EncodeAll(ctx, documents[:2]); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	if all, err := c.EncodeAll(t.Context(), nil); err != nil || len(all) != 0 {
		t.Errorf("%d documents of none, %v", len(all), err)
	}
}
