package index

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

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
	// Probe scores the documents found in the cells nearest to the kept rows.
	Probe
)

var planNames = [...]string{Auto: "auto", Exhaustive: "exhaustive", Probe: "probe"}

// String returns the plan's name as ParsePlan reads it.
func (p Plan) String() string {
	if int(p) < len(planNames) {
		return planNames[p]
	}
	return fmt.Sprintf("plan(%d)", uint8(p))
}

// ParsePlan reads a plan's name: auto, exhaustive or probe.
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
	// Neighbors is how many postings each probing row reads: it visits cells,
	// nearest first, until their posting lists hold this many documents. It is
	// the k' of the query embedding pruning literature, where every kept row
	// fetches its k' nearest document vectors.
	Neighbors int
	// Budget, if above zero, takes the place of Neighbors: the probing rows
	// together read this many postings, spent where they promise most. One
	// order of priority goes through all pairs of a row and one of its nearest
	// cells: similarity, less MarginShare of the row's similarity to its 64th
	// nearest cell, times rarity, the logarithm of the number of stored vectors
	// over the cell's postings. A row that says little is so passed over, and a
	// row that says much visits more cells, without anybody choosing how many
	// rows to keep.
	Budget int
	// MarginShare is a share from 0 to 1. The higher it is, the more a cell must
	// stand out among the row's cells.
	MarginShare float64
	// Depth, if above zero, is how many candidates are scored, or K if that is
	// more: those that the scoring rows rank first by the cells of their vectors
	// (codec.Scorer.RankScore), equals by ascending number. It has no effect for
	// the codecs int8 and float32, whose payloads do not name their cells.
	Depth int
	// Times measures the stages.
	Times bool
}

// DefaultSearchOptions returns ten hits, the plan chosen by cost and 1,000
// postings per row.
func DefaultSearchOptions() SearchOptions {
	return SearchOptions{K: 10, Neighbors: 1000, MarginShare: 0.5}
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
	if o.Neighbors < 1 {
		faults = append(faults, fmt.Errorf("%w: %d neighbors per row, want at least one", ErrInvalid, o.Neighbors))
	}
	if o.Budget < 0 {
		faults = append(faults, fmt.Errorf("%w: a budget of %d postings", ErrInvalid, o.Budget))
	}
	if o.Depth < 0 {
		faults = append(faults, fmt.Errorf("%w: a depth of %d documents", ErrInvalid, o.Depth))
	}
	if !(o.MarginShare >= 0 && o.MarginShare <= 1) {
		faults = append(faults, fmt.Errorf("%w: margin share %v, want 0 to 1", ErrInvalid, o.MarginShare))
	}
	return errors.Join(faults...)
}

// Hit is a document found.
type Hit struct {
	// Document is the document's number in the Source that was searched.
	Document uint32
	ID       string
	Score    float32
}

// Stats counts the work of one search.
type Stats struct {
	// Plan is the plan that was followed, never Auto.
	Plan Plan
	// Rows is the number of query rows, RowsKept of those that probed.
	Rows, RowsKept int
	// CellsProbed counts the (row, cell) pairs whose posting list was read,
	// Postings their entries.
	CellsProbed, Postings int
	// Candidates is the number of live documents found, DocumentsScored the
	// number of those that were scored: all, unless SearchOptions.Depth left some
	// out, which it never does for int8 and float32, or the search was cancelled.
	Candidates, DocumentsScored int
	// TokenPairs counts (query row, document vector) pairs scored, Bytes the
	// payload bytes they were read from.
	TokenPairs, Bytes int64
	// ProbeTime, RankTime and ScoreTime are set when SearchOptions.Times is.
	// RankTime is that of choosing Depth candidates.
	ProbeTime, RankTime, ScoreTime time.Duration
}

// Searcher runs searches on one Source and keeps its memory between them. It
// is for one goroutine at a time; make one for each.
type Searcher struct {
	source    Source
	scorer    *codec.Scorer
	found     []uint64 // bitmap of document numbers
	list      []uint32
	cells     cellHeap
	pairs     []pair
	probed    []uint64 // bitmap of cells
	ranked    []uint64
	best      topK
	documents []uint32
}

