// Package knownitem makes test collections out of text that a user already
// has, so that a search engine can be tried and measured without a download.
//
// A known-item query looks for one document that is known to exist. Here it is
// a sentence taken out of that document: GoStandardLibrary asks with the first
// sentence of a symbol's doc comment for the symbol, Folder asks with an
// informative sentence of a passage for the rest of the passage. Judgements
// need no people: exactly one document is relevant.
//
// That is also their limit. Other documents may answer as well and count as
// wrong, a sentence shares more words with its passage than a person's
// question would, and every query tests one document only. Such a collection
// is good for speed, for comparing settings of one system and for finding
// breakage; judge quality on collections that people have judged.
//
// Collections are deterministic: the same files, options and seed give the
// same documents, queries and order on every machine. All functions are safe
// for concurrent use.
package knownitem
