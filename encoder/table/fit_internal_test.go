package table

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/pare-search/pare/internal/fields"
	"github.com/pare-search/pare/simd"
)

// random returns a problem of rows without structure, with weights from 1 to 1000.
func random(rows, dim, budget int) problem {
	rng := rand.New(rand.NewPCG(3, uint64(rows*dim)))
	p := problem{Matrix: simd.NewMatrix(rows, dim), budget: budget, seed: 5}
	for i := range p.Data {
		p.Data[i] = float32(rng.NormFloat64())
	}
	for range rows {
		p.weights = append(p.weights, math.Pow(1000, rng.Float64()))
	}
	return p
}

// relative is the squared error over the squares.
func (p problem) relative(t *testing.T, n node) float64 {
	t.Helper()
	f, err := n.open(p.Rows, p.Dim)
	if err != nil {
		t.Fatal(err)
	}
	row, lost, all := make([]float32, p.Dim), 0.0, 0.0
	for id := range p.Rows {
		f.row(row, id)
		for d, v := range p.Row(id) {
			lost += math.Pow(float64(v)-float64(row[d]), 2)
			all += float64(v) * float64(v)
		}
	}
	return lost / all
}

// TestFullRank gives methods all the room they can use, with their own forms and
// not the plain rows that Fit would take: what they make is then the matrix, but for
// rounding. The shapes have and have not exact factors.
func TestFullRank(t *testing.T) {
	fits := map[string]func(context.Context, problem) (node, error){
		"tensor-train": fitTensorTrain, "word2ket": fitWord2Ket, "word2ketxs": fitWord2KetXS, "robe": fitROBE,
		"group-reduce": fitGroupReduce, "distilled": fitDistilled, "mixed-dims": fitMixedDims, "mixed-dims-inverse": fitMixedDimsInverse,
		"searched-dims": fitSearchedDims, "quotient-remainder": fitQuotientRemainder, "row-clusters": fitRowClusters,
	}
	for _, shape := range [][2]int{{60, 24}, {101, 16}, {37, 40}} {
		p := random(shape[0], shape[1], 1<<24)
		for name, fit := range fits {
			n, err := fit(t.Context(), p)
			if err != nil {
				t.Fatalf("%s %d: %v", name, shape, err)
			}
			if lost := p.relative(t, n); lost > 1e-10 {
				t.Errorf("%s %d loses %v of the squares", name, shape, lost)
			}
		}
	}
}

// TestPrincipal compares the directions with the definition: gram, a plain sum, times
// a direction is the direction times its value.
func TestPrincipal(t *testing.T) {
	p := random(300, 16, 0)
	directions, squares, err := p.principal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var total float64
	for r := range p.Dim {
		v := directions.Row(r)
		image := make([]float64, p.Dim)
		for i := range p.Rows {
			along := 0.0
			for d, x := range p.Row(i) {
				along += float64(x) * float64(v[d])
			}
			for d, x := range p.Row(i) {
				image[d] += p.weights[i] * along * float64(x)
			}
		}
		for d := range image {
			if math.Abs(image[d]-squares[r]*float64(v[d])) > 1e-4*squares[0] {
				t.Errorf("direction %d, column %d: %v, want %v", r, d, image[d], squares[r]*float64(v[d]))
			}
		}
		if r > 0 && squares[r] > squares[r-1] {
			t.Errorf("value %d is larger than the one before", r)
		}
		total += squares[r]
	}
	want := 0.0
	for i := range p.Rows {
		want += p.weights[i] * float64(square(p.Row(i)))
	}
	if math.Abs(total-want) > 1e-5*want {
		t.Errorf("all values are %v, the squares %v", total, want)
	}
}

