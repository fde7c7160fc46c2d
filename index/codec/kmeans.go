package codec

import (
	"context"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/pare-search/pare/simd"
)

const (
	// flatMeans is the number of centroids up to which k-means compares every
	// vector with every centroid; more are trained in two levels.
	flatMeans = 256
	// meansSample is the number of vectors per centroid beyond which more do
	// not move the centroids.
	meansSample = 256
	// sharedWork is the number of dot products from which on one k-means is
	// shared between goroutines rather than run beside others.
	sharedWork = 1 << 22
)

// clustering runs many k-means over the same vectors.
type clustering struct {
	ctx        context.Context
	vectors    simd.Matrix
	iterations int
	seed       uint64
	done       func(vectors int) // called from several goroutines
}

// group is a set of vectors, by row, that share so many centroids.
type group struct {
	rows  []int32
	cells int
}

// run returns the centroids of each group. Where vectors repeat, there may be
// fewer than asked for, but never none. The result depends on nothing but the
// vectors and the seed.
func (c *clustering) run(groups []group) ([]simd.Matrix, error) {
	// Groups that want many centroids are first cut into smaller ones.
	var tasks []group
	ends := make([]int, len(groups))
	for i, g := range groups {
		smaller, err := c.divide(g)
		if err != nil {
			return nil, err
		}
		tasks = append(tasks, smaller...)
		ends[i] = len(tasks)
	}

	means := make([]simd.Matrix, len(tasks))
	one := func(i int, shared bool) {
		rng := rand.New(rand.NewPCG(c.seed, uint64(i)))
		means[i] = c.means(tasks[i], rng, shared)
		c.done(len(tasks[i].rows))
	}
	var small []int
	for i, t := range tasks {
		if len(t.rows)*t.cells < sharedWork {
			small = append(small, i)
		} else {
			one(i, true)
		}
	}
	parallel(c.ctx, len(small), 1, func(lo, _ int) { one(small[lo], false) })
	if err := c.ctx.Err(); err != nil {
		return nil, err
	}

	out := make([]simd.Matrix, len(groups))
	start := 0
	for i, end := range ends {
		out[i] = stack(c.vectors.Dim, means[start:end])
		start = end
	}
	return out, nil
}

// divide cuts a group that wants too many centroids for one flat k-means into
// about as many parts as each part then has centroids.
func (c *clustering) divide(g group) ([]group, error) {
	if g.cells <= flatMeans {
		return []group{g}, nil
	}
	k := int(math.Sqrt(float64(g.cells)))
	rng := rand.New(rand.NewPCG(c.seed, uint64(len(g.rows))<<32|uint64(g.cells)))
	means := c.means(group{g.rows, k}, rng, true)
	if err := c.ctx.Err(); err != nil {
		return nil, err
	}
	if means.Rows == 1 {
		g.cells = flatMeans
		return []group{g}, nil
	}
	assigned := make([]int32, len(g.rows))
	c.assign(assigned, g.rows, means, true)
	members := make([][]int32, means.Rows)
	parts(c.ctx, len(assigned), 1<<16, func(lo, hi int) {
		for i, a := range assigned[lo:hi] {
			members[a] = append(members[a], g.rows[lo+i])
		}
	})
	var smaller []group
	for _, rows := range members {
		if len(rows) > 0 {
			smaller = append(smaller, group{rows: rows})
		}
	}
	share(c.ctx, c.vectors, smaller, g.cells)
	for i := range smaller {
		smaller[i].cells = min(smaller[i].cells, flatMeans)
	}
	return smaller, nil
}

// means is k-means on one group: Lloyd's rounds from random vectors, with a
// cell that lost all its vectors taking half of the largest one.
func (c *clustering) means(g group, rng *rand.Rand, shared bool) simd.Matrix {
	rows := spaced(g.rows, meansSample*g.cells)
	k := min(g.cells, len(rows))
	// Read many times, they are brought together once.
	near := *c
	near.vectors = c.view(rows, new([]float32))
	rows = sequence(len(rows))
	means := simd.NewMatrix(k, c.vectors.Dim)
	for i, at := range rng.Perm(len(rows))[:k] {
		copy(means.Row(i), near.vectors.Row(at))
	}
	rounds := c.iterations
	if k == 1 {
		rounds = 1
	}
	counts := make([]int, k)
	assigned := make([]int32, len(rows))
	split := true
	for round := range rounds {
		if c.ctx.Err() != nil {
			break
		}
		if moved := near.assign(assigned, rows, means, shared); !moved && !split {
			break // and none would move in the rounds to come
		}
		near.average(means, counts, assigned, shared)
		split = round < rounds-1 && splitLargest(means, counts)
	}
	return keep(means, counts)
}

