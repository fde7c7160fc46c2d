// Package parebleve puts MaxSim search inside bleve.
//
//	idx, err := parebleve.Open(path, nil, parebleve.DefaultOptions(enc, "body")) // a bleve.Index
//	err = idx.Index("id", doc)                                                   // as ever
//	q := parebleve.NewQuery("body", "how do wings stall")                        // a bleve query like any other
//	result, err := idx.Search(bleve.NewSearchRequest(q))
//
// The texts of the chosen fields are encoded to one vector per token, and the
// vectors, compressed, are stored with the document, in the same segment as its
// words (field.go shows how). So a search sees text and vectors of the same
// moment, whatever is written meanwhile; updates, deletes, merges, crashes and
// backups are bleve's own; and bleve without this package opens the index and
// passes over what it does not know.
//
// The way of a query:
//
//	text ── encoder ──▶ token vectors ── querypruner ──▶ selected rows
//	     ── posting lists of their cells, in bleve's segments ──▶ candidates
//	     ── package index, scored as compressed ──▶ hits, for bleve to compose
//
// The hits of a Query combine with other queries as those of any bleve query:
// in conjunctions and boolean queries, with filters, facets, sorting,
// pagination, highlighting and explanations, and over an alias of several
// indexes. Rescore scores the hits of another query, with or without stored
// vectors; Fuse merges the hits of several. All have a JSON form (json.go).
//
// # Codebooks
//
// Vectors are compressed with the help of a codebook, which is trained on the
// vectors of the index. A new index has none: it stores eight bits per
// dimension and scores every document. Once a field has
// Options.TrainingVectors vectors, and whenever they have doubled since, a
// codebook is trained in the background and documents are coded anew. Meanwhile
// documents of several codebooks are searched together. Codebooks lie in the
// folder "pare" of the index, until no document is coded with them; Status says
// where things are. An Options.Codebook given by the caller is used as it is.
//
// An index that is opened for reading only is searched as it is, see Wrap.
//
// # Costs
//
// Encoding and coding are part of Index and Batch; what coding and storing add to
// bleve's own time and size, and how searches compare, is in
// docs/performance.md. To explain or highlight hits takes encoding those that are
// returned again, and executing the request twice. In memory are the cells of all
// documents, two bytes for each of a document's cells (a passage of 53 vectors
// has 34), made from the posting lists of a segment when it is first searched,
// which takes about half a microsecond for each document; and the codes of
// documents that were read once, up to Options.CacheBytes.
//
// # Limits
//
//   - Only scorch indexes can have vectors, bleve's default.
//   - Training and Reindex replace documents, which bleve has no way to change in
//     part, by copies of what is in its segments (copy.go). That works for all
//     that the inverted index and the stored fields hold, and not for nested
//     documents, geo shapes and bleve's own vectors: those keep the codebook they
//     have until they are indexed again.
//   - The texts of all nested documents are one field of the document that they
//     are nested in; nested documents have no scores of their own.
//   - With facets, in another order than by score and as a part of other queries
//     only the best Options.Matches documents count.
//   - bleve compares no checksums. Those of the vectors are compared when they are
//     first read (field.go), those of words and stored texts are not.
//   - Hits beyond the first 128 may score less than their MaxSim (steps.go).
//   - Scores are those of the codes. There are no refinements as in a Pare index,
//     and Options.Search.Refine does nothing.
//   - bleve offers no way to see what a batch holds, and none to index the terms of
//     a field without adding them to _all: operations (batch.go) and vectorField
//     (field.go) rely on how bleve v2.6 is built, and engineOf (engine.go) reads
//     three fields of its engine. A version that is built otherwise is refused
//     with ErrBleve, or fails this package's tests.
package parebleve
