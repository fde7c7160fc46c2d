package codec

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/pare-search/pare/simd"
)

// plainRankScore is what the documentation of RankScore says, in float64.
func plainRankScore(t *testing.T, c *Codebook, q *simd.Query, rows []int, data []byte) float64 {
	t.Helper()
	cells, err := c.DocumentCells(data)
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

func TestRankScore(t *testing.T) {
	for _, dim := range []int{8, 24, 128} {
		m, ids := tokens(31, 600, dim, 10)
		for _, kind := range []Kind{Residual1, Residual2, Residual4} {
			c, data := build(t, m, ids, kind, 37)
			s := c.NewScorer()
			for _, rows := range []int{1, 9, 40} {
				q := simd.PackQuery(m.Slice(100, 100+rows))
				s.Reset(q)
				for _, selected := range [][]int{nil, {rows - 1}, {}} {
					for _, data := range [][]byte{data, encode(t, c, simd.Matrix{}, nil)} {
						got, err := s.RankScore(data, selected)
						if err != nil {
							t.Fatal(err)
						}
						all := selected
						if all == nil {
							for row := range rows {
								all = append(all, row)
							}
						}
						want := plainRankScore(t, c, q, all, data)
						if math.Abs(float64(got)-want) > 1e-5*float64(rows) {
							t.Errorf("%v, %d dimensions, %d rows: %v, want %v", kind, dim, rows, got, want)
						}
					}
				}
			}
		}
	}
}

// TestScanRows checks that nothing but the time depends on it.
func TestScanRows(t *testing.T) {
	m, ids := tokens(32, 900, 24, 30)
	for _, kind := range Kinds {
		c, data := build(t, m, ids, kind, 50)
		plain, scanned := c.NewScorer(), c.NewScorer()
		for _, rows := range [][]int{nil, {4, 0, 9}, {}} {
			q := simd.PackQuery(m.Slice(100, 110))
			plain.Reset(q)
			scanned.Reset(q)
			if err := scanned.ScanRows(rows); err != nil {
				t.Fatal(err)
			}
			scanned.ScanCells([]int{3, 4})
			for row := range q.Rows {
				if !slices.Equal(plain.CellSimilarities(row), scanned.CellSimilarities(row)) {
					t.Errorf("%v, rows %v: other similarities of row %d", kind, rows, row)
				}
			}
			for _, scoring := range [][]int{rows, {1, 4}, nil} {
				a, errA := plain.Score(data, scoring)
				b, errB := scanned.Score(data, scoring)
				if a != b || errA != nil || errB != nil {
					t.Errorf("%v, rows %v: score %v (%v), want %v (%v)", kind, rows, b, errB, a, errA)
				}
			}
		}
	}
}

func TestRankScoreRefuses(t *testing.T) {
	m, ids := tokens(33, 300, 16, 5)
	c, data := build(t, m, ids, Residual2, 10)
	s := c.NewScorer()
	if _, err := s.RankScore(data, nil); !errors.Is(err, ErrShape) {
		t.Errorf("without a query: %v", err)
	}
	q := simd.PackQuery(m.Slice(0, 3))
	s.Reset(q)
	if _, err := s.RankScore(data, []int{3}); !errors.Is(err, ErrShape) {
		t.Errorf("row 3 of 3: %v", err)
	}
	for n := range data {
		if _, err := s.RankScore(data[:n], nil); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%d of %d bytes: %v", n, len(data), err)
		}
	}
	for row := range 10 {
		bad := slices.Clone(data)
		bad[payloadHeader+2*row], bad[payloadHeader+2*row+1] = byte(c.Cells()), byte(c.Cells()>>8)
		if _, err := s.RankScore(bad, nil); !errors.Is(err, ErrCorrupt) {
			t.Errorf("cell %d of row %d: %v", c.Cells(), row, err)
		}
	}
	for _, kind := range []Kind{Int8, Float32} {
		c, data := build(t, m, ids, kind, 10)
		s := c.NewScorer()
		s.Reset(q)
		if _, err := s.RankScore(data, nil); !errors.Is(err, ErrShape) {
			t.Errorf("%v: %v", kind, err)
		}
	}
}
