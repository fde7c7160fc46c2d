package encoder

import (
	"context"
	"errors"
	"fmt"

	"github.com/pare-search/pare/simd"
)

// ErrInvalid reports tokens that do not fit together: a wrong number of ids
// or spans, or vectors that are no valid matrix.
var ErrInvalid = errors.New("encoder: invalid tokens")

// Tokens is one encoded text: one vector per token, in text order.
type Tokens struct {
	// IDs names each token's type, one per row, or is nil when the vectors
	// came without ids. Equal ids mean the same word or word piece; the
	// numbers need not be dense.
	IDs []uint32
	// Vectors has one row per token. Document rows usually have length 1;
	// query rows may carry a weight as their length.
	Vectors simd.Matrix
	// Spans tells which bytes of the text each token covers, one per row, or
	// is nil.
	Spans []Span
}

// Span is the half-open byte range Start..End of a token in its text. A token
// that stands for no text (a mask, a special token) has an empty span.
type Span struct{ Start, End int }

// In returns the part of text that the span covers, "" if it does not lie in
// text, so that spans of another text do no harm.
func (s Span) In(text string) string {
	if s.Start < 0 || s.End < s.Start || s.End > len(text) {
		return ""
	}
	return text[s.Start:s.End]
}

// Validate checks that ids and spans, where present, match the vectors, that
// no span is negative or ends before it starts, and that the vectors are
// finite, with a width of dim.
func (t Tokens) Validate(dim int) error {
	if t.Vectors.Rows == 0 || t.Vectors.Dim == dim {
		if err := t.Vectors.Validate(); err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
	}
	return t.ValidateShape(dim)
}

// ValidateShape is Validate but for the values of the vectors.
func (t Tokens) ValidateShape(dim int) error {
	rows := t.Vectors.Rows
	if rows > 0 && t.Vectors.Dim != dim {
		return fmt.Errorf("%w: vectors have %d dimensions, want %d", ErrInvalid, t.Vectors.Dim, dim)
	}
	if err := t.Vectors.ValidateShape(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if t.IDs != nil && len(t.IDs) != rows {
		return fmt.Errorf("%w: %d ids for %d vectors", ErrInvalid, len(t.IDs), rows)
	}
	if t.Spans != nil && len(t.Spans) != rows {
		return fmt.Errorf("%w: %d spans for %d vectors", ErrInvalid, len(t.Spans), rows)
	}
	for i, s := range t.Spans {
		if s.Start < 0 || s.End < s.Start {
			return fmt.Errorf("%w: span %d covers bytes %d to %d", ErrInvalid, i, s.Start, s.End)
		}
	}
	return nil
}

// Encoder turns texts into token vectors of one width. Implementations are
// safe for concurrent use and deterministic: the same text gives the same
// tokens.
type Encoder interface {
	// Dim is the width of every vector.
	Dim() int
	// EncodeQuery encodes one query.
	EncodeQuery(ctx context.Context, text string) (Tokens, error)
	// EncodeDocuments encodes texts in order, one Tokens each.
	EncodeDocuments(ctx context.Context, texts []string) ([]Tokens, error)
}
