package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pare-search/pare/configs"
)

// effective is one setting as "pare config show" prints it.
type effective struct {
	Key    string `json:"key"`
	Value  any    `json:"value"`
	Origin string `json:"origin"`
	Doc    string `json:"doc"`
}

func (a *app) configCommand() *cobra.Command {
	show := &cobra.Command{
		Use:   "show",
		Short: "Print every setting: key, value, origin, meaning",
		Long: `Print every setting with its value, where the value comes from, and what it means.

The yaml format is a commented file that --config accepts.`,
		Example: `  pare config show
  PARE_SEARCH_PRUNE=icf:2 pare config show --config pare.yaml
  pare config show --format yaml > pare.yaml`,
		Args: noArgs,
	}
	format := addFormat(show.Flags(), "table", "tsv", "json", "md", "yaml")
	show.RunE = func(c *cobra.Command, _ []string) error {
		loaded, err := a.settings(c)
		if err != nil {
			return err
		}
		if format.value == "yaml" {
			return configs.WriteYAML(c.OutOrStdout(), loaded.Config)
		}
		settings := make([]effective, 0, len(configs.Keys()))
		t := table{columns: []column{{name: "key"}, {name: "value"}, {name: "origin"}, {name: "doc"}}}
		for _, k := range configs.Keys() {
			s := effective{k.Name, k.Value(loaded.Config), string(loaded.Origin(k.Name)), k.Doc}
			settings = append(settings, s)
			t.rows = append(t.rows, []string{s.Key, settingText(s.Value), s.Origin, s.Doc})
		}
		return emit(c.OutOrStdout(), format.value, t, settings)
	}
	return group("config", "Show the settings and where they come from", show)
}

// settingText writes a value as the environment would take it.
func settingText(value any) string {
	if list, ok := value.([]string); ok {
		return strings.Join(list, ",")
	}
	return fmt.Sprint(value)
}
