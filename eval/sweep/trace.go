package sweep

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/eval"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/retriever"
	"github.com/pare-search/pare/retriever/fusion"
)

// tracer asks queries of one point of a plan and sees what a user does not: which
// tokens looked for candidates, and at which stage documents were lost.
type tracer struct {
	system    string
	retriever *retriever.Retriever // nil for BM25
	bm25      *BM25
	options   retriever.Options
	results   int // that are kept
}

// asked is a query in both forms: BM25 reads the text.
type asked struct {
	id, text string
	tokens   encoder.Tokens
}

// traced is what a point said to a query.
type traced struct {
	results []eval.Result
	work    Work
	plan    index.Plan
	probed  []int // rows that looked for candidates, ascending
	// Of some wanted documents, how many are among the candidates, among the
	// documents scored, and among as many first results.
	candidates, scored, top int
}

// trace answers a query and counts where the wanted documents were lost.
func (t *tracer) trace(ctx context.Context, query asked, wanted []string) (traced, error) {
	answer, err := t.search(ctx, query, t.everyScored())
	if err != nil {
		return traced{}, err
	}
	all := answer.results
	if t.options.Search.Reveal != index.RevealAll {
		// How many hits are wanted decides what is computed: they are those of the
		// search itself, and what it costs is what that costs.
		asked, err := t.search(ctx, query, t.options)
		if err != nil {
			return traced{}, err
		}
		all = followed(asked.results, all)
		answer.work = asked.work
	}
	answer.results = all[:min(len(all), t.results)]
	answer.scored = among(wanted, all)
	answer.top = among(wanted, all[:min(len(all), len(wanted))])
	answer.candidates = answer.scored
	switch {
	case !t.staged() || answer.scored == len(wanted) || answer.work.Candidates <= len(all):
	case answer.plan == index.Interaction:
		answer.candidates = len(wanted)
	default:
		candidates, err := t.search(ctx, query, t.everyCandidate(answer.plan))
		if err != nil {
			return traced{}, err
		}
		answer.candidates = among(wanted, candidates.results)
	}
	return answer, nil
}

// followed returns the first results and behind them those of the others that are not
// among them, in their order.
func followed(first, others []eval.Result) []eval.Result {
	all := slices.Clone(first)
	lowest := math.Inf(1)
	for _, r := range first {
		lowest = min(lowest, r.Score)
	}
	for _, r := range others {
		if slices.ContainsFunc(first, func(f eval.Result) bool { return f.ID == r.ID }) {
			continue
		}
		// As float32, which is how results are ranked.
		if float32(r.Score) >= float32(lowest) {
			r.Score = float64(math.Nextafter32(float32(lowest), float32(math.Inf(-1))))
		}
		lowest = r.Score
		all = append(all, r)
	}
	return all
}

// staged tells whether the system finds candidates first and scores them then.
func (t *tracer) staged() bool { return t.system == SystemMaxSim || t.system == SystemRerank }

// clock measures how long a search for as many hits as the setting wants takes. The
// goroutine must be locked to its thread.
func (t *tracer) clock(ctx context.Context, query asked) (time.Duration, error) {
	start := threadClock()
	_, err := t.search(ctx, query, t.options)
	return threadClock() - start, err
}

// everyScored makes hits of all documents that a search scores.
func (t *tracer) everyScored() retriever.Options {
	options := t.options
	options.Search.Reveal = index.RevealAll
	options.Search.Depth = scoredBy(options.Search)
	options.Search.K = options.Search.Depth
	if options.Search.Plan == index.Exhaustive {
		options.Search.K = max(options.Search.K, t.results)
	}
	return options
}

// everyCandidate makes hits of all documents that a search by a plan finds.
func (t *tracer) everyCandidate(plan index.Plan) retriever.Options {
	options := t.options
	options.Search.Plan, options.Search.Refine, options.Search.Reveal = plan, 0, index.RevealAll
	options.Search.Depth, options.Search.K = index.AllCandidates, index.AllCandidates
	return options
}

// scoredBy is how many candidates a search scores; see index.SearchOptions.Depth.
func scoredBy(o index.SearchOptions) int {
	if o.Depth == 0 {
		return max(256, 4*o.K)
	}
	return max(o.Depth, o.K)
}

// among returns how many of the ids are among the results.
func among(ids []string, results []eval.Result) int {
	n := 0
	for _, result := range results {
		if slices.Contains(ids, result.ID) {
			n++
		}
	}
	return n
}

func (t *tracer) search(ctx context.Context, query asked, options retriever.Options) (traced, error) {
	k := options.Search.K
	switch t.system {
	case SystemBM25:
		hits, err := t.bm25.Search(ctx, query.text, k)
		return traced{results: fromHits(hits)}, err
	case SystemRerank:
		hits, err := t.bm25.Search(ctx, query.text, scoredBy(options.Search))
		if err != nil {
			return traced{}, err
		}
		return t.rerank(ctx, query, hits, options)
	case SystemHybrid:
		hits, err := t.bm25.Search(ctx, query.text, max(k, hybridDepth))
		if err != nil {
			return traced{}, err
		}
		answer, err := t.maxSim(ctx, query, t.everyScored())
		if err != nil {
			return traced{}, err
		}
		fused, err := fusion.StandardisedSum(nil, fusion.List(hits), toHits(answer.results))
		answer.results = fromHits(fused[:min(k, len(fused))])
		return answer, err
	default:
		return t.maxSim(ctx, query, options)
	}
}

// maxSim searches the index.
func (t *tracer) maxSim(ctx context.Context, query asked, options retriever.Options) (traced, error) {
	results, err := t.retriever.SearchTokens(ctx, query.tokens, options)
	if err != nil {
		return traced{}, err
	}
	answer := traced{plan: results.Stats.Plan, probed: []int{}}
	answer.results, answer.work = read(t.retriever, results)
	for row, chosen := range results.Selection.Rows {
		// A row that looks with another is looked for. With a common budget, one
		// without a cell had none that was worth the postings.
		looks := chosen
		if chosen.Reason == querypruner.Merged && chosen.With >= 0 {
			looks = results.Selection.Rows[chosen.With]
		}
		if looks.Kept && (looks.Cells > 0 || options.Search.Neighbors > 0 || answer.plan != index.Probe) {
			answer.probed = append(answer.probed, row)
		}
	}
	return answer, nil
}

// rerank scores the documents that BM25 found.
func (t *tracer) rerank(ctx context.Context, query asked, hits []fusion.Hit, options retriever.Options) (traced, error) {
	documents := roaring.New()
	for _, hit := range hits {
		number, found, err := t.retriever.Snapshot().Lookup(hit.ID)
		if err != nil {
			return traced{}, err
		}
		if !found {
			return traced{}, fmt.Errorf("%w: it has no document %q", ErrOtherIndex, hit.ID)
		}
		documents.Add(number)
	}
	options.Search.Filter, options.Search.Plan = documents, index.Exhaustive
	answer, err := t.maxSim(ctx, query, options)
	answer.work.RowsKept, answer.probed = 0, nil // words have found the candidates
	return answer, err
}
