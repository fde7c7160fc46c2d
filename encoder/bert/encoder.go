package bert

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/encoder/table"
	"github.com/pare-search/pare/simd"
	"github.com/pare-search/pare/simd/gemm"
)

// Options say how a model is used. They are kept in an index with the encoder.
type Options struct {
	// Dim is the width of the vectors of a model of sentence embeddings, which
	// are projected to it: a multiple of 8, at most the model's own width; 0
	// leaves them as they are. Models made for late interaction have a width
	// of their own.
	Dim int
	// QueryLength and DocumentLength are the tokens at which texts are cut, all
	// special ones counted; 0 is the model's own.
	QueryLength, DocumentLength int
	// Int8 computes with weights of 8 bits; see ModelOptions.
	Int8 bool
	// Seed draws the texts that a projection is learnt from.
	Seed uint64

	// Workers is the number of goroutines that encode documents, 0 for one per
	// processor. It changes no vector and is not kept.
	Workers int
	// Progress, if set, is told the number of tokens of every text when it is
	// encoded, by several goroutines at a time. It is not kept.
	Progress func(tokens int)
}

// DefaultOptions project to 128 dimensions and cut as the model says.
func DefaultOptions() Options { return Options{Dim: 128, Seed: 1} }

// Validate reports every option that makes no sense; each wraps ErrOptions.
func (o Options) Validate() error {
	var faults []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("%w: "+format, append([]any{ErrOptions}, args...)...))
		}
	}
	if err := simd.CheckDim(o.Dim); o.Dim != 0 && err != nil {
		faults = append(faults, fmt.Errorf("%w: Dim: %w", ErrOptions, err))
	}
	check(o.QueryLength >= 0 && o.QueryLength <= maxWidth, "QueryLength %d, want 0 to %d", o.QueryLength, maxWidth)
	check(o.DocumentLength >= 0 && o.DocumentLength <= maxWidth, "DocumentLength %d, want 0 to %d", o.DocumentLength, maxWidth)
	check(o.Workers >= 0, "Workers %d, want 0 or more", o.Workers)
	return errors.Join(faults...)
}

// Encoder encodes texts with a BERT model. It is immutable and safe for
// concurrent use; calls share the processors. Ids are those of the tokenizer.
type Encoder struct {
	dir         string
	fingerprint [sha256.Size]byte
	layout      Layout
	config      Config
	tokenizer   *Tokenizer
	model       *model
	heads       []*head

	query, document side
	dim             int
	projects        bool          // hidden states, through a projection that is learnt
	learnt          simd.Matrix   // the projection, [dim x Hidden]
	added           *table.Table  // of word pieces, if not the model's own
	projection      *gemm.Weights // packed; nil until it is learnt

	options Options
	workers int
}

var _ encoder.Encoder = (*Encoder)(nil)

// Open opens the model in a folder, which is not written to. An encoder that
// [Encoder.NeedsProjection] must learn it before it encodes. Errors wrap
// ErrOptions, ErrModel for files that are missing, damaged or do not fit
// together, or ErrUnsupported for models that are none of the layouts; they
// name the file and the field or tensor. Where the folder was downloaded by
// package hub, files are compared with the checksums of its record.
func Open(dir string, options Options) (*Encoder, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	f, err := openFolder(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the model: %w", err)
	}
	return newEncoder(dir, f, options, nil)
}

// newEncoder loads a model. want is the fingerprint that it must have, nil for
// any: a model with another is ErrOtherModel, whatever else is wrong with it.
func newEncoder(dir string, f *folder, options Options, want *[sha256.Size]byte) (*Encoder, error) {
	e := &Encoder{dir: dir, layout: f.layout, config: f.config, tokenizer: f.tokenizer, options: options, workers: options.Workers}
	if e.workers == 0 {
		e.workers = runtime.GOMAXPROCS(0)
	}
	// Hashing the weights takes about as long as reading them.
	loaded := make(chan error, 1)
	go func() { loaded <- e.load(f) }()
	sum, err := fingerprint(dir, f.files)
	loadErr := <-loaded
	switch {
	case err != nil:
		return nil, err
	case want != nil && sum != *want:
		return nil, fmt.Errorf("%w: the one in %s has SHA-256 %s, want %s", ErrOtherModel, dir, short(sum), short(*want))
	case loadErr != nil:
		return nil, loadErr
	}
	e.fingerprint = sum
	return e, nil
}

