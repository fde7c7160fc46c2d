// Package bert encodes texts with BERT models in pure Go: folders of
// sentence-transformers, PyLate and Stanford ColBERT models, with no Python and
// no shared library.
package bert
