package docpruner

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/simd"
)

// directions are vectors that stand for those of queries, of length 1 or near
// it.
type directions struct {
	vectors simd.Matrix
	codes   []int8 // of which the vectors are made; nil for those drawn by the seed
}

// UniformDirections draws n directions evenly: vectors of length 1.
func UniformDirections(dim, n int, seed uint64) simd.Matrix {
	random := rand.New(rand.NewPCG(seed, 2))
	m := simd.NewMatrix(n, dim)
	for i := range m.Data {
		m.Data[i] = float32(random.NormFloat64())
	}
	m.Normalize()
	return m
}

// draw draws the directions.
func (s *fittedStep) draw(documents []encoder.Tokens, dim int, seed uint64, queries simd.Matrix) error {
	n := s.Step.directions()
	if s.Source == Uniform {
		s.directions.vectors = UniformDirections(dim, n, seed)
		return nil
	}
	sources := []simd.Matrix{queries}
	if s.Source == DocumentVectors {
		sources = sources[:0]
		for _, d := range documents {
			sources = append(sources, d.Vectors)
		}
	} else if queries.Dim != dim {
		return fmt.Errorf("%w: queries of %d dimensions, documents of %d", ErrInvalid, queries.Dim, dim)
	}
	vectors := drawVectors(sources, dim, n, rand.New(rand.NewPCG(seed, 3)))
	vectors.Normalize()
	// What is saved is what is used.
	codes := make([]int8, len(vectors.Data))
	for i, x := range vectors.Data {
		codes[i] = int8(math.Round(float64(x) * 127))
	}
	s.directions = decodeDirections(codes, dim)
	return nil
}

// decodeDirections makes directions of bytes.
func decodeDirections(codes []int8, dim int) directions {
	m := simd.NewMatrix(len(codes)/dim, dim)
	for i, c := range codes {
		m.Data[i] = float32(c)
	}
	m.Normalize()
	return directions{m, codes}
}

// drawVectors draws up to n vectors evenly (algorithm R, Vitter 1985).
func drawVectors(sources []simd.Matrix, dim, n int, random *rand.Rand) simd.Matrix {
	m := simd.Matrix{Dim: dim}
	seen := 0
	for _, source := range sources {
		for i := range source.Rows {
			seen++
			if m.Rows < n {
				m.Data = append(m.Data, source.Row(i)...)
				m.Rows++
			} else if at := random.IntN(seen); at < n {
				copy(m.Row(at), source.Row(i))
			}
		}
	}
	return m
}

// place places the threshold such that the wanted share of the documents'
// vectors stays.
func (s *fittedStep) place(ctx context.Context, documents []encoder.Tokens) error {
	if s.Each {
		return nil
	}
	perDocument := make([][]float64, len(documents))
	err := parallel(ctx, len(documents), func(i int) error {
		var v voronoiScratch
		v.prune(documents[i].Vectors, &s.directions, func(err float64) bool {
			perDocument[i] = append(perDocument[i], err)
			return true
		}, nil)
		return nil
	})
	if err != nil {
		return err
	}
	vectors := 0
	for _, d := range documents {
		vectors += d.Vectors.Rows
	}
	errs := slices.Concat(perDocument...)
	slices.Sort(errs)
	dropped := min(vectors-int(math.Ceil(s.Keep.Share*float64(vectors)-1e-9)), len(errs))
	if s.threshold = -1; dropped > 0 {
		s.threshold = errs[dropped-1]
	}
	return nil
}

// voronoiScratch is the memory of pruning a document.
type voronoiScratch struct {
	query  simd.FloatQuery
	dots   []float32 // by direction, with a stride
	stride int
	best   []top     // by direction
	errs   []float64 // by vector: the sum over the directions it wins
	alive  []int32
}

// top are the two vectors that are the best match of a direction.
type top struct{ first, second int32 }

// keep returns the vectors that are left when all are dropped whose error is at
// most the threshold, or the share of this document.
func (v *voronoiScratch) keep(m simd.Matrix, s *fittedStep) []int {
	kept := make([]int, 0, m.Rows)
	if !s.Each {
		return v.prune(m, &s.directions, func(err float64) bool { return err <= s.threshold }, kept)
	}
	for lo, hi := range blocks(m.Rows) {
		surplus := hi - lo - s.Keep.of(hi-lo)
		for _, i := range v.prune(m.Slice(lo, hi), &s.directions, func(float64) bool { surplus--; return surplus >= 0 }, nil) {
			kept = append(kept, lo+i)
		}
	}
	return kept
}

