package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/pare-search/pare/configs"
	"github.com/pare-search/pare/eval"
	"github.com/pare-search/pare/eval/knownitem"
	"github.com/pare-search/pare/eval/stats"
	"github.com/pare-search/pare/eval/sweep"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/retriever"
)

// demo is the tour that "pare demo" gives: it builds an index of text that
// every user has, searches it, and measures what query pruning saves and costs.
type demo struct {
	*app
	dir     string // folder to index, "" for the Go standard library
	keep    string // where the index is left, "" for nowhere
	model   string // the model that encodes, as --encoder names it, "" for the default encoder
	queries int

	stdout, stderr io.Writer
	started        time.Time
	collection     *knownitem.Collection
	documents      []retriever.Document // of the collection, as every system sees them
	retriever      *retriever.Retriever
	options        retriever.Options
}

func (a *app) demoCommand() *cobra.Command {
	d := &demo{app: a}
	c := &cobra.Command{
		Use:   "demo",
		Short: "Index the Go documentation, search it, and measure what pruning does",
		Long: `Index the documentation of the Go standard library in your GOROOT (or, with --dir,
any folder of text, Markdown or source files), run a few queries pruned and unpruned,
and measure both on known-item queries: sentences whose source is known. The demo has
settings of its own; --config and PARE_* do not change them.`,
		Example: `  pare demo
  pare demo --dir ~/notes --keep notes.idx && pare search --index notes.idx "how do I …"`,
		Args: noArgs,
	}
	c.Flags().StringVar(&d.dir, "dir", "", "index this `folder` of text, Markdown or source files instead")
	c.Flags().StringVar(&d.model, "encoder", "", "encode with the BERT model in this `folder`, or the ORG/NAME that \"pare model get\" got, instead of the default encoder")
	c.Flags().StringVar(&d.keep, "keep", "", "leave the index in this new `folder`, for pare search")
	c.Flags().IntVar(&d.queries, "queries", 1000, "known-item queries to measure with, at most")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if d.queries < 2 {
			return usage(fmt.Errorf("--queries %d: want at least 2", d.queries), "")
		}
		d.stdout, d.stderr, d.started = c.OutOrStdout(), c.ErrOrStderr(), time.Now()
		return d.run(c.Context())
	}
	return c
}

func (d *demo) run(ctx context.Context) (err error) {
	if err := d.read(ctx); err != nil {
		return err
	}
	target := d.keep
	if target == "" {
		temporary, mkdirErr := os.MkdirTemp("", "pare-demo-")
		if mkdirErr != nil {
			return mkdirErr
		}
		defer func() { err = errors.Join(err, os.RemoveAll(temporary)) }()
		target = filepath.Join(temporary, "index")
	}
	if err := d.build(ctx, target); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.retriever.Close()) }()
	if err := d.describe(); err != nil {
		return err
	}
	for _, query := range d.sampleQueries() {
		if err := d.show(ctx, query); err != nil {
			return err
		}
	}
	if err := d.measure(ctx); err != nil {
		return err
	}
	fmt.Fprintf(d.stdout, "\n%.0f seconds in all.", time.Since(d.started).Seconds())
	if d.keep != "" {
		fmt.Fprintf(d.stdout, " The index is in %s: try  pare search --index %s \"your words\"", d.keep, d.keep)
	}
	fmt.Fprintln(d.stdout)
	return nil
}

// read makes the collection.
func (d *demo) read(ctx context.Context) error {
	var err error
	if d.dir != "" {
		options := knownitem.DefaultFolderOptions()
		options.MaxQueries = d.queries
		d.collection, err = knownitem.Folder(ctx, d.dir, options)
	} else {
		var goroot string
		if goroot, err = knownitem.FindGoroot(); err != nil {
			return err
		}
		d.collection, err = knownitem.GoStandardLibrary(ctx, goroot, knownitem.DefaultGoOptions())
	}
	if err != nil {
		return err
	}
	name := d.collection.Name
	d.collection = d.collection.Sample(d.queries, 1)
	d.documents = make([]retriever.Document, len(d.collection.Documents))
	for i, document := range d.collection.Documents {
		d.documents[i] = retriever.Document{ID: document.ID, Text: strings.TrimSpace(document.Title + "\n" + document.Text)}
	}
	fmt.Fprintf(d.stdout, "%s: %d documents, %d known-item queries\n", name, len(d.collection.Documents), len(d.collection.Queries))
	return nil
}

