package docpruner

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/simd"
)

// FitOptions say what Fit may learn from beside the documents.
type FitOptions struct {
	// Sample is the number of vectors of the documents that are drawn, evenly, to
	// place the threshold of Voronoi and to draw directions from. They are held in
	// memory. A collection with no more vectors is taken whole.
	Sample int
	// StopWords are token ids of stop words, by their language.
	StopWords map[string][]uint32
	// Special are the token ids that belong to no word and that frequency does
	// not drop. Nil finds them: those that stand once in every document.
	Special []uint32
	// Queries are vectors that queries consist of, one a row, for directions from
	// QueryVectors.
	Queries simd.Matrix
}

// DefaultFitOptions draws 2^18 vectors: a share of them is that of the
// collection within half a percent.
func DefaultFitOptions() FitOptions { return FitOptions{Sample: 1 << 18} }

// Fitted is a pruner that knows its collection. It is immutable and safe for
// concurrent use.
type Fitted struct {
	pruner Pruner
	dim    int // 0 for any
	steps  []fittedStep

	scratch sync.Pool // of *scratch
}

// fittedStep is a step and what it has to know.
type fittedStep struct {
	Step
	// ids are token ids from the one in the most documents on: those that
	// StopWords and IDF drop, or all that DocumentIDF knows.
	ids   []uint32
	ranks map[uint32]int // their places

	directions directions
	// threshold is the largest error, and so loss, of a vector that Voronoi
	// drops.
	threshold float64
}

// Pruner returns what was fitted.
func (f *Fitted) Pruner() Pruner { return f.pruner }

// Dim returns the number of dimensions that vectors must have, 0 for any.
func (f *Fitted) Dim() int { return f.dim }

// Fit gathers what the pruner has to know about a collection. It goes through
// the documents once, and not at all if it needs nothing; what they consist of may
// be used again after each. Its memory is that of the token ids and of
// FitOptions.Sample vectors.
//
// The threshold of Voronoi is a quantile of the errors with which vectors are
// dropped, so a sample settles it, and one pass is enough where exact ranks
// would take two over all vectors. Documents are pruned by the threshold one by
// one, those that come later as well.
//
// The same documents in the same order give the same result. An error of
// documents is returned wrapped; others wrap ErrInvalid, ErrNoIDs,
// ErrNoDocuments or encoder.ErrInvalid.
func (p Pruner) Fit(ctx context.Context, documents iter.Seq2[encoder.Tokens, error], options FitOptions) (*Fitted, error) {
	if err := errors.Join(p.Validate(), p.check(options)); err != nil {
		return nil, err
	}
	f := &Fitted{pruner: Pruner{Steps: slices.Clone(p.Steps), Seed: p.Seed}}
	for _, step := range p.Steps {
		f.steps = append(f.steps, fittedStep{Step: step})
	}
	if !p.NeedsCollection() {
		return f, nil
	}
	c, err := p.gather(ctx, documents, options)
	if err != nil {
		return nil, err
	}
	f.dim = c.dim
	for i := range f.steps {
		if err := f.fit(ctx, i, c, options); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// check reports options that the pruner cannot do with.
func (p Pruner) check(options FitOptions) error {
	var faults []error
	for _, s := range p.Steps {
		switch {
		case s.Strategy == StopWords && s.Language != "" && len(options.StopWords[s.Language]) == 0:
			faults = append(faults, fmt.Errorf("%w: %s: the token ids of these words are not known; a share of the documents, as in %s:20%%, does without", ErrInvalid, s, s.Strategy))
		case s.Strategy == Voronoi && s.Source == QueryVectors && options.Queries.Rows == 0:
			faults = append(faults, fmt.Errorf("%w: %s needs vectors of queries", ErrInvalid, s))
		case s.Strategy == Voronoi && options.Sample < 1:
			faults = append(faults, fmt.Errorf("%w: a sample of %d vectors", ErrInvalid, options.Sample))
		}
	}
	if err := options.Queries.Validate(); err != nil {
		faults = append(faults, fmt.Errorf("%w: vectors of queries: %w", ErrInvalid, err))
	}
	return errors.Join(faults...)
}

// collection is what Fit gathers.
type collection struct {
	dim       int
	documents int
	counts    map[uint32]count
	sample    sample
}

// count is how many vectors, and how many documents, have a token id.
type count struct{ vectors, documents int }

// gather goes through the documents.
func (p Pruner) gather(ctx context.Context, documents iter.Seq2[encoder.Tokens, error], options FitOptions) (*collection, error) {
	c := &collection{counts: make(map[uint32]count)}
	if slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Strategy == Voronoi }) {
		c.sample = sample{limit: options.Sample, random: rand.New(rand.NewPCG(p.Seed, 1))}
	}
	needsIDs := p.NeedsIDs()
	var distinct []uint32
	for t, err := range documents {
		if err := cmp.Or(err, ctx.Err()); err != nil {
			return nil, err
		}
		if t.Vectors.Rows == 0 {
			continue
		}
		c.dim = cmp.Or(c.dim, t.Vectors.Dim)
		if err := t.Validate(c.dim); err != nil {
			return nil, fmt.Errorf("document %d: %w", c.documents, err)
		}
		if needsIDs && t.IDs == nil {
			return nil, fmt.Errorf("document %d: %w: %s looks at them", c.documents, ErrNoIDs, p)
		}
		c.documents++
		if needsIDs {
			distinct = append(distinct[:0], t.IDs...)
			c.count(distinct)
		}
		c.sample.add(t)
	}
	if c.documents == 0 {
		return nil, fmt.Errorf("%w: %s", ErrNoDocuments, p)
	}
	return c, nil
}

