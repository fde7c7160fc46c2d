// Package bert encodes texts with BERT models in pure Go: folders of
// sentence-transformers, PyLate and ColBERT, as they are published, with no
// Python and no shared library.
//
// [Open] reads config.json, tokenizer.json and model.safetensors and tells from
// the other files which of four layouts the folder has:
//
//   - A model of sentence embeddings (sentence-transformers, or a plain BERT).
//     Its last hidden states serve as token vectors, though it was never trained
//     for that; [Encoder.Learn] learns a projection to fewer dimensions on the
//     texts that are to be searched. Documents are cut at 300 tokens and lose
//     those of nothing but punctuation after the model has read them; queries
//     are cut at 32.
//   - A ColBERT model of PyLate, of the original implementation, or of Sentence
//     Transformers 6 (MultiVectorEncoder). Prefixes, lengths, query expansion
//     with [MASK], tokens without vectors and projection are the model's own.
//
// All vectors have length 1. Ids are those of the tokenizer, and every token
// knows the bytes of the text that it stands for; special tokens stand for none.
//
// # What is supported
//
// Models of model_type "bert" with absolute positions; float32, float16 and
// bfloat16 weights in one safetensors file; tokenizers of WordPiece, which give
// the ids of the tokenizers package on PyPI. Everything else is refused with an
// error that names the field: other architectures (ModernBERT, XLM-RoBERTa),
// pickled weights, unknown activation functions and modules.
//
// # Memory
//
// Files of weights are mapped while they are read and then closed. An encoder
// holds the weights in float32, once, however many goroutines use it; with
// [Options.Int8] those of the layers take a quarter. Encoding needs memory for
// 1,024 tokens per worker besides what it returns. Learn holds the texts that it
// draws and their pieces, at most 64 MiB each, the second moments and, where it is
// asked to keep texts, 128 MiB of their states.
//
// # Trust
//
// Model files are data: offsets, sizes, types and shapes are checked before they
// are used, weights must be finite, and no path leads out of the folder. Files that
// package hub downloaded are compared with their checksums whenever the model is
// opened. A file that another process truncates while it is mapped ends the
// program, as with every mapped file.
package bert
