package index

import (
	"math"
	"math/bits"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/pare-search/pare/simd"
)

// offeredCells is how many of its nearest cells a row offers to the common
// order of priority; the last of them is the similarity that its margin is
// taken to.
const offeredCells = 64

// visit is a cell whose posting list may be read. The greater order, the
// sooner; its low half is the complement of the cell's number.
type visit struct {
	order    uint64
	postings uint32
}

func (v visit) cell() uint32 { return cellOf(v.order) }

// probe makes candidates of the live documents in the cells that the probing
// rows visit. packed are the query's rows that are compared.
func (s *Searcher) probe(packed, probing []int, options SearchOptions) error {
	s.columns = s.columns[:0]
	for column, row := range packed {
		if probing == nil || slices.Contains(probing, row) {
			s.columns = append(s.columns, column)
		}
	}
	s.wanted = s.wanted[:0]
	s.place = slices.Grow(s.place[:0], s.codebook.Cells())[:s.codebook.Cells()]
	if options.Neighbors > 0 {
		s.wantNeighbors(s.forFilter(options.Neighbors, options.Filter))
	} else {
		s.wantBudget(options)
	}
	s.found = zeroed(s.found, s.source.Documents())
	for _, v := range s.wanted {
		var err error
		if s.list, err = s.source.AppendPostings(s.list[:0], v.cell()); err != nil {
			return err
		}
		for _, document := range s.list {
			s.found[document/64] |= 1 << (document % 64)
		}
		s.stats.CellsProbed++
		s.stats.Postings += len(s.list)
	}
	s.collect(options.Filter)
	return nil
}

// wantNeighbors makes each row want its nearest cells until they hold that
// many postings.
func (s *Searcher) wantNeighbors(neighbors int) {
	s.offer(func(offered []uint64) bool {
		sum := 0
		for _, key := range offered {
			sum += s.source.PostingCount(cellOf(key))
		}
		return sum >= neighbors
	})
	for _, column := range s.columns {
		s.visits = s.visits[:0]
		for _, key := range s.offered[column] {
			s.visits = append(s.visits, visit{key, uint32(s.source.PostingCount(cellOf(key)))})
		}
		for _, v := range s.visits[:selectPostings(s.visits, neighbors)] {
			s.want(v)
		}
	}
	s.forget()
}

// wantBudget makes the rows want the cells of highest priority that hold
// Budget postings; see SearchOptions.Budget.
func (s *Searcher) wantBudget(options SearchOptions) {
	s.offer(func(offered []uint64) bool { return len(offered) >= offeredCells })
	vectors := float64(s.source.Vectors())
	for _, column := range s.columns {
		offered := s.offered[column]
		selectLargest(offered, offeredCells)
		offered = offered[:min(offeredCells, len(offered))]
		if len(offered) == 0 {
			continue
		}
		slices.Sort(offered)
		last := float64(valueOf(offered[0]))
		for i, offer := range offered {
			rank, postings := len(offered)-i, s.source.PostingCount(cellOf(offer))
			// The conversion keeps the compiler from fusing operations, which
			// would round differently on some machines.
			margin := max(float64(valueOf(offer))-float64(options.MarginShare*last), 0)
			rarity := math.Log(vectors / float64(postings))
			priority := margin * rarity / math.Sqrt(float64(rank))
			s.want(visit{key(float32(priority), cellOf(offer)), uint32(postings)})
		}
	}
	s.forget()
	s.wanted = s.wanted[:selectPostings(s.wanted, s.forFilter(options.postings(0), options.Filter))]
}

// want adds a cell to the wanted ones, or raises its priority.
func (s *Searcher) want(v visit) {
	at := s.place[v.cell()]
	if at == 0 {
		s.wanted = append(s.wanted, v)
		s.place[v.cell()] = uint32(len(s.wanted))
		return
	}
	s.wanted[at-1].order = max(s.wanted[at-1].order, v.order)
}

// forget clears the places that want has set.
func (s *Searcher) forget() {
	for _, v := range s.wanted {
		s.place[v.cell()] = 0
	}
}

// offer lists, for every probing column, its nearest cells with postings,
// until enough says so or there are no more.
func (s *Searcher) offer(enough func([]uint64) bool) {
	if len(s.columns) == 0 {
		return
	}
	cells := s.scorer.Scan()
	stride := cells.Stride()
	maxima := cells.BlockMaxima()
	blocks := len(maxima) / stride
	s.offered = slices.Grow(s.offered[:0], stride)[:stride]
	pending := append(s.pending[:0], s.columns...)
	for atLeast := offeredCells; len(pending) > 0; atLeast *= 8 {
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
		last, postings := uint32(math.MaxUint32), 0
		for _, o := range s.offers {
			if o.Cell != last {
				last, postings = o.Cell, s.source.PostingCount(o.Cell)
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