// NewSearcher returns a searcher on source.
func NewSearcher(source Source) *Searcher {
	s := &Searcher{source: source}
	if codebook := source.Codebook(); codebook != nil {
		s.scorer = codebook.NewScorer()
	}
	return s
}

// Search finds and scores documents for a query whose rows were selected by a
// pruner: the rows of selection.Probe find the candidates, those of
// selection.Score score them; nil means all rows for either. Hits come best
// first; equal scores by descending id. It honours ctx between documents.
func (s *Searcher) Search(ctx context.Context, query *simd.Query, selection querypruner.Selection, options SearchOptions) ([]Hit, Stats, error) {
	if err := s.check(query, selection, options); err != nil {
		return nil, Stats{}, err
	}
	if selection.Probe == nil {
		for row := range query.Rows {
			selection.Probe = append(selection.Probe, row)
		}
	}
	stats := Stats{Plan: options.Plan, Rows: query.Rows, RowsKept: len(selection.Probe)}
	if s.scorer == nil || query.Rows == 0 || options.K == 0 || s.source.Documents() == 0 {
		if stats.Plan == Auto {
			stats.Plan = Exhaustive
		}
		return nil, stats, nil
	}
	s.scorer.Reset(query)
	if stats.Plan == Auto {
		stats.Plan = s.plan(query, selection, options)
	}
	start := now(options.Times)
	if err := s.find(selection, options, &stats); err != nil {
		return nil, stats, err
	}
	stats.Candidates = len(s.documents)
	found := now(options.Times)
	if options.Depth > 0 {
		if err := s.rank(ctx, selection.Score, max(options.Depth, options.K)); err != nil {
			return nil, stats, err
		}
	}
	ranked := now(options.Times)
	hits, err := s.score(ctx, query, selection.Score, options.K, &stats)
	if options.Times {
		stats.ProbeTime, stats.RankTime, stats.ScoreTime = found.Sub(start), ranked.Sub(found), time.Since(ranked)
	}
	return hits, stats, err
}

func now(wanted bool) time.Time {
	if wanted {
		return time.Now()
	}
	return time.Time{}
}

