package simd

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestCellRows compares everything that a scan gives with plain loops over the
// int8 values.
func TestCellRows(t *testing.T) {
	levels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(31, 32))
		var scanned CellRows
		for _, limit := range []int{15, 31, 63, 127} {
			for _, dim := range []int{8, 40, 64, 128, 264} {
				for _, rows := range []int{0, 1, 4, 5, 8, 9, 16, 17, 24, 25, 32, 33, 50, 65} {
					cells := []int{0, 1, 2, 5, 6, 7, 8, 9, 13, 50}[rng.IntN(10)]
					table, values := randomTable(rng, cells, dim, limit)
					q := randomQuery(rng, rows, dim)
					scanned.Scan(q, nil, table)
					checkCellRows(t, q, allRows(rows), table, values, &scanned,
						fmt.Sprintf("%d rows, %d cells of %d dimensions up to %d", rows, cells, dim, limit))
				}
			}
		}
		table, values := randomTable(rng, 5000, 128, 31)
		for _, rows := range []int{3, 12, 22, 32} {
			q := randomQuery(rng, rows, 128)
			scanned.Scan(q, nil, table)
			checkCellRows(t, q, allRows(rows), table, values, &scanned, fmt.Sprintf("%d rows, 5000 cells", rows))
		}
		q := randomQuery(rng, 9, 128)
		scanned.Scan(q, []int{8, 0, 3, 3}, table)
		checkCellRows(t, q, []int{8, 0, 3, 3}, table, values, &scanned, "some rows")
	})
}

// TestCellRowsExtremes drives sums and similarities to their limits.
func TestCellRowsExtremes(t *testing.T) {
	levels(t, func(t *testing.T) {
		for _, limit := range []int8{31, 63, 127, -128} {
			for _, dim := range []int{8, 128, 1024} {
				for _, scale := range []float32{0, 1e-38, 1, 1e25} {
					values := make([]int8, 3*dim)
					for d := range dim {
						values[d], values[dim+d] = limit, -limit
					}
					table := NewCellTable(dim, values, []float32{scale, scale, scale}, nil)
					q := flatQuery(5, dim, 1)
					var scanned CellRows
					scanned.Scan(q, nil, table)
					checkCellRows(t, q, allRows(5), table, values, &scanned, fmt.Sprint(limit, dim, scale))
				}
			}
		}
	})
}

func checkCellRows(t *testing.T, q *Query, rows []int, table *CellTable, values []int8, c *CellRows, name string) {
	t.Helper()
	if c.Rows() != len(rows) || c.Stride() < len(rows) {
		t.Fatalf("%s: %d rows, stride %d", name, c.Rows(), c.Stride())
	}
	var longest float64
	for _, row := range rows {
		codes, scale := q.Codes(row)
		longest = max(longest, float64(scale)*lengthInt8(codes))
	}
	unit := float64(c.Unit())
	if frac, _ := math.Frexp(unit); frac != 0.5 {
		t.Fatalf("%s: unit %v is no power of two", name, unit)
	}
	perByte := float32(255 * unit / (float64(table.MaxRank) * longest))
	if !(perByte < math.MaxFloat32) {
		perByte = 0
	}
	n := c.block
	for cell := range table.Cells {
		if len(rows) == 0 {
			break
		}
		all := c.Values(uint32(cell))
		for j := range all {
			if j >= len(rows) {
				if b := c.bytes[cell*c.stride+j]; all[j] != 0 || b != 0 {
					t.Fatalf("%s: cell %d, lane %d without row: %d, %d", name, cell, j, all[j], b)
				}
				continue
			}
			codes, scale := q.Codes(rows[j])
			var dot int32
			for d, v := range codes {
				dot += int32(v) * int32(values[cell*table.Dim+d])
			}
			x := float32(float32(dot)*table.Scale[cell]) * float32(scale/c.Unit())
			if similarity := float64(dot) * float64(scale) * float64(table.Scale[cell]); math.Abs(float64(x)*unit-similarity) > 1e-6*longest*float64(table.MaxLength) {
				t.Fatalf("%s: cell %d, row %d: %v instead of %v", name, cell, j, float64(x)*unit, similarity)
			}
			if want := int16(math.RoundToEven(float64(x))); all[j] != want || c.Value(uint32(cell), j) != want {
				t.Fatalf("%s: cell %d, row %d: %d, want %d", name, cell, j, all[j], want)
			}
			y := float32(x * float32(table.RankWeight[cell]*perByte))
			if want := uint8(max(math.RoundToEven(float64(y)), 0)); c.bytes[cell*c.stride+j] != want {
				t.Fatalf("%s: cell %d, row %d: byte %d, want %d", name, cell, j, c.bytes[cell*c.stride+j], want)
			}
		}
	}
	maxima := c.BlockMaxima()
	blocks := (table.Cells + n - 1) / n
	if len(maxima) != blocks*c.Stride() || blocks > 512 {
		t.Fatalf("%s: %d maxima", name, len(maxima))
	}
	for b := range blocks {
		for j := range rows {
			want := int16(math.MinInt16)
			for cell := b * n; cell < min((b+1)*n, table.Cells); cell++ {
				want = max(want, c.Value(uint32(cell), j))
			}
			if got := maxima[b*c.Stride()+j]; got != want {
				t.Fatalf("%s: maximum of block %d, row %d: %d, want %d", name, b, j, got, want)
			}
		}
	}
}

