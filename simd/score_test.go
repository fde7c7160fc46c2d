package simd

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
)

// randomValues returns values of the size of similarities.
func randomValues(rng *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(rng.NormFloat64())
	}
	return v
}

// randomTable returns a table of cells, one of them of zeros, and their int8
// values, at most limit in size.
func randomTable(rng *rand.Rand, cells, dim, limit int) (*CellTable, []int8) {
	values := make([]int8, cells*dim)
	for i := range values {
		values[i] = int8(rng.IntN(2*limit+1) - limit)
	}
	if cells > 3 {
		clear(values[3*dim : 4*dim])
	}
	scale, residual := make([]float32, cells), make([]float32, cells)
	for c := range scale {
		scale[c], residual[c] = rng.Float32()/100, rng.Float32()
	}
	return NewCellTable(dim, values, scale, residual), values
}

// maximaCase is what the similarities of a query and a document come from.
type maximaCase struct {
	query         *Query
	table         *CellTable
	doc           CodedTokens
	codes         [][]uint8
	bits          int
	weights       []int8
	weightScale   float32
	start         []float32
	scanned, used []int // rows
}

func newMaximaCase(rng *rand.Rand, rows, tokens, dim, codeBits, limit int) *maximaCase {
	c := &maximaCase{query: randomQuery(rng, rows, dim), bits: codeBits, weightScale: rng.Float32()}
	c.table, _ = randomTable(rng, 5, dim, 127)
	c.weights = make([]int8, 1<<codeBits)
	for i := range c.weights {
		c.weights[i] = int8(rng.IntN(2*limit+1) - limit)
	}
	planes := make([]byte, PlaneBytes(tokens, dim, codeBits))
	c.codes = randomPlanes(rng, tokens, dim, codeBits, planes)
	c.doc = CodedTokens{Planes: planes, Factors: make([]byte, tokens), FactorTable: new([256]float32), Next: planes}
	for range tokens {
		c.doc.Cells = append(c.doc.Cells, rng.Uint32N(6)) // one past the table
	}
	for i := range c.doc.FactorTable {
		c.doc.FactorTable[i] = rng.Float32() * 2
	}
	for i := range c.doc.Factors {
		c.doc.Factors[i] = byte(rng.Uint32())
	}
	c.start = randomValues(rng, rows)
	c.scanned = rng.Perm(rows)
	c.used = c.scanned
	return c
}

// want computes the maxima as CodeQuery.Maxima documents them.
func (c *maximaCase) want(cells *CellRows) []float32 {
	best := slices.Clone(c.start[:len(c.used)])
	for t, codes := range c.codes {
		cell := c.doc.Cells[t]
		var residual float32
		if int(cell) < c.table.Cells {
			residual = c.table.ResidualScale[cell]
		}
		for j, row := range c.used {
			values, scale := c.query.Codes(row)
			var dot int32
			for d, v := range values {
				dot += int32(v) * int32(c.weights[codes[d]])
			}
			var value float32
			if int(cell) < c.table.Cells {
				value = float32(cells.Value(cell, j))
			}
			step := float32(float32(scale*c.weightScale)/cells.Unit()) * residual
			inner := float32(step) * float32(dot)
			sum := value + float32(inner)
			product := c.doc.FactorTable[c.doc.Factors[t]] * float32(sum)
			if s := cells.Unit() * float32(product); s > best[j] {
				best[j] = s
			}
		}
	}
	return best
}

func (c *maximaCase) check(t *testing.T, name string) {
	t.Helper()
	var cells CellRows
	cells.Scan(c.query, c.scanned, c.table)
	var packed CodeQuery
	packed.Reset(c.query, c.used, c.weights, c.weightScale)
	got, intact := guarded[float32](len(c.used))
	copy(got, c.start)
	packed.Maxima(got, c.doc, &cells)
	intact(t)
	if want := c.want(&cells); !slices.Equal(got, want) {
		t.Fatalf("%s: %v, want %v", name, got, want)
	}
}

// TestCodeQueryMaxima compares the similarities of tokens with a plain loop:
// every bit must agree.
func TestCodeQueryMaxima(t *testing.T) {
	levels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(15, 16))
		for _, rows := range []int{0, 1, 4, 5, 8, 9, 16, 17, 24, 25, 32, 33, 41, 50, 65} {
			for _, tokens := range []int{0, 1, 3, 4, 5, 7, 8, 9, 24, 61, 120} {
				for i, dim := range []int{40, 128, 264} {
					if i == 2 && tokens > 10 {
						continue
					}
					for _, codeBits := range []int{1, 2, 4} {
						for _, limit := range []int{31, 127} {
							c := newMaximaCase(rng, rows, tokens, dim, codeBits, limit)
							name := fmt.Sprintf("%d rows, %d tokens of %d dimensions, %d bits up to %d", rows, tokens, dim, codeBits, limit)
							c.check(t, name)
							c.used = c.scanned[:rows/2]
							c.check(t, name+", half of the rows")
						}
					}
				}
			}
		}
	})
}

// TestMaximaIgnoresNaN has factors that are no numbers.
func TestMaximaIgnoresNaN(t *testing.T) {
	levels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(16, 17))
		c := newMaximaCase(rng, 20, 9, 128, 2, 31)
		c.doc.FactorTable[c.doc.Factors[3]] = float32(math.NaN())
		c.check(t, "NaN")
	})
}

