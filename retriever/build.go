package retriever

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/encoder/corpus"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/simd"
)

// Document is one text to be indexed.
type Document struct {
	ID, Text string
}

// BuildOptions say how an index is built from texts.
type BuildOptions struct {
	// Encoder turns texts into vectors. Nil trains the default encoder on
	// the texts themselves, as Corpus says, and stores it in the index.
	Encoder encoder.Encoder
	Corpus  corpus.Options
	// Index shapes the index. Its Dim is taken from the encoder.
	Index index.Options
	// Batch is the number of documents encoded and added at a time.
	Batch int
	// Seed draws the sample that the codebook is trained on.
	Seed uint64
	// Progress, if set, is told how far each stage is. Total is 0 while it
	// is unknown.
	Progress func(stage Stage, done, total int)
}

// Stage is a stage of building an index.
type Stage string

// The stages of Build in their order.
const (
	TrainingEncoder  Stage = "training the encoder"
	SamplingVectors  Stage = "sampling vectors"
	TrainingCodebook Stage = "training the codebook"
	Indexing         Stage = "indexing"
)

// DefaultBuildOptions trains the default encoder, compresses to two bits and
// stores the texts.
func DefaultBuildOptions() BuildOptions {
	options := BuildOptions{
		Corpus: corpus.DefaultOptions(),
		Index:  index.DefaultOptions(corpus.DefaultOptions().Dim),
		Batch:  256,
		Seed:   1,
	}
	options.Index.StoreText = true
	return options
}

// Validate reports every option that makes no sense.
func (o BuildOptions) Validate() error {
	var faults []error
	if o.Batch < 1 {
		faults = append(faults, fmt.Errorf("retriever: batches of %d documents", o.Batch))
	}
	if o.Encoder == nil {
		faults = append(faults, o.Corpus.Validate())
		o.Index.Dim = o.Corpus.Dim
	} else {
		o.Index.Dim = o.Encoder.Dim()
	}
	return errors.Join(append(faults, o.Index.Validate())...)
}

// Build makes an index of texts in the folder dir, which must not exist or be
// empty. It goes through documents three times, to train the encoder, to
// sample vectors for the codebook and to index, and holds no more in memory
// than the trainer needs, one batch, the sample (Index.TrainingVectors vectors)
// and one segment.
// The sequence must yield the same documents each time. Nothing is committed
// before the end: an interrupted Build leaves an empty index.
func Build(ctx context.Context, dir string, documents iter.Seq2[Document, error], options BuildOptions) error {
	if options.Progress == nil {
		options.Progress = func(Stage, int, int) {}
	}
	if err := options.Validate(); err != nil {
		return err
	}
	b := builder{documents: documents, options: options, random: rand.New(rand.NewPCG(options.Seed, 0))}
	if err := b.prepareEncoder(ctx); err != nil {
		return err
	}
	b.options.Index.Dim = b.encoder.Dim()
	if err := b.trainCodebook(ctx); err != nil {
		return err
	}
	return b.index(ctx, dir)
}

// pilotDocuments is how many documents, drawn evenly, settle how many vectors
// a byte of text becomes.
const pilotDocuments = 64

// builder carries what the stages of Build hand on.
type builder struct {
	documents iter.Seq2[Document, error]
	options   BuildOptions
	random    *rand.Rand

	count, bytes int      // documents and their text
	pilot        []string // a reservoir sample of the texts
	encoder      encoder.Encoder
	saved        []byte // the encoder's saved form, nil when it is the caller's
	codebook     *codec.Codebook
}

// texts yields the documents' texts while it counts them and draws the pilot
// (reservoir sampling, Vitter 1985, algorithm R).
func (b *builder) texts(yield func(string, error) bool) {
	b.count, b.bytes, b.pilot = 0, 0, nil
	for document, err := range b.documents {
		if err == nil {
			b.count++
			b.bytes += len(document.Text)
			if len(b.pilot) < pilotDocuments {
				b.pilot = append(b.pilot, document.Text)
			} else if i := b.random.IntN(b.count); i < pilotDocuments {
				b.pilot[i] = document.Text
			}
		}
		if !yield(document.Text, err) {
			return
		}
	}
}

