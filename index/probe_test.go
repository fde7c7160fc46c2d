package index

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/simd"
)

type interest struct {
	priority float64
	cell     uint32
}

func compareInterests(a, b interest) int {
	return cmp.Or(cmp.Compare(b.priority, a.priority), cmp.Compare(a.cell, b.cell))
}

// budgeted finds candidates as SearchOptions.Budget is defined, with maps and
// sorts over all cells.
func budgeted(s *Snapshot, postings map[uint32][]uint32, query *simd.Query, selection querypruner.Selection, options SearchOptions) (found map[uint32]bool, cells, read int) {
	sums := make(map[uint32]float32)
	similarities := cellSimilarities(s, query)
	for _, row := range selection.Probe {
		var nearest []interest
		for cell := range postings {
			nearest = append(nearest, interest{float64(similarities.Value(cell, row)), cell})
		}
		slices.SortFunc(nearest, compareInterests)
		nearest = nearest[:min(max(24, min(64, 512/len(selection.Probe))), len(nearest))]
		last := nearest[len(nearest)-1].priority
		if options.Cells > 0 {
			nearest = nearest[:min(options.Cells, len(nearest))]
		}
		for rank, n := range nearest {
			margin := max(0, n.priority-options.MarginShare*last)
			// Priorities are added up as float32.
			rarity := math.Log(float64(s.Vectors()) / float64(len(postings[n.cell])))
			if selection.Rarity != nil {
				rarity = selection.Rarity[row]
			}
			members := 1.0
			if len(selection.Rows) > 0 && row == query.Rows-1 {
				members = 3 // as the test has it
			}
			sums[n.cell] += float32(members * margin * math.Pow(rarity, options.RarityPower) / math.Pow(float64(rank+1), options.RankPower))
		}
	}
	var interests []interest
	for cell, sum := range sums {
		interests = append(interests, interest{float64(sum), cell})
	}
	slices.SortFunc(interests, compareInterests)
	found = make(map[uint32]bool)
	for _, i := range interests {
		if read >= options.Budget {
			break
		}
		cells++
		read += len(postings[i.cell])
		for _, document := range postings[i.cell] {
			found[document] = true
		}
	}
	return found, cells, read
}

func TestBudgetAgainstPlainLoop(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 11))
	for _, withIDs := range []bool{true, false} {
		documents := randomDocuments(rng, 1500, 24, withIDs)
		shape := smallOptions(24, codec.Residual2)
		shape.Codec.Cells, shape.Codec.MinCellVectors = 400, 2
		s := open(t, build(t, shape, documents))
		postings := cellsOf(t, s, documents)
		if limit := offeredCells(1); len(postings) <= limit {
			t.Fatalf("%d cells do not put the limit of %d to the test", len(postings), limit)
		}
		query := simd.PackQuery(randomTokens(rng, 25, 24, withIDs).Vectors)
		for _, rows := range [][]int{{2}, {0, 3}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, allRows(query).Probe} {
			for _, budget := range []int{1, 20, 100, 1 << 20} {
				for i, share := range []float64{0, 0.5, 1, 0.5, 0.5, 0.5, 0.5} {
					options := SearchOptions{K: 1 << 20, Plan: Probe, Budget: budget, MarginShare: share, RarityPower: 1, RankPower: 0.5}
					selection := querypruner.Selection{Probe: rows}
					switch i {
					case 3:
						options.RarityPower, options.RankPower = 2, 0
					case 4:
						options.RarityPower, options.RankPower, options.Cells = 0, 1, 5
					case 5:
						for row := range query.Rows {
							selection.Rarity = append(selection.Rarity, []float64{3, 1, 0, 4, 2.5}[row%5])
						}
					case 6: // the last row is a mean of three
						selection.Rows = make([]querypruner.Row, query.Rows-1)
						selection.Rows[4] = querypruner.Row{Kept: true, Members: 3}
					}
					searcher := NewSearcher(s)
					hits, stats, err := searcher.Search(t.Context(), query, selection, options)
					check(t, err)
					found, cells, read := budgeted(s, postings, query, selection, options)
					if stats.CellsProbed != cells || stats.Postings != read || stats.Candidates != len(found) {
						t.Fatalf("ids %v, rows %v, budget %d, share %v: %d cells, %d postings, %d candidates; want %d, %d, %d",
							withIDs, rows, budget, share, stats.CellsProbed, stats.Postings, stats.Candidates, cells, read, len(found))
					}
					var visited Visited
					for row, v := range searcher.Visited() {
						if v.Cells > 0 && !slices.Contains(rows, row) {
							t.Fatalf("row %d visits %d cells, but only %v probe", row, v.Cells, rows)
						}
						visited.Cells += v.Cells
						visited.Postings += v.Postings
					}
					if visited.Cells != cells || visited.Postings != read {
						t.Fatalf("the rows visited %+v, want %d cells with %d postings", visited, cells, read)
					}
					for _, hit := range hits {
						if !found[hit.Document] {
							t.Fatalf("document %d is no candidate", hit.Document)
						}
					}
				}
			}
		}
	}
}

