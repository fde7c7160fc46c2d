package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pare-search/pare/configs"
	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/encoder/bert"
	"github.com/pare-search/pare/eval"
	"github.com/pare-search/pare/eval/dataset"
	"github.com/pare-search/pare/eval/precomputed"
	"github.com/pare-search/pare/eval/report"
	"github.com/pare-search/pare/eval/searchbench"
	"github.com/pare-search/pare/eval/stats"
	"github.com/pare-search/pare/eval/sweep"
	"github.com/pare-search/pare/retriever"
)

// study is one call of "pare sweep".
type study struct {
	*app
	collections, embeddings []string
	split, grid             string
	html, json, run         string
	repeat                  int
	format                  *formatFlag

	config   configs.Config
	measures []eval.Measure
	gridFile []byte
	stderr   io.Writer
	dir      string // for what is needed while it runs
	kept     string // how far the collection is that is being measured
}

func (a *app) sweepCommand() *cobra.Command {
	s := &study{app: a}
	c := &cobra.Command{
		Use:   "sweep --collection PATH [--html FILE] [--json FILE]",
		Short: "Measure a grid of settings on collections and report what can be pruned",
		Long: `Measure many settings - query pruning, budgets, codecs, whatever a grid file names -
on one test collection or several, compare each with the unpruned search, and say which
is cheapest of those that cost nothing that matters.

Every collection is encoded once, with --encoder, or comes with token vectors that are
there already (--embeddings, one folder for each --collection, in the same order; --encoder
then only names the tokens). Each index that the grid needs is built once, in a temporary
folder.

--json names the journal: every result is appended to it as it comes, and a rerun takes
over what it has for the same documents, queries and settings, if it has the measures
asked for. So a sweep may be interrupted at any time. A rerun encodes the collection again
(but for --embeddings), and builds those indexes that missing results need. --html writes the report as one file that needs nothing else.
BM25, MaxSim of what BM25 finds, and both together are always measured where there are
texts.

"pare sweep grid" prints the grid that is used without --grid, as a start for others.`,
		Example: `  pare sweep --collection cranfield,npl --html report.html --json sweep.json
  pare sweep --collection cisi --embeddings cisi.emb --encoder models/all-MiniLM-L6-v2 --html report.html
  pare sweep grid > my.yaml
  pare sweep --collection npl --grid my.yaml --format md`,
		Args: noArgs,
	}
	c.AddCommand(&cobra.Command{
		Use:   "grid",
		Short: "Print the default grid",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := c.OutOrStdout().Write(sweep.DefaultPlan)
			return err
		},
	})
	flags := c.Flags()
	flags.StringSliceVar(&s.collections, "collection", nil, "measure on these `paths`: folders with documents, queries and judgements")
	flags.StringSliceVar(&s.embeddings, "embeddings", nil, "token vectors of the collections, in these `folders`")
	flags.StringVar(&s.split, "split", "", "judgements to use where a collection has several: test, dev, train")
	flags.StringVar(&s.grid, "grid", "", "settings to measure, a `file`")
	flags.StringVar(&s.html, "html", "", "write the report to this `file`")
	flags.StringVar(&s.json, "json", "", "keep the results in this `file` and go on from there")
	flags.StringVar(&s.run, "run", "", "write each setting's results to this `file` in TREC format, names put before the extension")
	flags.IntVar(&s.repeat, "repeat", 3, "searches per query, of which the fastest counts")
	configs.Flag(flags, "encoder.kind", "encoder", "")
	configs.Flag(flags, "encoder.dim", "dim", "")
	configs.Flag(flags, "encoder.quantize", "quantize", "")
	addService(flags)
	configs.Flag(flags, "eval.measures", "measures", "")
	configs.Flag(flags, "eval.margin", "margin", "")
	configs.Flag(flags, "eval.workers", "workers", "")
	s.format = addFormat(flags, "table", "tsv", "csv", "json", "md")
	required(c, "collection")
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		loaded, err := a.settings(c)
		if err != nil {
			return err
		}
		s.config, s.stderr = loaded.Config, c.ErrOrStderr()
		if s.dir, err = os.MkdirTemp("", "pare-sweep-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(s.dir)) }()
		return s.execute(c)
	}
	return c
}

