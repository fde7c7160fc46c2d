package sweep

import (
	"context"
	"time"

	"github.com/pare-search/pare/eval"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/retriever"
	"github.com/pare-search/pare/retriever/fusion"
)

// Query is one query of a collection.
type Query struct{ ID, Text string }

// Work is what one query cost.
type Work struct {
	RowsKept, CellsProbed, Postings, Candidates, DocumentsScored int
	TokenPairs                                                   int64
	// Estimate is the time the search takes by the model of package index, which
	// no machine's mood changes.
	Estimate time.Duration
}

// System is something that ranks documents. Search returns at most k results
// and must be safe for concurrent use.
type System struct {
	Name   string
	Search func(ctx context.Context, query string, k int) ([]eval.Result, Work, error)
}

// Unpruned is the system that scores every document with every query row.
func Unpruned(name string, r *retriever.Retriever) System {
	options := retriever.DefaultOptions()
	options.Pruner = querypruner.Pruner{}
	options.Search = index.ExhaustiveSearch(options.Search.K)
	return Pare(name, r, options)
}

// Pare is a search of an index with the given options, but for the number of
// hits.
func Pare(name string, r *retriever.Retriever, options retriever.Options) System {
	return System{name, func(ctx context.Context, query string, k int) ([]eval.Result, Work, error) {
		options := options
		options.Search.K = k
		results, err := r.Search(ctx, query, options)
		if err != nil {
			return nil, Work{}, err
		}
		ranking, work := read(r, results)
		return ranking, work, nil
	}}
}

// read takes out of a retriever's results what is measured.
func read(r *retriever.Retriever, results retriever.Results) ([]eval.Result, Work) {
	ranking := make([]eval.Result, len(results.Hits))
	for i, hit := range results.Hits {
		ranking[i] = eval.Result{ID: hit.ID, Score: float64(hit.Score)}
	}
	s := results.Stats
	return ranking, Work{
		s.RowsKept, s.CellsProbed, s.Postings, s.Candidates, s.DocumentsScored, s.TokenPairs,
		s.Estimate(r.Snapshot()),
	}
}

// System makes a system of the baseline.
func (b *BM25) System(name string) System {
	return System{name, func(ctx context.Context, query string, k int) ([]eval.Result, Work, error) {
		hits, err := b.Search(ctx, query, k)
		return fromHits(hits), Work{}, err
	}}
}

// hybridDepth is how many results of each system a hybrid combines at least:
// enough that the scores of a list show how they usually spread.
const hybridDepth = 1000

// Hybrid adds the standardised scores of two systems (fusion.StandardisedSum).
func Hybrid(name string, a, b System) System {
	return System{name, func(ctx context.Context, query string, k int) ([]eval.Result, Work, error) {
		depth := max(k, hybridDepth)
		first, work, err := a.Search(ctx, query, depth)
		if err != nil {
			return nil, work, err
		}
		second, more, err := b.Search(ctx, query, depth)
		if err != nil {
			return nil, work, err
		}
		fused, err := fusion.StandardisedSum(nil, toHits(first), toHits(second))
		if err != nil {
			return nil, work, err
		}
		return fromHits(fused[:min(k, len(fused))]), work.plus(more), nil
	}}
}

func (w Work) plus(o Work) Work {
	return Work{
		w.RowsKept + o.RowsKept, w.CellsProbed + o.CellsProbed, w.Postings + o.Postings,
		w.Candidates + o.Candidates, w.DocumentsScored + o.DocumentsScored, w.TokenPairs + o.TokenPairs,
		w.Estimate + o.Estimate,
	}
}

func fromHits(hits []fusion.Hit) []eval.Result {
	results := make([]eval.Result, len(hits))
	for i, hit := range hits {
		results[i] = eval.Result{ID: hit.ID, Score: hit.Score}
	}
	return results
}

func toHits(results []eval.Result) fusion.List {
	hits := make(fusion.List, len(results))
	for i, result := range results {
		hits[i] = fusion.Hit{ID: result.ID, Score: result.Score}
	}
	return hits
}

// rowNeighbors is how many postings a kept row reads where options do not say:
// the k' of Tonellotto and Macdonald (CIKM 2021).
const rowNeighbors = 1000

// Pruned returns the system that searches with PrunedOptions, named after the
// pruner.
func Pruned(r *retriever.Retriever, p querypruner.Pruner, options retriever.Options) System {
	return Pare(p.String(), r, PrunedOptions(p, options))
}

// PrunedOptions returns options that probe with the rows that a pruner keeps. A
// pruner that chooses rows gives each of them as many postings to read, as the
// literature has it; the pruner that keeps all lets the rows share a budget.
// Where options leave the plan open, they probe: on a small collection the
// automatic plan would score every document whatever the pruner.
func PrunedOptions(p querypruner.Pruner, options retriever.Options) retriever.Options {
	options.Pruner = p
	if options.Search.Plan == index.Auto {
		options.Search.Plan = index.Probe
	}
	if p.String() != (querypruner.Pruner{}).String() && options.Search.Neighbors == 0 {
		options.Search.Neighbors = rowNeighbors
	}
	return options
}

// Standard returns the systems that a study of query pruning compares: the
// unpruned exhaustive search, which is the baseline, the same index searched
// with each pruner, BM25, and the hybrid of BM25 and the search with options.
// Without a BM25 index the last two are left out.
func Standard(r *retriever.Retriever, bm25 *BM25, pruners []querypruner.Pruner, options retriever.Options) []System {
	systems := []System{Unpruned("unpruned", r)}
	for _, p := range pruners {
		systems = append(systems, Pruned(r, p, options))
	}
	if bm25 == nil {
		return systems
	}
	baseline, pruned := bm25.System("BM25"), Pruned(r, options.Pruner, options)
	return append(systems, baseline, Hybrid("BM25 + "+pruned.Name, baseline, pruned))
}
