package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/pare-search/pare/configs"
	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/encoder/bert"
	"github.com/pare-search/pare/encoder/corpus"
	"github.com/pare-search/pare/retriever"
)

// reranked is one line of the result of "pare rerank".
type reranked struct {
	Score    float32 `json:"score"`
	Position int     `json:"position"`
	Text     string  `json:"text"`
}

func (a *app) rerankCommand() *cobra.Command {
	var k int
	c := &cobra.Command{
		Use:   "rerank QUERY",
		Short: "Order the lines of stdin by their similarity to a query",
		Long: `Order texts, one per line of stdin, by exact MaxSim with a query, best first; position
is the number of the line. No index is made: the encoder is trained on the texts
themselves, so it learns the more the more there are, or is a BERT model; of one that
was made for sentences the vectors keep their own width.`,
		Example: `  pare rerank "heat transfer at high speed" < abstracts.txt
  git log --format=%s | pare rerank -k 5 "fix the race"`,
		Args: oneQuery,
	}
	flags := c.Flags()
	flags.IntVarP(&k, "k", "k", 0, "number of texts printed; 0 prints all")
	configs.Flag(flags, "encoder.kind", "encoder", "")
	configs.Flag(flags, "encoder.language", "language", "")
	configs.Flag(flags, "encoder.dim", "dim", "")
	addService(flags)
	format := addFormat(flags, "table", "tsv", "json", "md")
	c.RunE = func(c *cobra.Command, args []string) error {
		loaded, err := a.settings(c)
		if err != nil {
			return err
		}
		if k < 0 {
			return usage(fmt.Errorf("flag --k: want at least 0, got %d", k), "")
		}
		a.noteTyping(c, "texts")
		texts, err := readLines(c.InOrStdin())
		if err != nil {
			return err
		}
		if len(texts) == 0 {
			a.note(c.ErrOrStderr(), "there are no texts on stdin")
		}
		results, err := rerank(c.Context(), args[0], texts, loaded.Config)
		if err != nil {
			return err
		}
		if k > 0 {
			results = results[:min(k, len(results))]
		}
		t := table{columns: []column{{"score", true}, {"position", true}, {name: "text"}}}
		for _, r := range results {
			t.rows = append(t.rows, []string{fmt.Sprintf("%.4f", r.Score), strconv.Itoa(r.Position), printable(r.Text)})
		}
		return emit(c.OutOrStdout(), format.value, t, results)
	}
	return c
}

// rerank orders texts by a model or an encoder trained on them.
func rerank(ctx context.Context, query string, texts []string, config configs.Config) ([]reranked, error) {
	enc, err := rerankEncoder(ctx, texts, config)
	if err != nil {
		return nil, err
	}
	tokens, err := enc.EncodeQuery(ctx, query)
	if err != nil {
		return nil, err
	}
	if tokens.Vectors.Rows == 0 {
		return nil, noWords(query)
	}
	ranked, err := retriever.Rerank(ctx, enc, query, texts)
	if err != nil {
		return nil, err
	}
	results := make([]reranked, len(ranked))
	for i, r := range ranked {
		results[i] = reranked{r.Score, r.Position + 1, texts[r.Position]}
	}
	return results, nil
}

// rerankEncoder opens the model of the settings or trains an encoder on texts.
func rerankEncoder(ctx context.Context, texts []string, config configs.Config) (encoder.Encoder, error) {
	if client, err := openService(ctx, config); client != nil || err != nil {
		return client, err
	}
	if dir := modelDir(config); dir != "" {
		_, options := config.Model()
		options.Dim = 0
		model, err := bert.Open(dir, options)
		return model, encoderError(config.Encoder.Kind, err)
	}
	training := config.CorpusOptions()
	training.MinDocumentFrequency = 1 // a handful of texts has few words twice
	all := func(yield func(string, error) bool) {
		for _, text := range texts {
			if !yield(text, nil) {
				return
			}
		}
	}
	return corpus.Train(ctx, all, training, nil)
}
