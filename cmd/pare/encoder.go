package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/pare-search/pare/configs"
	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/encoder/bert"
	"github.com/pare-search/pare/encoder/hub"
	"github.com/pare-search/pare/encoder/remote"
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
	return model, encoderError(config.Encoder.Kind, err)
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

// apiKey is the key of a service that encodes. It is no setting, so that nothing
// prints or stores it.
func apiKey() string { return os.Getenv("PARE_API_KEY") }

// openService makes the client of the service that the settings name; it returns
// nil when they name none.
func openService(ctx context.Context, config configs.Config) (*remote.Encoder, error) {
	service, found := config.RemoteService()
	if !found {
		return nil, nil
	}
	options := remote.DefaultOptions()
	options.Key = apiKey()
	client, err := remote.New(ctx, service, options)
	return client, serviceError(err)
}

// openEncoder opens the model or the service that the settings name; it returns
// nil when they name the default encoder. count is that of openModel.
func openEncoder(ctx context.Context, config configs.Config, count func(tokens int)) (encoder.Encoder, error) {
	client, err := openService(ctx, config)
	if client != nil || err != nil {
		return client, err
	}
	if trained, err := openCorpusEncoder(modelDir(config)); trained != nil || err != nil {
		return trained, err
	}
	model, err := openModel(config, count)
	if model == nil || err != nil {
		return nil, err
	}
	return model, nil
}

// encoderError adds to an error about a model that encodes what to do about it. Name
// is what --encoder says, "" where the index says it.
func encoderError(name string, err error) error {
	switch {
	case errors.Is(err, bert.ErrOtherModel):
		if cached := cachedName(err); cached != "" {
			err = withHint(err, fmt.Sprintf(`"pare model get %s" gets it into your cache`, cached))
		}
		return withHint(err, "--encoder FOLDER says where the model is now; with another model the index has to be built again")
	case errors.Is(err, bert.ErrUnsupported):
		return withHint(err, "BERT models of sentence-transformers, PyLate and ColBERT can be used")
	case errors.Is(err, fs.ErrNotExist):
		if cache, cacheErr := hub.CacheDir(); cacheErr == nil && hub.CheckName(name) == nil && !isFolder(name) {
			err = withHint(err, fmt.Sprintf(`%s is not in your cache, %s, either: "pare model get %s" gets it`, name, cache, name))
		}
		return withHint(fmt.Errorf("--encoder: %w", err), `want "corpus" or a model: a folder with config.json, tokenizer.json and model.safetensors, or one that "pare model get" got`)
	default:
		return err
	}
}

// cachedName is the name of the model that would be in the cache where a file or
// folder is missing, "" if it would not be there.
func cachedName(err error) string {
	missing, isPath := errors.AsType[*fs.PathError](err)
	cache, cacheErr := hub.CacheDir()
	if !isPath || cacheErr != nil || !errors.Is(missing, fs.ErrNotExist) {
		return ""
	}
	inside, err := filepath.Rel(cache, missing.Path)
	if err != nil || !filepath.IsLocal(inside) {
		return ""
	}
	parts := strings.SplitN(filepath.ToSlash(inside), "/", 3)
	name := strings.Join(parts[:min(2, len(parts))], "/")
	if hub.CheckName(name) != nil {
		return ""
	}
	return name
}

// serviceError adds to an error of a service that encodes what to do about it.
func serviceError(err error) error {
	switch {
	case errors.Is(err, remote.ErrStatus):
		return withHint(err, "PARE_API_KEY holds the service's key, if it wants one; --service says what it speaks, --service-model which model it is asked for")
	case errors.Is(err, remote.ErrAnswer):
		return withHint(err, "--service says what the service speaks")
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
