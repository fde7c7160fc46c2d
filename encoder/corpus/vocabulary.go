package corpus

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
)

// none stands for a word that has no number (any more).
const none = math.MaxUint32

// minDocumentCost is what a document counts against MaxTrainingTokens at
// least, which bounds the number of documents as well.
const minDocumentCost = 32

// reading is what one pass over the texts leaves: document frequencies of the
// whole collection and a sample of its documents.
type reading struct {
	texts      int
	dictionary dictionary
	sample     sample
}

// vocabulary is the words of the table, those of most documents first and
// then alphabetically. Their place is their id.
type vocabulary struct {
	texts   uint64   // in the collection
	words   []string // no two alike
	df      []uint32 // how many texts hold the word
	dropped uint32   // largest df of a word that is not in the table
}

func (v vocabulary) size() int { return len(v.words) }

// idf is the inverse document frequency of a word in df texts, as in BM25.
func (v vocabulary) idf(df uint32) float64 {
	n, d := float64(v.texts), float64(df)
	return math.Log(1 + (n-d+0.5)/(d+0.5))
}

func read(ctx context.Context, texts iter.Seq2[string, error], opts Options, progress func(string, int, int)) (*reading, error) {
	r := &reading{
		dictionary: dictionary{ids: map[string]uint32{}, limit: 4 * opts.MaxVocabulary},
		sample:     newSample(opts.MaxTrainingTokens, opts.Seed),
	}
	analyzer := newAnalyzer(opts.Language, opts.SplitCode)
	var ids []uint32
	for text, err := range texts {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, fmt.Errorf("corpus: reading text %d: %w", r.texts, err)
		}
		ids = ids[:0]
		for _, t := range analyzer.terms(text) {
			ids = append(ids, r.dictionary.count(t.word, r.texts))
		}
		r.sample.offer(ids)
		r.texts++
		if r.dictionary.full() {
			r.sample.renumber(r.dictionary.compact())
		}
		if r.texts%256 == 0 {
			progress("read", r.texts, 0)
		}
	}
	progress("read", r.texts, r.texts)
	return r, nil
}

// vocabulary chooses the words of the table and numbers the sample's words
// accordingly.
func (r *reading) vocabulary(opts Options) vocabulary {
	d := &r.dictionary
	sampled := make([]bool, len(d.words))
	for _, doc := range r.sample.documents() {
		for _, id := range doc {
			if id != none {
				sampled[id] = true
			}
		}
	}
	order := make([]uint32, 0, len(d.words))
	for id := range d.words {
		if sampled[id] && int(d.df[id]) >= opts.MinDocumentFrequency {
			order = append(order, uint32(id))
		}
	}
	slices.SortFunc(order, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(d.df[b], d.df[a]), cmp.Compare(d.words[a], d.words[b]))
	})
	order = order[:min(len(order), opts.MaxVocabulary)]

	v := vocabulary{texts: uint64(r.texts), dropped: min(d.forgotten, uint32(r.texts))}
	numbers := make([]uint32, len(d.words))
	for id := range numbers {
		numbers[id] = none
	}
	for number, id := range order {
		numbers[id] = uint32(number)
		v.words = append(v.words, d.words[id])
		v.df = append(v.df, d.df[id])
	}
	for id, number := range numbers {
		if number == none {
			v.dropped = max(v.dropped, d.df[id])
		}
	}
	r.sample.renumber(numbers)
	return v
}

// dictionary counts in how many texts each word is, in bounded space: when it
// is full the rarest words are forgotten, and count from zero should they come
// again (after Manku and Motwani 2002, lossy counting). Counts are exact as
// long as nothing was forgotten, else too low by at most the sum of the
// thresholds.
type dictionary struct {
	ids   map[string]uint32
	words []string
	df    []uint32
	last  []int // the last text that held the word

	limit     int
	forgotten uint32 // sum of the thresholds
}

// count notes that a text holds word and returns the word's number.
func (d *dictionary) count(word string, text int) uint32 {
	id, ok := d.ids[word]
	if !ok {
		id = uint32(len(d.words))
		d.ids[word] = id
		d.words = append(d.words, word)
		d.df = append(d.df, 0)
		d.last = append(d.last, -1)
	}
	if d.last[id] != text {
		d.last[id] = text
		d.df[id]++
	}
	return id
}

func (d *dictionary) full() bool { return len(d.words) > d.limit }

// compact forgets at least half of the words, the rarest, and numbers the
// others anew. It returns the new numbers by the old ones.
func (d *dictionary) compact() []uint32 {
	sorted := slices.Sorted(slices.Values(d.df))
	threshold := sorted[len(sorted)/2]
	d.forgotten += threshold
	numbers := make([]uint32, len(d.words))
	kept := 0
	for id, word := range d.words {
		if d.df[id] <= threshold {
			numbers[id] = none
			delete(d.ids, word)
			continue
		}
		numbers[id] = uint32(kept)
		d.ids[word] = uint32(kept)
		d.words[kept], d.df[kept], d.last[kept] = word, d.df[id], d.last[id]
		kept++
	}
	clear(d.words[kept:])
	d.words, d.df, d.last = d.words[:kept], d.df[:kept], d.last[:kept]
	return numbers
}

// sample keeps a uniform random sample of documents whose cost stays within a
// budget: every document draws a random number and those with the smallest
// numbers stay.
type sample struct {
	budget int
	rng    *rand.Rand
	limit  uint64 // draws from here on are too large
	cost   int
	heap   sampleHeap
}

func newSample(budget int, seed uint64) sample {
	return sample{budget: budget, rng: rand.New(rand.NewPCG(seed, 0x73616d70)), limit: math.MaxUint64}
}

type sampled struct {
	draw  uint64
	words []uint32
}

func (s *sample) offer(words []uint32) {
	draw := s.rng.Uint64()
	if len(words) == 0 || draw >= s.limit {
		return
	}
	words = slices.Clone(words[:min(len(words), s.budget)])
	heap.Push(&s.heap, sampled{draw, words})
	s.cost += documentCost(words)
	for s.cost > s.budget && len(s.heap) > 1 {
		evicted := heap.Pop(&s.heap).(sampled)
		s.cost -= documentCost(evicted.words)
		s.limit = evicted.draw
	}
}

func documentCost(words []uint32) int { return max(len(words), minDocumentCost) }

// documents yields the sample in an order that depends on the seed alone.
func (s *sample) documents() iter.Seq2[int, []uint32] {
	return func(yield func(int, []uint32) bool) {
		for i, d := range s.heap {
			if !yield(i, d.words) {
				return
			}
		}
	}
}

func (s *sample) renumber(numbers []uint32) {
	for _, words := range s.documents() {
		for i, id := range words {
			if id != none {
				words[i] = numbers[id]
			}
		}
	}
}

// sampleHeap has the document with the largest draw on top.
type sampleHeap []sampled

func (h sampleHeap) Len() int           { return len(h) }
func (h sampleHeap) Less(i, j int) bool { return h[i].draw > h[j].draw }
func (h sampleHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *sampleHeap) Push(x any)        { *h = append(*h, x.(sampled)) }
func (h *sampleHeap) Pop() any {
	last := len(*h) - 1
	top := (*h)[last]
	(*h)[last] = sampled{}
	*h = (*h)[:last]
	return top
}
