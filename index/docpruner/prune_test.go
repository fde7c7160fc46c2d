package docpruner

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/simd"
)

// specs has every strategy and option.
var specs = []string{
	"none", "stopwords:english", "stopwords:30%", "idf:5", "docidf:4", "first:7", "first:40%", "random:5", "random:40%+seed=3", "norm:0.5",
	"ward:2", "ward:3+protect=1", "ward:2+rows", "ward:2+raw", "voronoi:50%", "voronoi:40%+each", "voronoi:30%+tokens", "voronoi:30%+queries+directions=100",
	"voronoi:60%+ward:2", "idf:3+voronoi:50%+ward:1.5+protect=2+seed=8", "ward:2+voronoi:50%",
}

// TestInvariants holds what every strategy promises against documents of every
// shape.
func TestInvariants(t *testing.T) {
	collection := documents(60, 1)
	random := rand.New(rand.NewPCG(2, 2))
	shapes := append(slices.Clone(collection[:10]), document(random, 1), document(random, 2), document(random, 300))
	same := document(random, 9)
	for i := range 9 {
		copy(same.Vectors.Row(i), same.Vectors.Row(0))
		same.IDs[i] = 0
	}
	zero := encoder.Tokens{IDs: make([]uint32, 6), Vectors: simd.NewMatrix(6, testDim)}
	frequent := document(random, 5)
	for i := range frequent.IDs {
		frequent.IDs[i] = 0
	}
	shapes = append(shapes, same, zero, frequent)
	for _, spec := range specs {
		f := fitted(t, spec, collection)
		dropsOnly := !strings.Contains(spec, "ward")
		for i, d := range shapes {
			before := fmt.Sprint(d)
			pruned := prune(t, f, d)
			if fmt.Sprint(d) != before {
				t.Fatalf("%s changed document %d", spec, i)
			}
			checkPruned(t, fmt.Sprintf("%s, document %d", spec, i), d, pruned, dropsOnly)
		}
	}
}

func checkPruned(t *testing.T, name string, d encoder.Tokens, pruned Pruned, dropsOnly bool) {
	t.Helper()
	if err := pruned.Validate(testDim); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	n := pruned.Vectors.Rows
	if n == 0 {
		t.Errorf("%s has no vectors left", name)
	}
	members := make([][]int, n)
	for i := range d.Vectors.Rows {
		if place := pruned.Place(i); place >= 0 {
			members[place] = append(members[place], i)
		}
	}
	first := -1
	for place, rows := range members {
		if len(rows) == 0 || rows[0] <= first {
			t.Fatalf("%s: vector %d is made of rows %v", name, place, rows)
		}
		first = rows[0]
		if dropsOnly && len(rows) != 1 {
			t.Errorf("%s: vector %d is made of rows %v", name, place, rows)
		}
		if len(rows) == 1 && !slices.Equal(pruned.Vectors.Row(place), d.Vectors.Row(rows[0])) {
			t.Errorf("%s: vector %d differs from row %d", name, place, rows[0])
		}
		// The id and the span are those of the nearest member.
		nearest, best := rows[0], math.Inf(-1)
		for _, row := range rows {
			if x := dot(pruned.Vectors.Row(place), d.Vectors.Row(row)); x > best+1e-5 {
				nearest, best = row, x
			}
		}
		if pruned.IDs[place] != d.IDs[nearest] || d.Spans != nil && pruned.Spans[place] != d.Spans[nearest] {
			t.Errorf("%s: vector %d is named after another than row %d", name, place, nearest)
		}
	}
	if dropsOnly {
		q := UniformDirections(testDim, 20, 5)
		for i := range q.Rows {
			if maxSim(q.Row(i), pruned.Vectors) > maxSim(q.Row(i), d.Vectors) {
				t.Errorf("%s: dropping vectors made a direction match better", name)
			}
		}
	}
}

