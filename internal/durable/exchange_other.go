//go:build !linux && !darwin

package durable

import (
	"errors"
	"os"
)

func exchange(one, other string) error {
	return &os.LinkError{Op: "exchange", Old: one, New: other, Err: errors.ErrUnsupported}
}
