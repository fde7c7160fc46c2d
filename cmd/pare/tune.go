package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/pare-search/pare/configs"
	"github.com/pare-search/pare/eval/dataset"
	"github.com/pare-search/pare/eval/knownitem"
	"github.com/pare-search/pare/eval/precomputed"
	"github.com/pare-search/pare/eval/sweep"
	"github.com/pare-search/pare/eval/tune"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/retriever"
)

// tuning is one call of "pare tune".
type tuning struct {
	*app
	collections, embeddings, indexes []string
	split, queries, qrels            string
	target, minimise, grid, out      string
	confidence                       float64
	made                             int
	seed                             uint64
	encoderGiven                     bool
	format                           *formatFlag

	config   configs.Config
	options  tune.Options
	settings []sweep.Setting
	stderr   io.Writer
	dir      string // of the indexes that are built
	cleanup  []func() error
}

func (a *app) tuneCommand() *cobra.Command {
	t := &tuning{app: a}
	c := &cobra.Command{
		Use:   "tune {--collection PATH | --embeddings FOLDER | --index FOLDER} --out FILE",
		Short: "Find the cheapest setting that provably keeps what matters",
		Long: `Find the cheapest setting that meets a target, and certify it: with the confidence asked
for, queries like those given keep on average what the target says of the unpruned search.

  recall@10>=0.95    of its first 10 results, 95 % are found; needs no judgements
  nDCG@10 within 1%  the mean of the measure differs by less than 1 %
  nDCG@10>=99%       it is above 99 %

Settings are tried on one half of the queries. Those that no other one beats in safety and
cost form a path from the safest to the cheapest, which is tested on the other half up to
the first that fails; the last one that passed is the outcome. Because the path is fixed
before it is tested, trying many settings costs no confidence.

The file --out is a configuration file for "--config", with a section "certificate" that
says what is promised and for which index. A search refuses it on another one.

Without --index an index is built as "pare index" with the same settings builds it, so
that the certificate is for that one. --minimise bytes tries other codecs too, building an
index for each, and compares with vectors that are not compressed. A model encodes the
collection for each: encode it once with "pare encode" and give --embeddings.

Where queries are missing for a target of recall, sentences of the documents are asked
instead, and the documents that they are from do not count; --known-item says how many.
Several collections, or several indexes, are tuned together: their queries are pooled, and
the means of a measure count each collection the same.

With latency, the time is that of a model of the work (estimate), not of a clock. Where no
setting can be certified the exit code is 3, and the number of queries that would be needed
is told.`,
		Example: `  pare tune --collection cranfield --out tuned.yaml
  pare tune --index notes.idx --queries log.tsv --target "recall@10>=0.98" --out tuned.yaml
  pare tune --collection cranfield,npl,cisi --target "nDCG@10 within 1%" --out tuned.yaml
  pare tune --embeddings vectors --minimise bytes --target "recall@10>=0.9" --out tuned.yaml
  pare search --config tuned.yaml --index notes.idx "heat transfer at high speed"`,
		Args: noArgs,
	}
	defaults := tune.DefaultOptions()
	flags := c.Flags()
	flags.StringSliceVar(&t.collections, "collection", nil, "tune on these `paths`: folders with documents and queries")
	flags.StringSliceVar(&t.embeddings, "embeddings", nil, "tune on the token vectors in these `folders`")
	flags.StringSliceVar(&t.indexes, "index", nil, "search the indexes in these `folders`, one for each collection or alone")
	flags.StringVar(&t.queries, "queries", "", "queries to tune on, a `file` of TREC, BEIR or lines id<TAB>text (default: the collection's)")
	flags.StringVar(&t.qrels, "qrels", "", "their judgements, a `file` of TREC or BEIR (default: the collection's)")
	flags.StringVar(&t.split, "split", "", "judgements to use where a collection has several: test, dev, train")
	flags.StringVar(&t.target, "target", defaults.Target.String(), "what must be kept of the unpruned search")
	flags.Float64Var(&t.confidence, "confidence", defaults.Confidence, "probability that what is certified is true, at least")
	flags.StringVar(&t.minimise, "minimise", string(defaults.Minimise), "what should be little: latency or bytes")
	flags.StringVar(&t.grid, "grid", "", "settings to try, a `file` as that of \"pare sweep grid\"")
	flags.StringVar(&t.out, "out", "", "write the configuration to this `file`")
	flags.IntVar(&t.made, "known-item", -1, "queries to make of each collection's sentences; -1 for as many as are missing")
	flags.Uint64Var(&t.seed, "seed", defaults.Seed, "seed of the halves and of the sentences")
	configs.Flag(flags, "search.k", "k", "k")
	configs.Flag(flags, "encoder.kind", "encoder", "")
	configs.Flag(flags, "encoder.dim", "dim", "")
	configs.Flag(flags, "encoder.quantize", "quantize", "")
	addService(flags)
	configs.Flag(flags, "codec.kind", "codec", "")
	configs.Flag(flags, "eval.workers", "workers", "")
	t.format = addFormat(flags, "table", "tsv", "json", "md")
	required(c, "out")
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		loaded, err := a.settings(c)
		if err != nil {
			return err
		}
		t.config, t.stderr = loaded.Config, c.ErrOrStderr()
		if err := t.check(c); err != nil {
			return err
		}
		if t.dir, err = os.MkdirTemp("", "pare-tune-"); err != nil {
			return err
		}
		defer func() {
			for _, clean := range slices.Backward(t.cleanup) {
				err = errors.Join(err, clean())
			}
			err = errors.Join(err, os.RemoveAll(t.dir))
		}()
		return t.execute(c.Context(), c.OutOrStdout())
	}
	return c
}

