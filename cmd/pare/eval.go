package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pare-search/pare/configs"
	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/encoder/bert"
	"github.com/pare-search/pare/encoder/corpus"
	"github.com/pare-search/pare/eval"
	"github.com/pare-search/pare/eval/dataset"
	"github.com/pare-search/pare/eval/stats"
	"github.com/pare-search/pare/eval/sweep"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/index/docpruner"
	"github.com/pare-search/pare/retriever"
)

// evaluation is one call of "pare eval".
type evaluation struct {
	*app
	collection, split, index, qrels string
	embeddings                      string
	codecs, prunings                []string
	run                             string
	perQuery                        bool
	gate                            string
	depth                           int
	format                          *formatFlag
	encoderGiven                    bool

	loaded  *configs.Loaded
	config  configs.Config
	stderr  io.Writer
	cleanup []func() error
}

func (a *app) evalCommand() *cobra.Command {
	e := &evaluation{app: a}
	c := &cobra.Command{
		Use:   "eval [--collection PATH | --embeddings FOLDER] [--index FOLDER] [RUN...]",
		Short: "Measure searches, or given runs, on a test collection",
		Long: `Measure what query pruning and compression cost on a collection with judgements, in
the layout of BEIR, MS MARCO or TREC. Always compared: the unpruned exhaustive search,
which is the baseline, the searches named by --prune, BM25, and BM25 and the search of
your settings together. All see the same texts, and BM25 has the language and the
splitting of identifiers of the encoder. Several codecs may be given to --codec: the
first is searched pruned and unpruned, the others unpruned. With --prune-documents the
baseline has all vectors of the documents, and indexes with fewer are compared with it, in
the first codec. Without --index the index is
built in a temporary folder.

With --embeddings the documents and queries are token vectors that another program made,
in the files docs.npy, docs_lens.npy, queries.npy, queries_lens.npy and what belongs to
them ("pare index --help" says more), and the judgements are in qrels.tsv. There is no
text then, and so no BM25.

Given run files in TREC format, nothing is searched: the runs are measured with the
conventions of trec_eval and compared with the first of them. A judged query without
results counts as zero.

The verdict and the interval are those of each system alone; the p values in tsv and
json are adjusted for the number of systems (Holm).`,
		Example: `  pare eval --collection cranfield
  pare eval --collection npl --codec float32,residual4,residual2,residual1 --format md
  pare eval --collection scifact --prune icf:2,icf:4 --run out.trec.gz --gate icf:4
  pare eval --embeddings vectors --codec float32,residual2
  pare eval --embeddings vectors --prune-documents ward:2,voronoi:50%,first:50%
  pare eval --qrels qrels.txt --measures nDCG@10,AP bm25.run.gz dense.run.gz`,
	}
	flags := c.Flags()
	flags.StringVar(&e.collection, "collection", "", "measure on this `path`: a folder with documents, queries and judgements")
	flags.StringVar(&e.embeddings, "embeddings", "", "measure with the token vectors in this `folder`")
	flags.StringVar(&e.split, "split", "", "judgements to use where a collection has several: test, dev, train")
	flags.StringVar(&e.index, "index", "", "search the index in this `folder`, made of the same collection")
	flags.StringVar(&e.qrels, "qrels", "", "judgements for the given runs, a `file` of TREC or BEIR")
	flags.StringSliceVar(&e.codecs, "codec", nil, "build indexes with these codecs (default: codec.kind)")
	flags.StringSliceVar(&e.prunings, "prune-documents", nil, "also build an index with each of these `prunings` of documents, which \"pare index\" explains")
	configs.Flag(flags, "encoder.kind", "encoder", "")
	configs.Flag(flags, "encoder.dim", "dim", "")
	configs.Flag(flags, "encoder.quantize", "quantize", "")
	addService(flags)
	flags.StringVar(&e.run, "run", "", "write each system's results to this `file` in TREC format, its name put before the extension")
	flags.BoolVar(&e.perQuery, "per-query", false, "print the values of every query")
	flags.StringVar(&e.gate, "gate", "", "fail with exit code 3 unless this `system` is equivalent to the baseline or better")
	flags.IntVar(&e.depth, "depth", 1000, "results asked of each system")
	configs.Flag(flags, "eval.measures", "measures", "")
	configs.Flag(flags, "eval.prune", "prune", "")
	configs.Flag(flags, "eval.margin", "margin", "")
	configs.Flag(flags, "eval.workers", "workers", "")
	addEffort(flags)
	e.format = addFormat(flags, "table", "tsv", "json", "md")
	c.RunE = func(c *cobra.Command, runs []string) error {
		if err := e.checkFlags(c, runs); err != nil {
			return err
		}
		return e.execute(c, runs)
	}
	return c
}

