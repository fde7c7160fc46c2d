// Package searchbench measures how fast searches of a Pare index are at which
// fidelity, on a folder of token embeddings that another program computed (see
// dataset.Embeddings). Encoding is left out, so that engines which are given
// the same vectors can be compared; the folder peers holds drivers for some.
//
// The truth is MaxSim over the float32 vectors (Exact). Recall@k is the share
// of the exact best k that a search found (eval.Overlap), nDCG@10 that of the
// folder's judgements. Measure runs a grid of settings, one query at a time on
// one goroutine, several times in turns; every query counts with the median of
// its times, a setting with the median and the 95th percentile of its queries.
//
// Scale does the same on collections of any size that it makes of the tokens of
// a real one, to show what grows with the collection and what does not.
//
// Whoever measures takes care that nothing else runs on the machine.
package searchbench