// prepareEncoder trains the encoder or takes the given one.
func (b *builder) prepareEncoder(ctx context.Context) error {
	if b.encoder = b.options.Encoder; b.encoder != nil {
		for _, err := range b.texts {
			if err := cmp.Or(err, ctx.Err()); err != nil {
				return err
			}
		}
		return nil
	}
	trained, err := corpus.Train(ctx, b.texts, b.options.Corpus, func(_ string, done, total int) {
		b.options.Progress(TrainingEncoder, done, total)
	})
	if err != nil {
		return fmt.Errorf("training the encoder: %w", err)
	}
	b.encoder = trained
	b.saved, err = trained.MarshalBinary()
	return err
}

// trainCodebook trains the codebook on the vectors of documents drawn evenly
// from the collection.
func (b *builder) trainCodebook(ctx context.Context) error {
	expected, err := b.expectedVectors(ctx)
	if err != nil {
		return err
	}
	limit := b.options.Index.TrainingVectors
	share := float64(limit) / float64(max(expected, 1))
	sample := simd.Matrix{Dim: b.encoder.Dim()}
	var ids []uint32
	withIDs := true
	drawn := func(yield func(Document, error) bool) {
		for document, err := range b.documents {
			if err == nil && (b.random.Float64() >= share || sample.Rows >= limit) {
				continue
			}
			if !yield(document, err) {
				return
			}
		}
	}
	err = b.encodeAll(ctx, drawn, func(_ []Document, tokens []encoder.Tokens) error {
		for _, t := range tokens {
			sample.Data = append(sample.Data, t.Vectors.Data...)
			sample.Rows += t.Vectors.Rows
			ids = append(ids, t.IDs...)
			withIDs = withIDs && (t.IDs != nil || t.Vectors.Rows == 0)
		}
		b.options.Progress(SamplingVectors, min(sample.Rows, limit), min(expected, limit))
		return nil
	})
	if err != nil {
		return err
	}
	if !withIDs {
		ids = nil
	}
	options := b.options.Index.Codec
	options.Total = max(expected, sample.Rows)
	b.codebook, err = codec.Train(ctx, sample, ids, options, func(done, total int) {
		b.options.Progress(TrainingCodebook, done, total)
	})
	if err != nil {
		return fmt.Errorf("training the codebook: %w", err)
	}
	return nil
}

// expectedVectors estimates how many vectors the collection will have.
func (b *builder) expectedVectors(ctx context.Context) (int, error) {
	tokens, err := b.encoder.EncodeDocuments(ctx, b.pilot)
	if err != nil {
		return 0, fmt.Errorf("encoding documents: %w", err)
	}
	vectors, bytes := 0, 0
	for i, t := range tokens {
		vectors += t.Vectors.Rows
		bytes += len(b.pilot[i])
	}
	if b.count == len(b.pilot) || bytes == 0 {
		return vectors, nil
	}
	return int(float64(vectors) / float64(bytes) * float64(b.bytes)), nil
}

// encodeAll encodes documents in batches and hands them on.
func (b *builder) encodeAll(ctx context.Context, documents iter.Seq2[Document, error], use func([]Document, []encoder.Tokens) error) error {
	var batch []Document
	var texts []string
	flush := func() error {
		tokens, err := b.encoder.EncodeDocuments(ctx, texts)
		if err != nil {
			return fmt.Errorf("encoding documents %q to %q: %w", batch[0].ID, batch[len(batch)-1].ID, err)
		}
		if len(tokens) != len(texts) {
			return fmt.Errorf("%w: it encoded %d of %d documents", ErrEncoder, len(tokens), len(texts))
		}
		err = use(batch, tokens)
		batch, texts = batch[:0], texts[:0]
		return err
	}
	for document, err := range documents {
		if err != nil {
			return err
		}
		batch, texts = append(batch, document), append(texts, document.Text)
		if len(batch) == b.options.Batch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if len(batch) == 0 {
		return nil
	}
	return flush()
}

// index encodes all documents and commits them.
func (b *builder) index(ctx context.Context, dir string) (err error) {
	more := index.CreateOptions{Codebook: b.codebook}
	if b.saved != nil {
		more.EncoderKind, more.EncoderData = corpusKind, b.saved
	}
	writer, err := index.Create(dir, b.options.Index, more)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, writer.Close()) }()
	done := 0
	var added []index.Document
	err = b.encodeAll(ctx, b.documents, func(documents []Document, tokens []encoder.Tokens) error {
		added = added[:0]
		for i, document := range documents {
			added = append(added, index.Document{ID: document.ID, Tokens: tokens[i], Text: document.Text})
		}
		done += len(documents)
		b.options.Progress(Indexing, done, b.count)
		return writer.Add(ctx, added...)
	})
	if err != nil {
		return err
	}
	return writer.Commit(ctx)
}