// average sets means to those of the vectors assigned to each, and counts to
// how many these are.
func (c *clustering) average(means simd.Matrix, counts []int, assigned []int32, shared bool) {
	clear(counts)
	clear(means.Data)
	// Goroutines share the means, not the vectors, so that every mean is summed
	// in order.
	work := func(lo, hi int) {
		parts(c.ctx, len(assigned), rowsAtOnce(means.Dim), func(from, to int) {
			for i, a := range assigned[from:to] {
				if a := int(a); a >= lo && a < hi {
					simd.Add(means.Row(a), c.vectors.Row(from+i))
					counts[a]++
				}
			}
		})
		for i := lo; i < hi; i++ {
			if counts[i] > 0 {
				scaleRow(means.Row(i), 1/float32(counts[i]))
			}
		}
	}
	if shared {
		workers := runtime.GOMAXPROCS(0)
		parallel(c.ctx, means.Rows, (means.Rows+workers-1)/workers, work)
	} else {
		work(0, means.Rows)
	}
}

// splitLargest gives every empty cell half of the largest one and reports
// whether it did.
func splitLargest(means simd.Matrix, counts []int) (split bool) {
	const apart = 1.0 / 1024
	for i, n := range counts {
		if n > 0 {
			continue
		}
		large := 0
		for j, m := range counts {
			if m > counts[large] {
				large = j
			}
		}
		if counts[large] < 2 {
			return split
		}
		// Opposite shifts in alternating dimensions, as in Faiss.
		for d, x := range means.Row(large) {
			shift := x * apart
			if d%2 == 1 {
				shift = -shift
			}
			means.Row(i)[d], means.Row(large)[d] = x+shift, x-shift
		}
		counts[i] = counts[large] / 2
		counts[large] -= counts[i]
		split = true
	}
	return split
}

// keep returns the means that have vectors, in order.
func keep(means simd.Matrix, counts []int) simd.Matrix {
	n := 0
	for i, count := range counts {
		if count > 0 {
			copy(means.Row(n), means.Row(i))
			n++
		}
	}
	return means.Slice(0, n)
}

// assign sets the nearest mean of each row, the first of equals, and reports
// whether any was another one before. It is faster where that seldom happens.
func (c *clustering) assign(assigned, rows []int32, means simd.Matrix, shared bool) bool {
	if means.Rows == 1 {
		return false // all are at 0 from the start
	}
	half := halfSquares(means)
	var packed simd.FloatQuery
	packed.Reset(means, nil)
	var changed atomic.Bool
	work := func(lo, hi int) {
		together, stride := min(tileVectors, hi-lo), packed.Stride()
		var scratch []float32
		moved := false
		dots := make([]float32, together*stride)
		rows, assigned := rows[lo:hi], assigned[lo:hi]
		parts(c.ctx, len(rows), together, func(lo, hi int) {
			packed.Dots(dots, c.view(rows[lo:hi], &scratch))
			for i, before := range assigned[lo:hi] {
				vector := dots[i*stride:]
				nearest, _ := largestDifference(vector, half, vector[before]-half[before])
				if int32(nearest) != before {
					assigned[lo+i] = int32(nearest)
					moved = true
				}
			}
		})
		if moved {
			changed.Store(true)
		}
	}
	if shared {
		parallel(c.ctx, len(rows), 10*tileVectors, work)
	} else {
		work(0, len(rows))
	}
	return changed.Load()
}

// view returns the given rows, ascending: where they follow each other as a
// part of the vectors, else as a copy in scratch.
func (c *clustering) view(rows []int32, scratch *[]float32) simd.Matrix {
	n, dim := len(rows), c.vectors.Dim
	if n > 0 && int(rows[n-1])-int(rows[0]) == n-1 {
		return c.vectors.Slice(int(rows[0]), int(rows[0])+n)
	}
	*scratch = grow(*scratch, n*dim)
	m := simd.Matrix{Rows: n, Dim: dim, Data: *scratch}
	parts(c.ctx, n, rowsAtOnce(dim), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			copy(m.Row(i), c.vectors.Row(int(rows[i])))
		}
	})
	return m
}