// check refuses what makes no sense before any work is done.
func (t *tuning) check(c *cobra.Command) (err error) {
	t.encoderGiven = c.Flags().Changed("encoder")
	t.options = tune.DefaultOptions()
	if t.options.Target, err = tune.ParseTarget(t.target); err != nil {
		return usage(fmt.Errorf("--target: %w", err), "")
	}
	t.options.Confidence = t.confidence
	if err := t.options.Validate(); err != nil {
		return usage(fmt.Errorf("--confidence: %w", err), "")
	}
	t.options.Minimise = tune.Cost(t.minimise)
	if err := t.options.Validate(); err != nil {
		return usage(fmt.Errorf("--minimise: %w", err), "")
	}
	t.options.Seed, t.options.Workers = t.seed, t.config.Eval.Workers
	subjects := max(len(t.collections), len(t.embeddings))
	k, cutoff := t.config.Search.K, t.options.Target.Cutoff()
	switch {
	case len(t.collections) > 0 && len(t.embeddings) > 0:
		return usage(errors.New("--collection and --embeddings both give documents and queries"), "")
	case subjects == 0 && len(t.indexes) == 0:
		return usage(errors.New("nothing to tune on"), "give --collection PATH, --embeddings FOLDER, or --index FOLDER and --queries FILE")
	case subjects > 0 && len(t.indexes) > 0 && len(t.indexes) != subjects:
		return usage(fmt.Errorf("%d folders of --index for %d collections, want one for each", len(t.indexes), subjects), "")
	case max(subjects, len(t.indexes)) > 1 && (t.queries != "" || t.qrels != ""):
		return usage(errors.New("--queries and --qrels are for one collection"), "")
	case t.options.Minimise == tune.Bytes && len(t.indexes) > 0:
		return usage(errors.New("--minimise bytes builds indexes and does not go with --index"), "leave --index out")
	case cutoff > k:
		return usage(fmt.Errorf("%v looks at %d results, search.k is %d", t.options.Target, cutoff, k), fmt.Sprintf("give -k %d", cutoff))
	case t.made > 0 && !t.options.Target.CountsMade():
		return usage(fmt.Errorf("--known-item: sentences of documents say nothing about %v", t.options.Target),
			"they are for targets of recall, of two results or more")
	case t.made > 0 && len(t.embeddings) > 0:
		return usage(errors.New("--known-item does not go with --embeddings: vectors have no sentences"), "")
	case filepath.Base(t.out) != t.out && !isFolder(filepath.Dir(t.out)):
		return usage(fmt.Errorf("--out %s: there is no folder %s", t.out, filepath.Dir(t.out)), "")
	}
	switch extension := strings.ToLower(filepath.Ext(t.out)); extension {
	case ".yaml", ".yml":
	default:
		return usage(fmt.Errorf("--out %s: want a name that ends in .yaml", t.out), "")
	}
	if len(t.embeddings) > 0 {
		if err := givenAlready(c, append(encodingFlags, "dim")...); err != nil {
			return err
		}
	}
	if err := t.chooseSettings(); err != nil {
		return usage(under("--grid "+t.grid, err), "")
	}
	return errors.Join(firstTwice("--collection", t.collections), firstTwice("--embeddings", t.embeddings), firstTwice("--index", t.indexes))
}

