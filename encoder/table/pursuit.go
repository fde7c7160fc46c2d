package table

import (
	"math"

	"github.com/pare-search/pare/simd"
)

// pursuit is orthogonal matching pursuit with the inner products of atoms computed
// once (Rubinstein, Zibulevsky and Elad, batch OMP, 2008). It is for one goroutine.
type pursuit struct {
	code     sparseCode
	products simd.Matrix // atoms x atoms

	rest   []float32   // correlations of atoms with what is left of the row
	least  float32     // correlations up to it are rounding
	chosen []int       // atoms, in the order they were chosen
	lower  [][]float64 // Cholesky factor of the products of chosen atoms
	right  []float64   // correlations of chosen atoms with the row
	values []float64
	work   []float64
	gain   float64 // of equal values: squares that they take away
}

func newPursuit(products simd.Matrix, count int, code sparseCode) *pursuit {
	p := &pursuit{
		code: code, products: products, rest: make([]float32, products.Rows),
		right: make([]float64, count), values: make([]float64, count), work: make([]float64, count),
	}
	for k := range count {
		p.lower = append(p.lower, make([]float64, k+1))
	}
	return p
}

// row writes the atoms of a row, whose correlations with all atoms are given, and
// their values, zeros where fewer atoms do.
func (p *pursuit) row(atoms []uint32, values, correlations []float32) {
	clear(atoms)
	clear(values)
	copy(p.rest, correlations)
	p.chosen, p.gain, p.least = p.chosen[:0], 0, 0
	for _, v := range correlations {
		p.least = max(p.least, 1e-6*v, -1e-6*v)
	}
	for range atoms {
		atom := p.next()
		if atom < 0 || !p.take(atom, float64(correlations[atom])) {
			break
		}
		copy(p.rest, correlations)
		p.subtract()
	}
	for k, a := range p.chosen {
		atoms[k], values[k] = uint32(a), float32(p.values[k])
	}
}

// subtract takes what the chosen atoms make from the rest, four atoms at a time: with one
// it would be the memory that takes the time.
func (p *pursuit) subtract() {
	for k := 0; k < len(p.chosen); k += 4 {
		var lines [4][]float32
		var values [4]float32
		for i := range lines {
			lines[i] = p.products.Row(p.chosen[min(k+i, len(p.chosen)-1)])[:len(p.rest)]
			if k+i < len(p.chosen) {
				values[i] = float32(p.values[k+i])
			}
		}
		a, b, c, d := lines[0], lines[1], lines[2], lines[3]
		for j := range p.rest {
			p.rest[j] -= values[0]*a[j] + values[1]*b[j] + values[2]*c[j] + values[3]*d[j]
		}
	}
}

// next returns the atom that is most like what is left, or -1 if none is.
func (p *pursuit) next() int {
	best, most := -1, p.least
	for a, v := range p.rest {
		if p.code != noNegatives && v < 0 {
			v = -v
		}
		if v > most {
			best, most = a, v
		}
	}
	for _, a := range p.chosen {
		if a == best {
			return -1 // nothing but rounding is left
		}
	}
	return best
}

// take adds an atom and finds the best values of all. It refuses one that the others
// can make.
func (p *pursuit) take(atom int, correlation float64) bool {
	k := len(p.chosen)
	line := p.lower[k]
	squares := float64(p.products.Row(atom)[atom])
	for i, a := range p.chosen {
		sum := float64(p.products.Row(atom)[a])
		for j := range i {
			sum -= line[j] * p.lower[i][j]
		}
		line[i] = sum / p.lower[i][i]
		squares -= line[i] * line[i]
	}
	if squares <= 1e-6*float64(p.products.Row(atom)[atom]) {
		return false
	}
	line[k] = math.Sqrt(squares)
	p.right[k] = correlation
	p.chosen = append(p.chosen, atom)
	switch p.code {
	case equalValues:
		return p.equal()
	case noNegatives:
		p.descend()
	default:
		p.solve()
	}
	return true
}

// solve sets the values to the least squares solution.
func (p *pursuit) solve() {
	n := len(p.chosen)
	for i := range n {
		sum := p.right[i]
		for j := range i {
			sum -= p.lower[i][j] * p.work[j]
		}
		p.work[i] = sum / p.lower[i][i]
	}
	for i := n - 1; i >= 0; i-- {
		sum := p.work[i]
		for j := i + 1; j < n; j++ {
			sum -= p.lower[j][i] * p.values[j]
		}
		p.values[i] = sum / p.lower[i][i]
	}
}

// descend lowers the squared error of values that may not be negative, one after
// the other. It begins with the values before, to which an atom of 0 was added, so
// that the error only falls.
func (p *pursuit) descend() {
	const sweeps = 20
	n := len(p.chosen)
	p.values[n-1] = 0
	for range sweeps {
		for i, a := range p.chosen {
			products := p.products.Row(a)
			sum := p.right[i]
			for j, b := range p.chosen {
				if j != i {
					sum -= p.values[j] * float64(products[b])
				}
			}
			p.values[i] = max(0, sum/float64(products[a]))
		}
	}
}

// equal gives all atoms the one magnitude that fits best, with the signs of their
// correlations when they were chosen. It drops the last one if that takes nothing
// away.
func (p *pursuit) equal() bool {
	n := len(p.chosen)
	p.work[n-1] = 1
	if p.rest[p.chosen[n-1]] < 0 {
		p.work[n-1] = -1
	}
	products, correlation := 0.0, 0.0
	for i, a := range p.chosen {
		correlation += p.work[i] * p.right[i]
		for j, b := range p.chosen {
			products += p.work[i] * p.work[j] * float64(p.products.Row(a)[b])
		}
	}
	if products <= 1e-9*float64(n) || correlation*correlation/products <= p.gain {
		p.chosen = p.chosen[:n-1]
		return false
	}
	p.gain = correlation * correlation / products
	for i := range p.chosen {
		p.values[i] = p.work[i] * correlation / products
	}
	return true
}
