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
		if err == nil {
			if loaded == nil {
				t.Error("neither settings nor an error")
			}
			return
		}
		for _, fault := range faults(err) {
			known := errors.Is(fault, configs.ErrFile) || errors.Is(fault, configs.ErrUnknownKey) || errors.Is(fault, configs.ErrValue)
			if _, ok := fault.(*configs.Error); !ok || !known {
				t.Errorf("%T, %v", fault, fault)
			}
		}
	})
}