// checkFlags refuses flags that do not go together, before any work is done.
func (e *evaluation) checkFlags(c *cobra.Command, runs []string) error {
	given := c.Flags().Changed
	e.encoderGiven = given("encoder")
	if len(runs) > 0 {
		searching := []string{"run", "embeddings", "index", "codec", "prune-documents", "depth", "prune", "workers"}
		for _, flag := range effortFlags {
			searching = append(searching, flag.name)
		}
		for _, name := range searching {
			if given(name) {
				return usage(fmt.Errorf("--%s does not go with given runs, which are only measured", name), "")
			}
		}
		switch {
		case e.qrels != "" && e.collection != "":
			return usage(errors.New("--qrels and --collection both give judgements"), "")
		case e.qrels != "" && e.split != "":
			return usage(errors.New("--split goes with --collection, not with --qrels"), "")
		case e.qrels == "" && e.collection == "":
			return usage(errors.New("runs need judgements"), "give --qrels FILE or --collection PATH")
		}
		return nil
	}
	switch {
	case e.collection == "" && e.embeddings == "":
		return usage(errors.New("nothing to measure"), "give --collection PATH or --embeddings FOLDER, or --qrels FILE and run files")
	case e.collection != "" && e.embeddings != "":
		return usage(errors.New("--collection and --embeddings both give documents and queries"), "")
	case e.split != "" && e.embeddings != "":
		return usage(errors.New("--split goes with --collection, not with --embeddings"), "")
	case e.qrels != "":
		return usage(errors.New("--qrels is for given runs; a collection has its own judgements"), "")
	case e.index != "" && len(e.codecs) > 0:
		return usage(errors.New("--index and --codec exclude each other"), "an index has its codec already")
	case e.index != "" && len(e.prunings) > 0:
		return usage(errors.New("--index and --prune-documents exclude each other"), "the vectors of an index are pruned already")
	case given("run") && filepath.Base(e.run) != e.run && !isFolder(filepath.Dir(e.run)):
		return usage(fmt.Errorf("--run %s: there is no folder %s", e.run, filepath.Dir(e.run)), "")
	case given("run") && (e.run == "" || os.IsPathSeparator(e.run[len(e.run)-1])):
		return usage(fmt.Errorf("--run %q: want the name of a file", e.run), "")
	}
	if e.embeddings != "" {
		if err := givenAlready(c, encodingFlags...); err != nil {
			return err
		}
	}
	if e.depth < 1 {
		return usage(fmt.Errorf("--depth %d: want at least 1", e.depth), "")
	}
	for _, kind := range e.codecs {
		if _, err := codec.ParseKind(kind); err != nil {
			return usage(fmt.Errorf("--codec: %w", err), "")
		}
	}
	for _, spec := range e.prunings {
		if _, err := docpruner.Parse(spec); err != nil {
			return usage(fmt.Errorf("--prune-documents: %w", err), "")
		}
	}
	return errors.Join(firstTwice("--codec", e.codecs), firstTwice("--prune-documents", e.prunings))
}

