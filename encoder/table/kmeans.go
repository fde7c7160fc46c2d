package table

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"

	"github.com/pare-search/pare/simd"
	"github.com/pare-search/pare/simd/gemm"
)

// How many iterations of k-means make codebooks, and codebooks that are refined
// afterwards.
const (
	kmeansIterations = 12
	roughIterations  = 3
)

// kmeans returns k centroids of weighted rows, and which of them is nearest to
// each row, after at most so many iterations of Lloyd's algorithm, begun with rows
// drawn by their weight. k must be at most the number of rows.
func kmeans(ctx context.Context, rows simd.Matrix, weights []float64, k, iterations int, seed uint64) (simd.Matrix, []uint32, error) {
	rng := rand.New(rand.NewPCG(seed, 0x6b6d65616e73))
	centroids := simd.NewMatrix(k, rows.Dim)
	for c, i := range draw(rng, weights, k) {
		copy(centroids.Row(c), rows.Row(i))
	}
	assigned, distances := make([]uint32, rows.Rows), make([]float32, rows.Rows)
	for range iterations {
		if err := assign(ctx, rows, centroids, assigned, distances); err != nil {
			return simd.Matrix{}, nil, err
		}
		if !average(centroids, rows, weights, assigned, distances) {
			break
		}
	}
	return centroids, assigned, assign(ctx, rows, centroids, assigned, distances)
}

// draw returns k different numbers of weights, the heavier the likelier: those of
// the largest u^(1/w) for uniform u (Efraimidis and Spirakis, 2006).
func draw(rng *rand.Rand, weights []float64, k int) []int {
	type ticket struct {
		exponential float64
		at          int
	}
	tickets := make([]ticket, len(weights))
	for i, w := range weights {
		tickets[i] = ticket{rng.ExpFloat64() / w, i}
	}
	slices.SortFunc(tickets, func(a, b ticket) int {
		return cmp.Or(cmp.Compare(a.exponential, b.exponential), cmp.Compare(a.at, b.at))
	})
	chosen := make([]int, k)
	for i := range chosen {
		chosen[i] = tickets[i].at
	}
	return chosen
}

// assign finds the nearest centroid of each row, the first among equals, and the
// squared distance to it.
func assign(ctx context.Context, rows, centroids simd.Matrix, assigned []uint32, distances []float32) error {
	// |x-c|^2 is |x|^2 - 2 (x·c - |c|^2/2).
	bias := make([]float32, centroids.Rows)
	for c := range bias {
		bias[c] = -square(centroids.Row(c)) / 2
	}
	return times(ctx, rows, centroids, bias, func(lo, hi int, product gemm.Rows) {
		for i := lo; i < hi; i++ {
			best := 0
			line := product.Data[(i-lo)*product.Stride:][:centroids.Rows]
			for c, v := range line {
				if v > line[best] {
					best = c
				}
			}
			assigned[i] = uint32(best)
			distances[i] = max(0, square(rows.Row(i))-2*line[best])
		}
	})
}

func square(v []float32) (sum float32) {
	for _, x := range v {
		sum += x * x
	}
	return sum
}

// average moves centroids to the means of their rows, those without rows to the
// rows that lie worst. It tells whether one has moved.
func average(centroids, rows simd.Matrix, weights []float64, assigned []uint32, distances []float32) (moved bool) {
	sums, total := make([]float64, len(centroids.Data)), make([]float64, centroids.Rows)
	for i, c := range assigned {
		total[c] += weights[i]
		sum := sums[int(c)*rows.Dim:][:rows.Dim]
		for d, v := range rows.Row(i) {
			sum[d] += weights[i] * float64(v)
		}
	}
	var worst []int
	for c := range centroids.Rows {
		centroid := centroids.Row(c)
		if total[c] == 0 {
			if worst == nil {
				worst = byLoss(weights, distances)
			}
			copy(centroid, rows.Row(worst[0]))
			worst, moved = worst[1:], true
			continue
		}
		for d, sum := range sums[c*rows.Dim:][:rows.Dim] {
			mean := float32(sum / total[c])
			moved = moved || mean != centroid[d]
			centroid[d] = mean
		}
	}
	return moved
}

// byLoss returns the rows, those with the most weighted distance first.
func byLoss(weights []float64, distances []float32) []int {
	order := make([]int, len(weights))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(weights[b]*float64(distances[b]), weights[a]*float64(distances[a]))
	})
	return order
}
