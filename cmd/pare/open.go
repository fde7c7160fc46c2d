package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pare-search/pare/configs"
	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/encoder/bert"
	"github.com/pare-search/pare/encoder/corpus"
	"github.com/pare-search/pare/encoder/remote"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/retriever"
)

// addIndex adds the flag --index.
func addIndex(c *cobra.Command, dir *string) {
	c.Flags().StringVar(dir, "index", "", "the `folder` of the index")
	required(c, "index")
}

// required makes a command refuse to run without these flags.
func required(c *cobra.Command, flags ...string) {
	for _, name := range flags {
		cobra.CheckErr(c.MarkFlagRequired(name))
		if name != "collection" {
			cobra.CheckErr(c.MarkFlagDirname(name))
		}
	}
}

// withoutDefault says what a flag of a setting means to a command that does not use the
// setting's default.
func withoutDefault(flags *pflag.FlagSet, name, usage string) {
	flag := flags.Lookup(name)
	flag.Usage, flag.DefValue = usage, ""
}

// openIndex opens the index in a folder.
func openIndex(dir string) (*index.Snapshot, error) {
	if err := folderExists(dir); err != nil {
		return nil, err
	}
	snapshot, err := index.Open(dir)
	return snapshot, indexError(dir, err)
}

// openRetriever opens the index in a folder with its encoder. If that is a model,
// the settings may say where it is now; if it asks a service, they must name its
// address. When they were given with --encoder they must name an encoder like the
// index's own.
func openRetriever(dir string, config configs.Config, given bool) (*retriever.Retriever, error) {
	if err := folderExists(dir); err != nil {
		return nil, err
	}
	var options retriever.OpenOptions
	options.Model.Dir = modelDir(config)
	if service, found := config.RemoteService(); found {
		options.Service, options.Key = service.URL, apiKey()
	}
	r, err := retriever.OpenWith(dir, options)
	if errors.Is(err, retriever.ErrNoEncoder) {
		err = withHint(retriever.ErrNoEncoder, "it was made of vectors and is asked with vectors: --embeddings FOLDER")
	}
	if err != nil {
		return nil, indexError(dir, err)
	}
	if given && !namesEncoder(config, r.Encoder()) {
		err := usage(fmt.Errorf("--encoder %s is not what made the index in %s", config.Encoder.Kind, dir),
			"leave it out: the index knows its encoder; --encoder only says where a model is now")
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// namesEncoder tells whether the settings name an encoder of the same kind; of
// models, the index has told.
func namesEncoder(config configs.Config, enc encoder.Encoder) bool {
	_, isService := config.RemoteService()
	switch enc.(type) {
	case *corpus.Encoder:
		return config.Encoder.Kind == configs.Corpus
	case *remote.Encoder:
		return isService // with the same address, or the index were not open
	default:
		return config.Encoder.Kind != configs.Corpus && !isService
	}
}

// folderExists says in plain words when it does not.
func folderExists(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return indexError(dir, fmt.Errorf("%w: there is no folder %s", index.ErrNotIndex, dir))
	case err != nil:
		return err
	case !info.IsDir():
		return indexError(dir, fmt.Errorf("%w: %s is no folder", index.ErrNotIndex, dir))
	}
	return nil
}

// indexError adds to an error about the index in dir what to do about it.
func indexError(dir string, err error) error {
	is := func(targets ...error) bool {
		for _, target := range targets {
			if errors.Is(err, target) {
				return true
			}
		}
		return false
	}
	switch {
	case is(index.ErrNotIndex):
		return withHint(err, `"pare index --collection PATH --out FOLDER" makes an index`)
	case is(index.ErrLocked):
		return withHint(err, "another process is changing the index; try again when it has ended")
	case is(bert.ErrOtherModel):
		return encoderError("", err)
	case is(remote.ErrAddress):
		return withHint(err, "--encoder ADDRESS says that queries, and the key in PARE_API_KEY, may be sent there; the address is one that whoever made the index has chosen")
	case is(remote.ErrStatus, remote.ErrAnswer):
		return serviceError(err)
	case is(index.ErrVersion, codec.ErrVersion, corpus.ErrVersion, bert.ErrVersion, remote.ErrVersion):
		return withHint(err, "another version of pare made the index; build it again or use that version")
	case is(index.ErrCorrupt, codec.ErrCorrupt, corpus.ErrCorrupt, bert.ErrCorrupt, remote.ErrCorrupt):
		return withHint(err, fmt.Sprintf(`"pare verify --index %s" lists all damage, "pare index --force" builds the index again`, dir))
	default:
		return err
	}
}
