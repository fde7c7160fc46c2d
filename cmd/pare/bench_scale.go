package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pare-search/pare/eval/precomputed"
	"github.com/pare-search/pare/eval/searchbench"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/simd"
)

// scaleReport is what "pare bench scale" prints.
type scaleReport struct {
	Machine    searchbench.Machine `json:"machine"`
	Embeddings string              `json:"embeddings"`
	Recall     float64             `json:"recall"`
	Depth      int                 `json:"depth"`
	*searchbench.ScaleReport
}

func (a *app) benchScaleCommand() *cobra.Command {
	options := searchbench.DefaultScaleOptions()
	var embeddings, folder, write string
	kind, level := options.Index.Codec.Kind.String(), simd.Level()
	c := &cobra.Command{
		Use:   "scale --embeddings FOLDER",
		Short: "Measure how the cost of a search grows with the collection",
		Long: `Build collections of several sizes out of the tokens of a real one, and measure what
grows with them. A made document takes each of its tokens from one of two real documents
and moves every vector by some noise. The queries are real.

Two ways to find candidates are compared, each at the smallest setting that finds the
wanted share of the best ten of an exhaustive search of the same index: unpruned, where
every row of the query looks into its nearest cells, and with one budget for all rows.
MODEL is what the time would be at the cost per unit of work of the smallest collection.

The indexes are built in a temporary folder, or below --folder, and removed; free space is
checked before. A million passages of a hundred tokens take some 4 GB at 2 bits. From a
hundred thousand on, training a codebook takes 7 GB of memory; --training-vectors makes
it less, and the cells fewer.

Sizes in --project are computed from the largest that was built, candidates by their
growth between the last two. IN TWO LEVELS is what comparing with groups of cells first
would take, which searches do not do.

--write measures nothing: it writes the collection of the one size in --passages, and the
queries, to a new folder of token embeddings as "pare bench search" reads it.`,
		Example: `  pare bench scale --embeddings vectors
  pare bench scale --embeddings vectors --passages 10000,100000 --project 1000000 --format md
  pare bench scale --embeddings vectors --passages 80000 --queries 250 --write larger`,
		Args: noArgs,
	}
	flags := c.Flags()
	flags.StringVar(&embeddings, "embeddings", "", "make documents out of those in this `folder` of token embeddings")
	flags.StringVar(&folder, "folder", os.TempDir(), "build the indexes below this `folder`")
	flags.StringVar(&write, "write", "", "write the collection to this new `folder` of token embeddings instead")
	flags.IntSliceVar(&options.Passages, "passages", options.Passages, "`sizes` of the collections")
	flags.IntSliceVar(&options.Project, "project", options.Project, "`sizes` to compute the cost of")
	flags.IntVar(&options.Depth, "depth", options.Depth, "documents to score")
	flags.Float64Var(&options.Recall, "recall", options.Recall, "`share` of the best ten that must be found")
	flags.Float64Var(&options.Noise, "noise", options.Noise, "`length` of the noise, against that of the vector")
	flags.IntVar(&options.SourceVectors, "source-vectors", options.SourceVectors, "take the tokens from documents of so many `vectors`, in memory")
	flags.IntVar(&options.Queries, "queries", options.Queries, "queries to ask")
	flags.IntVar(&options.Repeats, "repeat", options.Repeats, "times to ask each query")
	flags.IntVar(&options.MaxCells, "max-cells", options.MaxCells, "cells at most")
	flags.IntVar(&options.Index.TrainingVectors, "training-vectors", options.Index.TrainingVectors, "train each codebook on so many vectors")
	flags.Uint64Var(&options.Seed, "seed", options.Seed, "makes the documents")
	flags.StringVar(&kind, "codec", kind, "build the indexes with this `codec`")
	flags.StringVar(&level, "level", level, "`instructions` to use: "+strings.Join(simd.Levels(), ", "))
	format := addFormat(flags, "table", "json", "md")
	required(c, "embeddings")
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		if options.Index.Codec.Kind, err = codec.ParseKind(kind); err != nil {
			return asUsage(err)
		}
		if err := options.Validate(); err != nil {
			return asUsage(err)
		}
		if write != "" && len(options.Passages) != 1 {
			return asUsage(fmt.Errorf("--write: give --passages one size, not %d", len(options.Passages)))
		}
		undo, err := simd.SetLevel(level)
		if err != nil {
			return asUsage(err)
		}
		defer undo()
		stages := a.benchStages(c.ErrOrStderr())
		defer stages.done()
		options.Progress = stages.report
		if write != "" {
			return a.writeCollection(c.Context(), embeddings, write, options)
		}
		report, err := a.benchScale(c.Context(), embeddings, folder, options)
		if err != nil {
			return err
		}
		stages.done()
		return emitAll(c.OutOrStdout(), format.value, report, report.tables()...)
	}
	return c
}