// sweepMeasures are the measures unless others are asked for. nDCG@10 decides.
var sweepMeasures = []string{"nDCG@10", "RR@10", "R@100", "Judged@10"}

// resultsKept is how many results of a query the measures see.
const resultsKept = 100

func (s *study) execute(c *cobra.Command) error {
	names := s.config.Eval.Measures
	if !c.Flags().Changed("measures") {
		names = sweepMeasures
	}
	plan, options, err := s.prepare(names)
	if err != nil {
		return usage(err, "")
	}
	journal, err := s.openJournal()
	if err != nil {
		return err
	}
	result := report.Study{Method: s.method(names)}
	for i, path := range s.collections {
		collection, err := s.measure(c.Context(), i, path, plan, journal, options)
		if err != nil {
			return errors.Join(s.interrupted(fmt.Errorf("%s: %w", path, err)), journal.Close())
		}
		result.Collections = append(result.Collections, *collection)
	}
	if err := journal.Close(); err != nil {
		return err
	}
	return s.write(c.OutOrStdout(), result)
}

// interrupted says of a sweep that is stopped by a signal what it has kept.
func (s *study) interrupted(err error) error {
	switch {
	case !errors.Is(err, context.Canceled):
		return err
	case s.json == "":
		return withHint(err, "no results are kept: --json FILE keeps them, and a rerun goes on from there")
	default:
		return withHint(err, fmt.Sprintf("%s keeps what was measured%s: the same command goes on from there", s.json, s.kept))
	}
}

// prepare checks what was asked for before any work is done.
func (s *study) prepare(measures []string) (points []sweep.Point, options sweep.StudyOptions, err error) {
	if len(s.embeddings) > 0 && len(s.embeddings) != len(s.collections) {
		return nil, options, fmt.Errorf("--embeddings has %d folders, --collection %d; want one for each", len(s.embeddings), len(s.collections))
	}
	if err := firstTwice("--collection", s.collections); err != nil {
		return nil, options, err
	}
	for flag, path := range map[string]string{"html": s.html, "json": s.json, "run": s.run} {
		if dir := filepath.Dir(path); path != "" && !isFolder(dir) {
			return nil, options, fmt.Errorf("--%s %s: there is no folder %s", flag, path, dir)
		}
	}
	if s.repeat < 1 {
		return nil, options, fmt.Errorf("--repeat %d: want at least 1", s.repeat)
	}
	if s.measures, err = eval.ParseMeasures(measures...); err != nil {
		return nil, options, err
	}
	if deepest := deepestMeasure(s.measures); deepest.Cutoff() > resultsKept {
		return nil, options, withHint(fmt.Errorf("--measures: %v looks at %d results, a sweep at %d", deepest, deepest.Cutoff(), resultsKept),
			`"pare eval" looks at as many as its --depth says`)
	}
	s.gridFile = sweep.DefaultPlan
	if s.grid != "" {
		if s.gridFile, err = os.ReadFile(s.grid); err != nil {
			return nil, options, fmt.Errorf("--grid: %w", err)
		}
	}
	plan, err := sweep.ReadPlan(bytes.NewReader(s.gridFile))
	if err != nil {
		return nil, options, under("--grid "+s.grid, err)
	}
	if points, err = plan.Points(s.reduce); err != nil {
		return nil, options, under("--grid "+s.grid, err)
	}
	options = sweep.StudyOptions{
		Measures: s.measures,
		Results:  resultsKept,
		Repeat:   s.repeat,
		Workers:  s.config.Eval.Workers,
		Options:  s.config.Options,
		Config:   s.shapingConfig(),
		Dir:      s.dir,
		Runs:     s.run,
	}
	return points, options, options.Validate()
}

// reduce refuses keys that are no business of a grid.
func (s *study) reduce(setting sweep.Setting) (sweep.Setting, error) {
	if err := checkGridKeys(setting); err != nil {
		return nil, err
	}
	return s.config.Reduce(setting)
}

