package docpruner

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/simd"
)

// Pruned is what is stored of a document.
type Pruned struct {
	// Tokens are the vectors that are left, in text order. One that several were
	// merged into stands where the first of them did; its id and span are those of
	// the one nearest to it.
	encoder.Tokens
	// Places tells for each vector of the whole document which of Tokens it is, or
	// was merged into: -1 if it was dropped. It is nil when nothing was changed.
	Places []int
}

// Place returns which of the stored vectors vector i of the whole document is, or
// -1.
func (p Pruned) Place(i int) int {
	if p.Places == nil {
		return i
	}
	return p.Places[i]
}

// Match returns which vector of the whole document a stored one stands for in the
// eyes of a query row: of those merged into it the most similar, the first of
// equals. It is -1 if there is none.
func (p Pruned) Match(stored int, row []float32, whole simd.Matrix) int {
	if p.Places == nil {
		if stored < whole.Rows {
			return stored
		}
		return -1
	}
	match, best := -1, float32(0)
	for i, place := range p.Places {
		if place != stored || i >= whole.Rows {
			continue
		}
		if similarity := simd.Dot(row, whole.Row(i)); match < 0 || similarity > best {
			match, best = i, similarity
		}
	}
	return match
}

// PruneAll prunes documents, on all processors. The result is in their order.
// The error is that of ctx or of Prune and says the number of its document, from 0.
func (f *Fitted) PruneAll(ctx context.Context, documents []encoder.Tokens) ([]Pruned, error) {
	out := make([]Pruned, len(documents))
	err := parallel(ctx, len(documents), func(i int) (err error) {
		out[i], err = f.Prune(documents[i])
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// parallel calls work for 0 to n-1 on all processors, in this order, until one
// fails. It returns the error of the lowest number that does, with that number.
func parallel(ctx context.Context, n int, work func(i int) error) error {
	var next atomic.Int64
	var failed atomic.Bool
	var group sync.WaitGroup
	errs := make([]error, n)
	for range min(runtime.GOMAXPROCS(0), n) {
		group.Go(func() {
			for ctx.Err() == nil && !failed.Load() {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := work(i); err != nil {
					errs[i] = fmt.Errorf("document %d: %w", i, err)
					failed.Store(true)
				}
			}
		})
	}
	group.Wait()
	return cmp.Or(cmp.Or(errs...), ctx.Err())
}

// Prune returns what is stored of a document. It shares memory with t where
// nothing was changed. The error wraps ErrInvalid, ErrNoIDs or
// encoder.ErrInvalid. Several goroutines may call it.
func (f *Fitted) Prune(t encoder.Tokens) (Pruned, error) {
	if err := t.Validate(t.Vectors.Dim); err != nil {
		return Pruned{}, err
	}
	pruned := Pruned{Tokens: t}
	if t.Vectors.Rows == 0 {
		return pruned, nil
	}
	if t.IDs == nil && f.pruner.NeedsIDs() {
		return Pruned{}, fmt.Errorf("%w: %s looks at them", ErrNoIDs, f.pruner)
	}
	if f.dim > 0 && t.Vectors.Dim != f.dim {
		return Pruned{}, fmt.Errorf("%w: %d dimensions, %s was fitted to %d", ErrInvalid, t.Vectors.Dim, f.pruner, f.dim)
	}
	work, _ := f.scratch.Get().(*scratch)
	if work == nil {
		work = new(scratch)
	}
	defer f.scratch.Put(work)
	for i := range f.steps {
		f.steps[i].prune(&pruned, f.pruner.Seed, work)
	}
	return pruned, nil
}

// scratch is what pruning a document needs beside it.
type scratch struct {
	ward    wardScratch
	voronoi voronoiScratch
}

// prune does one step to what is left.
func (s *fittedStep) prune(p *Pruned, seed uint64, work *scratch) {
	n := p.Vectors.Rows
	switch s.Strategy {
	case StopWords, IDF:
		p.keep(s.keepFrequent(p.IDs))
	case DocumentIDF:
		p.keep(s.keepRarest(p.IDs))
	case First:
		p.keep(firstOf(n, s.Keep.of(n)))
	case Random:
		p.keep(drawn(p.Tokens, s.Keep.of(n), seed))
	case Norm:
		p.keep(longer(p.Vectors, s.Length))
	case Ward:
		groups, count := s.groups(p.Vectors, &work.ward)
		p.merge(groups, count, s.Raw)
	case Voronoi:
		p.keep(work.voronoi.keep(p.Vectors, s))
	}
}

// of returns the number of vectors to keep of n, at least one.
func (k Keep) of(n int) int {
	kept := k.Count
	if kept == 0 {
		// The small number forgives rounding: 0.07 * 100 is a little above 7.
		kept = int(math.Ceil(k.Share*float64(n) - 1e-9))
	}
	return min(max(kept, 1), n)
}

// keepFrequent keeps the rows whose ids are not dropped, or else the one with
// the rarest id.
func (s *fittedStep) keepFrequent(ids []uint32) []int {
	kept := make([]int, 0, len(ids))
	rarest := 0
	for i, id := range ids {
		if rank, dropped := s.ranks[id]; !dropped {
			kept = append(kept, i)
		} else if rank > s.ranks[ids[rarest]] {
			rarest = i
		}
	}
	if len(kept) == 0 {
		kept = append(kept, rarest)
	}
	return kept
}

// keepRarest drops the rows with the most frequent ids. Of equals later ones go
// first: they say the same in a longer context.
func (s *fittedStep) keepRarest(ids []uint32) []int {
	rankOf := func(row int) int {
		if rank, known := s.ranks[ids[row]]; known {
			return rank
		}
		return math.MaxInt // special tokens, and ids that are new
	}
	rows := firstOf(len(ids), len(ids))
	slices.SortStableFunc(rows, func(a, b int) int {
		return cmp.Or(cmp.Compare(rankOf(b), rankOf(a)), cmp.Compare(a, b))
	})
	kept := max(len(rows)-s.Count, 1)
	for kept < len(rows) && rankOf(rows[kept]) == math.MaxInt {
		kept++
	}
	rows = rows[:kept]
	slices.Sort(rows)
	return rows
}

// firstOf returns the first of n rows.
func firstOf(n, kept int) []int {
	rows := make([]int, n)
	for i := range rows {
		rows[i] = i
	}
	return rows[:kept]
}

// drawn draws rows by the seed and the document.
func drawn(t encoder.Tokens, kept int, seed uint64) []int {
	n := t.Vectors.Rows
	random := rand.New(rand.NewPCG(seed, fingerprint(t)))
	rows := firstOf(n, n)
	for i := range kept {
		j := i + random.IntN(n-i)
		rows[i], rows[j] = rows[j], rows[i]
	}
	rows = rows[:kept]
	slices.Sort(rows)
	return rows
}

// fingerprint tells documents apart (FNV-1a over ids, or the first components
// where there are none).
func fingerprint(t encoder.Tokens) uint64 {
	hash := uint64(14695981039346656037)
	mix := func(word uint32) { hash = (hash ^ uint64(word)) * 1099511628211 }
	mix(uint32(t.Vectors.Rows))
	for i := range t.Vectors.Rows {
		if t.IDs != nil {
			mix(t.IDs[i])
		} else {
			mix(math.Float32bits(t.Vectors.Row(i)[0]))
		}
	}
	return hash
}

// longer returns the rows of at least a length, or else the longest.
func longer(m simd.Matrix, length float64) []int {
	kept := make([]int, 0, m.Rows)
	longest, most := 0, -1.0
	for i := range m.Rows {
		l := lengthOf(m.Row(i))
		if l >= length {
			kept = append(kept, i)
		}
		if l > most {
			longest, most = i, l
		}
	}
	if len(kept) == 0 {
		kept = append(kept, longest)
	}
	return kept
}

func lengthOf(v []float32) float64 {
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	return math.Sqrt(sum)
}

// keep leaves the given rows, ascending.
func (p *Pruned) keep(rows []int) {
	n := p.Vectors.Rows
	if len(rows) == n {
		return
	}
	groups := make([]int, n)
	for i := range groups {
		groups[i] = -1
	}
	for place, row := range rows {
		groups[row] = place
	}
	p.merge(groups, len(rows), false)
}

// merge makes one vector of all in a group. groups has one for each row,
// numbered from 0 in the order of their first rows, or -1 for a row that is
// dropped.
func (p *Pruned) merge(groups []int, count int, raw bool) {
	whole := p.Tokens
	if count == whole.Vectors.Rows {
		return
	}
	vectors := simd.NewMatrix(count, whole.Vectors.Dim)
	sizes, lengths := make([]int, count), make([]float64, count)
	for row, group := range groups {
		if group < 0 {
			continue
		}
		if sizes[group] == 0 {
			copy(vectors.Row(group), whole.Vectors.Row(row)) // exactly
		} else {
			if sizes[group] == 1 {
				lengths[group] = lengthOf(vectors.Row(group))
			}
			simd.Add(vectors.Row(group), whole.Vectors.Row(row))
			lengths[group] += lengthOf(whole.Vectors.Row(row))
		}
		sizes[group]++
	}
	for group, size := range sizes {
		if size == 1 {
			continue
		}
		sum := vectors.Row(group)
		scale := 1 / float64(size)
		if length := lengthOf(sum); !raw && length > 0 {
			scale *= lengths[group] / length
		}
		for d := range sum {
			sum[d] = float32(float64(sum[d]) * scale)
		}
	}
	p.Tokens = encoder.Tokens{Vectors: vectors}
	p.describe(whole, groups)
	if p.Places == nil {
		p.Places = groups
		return
	}
	for i, place := range p.Places {
		if place >= 0 {
			p.Places[i] = groups[place]
		}
	}
}

// equal is a difference of similarities that is none: two vectors of a length are
// equally near to their mean, but for rounding.
const equal = 1e-5

// describe gives every vector the id and the span of the one in its group that
// is nearest to it, the first of equals.
func (p *Pruned) describe(whole encoder.Tokens, groups []int) {
	if whole.IDs == nil && whole.Spans == nil {
		return
	}
	count := p.Vectors.Rows
	if whole.IDs != nil {
		p.IDs = make([]uint32, count)
	}
	if whole.Spans != nil {
		p.Spans = make([]encoder.Span, count)
	}
	best := make([]float32, count)
	simd.Reset(best)
	for row, group := range groups {
		if group < 0 {
			continue
		}
		similarity := simd.Dot(p.Vectors.Row(group), whole.Vectors.Row(row))
		if similarity <= best[group]+equal {
			continue
		}
		best[group] = similarity
		if p.IDs != nil {
			p.IDs[group] = whole.IDs[row]
		}
		if p.Spans != nil {
			p.Spans[group] = whole.Spans[row]
		}
	}
}
