package index

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/simd"
)

// Plan says how candidates are found.
type Plan uint8

const (
	// Auto chooses by estimated cost.
	Auto Plan = iota
	// Exhaustive scores every document.
	Exhaustive
	// Interaction makes every document a candidate and scores the Depth best by
	// centroid interaction.
	Interaction
	// Probe finds the candidates in the cells nearest to the kept rows, and
	// scores the Depth best of them by centroid interaction.
	Probe
)

var planNames = [...]string{Auto: "auto", Exhaustive: "exhaustive", Interaction: "interaction", Probe: "probe"}

// String returns the plan's name as ParsePlan reads it.
func (p Plan) String() string {
	if int(p) < len(planNames) {
		return planNames[p]
	}
	return fmt.Sprintf("plan(%d)", uint8(p))
}

// ParsePlan reads a plan's name: auto, exhaustive, interaction or probe.
func ParsePlan(name string) (Plan, error) {
	if i := slices.Index(planNames[:], name); i >= 0 {
		return Plan(i), nil
	}
	return 0, fmt.Errorf("%w: plan %q, want one of %s", ErrInvalid, name, strings.Join(planNames[:], ", "))
}

// SearchOptions say how much work a search may do.
type SearchOptions struct {
	// K is the number of hits wanted.
	K int
	// Plan is how candidates are found.
	Plan Plan
	// Budget is how many postings the probing rows together read, but for the
	// last list, which is read to its end; 0 is 4,000. A Filter that lets a share
	// of the documents through raises it accordingly. It is spent where it
	// promises most. Each row gives its nearest cells (24 of these, up to 64 if
	// few rows probe) a priority,
	//
	//	(similarity - MarginShare * last) * rarity^RarityPower / rank^RankPower
	//
	// where last is the row's similarity to the last of these cells, rarity the
	// logarithm of the number of stored vectors over the cell's postings, unless
	// the selection has a Rarity, and rank the cell's place among the row's cells,
	// the nearest being 1, so that no row spends all. A mean of several rows counts
	// for as many. The cells of highest priority, added up over the rows, are
	// visited first. A row that says little is
	// passed over, and a row that says much visits more cells, without anybody
	// choosing how many rows to keep.
	Budget int
	// MarginShare is a share from 0 to 1. The higher it is, the more a cell must
	// stand out among the row's cells.
	MarginShare float64
	// RarityPower and RankPower are exponents, at most 8; 0 leaves the factor out.
	RarityPower, RankPower float64
	// Cells, if above zero, is how many cells a row visits at most, the nearest,
	// as nprobe of an inverted file (PLAID, Santhanam et al., 2022).
	Cells int
	// Peak, if above zero, passes over rows whose similarities are flat: those
	// whose nearest cell is not closer than the 64th nearest by this share, from 0
	// to 1, of its similarity. The row that stands out most always probes.
	Peak float64
	// Neighbors, if above zero, takes the place of Budget: it is how many
	// postings each probing row reads. The row visits cells, nearest first, until
	// their posting lists hold this many documents, more with a Filter. It is the k' of the query
	// embedding pruning literature, where every kept row fetches its k' nearest
	// document vectors.
	Neighbors int
	// Depth is how many candidates are scored, or K if that is more: those that
	// rank first by the cells of their vectors (codec.Scorer.RankScore), equals
	// by ascending number. 0 chooses 256, or 4 K if that is more; AllCandidates
	// leaves none out. The plan Exhaustive scores all.
	Depth int
	// Reveal says how much of the candidates' scores is computed.
	Reveal Reveal
	// FirstRows is how many rows Reveal begins with; 0 is a third of those that
	// score. Alpha is the number of standard deviations of RevealEstimated.
	FirstRows int
	Alpha     float64
	// Refine is how many of the best documents are scored again by their
	// refinements, where the index stores refinements. They come first among the
	// hits; the scores of hits after them are lowered, all by the same, below
	// theirs. 0 leaves the scores as the payloads give them.
	Refine int
	// Filter, if not nil, holds the numbers of the documents that may be found.
	// It is not changed.
	Filter *roaring.Bitmap
	// Workers is how many goroutines rank and score the candidates of this
	// search; 0 is one. Where many searches run at the same time, one each is
	// best.
	Workers int
	// Times measures the stages.
	Times bool
}