// firstTwice refuses a list that names something twice.
func firstTwice(flag string, names []string) error {
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return usage(fmt.Errorf("%s: %s is given twice", flag, name), "")
		}
	}
	return nil
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func (e *evaluation) execute(c *cobra.Command, runs []string) (err error) {
	loaded, err := e.settings(c)
	if err != nil {
		return err
	}
	e.loaded, e.config, e.stderr = loaded, loaded.Config, c.ErrOrStderr()
	defer func() {
		for _, clean := range e.cleanup {
			err = errors.Join(err, clean())
		}
	}()
	measures, err := eval.ParseMeasures(e.config.Eval.Measures...)
	if err != nil {
		return usage(err, "")
	}
	options := sweep.Options{
		Measures: measures,
		Depth:    e.depth,
		Workers:  e.config.Eval.Workers,
		Stats:    stats.Options{Margin: e.config.Eval.Margin, Resamples: stats.DefaultOptions().Resamples, Seed: e.config.Eval.Seed},
	}
	if len(runs) == 0 {
		if deepest := deepestMeasure(measures); deepest.Cutoff() > e.depth {
			return usage(fmt.Errorf("%v looks at %d results, --depth is %d", deepest, deepest.Cutoff(), e.depth), fmt.Sprintf("give --depth %d", deepest.Cutoff()))
		}
		if err := options.Validate(); err != nil {
			return usage(err, "")
		}
	}
	var report *sweep.Report
	if len(runs) > 0 {
		report, err = e.compareRuns(runs, options)
	} else {
		report, err = e.compareSearches(c.Context(), options)
	}
	if err != nil {
		return err
	}
	// Neither must be lost when the other cannot be written.
	if err := errors.Join(e.print(c.OutOrStdout(), report), e.writeRuns(report)); err != nil {
		return err
	}
	return e.checkGate(report)
}

// deepestMeasure returns the measure that looks at the most results.
func deepestMeasure(measures []eval.Measure) eval.Measure {
	return slices.MaxFunc(measures, func(a, b eval.Measure) int { return cmp.Compare(a.Cutoff(), b.Cutoff()) })
}

// compareRuns measures run files.
func (e *evaluation) compareRuns(paths []string, options sweep.Options) (*sweep.Report, error) {
	var qrels eval.Qrels
	name := e.qrels
	if e.qrels != "" {
		var err error
		if qrels, err = dataset.ReadQrelsFileWith(e.qrels, e.config.Limits()); err != nil {
			return nil, err
		}
	} else {
		collection, err := e.open()
		if err != nil {
			return nil, err
		}
		qrels, name = collection.Qrels, collection.Name
	}
	runs := make([]eval.Run, len(paths))
	var names []string
	for i, path := range paths {
		run, err := dataset.ReadRunFileWith(path, e.config.Limits())
		if err != nil {
			return nil, err
		}
		// Files of one system often share a tag; then the file is the name.
		if run.Tag == "" || slices.Contains(names, run.Tag) {
			run.Tag = path
		}
		names = append(names, run.Tag)
		runs[i] = run
	}
	if err := errors.Join(firstTwice("runs", names), e.checkGateName(names)); err != nil {
		return nil, err
	}
	report, err := sweep.Compare(runs, qrels, options)
	if err != nil {
		return nil, err
	}
	report.Collection = name
	for _, s := range report.Systems {
		if n := len(s.Eval.Missing); n > 0 {
			e.note(e.stderr, "%s: %d judged queries have no results and count as zero", s.Name, n)
		}
	}
	return report, nil
}

// open opens the collection, which must have judged queries.
func (e *evaluation) open() (*dataset.Collection, error) {
	collection, err := dataset.OpenWith(e.collection, dataset.Options{Split: e.split, Limits: e.config.Limits()})
	if err != nil {
		return nil, err
	}
	if len(collection.Qrels) == 0 {
		return nil, fmt.Errorf("%s has no judgements to measure with", e.collection)
	}
	return collection, nil
}

