package main

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows how far a long piece of work is: count, rate and time left. The
// zero value shows nothing. Its methods are safe for concurrent use.
type progress struct {
	bar *progressbar.ProgressBar
}

// progress begins to show the way to total units, named in the plural; a total of
// -1 is unknown. Where nobody watches it shows nothing: on anything but a terminal
// and with --quiet.
func (a *app) progress(stderr io.Writer, doing, units string, total int64) progress {
	if a.quiet || !isTerminal(stderr) {
		return progress{}
	}
	return newProgress(stderr, doing, units, total)
}

func newProgress(w io.Writer, doing, units string, total int64) progress {
	return progress{progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription(doing),
		progressbar.OptionSetItsString(units),
		progressbar.OptionShowIts(),
		progressbar.OptionShowBytes(units == "bytes"), // in kB, MB or GB
		progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionSetWidth(30),
		progressbar.OptionThrottle(100*time.Millisecond),
		// A spinner that turns by itself goes on after done.
		progressbar.OptionSetSpinnerChangeInterval(0),
		progressbar.OptionClearOnFinish(),
	)}
}

// add moves on by n units. That a terminal cannot be written to is no reason to
// stop the work, so errors are dropped here and in done.
func (p progress) add(n int) {
	if p.bar != nil {
		_ = p.bar.Add(n)
	}
}

// describe changes what stands before the bar.
func (p progress) describe(doing string) {
	if p.bar != nil {
		p.bar.Describe(doing)
	}
}

// done wipes the bar off, whether the work is complete or not.
func (p progress) done() {
	if p.bar != nil {
		_ = p.bar.Exit()
		_ = p.bar.Clear()
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
