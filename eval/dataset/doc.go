// Package dataset reads and writes the files that retrieval experiments are
// made of. It downloads nothing.
//
// # Collections
//
// Open recognises a test collection by the names of its files, loads queries
// and judgements, and streams the documents:
//
//	BEIR       corpus.jsonl      {"_id", "title", "text"} per line
//	           queries.jsonl     {"_id", "text"} per line
//	           qrels.tsv         or qrels/test.tsv, qrels/dev.tsv, …
//	MS MARCO   collection.tsv    id, tab, text
//	           queries.dev.tsv   id, tab, text
//	           qrels.dev.tsv
//	TREC       documents         a file or a folder of files: <DOC> elements, or either of the above;
//	                             docs, corpus or collection will do
//	           topics.txt        <top> elements, or either of the above
//	           qrels.txt
//	file       FILE              documents and nothing else
//
// In every layout queries and judgements may be missing, files of queries may
// begin with "queries" or "topics", and a name between the first word and the
// extension is a split (Options.Split). Files named .jsonl or .tsv are what they
// say; what others hold is told by their first character.
//
// # Other files
//
// Judgements (ReadQrels, WriteQrels), TREC runs (ReadRun, WriteRun), arrays of
// NumPy (OpenNPY and the functions below it) and folders of token embeddings
// (OpenEmbeddings, NewDocumentWriter, NewQueryWriter).
//
// # Rules for all text files
//
// A file whose name ends in .gz is compressed with gzip. Lines end in LF or CRLF;
// blank lines and a byte order mark at the beginning are skipped. Bytes that are
// not UTF-8 become U+FFFD in texts and are an error in ids. In tab-separated
// texts every tab after the first belongs to the text. No line may be longer than
// Limits.MaxLine, and no file that is loaded whole longer than Limits.MaxFile, 64
// MiB and 2 GiB by default, so that a small compressed file cannot fill the
// memory.
//
// A file is written under another name beside its place and renamed when it is
// complete, so that a failure leaves what was there before. Links, pipes and
// devices are written to as they are.
//
// Errors name the file, the line and what was expected there; they wrap
// ErrFormat, ErrLayout or an error of the file system.
//
// All functions are safe for concurrent use as long as nobody writes a file that
// another reads.
package dataset
