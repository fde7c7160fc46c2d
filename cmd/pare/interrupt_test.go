package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// writerFunc is a writer that is a function.
type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// Indexes in temporary folders are gone when a command is interrupted.
func TestInterruptedCommandsLeaveNothing(t *testing.T) {
	dir := t.TempDir()
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
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary) // Unix
	t.Setenv("TMP", temporary)    // Windows
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
