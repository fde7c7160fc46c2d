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
//	deletes-N.pare       the documents that some commits deleted
//	LOCK                 held by the one writer
//
// Every file is a container (container.go) whose sections carry a format
// version and a CRC-32C; the manifest notes the checksum of every other file's
// frame, so that all of them belong together. Opening checks the structure and
// what it loads into memory. What lies in segments is checked in blocks of 16 KiB
// when they are first read (blocks.go), so damage gives an error and never other
// scores, and costs nothing from the second read on; damage done to a file after
// that is noticed when it is opened again. Verify reads every byte. Reading corrupt
// files gives ErrCorrupt and never panics, unless a file is cut short while it is
// mapped.
//
// # Life
//
// A commit writes what has changed: a segment of what was added, a file of what
// was deleted, and the manifest. Beside the writer, merges in the background make
// one segment of several and purge what is deleted (merge.go, policy.go); each is
// a commit of its own that adds and loses no document. When the vectors have doubled or
// drifted a new codebook is trained, and segments are coded anew with it one
// after the other. Meanwhile the documents of each codebook are searched for
// themselves, and the best of all are the hits (mixed.go). Backup copies a commit
// while all this goes on.
//
// Nobody waits for readers. A snapshot has every file open that it needs, so a
// writer removes the files of older commits at once, whatever process reads
// them; where the system refuses to remove open files, they go with a later
// commit or writer. Opening a snapshot writes nothing, to no file and no lock.
//
// What an operation costs is bounded by what it is asked for. Opening reads the
// frames of the files, the codebooks and the deletes. The first search reads how
// often tokens occur and how many postings cells have, of which there are as many
// as words and cells in each segment. A search holds one bit for each document and
// the number of postings of each cell, and touches beyond that what it probes.
// Adding costs by what is added, deleting by the ids, merging by what is merged,
// with four bytes of memory for each document there.
//
// # Limits
//
// Dimensions are multiples of 8 up to 1024. A document has up to MaxTokens
// vectors, none at all included, with finite components up to
// codec.MaxComponent, an id of 1 to MaxIDBytes bytes of any kind, and up to
// MaxTextBytes of text. An index has up to 2^32-1 documents. Everything beyond is
// refused with an error that wraps ErrInvalid.
//
// # Versions
//
// Every file, and every section in it, carries the version of its format. This
// package reads the versions that it writes and the one before of the files
// themselves (version.go); anything else gives ErrVersion. testdata/golden holds an index of each version that must stay
// readable.
package index
