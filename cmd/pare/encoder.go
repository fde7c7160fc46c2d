package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/pare-search/pare/configs"
	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/encoder/bert"
	"github.com/pare-search/pare/encoder/hub"
	"github.com/pare-search/pare/retriever"
)

// openModel opens the model that the settings name; it returns nil when they
// name the default encoder. count, if not nil, is told how many tokens were
// encoded, by several goroutines at a time.
func openModel(config configs.Config, count func(tokens int)) (*bert.Encoder, error) {
	_, options := config.Model()
	dir := modelDir(config)
	if dir == "" {
		return nil, nil
	}
	options.Progress = count
	model, err := bert.Open(dir, options)
	return model, encoderError(err)
}

// modelDir is the folder of the model that the settings name, which may be one
// of the cache; "" for the default encoder.
func modelDir(config configs.Config) string {
	name, _ := config.Model()
	if cached, found := hub.Find(name); found && !isFolder(name) {
		return cached
	}
	return name
}

// withModel opens the model that the settings name, if any, for building an
// index.
func withModel(options retriever.BuildOptions, config configs.Config, count func(tokens int)) (retriever.BuildOptions, error) {
	model, err := openModel(config, count)
	if model != nil && err == nil {
		options.Encoder = model
	}
	return options, err
}

// encoderError adds to an error about a model that encodes what to do about it.
func encoderError(err error) error {
	switch {
	case errors.Is(err, bert.ErrOtherModel):
		return withHint(err, "--encoder FOLDER says where the model is now; with another model the index has to be built again")
	case errors.Is(err, bert.ErrUnsupported):
		return withHint(err, "BERT models of sentence-transformers, PyLate and ColBERT can be used")
	case errors.Is(err, fs.ErrNotExist):
		return withHint(fmt.Errorf("--encoder: %w", err), `want "corpus" or a model: a folder with config.json, tokenizer.json and model.safetensors, or one that "pare model get" got`)
	default:
		return err
	}
}

// tokenText is what token i of a text stands for in it, or the name of a token
// that a model adds.
func tokenText(enc encoder.Encoder, text string, tokens encoder.Tokens, i int) string {
	if tokens.Spans == nil {
		return ""
	}
	word := tokens.Spans[i].In(text)
	if model, ok := enc.(*bert.Encoder); ok && word == "" && tokens.IDs != nil {
		return model.Tokenizer().Piece(tokens.IDs[i])
	}
	return word
}
