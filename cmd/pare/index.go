package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pare-search/pare/configs"
	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/encoder/bert"
	wordtable "github.com/pare-search/pare/encoder/table"
	"github.com/pare-search/pare/eval/dataset"
	"github.com/pare-search/pare/eval/precomputed"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/index/docpruner"
	"github.com/pare-search/pare/retriever"
	"github.com/pare-search/pare/simd"
)

// built is what "pare index" prints. Bytes counts the whole index but for the
// stored texts.
type built struct {
	Path            string  `json:"path"`
	Documents       int     `json:"documents"`
	Vectors         int64   `json:"vectors"`
	Bytes           int64   `json:"bytes"`
	BytesPerToken   float64 `json:"bytes_per_token"`
	TextBytes       int64   `json:"text_bytes"`
	StoredTextBytes int64   `json:"stored_text_bytes"`
}

// indexing is one call of "pare index".
type indexing struct {
	*app
	collection, embeddings, out string
	force                       bool

	config  configs.Config
	options retriever.BuildOptions
	stderr  io.Writer
}

func (a *app) indexCommand() *cobra.Command {
	in := &indexing{app: a}
	c := &cobra.Command{
		Use:   "index {--collection PATH | --embeddings FOLDER} --out FOLDER",
		Short: "Build an index of a collection of texts, or of vectors",
		Long: `Build an index of a collection: a folder in the layout of BEIR, MS MARCO or TREC,
or a single file of documents (jsonl or tsv, gzip by extension).

The collection is read three times: to train the encoder on it, to draw the sample
that the cells are placed by, and to index it. The index appears at --out when it is
complete; an interrupted or failed build leaves nothing there.

With --encoder FOLDER a BERT model encodes instead of an encoder trained on the
collection: a folder of sentence-transformers, PyLate or ColBERT, with its weights in
model.safetensors. The index keeps its place and a hash, not the model. The model may
also be the ORG/NAME of one that "pare model get" got, or a service: --encoder is its
address then, --service what it speaks, and PARE_API_KEY its key. The index keeps the
address, never the key; a search asks the service if --encoder names the address again.

--prune-documents leaves out vectors that hardly any query will miss:
  ward:2               makes one vector of every two on average that are alike
  voronoi:50%          keeps the half that are the best match of queries most clearly
  idf:100              drops the 100 token ids in the most documents
  stopwords:english    drops stop words
  first:50%  random:50%  docidf:10  norm:0.5    the leading vectors, some at random,
                       all but the 10 most frequent of each document, the long ones
Several follow each other: voronoi:67%+ward:2. The index keeps what it has learnt for
documents that are added later; "pare inspect" tells it.

With --embeddings nothing is encoded: the folder holds token vectors in flat NumPy files,
docs.npy (float32 or float16, one row per token) and docs_lens.npy (tokens of each
document), and if there are any docs_tokids.npy (token ids) and doc_ids.txt (one per
line). --collection then adds the texts, in the order of the ids. Such an index is asked
with vectors: see --embeddings of "pare search" and "pare eval". With --encoder, which
must name what made the vectors, it is asked with words as well: a service, or a model with
a projection of its own, as PyLate and ColBERT models have, or with the projection.npy that
"pare encode" has written into the folder.`,
		Example: `  pare index --collection cranfield --out cranfield.idx
  pare index --collection cranfield --out cranfield.idx --encoder models/all-MiniLM-L6-v2
  pare index --collection notes.jsonl --out notes.idx --language german --codec residual4
  pare index --collection notes.jsonl --out notes.idx --encoder https://api.jina.ai --service jina --service-model jina-colbert-v2
  pare index --embeddings vectors --out vectors.idx`,
		Args: noArgs,
	}
	flags := c.Flags()
	flags.StringVar(&in.collection, "collection", "", "index this `path`: a folder or a file of documents")
	flags.StringVar(&in.embeddings, "embeddings", "", "index the token vectors in this `folder`")
	flags.StringVar(&in.out, "out", "", "put the index into this `folder`")
	flags.BoolVar(&in.force, "force", false, "replace the index that is there; other folders are never touched")
	configs.Flag(flags, "encoder.kind", "encoder", "")
	configs.Flag(flags, "encoder.language", "language", "")
	configs.Flag(flags, "encoder.dim", "dim", "")
	configs.Flag(flags, "encoder.quantize", "quantize", "")
	configs.Flag(flags, "encoder.table", "table", "")
	addService(flags)
	configs.Flag(flags, "codec.kind", "codec", "")
	configs.Flag(flags, "codec.refine", "refinements", "")
	configs.Flag(flags, "codec.code_bytes", "code-bytes", "")
	configs.Flag(flags, "codec.cells", "cells", "")
	configs.Flag(flags, "index.prune", "prune-documents", "")
	configs.FlagOff(flags, "index.store_text", "no-text", "do not keep the texts: no snippets, no highlights")
	format := addFormat(flags, "table", "tsv", "json", "md")
	required(c, "out")
	cobra.CheckErr(c.MarkFlagDirname("embeddings"))
	c.RunE = func(c *cobra.Command, _ []string) error {
		loaded, err := a.settings(c)
		if err != nil {
			return err
		}
		in.config, in.stderr = loaded.Config, c.ErrOrStderr()
		if err := in.checkFlags(c); err != nil {
			return err
		}
		if in.options, err = in.config.BuildOptions(); err != nil {
			return err
		}
		result, err := in.run(c.Context())
		if err != nil {
			return err
		}
		return emit(c.OutOrStdout(), format.value, result.table(), result)
	}
	return c
}

