package searchbench

import (
	"errors"
	"strings"
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
	if err := checkFree(dir, 1<<50, "the vectors need"); !errors.Is(err, ErrSpace) || !strings.HasSuffix(err.Error(), "GB free, the vectors need 1125899.9 GB") {
		t.Errorf("a petabyte of vectors: error %v", err)
	}
}
