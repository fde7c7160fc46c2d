// Package simd holds matrices of token vectors and the kernels that compare
// them: exact MaxSim on float32 vectors and integer MaxSim on quantised codes.
//
// Everything here is a pure function of its arguments: no files, no document
// ids, no goroutines. Integer kernels give the same bits on every machine;
// float kernels agree between machines within the bound each one states.
//
// A kernel's unit of work is one query against one document. Values of type
// Matrix are views and may share memory; a packed Query is immutable and safe
// for concurrent use.
package simd
