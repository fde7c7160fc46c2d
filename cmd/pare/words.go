package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/pare-search/pare/configs"
	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/encoder/bert"
	"github.com/pare-search/pare/encoder/corpus"
	wordtable "github.com/pare-search/pare/encoder/table"
	"github.com/pare-search/pare/eval/dataset"
	"github.com/pare-search/pare/eval/report"
	"github.com/pare-search/pare/eval/stats"
	"github.com/pare-search/pare/eval/tablebench"
	"github.com/pare-search/pare/retriever"
	"github.com/pare-search/pare/simd"
)

// worded is an encoder whose vectors of words can be had and replaced.
type worded interface {
	encoder.Encoder
	Words() simd.Matrix
	WordTable() *wordtable.Table
	WordFrequencies(ctx context.Context, texts iter.Seq2[string, error]) ([]int64, error)
}

// wordsOf returns the encoder if its vectors of words can be had.
func wordsOf(enc encoder.Encoder) (worded, error) {
	if w, ok := enc.(worded); ok {
		return w, nil
	}
	return nil, fmt.Errorf("--encoder: the encoder has no vectors of words that could be compressed")
}

// withWords returns the encoder with a table in place of its vectors of words.
func withWords(enc encoder.Encoder, t *wordtable.Table) (encoder.Encoder, error) {
	switch enc := enc.(type) {
	case *bert.Encoder:
		return enc.WithWords(t)
	case *corpus.Encoder:
		return enc.WithWords(t)
	}
	return nil, fmt.Errorf("%T has no vectors of words", enc)
}

// compressWords fits a table for an encoder, with the frequencies of words in texts,
// and returns the encoder with it.
func compressWords(ctx context.Context, enc encoder.Encoder, spec wordtable.Spec, texts iter.Seq2[string, error], seed uint64) (encoder.Encoder, error) {
	w, err := wordsOf(enc)
	if err != nil {
		return nil, err
	}
	frequencies, err := w.WordFrequencies(ctx, texts)
	if err != nil {
		return nil, err
	}
	options := wordtable.Options{Frequencies: frequencies, Seed: seed}
	if options.Sensitivities, err = sensitivities(ctx, w, spec.Method, frequencies, texts, seed); err != nil {
		return nil, err
	}
	fitted, err := spec.Fit(ctx, w.Words(), options)
	if err != nil {
		return nil, tableError(err)
	}
	return withWords(enc, fitted)
}

// sensitivities measures those of an encoder's words if the method has a use for them.
func sensitivities(ctx context.Context, enc worded, method string, frequencies []int64, texts iter.Seq2[string, error], seed uint64) ([]float64, error) {
	if !wordtable.UsesSensitivities(method) {
		return nil, nil
	}
	measured, err := tablebench.MeasureSensitivity(ctx, tableSubject(enc, frequencies), texts, seed)
	if err != nil {
		return nil, err
	}
	return measured.Rows, nil
}

func tableSubject(enc worded, frequencies []int64) tablebench.Subject {
	return tablebench.Subject{
		Encoder: enc, Words: enc.Words(), Frequencies: frequencies,
		With: func(t *wordtable.Table) (encoder.Encoder, error) { return withWords(enc, t) },
	}
}

// tableError adds to an error of package table what to do about it.
func tableError(err error) error {
	switch {
	case errors.Is(err, wordtable.ErrBudget):
		return withHint(err, "a smaller factor gives the table more bytes")
	case errors.Is(err, wordtable.ErrInvalid):
		return asUsage(err)
	}
	return err
}

func (a *app) tableCommand() *cobra.Command {
	return group("table", "Compress the embedding matrix of an encoder", a.tableCompressCommand(), a.tableCompareCommand(), a.tableMethodsCommand())
}

