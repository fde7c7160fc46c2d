package retriever

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/encoder/bert"
	"github.com/pare-search/pare/encoder/corpus"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/index/docpruner"
	"github.com/pare-search/pare/internal/reservoir"
	"github.com/pare-search/pare/simd"
)

// Document is one text to be indexed.
type Document struct {
	ID, Text string
}

// Documents yields documents that are in memory, for Build.
func Documents(documents ...Document) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		for _, d := range documents {
			if !yield(d, nil) {
				return
			}
		}
	}
}

// BuildOptions say how an index is built from texts.
type BuildOptions struct {
	// Encoder turns texts into vectors. Nil trains the default encoder on
	// the texts themselves, as Corpus says. The index keeps it if it is of
	// package encoder/corpus, encoder/bert or encoder/remote; others have to be
	// given to New.
	Encoder encoder.Encoder
	Corpus  corpus.Options
	// Index shapes the index. Its Dim is taken from the encoder.
	Index index.Options
	// Pruner decides which vectors of a document are stored; its zero value stores
	// all. What it has to know it learns from the vectors that the codebook is
	// trained on, which are fewer then. The index keeps it for documents that are
	// added later.
	Pruner docpruner.Pruner
	// Queries are vectors of queries, one a row, for a pruner that learns from
	// them.
	Queries simd.Matrix
	// Batch is the number of documents encoded and added at a time; of long
	// documents fewer are, so that their texts stay near 1 MiB.
	Batch int
	// Seed draws the sample that the codebook is trained on.
	Seed uint64
	// Progress, if set, is told how far each stage is, by one goroutine at a
	// time. Within a stage done never falls and total stays the same; total is
	// 0 when it is unknown.
	Progress func(stage Stage, done, total int)
}

// Stage is a stage of building an index.
type Stage string

// The stages of Build in their order, and what they count.
const (
	Reading          Stage = "reading"               // documents, total unknown
	TrainingEncoder  Stage = "training the encoder"  // steps; only for the default encoder
	LearningVectors  Stage = "learning from vectors" // vectors; only for a projection
	SamplingVectors  Stage = "sampling vectors"      // vectors, total estimated
	TrainingCodebook Stage = "training the codebook" // vectors, each twice
	Indexing         Stage = "indexing"              // documents
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
	return errors.Join(append(faults, o.Pruner.Validate(), o.Index.Validate())...)
}

// Build makes an index of texts in the folder dir, which must not exist or be
// empty. It goes through documents three times, to train the encoder, to
// sample vectors for the codebook and to index, and holds no more in memory
// than the trainer needs, one batch, the sample (Index.TrainingVectors vectors)
// and one segment. The sequence must yield the same documents, in the same
// order, each time.
//
// Everything is committed at the very end. When Build fails the folder is left
// empty; a process that is killed may leave an index without documents. An
// error of documents is returned wrapped; others wrap ErrNoDocuments,
// ErrEncoder, ErrChanged, index.ErrExists, index.ErrDuplicate or
// index.ErrInvalid.
func Build(ctx context.Context, dir string, documents iter.Seq2[Document, error], options BuildOptions) error {
	if options.Progress == nil {
		options.Progress = func(Stage, int, int) {}
	}
	if err := options.Validate(); err != nil {
		return err
	}
	// Before the work rather than after it.
	if err := index.CheckEmpty(dir); err != nil {
		return err
	}
	b := builder{documents: documents, options: options, random: rand.New(rand.NewPCG(options.Seed, 0))}
	if err := b.prepareEncoder(ctx); err != nil {
		return err
	}
	b.options.Index.Dim = b.encoder.Dim()
	if err := b.learn(ctx); err != nil {
		return err
	}
	return b.index(ctx, dir)
}

// batchBytes is the size of text at which a batch is not filled up any more:
// vectors take hundreds of times as much memory as the text they are made of.
const batchBytes = 1 << 20

// pilotDocuments is how many documents, drawn evenly, settle how many vectors
// a byte of text becomes.
const pilotDocuments = 64

