package main

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestProgressLines: no line before a quarter of a minute has gone by, nor sooner
// after the last one.
func TestProgressLines(t *testing.T) {
	for _, test := range []struct {
		units string
		total int64
		want  string
	}{
		{"documents", 10, "indexing: 2 of 10 documents\nstoring: 4 of 10 documents\n"},
		{"documents", -1, "indexing: 2 documents\nstoring: 4 documents\n"},
		{"bytes", 90_000_000, "indexing: 2 B of 90.0 MB\nstoring: 4 B of 90.0 MB\n"},
	} {
		for _, quiet := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				var b bytes.Buffer
				p := (&app{quiet: quiet}).progress(&b, "indexing", test.units, test.total)
				p.add(1)
				time.Sleep(linesApart)
				p.add(1)
				time.Sleep(linesApart - time.Second)
				p.add(1)
				p.describe("storing")
				time.Sleep(time.Second)
				p.add(1)
				p.done()
				if want := test.want; quiet && b.Len() > 0 || !quiet && b.String() != want {
					t.Errorf("quiet %v: got\n%s\nwant\n%s", quiet, b.String(), want)
				}
			})
		}
	}
}

func TestProgressShowsCountAndUnits(t *testing.T) {
	var b bytes.Buffer
	p := newProgress(&b, "indexing", "documents", 1000)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				p.add(1)
			}
		})
	}
	wg.Wait()
	p.done()
	if got := b.String(); !strings.Contains(got, "indexing") || !strings.Contains(got, "/1000") {
		t.Errorf("bar shows %q", got)
	}
}

func TestProgressShowsBytes(t *testing.T) {
	var b bytes.Buffer
	p := newProgress(&b, "downloading", "bytes", 90_000_000)
	time.Sleep(110 * time.Millisecond) // a bar is not drawn more often
	p.add(45_000_000)
	p.done()
	if got := b.String(); !strings.Contains(got, "/90 MB") {
		t.Errorf("bar shows %q", got)
	}
}

// A bar of unknown length must be still once it is done: nothing may write over
// the bars and results that follow.
func TestProgressOfUnknownLengthStops(t *testing.T) {
	var out lockedBuffer
	bar := newProgress(&out, "reading", "documents", -1)
	bar.add(1)
	bar.done()
	before := out.len()
	time.Sleep(350 * time.Millisecond) // three turns of a spinner
	if after := out.len(); after != before {
		t.Errorf("%d bytes were written after done", after-before)
	}
}

// lockedBuffer counts what is written, from any goroutine.
type lockedBuffer struct {
	mu      sync.Mutex
	written int
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.written += len(p)
	return len(p), nil
}

func (b *lockedBuffer) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.written
}