// load settles the lengths, loads the weights and settles the width.
func (e *Encoder) load(f *folder) error {
	if e.options.QueryLength > 0 {
		f.query.setLength(e.options.QueryLength)
	}
	if e.options.DocumentLength > 0 {
		f.document.setLength(e.options.DocumentLength)
	}
	if err := f.checkSides(); err != nil {
		return err
	}
	e.query, e.document = f.query, f.document
	weights, err := openSafetensors(f.weights)
	if err != nil {
		return err
	}
	defer weights.Close()
	wordTable, err := openTable(f.table)
	if err != nil {
		return err
	}
	if e.model, err = newModel(f.config, weights, ModelOptions{Int8: e.options.Int8, Words: wordTable}); err != nil {
		return fmt.Errorf("%s: %w", f.weights, err)
	}
	if err := e.loadHeads(f.heads, weights); err != nil {
		return err
	}
	return e.loadProjection(f.projection)
}

// loadProjection takes the projection in the model's folder if it is of the width that is
// asked for.
func (e *Encoder) loadProjection(path string) error {
	if !e.projects {
		return nil
	}
	learnt, err := readProjection(path)
	if err != nil || learnt.Rows != e.dim {
		return err
	}
	projected, err := e.WithProjection(learnt)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrModel, path, err)
	}
	*e = *projected
	return nil
}

