// Package parebleve puts MaxSim search inside bleve.
//
//	idx, err := parebleve.Open(path, nil, parebleve.DefaultOptions(enc, "body"))  // a bleve.Index
//	err = idx.Index("id", doc)                                                    // as ever
//	q := parebleve.NewQuery("body", "how do wings stall")                         // a bleve query like any other
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
// indexes.
package parebleve
