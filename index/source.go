package index

import "github.com/pare-search/pare/index/codec"

// Source is one consistent, immutable view of a collection, and no more than
// a search needs of it. A Snapshot is one; a segment store of another engine
// can be another. Document numbers run from zero to Documents()-1 and mean
// nothing outside this view. Implementations are safe for concurrent use.
type Source interface {
	// Codebook decodes the payloads and names the cells.
	Codebook() *codec.Codebook
	// Documents is the number of document numbers, deleted ones included.
	Documents() int
	// Vectors is the number of stored vectors, those of deleted documents
	// included.
	Vectors() int64
	// ClearDeleted clears the bits of deleted documents in a bitmap of document
	// numbers: bit i%64 of word i/64 is that of document i.
	ClearDeleted(bitmap []uint64)
	// PostingCounts returns, by cell, the length of its posting list, deleted
	// documents included. It must not be changed.
	PostingCounts() ([]uint32, error)
	// AppendPostings appends a cell's documents to dst, ascending. Deleted
	// documents may be among them.
	AppendPostings(dst []uint32, cell uint32) ([]uint32, error)
	// AppendCells appends the cells of the payloads of documents, given in
	// ascending order, to dst. They are valid as long as the view.
	AppendCells(dst [][]byte, documents []uint32) ([][]byte, error)
	// AppendPayloads is AppendCells with the codes as well.
	AppendPayloads(dst []codec.Payload, documents []uint32) ([]codec.Payload, error)
	// Refinement returns a document's refinement, valid as long as the view, or
	// nil where none is stored.
	Refinement(document uint32) ([]byte, error)
	// ID returns a document's external id.
	ID(document uint32) (string, error)
}