// compareSearches builds or opens indexes, searches and measures.
func (e *evaluation) compareSearches(ctx context.Context, options sweep.Options) (*sweep.Report, error) {
	pruners, err := parsePruners(e.config.Eval.Prune)
	if err != nil {
		return nil, usage(err, "")
	}
	var prunings []string
	for _, p := range pruners {
		prunings = append(prunings, p.String())
	}
	if err := firstTwice("--prune", prunings); err != nil {
		return nil, err
	}
	searchOptions, err := e.config.SearchOptions()
	if err != nil {
		return nil, usage(err, "")
	}
	if d := searchOptions.Search.Depth; d > 0 && d < e.depth {
		e.note(e.stderr, "search.depth is %d (%s), but %d results are asked for, and as many are scored: --depth asks for fewer",
			d, e.loaded.Origin("search.depth"), e.depth)
	}
	collect := e.texts
	if e.embeddings != "" {
		collect = e.embedded
	}
	m, err := collect(ctx)
	if err != nil {
		return nil, err
	}
	if err := e.compareWithCertificate(m.retrievers[0].Snapshot(), prunings, searchOptions); err != nil {
		return nil, err
	}
	systems := sweep.Standard(m.retrievers[0], m.bm25, pruners, searchOptions)
	if len(m.codecs) > 1 {
		systems[0].Name += " " + m.codecs[0]
		for i, r := range m.retrievers[1:] {
			systems = append(systems, sweep.Unpruned("unpruned "+m.codecs[i+1], r))
		}
	}
	var systemNames []string
	for _, s := range systems {
		systemNames = append(systemNames, s.Name)
	}
	if err := e.checkGateName(systemNames); err != nil {
		return nil, err
	}
	bar := e.progress(e.stderr, "measuring", "queries", int64(len(m.queries)))
	options.Progress = func(int, int) { bar.add(1) }
	report, err := sweep.Run(ctx, systems, m.queries, m.qrels, options)
	bar.done()
	if err != nil {
		return nil, err
	}
	report.Collection, report.Documents = m.name, m.documents
	info, err := m.retrievers[0].Snapshot().Inspect()
	if err != nil {
		return nil, err
	}
	report.Index = &sweep.IndexSize{Bytes: info.Bytes, BytesPerToken: info.BytesPerToken, Vectors: info.Vectors}
	return report, nil
}

// compareWithCertificate tells what of the certificate, if the settings have one,
// the systems are not.
func (e *evaluation) compareWithCertificate(snapshot *index.Snapshot, prunings []string, options retriever.Options) error {
	if e.loaded.Certificate == nil {
		return nil
	}
	if e.index == "" {
		e.note(e.stderr, "%s: the certificate does not cover this run, which builds an index of its own: give --index", e.configFile)
	} else if err := e.checkCertificate(e.loaded, e.index, snapshot); err != nil {
		return err
	}
	asked := sweep.PrunedOptions(options.Pruner, options).Search
	e.noteOverruled(e.stderr, e.loaded, map[string]inForce{
		"search.k":         {strconv.Itoa(e.depth), "--depth"},
		"search.plan":      {asked.Plan.String(), "pare eval"},
		"search.neighbors": {strconv.Itoa(asked.Neighbors), "pare eval"},
	})
	if p := options.Pruner.String(); !slices.Contains(prunings, p) {
		e.note(e.stderr, "%s: no line is the search that is certified, with search.prune=%s: give --prune %s", e.configFile, p, p)
	}
	return nil
}

// material is what there is to search and to measure with.
type material struct {
	name       string
	documents  int
	queries    []sweep.Query // judged
	qrels      eval.Qrels
	retrievers []*retriever.Retriever
	codecs     []string    // of the retrievers
	bm25       *sweep.BM25 // nil without texts
}

// texts are the documents and queries of --collection.
func (e *evaluation) texts(ctx context.Context) (*material, error) {
	collection, err := e.open()
	if err != nil {
		return nil, err
	}
	judged := collection.Judged()
	if len(judged) == 0 {
		return nil, fmt.Errorf("%s: none of the %d queries has judgements", e.collection, len(collection.Queries))
	}
	if n := len(collection.Qrels) - len(judged); n > 0 {
		e.note(e.stderr, "%d judged queries have no text in %s and are left out", n, collection.QueryFile)
	}
	documents, err := allDocuments(collection)
	if err != nil {
		return nil, err
	}
	m := &material{name: collection.Name, documents: len(documents), qrels: collection.Qrels}
	for _, query := range judged {
		m.queries = append(m.queries, sweep.Query{ID: query.ID, Text: query.Text})
	}
	if m.retrievers, m.codecs, err = e.retrievers(ctx, documents); err != nil {
		return nil, err
	}
	if err := e.noteUnknown(ctx, m); err != nil {
		return nil, err
	}
	m.bm25, err = e.bm25(ctx, documents, m.retrievers[0])
	return m, err
}