// chooseSettings takes the settings of the grid or those that are tried without.
func (t *tuning) chooseSettings() error {
	if t.grid == "" {
		t.settings = tune.SearchSettings()
		if t.options.Minimise == tune.Bytes {
			t.settings = tune.IndexSettings()
			t.options.Baseline = t.options.Baseline.With("codec.kind", "float32").With("index.prune", "none")
		}
		return nil
	}
	file, err := os.Open(t.grid)
	if err != nil {
		return err
	}
	defer file.Close()
	plan, err := sweep.ReadPlan(file)
	if err != nil {
		return err
	}
	points, err := plan.Points(func(s sweep.Setting) (sweep.Setting, error) {
		_, err := t.config.With(s)
		return s, errors.Join(checkGridKeys(s), err)
	})
	if err != nil {
		return err
	}
	if len(plan.Baseline) > 0 {
		t.options.Baseline = points[0].Setting
	}
	for _, point := range points[1:] {
		switch shaping := point.Setting.Index(); {
		case point.System != sweep.SystemMaxSim: // the tuned file could not ask for it
		case len(t.indexes) > 0 && len(shaping) > 0:
			return fmt.Errorf("%s shapes the index, and --index gives one", shaping)
		default:
			t.settings = append(t.settings, point.Setting)
		}
	}
	if len(t.indexes) > 0 {
		t.options.Baseline = t.options.Baseline.Search() // its vectors are what they are
	}
	if len(t.settings) == 0 {
		return errors.New("there is no setting to try")
	}
	return nil
}

func (t *tuning) execute(ctx context.Context, stdout io.Writer) error {
	var collections []tune.Collection
	for i := range max(len(t.collections), len(t.embeddings), len(t.indexes)) {
		collection, err := t.collection(ctx, i)
		if err != nil {
			return err
		}
		collections = append(collections, collection)
	}
	report, err := t.run(ctx, collections)
	if err != nil {
		return err
	}
	if err := emit(stdout, t.format.value, tuneTable(report, t.format.value == "table" && asciiOnly()), report); err != nil {
		return err
	}
	return t.conclude(report)
}

// run tunes and shows how far it is.
func (t *tuning) run(ctx context.Context, collections []tune.Collection) (*tune.Report, error) {
	var mutex sync.Mutex
	var bar progress
	var stage tune.Stage
	shown := 0
	t.options.Progress = func(s tune.Stage, done, total int) {
		mutex.Lock()
		defer mutex.Unlock()
		if s != stage {
			bar.done()
			units := "queries"
			if s == tune.Testing {
				units = "settings"
			}
			bar, stage, shown = t.progress(t.stderr, string(s), units, int64(total)), s, 0
		}
		if done > shown {
			bar.add(done - shown)
			shown = done
		}
	}
	report, err := tune.Run(ctx, collections, t.settings, t.options)
	bar.done()
	return report, err
}

// collection opens what settings are tuned on.
func (t *tuning) collection(ctx context.Context, i int) (tune.Collection, error) {
	bench := &sweep.Bench{Options: t.config.Options, Dir: t.dir, Keep: true}
	t.cleanup = append(t.cleanup, bench.Close)
	var c tune.Collection
	var err error
	switch {
	case len(t.collections) > 0:
		c, err = t.texts(ctx, bench, i)
	case len(t.embeddings) > 0:
		c, err = t.vectors(ctx, bench, i)
	default:
		c, err = t.indexed(bench, i)
	}
	if err != nil {
		return c, err
	}
	c.Bench = bench
	if len(c.Queries) == 0 {
		return c, usage(fmt.Errorf("%s: there are no queries", c.Name), "give --queries FILE")
	}
	return c, nil
}

