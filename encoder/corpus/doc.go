// Package corpus is the default encoder: token vectors trained on the user's
// own collection, with no neural network and no downloaded weights.
//
// Train reads the collection once and makes a table with one vector per word
// from a truncated singular value decomposition of two sparse matrices side by
// side: words by documents (tf-idf, latent semantic analysis) and words by
// words (positive pointwise mutual information in a window, Levy & Goldberg
// 2014). Encoding mixes every word's vector with those of its neighbours and
// of its whole text, so that the same word gets a different vector in every
// place; the score of a document is then the usual MaxSim. Rows of a query are
// scaled by the word's inverse document frequency, rows of a document have
// length 1. A word outside the table gets a pseudo-random unit vector seeded
// by a hash of the word, so that exact matches still count.
//
// The table belongs to its collection. It does not transfer to others, and it
// should be trained anew when the collection has doubled.
//
// # Words
//
// A word is a run of Unicode letters, marks and decimal digits in lower case,
// at most 64 bytes long (longer runs are cut into pieces). Characters of Han,
// Hiragana and Katakana are words of their own; other scripts that are written
// without spaces are not segmented. Text is not normalised (NFC), and bytes
// that are not UTF-8 separate words. Options.SplitCode cuts identifiers into
// their parts: "parseHTTPHeader" and "parse_http_header" both give parse, http
// and header.
//
// Stemming follows the Snowball project for every language of Languages. Stop
// words are left out for dutch, english, french, german, italian, portuguese
// and spanish; the other languages have no stop list here. A text of nothing
// but stop words keeps them, query and document alike, so that the query "the
// who" still finds the document "The Who".
//
// # Memory
//
// Training streams: besides one text at a time it holds a dictionary of at most
// 4*MaxVocabulary words, a sample of documents of at most T = MaxTrainingTokens
// tokens, and the matrices made from that sample. With V <= MaxVocabulary words
// in the table, W = Window and k = Dim+16 this is at most about
//
//	400*V + T*(28 + 32*W) + 12*k*V + 4*k*max(V, T/32) bytes
//
// of live memory, 0.84 GB for the defaults (V = 100,000, T = 3,000,000, W = 5,
// 128 dimensions); the garbage collector's slack comes on top. Most of it is
// the worst case of the word pairs, all distinct: a process that trains on
// 30,000 passages of 70 words peaks at 0.21 GB. A finished encoder holds Dim
// bytes per word plus the words.
//
// # Determinism
//
// The same texts in the same order, options and seed give the same bytes on
// the same machine, whatever GOMAXPROCS is. Training on different machines may
// differ in the last bits of the table. Encoding with one saved table gives
// identical vectors everywhere.
package corpus
