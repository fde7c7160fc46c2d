package remote

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/pare-search/pare/encoder"
)

// batchBytes is the size of text at which a request gets no more texts.
const batchBytes = 128 << 10

// Encoder encodes texts with a service. It implements encoder.Encoder.
type Encoder struct {
	service Service
	client  *client
}

// New returns an encoder that uses a service. If service.Dim is 0 it encodes a
// word to learn the width; else the service is first spoken to when there is
// something to encode.
func New(ctx context.Context, service Service, options Options) (*Encoder, error) {
	if service.Dim != 0 {
		return open(service, options)
	}
	if err := service.validateAddress(); err != nil {
		return nil, err
	}
	if err := options.Validate(); err != nil {
		return nil, err
	}
	probe := &Encoder{service, newClient(service, options)}
	found, err := probe.ask(ctx, []string{"width"}, true)
	if err != nil {
		return nil, fmt.Errorf("asking for the width: %w", err)
	}
	service.Dim = found[0].Dim
	return open(service, options)
}

// open returns an encoder without speaking to the service.
func open(service Service, options Options) (*Encoder, error) {
	if err := service.Validate(); err != nil {
		return nil, err
	}
	if err := options.Validate(); err != nil {
		return nil, err
	}
	return &Encoder{service, newClient(service, options)}, nil
}

// Service returns what the encoder uses, its width known.
func (e *Encoder) Service() Service { return e.service }

// Dim returns the width of the vectors.
func (e *Encoder) Dim() int { return e.service.Dim }

// EncodeQuery encodes a query. One without words is not sent and has no
// tokens. The error is one of ctx or the connection, or wraps ErrStatus or
// ErrAnswer.
func (e *Encoder) EncodeQuery(ctx context.Context, text string) (encoder.Tokens, error) {
	tokens, err := e.encode(ctx, []string{text}, true)
	if err != nil {
		return encoder.Tokens{}, err
	}
	return tokens[0], nil
}

// EncodeDocuments encodes texts in batches, several at once. Texts without words
// are not sent and have no tokens. The error is as that of EncodeQuery.
func (e *Encoder) EncodeDocuments(ctx context.Context, texts []string) ([]encoder.Tokens, error) {
	return e.encode(ctx, texts, false)
}

func (e *Encoder) encode(ctx context.Context, texts []string, query bool) ([]encoder.Tokens, error) {
	prefix := e.service.DocumentPrefix
	if query {
		prefix = e.service.QueryPrefix
	}
	out := make([]encoder.Tokens, len(texts))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(e.client.options.Concurrency)
	var batch []string
	var places []int // of the batch's texts
	size := 0
	send := func() {
		batch, places := batch, places
		group.Go(func() error {
			found, err := e.ask(ctx, batch, query)
			if err != nil {
				if len(texts) > 1 {
					err = fmt.Errorf("texts %d to %d: %w", places[0], places[len(places)-1], err)
				}
				return err
			}
			for i, r := range found {
				r.Normalize()
				out[places[i]].Vectors = r.Matrix
			}
			return nil
		})
	}
	for i, text := range texts {
		if strings.TrimSpace(text) == "" {
			continue
		}
		batch, places = append(batch, prefix+text), append(places, i)
		size += len(text)
		if len(batch) == e.client.options.Batch || size >= batchBytes {
			send()
			batch, places, size = nil, nil, 0
		}
	}
	if len(batch) > 0 {
		send()
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return out, nil
}

// ask encodes texts, none of them empty, with one request and checks the
// answer: one matrix per text, with vectors, all as wide as promised.
func (e *Encoder) ask(ctx context.Context, texts []string, query bool) ([]rows, error) {
	protocol := protocols[e.service.Format]
	body, err := json.Marshal(protocol.request(e.service, texts, query))
	if err != nil {
		return nil, err
	}
	answer, err := e.client.post(ctx, body)
	if err != nil {
		return nil, e.named(err)
	}
	found, err := protocol.answer(answer)
	if err != nil {
		return nil, e.named(fmt.Errorf("%w: %w", ErrAnswer, err))
	}
	if len(found) != len(texts) {
		return nil, e.named(fmt.Errorf("%w: vectors of %d texts, %d were sent", ErrAnswer, len(found), len(texts)))
	}
	for i, r := range found {
		if r.Rows == 0 {
			return nil, e.named(fmt.Errorf("%w: text %d, %.40q, has no vectors", ErrAnswer, i, texts[i]))
		}
		if dim := e.service.Dim; dim != 0 && r.Dim != dim {
			return nil, e.named(fmt.Errorf("%w: text %d: vectors of %d values, want %d; has the model a projection to that width?",
				ErrAnswer, i, r.Dim, dim))
		}
	}
	return found, nil
}

// named puts the service before an error.
func (e *Encoder) named(err error) error {
	return fmt.Errorf("remote: %s at %s: %w", e.service.Format, e.client.endpoint, err)
}
