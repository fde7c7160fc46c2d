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
//  1. plan: score every document, or probe cells;
//  2. probe (probe.go): the kept query rows visit their nearest cells, each with
//     a number of postings of its own or all sharing a budget; the posting lists
//     make up the candidates;
//  3. rank (rank.go), if asked for: candidates are ranked by the cells of their
//     vectors alone, and only the best are scored;
//  4. score: each candidate's payload is scored with MaxSim, as compressed;
//  5. the best k are kept; equal scores are ordered by descending document id.
//
// Document numbers are dense and belong to one snapshot; documents are known
// by their external ids, strings of any bytes.
//
// # Files
//
//	MANIFEST             which files make up the index, replaced atomically
//	codebook-N.pare      centroids and residual tables (package codec)
//	encoder-N.pare       the encoder that made the vectors, if it was given
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
