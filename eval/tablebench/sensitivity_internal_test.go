package tablebench

import (
	"math"
	"strings"
	"testing"
)

func TestMeanLoss(t *testing.T) {
	a := []float64{1, 2, 4, 3}
	for _, c := range []struct {
		b    []float64
		want float64
	}{
		{[]float64{3, 5, 9, 7}, 1},
		{[]float64{-1, -2, -4, -3}, -1},
		{[]float64{1, -1, 1, -1}, 0}, // products -1.5·1 + 0.5 + 1.5 - 0.5
	} {
		if got := 1 - meanLoss([][]float64{a}, [][]float64{c.b}); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%v and %v: %v, want %v", a, c.b, got, c.want)
		}
		constant := []float64{2, 2, 2, 2} // correlates with nothing, and does not count
		if got := 1 - meanLoss([][]float64{a, a}, [][]float64{c.b, constant}); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%v and %v, and a constant: %v, want %v", a, c.b, got, c.want)
		}
	}
	if got := meanLoss([][]float64{a}, [][]float64{{2, 2, 2, 2}}); got != 0 {
		t.Errorf("only a constant: %v", got)
	}
}

// TestKeywords is that a word of one text alone, and a common one, give way to what few
// texts have.
func TestKeywords(t *testing.T) {
	texts := []string{
		"The owl, the mouse: one night one hunts the other by ear and wing in a wood", "the mouse and the cat hunt in a barn by night",
		"the owl and a barn in one wood", "The other ear in a wing by the sea", "hunts!",
	}
	got := keywords(texts)
	if len(got) != len(texts) || got[4] != "hunts" {
		t.Fatalf("%q", got)
	}
	words := strings.Fields(got[0])
	if len(words) != queryWords || strings.Contains(got[0], "the ") || strings.HasPrefix(got[0], "the") {
		t.Errorf("%q", got[0])
	}
	if !strings.HasPrefix(got[0], "owl mouse") {
		t.Errorf("%q is not in the order of the text", got[0])
	}
}

func TestBandsOf(t *testing.T) {
	frequencies := make([]int64, 1000)
	for i := range frequencies {
		frequencies[i] = int64(max(0, (i*37)%1000-300))
	}
	before, seen := int64(math.MaxInt64), 0
	for b, band := range bandsOf(frequencies) {
		least := int64(math.MaxInt64)
		for _, row := range band {
			if f := frequencies[row]; f > before || f == 0 {
				t.Errorf("band %d has a word of frequency %d behind %d", b, f, before)
			} else {
				least = min(least, f)
			}
		}
		before, seen = least, seen+len(band)
	}
	if seen != 699 {
		t.Errorf("%d words in bands, 699 occur", seen)
	}
	if got := bandsOf(make([]int64, 5)); len(got) != 0 {
		t.Errorf("bands %v of words that do not occur", got)
	}
}
