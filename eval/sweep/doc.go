// Package sweep runs retrieval systems on a test collection, side by side, and
// reports what each setting costs and saves against a baseline.
//
// Systems answer each query in turn, so that a machine that slows down slows
// all of them; who begins changes from query to query. Besides searches of a Pare index there are the systems that any
// claim must be compared with: BM25, and the hybrid of BM25 and MaxSim.
package sweep