// defaultBudget is the budget where none is given.
const defaultBudget = 4000

// maxPower bounds exponents, lest priorities leave the range of float32.
const maxPower = 8

// AllCandidates is a depth that no collection has.
const AllCandidates = math.MaxInt

// DefaultSearchOptions returns ten hits from the 256 best of some thousands of
// candidates, the plan chosen by cost.
func DefaultSearchOptions() SearchOptions {
	return SearchOptions{K: 10, Budget: defaultBudget, MarginShare: 0.5, RarityPower: 1, RankPower: 0.5, Alpha: 3, Refine: 32}
}

// ExhaustiveSearch returns the options of the search that all others are
// measured against: every document scored, the best scored again.
func ExhaustiveSearch(k int) SearchOptions {
	return SearchOptions{K: k, Plan: Exhaustive, Refine: 32}
}

// Validate reports every option that makes no sense.
func (o SearchOptions) Validate() error {
	var faults []error
	if o.K < 0 {
		faults = append(faults, fmt.Errorf("%w: %d hits wanted", ErrInvalid, o.K))
	}
	if o.Plan > Probe {
		faults = append(faults, fmt.Errorf("%w: %s", ErrInvalid, o.Plan))
	}
	if o.Neighbors < 0 {
		faults = append(faults, fmt.Errorf("%w: %d neighbors per row", ErrInvalid, o.Neighbors))
	}
	if o.Budget < 0 {
		faults = append(faults, fmt.Errorf("%w: a budget of %d postings", ErrInvalid, o.Budget))
	}
	if o.Cells < 0 {
		faults = append(faults, fmt.Errorf("%w: %d cells per row", ErrInvalid, o.Cells))
	}
	if o.Depth < 0 {
		faults = append(faults, fmt.Errorf("%w: a depth of %d documents", ErrInvalid, o.Depth))
	}
	if o.Reveal > RevealEstimated {
		faults = append(faults, fmt.Errorf("%w: %s", ErrInvalid, o.Reveal))
	}
	if o.FirstRows < 0 {
		faults = append(faults, fmt.Errorf("%w: the first %d rows", ErrInvalid, o.FirstRows))
	}
	if !(o.Alpha >= 0) {
		faults = append(faults, fmt.Errorf("%w: %v standard deviations, want 0 or more", ErrInvalid, o.Alpha))
	}
	if o.Refine < 0 {
		faults = append(faults, fmt.Errorf("%w: %d documents to refine", ErrInvalid, o.Refine))
	}
	if o.Workers < 0 {
		faults = append(faults, fmt.Errorf("%w: %d workers", ErrInvalid, o.Workers))
	}
	if !(o.MarginShare >= 0 && o.MarginShare <= 1) {
		faults = append(faults, fmt.Errorf("%w: margin share %v, want 0 to 1", ErrInvalid, o.MarginShare))
	}
	if !(o.Peak >= 0 && o.Peak <= 1) {
		faults = append(faults, fmt.Errorf("%w: peak %v, want 0 to 1", ErrInvalid, o.Peak))
	}
	for _, power := range []float64{o.RarityPower, o.RankPower} {
		if !(power >= 0 && power <= maxPower) {
			faults = append(faults, fmt.Errorf("%w: power %v, want 0 to %d", ErrInvalid, power, maxPower))
		}
	}
	return errors.Join(faults...)
}

// depth returns how many candidates are scored.
func (o SearchOptions) depth() int {
	const fewest, perHit = 256, 4
	if o.Depth == 0 {
		return max(fewest, perHit*min(o.K, AllCandidates/perHit), o.K)
	}
	return max(o.Depth, o.K)
}

