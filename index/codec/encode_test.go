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

// plainResidual stores the code and the factor of one vector, one dimension at
// a time, as the format says.
func plainResidual(c *Codebook, p *payload, at int, v []float32, cell uint32) {
	var inverse float32
	if scale := c.cellScale[cell]; scale > 0 {
		inverse = 1 / scale
	}
	step := c.cellScale[cell] * c.levels.scale
	var length, rebuilt float64
	for d, centroid := range c.Centroid(int(cell)) {
		code := plainCode(c.levels.cuts, (v[d]-centroid)*inverse)
		simd.SetCode(p.body, p.coded, c.dim, c.kind.bits(), at, d, code)
		r := float64(centroid + float32(step*float32(c.levels.weights[code])))
		length += float64(v[d]) * float64(v[d])
		rebuilt += r * r
	}
	factor := 1.0
	if rebuilt > 0 {
		factor = math.Sqrt(length / rebuilt)
	}
	p.factors[at] = c.factors.code(factor)
}

// TestEncodeMatchesPlainLoops compares payloads with what loops over vectors
// and dimensions make of the same cells.
func TestEncodeMatchesPlainLoops(t *testing.T) {
	for _, dim := range []int{8, 24, 128, 1024} {
		m, ids := tokens(31, 700, dim, 12)
		for _, kind := range []Kind{Residual1, Residual2, Residual4} {
			opts := DefaultOptions()
			opts.Kind, opts.UncodedShare = kind, 0.1
			c, err := Train(t.Context(), m, ids, opts, nil)
			if err != nil {
				t.Fatal(err)
			}
			odd := oddVectors(dim)
			for name, doc := range map[string]simd.Matrix{"sample": m, "odd": odd, "one": m.Slice(3, 4)} {
				data := encode(t, c, doc, nil)
				got, err := c.parse(data)
				if err != nil {
					t.Fatal(err)
				}
				cells, err := c.rowCells(&got)
				if err != nil {
					t.Fatal(err)
				}
				_, want := c.start(nil, got.cells, kind, got.rows, got.coded)
				at := 0
				for row, cell := range cells {
					if c.coded(cell) {
						plainResidual(c, &want, at, doc.Row(row), cell)
						at++
					}
				}
				if !bytes.Equal(got.body, want.body) || !bytes.Equal(got.factors, want.factors) {
					t.Errorf("%d dimensions, %v, %s: codes or factors differ from those of plain loops", dim, kind, name)
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
