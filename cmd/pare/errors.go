package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Exit codes.
const (
	exitDone    = 0
	exitFailure = 1
	exitUsage   = 2
	exitGate    = 3
)

// errGate is wrapped by the error of a command that worked, but whose result
// misses the quality that the user asked for.
var errGate = errors.New("quality gate not met")

// usageError is a mistake in the call: flags, arguments, configuration.
type usageError struct {
	err  error
	hint string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }
func (e *usageError) Hint() string  { return e.hint }

// usage returns err as a mistake in the call; the hint may be empty.
func usage(err error, hint string) error { return &usageError{err, hint} }

// asUsage returns err as a mistake in the call unless it is one already.
func asUsage(err error) error {
	if _, ok := errors.AsType[*usageError](err); ok {
		return err
	}
	return usage(err, "")
}

// hintedError is an error with advice.
type hintedError struct {
	err  error
	hint string
}

func (e *hintedError) Error() string { return e.err.Error() }
func (e *hintedError) Unwrap() error { return e.err }
func (e *hintedError) Hint() string  { return e.hint }

// withHint returns err with advice on what to do about it.
func withHint(err error, hint string) error { return &hintedError{err, hint} }

// interruption is what a signal to stop comes to: of its cause only the advice is told.
type interruption struct{ cause error }

func (e *interruption) Error() string { return "interrupted" }
func (e *interruption) Unwrap() error { return e.cause }

// under returns err with words before it, or before each of the errors that
// errors.Join has joined in it.
func under(words string, err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || fmt.Sprint(errors.Join(joined.Unwrap()...)) != err.Error() { // fmt.Errorf may wrap several too
		return fmt.Errorf("%s: %w", words, err)
	}
	var faults []error
	for _, fault := range joined.Unwrap() {
		faults = append(faults, under(words, fault))
	}
	return errors.Join(faults...)
}

// exitCode returns the exit code that stands for err.
func exitCode(err error) int {
	switch _, badUsage := errors.AsType[*usageError](err); {
	case err == nil:
		return exitDone
	case badUsage:
		return exitUsage
	case errors.Is(err, errGate):
		return exitGate
	default:
		return exitFailure
	}
}

// printError prints err, one line for each of the errors joined in it, then its hints.
func printError(w io.Writer, err error) {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(w, "pare: %s\n", strings.TrimSpace(line))
	}
	for _, hint := range hints(err) {
		fmt.Fprintf(w, "hint: %s\n", hint)
	}
}

// hints returns what the errors in the tree of err advise, each piece once.
func hints(err error) []string {
	var found []string
	add := func(hint string) {
		if hint != "" && !slices.Contains(found, hint) {
			found = append(found, hint)
		}
	}
	if h, ok := err.(interface{ Hint() string }); ok {
		add(h.Hint())
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			for _, hint := range hints(inner) {
				add(hint)
			}
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			for _, hint := range hints(inner) {
				add(hint)
			}
		}
	}
	return found
}
