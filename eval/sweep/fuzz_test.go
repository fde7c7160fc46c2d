package sweep_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/pare-search/pare/eval/report"
	"github.com/pare-search/pare/eval/sweep"
)

// FuzzReadPlan: a grid file is refused or gives a plan.
func FuzzReadPlan(f *testing.F) {
	f.Add([]byte("base: {dim: 64}\nblocks:\n- name: a\n  vary: {bits: [1, 2]}\n"))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if plan, err := sweep.ReadPlan(bytes.NewReader(data)); err == nil && plan == nil || err != nil && !errors.Is(err, sweep.ErrPlan) {
			t.Errorf("%v, %v", plan, err)
		}
	})
}

// FuzzJournal: a file is no journal and stays as it is, or goes on as one.
func FuzzJournal(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte("{\"pare_sweep\":1}\n{\"fingerprint\":\"f\",\"key\":\"k\",\"result\":{}}\n{\"finger"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "journal")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		journal, err := sweep.OpenJournal(path)
		if err != nil {
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, data) {
				t.Errorf("the file has become %q: %v", after, err)
			}
			if !errors.Is(err, sweep.ErrJournal) {
				t.Error(err)
			}
			return
		}
		if err := errors.Join(journal.Add("new", "result", report.Result{}), journal.Close()); err != nil {
			t.Fatal(err)
		}
		if journal, err = sweep.OpenJournal(path); err != nil {
			t.Fatal(err)
		}
		if _, found := journal.Result("new", "result"); !found {
			t.Error("what was added is not there")
		}
		if err := journal.Close(); err != nil {
			t.Error(err)
		}
	})
}
