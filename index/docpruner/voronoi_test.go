package docpruner

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/optimize/convex/lp"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/simd"
)

// plainVoronoi drops vectors as the paper says it, computing every error anew
// each time. It returns the order in which they go and their errors.
func plainVoronoi(m, directions simd.Matrix) (order []int, errs []float64) {
	alive := firstOf(m.Rows, m.Rows)
	for len(alive) > 1 {
		sums := make([]float64, m.Rows)
		for s := range directions.Rows {
			first, second := math.Inf(-1), math.Inf(-1)
			winner := -1
			for _, i := range alive {
				if x := dot(directions.Row(s), m.Row(i)); x > first {
					first, second, winner = x, first, i
				} else if x > second {
					second = x
				}
			}
			sums[winner] += first - second
		}
		worst := slices.MinFunc(alive, func(a, b int) int {
			if sums[a] < sums[b] {
				return -1
			}
			return 1
		})
		order, errs = append(order, worst), append(errs, sums[worst]/float64(directions.Rows))
		alive = slices.DeleteFunc(alive, func(i int) bool { return i == worst })
	}
	return order, errs
}

func TestVoronoiPlain(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	d := directions{vectors: UniformDirections(testDim, 600, 1)}
	var work voronoiScratch
	for range 20 {
		m := document(random, 1+random.IntN(20)).Vectors
		order, want := plainVoronoi(m, d.vectors)
		for keep := range m.Rows {
			left := 0
			var errs []float64
			kept := work.prune(m, &d, func(err float64) bool {
				if left == len(order)-keep {
					return false
				}
				left++
				errs = append(errs, err)
				return true
			}, nil)
			gone := slices.Sorted(slices.Values(order[:left]))
			for _, i := range kept {
				if slices.Contains(gone, i) {
					t.Fatalf("kept %v of %d, the definition drops %v", kept, m.Rows, gone)
				}
			}
			if len(kept)+left != m.Rows {
				t.Fatalf("kept %v of %d after %d were dropped", kept, m.Rows, left)
			}
			for i, err := range errs {
				if math.Abs(err-want[i]) > 1e-6 {
					t.Fatalf("error %d is %v, want %v", i, err, want[i])
				}
				if i > 0 && err < errs[i-1]-1e-12 {
					t.Fatalf("errors fall: %v", errs)
				}
			}
		}
	}
}

// TestVoronoiShare checks the budget over all documents, and that documents get
// different shares of it.
func TestVoronoiShare(t *testing.T) {
	collection := documents(100, 5)
	for share, spec := range map[float64]string{0.75: "voronoi:75%", 0.5: "voronoi:50%", 0.25: "voronoi:25%", 1: "voronoi:100%"} {
		pruned, err := fitted(t, spec, collection).PruneAll(t.Context(), collection)
		if err != nil {
			t.Fatal(err)
		}
		all, kept, least, most := 0, 0, 1.0, 0.0
		for i, p := range pruned {
			all += collection[i].Vectors.Rows
			kept += p.Vectors.Rows
			own := float64(p.Vectors.Rows) / float64(collection[i].Vectors.Rows)
			least, most = min(least, own), max(most, own)
		}
		if got := float64(kept) / float64(all); math.Abs(got-share) > 0.01 {
			t.Errorf("%s keeps %.3f", spec, got)
		}
		if share < 1 && most-least < 0.1 {
			t.Errorf("%s keeps %.2f to %.2f of each document", spec, least, most)
		}
	}
}

// TestVoronoiEach keeps the share of every document.
func TestVoronoiEach(t *testing.T) {
	collection := append(documents(30, 5), document(rand.New(rand.NewPCG(9, 9)), 3*maxBlock))
	f := fitted(t, "voronoi:40%+each+directions=128", collection)
	for _, d := range collection {
		n := d.Vectors.Rows
		got, want := prune(t, f, d).Vectors.Rows, int(math.Ceil(0.4*float64(n)-1e-9))
		if got < want || got > want+n/maxBlock {
			t.Errorf("%d of %d are kept, want %d", got, n, want)
		}
	}
}

// TestVoronoiSample places the threshold by a part of the collection.
func TestVoronoiSample(t *testing.T) {
	collection := documents(1000, 6)
	p, err := Parse("voronoi:40%+directions=256")
	if err != nil {
		t.Fatal(err)
	}
	options := DefaultFitOptions()
	options.Sample = 5000
	f, err := p.Fit(t.Context(), each(collection), options)
	if err != nil {
		t.Fatal(err)
	}
	pruned, err := f.PruneAll(t.Context(), collection)
	if err != nil {
		t.Fatal(err)
	}
	all, kept := 0, 0
	for i := range pruned {
		all += collection[i].Vectors.Rows
		kept += pruned[i].Vectors.Rows
	}
	if got := float64(kept) / float64(all); math.Abs(got-0.4) > 0.02 {
		t.Errorf("%.3f were kept of %d by a sample of 5000, want 0.4", got, all)
	}
}

