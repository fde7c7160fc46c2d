package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pare-search/pare/simd"
	"github.com/pare-search/pare/simd/bench"
)

func (a *app) benchCommand() *cobra.Command {
	return group("bench", "Measure how fast this machine is", a.benchKernelsCommand(), a.benchSearchCommand(), a.benchScaleCommand(), a.benchPruneCommand(), a.benchShardsCommand())
}

func (a *app) benchKernelsCommand() *cobra.Command {
	options := bench.DefaultOptions()
	c := &cobra.Command{
		Use:   "kernels",
		Short: "Compare the kernels with the machine's peak and with vek32",
		Long: `Measure how many million pairs of a query token and a document token each kernel
compares per second on one core, with 128 dimensions.

fp32 and int8 are MaxSim on float32 vectors and on bytes, fused1 to fused4 on codes of
1, 2 and 4 bits per dimension; scan is what compares a query with the cells of an index,
and rank what ranks a document by the cells of its vectors, without multiplying. "cache"
compares with one document again and again, "ram" with random ones of a set larger than
the caches, or with many cells.

PEAK is the share of what the same instructions do in a loop without memory, VS VEK the
ratio to a double loop over vek32.Dot on float32 vectors in the same place. Kernel, peak
and vek32 take turns, and the best turn of each counts: a busy machine distorts neither
by much.`,
		Args: noArgs,
	}
	c.Flags().StringVar(&options.Level, "level", options.Level, "`instructions` to use: "+strings.Join(simd.Levels(), ", "))
	c.Flags().DurationVar(&options.Duration, "time", options.Duration, "`time` for each line of the result")
	format := addFormat(c.Flags(), "table", "json", "md")
	c.RunE = func(c *cobra.Command, _ []string) error {
		report, err := a.benchKernels(c.Context(), c.ErrOrStderr(), options)
		if err != nil {
			return err
		}
		return emitAll(c.OutOrStdout(), format.value, report, machineTable(report), kernelsTable(report))
	}
	return c
}

// benchKernels measures with a bar that shows how far it is.
func (a *app) benchKernels(ctx context.Context, stderr io.Writer, options bench.Options) (*bench.Report, error) {
	if err := options.Validate(); err != nil {
		return nil, asUsage(err)
	}
	var bar progress
	defer func() { bar.done() }()
	options.Progress = func(done, cases int) {
		if done == 1 {
			bar = a.progress(stderr, "measuring", "cases", int64(cases))
		}
		bar.add(1)
	}
	report, err := bench.Measure(ctx, options)
	if errors.Is(err, simd.ErrLevel) {
		return nil, asUsage(err)
	}
	return report, err
}

// machineTable says what was measured on what.
func machineTable(r *bench.Report) table {
	t := table{
		columns: []column{{name: "machine"}, {name: "value"}},
		rows:    [][]string{{"cpu", printable(r.CPU)}, {"go", r.Go}, {"level", r.Level}},
	}
	for _, name := range []string{"fp32", "int8"} {
		speed := "-"
		if peak, ok := r.Peaks[name]; ok {
			speed = fmt.Sprintf("%.0f Mpair/s", peak)
		}
		t.rows = append(t.rows, []string{"peak " + name, speed})
	}
	return t
}

// kernelsTable has a line for each kernel, length of the query and place.
func kernelsTable(r *bench.Report) table {
	t := table{columns: []column{
		{name: "kernel"},
		{"query tokens", true},
		{name: "where"},
		{"Mpair/s", true},
		{"peak", true},
		{"vs vek", true},
	}}
	for _, k := range r.Kernels {
		share := "-"
		if k.ShareOfPeak > 0 {
			share = fmt.Sprintf("%.0f %%", 100*k.ShareOfPeak)
		}
		t.rows = append(t.rows, []string{
			k.Name, strconv.Itoa(k.QueryTokens), k.Where,
			fmt.Sprintf("%.0f", k.Mpairs), share, fmt.Sprintf("%.1f", k.VsVek),
		})
	}
	return t
}
