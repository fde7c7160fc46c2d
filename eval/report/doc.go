// Package report shows what a sweep of settings found: how much of queries, documents
// and bits can be pruned before a search gets worse.
//
// A Study holds the measurements, query by query, and New compares every setting
// with the first, the unpruned baseline, in the first measure (package stats). The
// tests are corrected for the number of settings on a collection (Holm), since
// whoever picks a setting by its result must not owe it to the number of tries; the
// verdicts ≈, ▼, ▲ and ? follow from the corrected tests.
//
// A Report writes itself as one HTML page without scripts (WriteHTML), as a table for
// terminals (WriteText), Markdown, CSV and JSON. All of them say the same.
//
// The page draws its charts as SVG from templates. What is plotted stands in a table
// too, and every point leads to its row. Colours are never the only sign.
package report
