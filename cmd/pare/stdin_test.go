package main

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReadQueries(t *testing.T) {
	long := strings.Repeat("long ", 100_000)
	input := "plain\nid\tnamed\r\n\n\tno id\n x \t two\ttabs\n" + long
	want := []query{
		{"1", "plain"}, {"id", "named"}, {"3", ""}, {"4", "no id"}, {"x", " two\ttabs"}, {"6", long},
	}
	var got []query
	for q, err := range readQueries(iotest.HalfReader(strings.NewReader(input))) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, q)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestReadLinesReportsErrors(t *testing.T) {
	broken := errors.New("broken")
	if _, err := readLines(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}
