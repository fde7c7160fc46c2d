package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/pare-search/pare/configs"
	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/encoder/bert"
	"github.com/pare-search/pare/encoder/corpus"
	"github.com/pare-search/pare/eval/dataset"
	"github.com/pare-search/pare/retriever"
	"github.com/pare-search/pare/simd"
)

// encoded is what "pare encode" prints.
type encoded struct {
	Path         string `json:"path"`
	Documents    int    `json:"documents"`
	Vectors      int    `json:"vectors"`
	Queries      int    `json:"queries"`
	QueryVectors int    `json:"query_vectors"`
	Dimensions   int    `json:"dimensions"`

	encoder encoder.Encoder // that encoded
}

func (a *app) encodeCommand() *cobra.Command {
	var collection, out string
	c := &cobra.Command{
		Use:   "encode --collection PATH --out FOLDER",
		Short: "Turn a collection into token vectors in .npy files",
		Long: `Encode the documents and queries of a collection and write their vectors, for other
programs or for "pare index --embeddings":

  docs.npy          float32 [tokens, dim], document after document
  docs_lens.npy     int32 [documents], tokens of each
  docs_tokids.npy   int32 [tokens], ids in the encoder's vocabulary; int64 where they are large
  doc_ids.txt       one id per line
  queries.npy …     the same for queries
  qrels.tsv         the judgements
  projection.npy    float32 [width of the model, dim], if one was learnt

The folder appears at --out when it is complete.`,
		Example: `  pare encode --collection cranfield --encoder models/all-MiniLM-L6-v2 --out cranfield.emb`,
		Args:    noArgs,
	}
	flags := c.Flags()
	flags.StringVar(&collection, "collection", "", "encode this `path`: a folder or a file of documents")
	flags.StringVar(&out, "out", "", "put the files into this new `folder`")
	configs.Flag(flags, "encoder.kind", "encoder", "")
	configs.Flag(flags, "encoder.language", "language", "")
	configs.Flag(flags, "encoder.dim", "dim", "")
	configs.Flag(flags, "encoder.quantize", "quantize", "")
	addService(flags)
	format := addFormat(flags, "table", "tsv", "json", "md")
	required(c, "collection", "out")
	c.RunE = func(c *cobra.Command, _ []string) error {
		loaded, err := a.settings(c)
		if err != nil {
			return err
		}
		result, err := a.encode(c.Context(), c.ErrOrStderr(), collection, out, loaded.Config)
		if err != nil {
			return serviceError(err)
		}
		return emit(c.OutOrStdout(), format.value, result.table(), result)
	}
	return c
}

func (e encoded) table() table {
	return table{
		columns: []column{{name: "path"}, {"documents", true}, {"vectors", true}, {"queries", true}, {"query_vectors", true}, {"dimensions", true}},
		rows: [][]string{{
			e.Path, strconv.Itoa(e.Documents), strconv.Itoa(e.Vectors), strconv.Itoa(e.Queries), strconv.Itoa(e.QueryVectors), strconv.Itoa(e.Dimensions),
		}},
	}
}

// encode writes the vectors of a collection in a folder beside out and moves it
// there when it is complete.
func (a *app) encode(ctx context.Context, stderr io.Writer, path, out string, config configs.Config) (result encoded, err error) {
	if entries, err := os.ReadDir(out); err == nil && len(entries) > 0 {
		return result, withHint(fmt.Errorf("--out: %s is not empty", out), "give --out a new folder")
	}
	collection, err := dataset.OpenWith(path, dataset.Options{Limits: config.Limits()})
	if err != nil {
		return result, err
	}
	out = filepath.Clean(out)
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return result, err
	}
	site, err := os.MkdirTemp(filepath.Dir(out), "."+filepath.Base(out)+".encoding-*")
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(site)) }()
	fresh := filepath.Join(site, "embeddings")
	if err := os.Mkdir(fresh, 0o755); err != nil {
		return result, err
	}
	start := time.Now()
	bars := a.stages(stderr)
	defer bars.done()
	enc, err := preparedEncoder(ctx, bodies(collection), config, bars.report, bars.count)
	if err != nil {
		return result, err
	}
	result = encoded{Path: out, Dimensions: enc.Dim(), encoder: enc}
	if err := result.write(ctx, fresh, collection, enc, bars); err != nil {
		return result, err
	}
	bars.done()
	if err := os.Remove(out); err != nil && !errors.Is(err, os.ErrNotExist) {
		return result, err
	}
	if err := os.Rename(fresh, out); err != nil {
		return result, err
	}
	a.note(stderr, "%d documents, %d token vectors; %d queries, %d vectors", result.Documents, result.Vectors, result.Queries, result.QueryVectors)
	a.note(stderr, "%.1f seconds", time.Since(start).Seconds())
	return result, nil
}

// preparedEncoder opens the encoder of the settings, with a projection learnt on texts
// if it needs one, or trains the default encoder on them. report is told how far that
// is, count, if not nil, how many tokens were encoded.
func preparedEncoder(ctx context.Context, texts iter.Seq2[string, error], config configs.Config, report func(stage retriever.Stage, done, total int), count func(tokens int)) (encoder.Encoder, error) {
	enc, err := openEncoder(ctx, config, count)
	if err != nil {
		return nil, err
	}
	if enc == nil {
		return corpus.Train(ctx, texts, config.CorpusOptions(), func(stage string, done, total int) {
			if stage != "read" {
				report(retriever.TrainingEncoder, done, total)
			}
		})
	}
	if model, ok := enc.(*bert.Encoder); ok && model.NeedsProjection() {
		return model.Learn(ctx, texts, bert.LearnOptions{Progress: func(done, total int) {
			report(retriever.LearningVectors, done, total)
		}})
	}
	return enc, nil
}

