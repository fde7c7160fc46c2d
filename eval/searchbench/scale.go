package searchbench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pare-search/pare/eval"
	"github.com/pare-search/pare/eval/dataset"
	"github.com/pare-search/pare/index"
)

// ScaleOptions say which collections are made and how they are searched.
type ScaleOptions struct {
	// Passages are the sizes of the collections, ascending.
	Passages []int
	// Project are sizes that are too large to be built, for which the cost is
	// only computed.
	Project []int
	// Index shapes the indexes; Dim is taken from the embeddings. Index.Codec.Total
	// is set to the size of each.
	Index index.Options
	// MaxCells limits the cells of the larger collections, whose number
	// otherwise grows with them: all are compared with each query row.
	MaxCells int
	// SourceVectors is how many vectors of real documents the tokens are taken
	// from, in memory as float32.
	SourceVectors int
	// Noise is the length of what is added to a vector, against its own.
	Noise float64
	// Queries is how many queries are asked, Repeats how often.
	Queries, Repeats int
	// Recall is the share of the best ten of an exhaustive search, from 0 to 1,
	// that searches compared with each other have to find.
	Recall float64
	// Depth is the Depth of all searches.
	Depth int
	// Seed makes the collections.
	Seed uint64
	// Progress, if not nil, is told how far each stage is.
	Progress func(stage string, done, total int)
}

// DefaultScaleOptions makes collections of ten thousand, a hundred thousand and
// a million passages.
func DefaultScaleOptions() ScaleOptions {
	shape := index.DefaultOptions(8)
	shape.TrainingVectors = 1 << 22 // as k-means wants for 100,000 cells
	return ScaleOptions{
		Passages:      []int{10_000, 100_000, 1_000_000},
		Project:       []int{10_000_000, 100_000_000},
		Index:         shape,
		MaxCells:      1 << 17,
		SourceVectors: 1 << 20,
		Noise:         0.3,
		Queries:       50,
		Repeats:       3,
		Recall:        0.95,
		Depth:         1024,
		Seed:          1,
	}
}

// Validate reports every option that makes no sense.
func (o ScaleOptions) Validate() error {
	var faults []error
	bad := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...))
		}
	}
	bad(len(o.Passages) > 0, "no sizes of collections")
	for _, sizes := range [][]int{o.Passages, o.Project} {
		bad(slices.IsSorted(sizes), "sizes %v, want ascending ones", sizes)
		bad(len(sizes) == 0 || sizes[0] >= 100, "sizes %v, want at least 100 passages", sizes)
	}
	bad(o.MaxCells >= 1, "at most %d cells", o.MaxCells)
	bad(o.SourceVectors >= 1, "%d vectors to make documents of", o.SourceVectors)
	bad(o.Noise >= 0 && o.Noise <= 10, "noise %v, want 0 to 10", o.Noise)
	bad(o.Queries >= 1, "%d queries", o.Queries)
	bad(o.Repeats >= 1, "%d repeats", o.Repeats)
	bad(o.Recall > 0 && o.Recall <= 1, "recall %v, want above 0, up to 1", o.Recall)
	bad(o.Depth >= 10, "a depth of %d documents, want at least 10", o.Depth)
	o.Index.Dim = 8
	return errors.Join(append(faults, o.Index.Validate())...)
}

// ScaleReport is what Scale found.
type ScaleReport struct {
	Sizes []Size `json:"sizes"`
	// Projected are sizes that were not built.
	Projected []Projection `json:"projected,omitempty"`
}

// Size is what was measured on one collection.
type Size struct {
	Passages      int     `json:"passages"`
	Vectors       int64   `json:"vectors"`
	Cells         int     `json:"cells"`
	Bytes         int64   `json:"bytes"`
	BytesPerToken float64 `json:"bytes_per_token"`
	Built         Built   `json:"built"`
	// Exhaustive is the median time of scoring every document.
	Exhaustive float64 `json:"exhaustive_ms"`
	// Unpruned lets every row look into its nearest cells, as many for each.
	// Budgeted shares one budget among all pairs of a row and a cell. Both are
	// the smallest setting that reaches the recall; Reached tells whether one does.
	Unpruned Probed `json:"unpruned"`
	Budgeted Probed `json:"budgeted"`
}

// Probed is the smallest of several settings that finds enough of the best ten
// of an exhaustive search of the same index, or the largest tried.
type Probed struct {
	Result
	Reached bool `json:"reached"`
	// Model is the time that the work would take at the cost per unit of the
	// smallest collection.
	Model Stages `json:"model_ms"`
}

