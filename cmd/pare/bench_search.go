package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pare-search/pare/eval/precomputed"
	"github.com/pare-search/pare/eval/searchbench"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/simd"
)

// searchBenchmark is one call of "pare bench search".
type searchBenchmark struct {
	*app
	embeddings, index, exact, level string
	grids                           []string
	shape                           index.Options
	options                         searchbench.Options

	stderr io.Writer
}

// searchBenchmarkReport is what "pare bench search" prints.
type searchBenchmarkReport struct {
	Machine    searchbench.Machine `json:"machine"`
	Embeddings string              `json:"embeddings"`
	Index      index.Info          `json:"index"`
	Built      *searchbench.Built  `json:"built,omitempty"` // nil for an index that was there
	*searchbench.Report
}

func (a *app) benchSearchCommand() *cobra.Command {
	b := &searchBenchmark{app: a, shape: index.DefaultOptions(8), options: searchbench.DefaultOptions()}
	kind := b.shape.Codec.Kind.String()
	c := &cobra.Command{
		Use:   "search --embeddings FOLDER",
		Short: "Measure searches at many settings on given token embeddings",
		Long: `Measure how fast searches are at which fidelity, on one core, for every combination of
some settings. The folder holds token embeddings that another program computed, in flat
.npy files: docs.npy (float32 or float16, all vectors of a document after those of the one
before), docs_lens.npy, docs_tokids.npy, the same for queries, qrels.tsv.

The truth is MaxSim over the float32 vectors. It is computed the first time and kept in
the folder of the embeddings. R@10 and R@100 are the shares of the exact best that a
search finds. A query counts with the median of its times, a setting with the median and
the 95th percentile of its queries, of which it answers one at a time. Encoding is not
part of a search.

--grid names the settings; each is a list of names with values, of which all combinations
are measured: plan, k, neighbors, budget, depth, cells, refine, margin, rarity, rank,
peak, reveal, first, alpha, prune. An index that does not
exist at --index is built there, without --index in a temporary folder.`,
		Example: `  pare bench search --embeddings vectors --index vectors.idx
  pare bench search --embeddings vectors --grid "budget=2000,4000 depth=128,256" --grid plan=exhaustive
  pare bench search --embeddings vectors --level avx2 --threads 2 --format md`,
		Args: noArgs,
	}
	flags := c.Flags()
	flags.StringVar(&b.embeddings, "embeddings", "", "measure on this `folder` of token embeddings")
	flags.StringVar(&b.index, "index", "", "search the index in this `folder`, built if it does not exist")
	flags.StringVar(&b.exact, "exact", "", "keep the exact ranking in this `file` (default: in the folder of the embeddings)")
	flags.StringVar(&b.level, "level", simd.Level(), "`instructions` to use: "+strings.Join(simd.Levels(), ", "))
	flags.StringArrayVar(&b.grids, "grid", searchbench.DefaultGrids, "`settings` to measure; may be repeated")
	flags.IntVar(&b.options.Repeats, "repeat", b.options.Repeats, "times to ask each query")
	flags.IntVar(&b.options.Threads, "threads", b.options.Threads, "compare the queries per second of so many threads with those of one")
	flags.DurationVar(&b.options.ThreadTime, "time", b.options.ThreadTime, "`time` for each of the six measurements of --threads")
	flags.StringVar(&kind, "codec", kind, "build the index with this `codec`")
	flags.BoolVar(&b.shape.Refine, "refinements", false, "build the index with 8 bits more per dimension, for the best documents")
	flags.Float64Var(&b.shape.Codec.CodeBytes, "code-bytes", b.shape.Codec.CodeBytes, "mean `bytes` of a vector's codes with codec banded")
	flags.IntVar(&b.shape.TrainingVectors, "training-vectors", 1<<20, "train the codebook on so many vectors")
	flags.IntVar(&b.shape.Codec.Cells, "cells", 0, "cluster the vectors into so many `cells` (default: by their number)")
	format := addFormat(flags, "table", "json", "md")
	required(c, "embeddings")
	c.RunE = func(c *cobra.Command, _ []string) error {
		b.stderr = c.ErrOrStderr()
		if err := b.check(kind); err != nil {
			return asUsage(err)
		}
		undo, err := simd.SetLevel(b.level)
		if err != nil {
			return asUsage(err)
		}
		defer undo()
		report, err := b.measure(c.Context())
		if err != nil {
			return err
		}
		return emitAll(c.OutOrStdout(), format.value, report, report.tables()...)
	}
	return c
}

