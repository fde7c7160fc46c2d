package retriever

import (
	"fmt"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/encoder/bert"
	"github.com/pare-search/pare/encoder/corpus"
	"github.com/pare-search/pare/encoder/remote"
	"github.com/pare-search/pare/index"
)

// corpusKind names the encoder of package corpus in an index.
const corpusKind = "corpus"

// saveEncoder returns what an index keeps of an encoder: its kind and saved
// form. The kind is "" for encoders that cannot be kept.
func saveEncoder(enc encoder.Encoder) (kind string, data []byte, err error) {
	switch enc := enc.(type) {
	case *corpus.Encoder:
		kind = corpusKind
		data, err = enc.MarshalBinary()
	case *bert.Encoder:
		kind = bert.Kind
		data, err = enc.MarshalBinary()
	case *remote.Encoder:
		kind = remote.Kind
		data, err = enc.MarshalBinary()
	}
	if err != nil {
		return "", nil, fmt.Errorf("saving the encoder: %w", err)
	}
	return kind, data, nil
}

// loadEncoder returns the encoder that an index keeps.
func loadEncoder(snapshot *index.Snapshot, options OpenOptions) (encoder.Encoder, error) {
	kind, data, err := snapshot.Encoder()
	if err != nil {
		return nil, err
	}
	var enc encoder.Encoder
	switch kind {
	case corpusKind:
		enc, err = corpus.Load(data)
	case bert.Kind:
		enc, err = bert.Load(data, options.Model)
	case remote.Kind:
		service := remote.DefaultOptions()
		service.Key = options.Key
		enc, err = remote.Load(data, options.Service, service)
	case "":
		return nil, fmt.Errorf("%w; open it with New and the encoder that made its vectors", ErrNoEncoder)
	default:
		return nil, fmt.Errorf("%w: the index needs an encoder of kind %q, which this program does not know", ErrEncoder, kind)
	}
	if err != nil {
		return nil, fmt.Errorf("the index's encoder: %w", err)
	}
	return enc, nil
}