// TestLoss compares with the plain loop, and Voronoi with what it minimises.
func TestLoss(t *testing.T) {
	q := UniformDirections(testDim, 300, 9)
	collection := documents(30, 8)
	losses := make(map[string]float64)
	for _, spec := range []string{"none", "voronoi:50%", "random:50%", "first:50%"} {
		f := fitted(t, spec, collection)
		for _, d := range collection {
			after := prune(t, f, d).Vectors
			var want float64
			for s := range q.Rows {
				want += (maxSim(q.Row(s), d.Vectors) - maxSim(q.Row(s), after)) / float64(q.Rows)
			}
			got := Loss(q, d.Vectors, after)
			if math.Abs(got-want) > 1e-6 {
				t.Fatalf("%s: loss %v, want %v", spec, got, want)
			}
			losses[spec] += got
		}
	}
	if losses["none"] != 0 || losses["voronoi:50%"] > 0.7*losses["random:50%"] || losses["voronoi:50%"] > 0.7*losses["first:50%"] {
		t.Errorf("losses %v", losses)
	}
	if Loss(q, simd.Matrix{}, simd.Matrix{}) != 0 {
		t.Error("an empty document loses something")
	}
}

// dominated tells by linear programming whether another vector is at least as
// similar to every query there can be: whether vector k lies in the convex hull
// of the others, that is whether weights y >= 0 with sum 1 make it of them
// (Farkas' lemma; compare Zong and Piwowarski, SIGIR 2025, who also let queries
// of no similarity above 0 count as none).
func dominated(m simd.Matrix, k int) bool {
	a := mat.NewDense(m.Dim+1, m.Rows-1, nil)
	b := make([]float64, m.Dim+1)
	column := 0
	for i := range m.Rows {
		for d, x := range m.Row(i) {
			if i == k {
				b[d] = float64(x)
			} else {
				a.Set(d, column, float64(x))
			}
		}
		if i != k {
			a.Set(m.Dim, column, 1)
			column++
		}
	}
	b[m.Dim] = 1
	_, _, err := lp.Simplex(make([]float64, m.Rows-1), a, b, 1e-9, nil)
	return err == nil
}

// TestDominance holds Voronoi against the oracle: a dominated vector loses
// nothing in whatever direction, and one that is not wins some.
func TestDominance(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	const dim, n = 8, 15
	d := directions{vectors: UniformDirections(dim, 20000, 3)}
	for range 5 {
		m := simd.NewMatrix(n, dim)
		for i := range m.Data {
			m.Data[i] = float32(random.NormFloat64())
		}
		// Every third vector is a mean of all others, with weights.
		for i := 0; i < n; i += 3 {
			clear(m.Row(i))
			sum := 0.0
			weights := make([]float64, n)
			for j := range n {
				if j%3 != 0 {
					weights[j] = 0.1 + random.Float64()
					sum += weights[j]
				}
			}
			for j, weight := range weights {
				for k := range dim {
					m.Row(i)[k] += float32(weight/sum) * m.Row(j)[k]
				}
			}
		}
		var work voronoiScratch
		work.start(m, &d)
		for i := range n {
			err := work.errs[i] / float64(d.vectors.Rows)
			if isDominated := dominated(m, i); isDominated != (i%3 == 0) {
				t.Fatalf("vector %d: the oracle says dominated %v", i, isDominated)
			}
			if i%3 == 0 && err > 1e-6 {
				t.Errorf("vector %d is dominated and has error %v", i, err)
			}
			if i%3 != 0 && err == 0 {
				t.Errorf("vector %d wins no direction", i)
			}
		}
	}
	// Vectors of one length dominate none but their equals.
	m := document(random, 30).Vectors
	for i := range m.Rows {
		if dominated(m, i) {
			t.Errorf("vector %d of length 1 is dominated", i)
		}
	}
}

func BenchmarkVoronoi(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 1))
	m := simd.NewMatrix(100, 128)
	for i := range m.Data {
		m.Data[i] = float32(random.NormFloat64())
	}
	m.Normalize()
	documents := []encoder.Tokens{{Vectors: m}}
	f := fitted(b, "voronoi:50%", documents)
	for b.Loop() {
		prune(b, f, documents[0])
	}
	b.ReportMetric(float64(m.Rows)*float64(b.N)/b.Elapsed().Seconds(), "vectors/s")
}

func BenchmarkWard(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 1))
	m := simd.NewMatrix(100, 128)
	for i := range m.Data {
		m.Data[i] = float32(random.NormFloat64())
	}
	m.Normalize()
	for _, spec := range []string{"ward:2", "ward:2+rows"} {
		b.Run(spec, func(b *testing.B) {
			documents := []encoder.Tokens{{Vectors: m}}
			f := fitted(b, spec, documents)
			for b.Loop() {
				prune(b, f, documents[0])
			}
			b.ReportMetric(float64(m.Rows)*float64(b.N)/b.Elapsed().Seconds(), "vectors/s")
		})
	}
}