// check reads the flags before any work is done.
func (b *searchBenchmark) check(kind string) (err error) {
	if b.shape.Codec.Kind, err = codec.ParseKind(kind); err != nil {
		return err
	}
	if b.options.Settings, err = searchbench.ParseGrids(b.grids); err != nil {
		return err
	}
	return errors.Join(b.options.Validate(), b.shape.Validate())
}

func (b *searchBenchmark) measure(ctx context.Context) (report *searchBenchmarkReport, err error) {
	embeddings, err := precomputed.Open(b.embeddings)
	if err != nil {
		return nil, err
	}
	queries, err := searchbench.Queries(embeddings)
	if err != nil {
		return nil, err
	}
	stages := b.benchStages(b.stderr)
	defer stages.done()
	report = &searchBenchmarkReport{Machine: searchbench.ThisMachine(), Embeddings: b.embeddings}

	folder, remove, err := b.folder()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	if index.CheckEmpty(folder) == nil {
		built, err := searchbench.Build(ctx, folder, precomputed.Documents(embeddings, nil), b.shape, stages.report)
		if err != nil {
			return nil, err
		}
		report.Built = &built
	}
	const depth = 100
	path := cmp.Or(b.exact, searchbench.ExactPath(embeddings, depth))
	truth, err := searchbench.CachedExact(ctx, path, embeddings, queries, depth, func(done, total int) {
		stages.report("comparing all float32 vectors", done, total)
	})
	if err != nil {
		return nil, err
	}
	snapshot, err := index.Open(folder)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	if report.Index, err = snapshot.Inspect(); err != nil {
		return nil, err
	}
	report.Index.Files = nil
	b.options.Progress = func(done, total int) { stages.report("searching", done, total) }
	report.Report, err = searchbench.Measure(ctx, snapshot, queries, truth, embeddings.Qrels, b.options)
	return report, err
}

// folder returns where the index is or is to be built, and how to leave it.
func (b *searchBenchmark) folder() (folder string, remove func() error, err error) {
	if b.index != "" {
		return b.index, func() error { return nil }, nil
	}
	parent, err := os.MkdirTemp("", "pare-bench-")
	if err != nil {
		return "", nil, err
	}
	return filepath.Join(parent, "index"), func() error { return os.RemoveAll(parent) }, nil
}

// benchStages shows one bar after the other for stages with names.
type benchStages struct {
	app    *app
	stderr io.Writer

	stage string
	bar   progress
	seen  int
}

func (a *app) benchStages(stderr io.Writer) *benchStages { return &benchStages{app: a, stderr: stderr} }

func (s *benchStages) report(stage string, done, total int) {
	if stage != s.stage {
		s.bar.done()
		s.stage, s.seen = stage, 0
		s.bar = s.app.progress(s.stderr, stage, "steps", int64(total))
	}
	s.bar.add(done - s.seen)
	s.seen = done
}

func (s *benchStages) done() { s.bar.done() }

// tables are the report for people: on what, every setting, the best ones.
func (r *searchBenchmarkReport) tables() []table {
	return []table{r.summaryTable(), r.settingsTable(), r.bestTable()}
}