// addService adds the flags of a service that encodes.
func addService(flags *pflag.FlagSet) {
	configs.Flag(flags, "service.format", "service", "")
	configs.Flag(flags, "service.model", "service-model", "")
}

// checkFlags refuses flags that do not go together.
func (in *indexing) checkFlags(c *cobra.Command) error {
	if in.embeddings == "" && in.collection == "" {
		return usage(errors.New("nothing to index"), "give --collection PATH or --embeddings FOLDER")
	}
	if in.embeddings == "" {
		return nil
	}
	if c.Flags().Changed("encoder") && in.config.Encoder.Kind == configs.Corpus {
		return usage(errors.New("--encoder corpus does not go with --embeddings: it would be trained anew, and not to make these vectors"),
			"--encoder names the model or service that made them; without it the index is asked with vectors only")
	}
	return givenAlready(c, "dim", "language")
}

func (b built) table() table {
	return table{
		columns: []column{
			{name: "path"},
			{"documents", true},
			{"vectors", true},
			{"bytes", true},
			{"bytes_per_token", true},
			{"text_bytes", true},
			{"stored_text_bytes", true},
		},
		rows: [][]string{{
			b.Path,
			strconv.Itoa(b.Documents),
			strconv.FormatInt(b.Vectors, 10),
			strconv.FormatInt(b.Bytes, 10),
			fmt.Sprintf("%.2f", b.BytesPerToken),
			strconv.FormatInt(b.TextBytes, 10),
			strconv.FormatInt(b.StoredTextBytes, 10),
		}},
	}
}

// run builds the index and describes it.
func (in *indexing) run(ctx context.Context) (built, error) {
	if err := checkTarget("--out", in.out, in.force); err != nil {
		return built{}, err
	}
	start := time.Now()
	result := built{Path: in.out}
	bars := in.stages(in.stderr)
	defer bars.done()
	in.options.Progress = bars.report
	build, err := in.builder(bars, &result.TextBytes)
	if err != nil {
		return built{}, err
	}
	err = buildBeside(in.out, func(dir string) error { return build(ctx, dir) })
	bars.done()
	if err != nil {
		return built{}, err
	}
	info, err := inspect(in.out)
	if err != nil {
		return built{}, err
	}
	result.Documents, result.Vectors = info.Documents, info.Vectors
	result.Bytes, result.BytesPerToken = info.Bytes, info.BytesPerToken
	result.StoredTextBytes = info.TextBytes
	in.note(in.stderr, "%d documents, %d token vectors, %.1f bytes per token", info.Documents, info.Vectors, info.BytesPerToken)
	if info.Pruner != "" {
		in.note(in.stderr, "%d token vectors before pruning by %s", info.UnprunedVectors, info.Pruner)
	}
	if in.embeddings != "" {
		in.note(in.stderr, "%s of index for %s of float32 vectors", byteSize(info.Bytes), byteSize(4*info.UnprunedVectors*int64(info.Dim)))
	}
	if in.collection != "" {
		in.note(in.stderr, "%s of index and %s of stored texts for %s of text", byteSize(info.Bytes), byteSize(info.TextBytes), byteSize(result.TextBytes))
	}
	in.note(in.stderr, "%.1f seconds", time.Since(start).Seconds())
	return result, nil
}

// builder returns what builds the index in a folder. After each complete pass,
// textBytes is the size of the texts.
func (in *indexing) builder(bars *stages, textBytes *int64) (func(ctx context.Context, dir string) error, error) {
	var documents iter.Seq2[retriever.Document, error]
	if in.collection != "" {
		collection, err := dataset.Open(in.collection)
		if err != nil {
			return nil, err
		}
		documents = texts(collection, textBytes)
	}
	options := in.options
	if in.embeddings == "" {
		return func(ctx context.Context, dir string) (err error) {
			if options.Encoder, err = in.openEncoder(ctx, documents, bars); err != nil {
				return err
			}
			return serviceError(retriever.Build(ctx, dir, documents, options))
		}, nil
	}
	embeddings, err := precomputed.Open(in.embeddings)
	if err != nil {
		return nil, err
	}
	options.Index.StoreText = options.Index.StoreText && documents != nil
	encoded := precomputed.Documents(embeddings, documents)
	return func(ctx context.Context, dir string) (err error) {
		if options.Encoder, err = in.encoderOf(ctx, embeddings); err != nil {
			return err
		}
		if options.Queries, err = queriesFor(options.Pruner, embeddings); err != nil {
			return err
		}
		return retriever.BuildEmbeddings(ctx, dir, encoded, options)
	}, nil
}