// Projection is what a collection would take that was not built.
type Projection struct {
	Passages     int     `json:"passages"`
	Vectors      int64   `json:"vectors"`
	Bytes        int64   `json:"bytes"`
	BuildSeconds float64 `json:"build_seconds"`
	// FlatCells is one cell for VectorsPerCell vectors, up to as many as a
	// codebook can have, FlatScan the time of comparing a query with all of them,
	// in milliseconds, TwoLevelScan that with the means of sqrt(cells) groups of
	// cells first, of which each row looks into 16.
	FlatCells    int64   `json:"flat_cells"`
	FlatScan     float64 `json:"flat_scan_ms"`
	TwoLevelScan float64 `json:"two_level_scan_ms"`
	// Candidates are those of a budget, growing on by the power of the number of
	// passages by which they grew between the two largest collections that were
	// built, Search the time of ranking and scoring them.
	Candidates float64 `json:"candidates"`
	Search     float64 `json:"other_stages_ms"`
}

// ErrSpace reports that a disk has no room for a collection.
var ErrSpace = errors.New("searchbench: not enough space on the disk")

// Scale builds one collection after the other in folders below dir, measures
// searches and removes it again. The queries are those of the embeddings.
func Scale(ctx context.Context, dir string, e *dataset.Embeddings, o ScaleOptions) (*ScaleReport, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	queries, err := Queries(e)
	if err != nil {
		return nil, err
	}
	queries = queries[:min(o.Queries, len(queries))]
	source, err := newSynthesizer(e, o.SourceVectors, o.Noise, o.Seed)
	if err != nil {
		return nil, err
	}
	report := &ScaleReport{}
	for _, passages := range o.Passages {
		size, err := measureSize(ctx, filepath.Join(dir, strconv.Itoa(passages)), source, passages, queries, o)
		if err != nil {
			return nil, fmt.Errorf("%d passages: %w", passages, err)
		}
		report.Sizes = append(report.Sizes, size)
	}
	report.compare()
	for _, passages := range o.Project {
		report.Projected = append(report.Projected, report.project(passages, o.Index.Codec.VectorsPerCell))
	}
	return report, nil
}

