package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/pare-search/pare/retriever"
)

// TestBuildBesideLeavesNothing breaks a build off in each of its three passes.
func TestBuildBesideLeavesNothing(t *testing.T) {
	broken := errors.New("broken")
	for name, fail := range map[string]func(cancel func()) error{
		"error":  func(func()) error { return broken },
		"signal": func(cancel func()) error { cancel(); return nil },
	} {
		for pass := 1; pass <= 3; pass++ {
			ctx, cancel := context.WithCancel(t.Context())
			passes := 0
			documents := func(yield func(retriever.Document, error) bool) {
				passes++
				for _, id := range []string{"a", "b", "c", "d"} {
					var err error
					if passes == pass && id == "c" {
						err = fail(cancel)
					}
					if !yield(retriever.Document{ID: id, Text: "text of " + id}, err) {
						return
					}
				}
			}
			folder := t.TempDir()
			err := buildBeside(filepath.Join(folder, "idx"), func(dir string) error {
				return retriever.Build(ctx, dir, documents, retriever.DefaultBuildOptions())
			})
			cancel()
			if !errors.Is(err, broken) && !errors.Is(err, context.Canceled) {
				t.Errorf("%s in pass %d: %v", name, pass, err)
			}
			if passes != pass {
				t.Errorf("%s in pass %d: there were %d", name, pass, passes)
			}
			if entries, _ := os.ReadDir(folder); len(entries) > 0 {
				t.Errorf("%s in pass %d left %v", name, pass, entries)
			}
		}
	}
}