// build trains the encoder, builds the index and opens it.
func (d *demo) build(ctx context.Context, target string) error {
	start := time.Now()
	bars := d.stages(d.stderr)
	config := configs.Default()
	config.Encoder.Kind = cmp.Or(d.model, config.Encoder.Kind)
	options := retriever.DefaultBuildOptions()
	options.Progress = bars.report
	var err error
	if options.Encoder, err = openEncoder(ctx, config, bars.count); err != nil {
		return err
	}
	err = retriever.Build(ctx, target, retriever.Documents(d.documents...), options)
	bars.done()
	if err != nil {
		return err
	}
	trained := "trained the encoder and "
	if d.model != "" {
		trained = ""
	}
	fmt.Fprintf(d.stdout, "%sbuilt the index in %.1f s\n", trained, time.Since(start).Seconds())
	if d.retriever, err = retriever.Open(target); err != nil {
		return err
	}
	d.options = retriever.DefaultOptions()
	d.options.Search.Plan = index.Probe
	d.options.Search.Times = true
	d.options.Search.Budget = demoBudget(len(d.documents))
	return nil
}

// describe prints what was built.
func (d *demo) describe() error {
	info, err := d.retriever.Snapshot().Inspect()
	if err != nil {
		return err
	}
	text := 0
	for _, document := range d.documents {
		text += len(document.Text)
	}
	fmt.Fprintf(d.stdout, "  %d token vectors of %d dimensions, %s codes, %d cells\n", info.Vectors, info.Dim, info.Codec, info.Cells)
	fmt.Fprintf(d.stdout, "  %.1f bytes per token vector (float32 would take %d): %s of index next to %s of text\n",
		info.BytesPerToken, 4*info.Dim, byteSize(info.Bytes), byteSize(int64(text)))
	return nil
}

// sampleQueries are the queries shown at length.
func (d *demo) sampleQueries() []string {
	if d.dir == "" {
		return []string{
			"wait until a whole group of goroutines has finished before going on",
			"read a whole file into memory and return its contents as bytes",
			"parse a date and time from a string with a given layout",
		}
	}
	var queries []string
	for _, query := range d.collection.Sample(3, 2).Queries {
		queries = append(queries, query.Text)
	}
	return queries
}

// demoTokens is how many tokens of a query are shown: models fill queries up to 32.
const demoTokens = 12

