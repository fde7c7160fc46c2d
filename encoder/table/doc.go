// Package table compresses the embedding matrix of an encoder, one row for each
// token of its vocabulary, after the encoder was trained.
//
// Every method keeps to a budget of bytes, everything counted, and gives a Table
// that writes any row to a caller's buffer. Frequencies of tokens, as an index
// counts them, say which rows matter. Whether a matrix that was compressed still
// serves is not for its error to say but for retrieval: "pare table compare".
package table