// openEncoder opens the encoder of the settings, nil for the default one. Where its
// embedding matrix is to be compressed it is trained or learns here, on the documents.
func (in *indexing) openEncoder(ctx context.Context, documents iter.Seq2[retriever.Document, error], bars *stages) (encoder.Encoder, error) {
	if in.config.Encoder.Table == "" {
		return openEncoder(ctx, in.config, bars.count)
	}
	spec, err := wordtable.ParseSpec(in.config.Encoder.Table)
	if err != nil {
		return nil, asUsage(err)
	}
	all := onlyTexts(documents)
	enc, err := preparedEncoder(ctx, all, in.config, bars.report, bars.count)
	if err != nil {
		return nil, err
	}
	return compressWords(ctx, enc, spec, all, in.config.Encoder.Seed)
}

// queriesFor returns the vectors of the folder's queries, if the pruner asks for
// any.
func queriesFor(p docpruner.Pruner, embeddings *dataset.Embeddings) (simd.Matrix, error) {
	if !p.NeedsQueries() {
		return simd.Matrix{}, nil
	}
	queries, err := precomputed.ReadQueries(embeddings)
	if err != nil {
		return simd.Matrix{}, err
	}
	return queries.Vectors(), nil
}

// encoderOf opens the encoder that made the vectors, if the settings name one.
func (in *indexing) encoderOf(ctx context.Context, embeddings *dataset.Embeddings) (encoder.Encoder, error) {
	config := in.config
	config.Encoder.Dim = embeddings.Dim
	enc, err := openEncoder(ctx, config, nil)
	model, ok := enc.(*bert.Encoder)
	if err != nil || !ok || !model.NeedsProjection() {
		return enc, err
	}
	path := filepath.Join(in.embeddings, projectionFile)
	projection, err := readProjection(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usage(fmt.Errorf("--encoder %s: the model learns a projection from texts, and there is no %s with the one that made the vectors", config.Encoder.Kind, path),
			"leave out --embeddings to encode the texts, or --encoder to ask with vectors only")
	}
	if err != nil {
		return nil, err
	}
	if model, err = model.WithProjection(projection); err != nil {
		return nil, fmt.Errorf("%s does not fit --encoder %s: %w", path, config.Encoder.Kind, err)
	}
	return model, nil
}

// texts yields the documents of a collection as they are indexed. After each
// complete pass, bytes is the size of their text.
func texts(collection *dataset.Collection, bytes *int64) iter.Seq2[retriever.Document, error] {
	return func(yield func(retriever.Document, error) bool) {
		*bytes = 0
		for document, err := range collection.Documents() {
			text := document.Body()
			*bytes += int64(len(text))
			if !yield(retriever.Document{ID: document.ID, Text: text}, err) {
				return
			}
		}
	}
}

// checkTarget refuses a place for a new index before any work is done. Argument
// is what the place was given as.
func checkTarget(argument, out string, force bool) error {
	replaceable := index.Replaceable(out)
	if replaceable != nil && !errors.Is(replaceable, index.ErrNotIndex) {
		return indexError(out, replaceable)
	}
	entries, err := os.ReadDir(out)
	switch {
	case err == nil && len(entries) == 0, errors.Is(err, os.ErrNotExist):
		return nil
	case replaceable != nil:
		return withHint(fmt.Errorf("%s: %w", argument, replaceable), "give "+argument+" a new folder; only an index is ever replaced")
	case !force:
		return withHint(fmt.Errorf("%s: there is an index in %s already", argument, out), "--force replaces it")
	default:
		return nil
	}
}

// buildBeside builds an index in a folder beside out and moves it to out when
// it is complete.
func buildBeside(out string, build func(dir string) error) (err error) {
	out, err = filepath.Abs(out)
	if err != nil {
		return err
	}
	if leads, err := filepath.EvalSymlinks(out); err == nil {
		out = leads // beside what is replaced, so in its file system
	}
	parent, name := filepath.Split(out)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	site, err := os.MkdirTemp(parent, "."+name+".building-*")
	if err != nil {
		return err
	}
	fresh := filepath.Join(site, "index")
	defer func() {
		// When nothing works the old index may be stuck here.
		if _, missing := os.Stat(fresh + ".old"); err == nil || errors.Is(missing, fs.ErrNotExist) {
			err = errors.Join(err, os.RemoveAll(site))
		}
	}()
	if err := build(fresh); err != nil {
		return err
	}
	return indexError(out, index.Replace(out, fresh))
}