// TestInt8QueryMaxima compares the similarities of tokens with a plain loop.
func TestInt8QueryMaxima(t *testing.T) {
	levels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(15, 16))
		for _, rows := range []int{0, 1, 4, 8, 9, 17, 24, 32, 33, 41, 50, 65} {
			for _, tokens := range []int{0, 1, 2, 5, 6, 7, 11, 12, 13, 24, 120} {
				for _, dim := range []int{8, 40, 128, 136} {
					codes := make([]byte, tokens*dim)
					for i := range codes {
						codes[i] = byte(rng.Uint32())
					}
					factors := randomValues(rng, tokens)
					if tokens > 2 { // no maximum is NaN
						factors[1] = float32(math.NaN())
					}
					checkInt8Maxima(t, rng, randomQuery(rng, rows, dim), codes, factors)
				}
			}
		}
		// All sums at their limits.
		for _, sign := range []float32{1, -1} {
			for _, code := range []int8{-128, 127} {
				codes := make([]byte, 13*1024)
				for i := range codes {
					codes[i] = byte(code)
				}
				checkInt8Maxima(t, rng, flatQuery(9, 1024, sign), codes, randomValues(rng, 13))
			}
		}
	})
}

func checkInt8Maxima(t *testing.T, rng *rand.Rand, q *Query, codes []byte, factors []float32) {
	t.Helper()
	scales := randomValues(rng, strideOf(q.Rows))
	var packed Int8Query
	packed.Reset(q, nil)
	want := randomValues(rng, q.Rows)
	got, intact := guarded[float32](q.Rows)
	copy(got, want)
	packed.Maxima(got, codes, factors, scales, codes)
	intact(t)
	for token, factor := range factors {
		for row := range want {
			values, _ := q.Codes(row)
			var dot int32
			for d, v := range values {
				dot += int32(v) * int32(int8(codes[token*q.Dim+d]))
			}
			inner := float32(scales[row] * float32(dot))
			if s := factor * inner; s > want[row] {
				want[row] = s
			}
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%d rows, %d tokens of %d dimensions: %v, want %v", q.Rows, len(factors), q.Dim, got, want)
	}
}

// FuzzInt8Maxima runs every level on the same codes and factors.
func FuzzInt8Maxima(f *testing.F) {
	f.Add(uint64(1), uint8(5), uint8(3), []byte("\x00\x00\xc0\x7fany bytes will do"))
	f.Fuzz(func(t *testing.T, seed uint64, rows, eights uint8, data []byte) {
		rng := rand.New(rand.NewPCG(seed, 0))
		dim := 8 * (1 + int(eights%20))
		tokens := min(len(data)/(dim+4), 40)
		codes, factors := data[:tokens*dim], make([]float32, tokens)
		for i := range factors {
			factors[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[tokens*dim+4*i:]))
		}
		for l := levelGo; l <= bestLevel(); l++ {
			undo := setLevel(l)
			checkInt8Maxima(t, rng, randomQuery(rng, int(rows%70), dim), codes, factors)
			undo()
		}
	})
}

// FuzzMaxima gives every level the same tokens, with any factors and scales,
// and wants the bits of plain Go.
func FuzzMaxima(f *testing.F) {
	f.Add(uint64(1), uint8(5), uint8(7), uint8(1), []byte("\x00\x00\x80\x7f\x00\x00\xc0\x7f"))
	f.Fuzz(func(t *testing.T, seed uint64, rows, tokens, bits uint8, data []byte) {
		rng := rand.New(rand.NewPCG(seed, 0))
		c := newMaximaCase(rng, int(rows%70), int(tokens%40), 64, 1<<(bits%3), 31)
		for i := 0; len(data) >= 4 && i < len(c.doc.Factors); i++ {
			factor := math.Float32frombits(binary.LittleEndian.Uint32(data))
			if size := math.Abs(float64(factor)); size < 1e-20 || size > 1e20 {
				factor = 0 // beyond what is allowed
			}
			c.doc.FactorTable[c.doc.Factors[i]] = factor
			data = data[4:]
		}
		Reset(c.start)
		for l := levelGo; l <= bestLevel(); l++ {
			undo := setLevel(l)
			c.check(t, l.String())
			undo()
		}
	})
}

// TestKernelsLeaveNoPointers lets the garbage collector see what kernels leave
// in a packed query after the stacks they ran on are gone.
func TestKernelsLeaveNoPointers(t *testing.T) {
	levels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(18, 19))
		for _, rows := range []int{3, 8, 16, 24, 32} {
			for _, codeBits := range []int{1, 2, 4} {
				c := newMaximaCase(rng, rows, 30, 128, codeBits, 31)
				var cells CellRows
				cells.Scan(c.query, nil, c.table)
				packed := new(CodeQuery)
				packed.Reset(c.query, nil, c.weights, 1)
				done := make(chan struct{})
				go func() {
					packed.Maxima(make([]float32, rows), c.doc, &cells)
					close(done)
				}()
				<-done
				runtime.GC()
				runtime.KeepAlive(packed)
			}
		}
	})
}
