package index

import (
	"math"
	"math/bits"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/simd"
)

// peakCells is how many of its nearest cells tell whether a row is flat.
const peakCells = 64

// offeredCells returns how many of its nearest cells each of some rows offers to
// the common order of priority; the last of them is the similarity that its
// margin is taken to. Many rows share a budget, so that none needs many cells.
func offeredCells(rows int) int {
	const fewest, most, together = 24, 64, 512
	return min(max(together/max(rows, 1), fewest), most)
}

// visit is a cell whose posting list may be read. The greater order, the
// sooner; its low half is the complement of the cell's number.
type visit struct {
	order    uint64
	postings uint32
	row      uint32  // of the query that wants it most
	highest  float32 // priority that a row gives it
}

func (v visit) cell() uint32 { return cellOf(v.order) }

// probe makes candidates of the live documents in the cells that the probing
// rows visit. packed are the query's rows that are compared.
func (s *Searcher) probe(packed []int, selection querypruner.Selection, options SearchOptions) error {
	var err error
	if s.counts, err = s.source.PostingCounts(); err != nil {
		return err
	}
	s.columns = s.columns[:0]
	for column, row := range packed {
		if selection.Probe == nil || slices.Contains(selection.Probe, row) {
			s.columns = append(s.columns, column)
		}
	}
	s.wanted = s.wanted[:0]
	s.place = slices.Grow(s.place[:0], s.codebook.Cells())[:s.codebook.Cells()]
	if options.Neighbors > 0 {
		s.wantNeighbors(packed, options)
	} else {
		s.wantBudget(packed, selection, options)
	}
	s.found = zeroed(s.found, s.source.Documents())
	for _, v := range s.wanted {
		if s.list, err = s.source.AppendPostings(s.list[:0], v.cell()); err != nil {
			return err
		}
		for _, document := range s.list {
			s.found[document/64] |= 1 << (document % 64)
		}
		s.stats.CellsProbed++
		s.stats.Postings += len(s.list)
		s.visited[v.row].Cells++
		s.visited[v.row].Postings += len(s.list)
	}
	s.collect(options.Filter)
	return nil
}

// wantNeighbors makes each row want its nearest cells until they hold Neighbors
// postings.
func (s *Searcher) wantNeighbors(packed []int, options SearchOptions) {
	neighbors := s.forFilter(options.Neighbors, options.Filter)
	const few = 8 // that often are enough
	s.offer(few, func(offered []uint64) bool {
		if options.Peak > 0 && len(offered) < peakCells {
			return false
		}
		sum := 0
		for _, key := range offered {
			sum += int(s.counts[cellOf(key)])
		}
		return sum >= neighbors
	})
	s.passOverFlat(packed, options)
	for _, column := range s.columns {
		s.visits = s.visits[:0]
		for _, offer := range options.nearest(s.offered[column]) {
			cell, similarity := cellOf(offer), float32(valueOf(offer))
			s.visits = append(s.visits, visit{key(similarity, cell), s.counts[cell], uint32(packed[column]), similarity})
		}
		for _, v := range s.visits[:selectPostings(s.visits, neighbors)] {
			s.want(v)
		}
	}
	s.forget()
}

// nearest moves the cells that a row may visit to the front of those offered,
// which it returns.
func (o SearchOptions) nearest(offered []uint64) []uint64 {
	if o.Cells == 0 || o.Cells >= len(offered) {
		return offered
	}
	selectLargest(offered, o.Cells)
	return offered[:o.Cells]
}

// passOverFlat takes columns away that are flat.
func (s *Searcher) passOverFlat(packed []int, options SearchOptions) {
	if options.Peak == 0 || len(s.columns) == 0 {
		return
	}
	best, highest := s.columns[0], -1.0
	for _, column := range s.columns {
		if peak := peakOf(s.offered[column]); peak > highest {
			best, highest = column, peak
		}
	}
	s.columns = slices.DeleteFunc(s.columns, func(column int) bool {
		flat := column != best && peakOf(s.offered[column]) < options.Peak
		s.visited[packed[column]].Flat = flat
		return flat
	})
	s.stats.RowsKept = len(s.columns)
}

