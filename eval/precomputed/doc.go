// Package precomputed lets an index be built of token vectors that another
// program computed, and be searched and measured with them: it stands between
// the folders that package eval/dataset reads and package retriever.
//
//	embeddings, err := precomputed.Open(dir)
//	documents := precomputed.Documents(embeddings, nil)
//	err = retriever.BuildEmbeddings(ctx, index, documents, retriever.DefaultBuildOptions())
//	queries, err := precomputed.ReadQueries(embeddings)
//
// Errors name the file and its row and wrap dataset.ErrFormat, dataset.ErrLayout
// or what the file system says.
package precomputed
