package searchbench

import (
	"math"

	"github.com/pare-search/pare/index/codec"
)

// units returns how much of each stage's work a search did: pairs of a query
// row and a cell, for scanning as for choosing cells to probe, to which postings
// are added; vectors of candidates; pairs of a row and a vector.
func units(p Probed, size Size) Stages {
	vectors := float64(size.Vectors) / float64(size.Passages)
	pairs := float64(size.Cells) * p.Work.Rows
	return Stages{
		Scan:  pairs,
		Probe: pairs + p.Work.Postings,
		Rank:  p.Work.Candidates * vectors,
		Score: p.Work.TokenPairs,
	}
}

// compare computes what each search would take at the cost per unit of the
// smallest collection.
func (r *ScaleReport) compare() {
	for _, of := range []func(*Size) *Probed{
		func(s *Size) *Probed { return &s.Unpruned },
		func(s *Size) *Probed { return &s.Budgeted },
	} {
		first := of(&r.Sizes[0])
		base := units(*first, r.Sizes[0])
		for i := range r.Sizes {
			p := of(&r.Sizes[i])
			work := units(*p, r.Sizes[i])
			p.Model = Stages{
				Scan:  first.Stages.Scan * ratio(work.Scan, base.Scan),
				Probe: first.Stages.Probe * ratio(work.Probe, base.Probe),
				Rank:  first.Stages.Rank * ratio(work.Rank, base.Rank),
				Score: first.Stages.Score * ratio(work.Score, base.Score),
			}
		}
	}
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// groupsPerRow is how many groups of cells each row looks into where cells are
// compared on two levels.
const groupsPerRow = 16

// project computes what a larger collection would take from the largest one
// that was built.
func (r *ScaleReport) project(passages, vectorsPerCell int) Projection {
	last := r.Sizes[len(r.Sizes)-1]
	growth := float64(passages) / float64(last.Passages)
	p := Projection{
		Passages:     passages,
		Vectors:      int64(growth * float64(last.Vectors)),
		Bytes:        int64(growth * float64(last.Bytes)),
		BuildSeconds: growth * last.Built.Seconds,
	}
	p.FlatCells = min(p.Vectors/int64(vectorsPerCell), codec.MaxCells)
	work := units(last.Budgeted, last)
	perPair := (last.Budgeted.Stages.Scan + last.Budgeted.Stages.Probe) / max(work.Probe, 1)
	rows := last.Budgeted.Work.Rows
	p.FlatScan = perPair * rows * float64(p.FlatCells)
	// All means, then the cells of some groups: both are sqrt(cells) long.
	p.TwoLevelScan = perPair * rows * math.Sqrt(float64(p.FlatCells)) * (1 + groupsPerRow)
	more := math.Pow(growth, r.candidateGrowth())
	p.Candidates = more * last.Budgeted.Work.Candidates
	p.Search = more*last.Budgeted.Stages.Rank + last.Budgeted.Stages.Score
	return p
}

// candidateGrowth returns the power of the number of passages by which the
// candidates of a budget grew between the two largest collections, from 0 to 1.
func (r *ScaleReport) candidateGrowth() float64 {
	if len(r.Sizes) < 2 {
		return 0
	}
	few, many := r.Sizes[len(r.Sizes)-2], r.Sizes[len(r.Sizes)-1]
	grown := math.Log(ratio(many.Budgeted.Work.Candidates, few.Budgeted.Work.Candidates))
	power := grown / math.Log(ratio(float64(many.Passages), float64(few.Passages)))
	if !(power > 0) {
		return 0
	}
	return min(power, 1)
}
