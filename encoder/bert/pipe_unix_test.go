//go:build unix

package bert_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/pare-search/pare/encoder/bert"
)

// TestPipes: opening a pipe would wait for somebody who writes, perhaps for ever.
func TestPipes(t *testing.T) {
	for _, name := range []string{"config.json", "tokenizer.json", "modules.json", "model.safetensors", bert.ProjectionFile, bert.TableFile} {
		dir := copyModel(t, "plain", nil)
		path := filepath.Join(dir, name)
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Skip(err)
		}
		if _, err := bert.Open(dir, bert.DefaultOptions()); !errors.Is(err, bert.ErrModel) {
			t.Errorf("%s is a pipe: error %v, want ErrModel", name, err)
		}
	}
}
