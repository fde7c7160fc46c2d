package simd

// Three query rows share one 64-bit word: a word holds a + b<<21 + c<<42 with
// signed a, b and c, so one addition or multiplication serves three rows. Sums
// of such words stay exact while every lane's sum fits 21 bits with its sign.
const (
	laneRows = 3
	laneBits = 21
	laneMax  = 1<<(laneBits-1) - 1
)

// packLanes returns a + b<<21 + c<<42.
func packLanes(a, b, c int32) int64 {
	return int64(a) + int64(b)<<laneBits + int64(c)<<(2*laneBits)
}

// addLanes adds the three lanes of word to dst, of length 1 to 3.
func addLanes(dst []int32, word int64) {
	const unused = 64 - laneBits
	for j := range dst {
		lane := word << unused >> unused
		dst[j] += int32(lane)
		word = (word - lane) >> laneBits
	}
}

// laneCodes returns the codes of the up to three selected rows that share word
// group g; a missing row is nil.
func (q *Query) laneCodes(rows []int, g int) (lanes [laneRows][]int8) {
	for j := range laneRows {
		if i := g*laneRows + j; i < selected(q.Rows, rows) {
			lanes[j], _ = q.Codes(rowOf(rows, i))
		}
	}
	return lanes
}

// selected returns how many of so many rows a selection holds: all if it is
// nil.
func selected(all int, rows []int) int {
	if rows == nil {
		return all
	}
	return len(rows)
}

// rowOf returns the j-th row of a selection.
func rowOf(rows []int, j int) int {
	if rows == nil {
		return j
	}
	return rows[j]
}

// grow returns a slice of length n that reuses s where it is large enough. Its
// contents are undefined.
func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

func roundUp(n, step int) int { return (n + step - 1) / step * step }
