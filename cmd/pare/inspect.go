package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/pare-search/pare/index"
)

func (a *app) inspectCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "inspect --index FOLDER",
		Short: "Print what an index holds and where its bytes go",
		Long: `Print what an index holds, how many bytes of it each token vector takes, part by
part, and the sections of its files with format version and checksum.

Stored texts are counted apart: no search needs them.`,
		Args: noArgs,
	}
	addIndex(c, &dir)
	format := addFormat(c.Flags(), "table", "json", "md")
	c.RunE = func(c *cobra.Command, _ []string) error {
		info, err := inspect(dir)
		if err != nil {
			return err
		}
		return emitAll(c.OutOrStdout(), format.value, info, factsTable(info), partsTable(info), sectionsTable(info))
	}
	return c
}

func (a *app) verifyCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "verify --index FOLDER",
		Short: "Read every byte of an index and report all damage",
		Long: `Read every byte of an index: compare all checksums, then check whether the contents
make sense together. Each fault found is a line on stderr with file and section.`,
		Args: noArgs,
	}
	addIndex(c, &dir)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := folderExists(dir); err != nil {
			return err
		}
		if err := index.VerifyContext(c.Context(), dir); err != nil {
			if errors.Is(err, index.ErrNotIndex) {
				return indexError(dir, err)
			}
			return withHint(err, `"pare index --force" builds the index again`)
		}
		info, err := inspect(dir)
		if err != nil {
			return err
		}
		sections, bytes := 0, int64(0)
		for _, file := range info.Files {
			sections += len(file.Sections)
			bytes += file.Bytes
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "%s is whole: %d documents, %d files, %d sections, %d bytes\n",
			dir, info.Documents, len(info.Files), sections, bytes)
		return err
	}
	return c
}

// inspect describes the index in a folder.
func inspect(dir string) (info index.Info, err error) {
	snapshot, err := openIndex(dir)
	if err != nil {
		return info, err
	}
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	info, err = snapshot.Inspect()
	return info, indexError(dir, err)
}

func factsTable(info index.Info) table {
	encoder := info.EncoderKind
	if encoder == "" {
		encoder = "-"
	}
	pruner := info.Pruner
	if pruner == "" {
		pruner = "none"
	}
	return table{
		columns: []column{{name: "index"}, {"value", true}},
		rows: [][]string{
			{"documents", strconv.Itoa(info.Documents)},
			{"deleted", strconv.Itoa(info.Deleted)},
			{"vectors", strconv.FormatInt(info.Vectors, 10)},
			{"vectors before pruning", strconv.FormatInt(info.UnprunedVectors, 10)},
			{"pruning of documents", printable(pruner)},
			{"dimensions", strconv.Itoa(info.Dim)},
			{"codec", info.Codec},
			{"cells", strconv.Itoa(info.Cells)},
			{"encoder", encoder},
			{"segments", strconv.Itoa(info.Segments)},
			{"commits", strconv.FormatUint(info.Generation, 10)},
			{"bytes", strconv.FormatInt(info.Bytes, 10)},
			{"bytes per token", fmt.Sprintf("%.2f", info.BytesPerToken)},
			{"bytes of stored texts", strconv.FormatInt(info.TextBytes, 10)},
		},
	}
}

func partsTable(info index.Info) table {
	t := table{columns: []column{{name: "part"}, {"bytes", true}, {"bytes per token", true}}}
	for _, part := range info.Parts {
		t.rows = append(t.rows, []string{part.Name, strconv.FormatInt(part.Bytes, 10), fmt.Sprintf("%.3f", part.BytesPerToken)})
	}
	return t
}

func sectionsTable(info index.Info) table {
	t := table{columns: []column{{name: "file"}, {name: "section"}, {"version", true}, {"bytes", true}, {name: "crc-32c"}}}
	for _, file := range info.Files {
		for _, section := range file.Sections {
			t.rows = append(t.rows, []string{
				file.Name, section.Name, strconv.FormatUint(uint64(section.Version), 10),
				strconv.FormatInt(section.Bytes, 10), fmt.Sprintf("%08x", section.Checksum),
			})
		}
	}
	return t
}
