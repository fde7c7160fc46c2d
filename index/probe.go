package index

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

// probe makes candidates of the live documents in the cells that the probing
// rows visit.
func (s *Searcher) probe(rows []int, options SearchOptions, stats *Stats) error {
	s.found = zeroed(s.found, s.source.Documents())
	s.scorer.ScanCells(rows)
	visit := s.probeRows
	if options.Budget > 0 {
		visit = s.probePairs
	}
	if err := visit(rows, options, stats); err != nil {
		return err
	}
	s.documents = s.documents[:0]
	for i, word := range s.found {
		for ; word != 0; word &= word - 1 {
			document := uint32(i*64 + bits.TrailingZeros64(word))
			if s.source.Live(document) {
				s.documents = append(s.documents, document)
			}
		}
	}
	return nil
}

// probeRows lets each row visit its nearest cells until it has read Neighbors
// postings.
func (s *Searcher) probeRows(rows []int, options SearchOptions, stats *Stats) error {
	for _, row := range rows {
		s.cells.reset(s.scorer.CellSimilarities(row))
		for start := stats.Postings; stats.Postings-start < options.Neighbors; {
			cell, ok := s.cells.pop()
			if !ok {
				break
			}
			if err := s.read(cell, stats); err != nil {
				return err
			}
		}
	}
	return nil
}

// pairCells is how many of its nearest cells a row offers to the common order
// of priority; the last of them is the similarity that its margin is taken to.
const pairCells = 64

// pair is a row's interest in a cell.
type pair struct {
	priority float64
	cell     uint32
}

// probePairs visits the cells of the pairs of highest priority until Budget
// postings are read.
func (s *Searcher) probePairs(rows []int, options SearchOptions, stats *Stats) error {
	vectors := float64(s.source.Vectors())
	s.pairs = s.pairs[:0]
	for _, row := range rows {
		similarities := s.scorer.CellSimilarities(row)
		s.cells.reset(similarities)
		first := len(s.pairs)
		last := 0.0
		for len(s.pairs)-first < pairCells {
			cell, ok := s.cells.pop()
			if !ok {
				break
			}
			postings := s.source.PostingCount(cell)
			if postings == 0 {
				// Nothing is there, unless the list is corrupt: reading it tells.
				if err := s.read(cell, stats); err != nil {
					return err
				}
				continue
			}
			last = float64(similarities[cell])
			s.pairs = append(s.pairs, pair{math.Log(vectors / float64(postings)), cell})
		}
		for i := first; i < len(s.pairs); i++ {
			p := &s.pairs[i]
			p.priority *= float64(similarities[p.cell]) - options.MarginShare*last
		}
	}
	slices.SortFunc(s.pairs, func(a, b pair) int {
		return cmp.Or(cmp.Compare(b.priority, a.priority), cmp.Compare(a.cell, b.cell))
	})
	s.probed = zeroed(s.probed, s.source.Codebook().Cells())
	for _, p := range s.pairs {
		if stats.Postings >= options.Budget {
			break
		}
		// Another row may have come before.
		if s.probed[p.cell/64]&(1<<(p.cell%64)) != 0 {
			continue
		}
		s.probed[p.cell/64] |= 1 << (p.cell % 64)
		if err := s.read(p.cell, stats); err != nil {
			return err
		}
	}
	return nil
}

// read marks the documents of a cell as found.
func (s *Searcher) read(cell uint32, stats *Stats) error {
	var err error
	if s.list, err = s.source.AppendPostings(s.list[:0], cell); err != nil {
		return err
	}
	for _, document := range s.list {
		s.found[document/64] |= 1 << (document % 64)
	}
	if len(s.list) > 0 {
		stats.CellsProbed++
		stats.Postings += len(s.list)
	}
	return nil
}

// zeroed returns a bitmap of n zero bits, reusing memory.
func zeroed(bitmap []uint64, n int) []uint64 {
	words := (n + 63) / 64
	bitmap = slices.Grow(bitmap[:0], words)[:words]
	clear(bitmap)
	return bitmap
}

// cellHeap yields cells by descending similarity; equal ones by number.
type cellHeap struct {
	similarities []float32
	cells        []uint32
}

func (h *cellHeap) reset(similarities []float32) {
	h.similarities = similarities
	h.cells = slices.Grow(h.cells[:0], len(similarities))[:len(similarities)]
	for i := range h.cells {
		h.cells[i] = uint32(i)
	}
	for i := len(h.cells)/2 - 1; i >= 0; i-- {
		h.sink(i)
	}
}

func (h *cellHeap) before(a, b uint32) bool {
	x, y := h.similarities[a], h.similarities[b]
	return x > y || x == y && a < b
}

func (h *cellHeap) sink(i int) {
	for {
		first := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(h.cells); child++ {
			if h.before(h.cells[child], h.cells[first]) {
				first = child
			}
		}
		if first == i {
			return
		}
		h.cells[i], h.cells[first] = h.cells[first], h.cells[i]
		i = first
	}
}

func (h *cellHeap) pop() (cell uint32, ok bool) {
	n := len(h.cells)
	if n == 0 {
		return 0, false
	}
	cell = h.cells[0]
	h.cells[0] = h.cells[n-1]
	h.cells = h.cells[:n-1]
	h.sink(0)
	return cell, true
}
