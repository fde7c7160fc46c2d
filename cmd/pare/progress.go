package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows how far a long piece of work is: on a terminal by a bar with count,
// rate and time left, elsewhere by a line now and then. The zero value shows nothing.
// Its methods are safe for concurrent use.
type progress struct {
	bar   *progressbar.ProgressBar
	lines *progressLines
}

// progress begins to show the way to total units, named in the plural; a total of
// -1 is unknown. With --quiet it shows nothing.
func (a *app) progress(stderr io.Writer, doing, units string, total int64) progress {
	switch {
	case a.quiet:
		return progress{}
	case isTerminal(stderr):
		return newProgress(stderr, doing, units, total)
	default:
		return progress{lines: &progressLines{w: stderr, doing: doing, units: units, total: total, last: time.Now()}}
	}
}

func newProgress(w io.Writer, doing, units string, total int64) progress {
	return progress{bar: progressbar.NewOptions64(total,
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
	if p.lines != nil {
		p.lines.add(n)
	}
}

// describe changes what stands before the bar.
func (p progress) describe(doing string) {
	if p.bar != nil {
		p.bar.Describe(doing)
	}
	if p.lines != nil {
		p.lines.describe(doing)
	}
}

// done wipes the bar off, whether the work is complete or not.
func (p progress) done() {
	if p.bar != nil {
		_ = p.bar.Exit()
		_ = p.bar.Clear()
	}
}

// linesApart is the time between two lines at least, so that short work has none.
const linesApart = 15 * time.Second

// progressLines are for logs and other places where a bar would be in the way.
type progressLines struct {
	w     io.Writer
	units string
	total int64

	mutex sync.Mutex
	doing string
	count int64
	last  time.Time
}

func (p *progressLines) describe(doing string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.doing = doing
}

func (p *progressLines) add(n int) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.count += int64(n)
	if time.Since(p.last) < linesApart {
		return
	}
	p.last = time.Now()
	count, total := fmt.Sprint(p.count), fmt.Sprint(p.total)+" "+p.units
	if p.units == "bytes" {
		count, total = byteSize(p.count), byteSize(p.total)
	}
	if p.total < 0 {
		fmt.Fprintf(p.w, "%s: %s %s\n", p.doing, count, p.units)
		return
	}
	fmt.Fprintf(p.w, "%s: %s of %s\n", p.doing, count, total)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
