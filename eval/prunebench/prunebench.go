package prunebench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/eval"
	"github.com/pare-search/pare/eval/dataset"
	"github.com/pare-search/pare/eval/precomputed"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/index/docpruner"
	"github.com/pare-search/pare/simd"
)

// ErrInvalid reports options that make no sense, or embeddings without what is
// needed to measure.
var ErrInvalid = errors.New("prunebench: invalid")

// Options say what is measured.
type Options struct {
	// Pruners are compared with no pruning, which is measured first.
	Pruners []docpruner.Pruner
	// Codecs are the ways to store vectors. Float32 is the vectors themselves.
	Codecs []codec.Kind
	// Fit is what pruners may learn from. Without vectors of queries they get
	// those of the collection.
	Fit docpruner.FitOptions
	// Training is the number of vectors that each codebook is trained on.
	Training int
	// Directions is the number of random directions that the loss is measured in,
	// drawn by Seed: others than the pruners draw.
	Directions int
	Seed       uint64
	// Measure is how rankings are judged.
	Measure string
	// Progress, if set, is told how many pruners are done.
	Progress func(done, total int)
}

// DefaultOptions compares nothing yet, in float32 and at 2 bits by nDCG@10.
func DefaultOptions() Options {
	return Options{
		Codecs:     []codec.Kind{codec.Float32, codec.Residual2},
		Fit:        docpruner.DefaultFitOptions(),
		Training:   1 << 18,
		Directions: 1024,
		Seed:       7,
		Measure:    "nDCG@10",
	}
}

// Validate reports every option that makes no sense.
func (o Options) Validate() error {
	var faults []error
	for _, p := range o.Pruners {
		faults = append(faults, p.Validate())
	}
	if len(o.Codecs) == 0 {
		faults = append(faults, fmt.Errorf("%w: no codec", ErrInvalid))
	}
	if o.Training < 1 || o.Directions < 1 {
		faults = append(faults, fmt.Errorf("%w: %d training vectors, %d directions", ErrInvalid, o.Training, o.Directions))
	}
	if _, err := eval.ParseMeasure(o.Measure); err != nil {
		faults = append(faults, fmt.Errorf("%w: %w", ErrInvalid, err))
	}
	return errors.Join(faults...)
}

// Report is what was measured, pruner by pruner.
type Report struct {
	Documents int    `json:"documents"`
	Vectors   int    `json:"vectors"`
	Queries   int    `json:"queries"`
	Measure   string `json:"measure"`
	Rows      []Row  `json:"rows"`
	// Lines tell how well losses foretell what pruning costs at the first codec:
	// over all pruners that only drop vectors, and over those of one strategy if
	// there are two or more, no pruning included.
	Lines []Line `json:"lines"`
}

// Row is what one pruner costs and saves.
type Row struct {
	Pruner string  `json:"pruner"`
	Kept   float64 `json:"kept"` // share of the vectors
	// Loss is docpruner.Loss in random directions, the mean over the documents.
	Loss float64 `json:"loss"`
	// QueryLoss is the same in the directions of the queries' vectors.
	QueryLoss float64 `json:"query_loss"`
	// Values are the measure for each codec, Ratios those to no pruning in the
	// first.
	Values  []float64 `json:"values"`
	Ratios  []float64 `json:"ratios"`
	Seconds float64   `json:"seconds"` // for fitting and pruning, on the clock

	steps []docpruner.Step
}

// dropsOnly tells whether no vectors were merged.
func (r Row) dropsOnly() bool {
	return !slices.ContainsFunc(r.steps, func(s docpruner.Step) bool { return s.Strategy == docpruner.Ward })
}

// Measure prunes the documents of a folder in every way and ranks all of them
// for all its queries. It holds all vectors in memory, and what is left of them.
// The error wraps ErrInvalid, those of docpruner or codec, or what reading says.
func Measure(ctx context.Context, e *dataset.Embeddings, options Options) (*Report, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	b, err := load(e, &options)
	if err != nil {
		return nil, err
	}
	report := &Report{Documents: len(b.ids), Vectors: vectorsOf(b.documents), Queries: len(b.queries.IDs), Measure: b.measure.String()}
	for i, p := range append([]docpruner.Pruner{{}}, options.Pruners...) {
		row, err := b.row(ctx, p)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p, err)
		}
		if i == 0 {
			b.base = row.Values[0]
		}
		for _, value := range row.Values {
			row.Ratios = append(row.Ratios, value/b.base)
		}
		report.Rows = append(report.Rows, row)
		if options.Progress != nil {
			options.Progress(i+1, len(options.Pruners)+1)
		}
	}
	report.Lines = report.lines()
	return report, nil
}

// bench is what all pruners share.
type bench struct {
	Options
	measure   eval.Measure
	ids       []string
	documents []encoder.Tokens
	queries   *precomputed.Queries
	packed    []*simd.Query
	qrels     eval.Qrels
	lossIn    simd.Matrix // directions
	base      float64
}

