// Package retriever is the main way into Pare: build an index of texts, open
// it, search it, explain a hit, or rerank a handful of texts with no index at
// all.
//
// The way of a query through Search:
//
//	text ── encoder ──▶ token vectors ── querypruner ──▶ selected rows
//	     ── index ──▶ candidates, scored as compressed ──▶ Results
//
// A Retriever is safe for concurrent use. Options travel with each call, so
// that settings can change from query to query.
package retriever
