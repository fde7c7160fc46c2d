package main

import (
	"bytes"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestProgressIsSilentOffTerminals(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "stderr")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, quiet := range []bool{false, true} {
		a := &app{quiet: quiet}
		p := a.progress(file, "indexing", "documents", 10)
		p.add(10)
		p.done()
	}
	if info, err := file.Stat(); err != nil || info.Size() != 0 {
		t.Errorf("wrote %d bytes, %v", info.Size(), err)
	}
	new(app).progress(new(bytes.Buffer), "indexing", "documents", -1).done()
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
