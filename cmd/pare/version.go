package main

import (
	"runtime"
	"runtime/debug"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/pare-search/pare/encoder/corpus"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/simd"
)

// buildVersion says what this program was built from.
type buildVersion struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"`
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	SIMD     string `json:"simd"`
	Formats  struct {
		Container int `json:"container"`
		Codebook  int `json:"codebook"`
		Payload   int `json:"payload"`
		Encoder   int `json:"encoder"`
	} `json:"formats"`
}

func (a *app) versionCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "version",
		Short: "Print commit, Go version, platform, SIMD level and format versions",
		Args:  noArgs,
	}
	format := addFormat(c.Flags(), "table", "tsv", "json", "md")
	c.RunE = func(c *cobra.Command, _ []string) error {
		v := thisBuild()
		commit := v.Commit
		if v.Modified {
			commit += " (modified)"
		}
		return emit(c.OutOrStdout(), format.value, table{
			columns: []column{{name: "part"}, {name: "version"}},
			rows: [][]string{
				{"pare", v.Version},
				{"commit", commit},
				{"go", v.Go},
				{"platform", v.Platform},
				{"simd", v.SIMD},
				{"container format", strconv.Itoa(v.Formats.Container)},
				{"codebook format", strconv.Itoa(v.Formats.Codebook)},
				{"payload format", strconv.Itoa(v.Formats.Payload)},
				{"encoder format", strconv.Itoa(v.Formats.Encoder)},
			},
		}, v)
	}
	return c
}

// thisBuild reads what the go command has put into the binary; there is no commit
// when it was built outside of a checkout or by "go run".
func thisBuild() buildVersion {
	v := buildVersion{
		Version:  "(devel)",
		Commit:   "-",
		Go:       runtime.Version(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
		SIMD:     simd.Level(),
	}
	v.Formats.Container = index.FormatVersion
	v.Formats.Codebook = codec.CodebookVersion
	v.Formats.Payload = codec.PayloadVersion
	v.Formats.Encoder = corpus.FormatVersion
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}