// Hit is a document found.
type Hit struct {
	// Document is the document's number in the Source that was searched.
	Document uint32
	// ID is what the Source calls it.
	ID string
	// Score is MaxSim: for each row of the query that scores, its largest dot product
	// with a vector of the document as stored, added up.
	Score float32
}

// Stats counts the work of one search.
type Stats struct {
	// Plan is the plan that was followed, never Auto.
	Plan Plan
	// Rows is the number of query rows, RowsKept of those that probed, or would
	// have if the plan were to probe.
	Rows, RowsKept int
	// CellsProbed counts the cells whose posting lists were read, Postings
	// their entries.
	CellsProbed, Postings int
	// Candidates is the number of live documents found, DocumentsRanked of those
	// that were ranked by centroid interaction, DocumentsScored of those that
	// were scored in full and DocumentsRefined of those that were scored again.
	Candidates, DocumentsRanked, DocumentsScored, DocumentsRefined int
	// TokenPairs counts (query row, document vector) pairs scored, Bytes the
	// payload bytes they were read from. Refining is not in them.
	TokenPairs, Bytes int64
	// The times of the stages are set when SearchOptions.Times is: comparing the
	// query with all cells, finding candidates, ranking them by centroid
	// interaction, scoring, and scoring again.
	ScanTime, ProbeTime, RankTime, ScoreTime, RefineTime time.Duration
}

// Searcher runs searches on one Source and keeps its memory between them. It
// is for one goroutine at a time; make one for each.
type Searcher struct {
	// mixed are, for a snapshot of several codebooks, the searchers of the
	// documents of each; base is the number of the first of them there.
	mixed []*Searcher
	base  uint32

	source   Source
	codebook *codec.Codebook // nil as long as there are no documents
	scorer   *codec.Scorer
	stats    Stats
	last     time.Time // when the last stage ended

	rows      []int    // of the query that are compared
	found     []uint64 // bitmap of document numbers
	documents []uint32 // candidates
	keys      []uint64 // of documents, by score
	views     [][]byte // refinements
	workers   []worker

	// Of scoring.
	scoring int   // rows that make up a score
	summed  []int // these rows, where they are revealed in another order
	reveal  Reveal
	first   int // rows that are revealed first
	goal    goal
	parts   []uint64 // keys of the sample

	// Of probing. Columns are the rows compared.
	counts  []uint32 // of the postings of cells
	columns []int    // those that probe
	pending []int    // those that want more cells
	limits  []int16  // by column: the least similarity of a cell on offer
	offers  []simd.RowCell
	offered [][]uint64 // by column: valueKey of its cells
	visits  []visit    // of one column
	wanted  []visit
	visited []Visited // by query row
	place   []uint32  // by cell: its place among the wanted ones plus 1, or 0
	list    []uint32  // a posting list
}

// NewSearcher returns a searcher on source.
func NewSearcher(source Source) *Searcher {
	s := &Searcher{source: source, codebook: source.Codebook(), rows: []int{}}
	if s.codebook != nil {
		s.scorer = s.codebook.NewScorer()
	}
	if snapshot, ok := source.(*Snapshot); ok {
		base := uint32(0)
		for _, part := range snapshot.mixed {
			s.mixed = append(s.mixed, NewSearcher(part))
			s.mixed[len(s.mixed)-1].base = base
			base += uint32(part.documents)
		}
	}
	return s
}

// Search finds and scores documents for a query whose rows were selected by a
// pruner: the rows of selection.Probe find the candidates, those of
// selection.Score score them; nil means all rows for either. Without any probing
// row, probing finds nothing. Hits come best first; equal scores by descending
// id. It honours ctx between stages and documents.
func (s *Searcher) Search(ctx context.Context, query *simd.Query, selection querypruner.Selection, options SearchOptions) ([]Hit, Stats, error) {
	if err := s.check(query, selection, options); err != nil {
		return nil, Stats{}, err
	}
	if len(s.mixed) > 0 {
		return s.searchMixed(ctx, query, selection, options)
	}
	scored, err := s.searchScored(ctx, query, selection, options)
	if err != nil || !scored {
		return nil, s.stats, err
	}
	hits, err := s.finish(ctx, options)
	return hits, s.stats, err
}

