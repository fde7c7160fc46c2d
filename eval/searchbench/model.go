package searchbench

import "math"

// unitCost is what a unit of each stage's work took, in milliseconds: finding
// candidates by pairs of a query row and a cell, and by posting; ranking by
// vector of a candidate; scoring by pair of a row and a vector.
type unitCost struct{ probe, rank, score float64 }

// units returns how much of each stage's work a search did. The two kinds of
// work of the first stage are counted in one: comparing 16 bytes or reading a
// posting take about as long as each other.
func units(p Probed, size Size) unitCost {
	vectors := float64(size.Vectors) / float64(size.Passages)
	return unitCost{
		probe: float64(size.Cells)*p.Work.Rows + p.Work.Postings,
		rank:  p.Work.Candidates * vectors,
		score: p.Work.TokenPairs,
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
				Probe: first.Stages.Probe * ratio(work.probe, base.probe),
				Rank:  first.Stages.Rank * ratio(work.rank, base.rank),
				Score: first.Stages.Score * ratio(work.score, base.score),
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
	p.FlatCells = p.Vectors / int64(vectorsPerCell)
	work := units(last.Budgeted, last)
	perPair := last.Budgeted.Stages.Probe / max(work.probe, 1)
	rows := last.Budgeted.Work.Rows
	p.FlatScan = perPair * rows * float64(p.FlatCells)
	// All means, then the cells of some groups: both are sqrt(cells) long.
	p.TwoLevelScan = perPair * rows * math.Sqrt(float64(p.FlatCells)) * (1 + groupsPerRow)
	p.Search = last.Budgeted.Stages.Rank + last.Budgeted.Stages.Score
	return p
}
