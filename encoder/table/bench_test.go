package table_test

import (
	"errors"
	"testing"

	"github.com/pare-search/pare/encoder/table"
	"github.com/pare-search/pare/simd"
)

// benchTables are the matrix in float32 and tables of every method an eighth as large. A
// small matrix is enough: the time of a row does not depend on the number of rows, that
// of loading rises in proportion.
func benchTables(b *testing.B) []*table.Table {
	b.Helper()
	m, frequencies := words(4000, 128)
	plain, err := table.Plain(m)
	if err != nil {
		b.Fatal(err)
	}
	all := []*table.Table{plain}
	for _, method := range table.Methods() {
		t, err := table.Spec{Method: method.Name, Factor: 8}.Fit(b.Context(), m, table.Options{Frequencies: frequencies, Seed: 1})
		if errors.Is(err, table.ErrBudget) {
			continue
		}
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, t)
	}
	return all
}

// BenchmarkRow writes rows of 128 dimensions, neighbours of which lie far apart.
func BenchmarkRow(b *testing.B) {
	for _, t := range benchTables(b) {
		b.Run(t.Method(), func(b *testing.B) {
			b.ReportAllocs()
			row, id := make([]float32, t.Dim()), 0
			for b.Loop() {
				t.Row(row, id)
				if id += 1789; id >= t.Rows() {
					id -= t.Rows()
				}
			}
		})
	}
}

// BenchmarkLoad opens saved tables: all of the bytes are read once for the checksum.
func BenchmarkLoad(b *testing.B) {
	for _, t := range benchTables(b) {
		saved, err := t.MarshalBinary()
		if err != nil {
			b.Fatal(err)
		}
		b.Run(t.Method(), func(b *testing.B) {
			for b.Loop() {
				if _, err := table.Load(saved); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(saved)), "bytes")
		})
	}
}

// BenchmarkPlainRows is what a table replaces: a copy from memory.
func BenchmarkPlainRows(b *testing.B) {
	m := simd.NewMatrix(4000, 128)
	row, id := make([]float32, m.Dim), 0
	for b.Loop() {
		copy(row, m.Row(id))
		if id += 1789; id >= m.Rows {
			id -= m.Rows
		}
	}
}
