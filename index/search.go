package index

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/bits"
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
	// Times measures the stages.
	Times bool
}

// DefaultSearchOptions returns ten hits, the plan chosen by cost and 1,000
// postings per row.
func DefaultSearchOptions() SearchOptions {
	return SearchOptions{K: 10, Neighbors: 1000}
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
	// number of those that were scored: all, unless the search was cancelled.
	Candidates, DocumentsScored int
	// TokenPairs counts (query row, document vector) pairs scored, Bytes the
	// payload bytes they were read from.
	TokenPairs, Bytes int64
	// ProbeTime and ScoreTime are set when SearchOptions.Times is.
	ProbeTime, ScoreTime time.Duration
}

// Searcher runs searches on one Source and keeps its memory between them. It
// is for one goroutine at a time; make one for each.
type Searcher struct {
	source    Source
	scorer    *codec.Scorer
	found     []uint64 // bitmap of document numbers
	list      []uint32
	cells     cellHeap
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
// selection.Score score them; nil means all rows for either. Hits come best first; equal scores by
// descending id. It honours ctx between documents.
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
	var err error
	if stats.Plan == Exhaustive {
		s.all()
	} else {
		err = s.probe(selection.Probe, options.Neighbors, &stats)
	}
	if err != nil {
		return nil, stats, err
	}
	stats.Candidates = len(s.documents)
	scored := now(options.Times)
	hits, err := s.score(ctx, query, selection.Score, options.K, &stats)
	if options.Times {
		stats.ProbeTime, stats.ScoreTime = scored.Sub(start), time.Since(scored)
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
	found := min(documents, kept*float64(options.Neighbors))
	cells := float64(s.source.Codebook().Cells())
	exhaustive := vectors * rows
	probe := cells*kept + vectors*rows*found/documents
	if exhaustive <= probe {
		return Exhaustive
	}
	return Probe
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

// probe makes candidates of the live documents in the cells nearest to each
// probing row.
func (s *Searcher) probe(rows []int, neighbors int, stats *Stats) error {
	words := (s.source.Documents() + 63) / 64
	s.found = slices.Grow(s.found[:0], words)[:words]
	clear(s.found)
	s.scorer.ScanCells(rows)
	for _, row := range rows {
		s.cells.reset(s.scorer.CellSimilarities(row))
		for read := 0; read < neighbors; {
			cell, ok := s.cells.pop()
			if !ok {
				break
			}
			var err error
			if s.list, err = s.source.AppendPostings(s.list[:0], cell); err != nil {
				return err
			}
			if len(s.list) == 0 {
				continue
			}
			for _, document := range s.list {
				s.found[document/64] |= 1 << (document % 64)
			}
			read += len(s.list)
			stats.CellsProbed++
			stats.Postings += len(s.list)
		}
	}
	s.documents = s.documents[:0]
	for i, word := range s.found {
		for ; word != 0; word &= word - 1 {
			document := uint32(i*64 + bits.TrailingZeros64(word))
			if s.source.Live(document) {
				s.documents = append(s.documents, document)
			}
		}
	}
	return nil
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

// cellHeap yields cells by descending similarity; equal ones by number.
type cellHeap struct {
	similarities []float32
	cells        []uint32
}

func (h *cellHeap) reset(similarities []float32) {
	h.similarities = similarities
	h.cells = slices.Grow(h.cells[:0], len(similarities))[:len(similarities)]
	for i := range h.cells {
		h.cells[i] = uint32(i)
	}
	for i := len(h.cells)/2 - 1; i >= 0; i-- {
		h.sink(i)
	}
}

func (h *cellHeap) before(a, b uint32) bool {
	x, y := h.similarities[a], h.similarities[b]
	return x > y || x == y && a < b
}

func (h *cellHeap) sink(i int) {
	for {
		first := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(h.cells); child++ {
			if h.before(h.cells[child], h.cells[first]) {
				first = child
			}
		}
		if first == i {
			return
		}
		h.cells[i], h.cells[first] = h.cells[first], h.cells[i]
		i = first
	}
}

func (h *cellHeap) pop() (cell uint32, ok bool) {
	n := len(h.cells)
	if n == 0 {
		return 0, false
	}
	cell = h.cells[0]
	h.cells[0] = h.cells[n-1]
	h.cells = h.cells[:n-1]
	h.sink(0)
	return cell, true
}