// noteUnknown tells how many queries have words that the collection has not.
func (e *evaluation) noteUnknown(ctx context.Context, m *material) error {
	r := m.retrievers[0]
	if _, ok := r.Encoder().(*corpus.Encoder); !ok {
		return nil // which has no such words, and takes its time to encode
	}
	var unknown unknownWords
	for _, query := range m.queries {
		tokens, err := r.Encoder().EncodeQuery(ctx, query.Text)
		if err != nil {
			return err
		}
		rows, err := r.UnknownWords(tokens)
		if err != nil {
			return err
		}
		var words []string
		for _, row := range rows {
			words = append(words, tokenText(r.Encoder(), query.Text, tokens, row))
		}
		unknown.add(query.ID, words)
	}
	if unknown.queries > 0 {
		e.note(e.stderr, "%s", &unknown)
	}
	return nil
}

// allDocuments reads the documents of a collection, once for all systems.
func allDocuments(collection *dataset.Collection) ([]retriever.Document, error) {
	var documents []retriever.Document
	for document, err := range collection.Documents() {
		if err != nil {
			return nil, err
		}
		documents = append(documents, retriever.Document{ID: document.ID, Text: document.Body()})
	}
	return documents, nil
}

// retrievers opens the given index, which must be one of the documents, or
// builds one for each codec.
func (e *evaluation) retrievers(ctx context.Context, documents []retriever.Document) ([]*retriever.Retriever, []string, error) {
	if e.index != "" {
		r, err := openRetriever(e.index, e.config, e.encoderGiven)
		if err != nil {
			return nil, nil, err
		}
		e.cleanup = append(e.cleanup, r.Close)
		return []*retriever.Retriever{r}, []string{""}, e.checkIndex(sweep.CheckIndex(r.Snapshot(), documents))
	}
	bars := e.stages(e.stderr)
	defer bars.done()
	enc, err := openEncoder(ctx, e.config, bars.count) // nil for the default encoder
	if err != nil {
		return nil, nil, err
	}
	return e.buildEach(func(dir string, options retriever.BuildOptions) (*retriever.Retriever, error) {
		options.Encoder, options.Progress = enc, bars.report
		err := retriever.Build(ctx, dir, retriever.Documents(documents...), options)
		bars.done()
		if err != nil {
			return nil, err
		}
		r, err := openBuilt(dir, enc)
		if err == nil && enc != nil {
			enc = r.Encoder() // which has learnt what the others need
		}
		return r, err
	})
}

// variants are the settings of the indexes to be built, with their names.
func (e *evaluation) variants() (names []string, variants []configs.Config) {
	add := func(name, codec, pruning string) {
		config := e.config
		config.Codec.Kind, config.Index.Prune, config.Index.StoreText = codec, pruning, false
		names, variants = append(names, name), append(variants, config)
	}
	codecs, pruning := e.codecs, e.config.Index.Prune
	if len(codecs) == 0 {
		codecs = []string{e.config.Codec.Kind}
	}
	if len(e.prunings) > 0 {
		pruning = docpruner.Pruner{}.String()
	}
	for _, codec := range codecs {
		add(codec, codec, pruning)
	}
	for _, pruning := range e.prunings {
		add(codecs[0]+" "+pruning, codecs[0], pruning)
	}
	return names, variants
}

// buildEach builds an index for each codec and pruning of documents in a folder
// that is removed in the end.
func (e *evaluation) buildEach(build func(dir string, options retriever.BuildOptions) (*retriever.Retriever, error)) ([]*retriever.Retriever, []string, error) {
	temporary, err := os.MkdirTemp("", "pare-eval-")
	if err != nil {
		return nil, nil, err
	}
	// Closed indexes first, then their files.
	defer func() {
		e.cleanup = append(e.cleanup, func() error { return os.RemoveAll(temporary) })
	}()
	var retrievers []*retriever.Retriever
	names, variants := e.variants()
	for i, config := range variants {
		options, err := config.BuildOptions()
		if err != nil {
			return nil, nil, usage(err, "")
		}
		r, err := build(filepath.Join(temporary, fmt.Sprint(i)), options)
		if err != nil {
			return nil, nil, err
		}
		e.cleanup = append(e.cleanup, r.Close)
		retrievers = append(retrievers, r)
	}
	return retrievers, names, nil
}

