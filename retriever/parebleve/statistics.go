package parebleve

import (
	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/simd"
)

// statistics tells a pruner about a field. Like those of a Pare index, its
// numbers include deleted documents that bleve has not merged away yet.
type statistics struct {
	run    *run
	source *source
}

// known returns the tokens as far as there are statistics about them: without
// ids if token ids are not counted, so that pruners ask about cells.
func (s statistics) known(tokens encoder.Tokens) encoder.Tokens {
	if !s.run.index.options.TokenStatistics {
		tokens.IDs = nil
	}
	return tokens
}

// Documents is the number of documents that have vectors.
func (s statistics) Documents() int64 {
	var n int64
	for i := range s.run.groups {
		n += int64(s.run.groups[i].source.count())
	}
	return n
}

// Vectors is the number of vectors.
func (s statistics) Vectors() int64 {
	var n int64
	for i := range s.run.groups {
		n += s.run.groups[i].source.vectors
	}
	return n
}

// TokenFrequency returns how many vectors and documents have a token id.
func (s statistics) TokenFrequency(id uint32) (vectors, documents int64) {
	for count := 1; count <= 255; count++ {
		n := s.source.termCount(tokenTerm(nil, id, count))
		if n == 0 {
			break
		}
		vectors += n
		documents = max(documents, n)
	}
	return vectors, documents
}

// CellPopulation returns the number of documents in the cell whose centroid
// has the largest dot product with the vector.
func (s statistics) CellPopulation(vector []float32) int64 {
	book := s.source.book
	nearest, best := 0, float32(simd.NoMatch)
	for cell := range book.Cells() {
		if similarity := simd.Dot(vector, book.Centroid(cell)); similarity > best {
			nearest, best = cell, similarity
		}
	}
	counts, _ := s.source.PostingCounts() // never fails
	return int64(counts[nearest])
}