// given reads --queries and --qrels.
func (t *tuning) given(c *tune.Collection) (err error) {
	if t.queries != "" {
		queries, err := dataset.ReadQueriesFileWith(t.queries, t.config.Limits())
		if err != nil {
			return err
		}
		c.Queries = nil
		for _, q := range queries {
			c.Queries = append(c.Queries, sweep.Query{ID: q.ID, Text: q.Text})
		}
	}
	if t.qrels != "" {
		c.Qrels, err = dataset.ReadQrelsFileWith(t.qrels, t.config.Limits())
	}
	return err
}

// makeQueries adds queries that are made of documents.
func (t *tuning) makeQueries(c *tune.Collection, documents iter.Seq2[knownitem.Document, error]) error {
	n := t.made
	if n < 0 {
		n = 0
		if enough := t.options.EnoughQueries(); t.options.Target.CountsMade() && len(c.Queries) < enough {
			n = 2*enough - len(c.Queries) // some of them will lose something
		}
	}
	if n == 0 {
		return nil
	}
	queries, source, err := knownitem.Sentences(documents, n, t.seed)
	if err != nil {
		return err
	}
	t.note(t.stderr, "%s: %d queries are given, %d are made of sentences", c.Name, len(c.Queries), len(queries))
	for _, q := range queries {
		c.Queries = append(c.Queries, sweep.Query{ID: q.ID, Text: q.Text})
	}
	c.Made = source
	return nil
}

// texts are the documents and queries of --collection.
func (t *tuning) texts(ctx context.Context, bench *sweep.Bench, i int) (c tune.Collection, err error) {
	path := t.collections[i]
	collection, err := dataset.OpenWith(path, dataset.Options{Split: t.split, Limits: t.config.Limits()})
	if err != nil {
		return c, err
	}
	c.Name, c.Qrels = collection.Name, collection.Qrels
	for _, q := range collection.Queries {
		c.Queries = append(c.Queries, sweep.Query{ID: q.ID, Text: q.Text})
	}
	documents, err := allDocuments(collection)
	if err != nil {
		return c, err
	}
	err = errors.Join(t.given(&c), t.makeQueries(&c, func(yield func(knownitem.Document, error) bool) {
		for _, d := range documents {
			if !yield(knownitem.Document{ID: d.ID, Text: d.Text}, nil) {
				return
			}
		}
	}))
	if err != nil {
		return c, err
	}
	if len(t.indexes) > 0 {
		if bench.Index, err = t.openIndex(i); err != nil {
			return c, err
		}
		if err := sweep.CheckIndex(bench.Index.Snapshot(), documents); err != nil {
			return c, indexError(t.indexes[i], fmt.Errorf("--index %s: %w", t.indexes[i], err))
		}
		return c, nil
	}
	bars := t.stages(t.stderr)
	enc, err := openEncoder(ctx, t.config, bars.count)
	if err != nil {
		return c, err
	}
	bench.Build = func(ctx context.Context, dir string, options retriever.BuildOptions) (*retriever.Retriever, error) {
		defer bars.done()
		options.Encoder, options.Progress = enc, bars.report
		if err := retriever.Build(ctx, dir, retriever.Documents(documents...), options); err != nil {
			return nil, err
		}
		r, err := openBuilt(dir, enc)
		if err == nil && enc != nil {
			enc = r.Encoder() // which has learnt what the others need
		}
		return r, err
	}
	return c, nil
}

