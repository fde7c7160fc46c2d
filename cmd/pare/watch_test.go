package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// notes collects lines of talk as they come.
type notes chan string

func (n notes) Write(p []byte) (int, error) {
	n <- string(p)
	return len(p), nil
}

// until waits for a line that says something.
func (n notes) until(t *testing.T, says string) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case line := <-n:
			if strings.Contains(line, says) {
				return
			}
		case <-deadline:
			t.Fatalf("nothing said %q within 10 s", says)
		}
	}
}

// TestSearchWatch changes the settings between the queries of one search.
func TestSearchWatch(t *testing.T) {
	t.Chdir(t.TempDir())
	var corpus strings.Builder
	for i := range 300 {
		fmt.Fprintf(&corpus, "d%d\tpear %d and plum %d\n", i, i, i%7)
	}
	settings := func(depth string) {
		t.Helper()
		if err := os.WriteFile("new.yaml", []byte("search: {plan: probe, depth: "+depth+"}"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename("new.yaml", "pare.yaml"); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile("corpus.tsv", []byte(corpus.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	settings("20")
	if code := run([]string{"index", "--collection", "corpus.tsv", "--out", "pears.idx", "--quiet"}, nil, io.Discard, os.Stderr); code != exitDone {
		t.Fatalf("exit code %d", code)
	}

	questions, ask := io.Pipe()
	talk := make(notes, 100)
	ended := make(chan int)
	go func() {
		args := []string{"search", "--index", "pears.idx", "--config", filepath.Join(".", "pare.yaml"), "--watch", "--stats", "--format", "tsv", "-k", "1", "-"}
		ended <- run(args, questions, io.Discard, talk)
	}()
	next := func(scored string) {
		t.Helper()
		fmt.Fprintln(ask, "pear plum")
		talk.until(t, " candidates, "+scored+" of ")
	}
	next("20")
	settings("30")
	talk.until(t, "pare.yaml: search.depth was 20, is 30")
	next("30")
	settings("many")
	talk.until(t, `search.depth: bad value: want a whole number, got "many"`)
	next("30")
	settings("30")
	talk.until(t, "pare.yaml: taken again, with the settings that are in force")
	ask.Close()
	if code := <-ended; code != exitDone {
		t.Errorf("exit code %d", code)
	}
}
