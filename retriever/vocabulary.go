package retriever

import (
	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/encoder/bert"
	"github.com/pare-search/pare/encoder/corpus"
	"github.com/pare-search/pare/index/docpruner"
	"github.com/pare-search/pare/querypruner"
)

// Informed returns the pruner with what the encoder knows about its token ids,
// unless the pruner knows or does not need it. Search and Explain call it.
func Informed(p querypruner.Pruner, enc encoder.Encoder) querypruner.Pruner {
	if !p.NeedsVocabulary() || !p.Vocabulary.Empty() {
		return p
	}
	switch enc := enc.(type) {
	case *bert.Encoder:
		p.Vocabulary.Special = enc.SpecialIDs()
		if mask, ok := enc.Mask(); ok {
			p.Vocabulary.Masks = []uint32{mask}
		}
		p.Vocabulary.Stop = idsOf(corpus.StopWords(p.Drop.StopWords), enc.Tokenizer().ID)
	case *corpus.Encoder:
		p.Vocabulary.Stop = idsOf(corpus.StopWords(p.Drop.StopWords), enc.ID)
	}
	return p
}

// UnknownWords returns the rows of an encoded query, ascending, whose words neither
// the default encoder (package encoder/corpus) nor any document has: their vectors
// are random, so that what they match they match by accident. Other encoders have no
// such words, since a model makes something of every piece of a word. Safe for
// concurrent use; after Close the error is ErrClosed.
func (r *Retriever) UnknownWords(query encoder.Tokens) ([]int, error) {
	r.use.RLock()
	defer r.use.RUnlock()
	if r.closed {
		return nil, ErrClosed
	}
	enc, ok := r.encoder.(*corpus.Encoder)
	if !ok {
		return nil, nil
	}
	statistics, err := r.snapshot.Statistics()
	if err != nil {
		return nil, err
	}
	var rows []int
	for i, id := range query.IDs {
		if _, learnt := enc.Word(id); learnt {
			continue
		}
		if _, documents := statistics.TokenFrequency(id); documents == 0 {
			rows = append(rows, i)
		}
	}
	return rows, nil
}

// learnFrom says what a pruner of documents may learn from: the whole sample, so
// many vectors, and what the encoder knows about its token ids.
func learnFrom(options BuildOptions, enc encoder.Encoder, vectors int) docpruner.FitOptions {
	fit := docpruner.FitOptions{Sample: max(vectors, 1), Queries: options.Queries}
	var id func(string) (uint32, bool)
	switch enc := enc.(type) {
	case *bert.Encoder:
		fit.Special, id = enc.SpecialIDs(), enc.Tokenizer().ID
	case *corpus.Encoder:
		id = enc.ID
	default:
		return fit
	}
	fit.StopWords = make(map[string][]uint32)
	for _, step := range options.Pruner.Steps {
		fit.StopWords[step.Language] = idsOf(corpus.StopWords(step.Language), id)
	}
	return fit
}

// idsOf returns the ids of the words that are one token, nil without words.
func idsOf(words []string, id func(string) (uint32, bool)) []uint32 {
	if words == nil {
		return nil
	}
	ids := make([]uint32, 0, len(words))
	for _, word := range words {
		if id, ok := id(word); ok {
			ids = append(ids, id)
		}
	}
	return ids
}