// show runs one query unpruned and pruned, side by side.
func (d *demo) show(ctx context.Context, query string) error {
	unpruned := d.options
	unpruned.Pruner, unpruned.Search.Plan = querypruner.Pruner{}, index.Exhaustive
	full, err := d.retriever.Search(ctx, query, unpruned)
	if err != nil {
		return err
	}
	pruned, err := d.retriever.Search(ctx, query, d.options)
	if err != nil {
		return err
	}
	fmt.Fprintf(d.stdout, "\nquery: %s\n", printable(query))
	tw := tabwriter.NewWriter(d.stdout, 0, 0, 2, ' ', 0)
	for i, row := range pruned.Selection.Rows[:min(demoTokens, len(pruned.Selection.Rows))] {
		use := "scores only"
		if row.Kept {
			use = "looks for candidates"
		}
		fmt.Fprintf(tw, "  %s\t%s\t(%s)\n", printable(tokenText(d.retriever.Encoder(), query, pruned.Query, i)), use, row)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	if more := len(pruned.Selection.Rows) - demoTokens; more > 0 {
		fmt.Fprintf(d.stdout, "  and %d more\n", more)
	}
	for _, r := range []struct {
		name    string
		results retriever.Results
	}{{"unpruned", full}, {"pruned", pruned}} {
		s := r.results.Stats
		fmt.Fprintf(d.stdout, "  %-9s %5d documents scored in %5.2f ms", r.name, s.DocumentsScored,
			(s.PruneTime+s.ScanTime+s.ProbeTime+s.RankTime+s.ScoreTime+s.RefineTime).Seconds()*1000)
		if r.name != "unpruned" {
			fmt.Fprintf(d.stdout, "; %d of the unpruned first %d", common(full.Hits, pruned.Hits), len(full.Hits))
		}
		fmt.Fprintln(d.stdout)
	}
	for rank, hit := range pruned.Hits[:min(3, len(pruned.Hits))] {
		explanation, err := d.retriever.Explain(ctx, query, hit.ID, d.options)
		if err != nil {
			return err
		}
		snippet := retriever.Snippet(printable(explanation.Text), explanation.Marks(), 100, "[", "]")
		fmt.Fprintf(d.stdout, "  %d. %.2f  %s\n     %s\n", rank+1, hit.Score, printable(hit.ID), snippet)
	}
	return nil
}

// common counts the documents that both lists have.
func common(a, b []index.Hit) int {
	count := 0
	for _, hit := range a {
		if slices.ContainsFunc(b, func(other index.Hit) bool { return other.Document == hit.Document }) {
			count++
		}
	}
	return count
}

// demoBudget is the number of postings that all rows read together: a tenth of
// the documents. The default suits larger collections; in a small one any
// pruning would find everything with it, and there would be nothing to see.
func demoBudget(documents int) int { return max(200, documents/10) }

// demoNeighbors is the number of postings that a row reads where each reads for
// itself: as many as its share would be, if five were kept.
func demoNeighbors(documents int) int { return demoBudget(documents) / 5 }

// demoPruners are the prunings that the demo compares.
var demoPruners = []string{"icf:1", "icf:2", "icf:3", "icf:4", "icf:6", "first:3", "random:3"}

// systems returns what the demo compares, the baseline first.
func (d *demo) systems(bm25 *sweep.BM25, pruners []querypruner.Pruner) []sweep.System {
	budgeted := sweep.Pruned(d.retriever, d.options.Pruner, d.options)
	systems := []sweep.System{sweep.Unpruned("unpruned", d.retriever), budgeted}
	options := d.options
	options.Search.Neighbors = demoNeighbors(len(d.documents))
	for _, p := range pruners {
		systems = append(systems, sweep.Pruned(d.retriever, p, options))
	}
	baseline := bm25.System("BM25")
	return append(systems, baseline, sweep.Hybrid("BM25 + "+budgeted.Name, baseline, budgeted))
}

// measure compares the systems on the known-item queries.
func (d *demo) measure(ctx context.Context) (err error) {
	bm25, err := d.newBM25(ctx, d.stderr, d.documents, d.retriever.Encoder())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bm25.Close()) }()

	pruners, err := parsePruners(demoPruners)
	if err != nil {
		return err
	}
	measures, err := eval.ParseMeasures("RR@10", "nDCG@10", "R@100")
	if err != nil {
		return err
	}
	queries := make([]sweep.Query, len(d.collection.Queries))
	for i, query := range d.collection.Queries {
		queries[i] = sweep.Query(query)
	}
	systems := d.systems(bm25, pruners)
	bar := d.progress(d.stderr, "measuring", "queries", int64(len(queries)))
	report, err := sweep.Run(ctx, systems, queries, d.collection.Qrels, sweep.Options{
		Measures: measures,
		Depth:    100,
		Stats:    stats.DefaultOptions(),
		Progress: func(int, int) { bar.add(1) },
	})
	bar.done()
	if err != nil {
		return err
	}
	fmt.Fprintf(d.stdout, "\nWhat pruning does, on %d queries (%s, %d CPUs, one query per CPU):\n\n",
		report.Queries, runtime.GOARCH, runtime.GOMAXPROCS(0))
	if err := sweepTable(report, asciiOnly()).writeText(d.stdout); err != nil {
		return err
	}
	fmt.Fprintf(d.stdout, "\n%s\n", sweepLegend(report))
	fmt.Fprintln(d.stdout, demoConclusion(report, append(demoPruners, systems[1].Name), d.model != "", asciiOnly()))
	return nil
}

// demoConclusion says in words what the table shows: the cheapest pruning that
// is as good as none, where it is not, and which system leads in what.
func demoConclusion(r *sweep.Report, pruned []string, neural, ascii bool) string {
	var b strings.Builder
	unpruned, cheapest := &r.Systems[0], r.Cheapest(pruned...)
	if cheapest == nil {
		b.WriteString("\nNo pruning could be shown to be as good as none on these queries.")
	} else {
		fmt.Fprintf(&b, "\n%s looks at %.0f %% fewer documents than the unpruned search and is %s in %s.",
			cheapest.Name, 100*(1-cheapest.Stats.Candidates/unpruned.Stats.Candidates),
			verdictText(*cheapest.Verdict, ascii), r.Headline)
		for _, measure := range r.Measures {
			if c := cheapest.Comparisons[measure]; c.Verdict == stats.Worse {
				fmt.Fprintf(&b, "\nIt is %s in %s: %.3f, where the unpruned search has %.3f.",
					verdictText(c.Verdict, ascii), measure, c.Mean, c.MeanBaseline)
			}
		}
	}
	for _, measure := range r.Measures {
		best := slices.MaxFunc(r.Systems, func(a, b sweep.SystemReport) int {
			return cmp.Compare(a.Measures[measure], b.Measures[measure])
		})
		fmt.Fprintf(&b, "\nBest %s: %s with %.3f.", measure, best.Name, best.Measures[measure])
	}
	if !neural {
		b.WriteString("\nThe encoder was trained on nothing but this text: no weights, and no match for a neural one.")
	}
	return b.String()
}

// parsePruners reads the short forms of several pruners.
func parsePruners(specs []string) ([]querypruner.Pruner, error) {
	pruners := make([]querypruner.Pruner, len(specs))
	for i, spec := range specs {
		var err error
		if pruners[i], err = querypruner.Parse(spec); err != nil {
			return nil, err
		}
	}
	return pruners, nil
}
