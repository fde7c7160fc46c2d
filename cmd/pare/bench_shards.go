package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/pare-search/pare/eval/precomputed"
	"github.com/pare-search/pare/eval/searchbench"
	"github.com/pare-search/pare/index"
)

func (a *app) benchShardsCommand() *cobra.Command {
	options := searchbench.DefaultShardOptions()
	var embeddings, folder string
	c := &cobra.Command{
		Use:   "shards --embeddings FOLDER --index FOLDER",
		Short: "Compare ways to share the cells of an index out to shards",
		Long: `Compare placements of the cells of an index on shards, or on goroutines with cells of
their own. Half of the queries tell how often each cell is read, a line fitted to measured
times what its posting list costs; the other half says how unevenly shards are loaded.
LOAD is the cost of the busiest shard over the mean of all, for all queries together;
QUERY is the same within a query, on average: how much longer it takes than shards that
share its work equally.`,
		Example: `  pare bench shards --embeddings vectors --index vectors.idx --shards 4,16`,
		Args:    noArgs,
	}
	flags := c.Flags()
	flags.StringVar(&embeddings, "embeddings", "", "ask the queries in this `folder` of token embeddings")
	flags.StringVar(&folder, "index", "", "share out the cells of the index in this `folder`")
	flags.IntSliceVar(&options.Shards, "shards", options.Shards, "`numbers` of shards")
	flags.IntVar(&options.Search.Budget, "budget", options.Search.Budget, "postings that a query reads")
	format := addFormat(flags, "table", "json", "md")
	required(c, "embeddings", "index")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := options.Validate(); err != nil {
			return asUsage(err)
		}
		report, err := benchShards(c.Context(), embeddings, folder, options)
		if err != nil {
			return err
		}
		return emitAll(c.OutOrStdout(), format.value, report, shardTables(report)...)
	}
	return c
}

func benchShards(ctx context.Context, embeddings, folder string, options searchbench.ShardOptions) (report *searchbench.ShardReport, err error) {
	opened, err := precomputed.Open(embeddings)
	if err != nil {
		return nil, err
	}
	queries, err := searchbench.Queries(opened)
	if err != nil {
		return nil, err
	}
	snapshot, err := index.Open(folder)
	if err != nil {
		return nil, indexError(folder, err)
	}
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	return searchbench.Shards(ctx, snapshot, queries, options)
}

func shardTables(r *searchbench.ShardReport) []table {
	model := table{
		columns: []column{{"queries", true}, {"cells read", true}, {"ns per list", true}, {"ns per posting", true}, {"R²", true}},
		rows: [][]string{{
			strconv.Itoa(r.Queries), strconv.Itoa(r.Cells), fmt.Sprintf("%.0f", r.Model.ListNanoseconds), fmt.Sprintf("%.2f", r.Model.PostingNanoseconds),
			fmt.Sprintf("%.3f", r.Model.R2),
		}},
	}
	placements := table{columns: []column{{"shards", true}, {name: "placement"}, {"load", true}, {"query", true}}}
	for _, p := range r.Placements {
		placements.rows = append(placements.rows, []string{strconv.Itoa(p.Shards), p.Name, fmt.Sprintf("%.3f", p.Load), fmt.Sprintf("%.3f", p.Query)})
	}
	return []table{model, placements}
}
