package corpus

import (
	"context"
	"iter"
	"math"
	"slices"
)

// contextPower smooths the distribution of neighbours, which keeps rare ones
// from looking too informative (Levy, Goldberg, Dagan 2015, section 3.2).
const contextPower = 0.75

// documentBlock returns the matrix of words by documents: (1 + ln tf) * idf,
// every document's column of length 1.
func documentBlock(documents iter.Seq2[int, []uint32], vocab vocabulary) block {
	var columns sparse
	for _, doc := range documents {
		words := slices.Sorted(slices.Values(doc))
		var column []entry
		var sum float64
		for start := 0; start < len(words) && words[start] != none; {
			word := words[start]
			end := start + 1
			for end < len(words) && words[end] == word {
				end++
			}
			value := (1 + math.Log(float64(end-start))) * vocab.idf(vocab.df[word])
			column = append(column, entry{word, float32(value)})
			sum += value * value
			start = end
		}
		if sum > 0 {
			for i := range column {
				column[i].value /= float32(math.Sqrt(sum))
			}
		}
		columns = append(columns, slices.Clip(column))
	}
	return newBlock(columns.transpose(vocab.size()), columns)
}

// neighbourBlock returns the matrix of words by neighbours: the positive part
// of
//
//	ln( n(w,c) * Σ n(c')^0.75 / (n(w) * n(c)^0.75) )
//
// where n(w,c) sums 1/distance over all places with c at most window words
// from w (words outside the table count as distance), n(w) = Σ n(w,c).
//
// Counts are made one row at a time from the places of its word, so that they
// need no table of pairs; the only memory that grows with the pairs is that of
// the result.
func neighbourBlock(ctx context.Context, documents iter.Seq2[int, []uint32], vocabularySize, window int) (block, error) {
	places := newPlaces(documents, vocabularySize, window)
	totals := make([]float64, vocabularySize) // n(w), which is also n(c): n(w,c) is symmetric
	err := parallel(ctx, vocabularySize, 64, func() func(lo, hi int) {
		return func(lo, hi int) {
			for w := lo; w < hi; w++ {
				places.neighbours(w, func(_ uint32, weight float32) { totals[w] += float64(weight) })
			}
		}
	})
	if err != nil {
		return block{}, err
	}
	logTotals := make([]float64, vocabularySize)
	var smoothed float64
	for w, total := range totals {
		logTotals[w] = math.Log(total)
		smoothed += math.Pow(total, contextPower)
	}
	logSmoothed := math.Log(smoothed)

	rows, columns := make(sparse, vocabularySize), make(sparse, vocabularySize)
	err = parallel(ctx, vocabularySize, 64, func() func(lo, hi int) {
		counts := make([]float32, vocabularySize)
		var touched []uint32
		var row, column []entry
		return func(lo, hi int) {
			for w := lo; w < hi; w++ {
				touched, row, column = touched[:0], row[:0], column[:0]
				places.neighbours(w, func(c uint32, weight float32) {
					if counts[c] == 0 {
						touched = append(touched, c)
					}
					counts[c] += weight
				})
				slices.Sort(touched)
				for _, c := range touched {
					both := math.Log(float64(counts[c])) + logSmoothed
					counts[c] = 0
					if v := both - logTotals[w] - contextPower*logTotals[c]; v > 0 {
						row = append(row, entry{c, float32(v)})
					}
					if v := both - logTotals[c] - contextPower*logTotals[w]; v > 0 {
						column = append(column, entry{c, float32(v)})
					}
				}
				rows[w], columns[w] = slices.Clone(row), slices.Clone(column)
			}
		}
	})
	return newBlock(rows, columns), err
}

// places is an inverted list of the words of all documents.
type places struct {
	text   []uint32 // the documents one after the other
	starts []int    // of each word's places, and the end
	places []uint32 // indexes into text
	window int
}

// boundary stands between documents in places.text.
const boundary = none - 1

func newPlaces(documents iter.Seq2[int, []uint32], vocabularySize, window int) *places {
	p := &places{text: []uint32{boundary}, starts: make([]int, vocabularySize+1), window: window}
	for _, doc := range documents {
		for _, word := range doc {
			if word != none {
				p.starts[word+1]++
			}
		}
		p.text = append(append(p.text, doc...), boundary)
	}
	for w := range vocabularySize {
		p.starts[w+1] += p.starts[w]
	}
	p.places = make([]uint32, p.starts[vocabularySize])
	next := slices.Clone(p.starts)
	for i, word := range p.text {
		if word < boundary {
			p.places[next[word]] = uint32(i)
			next[word]++
		}
	}
	return p
}

// neighbours calls yield for every word near any place of word w, with 1 over
// their distance.
func (p *places) neighbours(w int, yield func(c uint32, weight float32)) {
	for _, place := range p.places[p.starts[w]:p.starts[w+1]] {
		for _, step := range [2]int{-1, 1} {
			for distance := 1; distance <= p.window; distance++ {
				c := p.text[int(place)+step*distance]
				if c == boundary {
					break
				}
				if c != none {
					yield(c, 1/float32(distance))
				}
			}
		}
	}
}