func load(e *dataset.Embeddings, options *Options) (*bench, error) {
	if len(e.Qrels) == 0 {
		return nil, fmt.Errorf("%w: %s has no judgements", ErrInvalid, e.Path)
	}
	b := &bench{Options: *options, qrels: e.Qrels, lossIn: docpruner.UniformDirections(e.Dim, options.Directions, options.Seed)}
	var err error
	if b.measure, err = eval.ParseMeasure(options.Measure); err != nil {
		return nil, err
	}
	if b.queries, err = precomputed.ReadQueries(e); err != nil {
		return nil, err
	}
	for _, id := range b.queries.IDs {
		tokens, err := b.queries.EncodeQuery(context.Background(), id)
		if err != nil {
			return nil, err
		}
		b.packed = append(b.packed, simd.PackQuery(tokens.Vectors))
	}
	if b.Fit.Queries.Rows == 0 {
		b.Fit.Queries = b.queries.Vectors()
	}
	for document, err := range precomputed.Documents(e, nil).All {
		if err != nil {
			return nil, err
		}
		b.ids = append(b.ids, document.ID)
		document.Tokens.Vectors.Data = slices.Clone(document.Tokens.Vectors.Data)
		document.Tokens.IDs = slices.Clone(document.Tokens.IDs)
		b.documents = append(b.documents, document.Tokens)
	}
	return b, nil
}

func vectorsOf(documents []encoder.Tokens) (sum int) {
	for _, d := range documents {
		sum += d.Vectors.Rows
	}
	return sum
}

// row measures one pruner.
func (b *bench) row(ctx context.Context, p docpruner.Pruner) (Row, error) {
	row := Row{Pruner: p.String(), steps: p.Steps}
	start := time.Now()
	fitted, err := p.Fit(ctx, func(yield func(encoder.Tokens, error) bool) {
		for _, d := range b.documents {
			if !yield(d, nil) {
				return
			}
		}
	}, b.Fit)
	if err != nil {
		return row, err
	}
	pruned, err := fitted.PruneAll(ctx, b.documents)
	if err != nil {
		return row, err
	}
	row.Seconds = time.Since(start).Seconds()
	left := make([]encoder.Tokens, len(pruned))
	for i, p := range pruned {
		left[i] = p.Tokens
	}
	row.Kept = float64(vectorsOf(left)) / float64(max(vectorsOf(b.documents), 1))
	if row.Loss, err = b.loss(ctx, b.lossIn, left); err != nil {
		return row, err
	}
	if row.QueryLoss, err = b.loss(ctx, b.queries.Vectors(), left); err != nil {
		return row, err
	}
	for _, kind := range b.Codecs {
		value, err := b.judge(ctx, kind, left)
		if err != nil {
			return row, err
		}
		row.Values = append(row.Values, value)
	}
	return row, nil
}

// loss returns the mean loss of the documents.
func (b *bench) loss(ctx context.Context, directions simd.Matrix, left []encoder.Tokens) (float64, error) {
	losses := make([]float64, len(left))
	err := parallel(ctx, len(left), func() func(int) error {
		return func(i int) error {
			losses[i] = docpruner.Loss(directions, b.documents[i].Vectors, left[i].Vectors)
			return nil
		}
	})
	var sum float64
	for _, l := range losses {
		sum += l
	}
	return sum / float64(max(len(losses), 1)), err
}

// judge ranks all documents for all queries.
func (b *bench) judge(ctx context.Context, kind codec.Kind, documents []encoder.Tokens) (float64, error) {
	scores := make([][]float32, len(b.packed))
	for i := range scores {
		scores[i] = make([]float32, len(documents))
	}
	var err error
	if kind == codec.Float32 {
		err = b.scoreFloats(ctx, documents, scores)
	} else {
		err = b.scoreCodes(ctx, kind, documents, scores)
	}
	if err != nil {
		return 0, err
	}
	run := eval.Run{Results: make(map[string][]eval.Result)}
	for i, id := range b.queries.IDs {
		results := make([]eval.Result, 0, len(documents))
		for j, score := range scores[i] {
			if documents[j].Vectors.Rows > 0 {
				results = append(results, eval.Result{ID: b.ids[j], Score: float64(score)})
			}
		}
		slices.SortFunc(results, func(x, y eval.Result) int {
			return cmp.Or(cmp.Compare(y.Score, x.Score), cmp.Compare(x.ID, y.ID))
		})
		run.Results[id] = results[:min(len(results), 1000)]
	}
	value, ok := eval.Evaluate(b.qrels, run, []eval.Measure{b.measure}).Mean(b.measure)
	if !ok {
		return 0, fmt.Errorf("%w: %s could not be measured", ErrInvalid, b.measure)
	}
	return value, nil
}

