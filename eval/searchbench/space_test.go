package searchbench

import (
	"errors"
	"testing"

	"github.com/pare-search/pare/index"
)

func TestCheckSpace(t *testing.T) {
	dir := t.TempDir()
	if _, known := freeBytes(dir); !known {
		t.Skip("the system does not tell the free space")
	}
	if err := checkSpace(dir, 1<<45, 128, index.DefaultOptions(128)); !errors.Is(err, ErrSpace) {
		t.Errorf("a petabyte: error %v", err)
	}
	if err := checkSpace(dir, 1, 128, index.DefaultOptions(128)); err != nil {
		t.Errorf("40 bytes: error %v", err)
	}
}
