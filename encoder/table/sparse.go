package table

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/pare-search/pare/simd"
	"github.com/pare-search/pare/simd/gemm"
)

// sparse are rows that are sums of few atoms, or that have few values other than
// zero where there are no atoms.
//
//	kind 's'
//	atoms   rows x terms: numbers of atoms, or of columns
//	values  rows x terms: what each is multiplied with; or rows x 1, if that is the
//	        same for all terms of a row but for the sign: then numbers of atoms from
//	        the number of atoms on mean the same atoms, subtracted, and twice that
//	        number means none
//	book    optional, atoms x dim; if the other arrays have so many rows less, the
//	        first rows are the atoms themselves
type sparse struct {
	atoms, values, book array
	own                 int // rows that are atoms
	equal               bool
}

func (s *sparse) row(dst []float32, id int) {
	clear(dst)
	if id < s.own {
		s.book.add(dst, id, 1)
		return
	}
	id -= s.own
	for t := range s.atoms.columns {
		atom := int(s.atoms.number(id, t))
		switch {
		case s.book.rows == 0:
			dst[atom] += s.values.float(id, t)
		case !s.equal:
			s.book.add(dst, atom, s.values.float(id, t))
		case atom < s.book.rows:
			s.book.add(dst, atom, s.values.float(id, 0))
		case atom < 2*s.book.rows:
			s.book.add(dst, atom-s.book.rows, -s.values.float(id, 0))
		}
	}
}

func openSparse(n node, rows, dim int) (form, error) {
	if len(n.arrays) < 2 || len(n.arrays) > 3 || len(n.parts) > 0 {
		return nil, fmt.Errorf("%w: sparse rows: %d arrays and %d parts", ErrCorrupt, len(n.arrays), len(n.parts))
	}
	s := &sparse{atoms: n.arrays[0], values: n.arrays[1]}
	terms, atoms := s.atoms.columns, dim
	if len(n.arrays) == 3 {
		s.book = n.arrays[2]
		atoms = s.book.rows
		if err := s.book.wants("atoms", true, atoms, dim); err != nil {
			return nil, err
		}
		if s.atoms.rows == rows-atoms {
			s.own, rows = atoms, rows-atoms
		}
		if s.equal = terms > 1 && s.values.columns == 1; s.equal {
			atoms = 2*atoms + 1
		}
	}
	if err := s.atoms.wants("numbers of atoms", false, rows, terms); err != nil {
		return nil, err
	}
	if err := s.atoms.below("numbers of atoms", atoms); err != nil {
		return nil, err
	}
	if s.equal {
		terms = 1
	}
	return s, s.values.wants("values", true, rows, terms)
}

// terms are what sparse rows are summed from: so many of each row.
type terms struct {
	count  int
	atoms  []uint32
	values simd.Matrix // rows x count
}

func newTerms(rows, count int) terms {
	return terms{count, make([]uint32, rows*count), simd.NewMatrix(rows, count)}
}

// node stores terms of so many atoms, and the atoms if they are no columns.
func (t terms) node(atoms int, book ...array) node {
	rows := t.values.Rows
	return node{kind: kindSparse, arrays: append([]array{numbers(bitsFor(atoms), rows, t.count, t.atoms), floats(int8s, t.values)}, book...)}
}

// equalNode stores terms whose values differ in sign only.
func (t terms) equalNode(atoms int, book array) node {
	rows := t.values.Rows
	numbered, values := make([]uint32, len(t.atoms)), simd.NewMatrix(rows, 1)
	for i := range rows {
		for k, v := range t.values.Row(i) {
			number := &numbered[i*t.count+k]
			switch *number = t.atoms[i*t.count+k]; {
			case v == 0:
				*number = uint32(2 * atoms)
			case v < 0:
				*number += uint32(atoms)
			}
			values.Data[i] = max(values.Data[i], v, -v)
		}
	}
	return node{kind: kindSparse, arrays: []array{numbers(bitsFor(2*atoms+1), rows, t.count, numbered), floats(float32s, values), book}}
}

// termsSize is the size of a node but for its book.
func termsSize(rows, count, atoms int) int {
	return nodeHeader + sizeOf(unsigneds, bitsFor(atoms), rows, count) + sizeOf(int8s, 0, rows, count)
}

// equalSize is that of terms whose values differ in sign only.
func equalSize(rows, count, atoms int) int {
	if count == 1 {
		return termsSize(rows, count, atoms) // with a value of its own
	}
	return nodeHeader + sizeOf(unsigneds, bitsFor(2*atoms+1), rows, count) + sizeOf(float32s, 0, rows, 1)
}

