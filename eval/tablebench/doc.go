// Package tablebench judges compressed embedding matrices by what they are for:
// every method of package encoder/table, at several budgets, encodes collections of
// documents anew, and exhaustive searches of those say what is lost.
//
// The matrix is fitted once for all collections, with the frequencies of the tokens
// of all of them. A projection that the encoder has learnt stays as it is.
//
// How much searches suffer from errors in frequent and in rare words is measured too, for
// methods that go by it.
package tablebench