// openBuilt opens an index with the encoder that made it, unless the one that is
// stored has learnt more.
func openBuilt(dir string, enc encoder.Encoder) (*retriever.Retriever, error) {
	if model, isModel := enc.(*bert.Encoder); enc == nil || isModel && model.NeedsProjection() {
		return retriever.Open(dir)
	}
	snapshot, err := index.Open(dir)
	if err != nil {
		return nil, err
	}
	return retriever.New(snapshot, enc)
}

// bm25 indexes the documents for the BM25 baseline.
func (e *evaluation) bm25(ctx context.Context, documents []retriever.Document, r *retriever.Retriever) (*sweep.BM25, error) {
	bm25, err := e.newBM25(ctx, e.stderr, documents, r.Encoder())
	if err != nil {
		return nil, err
	}
	e.cleanup = append(e.cleanup, bm25.Close)
	return bm25, nil
}

// newBM25 indexes documents for BM25, cut into words as the encoder does.
func (a *app) newBM25(ctx context.Context, stderr io.Writer, documents []retriever.Document, enc encoder.Encoder) (*sweep.BM25, error) {
	options := sweep.DefaultBM25Options()
	if trained, ok := enc.(*corpus.Encoder); ok {
		options.Language, options.SplitCode = trained.Options().Language, trained.Options().SplitCode
	}
	bar := a.progress(stderr, "indexing for BM25", "documents", int64(len(documents)))
	shown := 0
	options.Progress = func(done int) {
		bar.add(done - shown)
		shown = done
	}
	bm25, err := sweep.NewBM25(ctx, documents, options)
	bar.done()
	return bm25, err
}

// writeRuns writes the results of every system to a file of its own.
func (e *evaluation) writeRuns(report *sweep.Report) error {
	if e.run == "" {
		return nil
	}
	written, err := report.WriteRuns(e.run)
	for _, path := range written {
		e.note(e.stderr, "wrote %s", path)
	}
	return err
}

// print writes the report, or the values of every query.
func (e *evaluation) print(w io.Writer, report *sweep.Report) error {
	if e.perQuery {
		return e.printPerQuery(w, report)
	}
	t := sweepTable(report, e.format.value == "table" && asciiOnly())
	if e.format.value == "tsv" {
		t = sweepValues(report)
	}
	if err := emit(w, e.format.value, t, report); err != nil {
		return err
	}
	if e.format.value == "table" {
		e.note(e.stderr, "%s", sweepLegend(report))
		if report.Index != nil {
			e.note(e.stderr, "index: %s, %d token vectors, %.1f bytes per token vector",
				byteSize(report.Index.Bytes), report.Index.Vectors, report.Index.BytesPerToken)
		}
	}
	return nil
}

// queryValue is a line of --per-query.
type queryValue struct {
	System  string  `json:"system"`
	Query   string  `json:"query"`
	Measure string  `json:"measure"`
	Value   float64 `json:"value"`
}

func (e *evaluation) printPerQuery(w io.Writer, report *sweep.Report) error {
	t := table{columns: []column{{name: "system"}, {name: "query"}, {name: "measure"}, {"value", true}}}
	var values []queryValue
	for _, s := range report.Systems {
		for q, query := range s.Eval.Queries {
			for m, measure := range report.Measures {
				v := queryValue{s.Name, query, measure, s.Eval.Values[m][q]}
				values = append(values, v)
				t.rows = append(t.rows, []string{printable(v.System), printable(v.Query), v.Measure, fmt.Sprintf("%.4f", v.Value)})
			}
		}
	}
	return emit(w, e.format.value, t, values)
}

// checkGateName refuses a gate on a system that there is not, before anything
// is measured.
func (e *evaluation) checkGateName(names []string) error {
	if e.gate == "" || slices.Contains(names, e.gate) {
		return nil
	}
	return usage(fmt.Errorf("--gate %s: there is no such system", e.gate), "systems: "+strings.Join(names, ", "))
}

// checkGate fails unless the named system is as good as the baseline.
func (e *evaluation) checkGate(report *sweep.Report) error {
	for _, s := range report.Systems {
		if s.Name != e.gate || s.Baseline || *s.Verdict == stats.Equivalent || *s.Verdict == stats.Better {
			continue
		}
		return fmt.Errorf("%w: %s is %s in %s", errGate, s.Name, verdictText(*s.Verdict, asciiOnly()), report.Headline)
	}
	return nil
}