// fitMagnitude keeps the largest values of each row, more of frequent rows
// (DeepLight prunes by magnitude while it trains, more the less a field matters).
func fitMagnitude(ctx context.Context, p problem) (node, error) {
	b := p.frequencyBands(doubling(mixedBands)...)
	shares := make([]float64, len(b.counts))
	for i, weight := range b.meanWeights(p) {
		shares[i] = math.Pow(weight, popularity)
	}
	size := func(counts []int) int {
		total := groupsSize(b.order, p.Rows, p.Rows, len(b.counts))
		for i, rows := range b.counts {
			total += termsSize(rows, counts[i], p.Dim)
		}
		return total
	}
	counts, ok := inProportion(shares, p.Dim, func(counts []int) bool { return size(counts) <= p.budget })
	if !ok {
		return node{}, p.tooSmall(size(counts))
	}
	parts := make([]node, len(b.counts))
	for i, q := range b.each(p) {
		parts[i] = q.largestValues(counts[i]).node(p.Dim)
	}
	return groups(p.Rows, b.order, b.counts, parts), ctx.Err()
}

func (p problem) largestValues(count int) terms {
	out := newTerms(p.Rows, count)
	order := make([]int, p.Dim)
	for i := range p.Rows {
		row := p.Row(i)
		for d := range order {
			order[d] = d
		}
		slices.SortFunc(order, func(a, b int) int {
			return cmp.Or(cmp.Compare(math.Abs(float64(row[b])), math.Abs(float64(row[a]))), cmp.Compare(a, b))
		})
		for t, d := range order[:count] {
			out.atoms[i*count+t], out.values.Row(i)[t] = uint32(d), row[d]
		}
	}
	return out
}

// sparseCode is how rows are made from atoms.
type sparseCode uint8

const (
	anyValues   sparseCode = iota
	equalValues            // all atoms of a row count the same but for their sign
	noNegatives            // atoms are only added
)

const (
	dictionaryRounds = 4
	dictionaryRows   = 1 << 13 // rows that a dictionary is learnt from at most: time grows with them
	dictionaryShare  = 0.25    // of a budget
	overcomplete     = 3       // atoms for each dimension at most
	mostEqual        = 16      // terms of equal values: more hardly help
	mostTerms        = 48      // other terms: the time to find them grows with their square
)

// fitSparseCodes is dictionary learning: rows are sums of few atoms of an
// overcomplete dictionary (Faruqui et al.), by orthogonal matching pursuit (Pati,
// Rezaiifar and Krishnaprasad, 1993) and least squares of the atoms in turns (Engan,
// Aase and Husøy, method of optimal directions, 1999). The dictionary of a large matrix
// is learnt from some of its rows, and rows have a limited number of terms, both for the
// sake of time.
func fitSparseCodes(ctx context.Context, p problem) (node, error) {
	return p.dictionary(ctx, anyValues)
}

// fitSparseBinary gives all atoms of a row the same value, but for the sign: Faruqui
// et al.'s binary vectors with a scale.
func fitSparseBinary(ctx context.Context, p problem) (node, error) {
	return p.dictionary(ctx, equalValues)
}

// fitSparseNonNegative only adds atoms: the sparse non-negative factorisation that
// Andrews compares with levels at the same budget.
func fitSparseNonNegative(ctx context.Context, p problem) (node, error) {
	return p.dictionary(ctx, noNegatives)
}

func (p problem) dictionary(ctx context.Context, code sparseCode) (node, error) {
	atoms := most(1, min(p.Rows, overcomplete*p.Dim), func(n int) bool {
		return float64(sizeOf(int8s, 0, n, p.Dim)) <= dictionaryShare*float64(p.budget)
	})
	atoms = max(atoms, min(2, p.Rows))
	size, largest := termsSize, min(p.Dim, atoms, mostTerms)
	if code == equalValues {
		size, largest = equalSize, min(mostEqual, largest)
	}
	count := most(1, largest, func(count int) bool {
		return size(p.Rows, count, atoms)+sizeOf(int8s, 0, atoms, p.Dim) <= p.budget
	})
	if count < 1 {
		return node{}, p.tooSmall(size(p.Rows, 1, atoms) + sizeOf(int8s, 0, atoms, p.Dim))
	}
	learnt := p.sample(max(dictionaryRows, 4*atoms))
	book, _, err := kmeans(ctx, learnt.Matrix, learnt.weights, atoms, kmeansIterations, p.seed)
	if err != nil {
		return node{}, err
	}
	book.Normalize()
	for range dictionaryRounds - 1 {
		t, err := learnt.pursue(ctx, book, count, code)
		if err != nil {
			return node{}, err
		}
		if err := learnt.optimalDirections(book, t); err != nil {
			return node{}, err
		}
	}
	t, err := p.pursue(ctx, book, count, code)
	if err != nil {
		return node{}, err
	}
	if code == equalValues && count > 1 {
		return t.equalNode(atoms, floats(int8s, book)), nil
	}
	return t.node(atoms, floats(int8s, book)), nil
}

