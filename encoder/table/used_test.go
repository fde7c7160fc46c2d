package table_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/pare-search/pare/encoder/table"
)

// TestUnused is that rows which are looked up are the very same, and that the others
// are their mean, or the row of the unknown token if one is given, but for those that
// the budget has room for.
func TestUnused(t *testing.T) {
	m, frequencies := words(60, 12)
	mean, unused := make([]float64, m.Dim), 0
	for id := range frequencies {
		if frequencies[id] = int64(id % 3); id%3 == 0 {
			unused++
			for d, v := range m.Row(id) {
				mean[d] += float64(v) / 20
			}
		}
	}
	unknown := 7
	for _, method := range []string{"used-rows", "used-rows+lloyd"} {
		for _, policy := range []*int{nil, &unknown} {
			got, err := table.Fit(t.Context(), method, m, table.Options{Budget: 2300, Frequencies: frequencies, Unknown: policy})
			if err != nil {
				t.Fatal(err)
			}
			row, kept := make([]float32, m.Dim), 0
			for id := range m.Rows {
				got.Row(row, id)
				switch {
				case frequencies[id] > 0:
					if !slices.Equal(row, m.Row(id)) {
						t.Errorf("%s: row %d, which is looked up, has changed", method, id)
					}
				case slices.Equal(row, m.Row(id)): // what the budget had room for
					kept++
				case policy != nil:
					if !slices.Equal(row, m.Row(unknown)) {
						t.Errorf("%s: row %d is %v, want that of the unknown token, %v", method, id, row, m.Row(unknown))
					}
				default:
					for d, v := range row {
						if math.Abs(float64(v)-mean[d]) > 1e-5 {
							t.Errorf("%s: row %d, column %d is %v, the mean %v", method, id, d, v, mean[d])
						}
					}
				}
			}
			if kept > unused/2 {
				t.Errorf("%s: %d rows that are not looked up are kept", method, kept)
			}
		}
	}
	if unused != 20 {
		t.Fatalf("%d rows are not looked up", unused)
	}
	for _, none := range []int{-1, m.Rows} {
		if _, err := table.Fit(t.Context(), "used-rows", m, table.Options{Budget: 2300, Unknown: &none}); !errors.Is(err, table.ErrInvalid) {
			t.Errorf("row %d for unknown tokens: %v, want %v", none, err, table.ErrInvalid)
		}
	}
}
