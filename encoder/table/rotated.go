package table

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/pare-search/pare/simd"
)

// rotated turns the rows of a part back that were rotated before they were
// stored. The rotation is drawn from its seed, so that it takes no room: signs, then
// Hadamard transforms of the largest power of two of values at the front and at the
// end, three times over (Ailon and Chazelle's fast Johnson-Lindenstrauss
// transform, STOC 2006, without its projection).
//
//	kind 'r'
//	seed   1 x 1
//	part   the rotated rows
type rotated struct {
	part  form
	signs [rounds][]float32
	span  int // values of a Hadamard transform
}

const rounds = 3

func newRotation(dim int, seed uint32) *rotated {
	r := &rotated{span: 1}
	for r.span*2 <= dim {
		r.span *= 2
	}
	rng := rand.New(rand.NewPCG(uint64(seed), 0x726f74617465))
	for i := range r.signs {
		r.signs[i] = make([]float32, dim)
		for d := range r.signs[i] {
			r.signs[i][d] = float32(1 - 2*int(rng.Uint32()>>31))
		}
	}
	return r
}

// forth rotates v in place; back undoes it.
func (r *rotated) forth(v []float32) {
	for _, signs := range r.signs {
		for d, s := range signs {
			v[d] *= s
		}
		hadamard(v[:r.span])
		hadamard(v[len(v)-r.span:])
	}
}

func (r *rotated) back(v []float32) {
	for i := range r.signs {
		hadamard(v[len(v)-r.span:])
		hadamard(v[:r.span])
		for d, s := range r.signs[rounds-1-i] {
			v[d] *= s
		}
	}
}

// hadamard multiplies with the Hadamard matrix over the root of its size, which
// is its own inverse.
func hadamard(v []float32) {
	for step := 1; step < len(v); step *= 2 {
		for i := 0; i < len(v); i += 2 * step {
			for j := i; j < i+step; j++ {
				v[j], v[j+step] = v[j]+v[j+step], v[j]-v[j+step]
			}
		}
	}
	scale := float32(1 / math.Sqrt(float64(len(v))))
	for i := range v {
		v[i] *= scale
	}
}

func (r *rotated) row(dst []float32, id int) {
	r.part.row(dst, id)
	r.back(dst)
}

func openRotated(n node, rows, dim int) (form, error) {
	if len(n.arrays) != 1 || len(n.parts) != 1 {
		return nil, fmt.Errorf("%w: rotation: %d arrays and %d parts", ErrCorrupt, len(n.arrays), len(n.parts))
	}
	if err := n.arrays[0].wants("seed", false, 1, 1); err != nil {
		return nil, err
	}
	r := newRotation(dim, n.arrays[0].number(0, 0))
	var err error
	r.part, err = n.parts[0].open(rows, dim)
	return r, err
}

// fitBits stores each value of a rotated row in few bits: the rotation makes the
// values of any row look drawn from one normal distribution, whose best levels are
// known, so that all a row needs is a scale. Word2Bits trains with rounded values;
// here they are rounded afterwards. One bit and the rotation are RaBitQ's code
// (arXiv 2405.12497).
func fitBits(ctx context.Context, p problem) (node, error) {
	return p.inRotation(ctx, func(q problem) (node, error) {
		return q.byRow(maxLevelBits, func(q problem, bits int) (node, error) { return q.scaledLevels(bits), nil }, q.scaledLevelsSize)
	})
}

// inRotation fits the rotated rows.
func (p problem) inRotation(ctx context.Context, fit func(rotated problem) (node, error)) (node, error) {
	seed := uint32(p.seed)
	frame := node{kind: kindRotated, arrays: []array{numbers(32, 1, 1, []uint32{seed})}}
	rotation := newRotation(p.Dim, seed)
	q := p
	q.Matrix, q.budget = simd.NewMatrix(p.Rows, p.Dim), p.budget-frame.size()
	copy(q.Data, p.Data)
	if err := parallel(ctx, p.Rows, func(i int) error { rotation.forth(q.Row(i)); return nil }); err != nil {
		return node{}, err
	}
	part, err := fit(q)
	frame.parts = []node{part}
	return frame, err
}

// scaledLevels rounds the values of each row to levels of the normal distribution times
// a scale of the row.
func (p problem) scaledLevels(bits int) node {
	levels := normal().levels[bits]
	return levelsOf(p, bits, simd.Matrix{Rows: 1, Dim: len(levels), Data: levels}, bestScales(p, levels))
}

func (p problem) scaledLevelsSize(bits, rows int) int {
	return nodeHeader + sizeOf(unsigneds, bits, rows, p.Dim) + sizeOf(float32s, 0, 1, 1<<bits) + sizeOf(float32s, 0, rows, 1)
}

// bestScales returns a scale for each row: the root of its mean square, improved by
// rounding to the nearest levels and taking the scale with the least squares, a few
// times.
func bestScales(p problem, levels []float32) []float32 {
	const rounds = 4
	scales := make([]float32, p.Rows)
	for i := range scales {
		row := p.Row(i)
		squares := 0.0
		for _, v := range row {
			squares += float64(v) * float64(v)
		}
		scale := math.Sqrt(squares / float64(len(row)))
		for range rounds {
			if scale == 0 {
				break
			}
			products, norm := 0.0, 0.0
			for _, v := range row {
				l := float64(levels[nearestLevel(levels, v, float32(scale))])
				products += l * float64(v)
				norm += l * l
			}
			scale = products / norm
		}
		scales[i] = float32(scale)
	}
	return scales
}
