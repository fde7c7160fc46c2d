package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/pare-search/pare/eval/precomputed"
	"github.com/pare-search/pare/eval/prunebench"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/index/docpruner"
)

// defaultPrunings keep about 75, 50, 33 and 25 % of the vectors, by strategies
// of each kind.
var defaultPrunings = []string{
	"random:75%", "random:50%", "random:33%", "random:25%",
	"first:75%", "first:50%", "first:33%", "first:25%",
	"idf:10", "idf:50", "idf:100", "idf:250",
	"ward:1.33", "ward:2", "ward:3", "ward:4",
	"voronoi:75%", "voronoi:50%", "voronoi:33%", "voronoi:25%",
	"voronoi:67%+ward:2",
}

func (a *app) benchPruneCommand() *cobra.Command {
	options := prunebench.DefaultOptions()
	var embeddings string
	prunings, kinds := defaultPrunings, []string{"float32", "residual2"}
	c := &cobra.Command{
		Use:   "prune --embeddings FOLDER",
		Short: "Compare what prunings of documents cost and save",
		Long: `Prune the documents of a folder of token embeddings in several ways, which "pare index"
explains, and search what is left exhaustively, with each codec.

KEPT is the share of the vectors that is stored. LOSS is how much less the best match of
a random direction is in a document, on average, QUERY LOSS that of a query's vector. Each
codec has the measure and its ratio to all vectors in the first codec. Lines of least
squares tell how well the losses foretell that.

All vectors are held in memory, and what is left of them.`,
		Example: `  pare bench prune --embeddings vectors
  pare bench prune --embeddings vectors --prune-documents ward:2,voronoi:50% --codec float32 --format md`,
		Args: noArgs,
	}
	flags := c.Flags()
	flags.StringVar(&embeddings, "embeddings", "", "measure with the token vectors in this `folder`")
	flags.StringSliceVar(&prunings, "prune-documents", prunings, "`prunings` to compare")
	flags.StringSliceVar(&kinds, "codec", kinds, "search with these `codecs`")
	flags.StringVar(&options.Measure, "measure", options.Measure, "judge results by this `measure`")
	flags.IntVar(&options.Fit.Sample, "sample", options.Fit.Sample, "learn from so many vectors")
	flags.Uint64Var(&options.Seed, "seed", options.Seed, "draws the directions of the loss")
	format := addFormat(flags, "table", "json", "md")
	required(c, "embeddings")
	c.RunE = func(c *cobra.Command, _ []string) error {
		options.Codecs = nil
		for _, name := range kinds {
			kind, err := codec.ParseKind(name)
			if err != nil {
				return asUsage(err)
			}
			options.Codecs = append(options.Codecs, kind)
		}
		for _, spec := range prunings {
			p, err := docpruner.Parse(spec)
			if err != nil {
				return asUsage(err)
			}
			options.Pruners = append(options.Pruners, p)
		}
		if err := options.Validate(); err != nil {
			return asUsage(err)
		}
		stages := a.benchStages(c.ErrOrStderr())
		defer stages.done()
		options.Progress = func(done, total int) { stages.report("pruning", done, total) }
		report, err := benchPrune(c.Context(), embeddings, options)
		if err != nil {
			return err
		}
		stages.done()
		return emitAll(c.OutOrStdout(), format.value, report, pruningsTable(report, kinds), linesTable(report))
	}
	return c
}

func benchPrune(ctx context.Context, folder string, options prunebench.Options) (*prunebench.Report, error) {
	embeddings, err := precomputed.Open(folder)
	if err != nil {
		return nil, err
	}
	return prunebench.Measure(ctx, embeddings, options)
}

func pruningsTable(r *prunebench.Report, codecs []string) table {
	t := table{columns: []column{{name: "pruning"}, {"kept", true}, {"loss", true}, {"query loss", true}}}
	for _, codec := range codecs {
		t.columns = append(t.columns, column{r.Measure + " " + codec, true}, column{"ratio", true})
	}
	t.columns = append(t.columns, column{"seconds", true})
	for _, row := range r.Rows {
		cells := []string{row.Pruner, fmt.Sprintf("%.1f %%", 100*row.Kept), fmt.Sprintf("%.5f", row.Loss), fmt.Sprintf("%.5f", row.QueryLoss)}
		for i, value := range row.Values {
			cells = append(cells, fmt.Sprintf("%.4f", value), fmt.Sprintf("%.3f", row.Ratios[i]))
		}
		t.rows = append(t.rows, append(cells, fmt.Sprintf("%.1f", row.Seconds)))
	}
	return t
}

func linesTable(r *prunebench.Report) table {
	t := table{columns: []column{{name: "pruners"}, {name: "directions"}, {"points", true}, {"cost per loss", true}, {"R²", true}}}
	for _, l := range r.Lines {
		t.rows = append(t.rows, []string{l.Over, l.Loss, strconv.Itoa(l.Points), fmt.Sprintf("%.2f", l.Slope), fmt.Sprintf("%.3f", l.R2)})
	}
	return t
}