// vectors are the documents and queries of --embeddings.
func (t *tuning) vectors(ctx context.Context, bench *sweep.Bench, i int) (c tune.Collection, err error) {
	path := t.embeddings[i]
	embeddings, queries, err := readQueryVectors(path)
	if err != nil {
		return c, err
	}
	c.Name, c.Qrels = filepath.Base(path), embeddings.Qrels
	for _, id := range queries.IDs {
		c.Queries = append(c.Queries, sweep.Query{ID: id, Text: id})
	}
	if t.queries != "" {
		return c, usage(errors.New("--queries does not go with --embeddings, which have their own"), "")
	}
	if err := t.given(&c); err != nil {
		return c, err
	}
	if len(t.indexes) > 0 {
		if bench.Index, err = openWithQueries(t.indexes[i], queries); err != nil {
			return c, err
		}
		t.cleanup = append(t.cleanup, bench.Index.Close)
		if err := sweep.CheckIDs(bench.Index.Snapshot(), embeddings.Documents.IDs); err != nil {
			return c, indexError(t.indexes[i], fmt.Errorf("--index %s: %w", t.indexes[i], err))
		}
		return c, nil
	}
	documents := precomputed.Documents(embeddings, nil)
	bars := t.stages(t.stderr)
	bench.Build = func(ctx context.Context, dir string, options retriever.BuildOptions) (*retriever.Retriever, error) {
		defer bars.done()
		options.Progress = bars.report
		options.Index.StoreText = false // as "pare index" has it, for there are none
		if err := retriever.BuildEmbeddings(ctx, dir, documents, options); err != nil {
			return nil, err
		}
		return openWithQueries(dir, queries)
	}
	return c, nil
}

// indexed is an index alone, with queries of a file or of its own sentences.
func (t *tuning) indexed(bench *sweep.Bench, i int) (c tune.Collection, err error) {
	if bench.Index, err = t.openIndex(i); err != nil {
		return c, err
	}
	c.Name = filepath.Base(t.indexes[i])
	snapshot := bench.Index.Snapshot()
	return c, errors.Join(t.given(&c), t.makeQueries(&c, storedTexts(snapshot)))
}

// storedTexts yields the documents of an index with the texts that it keeps.
func storedTexts(snapshot *index.Snapshot) iter.Seq2[knownitem.Document, error] {
	return func(yield func(knownitem.Document, error) bool) {
		for number := range uint32(snapshot.Documents()) {
			if !snapshot.Live(number) {
				continue
			}
			id, err := snapshot.ID(number)
			text, textErr := snapshot.Text(number)
			err = errors.Join(err, textErr)
			if !yield(knownitem.Document{ID: id, Text: text}, err) || err != nil {
				return
			}
		}
	}
}

func (t *tuning) openIndex(i int) (*retriever.Retriever, error) {
	r, err := openRetriever(t.indexes[i], t.config, t.encoderGiven)
	if err == nil {
		t.cleanup = append(t.cleanup, r.Close)
	}
	return r, err
}

// conclude writes the tuned file, or says why there is none.
func (t *tuning) conclude(r *tune.Report) error {
	tuned, tested, made := r.Queries()
	from := fmt.Sprintf("%d queries", tuned+tested)
	if made > 0 {
		from += fmt.Sprintf(", %d of them made", made)
	}
	t.note(t.stderr, "%s: %d settings tried on %d, the path tested on %d by %s", from, r.Settings, tuned, tested, r.Method)
	chosen := r.Chosen()
	if chosen == nil {
		return t.nothing(r)
	}
	certificate, err := r.Certificate()
	if err != nil {
		return err
	}
	config, err := t.config.With(chosen.Setting)
	if err != nil {
		return err
	}
	// The index is known by its fingerprint, and all else that hits depend on by
	// these.
	certificate.Certified = nil
	for _, k := range configs.Keys() {
		if strings.HasPrefix(k.Name, "search.") && k.Name != "search.workers" {
			certificate.Certified = append(certificate.Certified, k.Name+"="+settingText(k.Value(config)))
		}
	}
	var file bytes.Buffer
	if err := configs.WriteTuned(&file, config, certificate); err != nil {
		return err
	}
	if err := replaceFile(t.out, file.Bytes()); err != nil {
		return err
	}
	t.note(t.stderr, "wrote %s: %v with a confidence of %v %%, at %s", t.out, r.Target, 100*r.Confidence, saving(r, chosen))
	return nil
}

// saving says what a step costs beside the unpruned search.
func saving(r *tune.Report, step *tune.Step) string {
	if r.Minimise == tune.Bytes {
		return fmt.Sprintf("%s instead of %s", byteSize(step.Testing.Bytes), byteSize(r.Unpruned.Bytes))
	}
	return fmt.Sprintf("%.3g ms instead of %.3g ms by the model of the work", step.Testing.Cost.Estimate, r.Unpruned.Cost.Estimate)
}