// TestDeterminism prunes with one processor and with several, and after saving.
func TestDeterminism(t *testing.T) {
	collection := documents(60, 1)
	for _, spec := range specs {
		run := func(workers int) ([]Pruned, []byte) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(workers))
			f := fitted(t, spec, collection)
			pruned, err := f.PruneAll(t.Context(), collection)
			if err != nil {
				t.Fatal(err)
			}
			data, err := f.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			return pruned, data
		}
		one, data := run(1)
		several, again := run(5)
		if !reflect.DeepEqual(one, several) || !slices.Equal(data, again) {
			t.Errorf("%s depends on the number of goroutines", spec)
		}
		loaded, err := Load(data)
		if err != nil {
			t.Fatalf("%s: %v", spec, err)
		}
		if got := loaded.Pruner().String(); got != spec {
			t.Errorf("%s is loaded as %s", spec, got)
		}
		saved, err := loaded.MarshalBinary()
		if err != nil || !slices.Equal(saved, data) {
			t.Errorf("%s is saved differently the second time, error %v", spec, err)
		}
		if pruned, err := loaded.PruneAll(t.Context(), collection); err != nil || !reflect.DeepEqual(pruned, one) {
			t.Errorf("%s prunes differently after loading, error %v", spec, err)
		}
	}
}

// keptIDs returns the rows that were not dropped.
func keptRows(d encoder.Tokens, p Pruned) (rows []int) {
	for i := range d.Vectors.Rows {
		if p.Place(i) >= 0 {
			rows = append(rows, i)
		}
	}
	return rows
}

func TestFrequencies(t *testing.T) {
	collection := documents(80, 3)
	counts := make(map[uint32]int) // documents
	for _, d := range collection {
		seen := make(map[uint32]bool)
		for _, id := range d.IDs {
			if !seen[id] {
				counts[id]++
			}
			seen[id] = true
		}
	}
	// moreFrequent counts the ids in more documents than one has.
	moreFrequent := func(id uint32) (n int) {
		for other, count := range counts {
			if !slices.Contains(special, other) && count > counts[id] {
				n++
			}
		}
		return n
	}
	idf, share, list, document := fitted(t, "idf:6", collection), fitted(t, "stopwords:40%", collection), fitted(t, "stopwords:english", collection), fitted(t, "docidf:3", collection)
	for _, d := range collection {
		for row, id := range d.IDs {
			isSpecial := slices.Contains(special, id)
			kept := prune(t, idf, d).Place(row) >= 0
			if above := moreFrequent(id); !isSpecial && (kept && above == 0 || !kept && above >= 6) || isSpecial && !kept {
				t.Errorf("idf:6 kept %v token %d, less frequent than %d", kept, id, above)
			}
			if kept, want := prune(t, share, d).Place(row) >= 0, isSpecial || counts[id] <= 32; kept != want {
				t.Errorf("stopwords:40%% kept %v token %d in %d documents", kept, id, counts[id])
			}
			if kept, want := prune(t, list, d).Place(row) >= 0, id > 2; kept != want {
				t.Errorf("stopwords kept %v token %d", kept, id)
			}
		}
		pruned := prune(t, document, d)
		if want := max(len(d.IDs)-3, 2); len(d.IDs) > 4 && pruned.Vectors.Rows != want {
			t.Errorf("docidf:3 keeps %d of %d", pruned.Vectors.Rows, len(d.IDs))
		}
		leastDropped := math.MaxInt
		for row, id := range d.IDs {
			if pruned.Place(row) < 0 {
				leastDropped = min(leastDropped, counts[id])
			}
		}
		for _, id := range pruned.IDs {
			if !slices.Contains(special, id) && counts[id] > leastDropped {
				t.Errorf("docidf:3 kept a token in %d documents and dropped one in %d", counts[id], leastDropped)
			}
		}
	}
}

// TestAllFrequent keeps the rarest token of a document that has only frequent
// ones.
func TestAllFrequent(t *testing.T) {
	collection := documents(50, 4)
	f := fitted(t, "idf:1000", collection)
	d := collection[0]
	for i := range d.IDs {
		d.IDs[i] = 0
	}
	d.IDs[2] = 30
	if rows := keptRows(d, prune(t, f, d)); !slices.Equal(rows, []int{2}) {
		t.Errorf("kept rows %v, want that of the rarest token", rows)
	}
}