func checkGridKeys(setting sweep.Setting) error {
	for _, a := range setting {
		for _, section := range []string{"encoder.", "service.", "eval."} {
			if strings.HasPrefix(a.Key, section) {
				return fmt.Errorf("%s: the settings of a grid share their encoder and measures; ask again for others", a.Key)
			}
		}
	}
	return nil
}

// shapingConfig is the configuration but for what changes no result.
func (s *study) shapingConfig() string {
	config := s.config
	config.Eval, config.Encoder.Kind = configs.Default().Eval, ""
	return yamlOf(config)
}

func yamlOf(config configs.Config) string {
	var b strings.Builder
	if err := configs.WriteYAML(&b, config); err != nil {
		return err.Error()
	}
	return b.String()
}

// openJournal opens the file of results, which is one of no use when nobody wants
// to keep it.
func (s *study) openJournal() (*sweep.Journal, error) {
	path := s.json
	if path == "" {
		path = filepath.Join(s.dir, "journal.json")
	}
	journal, err := sweep.OpenJournal(path)
	if errors.Is(err, sweep.ErrJournal) {
		err = usage(fmt.Errorf("--json: %w", err), "give --json a new file, or one of an earlier sweep")
	}
	return journal, err
}

// method says how the study is made.
func (s *study) method(measures []string) report.Method {
	m := machineMethod()
	m.Config, m.Grid = yamlOf(s.config), string(s.gridFile)
	m.Repeat, m.Clock = s.repeat, sweep.ClockName
	m.Measures = measureNames(s.measures)
	m.Stats = stats.Options{Margin: s.config.Eval.Margin, Resamples: stats.DefaultOptions().Resamples, Seed: s.config.Eval.Seed}
	return m
}

// machineMethod says by what command of what program a report is made, and where.
func machineMethod() report.Method {
	machine, build := searchbench.ThisMachine(), thisBuild()
	return report.Method{
		Command: strings.Join(os.Args, " "),
		Version: build.Version + ", commit " + build.Commit,
		Go:      machine.Go,
		CPU:     fmt.Sprintf("%s, %d in use", machine.CPU, machine.CPUs),
		SIMD:    machine.Level,
		OS:      machine.OS,
	}
}

func measureNames(measures []eval.Measure) []string {
	names := make([]string, len(measures))
	for i, m := range measures {
		names[i] = m.String()
	}
	return names
}

// measure measures all points on one collection.
func (s *study) measure(ctx context.Context, i int, path string, points []sweep.Point, journal *sweep.Journal, options sweep.StudyOptions) (*report.Collection, error) {
	s.kept = ""
	subject, err := s.subject(ctx, i, path)
	if err != nil {
		return nil, err
	}
	defer subject.BM25.Close()
	bar := s.progress(s.stderr, subject.Name, "settings", int64(len(points)))
	defer bar.done()
	stages := s.stages(s.stderr)
	shown := 0
	options.Point = func(name string, done, total int) {
		s.kept = fmt.Sprintf(", %d of %d settings of %s", done, total, subject.Name)
		stages.done()
		bar.describe(subject.Name + ", " + name)
		bar.add(done - shown)
		shown = done
	}
	options.Building = stages.report
	return sweep.Measure(ctx, *subject, points, journal, options)
}