func (s *Searcher) check(query *simd.Query, selection querypruner.Selection, options SearchOptions) error {
	if err := options.Validate(); err != nil {
		return err
	}
	if s.scorer != nil && query.Rows > 0 && query.Dim != s.source.Codebook().Dim() {
		return fmt.Errorf("%w: the query has %d dimensions, the index %d", ErrInvalid, query.Dim, s.source.Codebook().Dim())
	}
	if err := checkComponents(query.Float()); err != nil {
		return fmt.Errorf("%w: the query: %w", ErrInvalid, err)
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

// plan compares the work of the two plans in dot products: scoring all
// vectors against comparing the kept rows with all cells and then scoring the
// documents that the postings lead to, taking no two postings to meet.
func (s *Searcher) plan(query *simd.Query, selection querypruner.Selection, options SearchOptions) Plan {
	documents, vectors := float64(s.source.Documents()), float64(s.source.Vectors())
	rows, kept := float64(query.Rows), float64(len(selection.Probe))
	found := s.expected(selection, options)
	cells := float64(s.source.Codebook().Cells())
	exhaustive := vectors * rows
	probe := cells*kept + vectors*rows*found/documents
	if exhaustive <= probe {
		return Exhaustive
	}
	return Probe
}

// expected estimates the candidates of the plan Probe: one for every posting.
func (s *Searcher) expected(selection querypruner.Selection, options SearchOptions) float64 {
	postings := float64(len(selection.Probe)) * float64(options.Neighbors)
	if options.Budget > 0 {
		postings = float64(options.Budget)
	}
	return min(postings, float64(s.source.Documents()))
}

// find lists the candidates. Where their vectors will probably lie in most
// cells, or the candidates be ranked by cells, the scoring rows are compared
// with all cells at once; the probing rows are mostly among them.
func (s *Searcher) find(selection querypruner.Selection, options SearchOptions, stats *Stats) error {
	found := float64(s.source.Documents())
	if stats.Plan == Probe {
		found = s.expected(selection, options)
	}
	vectors := found / float64(s.source.Documents()) * float64(s.source.Vectors())
	if vectors >= float64(s.source.Codebook().Cells()) || options.Depth > 0 && found > float64(max(options.Depth, options.K)) {
		if err := s.scorer.ScanRows(selection.Score); err != nil {
			return err
		}
	}
	if stats.Plan == Exhaustive {
		s.all()
		return nil
	}
	return s.probe(selection.Probe, options, stats)
}

// all makes every live document a candidate.
func (s *Searcher) all() {
	s.documents = s.documents[:0]
	for document := range uint32(s.source.Documents()) {
		if s.source.Live(document) {
			s.documents = append(s.documents, document)
		}
	}
}

// score scores the candidates and returns the best k.
func (s *Searcher) score(ctx context.Context, query *simd.Query, rows []int, k int, stats *Stats) ([]Hit, error) {
	scoring := query.Rows
	if rows != nil {
		scoring = len(rows)
	}
	codebook := s.source.Codebook()
	s.best.reset(min(k, len(s.documents)))
	for i, document := range s.documents {
		if i%256 == 0 {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
		}
		payload, err := s.source.Payload(document)
		if err != nil {
			return nil, err
		}
		vectors, err := codebook.Rows(payload)
		if err != nil {
			return nil, s.fault(document, err)
		}
		score, err := s.scorer.Score(payload, rows)
		if err != nil {
			return nil, s.fault(document, err)
		}
		stats.DocumentsScored++
		stats.TokenPairs += int64(scoring) * int64(vectors)
		stats.Bytes += int64(len(payload))
		if vectors == 0 || !s.best.wants(score) {
			continue
		}
		id, err := s.source.ID(document)
		if err != nil {
			return nil, err
		}
		s.best.add(Hit{document, id, score})
	}
	return s.best.sorted(), nil
}

// fault says which document's payload an error of package codec is about.
func (s *Searcher) fault(document uint32, err error) error {
	id, idErr := s.source.ID(document)
	if idErr != nil {
		return errors.Join(fmt.Errorf("%w: payload of document number %d: %w", faultKind(err), document, err), idErr)
	}
	return fmt.Errorf("%w: payload of document %q: %w", faultKind(err), id, err)
}

// compareHits orders hits best first: by score, equal scores by descending
// id, as trec_eval does.
func compareHits(a, b Hit) int {
	return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(b.ID, a.ID))
}

// topK keeps the k best hits in a heap with the worst on top.
type topK struct {
	k    int
	hits []Hit
}

func (t *topK) reset(k int) {
	t.k, t.hits = k, t.hits[:0]
}

// wants tells whether a hit with this score may belong to the best.
func (t *topK) wants(score float32) bool {
	return len(t.hits) < t.k || t.k > 0 && cmp.Compare(score, t.hits[0].Score) >= 0
}

func (t *topK) add(hit Hit) {
	if len(t.hits) < t.k {
		t.hits = append(t.hits, hit)
		for i := len(t.hits) - 1; i > 0; {
			parent := (i - 1) / 2
			if compareHits(t.hits[i], t.hits[parent]) <= 0 {
				break
			}
			t.hits[i], t.hits[parent] = t.hits[parent], t.hits[i]
			i = parent
		}
		return
	}
	if compareHits(hit, t.hits[0]) >= 0 {
		return
	}
	t.hits[0] = hit
	for i := 0; ; {
		worst := i
		for child := 2*i + 1; child <= 2*i+2 && child < t.k; child++ {
			if compareHits(t.hits[child], t.hits[worst]) > 0 {
				worst = child
			}
		}
		if worst == i {
			return
		}
		t.hits[i], t.hits[worst] = t.hits[worst], t.hits[i]
		i = worst
	}
}

// sorted returns the hits, best first, in a slice of their own.
func (t *topK) sorted() []Hit {
	hits := slices.Clone(t.hits)
	slices.SortFunc(hits, compareHits)
	return hits
}