func (r *searchBenchmarkReport) summaryTable() table {
	rows := [][]string{
		{"cpu", printable(r.Machine.CPU)},
		{"level", r.Machine.Level},
		{"go", r.Machine.Go + " " + r.Machine.OS},
		{"documents", strconv.Itoa(r.Index.Documents)},
		{"vectors", strconv.FormatInt(r.Index.Vectors, 10)},
		{"queries", strconv.Itoa(r.Queries)},
		{"codec", r.Index.Codec},
		{"cells", strconv.Itoa(r.Index.Cells)},
		{"bytes per token", fmt.Sprintf("%.1f", r.Index.BytesPerToken)},
	}
	if r.Built != nil {
		rows = append(rows, buildRows(*r.Built)...)
	}
	rows = append(rows, []string{"memory, searching", dashUnless(r.PeakBytes > 0, byteSize(r.PeakBytes))})
	if r.ExactNDCG10 > 0 {
		rows = append(rows, []string{"nDCG@10, exact", fmt.Sprintf("%.4f", r.ExactNDCG10)})
	}
	if t := r.Throughput; t != nil {
		rows = append(rows, []string{
			fmt.Sprintf("threads 1, %d", t.Threads),
			fmt.Sprintf("%.0f, %.0f queries/s: %.2f times (%s)", t.One, t.All, t.Ratio, t.Setting),
		})
	}
	return table{columns: []column{{name: "what"}, {name: "value"}}, rows: rows}
}

// buildRows says what building took.
func buildRows(b searchbench.Built) [][]string {
	return [][]string{
		{"build", fmt.Sprintf("%.1f s (codebook %.1f s)", b.Seconds, b.TrainSeconds)},
		{"build, CPU time", dashUnless(b.CPUSeconds > 0, fmt.Sprintf("%.1f s", b.CPUSeconds))},
		{"memory, building", dashUnless(b.PeakBytes > 0, byteSize(b.PeakBytes))},
	}
}

// dashUnless returns text if the value exists.
func dashUnless(exists bool, text string) string {
	if exists {
		return text
	}
	return "-"
}

func (r *searchBenchmarkReport) settingsTable() table {
	t := table{columns: []column{
		{name: "setting"},
		{"p50 ms", true},
		{"p95 ms", true},
		{"scan", true},
		{"probe", true},
		{"rank", true},
		{"score", true},
		{"refine", true},
		{"R@10", true},
		{"R@100", true},
		{"nDCG@10", true},
		{"candidates", true},
		{"scored", true},
	}}
	for _, s := range r.Results {
		t.rows = append(t.rows, []string{
			s.Setting,
			fmt.Sprintf("%.3f", s.P50), fmt.Sprintf("%.3f", s.P95),
			fmt.Sprintf("%.3f", s.Stages.Scan), fmt.Sprintf("%.3f", s.Stages.Probe), fmt.Sprintf("%.3f", s.Stages.Rank),
			fmt.Sprintf("%.3f", s.Stages.Score), fmt.Sprintf("%.3f", s.Stages.Refine),
			fmt.Sprintf("%.3f", s.Recall10), fmt.Sprintf("%.3f", s.Recall100),
			dashUnless(r.ExactNDCG10 > 0, fmt.Sprintf("%.4f", s.NDCG10)),
			fmt.Sprintf("%.0f", s.Work.Candidates), fmt.Sprintf("%.0f", s.Work.Scored),
		})
	}
	return t
}

func (r *searchBenchmarkReport) bestTable() table {
	t := table{columns: []column{{name: "best at"}, {"p50 ms", true}, {"p95 ms", true}, {"R@10", true}, {"R@100", true}, {"nDCG@10", true}, {name: "setting"}}}
	for _, b := range r.Best {
		row := []string{b.Target, "-", "-", "-", "-", "-", "not reached"}
		if s := b.Result; s != nil {
			row = []string{
				b.Target,
				fmt.Sprintf("%.3f", s.P50), fmt.Sprintf("%.3f", s.P95),
				fmt.Sprintf("%.3f", s.Recall10), fmt.Sprintf("%.3f", s.Recall100),
				dashUnless(r.ExactNDCG10 > 0, fmt.Sprintf("%.4f", s.NDCG10)),
				s.Setting,
			}
		}
		t.rows = append(t.rows, row)
	}
	return t
}
