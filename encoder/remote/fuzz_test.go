package remote

import (
	"encoding/json"
	"math"
	"testing"
)

// FuzzRows compares the parser of vectors with the one of encoding/json.
func FuzzRows(f *testing.F) {
	for _, seed := range []string{
		`[]`, `[[]]`, `[[1,2],[3,4]]`, ` [ [ 1e3 , -2.5E-2 ] ] `, `[[1],[2,3]]`, `[[null]]`, `[null]`, `null`, `[[1e39]]`, `[[1e-60]]`,
		`[["1"]]`, `[[[1]]]`, `[1]`, `{"a":[[1]]}`, `[[1],2]`, `"]["`, `[["[]"]]`, `[[true]]`, `[[0.1,0.2]`, `[[-0]]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got rows
		if err := json.Unmarshal(data, &got); err != nil {
			return // no JSON at all
		}
		var want [][]*float32
		err := json.Unmarshal(data, &want)
		valid := err == nil && want != nil
		width := 0
		if len(want) > 0 {
			width = len(want[0])
		}
		for _, row := range want {
			valid = valid && row != nil && len(row) == width
			for _, x := range row {
				valid = valid && x != nil
			}
		}
		if valid != (got.err == nil) {
			t.Fatalf("%s: error %v, encoding/json says %v", data, got.err, err)
		}
		if !valid {
			return
		}
		if got.Rows != len(want) || got.Dim != width || len(got.Data) != got.Rows*got.Dim {
			t.Fatalf("%s: %d x %d with %d values", data, got.Rows, got.Dim, len(got.Data))
		}
		for i, row := range want {
			for d, x := range row {
				if math.Float32bits(got.Row(i)[d]) != math.Float32bits(*x) {
					t.Fatalf("%s: row %d, column %d is %v, want %v", data, i, d, got.Row(i)[d], *x)
				}
			}
		}
	})
}
