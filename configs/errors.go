package configs

import (
	"errors"
	"fmt"
)

// Sentinels wrapped by the errors of this package.
var (
	ErrUnknownKey = errors.New("unknown key")
	ErrValue      = errors.New("bad value")
	ErrFile       = errors.New("bad configuration file")
)

// Error is one fault of a configuration: where it was found, and in which key.
// Load and Validate join all of theirs with errors.Join.
type Error struct {
	Origin Origin // empty when a Config was validated by itself
	Key    string // as "search.k"; for an unknown key, as it was written
	Err    error
	hint   string
}

// Error returns one line: origin, key and problem.
func (e *Error) Error() string {
	if e.Origin == "" {
		return fmt.Sprintf("%s: %v", e.Key, e.Err)
	}
	return fmt.Sprintf("%s: %s: %v", e.Origin, e.Key, e.Err)
}

// Unwrap returns the cause, which wraps one of the sentinels.
func (e *Error) Unwrap() error { return e.Err }

// Hint returns what to do about the fault, or "" when nothing better is known.
func (e *Error) Hint() string { return e.hint }
