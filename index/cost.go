package index

import (
	"time"

	"github.com/pare-search/pare/index/codec"
)

// Estimate is how long the work that s counts takes by the model that chooses
// between plans: one core, in constants measured once. It is the same on every
// machine and in every run, which a clock is not, so settings are compared by
// it. The source must be the one that was searched. Encoding the query is not
// in it.
func (s Stats) Estimate(source Source) time.Duration {
	codebook := source.Codebook()
	if codebook == nil || s.Rows == 0 {
		return 0
	}
	width := float64(codebook.Dim()) / costDim
	perDocument := float64(source.Vectors()) / float64(max(source.Documents(), 1))
	pair := scoreCost * width
	if codebook.Kind() == codec.Float32 {
		pair *= 4
	}
	var total float64
	if s.Plan != Exhaustive || codebook.Kind().Residual() {
		total += scanCost * float64(codebook.Cells()) * float64(s.Rows) * width
	}
	total += probeCost * float64(s.Postings)
	total += (rankCost + rankCellCost*perDocument) * float64(s.DocumentsRanked)
	total += pair * float64(s.TokenPairs)
	total += scoreCost * width * perDocument * float64(s.Rows) * float64(s.DocumentsRefined)
	return time.Duration(total)
}