// peakOf returns by which share of its similarity the nearest cell is closer
// than the last of the nearest ones; 0 if it is not similar at all.
func peakOf(offered []uint64) float64 {
	n := min(len(offered), peakCells)
	if n == 0 {
		return 0
	}
	selectLargest(offered, n)
	nearest, last := float64(valueOf(slices.Max(offered[:n]))), float64(valueOf(slices.Min(offered[:n])))
	if nearest <= 0 {
		return 0
	}
	return (nearest - last) / nearest
}

// wantBudget makes the rows want the cells of highest priority together that
// hold Budget postings; see SearchOptions.Budget.
func (s *Searcher) wantBudget(packed []int, selection querypruner.Selection, options SearchOptions) {
	n := offeredCells(len(s.columns))
	atLeast := n
	if options.Peak > 0 {
		atLeast = max(n, peakCells)
	}
	s.offer(atLeast, func(offered []uint64) bool { return len(offered) >= atLeast })
	s.passOverFlat(packed, options)
	vectors := float64(s.source.Vectors())
	for _, column := range s.columns {
		offered, row := s.offered[column], packed[column]
		selectLargest(offered, n)
		offered = offered[:min(n, len(offered))]
		if len(offered) == 0 {
			continue
		}
		last, members := float64(valueOf(slices.Min(offered))), float64(selection.MeanOf(row))
		offered = options.nearest(offered)
		slices.Sort(offered)
		for i, offer := range offered {
			rank, postings := len(offered)-i, s.counts[cellOf(offer)]
			// The conversion keeps the compiler from fusing operations, which
			// would round differently on some machines.
			margin := max(float64(valueOf(offer))-float64(options.MarginShare*last), 0)
			rarity := math.Log(vectors / float64(postings))
			if selection.Rarity != nil {
				rarity = selection.Rarity[row]
			}
			priority := float32(members * margin * power(rarity, options.RarityPower) / power(float64(rank), options.RankPower))
			s.want(visit{key(priority, cellOf(offer)), postings, uint32(row), priority})
		}
	}
	s.forget()
	s.wanted = s.wanted[:selectPostings(s.wanted, s.forFilter(options.postings(0), options.Filter))]
}

// power is math.Pow, faster for the exponents that are usual.
func power(x, exponent float64) float64 {
	switch exponent {
	case 0:
		return 1
	case 0.5:
		return math.Sqrt(x)
	case 1:
		return x
	}
	return math.Pow(x, exponent)
}

// want adds a cell to the wanted ones, or to its priority.
func (s *Searcher) want(v visit) {
	at := s.place[v.cell()]
	if at == 0 {
		s.wanted = append(s.wanted, v)
		s.place[v.cell()] = uint32(len(s.wanted))
		return
	}
	w := &s.wanted[at-1]
	w.order = key(scoreOf(w.order)+scoreOf(v.order), v.cell())
	if v.highest > w.highest {
		w.highest, w.row = v.highest, v.row
	}
}

// forget clears the places that want has set.
func (s *Searcher) forget() {
	for _, v := range s.wanted {
		s.place[v.cell()] = 0
	}
}

// offer lists, for every probing column, its nearest cells with postings: at
// first so many at least, until enough says so or there are no more.
func (s *Searcher) offer(atLeast int, enough func([]uint64) bool) {
	if len(s.columns) == 0 {
		return
	}
	cells := s.scorer.Scan()
	stride := cells.Stride()
	maxima := cells.BlockMaxima()
	blocks := len(maxima) / stride
	s.offered = slices.Grow(s.offered[:0], stride)[:stride]
	pending := append(s.pending[:0], s.columns...)
	for ; len(pending) > 0; atLeast *= 8 {
		s.limits = slices.Grow(s.limits[:0], stride)[:stride]
		for column := range s.limits {
			s.limits[column] = simd.NoCell
		}
		for _, column := range pending {
			s.offered[column] = s.offered[column][:0]
			s.limits[column] = math.MinInt16 // all cells
			if atLeast <= blocks {
				s.limits[column] = nthMaximum(maxima[column:], stride, blocks, atLeast)
			}
		}
		s.offers = cells.Above(s.offers[:0], s.limits)
		last, postings := uint32(math.MaxUint32), uint32(0)
		for _, o := range s.offers {
			if o.Cell != last {
				last, postings = o.Cell, s.counts[o.Cell]
			}
			if postings > 0 {
				s.offered[o.Row] = append(s.offered[o.Row], valueKey(o.Value, o.Cell))
			}
		}
		if atLeast > blocks {
			break
		}
		pending = slices.DeleteFunc(pending, func(column int) bool { return enough(s.offered[column]) })
	}
	s.pending = pending
}

