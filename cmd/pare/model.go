package main

import (
	"errors"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/pare-search/pare/encoder/hub"
)

// fetched is a model folder as it is printed.
type fetched struct {
	Name   string `json:"name"`
	Commit string `json:"commit"`
	Bytes  int64  `json:"bytes"`
	Path   string `json:"path"`
}

func (a *app) modelCommand() *cobra.Command {
	return group("model", "Get models that encode texts", a.modelGetCommand(), a.modelListCommand())
}

func (a *app) modelGetCommand() *cobra.Command {
	options := hub.DefaultOptions()
	c := &cobra.Command{
		Use:   "get ORG/NAME",
		Short: "Download a model from a hub",
		Long: `Download the folder of a model from Hugging Face, or a hub that is asked in the same
way: its configuration, tokenizer and safetensors weights. It goes into your cache, where
--encoder ORG/NAME finds it, or into the folder --to.

A download that was cut off goes on where it stopped. Every file is compared with the
hub's checksum, and the folder appears when all of it is there. A model that is there
already is not downloaded again.

For models that are not open to everybody, HF_TOKEN may hold a token. It is sent to
huggingface.co only.`,
		Example: `  pare model get sentence-transformers/all-MiniLM-L6-v2
  pare model get answerdotai/answerai-colbert-small-v1 --to models/small`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(errors.New("give the name of one model"), "for example: pare model get sentence-transformers/all-MiniLM-L6-v2")
			}
			return nil
		},
	}
	flags := c.Flags()
	flags.StringVar(&options.Dir, "to", "", "put the model into this `folder` instead of the cache")
	flags.StringVar(&options.BaseURL, "base-url", options.BaseURL, "the hub's `address`")
	flags.StringVar(&options.Revision, "revision", options.Revision, "the branch, tag or commit")
	cobra.CheckErr(c.MarkFlagDirname("to"))
	format := addFormat(flags, "table", "tsv", "json", "md")
	c.RunE = func(c *cobra.Command, args []string) error {
		if options.BaseURL == hub.DefaultBaseURL {
			options.Token = os.Getenv("HF_TOKEN")
		}
		if err := options.Validate(); err != nil {
			return usage(err, "")
		}
		model, err := a.getModel(c, args[0], options)
		if err != nil {
			return modelError(err)
		}
		a.note(c.ErrOrStderr(), "%s is in %s", model.Name, model.Path)
		return emitModels(c, format.value, model)
	}
	return c
}

// getModel downloads a model with a bar.
func (a *app) getModel(c *cobra.Command, name string, options hub.Options) (hub.Model, error) {
	var bar progress
	shown := int64(-1)
	options.Progress = func(done, total int64) {
		if shown < 0 {
			bar, shown = a.progress(c.ErrOrStderr(), "downloading", "bytes", total), 0
		}
		bar.add(int(done - shown))
		shown = done
	}
	defer func() { bar.done() }()
	return hub.Get(c.Context(), name, options)
}

// modelError adds to an error of package hub what to do about it.
func modelError(err error) error {
	switch {
	case errors.Is(err, hub.ErrName):
		return usage(err, "for example: pare model get sentence-transformers/all-MiniLM-L6-v2")
	case errors.Is(err, hub.ErrNoModel):
		return withHint(err, "weights in other forms have to be saved as safetensors first, in Python: AutoModel.from_pretrained(NAME).save_pretrained(FOLDER)")
	case errors.Is(err, hub.ErrExists):
		return withHint(err, "give --to a new folder; only a model that was downloaded is ever replaced")
	default:
		return err
	}
}

func (a *app) modelListCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "List the models in your cache",
		Args:  noArgs,
	}
	format := addFormat(c.Flags(), "table", "tsv", "json", "md")
	c.RunE = func(c *cobra.Command, _ []string) error {
		models, err := hub.List()
		if err != nil {
			return err
		}
		cache, err := hub.CacheDir()
		if err != nil {
			return err
		}
		if len(models) == 0 {
			a.note(c.ErrOrStderr(), "no models in %s; \"pare model get ORG/NAME\" gets one", cache)
		} else {
			a.note(c.ErrOrStderr(), "your cache is %s", cache)
		}
		return emitModels(c, format.value, models...)
	}
	return c
}

func emitModels(c *cobra.Command, format string, models ...hub.Model) error {
	t := table{columns: []column{{name: "name"}, {name: "commit"}, {"bytes", true}, {name: "path"}}}
	values := make([]fetched, len(models))
	for i, m := range models {
		values[i] = fetched{m.Name, m.Commit, m.Bytes(), m.Path}
		t.rows = append(t.rows, []string{printable(m.Name), printable(m.Commit), strconv.FormatInt(m.Bytes(), 10), printable(m.Path)})
	}
	return emit(c.OutOrStdout(), format, t, values)
}