// TestDistilledLoss is the theorem of Eckart and Young: of rows projected on the
// first directions the weighted squares along the others are lost.
func TestDistilledLoss(t *testing.T) {
	p := random(200, 16, 0)
	directions, squares, err := p.principal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for rank := 1; rank < p.Dim; rank++ {
		n, err := fitFactors(t.Context(), p, directions, rank, float32s)
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.loss(n)
		if err != nil {
			t.Fatal(err)
		}
		want := 0.0
		for _, s := range squares[rank:] {
			want += s
		}
		if math.Abs(got-want) > 1e-4*squares[0] {
			t.Errorf("rank %d loses %v, want %v", rank, got, want)
		}
	}
}

// TestGroupReduceKeeps is that rows are regrouped only where that loses less than bands
// of frequency do, with rows that have something to gain from it and with rows that
// have not.
func TestGroupReduceKeeps(t *testing.T) {
	for _, p := range []problem{random(400, 24, 9000), unequal(400, 24, 9000), random(90, 40, 3000)} {
		b := p.frequencyBands(doubling(reduceBands)...)
		shares := make([]float64, len(b.counts))
		for i, weight := range b.meanWeights(p) {
			shares[i] = math.Sqrt(weight)
		}
		first, err := b.ranked(t.Context(), p, shares)
		if err != nil {
			t.Fatal(err)
		}
		fitted, err := fitGroupReduce(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		before, err := p.loss(first)
		if err != nil {
			t.Fatal(err)
		}
		after, err := p.loss(fitted)
		if err != nil {
			t.Fatal(err)
		}
		if after > before {
			t.Errorf("regrouping %d x %d loses %v, bands of frequency %v", p.Rows, p.Dim, after, before)
		}
	}
}

// TestLloydMax checks what defines the levels: each is the weighted mean of the
// values nearest to it.
func TestLloydMax(t *testing.T) {
	p := random(500, 1, 0)
	for _, bits := range []int{1, 2, 3} {
		values := make([]weighted, p.Rows)
		for i := range values {
			values[i] = weighted{p.Data[i], p.weights[i]}
		}
		levels := make([]float32, 1<<bits)
		lloydMax(levels, values)
		sums, total := make([]float64, len(levels)), make([]float64, len(levels))
		for _, v := range values {
			nearest := nearestLevel(levels, v.value, 1)
			for l := range levels {
				if math.Abs(float64(levels[l]-v.value)) < math.Abs(float64(levels[nearest]-v.value)) {
					t.Fatalf("%d bits: level %d is nearer to %v than %d", bits, l, v.value, nearest)
				}
			}
			sums[nearest] += v.weight * float64(v.value)
			total[nearest] += v.weight
		}
		for l, level := range levels {
			if math.Abs(sums[l]/total[l]-float64(level)) > 0.02 {
				t.Errorf("%d bits: level %d is %v, the mean of its values %v", bits, l, level, sums[l]/total[l])
			}
		}
	}
	// Max's table for the normal distribution and four levels.
	want := []float32{-1.510, -0.4528, 0.4528, 1.510}
	for i, got := range normal().levels[2] {
		if math.Abs(float64(got-want[i])) > 0.01 {
			t.Errorf("normal level %d is %v, want %v", i, got, want[i])
		}
	}
}

// TestRotation is that the rotation keeps lengths and is undone.
func TestRotation(t *testing.T) {
	for _, dim := range []int{1, 8, 24, 100, 384} {
		p := random(5, dim, 0)
		r := newRotation(dim, 9)
		for i := range p.Rows {
			v := slices.Clone(p.Row(i))
			r.forth(v)
			if a, b := square(v), square(p.Row(i)); math.Abs(float64(a-b)) > 1e-4*float64(b) {
				t.Errorf("%d dimensions: squares %v became %v", dim, b, a)
			}
			r.back(v)
			for d, x := range p.Row(i) {
				if math.Abs(float64(x-v[d])) > 1e-5 {
					t.Fatalf("%d dimensions: %v came back as %v", dim, x, v[d])
				}
			}
		}
	}
}

// TestKmeans compares with assignment by plain distances, and with means by sums.
func TestKmeans(t *testing.T) {
	p := random(400, 8, 0)
	centroids, assigned, err := kmeans(t.Context(), p.Matrix, p.weights, 20, kmeansIterations, 1)
	if err != nil {
		t.Fatal(err)
	}
	distance := func(i, c int) (sum float64) {
		for d, v := range p.Row(i) {
			sum += math.Pow(float64(v-centroids.Row(c)[d]), 2)
		}
		return sum
	}
	for i, got := range assigned {
		for c := range centroids.Rows {
			if distance(i, c) < distance(i, int(got))-1e-5 {
				t.Fatalf("row %d is nearer to %d than to %d", i, c, got)
			}
		}
	}
}

// TestPursuit compares with orthogonal matching pursuit written down plainly: the
// atom with the largest correlation, then least squares over all chosen ones.
func TestPursuit(t *testing.T) {
	p := random(30, 12, 0)
	book := random(40, 12, 0).Matrix
	book.Normalize()
	const count = 5
	got, err := p.pursue(t.Context(), book, count, anyValues)
	if err != nil {
		t.Fatal(err)
	}
	for i := range p.Rows {
		rest := slices.Clone(p.Row(i))
		var chosen []int
		for range count {
			best, most := -1, 0.0
			for a := range book.Rows {
				if c := math.Abs(float64(simd.Dot(book.Row(a), rest))); c > most {
					best, most = a, c
				}
			}
			chosen = append(chosen, best)
			design, target := mat.NewDense(p.Dim, len(chosen), nil), mat.NewDense(p.Dim, 1, nil)
			for d := range p.Dim {
				target.Set(d, 0, float64(p.Row(i)[d]))
				for k, a := range chosen {
					design.Set(d, k, float64(book.Row(a)[d]))
				}
			}
			var solution mat.Dense
			if err := solution.Solve(design, target); err != nil {
				t.Fatal(err)
			}
			copy(rest, p.Row(i))
			for k, a := range chosen {
				for d, v := range book.Row(a) {
					rest[d] -= float32(solution.At(k, 0)) * v
				}
			}
		}
		left := slices.Clone(p.Row(i))
		for k, a := range got.atoms[i*count : (i+1)*count] {
			if int(a) != chosen[k] {
				t.Errorf("row %d: atom %d is %d, want %d", i, k, a, chosen[k])
			}
			for d, v := range book.Row(int(a)) {
				left[d] -= got.values.Row(i)[k] * v
			}
		}
		if a, b := square(left), square(rest); math.Abs(float64(a-b)) > 1e-3*float64(square(p.Row(i))) {
			t.Errorf("row %d: squares of %v are left, want %v", i, a, b)
		}
	}
}

// TestROBE is that every shared value is the weighted mean of what it stands for.
func TestROBE(t *testing.T) {
	p := random(50, 64, 3000)
	n, err := fitROBE(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := n.open(p.Rows, p.Dim)
	if err != nil {
		t.Fatal(err)
	}
	b := opened.(*blocks)
	sums, total := make([]float64, b.array.rows), make([]float64, b.array.rows)
	for id := range p.Rows {
		for i := range b.perRow {
			slot, sign := b.slot(id*b.perRow + i)
			sums[slot] += p.weights[id] * float64(sign*p.Row(id)[i*b.width])
			total[slot] += p.weights[id]
		}
	}
	for slot := range sums {
		if want := sums[slot] / total[slot]; total[slot] > 0 && math.Abs(float64(b.array.float(slot, 0))-want) > 0.02 {
			t.Errorf("slot %d is %v, want %v", slot, b.array.float(slot, 0), want)
		}
	}
}

// TestAllocations holds look-ups of every method to none.
func TestAllocations(t *testing.T) {
	p := random(300, 32, 0)
	frequencies := make([]int64, p.Rows)
	for i := range frequencies {
		frequencies[i] = int64(p.weights[i])
	}
	for _, m := range Methods() {
		fitted, err := Fit(t.Context(), m.Name, p.Matrix, Options{Budget: 3 * len(p.Data), Frequencies: frequencies})
		if errors.Is(err, ErrBudget) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		row := make([]float32, p.Dim)
		if n := testing.AllocsPerRun(20, func() {
			for id := range 50 {
				fitted.Row(row, id)
			}
		}); n > 0 {
			t.Errorf("%s: %v allocations", m.Name, n)
		}
	}
}

// TestDeterministic is that tables do not depend on the number of processors.
func TestDeterministic(t *testing.T) {
	p := random(500, 24, 0)
	for _, m := range Methods() {
		var saved [][]byte
		for _, processors := range []int{1, 4} {
			before := runtime.GOMAXPROCS(processors)
			fitted, err := Fit(t.Context(), m.Name, p.Matrix, Options{Budget: 2 * len(p.Data), Seed: 3})
			runtime.GOMAXPROCS(before)
			if errors.Is(err, ErrBudget) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			data, _ := fitted.MarshalBinary()
			saved = append(saved, data)
		}
		if len(saved) == 2 && !bytes.Equal(saved[0], saved[1]) {
			t.Errorf("%s: 1 and 4 processors make different tables", m.Name)
		}
	}
}

func TestInvalid(t *testing.T) {
	good := random(10, 8, 0).Matrix
	bad := simd.Matrix{Rows: 10, Dim: 8, Data: slices.Clone(good.Data)}
	bad.Data[17] = float32(math.NaN())
	for name, c := range map[string]struct {
		method  string
		matrix  simd.Matrix
		options Options
		want    error
		text    string
	}{
		"no rows":            {"lloyd", simd.Matrix{Dim: 8}, Options{Budget: 100}, ErrInvalid, "0 x 8"},
		"a value missing":    {"lloyd", simd.Matrix{Rows: 10, Dim: 8, Data: good.Data[1:]}, Options{Budget: 100}, ErrInvalid, "79 values"},
		"not a number":       {"lloyd", bad, Options{Budget: 100}, ErrInvalid, "row 2, column 1 is NaN"},
		"too few weights":    {"lloyd", good, Options{Budget: 100, Frequencies: make([]int64, 9)}, ErrInvalid, "9 frequencies for 10 rows"},
		"negative frequency": {"lloyd", good, Options{Budget: 100, Frequencies: []int64{0, 0, 0, -1, 0, 0, 0, 0, 0, 0}}, ErrInvalid, "row 3 is -1"},
		"no budget":          {"lloyd", good, Options{}, ErrBudget, "0 bytes"},
		"unknown method":     {"zip", good, Options{Budget: 100}, ErrInvalid, `unknown method "zip"`},
	} {
		_, err := Fit(t.Context(), c.method, c.matrix, c.options)
		if !errors.Is(err, c.want) || !bytes.Contains([]byte(err.Error()), []byte(c.text)) {
			t.Errorf("%s: %v, want %v with %q", name, err, c.want, c.text)
		}
	}
	for _, m := range Methods() {
		if _, err := Fit(t.Context(), m.Name, good, Options{Budget: 40}); !errors.Is(err, ErrBudget) {
			t.Errorf("%s in 40 bytes: %v, want %v", m.Name, err, ErrBudget)
		}
	}
}

// FuzzLoad changes saved tables: they load with an error, or make rows of finite
// or not finite numbers, but nothing panics.
func FuzzLoad(f *testing.F) {
	p := random(40, 8, 0)
	for _, m := range Methods() {
		fitted, err := Fit(f.Context(), m.Name, p.Matrix, Options{Budget: 3 * len(p.Data)})
		if err == nil {
			data, _ := fitted.MarshalBinary()
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4 { // behind the checksum
			data = fields.Seal(data[:len(data)-4])
		}
		loaded, err := Load(data)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrVersion) {
				t.Errorf("%v", err)
			}
			return
		}
		row := make([]float32, loaded.Dim())
		for id := range min(loaded.Rows(), 100) {
			loaded.Row(row, id)
		}
	})
}