// builder carries what the stages of Build hand on.
type builder struct {
	documents iter.Seq2[Document, error]
	options   BuildOptions
	random    *rand.Rand

	count, bytes int // documents and their text
	pilot        *reservoir.Sample[Document]
	encoder      encoder.Encoder
	memo         *memo // of the encoder
	learnt       index.CreateOptions
}

// texts yields the documents' texts while it counts them and draws the pilot.
func (b *builder) texts(yield func(string, error) bool) {
	b.count, b.bytes, b.pilot = 0, 0, reservoir.New[Document](pilotDocuments, b.random)
	for document, err := range b.documents {
		if err == nil {
			b.count++
			b.bytes += len(document.Text)
			b.pilot.Add(document)
		}
		if !yield(document.Text, err) {
			return
		}
	}
}

// prepareEncoder trains the encoder or takes the given one.
func (b *builder) prepareEncoder(ctx context.Context) error {
	if enc, ok := b.options.Encoder.(*bert.Encoder); ok && enc.NeedsProjection() {
		return b.learnProjection(ctx, enc)
	}
	if b.encoder = b.options.Encoder; b.encoder != nil {
		b.memo = newMemo(b.encoder, b.options.Index.TrainingVectors)
		for _, err := range b.texts {
			if err := cmp.Or(err, ctx.Err()); err != nil {
				return err
			}
			if b.count%b.options.Batch == 0 {
				b.options.Progress(Reading, b.count, 0)
			}
		}
		return b.checkCount()
	}
	trained, err := corpus.Train(ctx, b.texts, b.options.Corpus, func(stage string, done, total int) {
		if stage == "read" {
			b.options.Progress(Reading, done, 0)
		} else {
			b.options.Progress(TrainingEncoder, done, total)
		}
	})
	if err != nil {
		return fmt.Errorf("training the encoder: %w", err)
	}
	if err := b.checkCount(); err != nil {
		return err
	}
	b.encoder, b.memo = trained, newMemo(trained, 0) // it is fast
	return nil
}

// learnProjection learns what a model of sentence embeddings needs.
func (b *builder) learnProjection(ctx context.Context, enc *bert.Encoder) error {
	b.memo = newMemo(nil, b.options.Index.TrainingVectors)
	learnt, err := enc.Learn(ctx, b.texts, bert.LearnOptions{
		Progress: func(done, total int) { b.options.Progress(LearningVectors, done, total) },
		Keep:     b.memo.remember,
	})
	if err := b.checkCount(); err != nil && ctx.Err() == nil {
		return err
	}
	if err != nil {
		return fmt.Errorf("learning the encoder's projection: %w", err)
	}
	b.encoder, b.memo.Encoder = learnt, learnt
	return nil
}

// checkCount refuses an empty collection: a cell and an encoder that were
// trained on nothing would serve no document that is added later.
func (b *builder) checkCount() error {
	if b.count == 0 {
		return ErrNoDocuments
	}
	return nil
}

// learn learns from the vectors of documents drawn evenly from the collection
// which vectors to store and how.
func (b *builder) learn(ctx context.Context) error {
	expected, err := b.expectedVectors(ctx)
	if err != nil {
		return err
	}
	sample, err := b.sample(ctx, expected)
	if err != nil {
		return err
	}
	b.learnt, err = sample.train(ctx, b.encoder, b.options)
	return err
}

// sample draws documents evenly and takes their vectors.
func (b *builder) sample(ctx context.Context, expected int) (*sample, error) {
	sample := newSample(b.encoder.Dim(), expected, b.options)
	drawn := func(yield func(Document, error) bool) {
		for document, err := range b.documents {
			if sample.full() {
				return
			}
			if err = cmp.Or(err, ctx.Err()); err == nil && !sample.draw(b.random) {
				continue
			}
			if !yield(document, err) {
				return
			}
		}
	}
	err := b.encodeAll(ctx, drawn, func(_ []Document, tokens []encoder.Tokens) error {
		for _, t := range tokens {
			sample.add(t)
		}
		return nil
	})
	return sample, err
}