func (a *app) tableMethodsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "methods",
		Short: "List the methods that compress an embedding matrix",
		Long: `List the methods of "pare table compress". "used-rows+" before a method's name keeps one
row for all words that do not occur and leaves the budget to those that do.`,
		Args: noArgs,
	}
	format := addFormat(c.Flags(), "table", "tsv", "json", "md")
	c.RunE = func(c *cobra.Command, _ []string) error {
		type method struct {
			Name   string `json:"name"`
			Group  string `json:"group"`
			Source string `json:"source"`
			Form   string `json:"form"`
		}
		t := table{columns: []column{{name: "method"}, {name: "group"}, {name: "source"}, {name: "what it does here"}}}
		var all []method
		for _, m := range wordtable.Methods() {
			all = append(all, method{m.Name, m.Group, m.Source, m.Form})
			t.rows = append(t.rows, []string{m.Name, m.Group, m.Source, m.Form})
		}
		return emit(c.OutOrStdout(), format.value, t, all)
	}
	return c
}

// compressed is what "pare table compress" prints.
type compressed struct {
	Path        string  `json:"path"`
	Method      string  `json:"method"`
	Rows        int     `json:"rows"`
	Dimensions  int     `json:"dimensions"`
	Bytes       int     `json:"bytes"`
	FloatBytes  int     `json:"float_bytes"`
	Seconds     float64 `json:"seconds"`
	Frequencies bool    `json:"frequencies"`
}

func (c compressed) table() table {
	return table{
		columns: []column{{name: "path"}, {name: "method"}, {"rows", true}, {"dimensions", true}, {"bytes", true}, {"times smaller", true}},
		rows: [][]string{{
			c.Path, c.Method, strconv.Itoa(c.Rows), strconv.Itoa(c.Dimensions), strconv.Itoa(c.Bytes),
			fmt.Sprintf("%.2f", float64(c.FloatBytes)/float64(c.Bytes)),
		}},
	}
}

func (a *app) tableCompressCommand() *cobra.Command {
	var collection, method, budget, out string
	var unknown bool
	c := &cobra.Command{
		Use:   "compress --encoder FOLDER --method NAME --budget FACTOR --out FOLDER",
		Short: "Write an encoder with a smaller embedding matrix",
		Long: `Write the model in a folder, or the encoder that an index was built with, to a new
folder that --encoder takes, with its embedding matrix compressed. A budget of 8x is an
eighth of the matrix in float32, everything counted. With --collection, words weigh as
often as they occur there; without it all weigh the same, but for an index of the
default encoder, which knows them. "banded-retrieval" needs the collection for searches.

"pare table methods" lists the methods, "pare table compare" says what they cost.`,
		Example: `  pare table compress --encoder models/minilm --collection npl --method group-reduce --budget 8x --out small
  pare table compress --encoder npl.idx --method bits --budget 16x --out small`,
		Args: noArgs,
	}
	flags := c.Flags()
	configs.Flag(flags, "encoder.kind", "encoder", "")
	withoutDefault(flags, "encoder", "compress the encoder in this `folder`: a model, or an index")
	configs.Flag(flags, "encoder.seed", "seed", "")
	flags.StringVar(&collection, "collection", "", "count words in the documents of this `path`")
	flags.StringVar(&method, "method", "", "compress by this `method`")
	flags.StringVar(&budget, "budget", "", "how many `times` smaller than float32, as 8x")
	flags.StringVar(&out, "out", "", "write the encoder to this `folder`")
	flags.BoolVar(&unknown, "unknown", false, "with used-rows, give words that do not occur the vector of unknown words, not their mean")
	format := addFormat(flags, "table", "tsv", "json", "md")
	required(c, "encoder", "method", "budget", "out")
	c.RunE = func(c *cobra.Command, _ []string) error {
		loaded, err := a.settings(c)
		if err != nil {
			return err
		}
		spec, err := wordtable.ParseSpec(method + ":" + budget)
		if err != nil {
			return asUsage(err)
		}
		result, err := a.tableCompress(c.Context(), loaded.Config, spec, collection, out, unknown)
		if err != nil {
			return err
		}
		return emit(c.OutOrStdout(), format.value, result.table(), result)
	}
	return c
}