// searchScored finds and scores documents, whose keys it leaves in keys; scored
// is false if there can be none.
func (s *Searcher) searchScored(ctx context.Context, query *simd.Query, selection querypruner.Selection, options SearchOptions) (scored bool, err error) {
	probing := len(selection.Probe)
	if selection.Probe == nil {
		probing = query.Rows
	}
	s.stats = Stats{Plan: options.Plan, Rows: query.Rows, RowsKept: probing}
	s.visited = slices.Grow(s.visited[:0], query.Rows)[:query.Rows]
	clear(s.visited)
	if s.scorer == nil || query.Rows == 0 || options.K == 0 || s.findable(options.Filter) == 0 {
		if s.stats.Plan == Auto {
			s.stats.Plan = Exhaustive
		}
		return false, ctx.Err()
	}
	if s.stats.Plan == Auto && probing == 0 {
		s.stats.Plan = Probe // and find nothing
	}
	rows := s.compared(query.Rows, selection)
	scoring := s.order(selection, options)
	if err := s.scorer.Reset(query, rows, scoring); err != nil {
		return false, err
	}
	if s.stats.Plan == Auto {
		s.stats.Plan = s.plan(len(rows), probing, options)
	}
	return true, s.run(ctx, rows, selection, options)
}

// run goes through the stages up to scoring.
func (s *Searcher) run(ctx context.Context, rows []int, selection querypruner.Selection, options SearchOptions) error {
	s.last = time.Now()
	if s.stats.Plan != Exhaustive || s.codebook.Kind().Residual() {
		s.scorer.Scan()
	}
	s.lap(&s.stats.ScanTime, options)
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.stats.Plan == Probe {
		if err := s.probe(rows, selection, options); err != nil {
			return err
		}
	} else {
		s.everything(options.Filter)
	}
	s.lap(&s.stats.ProbeTime, options)
	depth := options.depth()
	ranked := s.stats.Plan != Exhaustive && len(s.documents) > depth
	if ranked {
		if err := s.rank(ctx, depth, options.Workers); err != nil {
			return err
		}
	}
	s.lap(&s.stats.RankTime, options)
	var err error
	if s.reveals(options) {
		err = s.scoreInParts(ctx, ranked, options)
	} else {
		err = s.score(ctx, options.Workers)
	}
	if err != nil {
		return err
	}
	s.lap(&s.stats.ScoreTime, options)
	return nil
}

// finish refines what was scored and returns the hits.
func (s *Searcher) finish(ctx context.Context, options SearchOptions) ([]Hit, error) {
	if options.Refine > 0 {
		if err := s.refine(ctx, options.Refine); err != nil {
			return nil, err
		}
	}
	s.lap(&s.stats.RefineTime, options)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.hits(options.K)
}

// Visited is where a query row looked for candidates: in how many cells, with
// how many postings. A cell that several rows want counts for the one that it
// had the highest priority for, or is nearest to.
type Visited struct {
	Cells, Postings int
	// Flat tells that the row was passed over for SearchOptions.Peak.
	Flat bool
}

// Visited tells for each row of the last query what it visited. It is valid
// until the next search.
func (s *Searcher) Visited() []Visited { return s.visited }

// lap sets the time of the stage that ends here.
func (s *Searcher) lap(stage *time.Duration, options SearchOptions) {
	if options.Times {
		now := time.Now()
		*stage, s.last = now.Sub(s.last), now
	}
}

// compared returns the rows that probe or score, ascending.
func (s *Searcher) compared(rows int, selection querypruner.Selection) []int {
	s.rows = s.rows[:0]
	if selection.Probe == nil || selection.Score == nil {
		for row := range rows {
			s.rows = append(s.rows, row)
		}
		return s.rows
	}
	s.rows = append(append(s.rows, selection.Probe...), selection.Score...)
	slices.Sort(s.rows)
	s.rows = slices.Compact(s.rows)
	return s.rows
}

