package parebleve

import (
	"context"
	"fmt"
	"reflect"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/document"
	bleveindex "github.com/blevesearch/bleve_index_api"

	"github.com/pare-search/pare/encoder"
)

// operations returns what a batch is going to do.
//
// bleve maps a document when it is put into a batch, by a mapping that cannot
// be decorated once an index was closed, and offers no way to see what a batch
// holds before it is executed. So its one field of that type is read here,
// whatever it is called.
func operations(batch *bleve.Batch) (*bleveindex.Batch, error) {
	value := reflect.ValueOf(batch).Elem()
	for i := range value.NumField() {
		if f := value.Field(i); f.Type() == reflect.TypeFor[*bleveindex.Batch]() && !f.IsNil() {
			return (*bleveindex.Batch)(f.UnsafePointer()), nil
		}
	}
	return nil, fmt.Errorf("%w: bleve.Batch has no field of type %v", ErrBleve, reflect.TypeFor[*bleveindex.Batch]())
}

// Texts are encoded in groups: until there are so many, or so many bytes.
const (
	groupTexts = 256
	groupBytes = 1 << 20
)

// attached is what was added to documents for a field.
type attached struct {
	field   *field
	book    *book // codes the vectors
	vectors int64
}

// attach encodes the texts of documents and adds their vectors to them, in
// place of those that they may have.
func (x *Index) attach(ctx context.Context, documents []*document.Document) ([]attached, error) {
	var made []attached
	for _, name := range x.options.Fields {
		f := x.fields[name]
		a := attached{field: f, book: f.book()}
		for rest := documents; len(rest) > 0; {
			n, size := 0, 0
			var texts []string
			var first []int // texts of documents[i] are texts[first[i]:first[i+1]]
			for ; n < len(rest) && len(texts) < groupTexts && size < groupBytes; n++ {
				first = append(first, len(texts))
				for _, text := range textsOf(rest[n], f.name) {
					texts = append(texts, text)
					size += len(text)
				}
			}
			first = append(first, len(texts))
			tokens, err := x.encodeDocuments(ctx, texts)
			if err != nil {
				return nil, fmt.Errorf("field %q: %w", f.name, err)
			}
			vectors, err := x.code(ctx, a, rest[:n], tokens, first)
			if err != nil {
				return nil, fmt.Errorf("field %q: %w", f.name, err)
			}
			a.vectors += vectors
			rest = rest[n:]
		}
		made = append(made, a)
	}
	return made, nil
}

// code adds vectors to documents and returns how many; tokens[first[i]:first[i+1]]
// are those of documents[i].
func (x *Index) code(ctx context.Context, a attached, documents []*document.Document, tokens []encoder.Tokens, first []int) (vectors int64, err error) {
	stored := make([]encoder.Tokens, len(documents))
	for i := range documents {
		stored[i] = joinTokens(tokens[first[i]:first[i+1]])
	}
	if stored, err = x.prune(ctx, stored); err != nil {
		return 0, err
	}
	encoded, err := a.book.encodeAll(ctx, stored)
	if err != nil {
		return 0, err
	}
	for i, doc := range documents {
		if first[i] == first[i+1] {
			removeVectors(doc, a.field.hidden) // it has no text any more
			continue
		}
		if err := addVectors(doc, a.field.hidden, a.book, stored[i], encoded[i], x.options.TokenStatistics); err != nil {
			return 0, err
		}
		vectors += int64(stored[i].Vectors.Rows)
	}
	return vectors, nil
}

// prune returns what is to be stored of the tokens of documents.
func (x *Index) prune(ctx context.Context, tokens []encoder.Tokens) ([]encoder.Tokens, error) {
	if x.options.DocumentPruner == nil {
		return tokens, nil
	}
	pruned, err := x.options.DocumentPruner.PruneAll(ctx, tokens)
	if err != nil {
		return nil, err
	}
	stored := make([]encoder.Tokens, len(tokens))
	for i, p := range pruned {
		stored[i] = p.Tokens
	}
	return stored, nil
}

// encodeDocuments encodes texts and checks what the encoder returns.
func (x *Index) encodeDocuments(ctx context.Context, texts []string) ([]encoder.Tokens, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	tokens, err := x.options.Encoder.EncodeDocuments(ctx, texts)
	if err != nil {
		return nil, fmt.Errorf("encoding: %w", err)
	}
	if len(tokens) != len(texts) {
		return nil, fmt.Errorf("%w: it made %d documents of %d texts", ErrEncoder, len(tokens), len(texts))
	}
	for _, t := range tokens {
		if err := t.Validate(x.options.Encoder.Dim()); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrEncoder, err)
		}
	}
	return tokens, nil
}

// joinTokens puts the tokens of several values of a field one after the other.
// Spans, which are places in different texts, are left out.
func joinTokens(values []encoder.Tokens) encoder.Tokens {
	if len(values) == 1 {
		return values[0]
	}
	var all encoder.Tokens
	withIDs := true
	for _, v := range values {
		all.Vectors.Rows += v.Vectors.Rows
		all.Vectors.Dim = max(all.Vectors.Dim, v.Vectors.Dim)
		all.Vectors.Data = append(all.Vectors.Data, v.Vectors.Data...)
		all.IDs = append(all.IDs, v.IDs...)
		withIDs = withIDs && (v.IDs != nil || v.Vectors.Rows == 0)
	}
	if !withIDs {
		all.IDs = nil
	}
	return all
}