func (a *app) tableCompress(ctx context.Context, config configs.Config, spec wordtable.Spec, collection, out string, unknown bool) (compressed, error) {
	enc, frequencies, err := storedEncoder(config)
	if err != nil {
		return compressed{}, err
	}
	var measured []float64
	if collection != "" {
		opened, err := dataset.OpenWith(collection, dataset.Options{Limits: config.Limits()})
		if err != nil {
			return compressed{}, err
		}
		if frequencies, err = enc.WordFrequencies(ctx, bodies(opened)); err != nil {
			return compressed{}, err
		}
		if measured, err = sensitivities(ctx, enc, spec.Method, frequencies, bodies(opened), config.Encoder.Seed); err != nil {
			return compressed{}, err
		}
	} else if wordtable.UsesSensitivities(spec.Method) {
		return compressed{}, usage(fmt.Errorf("--method: %s searches a collection", spec.Method), "give one to --collection, or take banded")
	}
	options := wordtable.Options{Frequencies: frequencies, Sensitivities: measured, Seed: config.Encoder.Seed}
	if unknown {
		model, ok := enc.(*bert.Encoder)
		if !ok {
			return compressed{}, usage(errors.New("--unknown: the encoder has no vector of unknown words"), "leave it out")
		}
		row := model.UnknownWord()
		options.Unknown = &row
	}
	began := time.Now()
	words := enc.Words()
	fitted, err := spec.Fit(ctx, words, options)
	if err != nil {
		return compressed{}, tableError(err)
	}
	seconds := time.Since(began).Seconds()
	switch enc := enc.(type) {
	case *bert.Encoder:
		err = enc.WriteFolder(out, fitted)
	case *corpus.Encoder:
		err = writeCorpusEncoder(out, enc, fitted)
	}
	if errors.Is(err, fs.ErrExist) {
		err = withHint(fmt.Errorf("--out: %s is not empty", out), "give --out a new folder")
	}
	return compressed{out, spec.String(), words.Rows, words.Dim, fitted.Size(), 4 * len(words.Data), seconds, frequencies != nil}, err
}

// storedEncoder opens the encoder that the settings name: the model in a folder, one
// that "pare table compress" wrote, or that of an index, whose words are counted.
func storedEncoder(config configs.Config) (worded, []int64, error) {
	if config.Encoder.Kind == configs.Corpus {
		return nil, nil, usage(errors.New("--encoder: the default encoder has to be trained first"), "give the folder of an index that was built with it, or of a model")
	}
	if r, err := retriever.Open(config.Encoder.Kind); err == nil {
		defer r.Close()
		trained, ok := r.Encoder().(*corpus.Encoder)
		if !ok {
			w, err := wordsOf(r.Encoder())
			return w, nil, err
		}
		statistics, err := r.Snapshot().Statistics()
		if err != nil {
			return nil, nil, err
		}
		frequencies := make([]int64, trained.Vocabulary())
		for id := range frequencies {
			frequencies[id], _ = statistics.TokenFrequency(uint32(id))
		}
		return trained, frequencies, nil
	}
	if trained, err := openCorpusEncoder(modelDir(config)); trained != nil || err != nil {
		return trained, nil, err
	}
	_, options := config.Model()
	options.Dim = 0
	model, err := bert.Open(modelDir(config), options)
	return model, nil, encoderError(config.Encoder.Kind, err)
}

// corpusEncoderFile holds a default encoder that was written to a folder.
const corpusEncoderFile = "corpus.encoder"

