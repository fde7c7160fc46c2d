package main

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

func TestExitCode(t *testing.T) {
	failure := errors.New("disk full")
	for _, test := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{failure, 1},
		{usage(failure, ""), 2},
		{fmt.Errorf("search: %w", usage(failure, "")), 2},
		{fmt.Errorf("nDCG@10 is 0.41, want 0.53: %w", errGate), 3},
	} {
		if got := exitCode(test.err); got != test.want {
			t.Errorf("%v: exit code %d, want %d", test.err, got, test.want)
		}
	}
}

func TestReport(t *testing.T) {
	err := errors.Join(
		usage(errors.New("first"), "look here"),
		fmt.Errorf("second: %w", usage(errors.New("cause"), "look there")),
		usage(errors.New("third"), "look here"),
	)
	var b bytes.Buffer
	printError(&b, err)
	want := "pare: first\npare: second: cause\npare: third\nhint: look here\nhint: look there\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// TestUnder: every line has the words, and no word is lost.
func TestUnder(t *testing.T) {
	cause := errors.New("cause")
	err := under("--grid", errors.Join(
		errors.New("first"),
		fmt.Errorf("%w: block: %w", errGate, withHint(cause, "look")),
		errors.Join(errors.New("third"), errors.New("fourth")),
	))
	var b bytes.Buffer
	printError(&b, err)
	want := "pare: --grid: first\npare: --grid: quality gate not met: block: cause\npare: --grid: third\npare: --grid: fourth\nhint: look\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	if !errors.Is(err, cause) || !errors.Is(err, errGate) {
		t.Errorf("%v has lost its causes", err)
	}
}
