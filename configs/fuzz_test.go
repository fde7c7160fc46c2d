package configs_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/pare-search/pare/configs"
)

// FuzzLoad: a file of settings, perhaps with a certificate, is refused with an
// error of this package, or gives settings.
func FuzzLoad(f *testing.F) {
	f.Add([]byte("search:\n  k: 5\n"))
	f.Add([]byte("index: {dimensions: x}\n"))
	f.Add([]byte("certificate: {}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "pare.yaml")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		loaded, err := configs.Load(configs.Sources{File: path})
		known := errors.Is(err, configs.ErrFile) || errors.Is(err, configs.ErrUnknownKey) || errors.Is(err, configs.ErrValue)
		if err == nil && loaded == nil || err != nil && !known {
			t.Errorf("%v, %v", loaded, err)
		}
	})
}
