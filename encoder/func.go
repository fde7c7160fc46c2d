package encoder

import (
	"context"
	"fmt"
)

// Func makes an Encoder of a plain function that encodes one text; query
// tells which side it is for. The function must be safe for concurrent use.
// Tokens that do not fit together, or the text, are errors that wrap
// ErrInvalid.
//
//	enc := encoder.Func{Width: 128, Encode: func(ctx context.Context, text string, query bool) (encoder.Tokens, error) {
//		return callMyModel(ctx, text)
//	}}
type Func struct {
	Width  int
	Encode func(ctx context.Context, text string, query bool) (Tokens, error)
}

// Dim returns f.Width.
func (f Func) Dim() int { return f.Width }

// EncodeQuery calls the function for a query and checks what it returns.
func (f Func) EncodeQuery(ctx context.Context, text string) (Tokens, error) {
	return f.encode(ctx, text, true)
}

// EncodeDocuments calls the function for each text in turn and checks what it
// returns.
func (f Func) EncodeDocuments(ctx context.Context, texts []string) ([]Tokens, error) {
	out := make([]Tokens, len(texts))
	for i, text := range texts {
		tokens, err := f.encode(ctx, text, false)
		if err != nil {
			return nil, fmt.Errorf("text %d: %w", i, err)
		}
		out[i] = tokens
	}
	return out, nil
}

func (f Func) encode(ctx context.Context, text string, query bool) (Tokens, error) {
	tokens, err := f.Encode(ctx, text, query)
	if err != nil {
		return Tokens{}, err
	}
	if err := tokens.Validate(f.Width); err != nil {
		return Tokens{}, err
	}
	for i, s := range tokens.Spans {
		if s.End > len(text) {
			return Tokens{}, fmt.Errorf("%w: span %d ends at byte %d of a text of %d", ErrInvalid, i, s.End, len(text))
		}
	}
	return tokens, nil
}
