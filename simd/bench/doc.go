// Package bench measures the kernels of package simd: how many pairs of a query
// token and a document token each compares per second, what share that is of
// the machine's peak, and how many times faster it is than a double loop over
// vek32.Dot.
//
// The three are timed in turn, slice by slice, in one goroutine of one process,
// so that all see the same clock and the same neighbours, and the best slice of
// each counts: a busy machine takes time away but never adds speed. Shares of
// peak can be compared between machines, ratios to vek32 less so.
package bench