func (s *Searcher) check(query *simd.Query, selection querypruner.Selection, options SearchOptions) error {
	if err := options.Validate(); err != nil {
		return err
	}
	if s.scorer != nil && query.Rows > 0 && query.Dim != s.codebook.Dim() {
		return fmt.Errorf("%w: the query has %d dimensions, the index %d", ErrInvalid, query.Dim, s.codebook.Dim())
	}
	if err := checkComponents(context.Background(), query.Float()); err != nil {
		return fmt.Errorf("%w: the query: %w", ErrInvalid, err)
	}
	if n := len(selection.Rarity); selection.Rarity != nil && n != query.Rows {
		return fmt.Errorf("%w: %d rarities of a query with %d rows", ErrInvalid, n, query.Rows)
	}
	for _, rows := range [][]int{selection.Probe, selection.Score} {
		for _, row := range rows {
			if row < 0 || row >= query.Rows {
				return fmt.Errorf("%w: row %d of a query with %d rows was selected", ErrInvalid, row, query.Rows)
			}
		}
	}
	return nil
}

// findable returns how many documents a filter lets through.
func (s *Searcher) findable(filter *roaring.Bitmap) int {
	documents := s.source.Documents()
	if filter == nil || documents == 0 {
		return documents
	}
	return int(filter.Rank(uint32(documents - 1)))
}

// forFilter returns how many postings to read for so many that the filter lets
// through.
func (s *Searcher) forFilter(postings int, filter *roaring.Bitmap) int {
	share := float64(s.findable(filter)) / float64(s.source.Documents())
	return int(min(float64(postings)/share, math.MaxInt32))
}

// What the stages cost in nanoseconds, measured with 32 rows of 128 dimensions
// (go test -bench . ./index). They only decide between plans, so their ratios
// matter, and they are the same for every machine, as results are.
const (
	scanCost     = 0.3 // one cell with one row
	probeCost    = 5.0 // one posting
	rankCost     = 30  // one document,
	rankCellCost = 0.7 // and each of its vectors
	scoreCost    = 0.3 // one vector with one row; as float32 fourfold
	costDim      = 128
)

// faithful is how much more a plan may cost that misses nothing where others
// might.
const faithful = 1.25

// plan estimates what each plan costs and returns the cheapest.
func (s *Searcher) plan(rows, probing int, options SearchOptions) Plan {
	live := float64(s.findable(options.Filter))
	perDocument := float64(s.source.Vectors()) / float64(s.source.Documents())
	pair := float64(rows) * float64(s.codebook.Dim()) / costDim
	score := scoreCost * perDocument * pair
	if s.codebook.Kind() == codec.Float32 {
		score *= 4
	}
	rank := rankCost + rankCellCost*perDocument
	scan := scanCost * float64(s.codebook.Cells()) * pair

	exhaustive := score * live
	if s.codebook.Kind().Residual() {
		exhaustive += scan
	}
	scored := func(candidates float64) float64 {
		depth := float64(options.depth())
		if candidates <= depth {
			return score * candidates
		}
		return rank*candidates + score*depth
	}
	interaction := scan + scored(live)
	postings := float64(s.forFilter(options.postings(probing), options.Filter))
	probe := scan + probeCost*postings + scored(min(postings, live))
	switch {
	case exhaustive <= faithful*min(interaction, probe):
		return Exhaustive
	case interaction <= faithful*probe:
		return Interaction
	}
	return Probe
}

// postings returns how many postings so many probing rows read.
func (o SearchOptions) postings(probing int) int {
	switch {
	case o.Neighbors > 0:
		return int(min(float64(o.Neighbors)*float64(probing), math.MaxInt32))
	case o.Budget > 0:
		return o.Budget
	}
	return defaultBudget
}