// loadHeads loads what follows the transformer.
func (e *Encoder) loadHeads(configs []headConfig, weights *safetensors) error {
	e.dim = e.config.Hidden
	for _, config := range configs {
		h, err := loadHead(config, weights, e.dim)
		if err != nil {
			return err
		}
		e.heads, e.dim = append(e.heads, h), h.out
	}
	if e.layout == SentenceTransformers && e.options.Dim > 0 {
		if e.options.Dim > e.config.Hidden {
			return fmt.Errorf("%w: Dim %d, the model has %d", ErrOptions, e.options.Dim, e.config.Hidden)
		}
		e.projects, e.dim = true, e.options.Dim
	}
	if err := simd.CheckDim(e.dim); err != nil {
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	return nil
}

// Dim is the width of every vector.
func (e *Encoder) Dim() int { return e.dim }

// Dir is the model's folder, as an absolute path.
func (e *Encoder) Dir() string { return e.dir }

// Layout tells what kind of folder it is.
func (e *Encoder) Layout() Layout { return e.layout }

// Config is the shape of the model.
func (e *Encoder) Config() Config { return e.config }

// Tokenizer returns the model's tokenizer.
func (e *Encoder) Tokenizer() *Tokenizer { return e.tokenizer }

// SpecialIDs returns the ids that queries begin and end with whatever they say,
// such as [CLS], [SEP] and a mark of queries.
func (e *Encoder) SpecialIDs() []uint32 {
	before, after := e.tokenizer.Special()
	return slices.Concat(before, e.query.prefix, after)
}

// Mask returns the id that short queries are filled up with, if they are.
func (e *Encoder) Mask() (id uint32, ok bool) { return e.query.mask, e.query.to > 0 }

// Fingerprint is a SHA-256 hash of the files that vectors depend on, in the
// order in which the model applies them.
func (e *Encoder) Fingerprint() [sha256.Size]byte { return e.fingerprint }

// Projection returns the learnt projection, [Dim x hidden size], or an empty
// matrix.
func (e *Encoder) Projection() simd.Matrix { return e.learnt }

// WithProjection returns a copy of e that projects by a matrix [Dim x hidden size]
// of finite values, as Projection of an encoder of the same model gives it. Where the
// model has a width of its own or the matrix another shape the error wraps ErrOptions.
// The copy keeps the matrix.
func (e *Encoder) WithProjection(projection simd.Matrix) (*Encoder, error) {
	if !e.projects {
		return nil, fmt.Errorf("%w: a projection for a model that has none to learn", ErrOptions)
	}
	if projection.Rows != e.dim || projection.Dim != e.config.Hidden {
		return nil, fmt.Errorf("%w: a projection of [%d %d], want [%d %d]", ErrOptions, projection.Rows, projection.Dim, e.dim, e.config.Hidden)
	}
	if err := projection.Validate(); err != nil {
		return nil, fmt.Errorf("%w: projection: %w", ErrOptions, err)
	}
	return e.withProjection(projection), nil
}

// withProjection returns a copy of e with a projection.
func (e *Encoder) withProjection(projection simd.Matrix) *Encoder {
	projected := *e
	projected.learnt = projection
	projected.projection = gemm.Pack(projection.Data, projection.Rows, projection.Dim, nil)
	return &projected
}

// EncodeQuery encodes a query, with the special tokens and masks that the model
// wants, on the calling goroutine: callers have several queries at a time, and
// workers that share one mostly wait for each other. A query without any piece
// has no tokens.
func (e *Encoder) EncodeQuery(ctx context.Context, text string) (encoder.Tokens, error) {
	if len(e.tokenizer.Tokenize(text, 1).IDs) == 0 {
		return encoder.Tokens{}, ctx.Err()
	}
	tokens, err := e.encode(ctx, &e.query, []string{text}, 1)
	if err != nil {
		return encoder.Tokens{}, err
	}
	return tokens[0], nil
}

// EncodeDocuments encodes texts with all workers. Besides what it returns it
// holds memory for one batch of at most 1,024 tokens per worker.
func (e *Encoder) EncodeDocuments(ctx context.Context, texts []string) ([]encoder.Tokens, error) {
	return e.encode(ctx, &e.document, texts, e.workers)
}

func (e *Encoder) encode(ctx context.Context, s *side, texts []string, workers int) ([]encoder.Tokens, error) {
	if e.NeedsProjection() {
		return nil, fmt.Errorf("%w: its projection has not been learnt", ErrModel)
	}
	inputs := e.sequences(s, texts)
	out := make([]encoder.Tokens, len(texts))
	err := e.forward(ctx, inputs, workers, func(i int, hidden simd.Matrix) {
		out[i] = e.tokens(s, inputs[i], hidden)
		if e.options.Progress != nil {
			e.options.Progress(len(inputs[i].ids))
		}
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// sequence is a text as the model reads it.
type sequence struct {
	ids      []uint32
	spans    []encoder.Span
	attended int // ids that the others attend to; masks follow them
}

// sequences tokenizes texts with all workers.
func (e *Encoder) sequences(s *side, texts []string) []sequence {
	inputs := make([]sequence, len(texts))
	var running sync.WaitGroup
	for worker := range min(e.workers, len(texts)) {
		running.Go(func() {
			for i := worker; i < len(texts); i += e.workers {
				inputs[i] = e.sequence(s, texts[i])
			}
		})
	}
	running.Wait()
	return inputs
}

// sequence tokenizes a text: the first special ids, the prefix, the pieces, the
// last special ids and the masks.
func (e *Encoder) sequence(s *side, text string) sequence {
	before, after := e.tokenizer.Special()
	pieces := e.tokenizer.Tokenize(s.prompt+text, s.length-len(before)-len(s.prefix)-len(after))
	var in sequence
	in.ids = slices.Concat(before, s.prefix, pieces.IDs, after)
	in.attended = len(in.ids)
	for len(in.ids) < s.expansion.to {
		in.ids = append(in.ids, s.expansion.mask)
	}
	if s.expansion.attended {
		in.attended = len(in.ids)
	}
	in.spans = make([]encoder.Span, len(in.ids))
	for i, span := range pieces.Spans {
		if span.End > len(s.prompt) {
			in.spans[len(before)+len(s.prefix)+i] = encoder.Span{Start: max(span.Start-len(s.prompt), 0), End: span.End - len(s.prompt)}
		}
	}
	return in
}

// forward runs the model.
func (e *Encoder) forward(ctx context.Context, inputs []sequence, workers int, out func(i int, hidden simd.Matrix)) error {
	texts, attended := make([][]uint32, len(inputs)), make([]int, len(inputs))
	for i, in := range inputs {
		texts[i], attended[i] = in.ids, in.attended
	}
	return e.model.Forward(ctx, texts, attended, workers, out)
}

// has reports whether a piece gets a vector.
func (s *side) has(id uint32) bool {
	if len(s.keepIDs) > 0 && !slices.Contains(s.keepIDs, id) {
		return false
	}
	return int(id) >= len(s.drop) || !s.drop[id]
}

// vectors is how many pieces get a vector.
func (in sequence) vectors(s *side) int {
	count := 0
	for _, id := range in.ids {
		if s.has(id) {
			count++
		}
	}
	return count
}

// kept copies the rows of the pieces that get a vector.
func (in sequence) kept(s *side, hidden simd.Matrix) simd.Matrix {
	kept := simd.NewMatrix(in.vectors(s), hidden.Dim)
	row := 0
	for i, id := range in.ids {
		if s.has(id) {
			copy(kept.Row(row), hidden.Row(i))
			row++
		}
	}
	return kept
}

// tokens makes a text's vectors out of its last hidden states.
func (e *Encoder) tokens(s *side, in sequence, hidden simd.Matrix) encoder.Tokens {
	states := in.kept(s, hidden)
	if e.projects {
		states.Normalize()
	}
	return e.finish(s, in, states)
}

// finish makes a text's vectors out of the states of the pieces that get one.
func (e *Encoder) finish(s *side, in sequence, vectors simd.Matrix) encoder.Tokens {
	if e.projects {
		vectors = multiply(vectors, e.projection, e.dim)
	}
	for _, h := range e.heads {
		vectors = h.apply(vectors)
	}
	vectors.Normalize()
	tokens := encoder.Tokens{Vectors: vectors}
	for i, id := range in.ids {
		if s.has(id) {
			tokens.IDs = append(tokens.IDs, id)
			tokens.Spans = append(tokens.Spans, in.spans[i])
		}
	}
	return tokens
}
