package codec

import (
	"errors"
	"math"
	"testing"

	"github.com/pare-search/pare/simd"
)

// plainRankScore is what the documentation of RankScore says, in float64.
func plainRankScore(t *testing.T, c *Codebook, q *simd.Query, rows []int, data Payload) float64 {
	t.Helper()
	cells, err := c.DocumentCells(data.Cells)
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	for _, row := range rows {
		best := math.Inf(-1)
		for _, cell := range cells {
			var dot, square float64
			for d, x := range c.Centroid(int(cell)) {
				dot += float64(x) * float64(q.Float().Row(row)[d])
				square += float64(x) * float64(x)
			}
			best = max(best, dot/math.Sqrt(math.Sqrt(square)))
		}
		if len(cells) > 0 {
			sum += best
		}
	}
	return sum
}

// TestRankScore: the score counts in steps, of which a row makes 255 at most,
// so sums may be off by half a step for each row and by the rounding of the
// query to int8.
func TestRankScore(t *testing.T) {
	for _, dim := range []int{8, 24, 128} {
		m, ids := tokens(31, 600, dim, 10)
		for _, kind := range Kinds {
			c, data := build(t, m, ids, kind, 37)
			other := encode(t, c, m.Slice(200, 260), nil)
			s := c.NewScorer()
			for _, rows := range []int{1, 9, 40} {
				q := simd.PackQuery(m.Slice(100, 100+rows))
				for _, selected := range [][]int{nil, {rows - 1}, {}} {
					reset(t, s, q, selected, nil)
					all := selected
					if all == nil {
						for row := range rows {
							all = append(all, row)
						}
					}
					if empty, err := s.RankScore(encode(t, c, simd.Matrix{}, nil).Cells, nil); empty != 0 || err != nil {
						t.Errorf("%v: no vectors rank at %d (%v)", kind, empty, err)
					}
					a, errA := s.RankScore(data.Cells, other.Cells)
					b, errB := s.RankScore(other.Cells, nil)
					if errA != nil || errB != nil {
						t.Fatal(errA, errB)
					}
					if len(all) == 0 {
						continue
					}
					// One step, from one document; the other must agree.
					wantA, wantB := plainRankScore(t, c, q, all, data), plainRankScore(t, c, q, all, other)
					step := float64(wantA) / float64(a)
					bound := step*float64(len(all))*2 + 0.02*math.Sqrt(float64(dim))/8*float64(len(all))
					if math.Abs(step*float64(b)-wantB) > bound {
						t.Errorf("%v, %d dimensions, %d rows: %v, want %v within %v", kind, dim, len(all), step*float64(b), wantB, bound)
					}
				}
			}
		}
	}
}

func TestRankScoreRefuses(t *testing.T) {
	m, ids := tokens(33, 300, 16, 5)
	c, data := build(t, m, ids, Residual2, 10)
	s := c.NewScorer()
	if _, err := s.RankScore(data.Cells, nil); !errors.Is(err, ErrShape) {
		t.Errorf("without a query: %v", err)
	}
	reset(t, s, simd.PackQuery(m.Slice(0, 3)), nil, nil)
	for n := range data.Cells {
		if _, err := s.RankScore(data.Cells[:n], nil); (err == nil) != (n%2 == 0) || err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%d of %d bytes: %v", n, len(data.Cells), err)
		}
	}
	want, err := s.RankScore(data.Cells, nil)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(data.Cells); at += 2 {
		data.Cells[at], data.Cells[at+1] = 0xff, 0xff
		if got, err := s.RankScore(data.Cells, nil); err != nil || got > want {
			t.Errorf("cell 65535 in place of number %d: %d (%v), more than %d", at/2, got, err, want)
		}
	}
}