// nothing says that no setting is certified and what would help.
func (t *tuning) nothing(r *tune.Report) error {
	tuned, tested, _ := r.Queries()
	err := fmt.Errorf("%w: no setting is certified to keep %v", errGate, r.Target)
	switch needed := r.Needed(); {
	case len(r.Path) == 0:
		return withHint(err, "no setting that was tried is cheaper than the unpruned search: the collection is small")
	case needed == 0:
		return withHint(err, "the settings that were tried seem to miss it; ask for less")
	case needed > tuned+tested:
		err = withHint(err, fmt.Sprintf("about %d queries would be needed, there are %d", needed, tuned+tested))
	default:
		err = withHint(err, fmt.Sprintf("%d queries should be enough more often than not; another sample may do", tuned+tested))
	}
	if t.options.Target.Labelled() {
		return withHint(err, `several collections can be pooled, and "recall@10>=0.95" needs no judgements`)
	}
	if len(t.embeddings) == 0 && t.options.Target.CountsMade() {
		return withHint(err, "--known-item N makes queries of sentences")
	}
	return err
}

// replaceFile writes a file as a whole or not at all.
func replaceFile(path string, data []byte) error {
	temporary := path + ".new"
	if err := os.WriteFile(temporary, data, 0o644); err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return nil
}

// tuneTable lays the path out.
func tuneTable(r *tune.Report, ascii bool) table {
	kept := "recall"
	if r.Target.Labelled() {
		kept = "ratio"
	}
	t := table{columns: []column{
		{name: "setting"},
		{"tuned " + kept, true},
		{"tuned p", true},
		{"tested " + kept, true},
		{"at least", true},
		{"p", true},
		{name: "verdict"},
		{"candidates", true},
		{"estimate ms", true},
		{"p50 ms", true},
		{"index", true},
		{"queries needed", true},
	}}
	row := func(name, verdict, needed string, tuned tune.Outcome, tested *tune.Outcome) {
		cells := []string{name, fmt.Sprintf("%.4f", tuned.Kept), fmt.Sprintf("%.2g", tuned.P), "-", "-", "-", verdict}
		cost := tuned
		if tested != nil {
			cost = *tested
			copy(cells[3:], []string{fmt.Sprintf("%.4f", tested.Kept), fmt.Sprintf("%.4f", tested.Bound), fmt.Sprintf("%.2g", tested.P)})
		}
		cells = append(cells, fmt.Sprintf("%.0f", cost.Cost.Candidates), fmt.Sprintf("%.3f", cost.Cost.Estimate), fmt.Sprintf("%.2f", cost.Cost.P50),
			byteSize(cost.Bytes), needed)
		t.rows = append(t.rows, cells)
	}
	row("unpruned", "baseline", "-", r.Unpruned, nil)
	t.rows[0][2] = "-"
	names := pathNames(r.Path)
	for i, step := range r.Path {
		needed := "-"
		if step.Needed > 0 {
			needed = fmt.Sprint(step.Needed)
		}
		row(names[i], verdictSign(step.Verdict, ascii)+" "+string(step.Verdict), needed, step.Tuning, step.Testing)
	}
	return t
}

func verdictSign(v tune.Verdict, ascii bool) string {
	signs := map[tune.Verdict][2]string{tune.Certified: {"✓", "+"}, tune.Failed: {"✗", "x"}, tune.Untested: {"·", "."}}
	if ascii {
		return signs[v][1]
	}
	return signs[v][0]
}

// pathNames names steps by what they do not all have in common.
func pathNames(path []tune.Step) []string {
	common := func(a sweep.Assignment) bool {
		for _, step := range path {
			if !slices.Contains(step.Setting, a) {
				return false
			}
		}
		return len(path) > 1
	}
	names := make([]string, len(path))
	for i, step := range path {
		var parts []string
		for _, a := range step.Setting {
			if !common(a) {
				parts = append(parts, strings.TrimPrefix(a.Key, "search.")+"="+a.Value)
			}
		}
		names[i] = strings.Join(parts, " ")
	}
	return names
}
