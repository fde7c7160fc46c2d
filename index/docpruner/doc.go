// Package docpruner decides which vectors of a document are stored.
//
// A late-interaction index has one vector per token, and its size is that of
// its vectors. Many of them are hardly ever the best match of a query row: they
// can be dropped, and vectors that say the same can become one. What is stored
// then answers every query, so pruning here changes scores, unlike query
// pruning (package querypruner), and has to be measured.
//
// A Pruner is a plain value: one step, or several that follow each other. Fit
// gathers from a collection what its steps have to know about it, and the Fitted
// prunes one document at a time, so that documents which come later are treated
// as those before. A Fitted is immutable, safe for concurrent use and can be
// saved. It never changes the caller's vectors, and leaves a document that has
// any vector at least one.
//
// Results do not depend on the number of goroutines. Machines whose floating
// point kernels differ (see package simd) may decide differently between vectors
// that are equally good but for rounding.
package docpruner
