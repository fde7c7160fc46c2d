// Package sweep runs retrieval systems on a test collection, side by side, and
// reports what each setting costs and saves against a baseline.
//
// Systems answer each query in turn, so that a machine that slows down slows
// all of them; who begins changes from query to query. Besides searches of a Pare
// index there are the systems that any claim must be compared with: BM25, MaxSim of
// what BM25 finds, and the hybrid of both.
//
// A Setting is some configuration keys with values, and a Bench measures settings.
// A Plan, read from a grid file, spans the settings of a study; Measure goes through
// them on one collection, keeps every result in a Journal, so that it can be
// interrupted and go on, and returns what package eval/report shows.
package sweep
