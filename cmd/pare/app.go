package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pare-search/pare/configs"
)

// app is what the commands of one invocation share.
type app struct {
	configFile string
	quiet      bool
	running    bool // a command has begun its work, so the way it was called was right
}

// run executes one command line and returns its exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The second signal ends the program at once; but some senders, such as
	// timeout(1), signal twice, and files have to be removed.
	context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, stop) })

	a := new(app)
	root := a.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	switch {
	case !a.running:
		err = asUsage(err)
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		err = &interruption{err}
	}
	printError(stderr, err)
	return exitCode(err)
}

// root returns the tree of commands.
func (a *app) root() *cobra.Command {
	root := group("pare", "Late-interaction search with pruned queries",
		a.demoCommand(),
		a.indexCommand(),
		a.encodeCommand(),
		a.searchCommand(),
		a.rerankCommand(),
		a.evalCommand(),
		a.sweepCommand(),
		a.tuneCommand(),
		a.inspectCommand(),
		a.verifyCommand(),
		a.snapshotCommand(),
		a.mergeCommand(),
		a.modelCommand(),
		a.tableCommand(),
		a.benchCommand(),
		a.configCommand(),
		a.versionCommand(),
	)
	root.Long = `Pare searches texts with one vector per token (late interaction, MaxSim) and shows
how much of a query can be pruned without losing quality.

Results go to stdout, everything else to stderr. A setting is taken from the first
of: flag, PARE_* environment variable, --config file, default; "pare config show"
lists them all. Exit codes: 0 done, 1 failure, 2 usage, 3 a quality gate was not met.`
	root.SilenceErrors, root.SilenceUsage = true, true
	root.PersistentFlags().StringVar(&a.configFile, "config", "", "read settings from this `file` (YAML, TOML or JSON)")
	root.PersistentFlags().BoolVar(&a.quiet, "quiet", false, "print results and errors only")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok && unknown.GetSpecifiedName() == "index" && strings.Contains(c.Use, "INDEX") {
			return usage(err, fmt.Sprintf("the index is given without a flag: %q", c.Parent().CommandPath()+" "+c.Use))
		}
		if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
			err = badValue(invalid)
		}
		return usage(err, fmt.Sprintf("%q lists the flags", c.CommandPath()+" --help"))
	})
	root.InitDefaultCompletionCmd()
	if completion, _, err := root.Find([]string{"completion"}); err == nil {
		needCommand(completion) // cobra's own answers anything with its help
	}
	a.markRunning(root)
	return root
}

// badValue words a mistake in a flag as mistakes in settings are worded.
func badValue(e *pflag.InvalidValueError) error {
	want := e.Unwrap().Error()
	switch e.GetFlag().Value.Type() {
	case "int":
		want = "want a whole number"
	case "uint64":
		want = "want a whole number that is not negative"
	case "float64":
		want = "want a number"
	case "bool":
		want = "want true or false"
	}
	return fmt.Errorf("flag --%s: %s, got %q", e.GetFlag().Name, want, e.GetValue())
}

// markRunning makes every command of the tree note that its work has begun.
func (a *app) markRunning(c *cobra.Command) {
	if work := c.RunE; work != nil {
		c.RunE = func(c *cobra.Command, args []string) error {
			a.running = true
			return work(c, args)
		}
	}
	for _, child := range c.Commands() {
		a.markRunning(child)
	}
}

// settings returns the configuration for a command, whose flags were added by
// configs.Flag. A mistake in it is a mistake of usage.
func (a *app) settings(c *cobra.Command) (*configs.Loaded, error) {
	loaded, err := configs.Load(a.sources(c.Flags()))
	if err != nil {
		return nil, asUsage(err)
	}
	return loaded, nil
}

func (a *app) sources(flags *pflag.FlagSet) configs.Sources {
	return configs.Sources{File: a.configFile, Env: os.Environ(), Flags: flags}
}

// effortFlags say how much work a search may do.
var effortFlags = []struct{ key, name string }{
	{"search.neighbors", "neighbors"},
	{"search.budget", "budget"},
	{"search.margin_share", "margin-share"},
	{"search.rarity_power", "rarity-power"},
	{"search.rank_power", "rank-power"},
	{"search.cells", "cells"},
	{"search.peak", "peak"},
	{"search.reveal", "reveal"},
	{"search.first_rows", "first-rows"},
	{"search.alpha", "alpha"},
	{"search.depth", "rank-depth"},
	{"search.refine", "refine"},
}

func addEffort(flags *pflag.FlagSet) {
	for _, flag := range effortFlags {
		configs.Flag(flags, flag.key, flag.name, "")
	}
}

// group returns a command that only holds others.
func group(name, short string, children ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: name, Short: short}
	c.AddCommand(children...)
	needCommand(c)
	return c
}

// needCommand makes a command that only holds others print its help when it is
// called alone and refuse what is not one of its commands.
func needCommand(c *cobra.Command) {
	c.SuggestionsMinimumDistance = 2
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		hint := fmt.Sprintf("%q lists the commands", c.CommandPath()+" --help")
		if near := c.SuggestionsFor(args[0]); len(near) > 0 {
			hint = fmt.Sprintf("did you mean %q?", c.CommandPath()+" "+near[0])
		}
		return usage(fmt.Errorf("unknown command %q", c.CommandPath()+" "+args[0]), hint)
	}
}

// noArgs refuses arguments.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		var hint string
		if c.Flags().Lookup("index") != nil {
			hint = "an index is given as --index " + args[0]
		}
		return usage(fmt.Errorf("%q takes no arguments, got %q", c.CommandPath(), args[0]), hint)
	}
	return nil
}
