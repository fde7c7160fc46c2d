// Package dataset reads and writes the files that retrieval experiments are
// made of: test collections (BEIR folders, MS MARCO tables, TREC documents and
// topics), relevance judgements, runs, and token embeddings in .npy files.
package dataset
