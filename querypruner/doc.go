// Package querypruner decides which rows of a query look for candidates.
//
// A late-interaction query has one vector per token, and most of them find the
// same documents again. Query embedding pruning (Tonellotto and Macdonald,
// CIKM 2021) lets only the few most useful rows look for candidates; the whole
// query then scores what they found. So pruning here changes what is looked
// at, not how it is scored, unless the caller asks for that too.
//
// A Pruner takes steps, each of which can be left out: rows worth nothing are
// dropped, rows are weighed, rows that say the same are merged, and of the others
// the most useful look, a fixed number or as many as the query needs. Parse reads
// one from a word or two such as "icf:4" or "icf+mass:0.8+nospecials", and every
// Row of a Selection says in words what became of it and why.
//
// A Pruner is a plain value, safe for concurrent use. It never changes the
// caller's query.
package querypruner