// openCorpusEncoder opens what writeCorpusEncoder wrote, nil if the folder has none.
func openCorpusEncoder(dir string) (*corpus.Encoder, error) {
	path := filepath.Join(dir, corpusEncoderFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) || dir == "" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	enc, err := corpus.Load(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return enc, nil
}

func writeCorpusEncoder(dir string, enc *corpus.Encoder, t *wordtable.Table) error {
	small, err := enc.WithWords(t)
	if err != nil {
		return err
	}
	data, err := small.MarshalBinary()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if there, err := os.ReadDir(dir); err != nil {
		return err
	} else if len(there) > 0 {
		return fs.ErrExist
	}
	return writeTo(filepath.Join(dir, corpusEncoderFile), func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// bodies yields the texts of a collection's documents.
func bodies(collection *dataset.Collection) iter.Seq2[string, error] {
	return onlyTexts(texts(collection, new(int64)))
}

func (a *app) tableCompareCommand() *cobra.Command {
	options := tablebench.DefaultOptions()
	var collections, methods, budgets, known []string
	var html string
	c := &cobra.Command{
		Use:   "compare --collection PATH [--encoder FOLDER] [--methods NAMES] [--budgets FACTORS] [--html FILE]",
		Short: "Judge compressed embedding matrices by what searches find",
		Long: `Compress the embedding matrix of an encoder by each method to each budget, encode the
documents and queries of a collection anew, and search all documents exactly. Rows of the
table say what a compressed matrix takes in bytes and time, what it changes, and what is
lost of the measures. Several collections are pooled: the matrix is fitted once, with the
frequencies of words in all of them, and the ratio of nDCG@10 with its 90 % interval
counts every collection alike.

With --format md the output is one of the sections of docs/embedding-matrix.md. What takes
hours can be measured in parts: --known takes over the tables of earlier reports in JSON,
if those were made with the same encoder and collections.

The default encoder is trained on the collection; then there can be only one.`,
		Example: `  pare table compare --collection cranfield
  pare table compare --collection cranfield,npl --encoder models/minilm --quantize --budgets 4x,8x`,
		Args: noArgs,
	}
	flags := c.Flags()
	flags.StringSliceVar(&collections, "collection", nil, "search the collections in these `paths`")
	configs.Flag(flags, "encoder.kind", "encoder", "")
	configs.Flag(flags, "encoder.dim", "dim", "")
	configs.Flag(flags, "encoder.quantize", "quantize", "")
	configs.Flag(flags, "encoder.seed", "seed", "")
	flags.StringSliceVar(&methods, "methods", []string{"all"}, "compress by these `methods`")
	flags.StringSliceVar(&budgets, "budgets", []string{"2x", "4x", "8x", "16x", "32x"}, "how many `times` smaller than float32")
	flags.Float64Var(&options.Margin, "margin", options.Margin, "loss regarded as none, as a `share`")
	flags.StringSliceVar(&known, "known", nil, "take over tables of these `reports`, made with --format json")
	flags.StringVar(&html, "html", "", "write a page with all of it to this `file`")
	format := addFormat(flags, "table", "json", "md")
	required(c, "collection")
	c.RunE = func(c *cobra.Command, _ []string) error {
		loaded, err := a.settings(c)
		if err != nil {
			return err
		}
		if err := chooseTables(&options, methods, budgets); err != nil {
			return asUsage(err)
		}
		options.Seed = loaded.Config.Encoder.Seed
		if options.Known, err = readReports(known); err != nil {
			return err
		}
		bar := a.progress(c.ErrOrStderr(), "comparing", "tables", int64(len(options.Methods)*len(options.Factors)))
		defer bar.done()
		options.Done = func(tablebench.Row) { bar.add(1) }
		compared, err := a.tableCompare(c.Context(), loaded.Config, collections, options)
		if err != nil {
			return err
		}
		bar.done()
		if html != "" {
			if err := writeTo(html, func(w io.Writer) error { return report.WriteTables(w, compared, machineMethod()) }); err != nil {
				return err
			}
			a.note(c.ErrOrStderr(), "wrote %s", html)
		}
		return emitAll(c.OutOrStdout(), format.value, compared, comparedTables(compared)...)
	}
	return c
}

// chooseTables reads what is to be compared.
func chooseTables(options *tablebench.Options, methods, budgets []string) error {
	if !(len(methods) == 1 && methods[0] == "all") {
		options.Methods = methods
	}
	options.Factors = nil
	for _, text := range budgets {
		factor, err := wordtable.ParseFactor(text)
		if err != nil {
			return err
		}
		options.Factors = append(options.Factors, factor)
	}
	for _, method := range options.Methods {
		if _, err := wordtable.ParseSpec(method + ":1x"); err != nil {
			return err
		}
	}
	return options.Validate()
}

func (a *app) tableCompare(ctx context.Context, config configs.Config, paths []string, options tablebench.Options) (*tablebench.Report, error) {
	var opened []*dataset.Collection
	var collections []tablebench.Collection
	for _, path := range paths {
		collection, err := dataset.OpenWith(path, dataset.Options{Limits: config.Limits()})
		if err != nil {
			return nil, err
		}
		read, err := readForTables(collection)
		if err != nil {
			return nil, err
		}
		opened, collections = append(opened, collection), append(collections, read)
	}
	if config.Encoder.Kind == configs.Corpus && len(opened) > 1 {
		return nil, usage(errors.New("--collection: the default encoder is trained on one collection"), "give one, or a model to --encoder")
	}
	all := func(yield func(string, error) bool) {
		for _, collection := range opened {
			for text, err := range bodies(collection) {
				if !yield(text, err) {
					return
				}
			}
		}
	}
	enc, err := preparedEncoder(ctx, all, config, func(retriever.Stage, int, int) {}, nil)
	if err != nil {
		return nil, err
	}
	w, err := wordsOf(enc)
	if err != nil {
		return nil, err
	}
	frequencies, err := w.WordFrequencies(ctx, all)
	if err != nil {
		return nil, err
	}
	report, err := tablebench.Compare(ctx, tableSubject(w, frequencies), collections, options)
	return report, tableError(err)
}

// readReports reads what "--format json" wrote.
func readReports(paths []string) ([]*tablebench.Report, error) {
	reports := make([]*tablebench.Report, len(paths))
	for i, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(data, &reports[i]); err != nil || reports[i] == nil {
			return nil, asUsage(fmt.Errorf("--known: %s is no report: %w", path, cmp.Or(err, io.ErrUnexpectedEOF)))
		}
	}
	return reports, nil
}

func readForTables(collection *dataset.Collection) (tablebench.Collection, error) {
	c := tablebench.Collection{Name: collection.Name, Qrels: collection.Qrels}
	for document, err := range collection.Documents() {
		if err != nil {
			return c, err
		}
		c.Documents = append(c.Documents, tablebench.Document{ID: document.ID, Text: document.Body()})
	}
	for _, q := range collection.Queries {
		c.Queries = append(c.Queries, tablebench.Query{ID: q.ID, Text: q.Text})
	}
	return c, nil
}

// comparedTables are the report for people: the encoder as it was, the ratios of all
// methods, the best of each budget, what sensitivities are known, and a line for each table.
func comparedTables(r *tablebench.Report) []table {
	before := table{columns: []column{{name: "collection"}, {"matrix", true}, {"bytes", true}, {"rows used", true}, {"load ms", true}, {"row ns", true}}}
	for _, m := range r.Measures {
		before.columns = append(before.columns, column{m, true})
	}
	for _, q := range r.Baseline {
		line := []string{q.Collection, fmt.Sprintf("%d x %d", r.Rows, r.Dim), strconv.Itoa(r.Bytes), strconv.Itoa(r.Used), fmt.Sprintf("%.2f", 1000*r.LoadSeconds), fmt.Sprintf("%.0f", r.LookupNanoseconds)}
		for _, m := range r.Measures {
			line = append(line, fmt.Sprintf("%.4f", q.Measures[m]))
		}
		before.rows = append(before.rows, line)
	}
	after := table{columns: []column{
		{name: "method"}, {"factor", true}, {"bytes", true}, {"fit s", true}, {"load ms", true}, {"row ns", true}, {"error", true}, {"cosine", true},
	}}
	for _, q := range r.Baseline {
		for _, m := range r.Measures {
			name := m
			if len(r.Baseline) > 1 {
				name = q.Collection + " " + m
			}
			after.columns = append(after.columns, column{name, true})
		}
	}
	after.columns = append(after.columns, column{"ratio", true}, column{"90 % interval", true}, column{name: "verdict"})
	for _, row := range r.Tables {
		after.rows = append(after.rows, comparedLine(r, row))
	}
	tables := []table{before, ratioTable(r), bestTable(r)}
	if r.Sensitivity != nil {
		tables = append(tables, sensitivityTable(r.Sensitivity))
	}
	return append(tables, after)
}

// ratioTable has a line for each method and a column for each factor.
func ratioTable(r *tablebench.Report) table {
	t := table{columns: []column{{name: "group"}, {name: "method"}}}
	var methods []string
	var factors []float64
	cells := make(map[wordtable.Spec]string)
	for _, row := range r.Tables {
		if !slices.Contains(methods, row.Method) {
			methods = append(methods, row.Method)
		}
		if !slices.Contains(factors, row.Factor) {
			factors = append(factors, row.Factor)
		}
		cell := "too small"
		if row.Fault == "" {
			cell = fmt.Sprintf("%.3f %s", row.Ratio, verdictText(row.Verdict, asciiOnly()))
		}
		cells[wordtable.Spec{Method: row.Method, Factor: row.Factor}] = cell
	}
	for _, f := range factors {
		t.columns = append(t.columns, column{wordtable.FormatFactor(f), true})
	}
	for _, m := range methods {
		line := []string{wordtable.GroupOf(m), m}
		for _, f := range factors {
			line = append(line, cmp.Or(cells[wordtable.Spec{Method: m, Factor: f}], "-"))
		}
		t.rows = append(t.rows, line)
	}
	return t
}

// bestTable has a line for each factor.
func bestTable(r *tablebench.Report) table {
	t := table{columns: []column{{name: "best"}, {name: "method"}, {"ratio of " + r.Measures[0], true}, {"90 % interval", true}, {"by bootstrap", true}, {name: "verdict"}}}
	for _, row := range r.Best() {
		t.rows = append(t.rows, []string{
			wordtable.FormatFactor(row.Factor), row.Method, fmt.Sprintf("%.4f", row.Ratio),
			intervalText(row.CI90), intervalText(row.Bootstrap90), verdictText(row.Verdict, asciiOnly()),
		})
	}
	return t
}

func sensitivityTable(s *tablebench.Sensitivity) table {
	t := table{columns: []column{{"words, most frequent first", true}, {"look-ups", true}, {"loss", true}, {"sensitivity", true}}}
	for _, b := range s.Bands {
		t.rows = append(t.rows, []string{strconv.Itoa(b.Words), strconv.FormatInt(b.Lookups, 10), fmt.Sprintf("%.5f", b.Loss), fmt.Sprintf("%.2f", b.Sensitivity)})
	}
	return t
}

func intervalText(ci stats.Interval) string { return fmt.Sprintf("%.4f … %.4f", ci[0], ci[1]) }

func comparedLine(r *tablebench.Report, row tablebench.Row) []string {
	line := []string{row.Method, wordtable.FormatFactor(row.Factor)}
	if row.Fault != "" {
		line = append(line, "too small")
		for range 5 + len(r.Baseline)*len(r.Measures) + 3 {
			line = append(line, "-")
		}
		return line
	}
	cosine := 0.0
	for _, q := range row.Qualities {
		cosine += q.Cosine / float64(len(row.Qualities))
	}
	line = append(line, strconv.Itoa(row.Bytes), fmt.Sprintf("%.1f", row.FitSeconds), fmt.Sprintf("%.2f", 1000*row.LoadSeconds),
		fmt.Sprintf("%.0f", row.LookupNanoseconds), fmt.Sprintf("%.4f", row.Error), fmt.Sprintf("%.4f", cosine))
	for _, q := range row.Qualities {
		for _, m := range r.Measures {
			line = append(line, fmt.Sprintf("%.4f", q.Measures[m]))
		}
	}
	return append(line, fmt.Sprintf("%.4f", row.Ratio), intervalText(row.CI90), verdictText(row.Verdict, asciiOnly()))
}
