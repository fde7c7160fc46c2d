package prunebench

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"gonum.org/v1/gonum/stat"

	"github.com/pare-search/pare/eval"
	"github.com/pare-search/pare/eval/dataset"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/index/docpruner"
	"github.com/pare-search/pare/simd"
)

// TestLeastSquares compares with gonum.
func TestLeastSquares(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	var rows []Row
	var xs, ys []float64
	for range 20 {
		x, y := random.Float64(), random.Float64()
		rows = append(rows, Row{Loss: x, Ratios: []float64{1 - y}})
		xs, ys = append(xs, x), append(ys, y)
	}
	l := leastSquares(rows, func(r Row) float64 { return r.Loss })
	alpha, beta := stat.LinearRegression(xs, ys, nil, false)
	r2 := stat.RSquared(xs, ys, nil, alpha, beta)
	for name, pair := range map[string][2]float64{"slope": {l.Slope, beta}, "intercept": {l.Intercept, alpha}, "R2": {l.R2, r2}} {
		if math.Abs(pair[0]-pair[1]) > 1e-9 {
			t.Errorf("%s %v, gonum says %v", name, pair[0], pair[1])
		}
	}
	if l := leastSquares(rows[:1], func(r Row) float64 { return r.Loss }); l.R2 != 0 || l.Slope != 0 {
		t.Errorf("a line through one point: %+v", l)
	}
}

func TestMeasure(t *testing.T) {
	options := DefaultOptions()
	options.Codecs = []codec.Kind{codec.Float32, codec.Int8}
	options.Directions = 50
	for _, spec := range []string{"voronoi:75%", "voronoi:50%", "ward:2", "first:1"} {
		p, err := docpruner.Parse(spec)
		if err != nil {
			t.Fatal(err)
		}
		options.Pruners = append(options.Pruners, p)
	}
	done := 0
	options.Progress = func(n, total int) {
		if n != done+1 || total != 5 {
			t.Errorf("%d of %d are done after %d", n, total, done)
		}
		done = n
	}
	report, err := Measure(t.Context(), folder(t), options)
	if err != nil {
		t.Fatal(err)
	}
	if report.Documents != 30 || report.Vectors != 240 || report.Queries != 30 || len(report.Rows) != 5 {
		t.Errorf("report of %d documents, %d vectors, %d queries and %d pruners", report.Documents, report.Vectors, report.Queries, len(report.Rows))
	}
	for i, want := range []float64{1, 0.75, 0.5, 0.5, 0.125} {
		row := report.Rows[i]
		if math.Abs(row.Kept-want) > 0.01 {
			t.Errorf("%s keeps %.3f, want %v", row.Pruner, row.Kept, want)
		}
		if i > 0 && (row.Loss <= 0 || row.QueryLoss <= 0) || i == 0 && (row.Loss != 0 || row.Ratios[0] != 1) {
			t.Errorf("%s: loss %v, for queries %v, ratio %v", row.Pruner, row.Loss, row.QueryLoss, row.Ratios[0])
		}
	}
	// Every query is one of its document's vectors: all of them find it, the first
	// vectors only some.
	if report.Rows[0].Values[0] != 1 || report.Rows[4].Values[0] > 0.7 {
		t.Errorf("nDCG@10 %v with all vectors, %v with the first", report.Rows[0].Values[0], report.Rows[4].Values[0])
	}
	if len(report.Lines) != 4 || report.Lines[0].Points != 4 || report.Lines[2].Over != "voronoi" || report.Lines[2].Points != 3 {
		t.Errorf("lines %+v", report.Lines)
	}
}

// folder writes 30 documents of 8 random vectors, and for each a query that is
// one of them.
func folder(t testing.TB) *dataset.Embeddings {
	t.Helper()
	const dim, documents, rows = 16, 30, 8
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(2, 2))
	check := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	texts, err := dataset.NewDocumentWriter(dir, dim)
	check(err)
	queries, err := dataset.NewQueryWriter(dir, dim)
	check(err)
	qrels := make(eval.Qrels)
	for i := range documents {
		vectors := simd.NewMatrix(rows, dim)
		for k := range vectors.Data {
			vectors.Data[k] = float32(random.NormFloat64())
		}
		vectors.Normalize()
		id, query := fmt.Sprint("d", i), fmt.Sprint("q", i)
		check(texts.Add(dataset.Embedded{ID: id, Vectors: vectors.Data}))
		check(queries.Add(dataset.Embedded{ID: query, Vectors: vectors.Row(i % rows)}))
		qrels[query] = map[string]int{id: 1}
	}
	check(errors.Join(texts.Close(), queries.Close()))
	check(dataset.WriteQrelsFile(filepath.Join(dir, "qrels.tsv"), qrels, dataset.TRECQrels))
	e, err := dataset.OpenEmbeddings(dir)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestErrors(t *testing.T) {
	options := DefaultOptions()
	options.Codecs, options.Directions, options.Measure = nil, 0, "nonsense"
	options.Pruners = []docpruner.Pruner{{Steps: []docpruner.Step{{}}}}
	err := options.Validate()
	if !errors.Is(err, ErrInvalid) || !errors.Is(err, docpruner.ErrInvalid) {
		t.Errorf("error %v, want ErrInvalid and docpruner.ErrInvalid", err)
	}
}