// subject opens a collection and encodes it, if it is not encoded yet.
func (s *study) subject(ctx context.Context, i int, path string) (*sweep.Subject, error) {
	collection, err := dataset.OpenWith(path, dataset.Options{Split: s.split, Limits: s.config.Limits()})
	if err != nil {
		return nil, err
	}
	judged := collection.Judged()
	if len(judged) == 0 {
		return nil, errors.New("no query has both a text and judgements")
	}
	var enc encoder.Encoder
	dir := filepath.Join(s.dir, fmt.Sprintf("embeddings-%d", i))
	if len(s.embeddings) > 0 {
		dir = s.embeddings[i]
		enc, err = openEncoder(ctx, s.config, nil)
	} else {
		var result encoded
		result, err = s.encode(ctx, s.stderr, path, dir, s.config)
		enc = result.encoder
	}
	if err != nil {
		return nil, err
	}
	embeddings, queries, err := readQueryVectors(dir)
	if err != nil {
		return nil, err
	}
	documents, err := allDocuments(collection)
	if err != nil {
		return nil, err
	}
	subject := &sweep.Subject{
		Name:      collection.Name,
		Encoder:   s.encoderName(i, enc),
		Documents: precomputed.Documents(embeddings, retriever.Documents(documents...)),
		Qrels:     collection.Qrels,
	}
	for _, query := range judged {
		tokens, err := queries.EncodeQuery(ctx, query.ID)
		if err != nil {
			return nil, err
		}
		words, err := queryWords(ctx, enc, query.Text, tokens)
		if err != nil {
			return nil, err
		}
		subject.Queries = append(subject.Queries, sweep.SubjectQuery{ID: query.ID, Text: query.Text, Tokens: tokens, Words: words})
	}
	if enc != nil && enc.Dim() == embeddings.Dim {
		subject.Vocabulary = enc
	}
	subject.BM25, err = s.newBM25(ctx, s.stderr, documents, enc)
	return subject, err
}

func (s *study) encoderName(i int, enc encoder.Encoder) string {
	kind := filepath.Base(s.config.Encoder.Kind)
	switch {
	case len(s.embeddings) == 0:
		return kind
	case enc == nil:
		return "vectors of " + filepath.Base(s.embeddings[i])
	default:
		return kind + ", vectors of " + filepath.Base(s.embeddings[i])
	}
}

// queryWords names the tokens of a query as they follow each other in its text,
// each with the space before it; nil when nobody knows.
func queryWords(ctx context.Context, enc encoder.Encoder, text string, tokens encoder.Tokens) ([]string, error) {
	var spans []encoder.Span
	name := func(int) string { return "" }
	switch enc := enc.(type) {
	case nil:
		return nil, nil
	case *bert.Encoder:
		// Special tokens are no pieces of the text.
		pieces, next := enc.Tokenizer().Tokenize(text, len(tokens.IDs)), 0
		spans = make([]encoder.Span, len(tokens.IDs))
		for i, id := range tokens.IDs {
			if next < len(pieces.IDs) && pieces.IDs[next] == id {
				spans[i] = pieces.Spans[next]
				next++
			}
		}
		name = func(i int) string { return enc.Tokenizer().Piece(tokens.IDs[i]) }
	default:
		again, err := enc.EncodeQuery(ctx, text)
		if err != nil {
			return nil, err
		}
		spans = again.Spans
	}
	if len(spans) != tokens.Vectors.Rows {
		return nil, nil
	}
	words := make([]string, len(spans))
	end := -1
	for i, span := range spans {
		if words[i] = span.In(text); words[i] == "" {
			words[i] = " " + name(i)
			continue
		}
		if span.Start > end {
			words[i] = " " + words[i]
		}
		end = span.End
	}
	return words, nil
}

// write writes the report in all its forms.
func (s *study) write(stdout io.Writer, result report.Study) error {
	r, err := report.New(result)
	if err != nil {
		return err
	}
	if s.html != "" {
		if err := writeTo(s.html, r.WriteHTML); err != nil {
			return err
		}
		s.note(s.stderr, "wrote %s", s.html)
	}
	switch s.format.value {
	case "md":
		return r.WriteMarkdown(stdout)
	case "csv":
		return r.WriteCSV(stdout, ',')
	case "tsv":
		return r.WriteCSV(stdout, '\t')
	case "json":
		return r.WriteJSON(stdout)
	default:
		return r.WriteText(stdout, report.TextOptions{ASCII: asciiOnly(), Bold: styled(stdout)})
	}
}

// writeTo writes a file, whole or not at all.
func writeTo(path string, write func(io.Writer) error) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), ".pare-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	if err := errors.Join(write(file), file.Chmod(0o644), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
