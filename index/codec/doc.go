// Package codec turns the token vectors of a document into bytes and back, and
// computes MaxSim straight on the bytes.
//
// A Codebook is trained once on a sample of vectors: cells (centroids of
// k-means, inside each token id where ids are known) and, for the residual
// kinds, the weights that codes of 1, 2 or 4 bits per dimension stand for. It
// is immutable and safe for concurrent use. Codebook.Encode makes a document's
// Payload, two byte strings that need nothing but their codebook to be decoded
// or scored (payload.go shows the format); Codebook.EncodeAll makes those of
// several documents, faster and on all processors.
//
// A Scorer ranks and scores payloads for one query. It belongs to one goroutine
// at a time and is reused over queries. All kinds but float32 compare with
// integer arithmetic that gives the same bits on every machine; the Scorer
// says what is rounded where.
//
// Beside its payload a document may have a refinement, its vectors at 8 bits a
// dimension, by which the Scorer scores again what its payload made look good.
//
// Codes need not be the same for all vectors: kind Banded gives a word as many
// bits as take most of the error, by the frequency of words, or none at all
// (Options.CodeBytes, bands.go).
//
// Payloads and codebooks may come from anywhere: corrupt bytes give ErrCorrupt
// or ErrVersion and never panic. Training and encoding give the same bytes
// whatever the number of goroutines.
//
// The compression is that of ColBERTv2 (Santhanam et al., NAACL 2022) with the
// token-aware cells of TACHIOM (Martinico et al., SIGIR 2026) and codes whose
// bits nest: the 1-bit code is the first bit of the 2-bit code, and so on.
package codec
