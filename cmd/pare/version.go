package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// buildVersion says what this program was built from.
type buildVersion struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"`
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	SIMD     string `json:"simd"`
}

func (a *app) versionCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "version",
		Short: "Print commit, Go version, platform and SIMD level",
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
		SIMD:     simdLevel(),
	}
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

// simdLevel names the kernels that this machine runs.
func simdLevel() string { return "portable" }
