package querypruner

import (
	"fmt"
	"math"
	"slices"

	"github.com/pare-search/pare/simd"
)

// Weights is how much a row counts, in scores as in the search for candidates.
// A row's weight multiplies its vector.
type Weights uint8

const (
	// Unweighted leaves the rows as they are.
	Unweighted Weights = iota
	// IDFWeights weighs a row by the inverse document frequency of its token,
	// ln(1 + (N - n + 0.5) / (n + 0.5)) for n of N documents, relative to the mean
	// of the query: soft pruning (token-importance weighted Chamfer similarity,
	// arXiv 2511.16106).
	IDFWeights
	// MaskCounts leaves the masks out that a query is filled up with, and counts
	// each for the text token that is most similar to it: row i weighs 1 and the
	// number of masks next to it (Giacalone et al., Beneath the [MASK], ECIR 2024).
	// Scoring then costs as many rows as the text has tokens.
	MaskCounts
)

var weightNames = [...]string{Unweighted: "none", IDFWeights: "idf", MaskCounts: "masks"}

// String returns the name of the weights as Parse reads it.
func (w Weights) String() string {
	if int(w) < len(weightNames) {
		return weightNames[w]
	}
	return fmt.Sprintf("weights(%d)", uint8(w))
}

// weigh takes the second step.
func (c *choice) weigh() {
	switch c.Weights {
	case IDFWeights:
		c.weighByIDF()
	case MaskCounts:
		c.countMasks()
	}
	for i, w := range c.weight {
		c.rows[i].Weight = w
	}
}

func (c *choice) weighByIDF() {
	var sum float64
	idf := make([]float64, len(c.rows))
	for i := range idf {
		idf[i] = inverseFrequency(c.count(i).documents, c.stats.Documents())
		sum += idf[i]
	}
	c.weight = make([]float32, len(idf))
	for i, v := range idf {
		c.weight[i] = float32(v * float64(len(idf)) / sum)
	}
}

// inverseFrequency is above zero for every n.
func inverseFrequency(n, of int64) float64 {
	n = min(n, of)
	return math.Log1p((float64(of-n) + 0.5) / (float64(n) + 0.5))
}

// countMasks does nothing for a query without masks or without text.
func (c *choice) countMasks() {
	var text, masks []int
	for i := range c.rows {
		switch {
		case c.among(c.Vocabulary.Masks, i):
			masks = append(masks, i)
		case !c.special(i):
			text = append(text, i)
		}
	}
	if len(text) == 0 || len(masks) == 0 {
		return
	}
	c.weight = make([]float32, len(c.rows))
	for i := range c.weight {
		c.weight[i] = 1
	}
	for _, mask := range masks {
		nearest, best := 0, math.Inf(-1)
		for _, i := range text {
			if s := cosine(c.query.Vectors, mask, i); s > best {
				nearest, best = i, s
			}
		}
		c.weight[nearest]++
		c.dropRow(mask, Mask)
		c.rows[mask].With = nearest
		c.scored[mask] = false
	}
	c.left = slices.DeleteFunc(c.left, func(i int) bool { return !c.scored[i] })
}

// cosine compares two rows; one of zeros is like none.
func cosine(m simd.Matrix, i, j int) float64 {
	a, b := m.Row(i), m.Row(j)
	lengths := math.Sqrt(float64(simd.Dot(a, a))) * math.Sqrt(float64(simd.Dot(b, b)))
	if lengths == 0 {
		return 0
	}
	return float64(simd.Dot(a, b)) / lengths
}
