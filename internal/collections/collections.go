// Package collections finds the test collections that tests measure on where
// they are at hand. They are no part of the repository.
package collections

import (
	"os"
	"path/filepath"
	"testing"
)

// Dir returns the folder of the test collections: $PARE_SHARED/data, else
// shared/data in any folder above the test's. It skips the test when there is
// none.
func Dir(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("PARE_SHARED"); dir != "" {
		return filepath.Join(dir, "data")
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		data := filepath.Join(dir, "shared", "data")
		if info, err := os.Stat(data); err == nil && info.IsDir() {
			return data
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Skip("no test collections: set PARE_SHARED to the folder that holds data/")
		}
		dir = parent
	}
}