// expectedVectors estimates how many vectors the collection will have.
func (b *builder) expectedVectors(ctx context.Context) (int, error) {
	vectors, bytes := 0, 0
	err := b.encodeAll(ctx, Documents(b.pilot.Items...), func(documents []Document, tokens []encoder.Tokens) error {
		for i, t := range tokens {
			vectors += t.Vectors.Rows
			bytes += len(documents[i].Text)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	if b.count == len(b.pilot.Items) || bytes == 0 {
		return vectors, nil
	}
	return int(float64(vectors) / float64(bytes) * float64(b.bytes)), nil
}

// encodeTexts encodes texts and checks that the encoder kept its promises.
func encodeTexts(ctx context.Context, enc encoder.Encoder, texts []string) ([]encoder.Tokens, error) {
	tokens, err := enc.EncodeDocuments(ctx, texts)
	if err != nil {
		return nil, fmt.Errorf("encoding texts: %w", err)
	}
	if len(tokens) != len(texts) {
		return nil, fmt.Errorf("%w: it encoded %d of %d texts", ErrEncoder, len(tokens), len(texts))
	}
	for i, t := range tokens {
		if err := t.Validate(enc.Dim()); err != nil {
			return nil, fmt.Errorf("%w: text %d: %w", ErrEncoder, i, err)
		}
	}
	return tokens, nil
}

// encodeAll encodes documents in batches and hands them on.
func (b *builder) encodeAll(ctx context.Context, documents iter.Seq2[Document, error], use func([]Document, []encoder.Tokens) error) error {
	var batch []Document
	var texts []string
	size := 0
	flush := func() error {
		tokens, err := encodeTexts(ctx, b.memo, texts)
		if err != nil {
			return fmt.Errorf("documents %q to %q: %w", batch[0].ID, batch[len(batch)-1].ID, err)
		}
		err = use(batch, tokens)
		batch, texts, size = batch[:0], texts[:0], 0
		return err
	}
	for document, err := range documents {
		if err := cmp.Or(err, ctx.Err()); err != nil {
			return err
		}
		batch, texts = append(batch, document), append(texts, document.Text)
		size += len(document.Text)
		if len(batch) == b.options.Batch || size >= batchBytes {
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

// index encodes all documents and commits them, or empties the folder.
func (b *builder) index(ctx context.Context, dir string) error {
	return writeIndex(dir, b.options.Index, b.learnt, b.encoder, func(writer *index.Writer) error { return b.fill(ctx, writer) })
}

// writeIndex makes an index and fills it, or empties the folder. It keeps the
// encoder if that can be kept.
func writeIndex(dir string, options index.Options, learnt index.CreateOptions, enc encoder.Encoder, fill func(*index.Writer) error) error {
	var err error
	if learnt.EncoderKind, learnt.EncoderData, err = saveEncoder(enc); err != nil {
		return err
	}
	learnt.Bulk = true
	writer, err := index.Create(dir, options, learnt)
	if err == nil {
		err = errors.Join(fill(writer), writer.Close())
	}
	if err == nil || errors.Is(err, index.ErrExists) || errors.Is(err, index.ErrLocked) {
		return err // done, or the folder is someone else's by now
	}
	return errors.Join(err, empty(dir))
}

func (b *builder) fill(ctx context.Context, writer *index.Writer) error {
	done := 0
	b.memo.last = true
	b.options.Progress(Indexing, 0, b.count)
	var added []index.Document
	err := b.encodeAll(ctx, b.documents, func(documents []Document, tokens []encoder.Tokens) error {
		added = added[:0]
		for i, document := range documents {
			added = append(added, index.Document{ID: document.ID, Tokens: tokens[i], Text: document.Text})
		}
		if done += len(documents); done > b.count {
			return fmt.Errorf("%w: %d documents the first time, at least %d the third", ErrChanged, b.count, done)
		}
		if err := writer.Add(ctx, added...); err != nil {
			return err
		}
		b.options.Progress(Indexing, done, b.count)
		return nil
	})
	if err != nil {
		return err
	}
	if done != b.count {
		return fmt.Errorf("%w: %d documents the first time, %d the third", ErrChanged, b.count, done)
	}
	return writer.Commit(ctx)
}

// empty removes the files in a folder.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		err = errors.Join(err, os.Remove(filepath.Join(dir, entry.Name())))
	}
	return err
}