func (b *bench) scoreFloats(ctx context.Context, documents []encoder.Tokens, scores [][]float32) error {
	return parallel(ctx, len(documents), func() func(int) error {
		var best []float32
		return func(j int) error {
			// A document stays in the cache while all queries look at it.
			for i, query := range b.packed {
				best = slices.Grow(best[:0], query.Rows)[:query.Rows]
				simd.Reset(best)
				query.MaxSim(documents[j].Vectors, best)
				scores[i][j] = simd.Sum(best)
			}
			return nil
		}
	})
}

func (b *bench) scoreCodes(ctx context.Context, kind codec.Kind, documents []encoder.Tokens, scores [][]float32) error {
	book, err := b.train(ctx, kind, documents)
	if err != nil {
		return err
	}
	inputs := make([]codec.Document, len(documents))
	for i, d := range documents {
		inputs[i] = codec.Document{Vectors: d.Vectors, IDs: d.IDs}
	}
	encoded, err := book.EncodeAll(ctx, inputs)
	if err != nil {
		return err
	}
	return parallel(ctx, len(b.packed), func() func(int) error {
		scorer := book.NewScorer()
		return func(i int) (err error) {
			if err := scorer.Reset(b.packed[i], nil, nil); err != nil {
				return err
			}
			for j, d := range encoded {
				if scores[i][j], _, err = scorer.Score(d.Payload, codec.Payload{}); err != nil {
					return err
				}
			}
			return nil
		}
	})
}

// train trains a codebook on documents taken at equal distances.
func (b *bench) train(ctx context.Context, kind codec.Kind, documents []encoder.Tokens) (*codec.Codebook, error) {
	total := vectorsOf(documents)
	step := max((total+b.Training-1)/b.Training, 1)
	vectors := simd.Matrix{Dim: b.lossIn.Dim}
	var ids []uint32
	for i := 0; i < len(documents); i += step {
		vectors.Data = append(vectors.Data, documents[i].Vectors.Data...)
		vectors.Rows += documents[i].Vectors.Rows
		ids = append(ids, documents[i].IDs...)
	}
	if len(ids) != vectors.Rows {
		ids = nil
	}
	options := codec.DefaultOptions()
	options.Kind, options.Total = kind, max(total, vectors.Rows)
	return codec.Train(ctx, vectors, ids, options, nil)
}

// parallel calls the function that work returns, one for each goroutine, for 0
// to n-1.
func parallel(ctx context.Context, n int, work func() func(i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	workers := min(runtime.GOMAXPROCS(0), n)
	for worker := range workers {
		group.Go(func() error {
			do := work()
			for i := worker; i < n; i += workers {
				if err := cmp.Or(ctx.Err(), do(i)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// Line is the straight line of least squares through the losses x of pruners and
// what they cost, y = 1 - ratio: y = Intercept + Slope * x.
type Line struct {
	Over      string  `json:"over"`       // the pruners
	Loss      string  `json:"directions"` // of the losses: random or queries
	Points    int     `json:"points"`
	Slope     float64 `json:"slope"`
	Intercept float64 `json:"intercept"`
	// R2 is the share of the variance of y that the line explains.
	R2 float64 `json:"r2"`
}

func (r *Report) lines() []Line {
	groups := map[string][]Row{"all that drop": nil}
	names := []string{"all that drop"}
	for _, row := range r.Rows {
		if row.dropsOnly() {
			groups[names[0]] = append(groups[names[0]], row)
		}
		if len(row.steps) == 1 {
			name := row.steps[0].Strategy.String()
			if groups[name] == nil {
				names = append(names, name)
				groups[name] = append(groups[name], r.Rows[0]) // no pruning
			}
			groups[name] = append(groups[name], row)
		}
	}
	var lines []Line
	for _, name := range names {
		if rows := groups[name]; len(rows) > 2 {
			random := leastSquares(rows, func(r Row) float64 { return r.Loss })
			queries := leastSquares(rows, func(r Row) float64 { return r.QueryLoss })
			random.Over, random.Loss = name, "random"
			queries.Over, queries.Loss = name, "queries"
			lines = append(lines, random, queries)
		}
	}
	return lines
}

// leastSquares fits a line to what pruners cost, given their losses.
func leastSquares(rows []Row, loss func(Row) float64) Line {
	l := Line{Points: len(rows)}
	cost := func(r Row) float64 { return 1 - r.Ratios[0] }
	var meanX, meanY float64
	for _, r := range rows {
		meanX += loss(r) / float64(len(rows))
		meanY += cost(r) / float64(len(rows))
	}
	var xx, xy, yy float64
	for _, r := range rows {
		dx, dy := loss(r)-meanX, cost(r)-meanY
		xx, xy, yy = xx+dx*dx, xy+dx*dy, yy+dy*dy
	}
	if xx == 0 || yy == 0 {
		l.Intercept = meanY
		return l
	}
	l.Slope = xy / xx
	l.Intercept = meanY - l.Slope*meanX
	l.R2 = xy * xy / (xx * yy)
	return l
}
