package parebleve

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/index/docpruner"
	"github.com/pare-search/pare/querypruner"
)

// Errors that callers test for.
var (
	// ErrOptions: options that Validate refuses.
	ErrOptions = errors.New("parebleve: invalid option")
	// ErrNotScorch: the bleve index is not of type scorch, the only one whose
	// segments can be read.
	ErrNotScorch = errors.New("parebleve: not a scorch index")
	// ErrEncoder: the index was made with another encoder.
	ErrEncoder = errors.New("parebleve: no fitting encoder")
	// ErrNotOpen: a query was given to an index that parebleve did not open.
	ErrNotOpen = errors.New("parebleve: the index was not opened by parebleve")
	// ErrField: a query names a field that Options.Fields does not.
	ErrField = errors.New("parebleve: field has no vectors")
	// ErrCorrupt: what is stored for a document cannot be read.
	ErrCorrupt = errors.New("parebleve: corrupt vectors")
	// ErrCodebook: a codebook that documents are coded with is missing or cannot
	// be read. With another one in Options.Codebook the index opens all the same:
	// Status.Lost counts the documents, and Reindex makes their vectors anew where
	// texts are stored.
	ErrCodebook = errors.New("parebleve: missing codebook")
	// ErrVersion: the index was written by another version of parebleve, and has to be
	// built anew.
	ErrVersion = errors.New("parebleve: unknown version of the index")
	// ErrBleve: this version of bleve is built in a way that parebleve does not
	// know.
	ErrBleve = errors.New("parebleve: unknown version of bleve")
	// ErrReadOnly: a change of an index that was opened for reading only.
	ErrReadOnly = errors.New("parebleve: the index is read-only")
	// ErrNotCopyable: documents have parts that Reindex cannot carry over.
	ErrNotCopyable = errors.New("parebleve: documents cannot be copied")
	// ErrQuery: a query whose settings make no sense.
	ErrQuery = errors.New("parebleve: invalid query")
)

// Options say which fields get vectors, and how they are made and searched.
// Fields and Encoder must be set. What else is left zero is as in
// DefaultOptions.
type Options struct {
	// Fields are the names of the text fields, as bleve's mapping has them, whose
	// texts are encoded. At least one.
	Fields []string
	// Encoder turns texts into vectors. It must be the same each time the index
	// is opened.
	Encoder encoder.Encoder

	// Codec says how vectors are compressed and how cells are trained, from the
	// next training on.
	Codec codec.Options
	// Codebook, if set, codes every document that is added: one codebook for
	// several indexes, or one trained elsewhere. Without it the index trains its
	// own, and trains again when the collection has doubled.
	Codebook *codec.Codebook
	// TrainingVectors is the number of vectors in a field from which on it has a
	// trained codebook, 65,536 unless set. Up to there vectors are stored as int8
	// and all of them are scored. Below zero, codebooks are trained only when Train
	// is called.
	TrainingVectors int
	// DocumentPruner, if set, decides which vectors of documents are stored from
	// now on; documents that are there keep what they have, and Reindex prunes what
	// it encodes. It is fitted on tokens of the encoder, and kept with the codebooks
	// of an index on disk: opened without one, the index goes on with the last that
	// it was given. One that prunes nothing, docpruner's "none", ends that. It also
	// tells explanations and highlights the tokens of stored vectors, and what to
	// leave out of texts that Rescore encodes on the spot.
	DocumentPruner *docpruner.Fitted
	// TokenStatistics keeps count of the documents and vectors of every token id,
	// for pruning strategies that ask how frequent a token is. It takes about
	// three bytes per vector. Without it they are told how many documents share
	// the token's nearest cell.
	TokenStatistics bool

	// Pruner selects the query tokens that look for candidates; a Query can have
	// its own.
	Pruner querypruner.Pruner
	// Search says how much work a query may do; a Query can have its own. K and
	// Filter are not used: the number of hits follows the search request, and a
	// Query has a filter of its own, SetFilter. A Depth of 0 is 256 for the first
	// 128 hits, and more for pages further down (steps.go); whatever it is, all
	// pages of a result are parts of one ranking.
	Search index.SearchOptions
	// Matches is how many documents, the best, a MaxSim query matches as a part of
	// a larger query, with facets, or with another order than by score, 1000
	// unless set, or as many as the request asks for if that is more. A query that
	// is alone in a request matches as many as the request asks for.
	Matches int
	// CacheBytes is how many bytes of vectors' codes are kept in memory once
	// they were read, 256 MiB unless set, none below zero. bleve keeps them in
	// blocks together with the documents' texts, which take about 1 µs to unpack.
	CacheBytes int64
}

// DefaultOptions returns options for vectors of the given fields: two bits per
// dimension, and a budget of postings that all query tokens share.
func DefaultOptions(enc encoder.Encoder, fields ...string) Options {
	return Options{
		Fields:          fields,
		Encoder:         enc,
		Codec:           codec.DefaultOptions(),
		TrainingVectors: 1 << 16,
		Search:          index.DefaultSearchOptions(),
		Matches:         1000,
		CacheBytes:      256 << 20,
	}
}

// withDefaults fills in what is left zero.
func (o Options) withDefaults() Options {
	defaults := DefaultOptions(o.Encoder, o.Fields...)
	if o.Codec == (codec.Options{}) {
		o.Codec = defaults.Codec
	}
	if o.Search == (index.SearchOptions{}) {
		o.Search = defaults.Search
	}
	o.TrainingVectors = cmp.Or(o.TrainingVectors, defaults.TrainingVectors)
	o.Matches = cmp.Or(o.Matches, defaults.Matches)
	o.CacheBytes = cmp.Or(o.CacheBytes, defaults.CacheBytes)
	return o
}

// Validate reports every option that makes no sense.
func (o Options) Validate() error {
	o = o.withDefaults()
	var faults []error
	bad := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("%w: "+format, append([]any{ErrOptions}, args...)...))
		}
	}
	bad(len(o.Fields) > 0, "no fields")
	for i, name := range o.Fields {
		bad(name != "", "field %d has no name", i)
		bad(!slices.Contains(o.Fields[:i], name), "field %q stands twice", name)
	}
	bad(o.Encoder != nil, "no encoder")
	bad(o.Matches >= 1, "%d matches, want at least one", o.Matches)
	if o.Codebook != nil && o.Encoder != nil {
		bad(o.Codebook.Dim() == o.Encoder.Dim(), "the codebook has %d dimensions, the encoder %d", o.Codebook.Dim(), o.Encoder.Dim())
	}
	if o.DocumentPruner != nil && o.Encoder != nil {
		dim := o.DocumentPruner.Dim() // 0 for any
		bad(dim == 0 || dim == o.Encoder.Dim(), "the document pruner is for %d dimensions, the encoder has %d", dim, o.Encoder.Dim())
	}
	for _, err := range []error{o.Codec.Validate(), o.Pruner.Validate(), o.Search.Validate()} {
		if err != nil {
			faults = append(faults, fmt.Errorf("%w: %w", ErrOptions, err))
		}
	}
	return errors.Join(faults...)
}