// share divides cells between groups in proportion to the root of their number
// of vectors times their variance (TACHIOM), at least one and at most one per
// 39 vectors each.
func share(ctx context.Context, vectors simd.Matrix, groups []group, cells int) {
	const vectorsPerCell = 39 // below this k-means has too little to average
	weights, limits := make([]float64, len(groups)), make([]float64, len(groups))
	parallel(ctx, len(groups), 1, func(i, _ int) {
		rows := groups[i].rows
		limits[i] = float64(max(1, len(rows)/vectorsPerCell))
		weights[i] = math.Sqrt(float64(len(rows))) * variance(ctx, vectors, rows)
	})
	var high float64 // the factor that gives every group its limit
	for i, weight := range weights {
		if weight > 0 {
			high = max(high, limits[i]/weight)
		}
	}
	count := func(i int, factor float64) float64 {
		return min(max(1, math.Round(factor*weights[i])), limits[i])
	}
	sum := func(factor float64) (n float64) {
		for i := range groups {
			n += count(i, factor)
		}
		return n
	}
	factor := high
	if sum(high) > float64(cells) {
		factor = 0
		for range 64 {
			if mid := (factor + high) / 2; sum(mid) > float64(cells) {
				high = mid
			} else {
				factor = mid
			}
		}
	}
	for i := range groups {
		groups[i].cells = int(count(i, factor))
	}
}

// variance returns the mean squared distance of vectors to their mean.
func variance(ctx context.Context, vectors simd.Matrix, rows []int32) float64 {
	total := make([]float32, vectors.Dim)
	var squares, mean float64
	parts(ctx, len(rows), rowsAtOnce(vectors.Dim), func(lo, hi int) {
		for _, r := range rows[lo:hi] {
			v := vectors.Row(int(r))
			simd.Add(total, v)
			squares += float64(simd.Dot(v, v))
		}
	})
	n := float64(len(rows))
	for _, x := range total {
		mean += float64(x) / n * float64(x) / n
	}
	return max(0, squares/n-mean)
}

// sequence returns 0 to n-1.
func sequence(n int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(i)
	}
	return out
}

// spaced returns at most n of the rows, evenly spaced.
func spaced(rows []int32, n int) []int32 {
	if len(rows) <= n {
		return rows
	}
	out := make([]int32, n)
	for i := range out {
		out[i] = rows[int(int64(i)*int64(len(rows))/int64(n))]
	}
	return out
}

// stack puts matrices on top of each other.
func stack(dim int, matrices []simd.Matrix) simd.Matrix {
	rows := 0
	for _, m := range matrices {
		rows += m.Rows
	}
	out := simd.Matrix{Rows: rows, Dim: dim, Data: make([]float32, 0, rows*dim)}
	for _, m := range matrices {
		out.Data = append(out.Data, m.Data...)
	}
	return out
}

func scaleRow(row []float32, f float32) {
	for d := range row {
		row[d] *= f
	}
}

// rowsAtOnce is how many vectors are worked on between two looks at a context,
// for a fraction of a millisecond where a vector is looked at a few times.
func rowsAtOnce(dim int) int { return max(1<<16/dim, 1) }

// parts calls work for the ranges of step items that make up 0 to n-1, one after
// the other, until ctx ends. Between them it lets other goroutines run: searches must
// not wait until the scheduler takes the processor away, 10 ms later.
func parts(ctx context.Context, n, step int, work func(lo, hi int)) {
	for lo := 0; lo < n && ctx.Err() == nil; lo += step {
		work(lo, min(lo+step, n))
		runtime.Gosched()
	}
}

// parallel calls work for the ranges of step items that make up 0 to n-1, from
// as many goroutines as there are processors, until ctx ends.
func parallel(ctx context.Context, n, step int, work func(lo, hi int)) {
	workers := min(runtime.GOMAXPROCS(0), (n+step-1)/step)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for ctx.Err() == nil {
				lo := int(next.Add(int64(step))) - step
				if lo >= n {
					return
				}
				work(lo, min(lo+step, n))
			}
		})
	}
	wg.Wait()
}
