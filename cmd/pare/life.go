package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/pare-search/pare/index"
)

// folders makes a command take exactly these arguments.
func folders(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return usage(fmt.Errorf("%d arguments, want %d: %q", len(args), len(names), names), fmt.Sprintf("%q says what they mean", c.CommandPath()+" --help"))
		}
		return nil
	}
}

func (a *app) snapshotCommand() *cobra.Command {
	var options index.BackupOptions
	var force bool
	c := &cobra.Command{
		Use:   "snapshot INDEX FOLDER",
		Short: "Back up an index while it is in use, or restore it",
		Long: `Make an index in a new folder that is the last commit of another one. Searches and
changes of that go on meanwhile. Every byte is verified before the snapshot appears.

A snapshot is an index: it can be searched, changed, and restored by the same command the
other way round, where --force replaces the index that is there.

Files of an index never change, so they are hard links where the file system allows: the
snapshot takes no room until the index moves on. --copy makes files of their own, which a
damaged disk does not damage together.`,
		Example: `  pare snapshot notes.idx backups/monday.idx
  pare snapshot backups/monday.idx notes.idx --force`,
		Args: folders("INDEX", "FOLDER"),
	}
	flags := c.Flags()
	flags.BoolVar(&options.Copy, "copy", false, "copy all files instead of linking them")
	flags.BoolVar(&force, "force", false, "replace the index that is there; other folders are never touched")
	format := addFormat(flags, "table", "tsv", "json", "md")
	c.RunE = func(c *cobra.Command, args []string) error {
		from, to := args[0], args[1]
		if err := folderExists(from); err != nil {
			return err
		}
		if err := checkOutside(from, to); err != nil {
			return err
		}
		if err := checkTarget("FOLDER", to, force); err != nil {
			return err
		}
		var stats index.BackupStats
		err := buildBeside(to, func(dir string) (err error) {
			stats, err = index.Backup(c.Context(), from, dir, options)
			return indexError(from, err)
		})
		if err != nil {
			return err
		}
		return emit(c.OutOrStdout(), format.value, backupTable(to, stats), stats)
	}
	return c
}

// checkOutside refuses a snapshot in the folder of its index.
func checkOutside(from, to string) error {
	source, err := os.Stat(from)
	if err != nil {
		return err
	}
	for dir, err := filepath.Abs(to); ; dir = filepath.Dir(dir) {
		if err != nil {
			return err
		}
		if info, err := os.Stat(dir); err == nil && os.SameFile(source, info) {
			return usage(fmt.Errorf("FOLDER: %s is in the folder of the index %s", to, from), "give FOLDER a place outside the index")
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

func backupTable(path string, stats index.BackupStats) table {
	return table{
		columns: []column{{name: "path"}, {"commit", true}, {"documents", true}, {"linked", true}, {"copied", true}, {"bytes", true}},
		rows: [][]string{{
			path, strconv.FormatUint(stats.Generation, 10), strconv.Itoa(stats.Documents),
			strconv.Itoa(stats.Linked), strconv.Itoa(stats.Copied), strconv.FormatInt(stats.Bytes, 10),
		}},
	}
}

// merged is what "pare merge" prints.
type merged struct {
	Before index.Info `json:"before"`
	After  index.Info `json:"after"`
}

func (a *app) mergeCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "merge INDEX",
		Short: "Merge the segments of an index and purge what is deleted",
		Long: `Merge the segments of an index into as few as possible, without the documents that were
deleted, and code again what an older codebook has coded. Searches go on meanwhile, and
what was opened before stays as it was.

Whoever changes an index merges in the background, so this is hardly ever needed: before
an index is published, say, or after most of it was deleted.`,
		Example: `  pare merge notes.idx`,
		Args:    folders("INDEX"),
	}
	format := addFormat(c.Flags(), "table", "tsv", "json", "md")
	c.RunE = func(c *cobra.Command, args []string) error {
		before, err := inspect(args[0])
		if err != nil {
			return err
		}
		if err := mergeIndex(c.Context(), args[0]); err != nil {
			return indexError(args[0], err)
		}
		after, err := inspect(args[0])
		if err != nil {
			return err
		}
		if after.Generation == before.Generation {
			a.note(c.ErrOrStderr(), "%s: there was nothing to merge", args[0])
		}
		return emit(c.OutOrStdout(), format.value, mergedTable(before, after), merged{before, after})
	}
	return c
}

func mergeIndex(ctx context.Context, dir string) error {
	writer, err := index.OpenWriter(dir)
	if err != nil {
		return err
	}
	return errors.Join(writer.Merge(ctx), writer.Close())
}

func mergedTable(infos ...index.Info) table {
	t := table{columns: []column{{name: "index"}, {"documents", true}, {"deleted", true}, {"segments", true}, {"bytes", true}}}
	for i, info := range infos {
		t.rows = append(t.rows, []string{
			[]string{"before", "after"}[i], strconv.Itoa(info.Documents), strconv.Itoa(info.Deleted),
			strconv.Itoa(info.Segments), strconv.FormatInt(info.Bytes+info.TextBytes, 10),
		})
	}
	return t
}
