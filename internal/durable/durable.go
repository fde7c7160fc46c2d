// Package durable makes what is written to files outlast a crash.
package durable

import (
	"errors"
	"os"
	"syscall"
)

// SyncDir makes renames and new files in dir durable. Where a folder cannot be
// synced that is no error: Windows refuses access and some file systems the
// operation (EINVAL on Linux), and a parent folder may not be ours to open.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err == nil {
		err = d.Sync()
		d.Close()
	}
	for _, harmless := range []error{os.ErrPermission, errors.ErrUnsupported, syscall.EINVAL} {
		if errors.Is(err, harmless) {
			return nil
		}
	}
	return err
}