// onlyTexts yields the texts of documents.
func onlyTexts(documents iter.Seq2[retriever.Document, error]) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for document, err := range documents {
			if !yield(document.Text, err) {
				return
			}
		}
	}
}

// write writes all files.
func (e *encoded) write(ctx context.Context, dir string, collection *dataset.Collection, enc encoder.Encoder, bars *stages) error {
	documents, err := dataset.NewDocumentWriter(dir, enc.Dim())
	if err != nil {
		return err
	}
	err = e.writeDocuments(ctx, documents, collection, enc, bars)
	if err := errors.Join(err, documents.Close()); err != nil {
		return err
	}
	if len(collection.Queries) > 0 {
		queries, err := dataset.NewQueryWriter(dir, enc.Dim())
		if err != nil {
			return err
		}
		err = e.writeQueries(ctx, queries, collection.Queries, enc)
		if err := errors.Join(err, queries.Close()); err != nil {
			return err
		}
	}
	if len(collection.Qrels) > 0 {
		if err := dataset.WriteQrelsFile(filepath.Join(dir, "qrels.tsv"), collection.Qrels, dataset.BEIRQrels); err != nil {
			return err
		}
	}
	return writeProjection(filepath.Join(dir, projectionFile), enc)
}

// encodeBatch and encodeBytes are how many documents are encoded together, and
// the size of text at which fewer are.
const (
	encodeBatch = 256
	encodeBytes = 1 << 20
)

func (e *encoded) writeDocuments(ctx context.Context, w *dataset.EmbeddedWriter, collection *dataset.Collection, enc encoder.Encoder, bars *stages) error {
	var bytes int64
	bars.report(encodingStage, 0, 0)
	for batch, err := range batches(texts(collection, &bytes)) {
		if err != nil {
			return err
		}
		bodies := make([]string, len(batch))
		for i, document := range batch {
			bodies[i] = document.Text
		}
		tokens, err := enc.EncodeDocuments(ctx, bodies)
		if err != nil {
			return err
		}
		for i, t := range tokens {
			if err := t.Validate(enc.Dim()); err != nil {
				return fmt.Errorf("%w: document %s: %w", retriever.ErrEncoder, batch[i].ID, err)
			}
			if err := w.Add(dataset.Embedded{ID: batch[i].ID, TokenIDs: t.IDs, Vectors: t.Vectors.Data}); err != nil {
				return err
			}
			e.Vectors += t.Vectors.Rows
		}
		e.Documents += len(batch)
		bars.report(encodingStage, e.Documents, 0)
	}
	return nil
}

// encodingStage is shown like the stages of building an index.
const encodingStage retriever.Stage = "encoding"

// batches groups documents.
func batches(documents iter.Seq2[retriever.Document, error]) iter.Seq2[[]retriever.Document, error] {
	return func(yield func([]retriever.Document, error) bool) {
		var batch []retriever.Document
		size := 0
		for document, err := range documents {
			if err != nil {
				yield(nil, err)
				return
			}
			batch = append(batch, document)
			if size += len(document.Text); len(batch) < encodeBatch && size < encodeBytes {
				continue
			}
			if !yield(batch, nil) {
				return
			}
			batch, size = nil, 0
		}
		if len(batch) > 0 {
			yield(batch, nil)
		}
	}
}

func (e *encoded) writeQueries(ctx context.Context, w *dataset.EmbeddedWriter, queries []dataset.Query, enc encoder.Encoder) error {
	for _, query := range queries {
		t, err := enc.EncodeQuery(ctx, query.Text)
		if err != nil {
			return err
		}
		if err := t.Validate(enc.Dim()); err != nil {
			return fmt.Errorf("%w: query %s: %w", retriever.ErrEncoder, query.ID, err)
		}
		if err := w.Add(dataset.Embedded{ID: query.ID, TokenIDs: t.IDs, Vectors: t.Vectors.Data}); err != nil {
			return err
		}
		e.Queries++
		e.QueryVectors += t.Vectors.Rows
	}
	return nil
}

// projectionFile is the file of a learnt projection in a folder of embeddings.
const projectionFile = "projection.npy"

// writeProjection writes a learnt projection, the model's width first.
func writeProjection(path string, enc encoder.Encoder) error {
	model, ok := enc.(*bert.Encoder)
	if !ok || model.Projection().Rows == 0 {
		return nil
	}
	p := model.Projection()
	values := make([]float32, 0, len(p.Data))
	for column := range p.Dim {
		for row := range p.Rows {
			values = append(values, p.Row(row)[column])
		}
	}
	return dataset.WriteNPYFloats(path, dataset.Float32, values, p.Dim, p.Rows)
}

// readProjection reads what writeProjection has written.
func readProjection(path string) (simd.Matrix, error) {
	values, shape, err := dataset.ReadNPYFloats(path)
	if err != nil {
		return simd.Matrix{}, err
	}
	if len(shape) != 2 || len(values) == 0 {
		return simd.Matrix{}, fmt.Errorf("%s: shape %v, want the width of the model and the dimensions", path, shape)
	}
	p := simd.NewMatrix(shape[1], shape[0])
	for column := range p.Dim {
		for row := range p.Rows {
			p.Row(row)[column] = values[column*p.Rows+row]
		}
	}
	return p, nil
}