// sample returns the problem of so many rows at most, drawn by their weight.
func (p problem) sample(rows int) problem {
	if rows >= p.Rows {
		return p
	}
	some := make([]int32, rows)
	for i, row := range draw(rand.New(rand.NewPCG(p.seed, 0x73616d706c65)), p.weights, rows) {
		some[i] = int32(row)
	}
	return p.of(some, p.budget)
}

// pursue makes every row from count atoms.
func (p problem) pursue(ctx context.Context, book simd.Matrix, count int, code sparseCode) (terms, error) {
	out := newTerms(p.Rows, count)
	products, err := multiplied(ctx, book, book)
	if err != nil {
		return out, err
	}
	return out, times(ctx, p.Matrix, book, nil, func(lo, hi int, correlations gemm.Rows) {
		pursuit := newPursuit(products, count, code)
		for i := lo; i < hi; i++ {
			pursuit.row(out.atoms[i*count:(i+1)*count], out.values.Row(i), correlations.Data[(i-lo)*correlations.Stride:][:book.Rows])
		}
	})
}

// commonShares are the shares of a budget that common rows are tried with.
var commonShares = []float64{0.2, 0.4, 0.6, 0.8}

// maxCommon bounds the common rows, for the sake of time: rare rows have an inner product
// with each for every term.
const maxCommon = 2048

// fitSparseCommon makes rare rows sums of few frequent ones, which are stored (Chen
// et al. train the sums; here it is orthogonal matching pursuit). How much of the
// budget goes to frequent rows is tried out.
func fitSparseCommon(ctx context.Context, p problem) (node, error) {
	order := p.byWeight()
	frame := groupsSize(order, p.Rows, p.Rows, 1)
	var best node
	least, tried := math.Inf(1), 0
	for _, share := range commonShares {
		common := most(2, min(p.Rows-1, maxCommon), func(n int) bool {
			return float64(sizeOf(int8s, 0, n, p.Dim)) <= share*float64(p.budget)
		})
		if common < 2 || common == tried {
			continue
		}
		tried = common
		rare := p.Rows - common
		count := most(1, min(p.Dim, common, mostTerms), func(count int) bool {
			return frame+sizeOf(int8s, 0, common, p.Dim)+termsSize(rare, count, common) <= p.budget
		})
		if count < 1 {
			continue
		}
		stored := floats(int8s, p.of(order[:common], 0).Matrix)
		book := simd.NewMatrix(common, p.Dim)
		for i := range common {
			stored.add(book.Row(i), i, 1)
		}
		t, err := p.of(order[common:], 0).pursue(ctx, book, count, anyValues)
		if err != nil {
			return node{}, err
		}
		n := groups(p.Rows, order, []int{p.Rows}, []node{t.node(common, stored)})
		loss, err := p.loss(n)
		if err != nil {
			return node{}, err
		}
		if loss < least {
			best, least = n, loss
		}
	}
	if tried == 0 || best.kind == 0 {
		return node{}, p.tooSmall(frame + sizeOf(int8s, 0, 2, p.Dim) + termsSize(p.Rows-2, 1, 2))
	}
	return best, nil
}

// optimalDirections sets the atoms to the weighted least squares solution for given
// terms, of length 1; atoms that no row uses stay as they are.
func (p problem) optimalDirections(book simd.Matrix, t terms) error {
	n := book.Rows
	normal, right := mat.NewSymDense(n, nil), mat.NewDense(n, p.Dim, nil)
	used := make([]bool, n)
	for i := range p.Rows {
		atoms, values := t.atoms[i*t.count:(i+1)*t.count], t.values.Row(i)
		for a, atom := range atoms {
			w := p.weights[i] * float64(values[a])
			if w == 0 {
				continue
			}
			used[atom] = true
			for b, other := range atoms {
				if other >= atom {
					normal.SetSym(int(atom), int(other), normal.At(int(atom), int(other))+w*float64(values[b]))
				}
			}
			line := right.RawRowView(int(atom))
			for d, v := range p.Row(i) {
				line[d] += w * float64(v)
			}
		}
	}
	ridge := 1e-6 * mat.Trace(normal) / float64(n)
	if ridge == 0 {
		return nil // no row uses an atom
	}
	for atom := range n {
		normal.SetSym(atom, atom, normal.At(atom, atom)+ridge)
	}
	var cholesky mat.Cholesky
	if !cholesky.Factorize(normal) {
		return errEigen
	}
	var solution mat.Dense
	if err := cholesky.SolveTo(&solution, right); err != nil {
		return err
	}
	for atom := range n {
		if !used[atom] {
			continue
		}
		row := book.Row(atom)
		for d := range row {
			row[d] = float32(solution.At(atom, d))
		}
	}
	book.Normalize()
	return nil
}