// TestPeak computes the peaks of rows by sorting all cells, and searches with
// the rows that are left.
func TestPeak(t *testing.T) {
	rng := rand.New(rand.NewPCG(15, 15))
	documents := randomDocuments(rng, 1500, 24, true)
	shape := smallOptions(24, codec.Residual2)
	shape.Codec.Cells, shape.Codec.MinCellVectors = 400, 2
	s := open(t, build(t, shape, documents))
	postings := cellsOf(t, s, documents)
	query := simd.PackQuery(randomTokens(rng, 6, 24, true).Vectors)
	similarities := cellSimilarities(s, query)
	peaks := make([]float64, query.Rows)
	for row := range peaks {
		var values []float64
		for cell := range postings {
			values = append(values, float64(similarities.Value(cell, row)))
		}
		slices.Sort(values)
		slices.Reverse(values)
		peaks[row] = (values[0] - values[63]) / values[0]
	}
	ordered := slices.Sorted(slices.Values(peaks))
	searcher := NewSearcher(s)
	for _, least := range append(ordered, 1) {
		if least > 1 {
			continue // the last cells are on the other side
		}
		var left querypruner.Selection
		for row, peak := range peaks {
			if peak >= least || peak == ordered[len(ordered)-1] {
				left.Probe = append(left.Probe, row)
			}
		}
		for _, options := range []SearchOptions{
			{K: 1 << 20, Plan: Probe, Budget: 50, MarginShare: 0.5},
			{K: 1 << 20, Plan: Probe, Neighbors: 20, Cells: 3},
		} {
			want, wantStats := search(t, s, query, left, options)
			options.Peak = least
			got, stats, err := searcher.Search(t.Context(), query, querypruner.Selection{}, options)
			check(t, err)
			if !slices.Equal(got, want) || stats != wantStats {
				t.Fatalf("peak %v: %d hits and %+v, want %d and %+v", least, len(got), stats, len(want), wantStats)
			}
			for row, v := range searcher.Visited() {
				if v.Flat == slices.Contains(left.Probe, row) {
					t.Errorf("peak %v: row %d with %v is flat: %v", least, row, peaks[row], v.Flat)
				}
			}
		}
	}
}

// A larger budget finds all that a smaller one finds, with the same scores.
func TestBudgetGrows(t *testing.T) {
	rng := rand.New(rand.NewPCG(12, 12))
	s := open(t, build(t, smallOptions(8, codec.Residual1), randomDocuments(rng, 200, 8, true)))
	query := simd.PackQuery(randomTokens(rng, 6, 8, true).Vectors)
	var before []Hit
	for budget := 1; budget < 2000; budget *= 2 {
		options := SearchOptions{K: 1 << 20, Plan: Probe, Budget: budget, MarginShare: 0.5}
		hits, stats := search(t, s, query, allRows(query), options)
		for _, hit := range before {
			if !slices.Contains(hits, hit) {
				t.Fatalf("a budget of %d does not find %v, a smaller one does", budget, hit)
			}
		}
		if len(hits) <= 0 || stats.Postings < min(budget, stats.Candidates) {
			t.Fatalf("budget %d: %+v", budget, stats)
		}
		before = hits
	}
}

func TestNthMaximum(t *testing.T) {
	rng := rand.New(rand.NewPCG(14, 14))
	for range 300 {
		stride, blocks := 1+rng.IntN(8), 1+rng.IntN(40)
		maxima, column := make([]int16, stride*blocks), rng.IntN(stride)
		width := 1 << (1 + rng.IntN(16))
		var sorted []int16
		for i := range maxima {
			maxima[i] = int16(rng.IntN(width) - width/2)
			if i%stride == column {
				sorted = append(sorted, maxima[i])
			}
		}
		slices.Sort(sorted)
		for n := 1; n <= blocks; n++ {
			if got := nthMaximum(maxima[column:], stride, blocks, n); got != sorted[blocks-n] {
				t.Fatalf("largest number %d of %v: %d, want %d", n, sorted, got, sorted[blocks-n])
			}
		}
	}
}

func TestSelectPostings(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 13))
	for range 500 {
		var visits []visit
		for i := range rng.IntN(40) {
			visits = append(visits, visit{uint64(rng.IntN(30))<<32 | uint64(^uint32(i)), uint32(1 + rng.IntN(50)), 0, 0})
		}
		want := slices.Clone(visits)
		slices.SortFunc(want, func(a, b visit) int { return cmp.Compare(b.order, a.order) })
		budget := rng.IntN(300)
		n, sum := 0, 0
		for ; n < len(want) && sum < budget; n++ {
			sum += int(want[n].postings)
		}
		got := visits[:selectPostings(visits, budget)]
		slices.SortFunc(got, func(a, b visit) int { return cmp.Compare(b.order, a.order) })
		if !slices.Equal(got, want[:n]) {
			t.Fatalf("budget %d: %v, want %v", budget, got, want[:n])
		}
	}
}
