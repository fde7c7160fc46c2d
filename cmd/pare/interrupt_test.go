package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// writerFunc is a writer that is a function.
type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// interruptible makes a folder with a collection and texts, and one that is the folder
// for temporary files.
func interruptible(t *testing.T) (dir, temporary string) {
	t.Helper()
	dir, temporary = t.TempDir(), t.TempDir()
	for name, content := range map[string]string{
		"corpus.jsonl":  `{"_id": "d", "text": "a wing"}`,
		"queries.jsonl": `{"_id": "q", "text": "wing"}`,
		"qrels.tsv":     "q\td\t1\n",
		"notes.md": "Plant tomatoes after the last frost in a sunny place with loose and rich soil.\n" +
			"Remove the side shoots every week so that the plant puts its strength into fruit.\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("TMPDIR", temporary) // Unix
	t.Setenv("TMP", temporary)    // Windows
	return dir, temporary
}

// Indexes in temporary folders are gone when a command is interrupted.
func TestInterruptedCommandsLeaveNothing(t *testing.T) {
	dir, temporary := interruptible(t)
	for name, test := range map[string]struct {
		args   []string
		atOnce bool // else when the first line is printed
	}{
		"eval": {[]string{"eval", "--collection", dir}, true},
		"demo": {[]string{"demo", "--dir", dir}, false},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if test.atOnce {
			cancel()
		}
		root := new(app).root()
		root.SetArgs(test.args)
		root.SetErr(io.Discard)
		root.SetOut(writerFunc(func(p []byte) (int, error) {
			cancel()
			return len(p), nil
		}))
		if err := root.ExecuteContext(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want it to be cancelled", name, err)
		}
		if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
			t.Errorf("%s leaves %v, %v", name, left, err)
		}
	}
}

// TestInterruptedSweep: what was measured is kept, a rerun goes on from there, and
// both is said.
func TestInterruptedSweep(t *testing.T) {
	dir, temporary := interruptible(t)
	var budgets []string
	for budget := range 2000 {
		budgets = append(budgets, fmt.Sprint(budget+1))
	}
	grid, journal := filepath.Join(dir, "grid.yaml"), filepath.Join(dir, "sweep.json")
	content := "base: {search.plan: probe}\nblocks:\n- {name: budget, vary: {search.budget: [" + strings.Join(budgets, ", ") + "]}}\n"
	if err := os.WriteFile(grid, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	results := func() int {
		data, err := os.ReadFile(journal)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		return max(0, bytes.Count(data, []byte("\n"))-1) // after the line that names the format
	}
	sweep := func(args ...string) error {
		before := results()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		go func() {
			root := new(app).root()
			root.SetArgs(append([]string{"sweep", "--collection", dir, "--grid", grid, "--quiet"}, args...))
			root.SetOut(io.Discard)
			done <- root.ExecuteContext(ctx)
		}()
		for len(args) > 0 && results() < before+5 {
			time.Sleep(time.Millisecond)
		}
		cancel()
		return <-done
	}

	kept := 0
	for range 2 {
		err := sweep("--json", journal)
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("%v, want it to be cancelled", err)
		}
		if results() < kept+5 {
			t.Errorf("%d results after %d and 5 more", results(), kept)
		}
		kept = results()
		want := fmt.Sprintf("%s keeps what was measured, %d of 2001 settings of %s: the same command goes on from there", journal, kept, filepath.Base(dir))
		if got := hints(err); !slices.Equal(got, []string{want}) {
			t.Errorf("advice %q, want %q", got, want)
		}
	}
	err := sweep()
	if got := hints(err); !errors.Is(err, context.Canceled) || len(got) != 1 || !strings.Contains(got[0], "--json FILE keeps them") {
		t.Errorf("without a journal: %v, advice %q", err, got)
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("it leaves %v, %v", left, err)
	}

	var b bytes.Buffer
	printError(&b, &interruption{withHint(context.Canceled, "go on")})
	if want := "pare: interrupted\nhint: go on\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}