func TestCellRowsAbove(t *testing.T) {
	levels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(33, 34))
		for _, rows := range []int{0, 1, 4, 8, 9, 16, 17, 32, 33, 70} {
			for _, cells := range []int{0, 1, 7, 100, 3000} {
				table, _ := randomTable(rng, cells, 8, 127)
				var c CellRows
				c.Scan(randomQuery(rng, rows, 8), nil, table)
				for _, quantile := range []float64{0, 0.5, 0.99, 1} {
					thresholds := make([]int16, rows)
					for j := range thresholds {
						all := make([]int16, 0, cells+1)
						for cell := range cells {
							all = append(all, c.Value(uint32(cell), j))
						}
						all = append(all, 0)
						slices.Sort(all)
						thresholds[j] = all[int(quantile*float64(len(all)-1))]
						if rng.IntN(5) == 0 {
							thresholds[j] = NoCell
						}
					}
					first := RowCell{Cell: 1, Row: 2, Value: 3}
					want := []RowCell{first}
					for cell := range cells {
						for j, threshold := range thresholds {
							if v := c.Value(uint32(cell), j); v >= threshold {
								want = append(want, RowCell{uint32(cell), uint16(j), v})
							}
						}
					}
					if got := c.Above([]RowCell{first}, thresholds); !slices.Equal(got, want) {
						t.Fatalf("%d rows, %d cells: %v, want %v", rows, cells, got, want)
					}
				}
			}
		}
	})
}

// putCells writes ids of width 2 or 3.
func putCells(cells []uint32, width int) []byte {
	var out []byte
	for _, cell := range cells {
		out = append(binary.LittleEndian.AppendUint32(out, cell)[:len(out)], byte(cell), byte(cell>>8), byte(cell>>16))[:len(out)+width]
	}
	return out
}

func TestCellRowsRankAndMaxima(t *testing.T) {
	levels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(35, 36))
		for _, rows := range []int{0, 1, 4, 8, 9, 16, 17, 32, 33, 70, 300} {
			for _, n := range []int{1, 200} {
				table, _ := randomTable(rng, n, 8, 127)
				var c CellRows
				c.Scan(randomQuery(rng, rows, 8), nil, table)
				for _, tokens := range []int{0, 1, 2, 3, 4, 5, 7, 8, 9, 100} {
					for _, past := range []int{0, 1, 60000} {
						cells := make([]uint32, tokens)
						for i := range cells {
							cells[i] = uint32(rng.IntN(n + past))
						}
						checkRank(t, &c, table, cells)
						checkCellMaxima(t, rng, &c, table, cells)
					}
				}
			}
		}
	})
}

func checkRank(t *testing.T, c *CellRows, table *CellTable, cells []uint32) {
	t.Helper()
	var want uint32
	for j := range c.Rows() {
		var best uint8
		for _, cell := range cells {
			if int(cell) < table.Cells {
				best = max(best, c.bytes[int(cell)*c.stride+j])
			}
		}
		want += uint32(best)
	}
	for _, width := range []int{2, 3} {
		ids := putCells(cells, width)
		for _, next := range [][]byte{nil, ids} {
			if got := c.RankScore(ids, width, next); got != want {
				t.Fatalf("%d rows, cells %v of %d bytes: %d, want %d", c.Rows(), cells, width, got, want)
			}
		}
	}
}

func checkCellMaxima(t *testing.T, rng *rand.Rand, c *CellRows, table *CellTable, cells []uint32) {
	t.Helper()
	weights := randomValues(rng, table.Cells)
	want := randomValues(rng, c.Rows())
	got, intact := guarded[float32](c.Rows())
	copy(got, want)
	c.Maxima(got, cells, weights)
	intact(t)
	for _, cell := range cells {
		for j := range want {
			if int(cell) >= table.Cells {
				want[j] = max(want[j], 0)
				continue
			}
			product := weights[cell] * float32(c.Value(cell, j))
			want[j] = max(want[j], c.Unit()*product)
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%d rows, cells %v: %v, want %v", c.Rows(), cells, got, want)
	}
}

// FuzzCellRows compares rows with cells at every level.
func FuzzCellRows(f *testing.F) {
	f.Add(uint64(1), uint8(5), uint8(30), uint8(2), uint8(31), []byte("some ids of cells"))
	f.Fuzz(func(t *testing.T, seed uint64, rows, cells, eights, limit uint8, ids []byte) {
		rng := rand.New(rand.NewPCG(seed, 0))
		dim := 8 * (1 + int(eights%40))
		table, values := randomTable(rng, int(cells), dim, int(limit%128))
		q := randomQuery(rng, int(rows%70), dim)
		for i := 0; i < len(ids) && i < len(q.codes); i++ {
			q.codes[i] = max(int8(ids[i]), -127)
		}
		var few []uint32
		for _, id := range ids[:min(len(ids), 200)] {
			few = append(few, uint32(id))
		}
		for l := levelGo; l <= bestLevel(); l++ {
			undo := setLevel(l)
			var c CellRows
			c.Scan(q, nil, table)
			checkCellRows(t, q, allRows(q.Rows), table, values, &c, l.String())
			checkRank(t, &c, table, few)
			checkCellMaxima(t, rng, &c, table, few)
			undo()
		}
	})
}
