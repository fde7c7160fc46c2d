// Package prunebench measures what prunings of documents cost and save (package
// index/docpruner), on a folder of token embeddings with judgements.
//
// For each pruner it tells the share of the vectors that is kept, the quality of
// an exhaustive search of what is left against one of everything, for several
// codecs, and the loss: how much less the best match of a query vector is on
// average. The loss needs no judgements, and no queries if their vectors are
// drawn at random; lines of least squares tell how well it foretells the quality.
package prunebench