// nthMaximum returns the n-th largest of a column's block maxima, found by its
// upper byte and then its lower one.
func nthMaximum(maxima []int16, stride, blocks, n int) int16 {
	var upper, lower [256]int
	for at := range blocks {
		upper[byte(uint16(maxima[at*stride])>>8)^1<<7]++
	}
	high := 255
	for ; n > upper[high]; high-- {
		n -= upper[high]
	}
	for at := range blocks {
		if v := uint16(maxima[at*stride]) ^ 1<<15; int(v>>8) == high {
			lower[byte(v)]++
		}
	}
	low := 255
	for ; n > lower[low]; low-- {
		n -= lower[low]
	}
	return int16(uint16(high<<8|low) ^ 1<<15)
}

// valueKey orders cells by similarity, equal ones by ascending number.
func valueKey(value int16, cell uint32) uint64 {
	return uint64(uint16(value)^1<<15)<<32 | uint64(^cell)
}

func valueOf(key uint64) int16 { return int16(uint16(key>>32) ^ 1<<15) }

func cellOf(key uint64) uint32 { return ^uint32(key) }

// selectPostings moves the visits first in order that hold n postings to the
// front, in no order, and returns how many they are: quickselect by weight.
func selectPostings(visits []visit, n int) int {
	lo, hi := 0, len(visits)
	for lo < hi && n > 0 {
		a, b, c := visits[lo].order, visits[lo+(hi-lo)/2].order, visits[hi-1].order
		pivot := max(min(a, b), min(max(a, b), c))
		larger, sum := lo, 0
		for i := lo; i < hi; i++ {
			if visits[i].order > pivot {
				sum += int(visits[i].postings)
				visits[i], visits[larger] = visits[larger], visits[i]
				larger++
			}
		}
		if sum >= n {
			hi = larger
			continue
		}
		for i := larger; i < hi; i++ {
			if visits[i].order == pivot {
				visits[i], visits[larger] = visits[larger], visits[i]
				break
			}
		}
		n -= sum + int(visits[larger].postings)
		lo = larger + 1
	}
	return lo
}

// everything makes every live document a candidate.
func (s *Searcher) everything(filter *roaring.Bitmap) {
	n := s.source.Documents()
	s.found = zeroed(s.found, n)
	for i := range s.found {
		s.found[i] = math.MaxUint64
	}
	if n%64 > 0 {
		s.found[n/64] = 1<<(n%64) - 1
	}
	s.collect(filter)
}

// collect makes candidates of the documents found that live and pass the
// filter.
func (s *Searcher) collect(filter *roaring.Bitmap) {
	s.source.ClearDeleted(s.found)
	s.documents = s.documents[:0]
	for i, word := range s.found {
		for ; word != 0; word &= word - 1 {
			document := uint32(i*64 + bits.TrailingZeros64(word))
			if filter == nil || filter.Contains(document) {
				s.documents = append(s.documents, document)
			}
		}
	}
	s.stats.Candidates = len(s.documents)
}

// zeroed returns a bitmap of n zero bits, reusing memory.
func zeroed(bitmap []uint64, n int) []uint64 {
	words := (n + 63) / 64
	bitmap = slices.Grow(bitmap[:0], words)[:words]
	clear(bitmap)
	return bitmap
}