func TestPositions(t *testing.T) {
	d := document(rand.New(rand.NewPCG(5, 5)), 25)
	for spec, want := range map[string]int{"first:7": 7, "first:30": 25, "first:28%": 7, "first:29%": 8, "first:1%": 1, "random:7": 7, "random:28%": 7} {
		rows := keptRows(d, prune(t, fitted(t, spec, []encoder.Tokens{d}), d))
		if len(rows) != want {
			t.Errorf("%s keeps %d of 25, want %d", spec, len(rows), want)
		}
		if strings.HasPrefix(spec, "first") && rows[len(rows)-1] != want-1 {
			t.Errorf("%s keeps rows %v", spec, rows)
		}
	}
}

// TestRandomIsEven draws from many documents and seeds.
func TestRandomIsEven(t *testing.T) {
	counts := make([]int, 20)
	const rounds = 2000
	random := rand.New(rand.NewPCG(6, 6))
	for range rounds {
		d := document(random, 20)
		for _, row := range drawn(d, 5, 9) {
			counts[row]++
		}
	}
	// Each row is drawn with probability 1/4: four standard deviations are 77.
	for row, count := range counts {
		if math.Abs(float64(count)-rounds/4) > 4*math.Sqrt(rounds*0.25*0.75) {
			t.Errorf("row %d was kept %d times of %d, want a quarter", row, count, rounds)
		}
	}
}

func TestNorm(t *testing.T) {
	d := encoder.Tokens{Vectors: simd.NewMatrix(4, 8)}
	for i, length := range []float32{0.3, 0.5, 0.1, 2} {
		d.Vectors.Row(i)[i] = -length
	}
	for spec, want := range map[string][]int{"norm:0.5": {1, 3}, "norm:0.05": {0, 1, 2, 3}, "norm:9": {3}} {
		if rows := keptRows(d, prune(t, fitted(t, spec, []encoder.Tokens{d}), d)); !slices.Equal(rows, want) {
			t.Errorf("%s keeps rows %v, want %v", spec, rows, want)
		}
	}
}

func TestWithoutIDs(t *testing.T) {
	collection := documents(20, 7)
	for i := range collection {
		collection[i].IDs = nil
	}
	for _, spec := range specs {
		p, err := Parse(spec)
		if err != nil {
			t.Fatal(err)
		}
		options := DefaultFitOptions()
		options.StopWords, options.Queries = map[string][]uint32{"english": {1}}, collection[0].Vectors
		f, err := p.Fit(t.Context(), each(collection), options)
		if p.NeedsIDs() {
			if !errors.Is(err, ErrNoIDs) || !strings.Contains(err.Error(), spec) {
				t.Errorf("%s: error %v, want ErrNoIDs", spec, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", spec, err)
			continue
		}
		if pruned := prune(t, f, collection[0]); pruned.IDs != nil || pruned.Vectors.Rows == 0 {
			t.Errorf("%s: %d vectors, ids %v", spec, pruned.Vectors.Rows, pruned.IDs)
		}
	}
	f := fitted(t, "idf:3", documents(20, 7))
	if _, err := f.PruneAll(t.Context(), collection); !errors.Is(err, ErrNoIDs) || !strings.Contains(err.Error(), "document 0") {
		t.Errorf("error %v, want ErrNoIDs of a document", err)
	}
}

func TestPruneErrors(t *testing.T) {
	f := fitted(t, "voronoi:50%", documents(20, 7))
	if _, err := f.Prune(encoder.Tokens{Vectors: simd.NewMatrix(3, 8)}); !errors.Is(err, ErrInvalid) {
		t.Errorf("another width: error %v, want ErrInvalid", err)
	}
	bad := encoder.Tokens{Vectors: simd.NewMatrix(3, testDim)}
	bad.Vectors.Data[4] = float32(math.NaN())
	if _, err := f.Prune(bad); !errors.Is(err, encoder.ErrInvalid) {
		t.Errorf("not a number: error %v, want encoder.ErrInvalid", err)
	}
	if pruned, err := f.Prune(encoder.Tokens{}); err != nil || pruned.Vectors.Rows != 0 {
		t.Errorf("no vectors: %d vectors, error %v", pruned.Vectors.Rows, err)
	}
}