// prune drops one vector after the other as long as drop, asked about its error,
// agrees, and appends those that are left to kept. At least one is. Errors are
// means over the directions and, within a part of a long document, never fall.
func (v *voronoiScratch) prune(m simd.Matrix, d *directions, drop func(err float64) bool, kept []int) []int {
	for lo, hi := range blocks(m.Rows) {
		v.start(m.Slice(lo, hi), d)
		for len(v.alive) > 1 {
			at := v.worst()
			if !drop(v.errs[v.alive[at]] / float64(d.vectors.Rows)) {
				break
			}
			v.drop(at)
		}
		for _, i := range v.alive {
			kept = append(kept, lo+int(i))
		}
	}
	return kept
}

// start finds the best two of every direction and each vector's error: what
// the directions that it wins would lose without it.
func (v *voronoiScratch) start(m simd.Matrix, d *directions) {
	n, s := m.Rows, d.vectors.Rows
	v.alive, v.errs = v.alive[:0], v.errs[:0]
	for i := range n {
		v.alive, v.errs = append(v.alive, int32(i)), append(v.errs, 0)
	}
	if n == 1 {
		return
	}
	v.query.Reset(m, nil)
	v.stride = v.query.Stride()
	v.dots = slices.Grow(v.dots[:0], s*v.stride)[:s*v.stride]
	v.query.Dots(v.dots, d.vectors)
	v.best = slices.Grow(v.best[:0], s)[:s]
	for i := range v.best {
		row := v.dots[i*v.stride:][:n]
		t := top{0, 1}
		if row[1] > row[0] {
			t = top{1, 0}
		}
		first, second := row[t.first], row[t.second]
		for j, dot := range row[2:] {
			if dot <= second {
				continue
			}
			if dot > first {
				second, t.second = first, t.first
				first, t.first = dot, int32(j)+2
			} else {
				second, t.second = dot, int32(j)+2
			}
		}
		v.best[i] = t
		v.errs[t.first] += float64(first) - float64(second)
	}
}

// worst returns the place in alive of the vector with the smallest error, the
// first of equals.
func (v *voronoiScratch) worst() int {
	worst := 0
	for at, i := range v.alive {
		if v.errs[i] < v.errs[v.alive[worst]] {
			worst = at
		}
	}
	return worst
}

// drop drops a vector: the directions it won are won by the next best, and
// those for which it was the next best find another.
func (v *voronoiScratch) drop(at int) {
	gone := v.alive[at]
	v.alive = slices.Delete(v.alive, at, at+1)
	if len(v.alive) == 1 {
		return // it will not be asked about its error
	}
	for i := range v.best {
		t := &v.best[i]
		if t.first != gone && t.second != gone {
			continue
		}
		row := v.dots[i*v.stride:][:v.stride]
		if t.first == gone {
			t.first = t.second
		} else {
			v.errs[t.first] -= float64(row[t.first]) - float64(row[gone])
		}
		t.second = v.runnerUp(row, t.first)
		v.errs[t.first] += float64(row[t.first]) - float64(row[t.second])
	}
}

// runnerUp returns the best match but for one.
func (v *voronoiScratch) runnerUp(row []float32, first int32) int32 {
	found := int32(-1)
	for _, j := range v.alive {
		if j != first && (found < 0 || row[j] > row[found]) {
			found = j
		}
	}
	return found
}

// Loss returns how much less the best matches of directions are after pruning a
// document than before, on average. It is the error that Voronoi keeps small,
// and tells, without queries, what any pruner costs.
func Loss(directions, before, after simd.Matrix) float64 {
	if directions.Rows == 0 || before.Rows == 0 || after.Rows == 0 {
		return 0
	}
	var query simd.FloatQuery
	query.Reset(directions, nil)
	best, left := make([]float32, directions.Rows), make([]float32, directions.Rows)
	simd.Reset(best)
	simd.Reset(left)
	query.Maxima(best, before, nil)
	query.Maxima(left, after, nil)
	var sum float64
	for i := range best {
		sum += float64(best[i]) - float64(left[i])
	}
	return sum / float64(directions.Rows)
}