func (a *app) benchScale(ctx context.Context, embeddings, folder string, options searchbench.ScaleOptions) (report *scaleReport, err error) {
	opened, err := precomputed.Open(embeddings)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(folder, "pare-scale-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	measured, err := searchbench.Scale(ctx, dir, opened, options)
	if err != nil {
		return nil, err
	}
	return &scaleReport{searchbench.ThisMachine(), embeddings, options.Recall, options.Depth, measured}, nil
}

func (a *app) writeCollection(ctx context.Context, embeddings, dir string, options searchbench.ScaleOptions) error {
	opened, err := precomputed.Open(embeddings)
	if err != nil {
		return err
	}
	return searchbench.WriteCollection(ctx, dir, opened, options)
}

// tables are the report for people: what was built, the searches, what is only
// computed.
func (r *scaleReport) tables() []table {
	tables := []table{r.builtTable(), r.searchTable()}
	if len(r.Projected) > 0 {
		tables = append(tables, r.projectedTable())
	}
	return tables
}

func (r *scaleReport) builtTable() table {
	t := table{columns: []column{
		{"passages", true},
		{"vectors", true},
		{"cells", true},
		{"size", true},
		{"bytes per token", true},
		{"build", true},
		{"memory", true},
		{"exhaustive ms", true},
	}}
	for _, s := range r.Sizes {
		t.rows = append(t.rows, []string{
			strconv.Itoa(s.Passages), strconv.FormatInt(s.Vectors, 10), strconv.Itoa(s.Cells),
			byteSize(s.Bytes), fmt.Sprintf("%.1f", s.BytesPerToken),
			fmt.Sprintf("%.1f s", s.Built.Seconds),
			dashUnless(s.Built.PeakBytes > 0, byteSize(s.Built.PeakBytes)),
			fmt.Sprintf("%.1f", s.Exhaustive),
		})
	}
	return t
}

func (r *scaleReport) searchTable() table {
	t := table{columns: []column{
		{"passages", true},
		{name: "way"},
		{name: "setting"},
		{"R@10", true},
		{"p50 ms", true},
		{"scan", true},
		{"probe", true},
		{"rank", true},
		{"score", true},
		{"model", true},
		{"postings", true},
		{"candidates", true},
		{"against", true},
	}}
	for _, s := range r.Sizes {
		for _, way := range []struct {
			name string
			searchbench.Probed
		}{{"unpruned", s.Unpruned}, {"budget", s.Budgeted}} {
			recall := fmt.Sprintf("%.3f", way.Recall10)
			if !way.Reached {
				recall += " (too few)"
			}
			t.rows = append(t.rows, []string{
				strconv.Itoa(s.Passages), way.name, way.Setting, recall,
				fmt.Sprintf("%.3f", way.P50),
				fmt.Sprintf("%.3f", way.Stages.Scan), fmt.Sprintf("%.3f", way.Stages.Probe), fmt.Sprintf("%.3f", way.Stages.Rank), fmt.Sprintf("%.3f", way.Stages.Score),
				fmt.Sprintf("%.3f", way.Model.Scan+way.Model.Probe+way.Model.Rank+way.Model.Score),
				fmt.Sprintf("%.0f", way.Work.Postings), fmt.Sprintf("%.0f", way.Work.Candidates),
				fmt.Sprintf("%.2f", s.Unpruned.P50/way.P50),
			})
		}
	}
	return t
}

func (r *scaleReport) projectedTable() table {
	t := table{columns: []column{
		{"passages", true},
		{"vectors", true},
		{"size", true},
		{"build", true},
		{"cells", true},
		{"scan ms", true},
		{"in two levels", true},
		{"candidates", true},
		{"other stages ms", true},
	}}
	for _, p := range r.Projected {
		t.rows = append(t.rows, []string{
			strconv.Itoa(p.Passages), strconv.FormatInt(p.Vectors, 10), byteSize(p.Bytes),
			time.Duration(p.BuildSeconds * float64(time.Second)).Round(time.Second).String(),
			strconv.FormatInt(p.FlatCells, 10),
			fmt.Sprintf("%.2f", p.FlatScan), fmt.Sprintf("%.2f", p.TwoLevelScan), fmt.Sprintf("%.0f", p.Candidates), fmt.Sprintf("%.2f", p.Search),
		})
	}
	return t
}