// count counts the ids of a document, which it sorts.
func (c *collection) count(ids []uint32) {
	slices.Sort(ids)
	for i := 0; i < len(ids); {
		end := i + 1
		for end < len(ids) && ids[end] == ids[i] {
			end++
		}
		n := c.counts[ids[i]]
		c.counts[ids[i]] = count{n.vectors + end - i, n.documents + 1}
		i = end
	}
}

// frequent returns the ids that are not special, from the one in the most
// documents on; of equals that of the most vectors, then the smallest.
func (c *collection) frequent(special []uint32) []uint32 {
	ids := slices.Collect(maps.Keys(c.counts))
	ids = slices.DeleteFunc(ids, func(id uint32) bool {
		if special != nil {
			return slices.Contains(special, id)
		}
		return c.counts[id] == count{c.documents, c.documents}
	})
	slices.SortFunc(ids, func(a, b uint32) int {
		x, y := c.counts[a], c.counts[b]
		return cmp.Or(cmp.Compare(y.documents, x.documents), cmp.Compare(y.vectors, x.vectors), cmp.Compare(a, b))
	})
	return ids
}

// maxKnownIDs is the number of token ids that DocumentIDF keeps apart. Rarer ones
// are alike: as rare as can be.
const maxKnownIDs = 1 << 16

// fit fits step i, given that those before it are.
func (f *Fitted) fit(ctx context.Context, i int, c *collection, options FitOptions) error {
	s := &f.steps[i]
	switch s.Strategy {
	case StopWords, IDF, DocumentIDF:
		ids := c.frequent(options.Special)
		switch {
		case s.Strategy == IDF:
			ids = ids[:min(s.Count, len(ids))]
		case s.Strategy == DocumentIDF:
			ids = ids[:min(maxKnownIDs, len(ids))]
		case s.Language == "":
			ids = slices.DeleteFunc(ids, func(id uint32) bool {
				return float64(c.counts[id].documents) <= s.Keep.Share*float64(c.documents)
			})
		default:
			words := options.StopWords[s.Language]
			unseen := slices.DeleteFunc(slices.Clone(words), func(id uint32) bool { return c.counts[id].documents > 0 })
			slices.Sort(unseen)
			ids = slices.DeleteFunc(ids, func(id uint32) bool { return !slices.Contains(words, id) })
			ids = append(ids, slices.Compact(unseen)...)
		}
		s.setIDs(ids)
	case Voronoi:
		documents, err := f.left(ctx, i, c.sample.documents)
		if err != nil {
			return err
		}
		if err := s.draw(documents, c.dim, f.pruner.Seed, options.Queries); err != nil {
			return err
		}
		return s.place(ctx, documents)
	}
	return nil
}

func (s *fittedStep) setIDs(ids []uint32) {
	s.ids, s.ranks = ids, make(map[uint32]int, len(ids))
	for rank, id := range ids {
		s.ranks[id] = rank
	}
}

// left returns what the first steps leave of documents.
func (f *Fitted) left(ctx context.Context, steps int, documents []sampled) ([]encoder.Tokens, error) {
	before := &Fitted{pruner: Pruner{Seed: f.pruner.Seed}, steps: f.steps[:steps]}
	tokens := make([]encoder.Tokens, len(documents))
	err := parallel(ctx, len(documents), func(i int) error {
		pruned, err := before.Prune(documents[i].tokens)
		tokens[i] = pruned.Tokens
		return err
	})
	return tokens, err
}

// sample draws documents evenly until they have a number of vectors: each gets
// a random number when it comes, and the smallest stay.
type sample struct {
	limit     int
	random    *rand.Rand // nil to draw nothing
	vectors   int
	documents []sampled // a heap, largest random number first
}

type sampled struct {
	priority uint64
	tokens   encoder.Tokens
}

func (s *sample) add(t encoder.Tokens) {
	if s.random == nil {
		return
	}
	priority := s.random.Uint64()
	if s.vectors >= s.limit && priority >= s.documents[0].priority {
		return
	}
	t.Vectors.Data, t.IDs, t.Spans = slices.Clone(t.Vectors.Data), slices.Clone(t.IDs), nil
	heap.Push(s, sampled{priority: priority, tokens: t})
	s.vectors += t.Vectors.Rows
	for len(s.documents) > 1 && s.vectors-s.documents[0].tokens.Vectors.Rows >= s.limit {
		s.vectors -= heap.Pop(s).(sampled).tokens.Vectors.Rows
	}
}

// Len, Less, Swap, Push and Pop are those of heap.Interface.
func (s *sample) Len() int           { return len(s.documents) }
func (s *sample) Less(i, j int) bool { return s.documents[i].priority > s.documents[j].priority }
func (s *sample) Swap(i, j int)      { s.documents[i], s.documents[j] = s.documents[j], s.documents[i] }
func (s *sample) Push(x any)         { s.documents = append(s.documents, x.(sampled)) }
func (s *sample) Pop() any {
	last := len(s.documents) - 1
	d := s.documents[last]
	s.documents[last] = sampled{}
	s.documents = s.documents[:last]
	return d
}