// measureSize builds a collection, measures it and removes it.
func measureSize(ctx context.Context, dir string, source *synthesizer, passages int, queries []Query, o ScaleOptions) (size Size, err error) {
	documents := source.documents(passages)
	if err := checkSpace(filepath.Dir(dir), documents.Vectors, source.dim, o.Index); err != nil {
		return size, err
	}
	options := o.Index
	options.Codec.Cells = min(options.Codec.Cells, o.MaxCells)
	if documents.Vectors/options.Codec.VectorsPerCell > o.MaxCells {
		options.Codec.Cells = o.MaxCells
	}
	stage := func(name string, done, total int) {
		o.Progress(fmt.Sprintf("%d passages: %s", passages, name), done, total)
	}
	if size.Built, err = Build(ctx, dir, documents, options, stage); err != nil {
		return size, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	snapshot, err := index.Open(dir)
	if err != nil {
		return size, err
	}
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	info, err := snapshot.Inspect()
	if err != nil {
		return size, err
	}
	size.Passages, size.Vectors, size.Cells = info.Documents, info.Vectors, info.Cells
	size.Bytes, size.BytesPerToken = info.Bytes, info.BytesPerToken

	truth, median, err := exhaustive(ctx, snapshot, queries, func(done, total int) { stage("scoring everything", done, total) })
	if err != nil {
		return size, err
	}
	size.Exhaustive = median
	ways := []struct {
		name string
		to   *Probed
		set  func(*index.SearchOptions, int)
	}{
		{"searching unpruned", &size.Unpruned, func(o *index.SearchOptions, n int) { o.Neighbors = n }},
		{"searching with a budget", &size.Budgeted, func(o *index.SearchOptions, n int) { o.Budget = n }},
	}
	var found []Setting
	for _, way := range ways {
		setting, err := smallest(ctx, snapshot, queries, truth, o, func(step, steps int, setting *Setting, postings int) {
			way.set(&setting.Options, postings)
			stage(way.name, step, steps)
		})
		if err != nil {
			return size, err
		}
		found = append(found, setting)
	}
	trials, err := run(ctx, snapshot, queries, Options{Settings: found, Repeats: o.Repeats, Warmup: warmup})
	if err != nil {
		return size, err
	}
	for i, way := range ways {
		result := trials[i].result(truth, nil)
		*way.to = Probed{Result: result, Reached: result.Recall10 >= o.Recall}
	}
	return size, nil
}

// warmup is how many searches come before those that are timed.
const warmup = 5

// checkSpace refuses a collection whose index would fill the disk.
func checkSpace(dir string, vectors, dim int, options index.Options) error {
	// A kind's number is its bits per dimension. Beside the codes a vector needs
	// its cell, factors, postings and a share of the cells themselves: 8 bytes
	// are plenty.
	perVector := dim*int(options.Codec.Kind)/8 + 8
	if options.Refine {
		perVector += dim + 4
	}
	return checkFree(dir, int64(vectors)*int64(perVector), "the index needs about")
}

// checkFree refuses what needs more bytes than the disk has, and a tenth for the
// rest of the world.
func checkFree(dir string, need int64, what string) error {
	free, known := freeBytes(dir)
	if known && free < need+need/10 {
		return fmt.Errorf("%w: %s has %.1f GB free, %s %.1f GB", ErrSpace, dir, float64(free)/1e9, what, float64(need)/1e9)
	}
	return nil
}

// exhaustive returns the best ten of every query among all documents of the
// index, and the median time of one search in milliseconds. The ranking is
// computed on all processors, the time is that of up to five searches alone.
func exhaustive(ctx context.Context, snapshot *index.Snapshot, queries []Query, progress func(done, total int)) (eval.Run, float64, error) {
	setting := DefaultSetting()
	setting.Options.Plan, setting.Options.K = index.Exhaustive, 10
	alone := newSearcher(snapshot)
	var times []float64
	for _, query := range queries[:min(5, len(queries))] {
		start := time.Now()
		if _, _, err := alone.search(ctx, query, setting); err != nil {
			return eval.Run{}, 0, err
		}
		times = append(times, milliseconds(time.Since(start)))
	}
	slices.Sort(times)

	found := make([][]eval.Result, len(queries))
	group, ctx := errgroup.WithContext(ctx)
	workers := runtime.GOMAXPROCS(0)
	for worker := range workers {
		group.Go(func() error {
			searcher := newSearcher(snapshot)
			for i := worker; i < len(queries); i += workers {
				hits, _, err := searcher.search(ctx, queries[i], setting)
				if err != nil {
					return err
				}
				found[i] = results(hits)
				if worker == 0 {
					progress(min(i+workers, len(queries)), len(queries))
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return eval.Run{}, 0, err
	}
	truth := eval.Run{Tag: "exhaustive", Results: make(map[string][]eval.Result, len(queries))}
	for i, query := range queries {
		truth.Results[query.ID] = found[i]
	}
	return truth, times[len(times)/2], nil
}

// smallest returns the setting with the least number of postings that finds
// enough of the truth, or the last that was tried: it doubles the number until it
// is enough, then halves the last step thrice.
func smallest(ctx context.Context, snapshot *index.Snapshot, queries []Query, truth eval.Run, o ScaleOptions, set func(step, steps int, setting *Setting, postings int)) (Setting, error) {
	const doublings, halvings = 14, 3 // from 64 to a million
	step := 0
	try := func(postings int) (setting Setting, found Result, err error) {
		step++
		setting = DefaultSetting()
		setting.Options.K, setting.Options.Depth = 10, o.Depth
		set(step, doublings+halvings, &setting, postings)
		trials, err := run(ctx, snapshot, queries, Options{Settings: []Setting{setting}, Repeats: 1})
		if err != nil {
			return setting, found, err
		}
		return setting, trials[0].result(truth, nil), nil
	}
	var best Setting
	enough, few, reached := 64, 0, false
	for range doublings {
		setting, found, err := try(enough)
		if err != nil {
			return best, err
		}
		best, reached = setting, found.Recall10 >= o.Recall
		// Where nearly all documents are candidates, more postings find nothing new.
		if reached || found.Work.Candidates > 0.95*float64(snapshot.LiveDocuments()) {
			break
		}
		few, enough = enough, 2*enough
	}
	if !reached {
		return best, nil
	}
	for range halvings {
		between := (few + enough) / 2
		setting, found, err := try(between)
		if err != nil {
			return best, err
		}
		if found.Recall10 >= o.Recall {
			best, enough = setting, between
		} else {
			few = between
		}
	}
	return best, nil
}
