package retriever

import (
	"context"

	"github.com/pare-search/pare/encoder"
)

// memo encodes texts and remembers what it can, so that a model or a service
// need not encode them again for the next stage.
type memo struct {
	encoder.Encoder
	known map[string]encoder.Tokens // by text
	room  int                       // vectors that may still be remembered
	last  bool                      // nobody will ask again: forget what is returned
}

// newMemo returns a memo with room for so many vectors.
func newMemo(enc encoder.Encoder, room int) *memo {
	return &memo{Encoder: enc, known: make(map[string]encoder.Tokens), room: room}
}

// remember keeps the tokens of a text, without their spans, if there is room.
func (m *memo) remember(text string, tokens encoder.Tokens) {
	if _, again := m.known[text]; again || tokens.Vectors.Rows > m.room {
		return
	}
	tokens.Spans = nil
	m.known[text] = tokens
	m.room -= tokens.Vectors.Rows
}

// EncodeDocuments encodes the texts that are not known.
func (m *memo) EncodeDocuments(ctx context.Context, texts []string) ([]encoder.Tokens, error) {
	out := make([]encoder.Tokens, len(texts))
	var unknown []string
	var places []int
	for i, text := range texts {
		tokens, ok := m.known[text]
		if !ok {
			unknown, places = append(unknown, text), append(places, i)
		}
		out[i] = tokens
	}
	if m.last {
		for _, text := range texts {
			delete(m.known, text)
		}
	}
	if len(unknown) == 0 {
		return out, ctx.Err()
	}
	encoded, err := m.Encoder.EncodeDocuments(ctx, unknown)
	if err != nil || len(encoded) != len(unknown) {
		return encoded, err
	}
	for i, tokens := range encoded {
		out[places[i]] = tokens
		if !m.last {
			m.remember(unknown[i], tokens)
		}
	}
	return out, nil
}
