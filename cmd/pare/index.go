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
	"github.com/pare-search/pare/eval/dataset"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/retriever"
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

func (a *app) indexCommand() *cobra.Command {
	var collection, out string
	var force bool
	c := &cobra.Command{
		Use:   "index --collection PATH --out FOLDER",
		Short: "Build an index of a collection of texts",
		Long: `Build an index of a collection: a folder in the layout of BEIR, MS MARCO or TREC,
or a single file of documents (jsonl or tsv, gzip by extension).

The collection is read three times: to train the encoder on it, to draw the sample
that the cells are placed by, and to index it. The index appears at --out when it is
complete; an interrupted or failed build leaves nothing there.

With --encoder FOLDER a BERT model encodes instead of an encoder trained on the
collection: a folder of sentence-transformers, PyLate or ColBERT, with its weights in
model.safetensors. The index keeps its place and a hash, not the model.`,
		Example: `  pare index --collection cranfield --out cranfield.idx
  pare index --collection cranfield --out cranfield.idx --encoder models/all-MiniLM-L6-v2
  pare index --collection notes.jsonl --out notes.idx --language german --codec residual4`,
		Args: noArgs,
	}
	flags := c.Flags()
	flags.StringVar(&collection, "collection", "", "index this `path`: a folder or a file of documents")
	flags.StringVar(&out, "out", "", "put the index into this `folder`")
	flags.BoolVar(&force, "force", false, "replace the index that is there; other folders are never touched")
	configs.Flag(flags, "encoder.kind", "encoder", "")
	configs.Flag(flags, "encoder.language", "language", "")
	configs.Flag(flags, "encoder.dim", "dim", "")
	configs.Flag(flags, "encoder.quantize", "quantize", "")
	configs.Flag(flags, "codec.kind", "codec", "")
	configs.Flag(flags, "codec.cells", "cells", "")
	configs.FlagOff(flags, "index.store_text", "no-text", "do not keep the texts: no snippets, no highlights")
	format := addFormat(flags, "table", "tsv", "json", "md")
	required(c, "collection", "out")
	c.RunE = func(c *cobra.Command, _ []string) error {
		loaded, err := a.settings(c)
		if err != nil {
			return err
		}
		options, err := loaded.Config.BuildOptions()
		if err != nil {
			return err
		}
		result, err := a.buildIndex(c.Context(), c.ErrOrStderr(), collection, out, force, loaded.Config, options)
		if err != nil {
			return err
		}
		return emit(c.OutOrStdout(), format.value, result.table(), result)
	}
	return c
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

// buildIndex builds the index of a collection and describes it.
func (a *app) buildIndex(ctx context.Context, stderr io.Writer, path, out string, force bool, config configs.Config, options retriever.BuildOptions) (built, error) {
	if err := checkTarget(out, force); err != nil {
		return built{}, err
	}
	collection, err := dataset.Open(path)
	if err != nil {
		return built{}, err
	}
	start := time.Now()
	result := built{Path: out}
	bars := a.stages(stderr)
	options, err = withModel(options, config, bars.count)
	if err != nil {
		return built{}, err
	}
	options.Progress = bars.report
	err = buildBeside(ctx, out, texts(collection, &result.TextBytes), options)
	bars.done()
	if err != nil {
		return built{}, err
	}
	info, err := inspect(out)
	if err != nil {
		return built{}, err
	}
	result.Documents, result.Vectors = info.Documents, info.Vectors
	result.Bytes, result.BytesPerToken = info.Bytes, info.BytesPerToken
	result.StoredTextBytes = info.TextBytes
	a.note(stderr, "%d documents, %d token vectors, %.1f bytes per token", info.Documents, info.Vectors, info.BytesPerToken)
	a.note(stderr, "%s of index and %s of stored texts for %s of text", byteSize(info.Bytes), byteSize(info.TextBytes), byteSize(result.TextBytes))
	a.note(stderr, "%.1f seconds", time.Since(start).Seconds())
	return result, nil
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

// checkTarget refuses a place for a new index before any work is done.
func checkTarget(out string, force bool) error {
	replaceable := index.Replaceable(out)
	if replaceable != nil && !errors.Is(replaceable, index.ErrNotIndex) {
		return indexError(out, replaceable)
	}
	entries, err := os.ReadDir(out)
	switch {
	case err == nil && len(entries) == 0, errors.Is(err, os.ErrNotExist):
		return nil
	case replaceable != nil:
		return withHint(fmt.Errorf("--out: %w", replaceable), "give --out a new folder; only an index is ever replaced")
	case !force:
		return withHint(fmt.Errorf("--out: there is an index in %s already", out), "--force replaces it")
	default:
		return nil
	}
}

// buildBeside builds an index in a folder beside out and moves it to out when
// it is complete.
func buildBeside(ctx context.Context, out string, documents iter.Seq2[retriever.Document, error], options retriever.BuildOptions) (err error) {
	out, err = filepath.Abs(out)
	if err != nil {
		return err
	}
	parent, name := filepath.Split(out)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	site, err := os.MkdirTemp(parent, "."+name+".building-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(site)) }()
	fresh := filepath.Join(site, "index")
	if err := retriever.Build(ctx, fresh, documents, options); err != nil {
		return err
	}
	return indexError(out, index.Replace(out, fresh))
}
