// Package index stores the token vectors of a collection in compressed form
// and finds and scores documents in it.
//
// An index is a folder of immutable files. A Writer adds and deletes documents
// and makes its changes visible in one atomic step, Commit. A Snapshot is one
// consistent view of what was committed; it never changes, whatever a Writer
// does later.
//
// Search works on a Source: anything that can hand out the posting list of a
// cell and the payload of a document. A Snapshot is one. The way of a query:
//
//  1. plan (search.go): score every document, rank every document, or probe;
//  2. scan: the query's rows are compared with all cells, in integers
//     (simd.CellRows); every later stage looks its similarities up;
//  3. probe (probe.go): the pairs of a row and a cell that promise most, or each
//     kept row on its own, name posting lists; these make up the candidates, of
//     which deleted documents and those outside a filter are struck out;
//  4. rank (rank.go): candidates are ranked by centroid interaction, from the
//     names of their cells alone, and only the best are kept;
//  5. score (score.go): their payloads are scored with MaxSim, as compressed;
//  6. refine (score.go): where the index has refinements, vectors with 8 bits a
//     dimension, the best documents are scored again by those;
//  7. the best k are the hits; equal scores are ordered by descending id.
//
// Document numbers are dense and belong to one snapshot; documents are known
// by their external ids, strings of any bytes.
//
// # Files
//
//	MANIFEST             which files make up the index, replaced atomically
//	codebook-N.pare      centroids and residual tables (package codec)
//	encoder-N.pare       the encoder that made the vectors, if it was given
//	pruner-N.pare        what leaves out vectors (package docpruner), if any does
//	segment-N.pare       documents: payloads, postings, ids, counts, texts
//	deletes-N.pare       the deleted documents of one segment
//	LOCK                 held by the one writer
//
// Every file is a container (container.go) whose sections carry a format
// version and a CRC-32C; the manifest notes the checksum of every other file's
// frame, so that all of them belong together. Opening checks the structure and
// what it loads into memory; Verify reads every byte. Reading corrupt files
// gives ErrCorrupt and never panics, unless a file is cut short while it is
// mapped.
package index
