package main

import (
	"bytes"
	"testing"
)

func TestEmit(t *testing.T) {
	result := table{
		columns: []column{{name: "system"}, {name: "RR@10", number: true}, {name: "note"}},
		rows: [][]string{
			{"unpruned", "0.5", "-"},
			{"≈ icf:4", "10.25", "a|b\tc\nd"},
			{"empty", "", ""},
		},
	}
	for format, want := range map[string]string{
		"table": "" +
			"SYSTEM    RR@10  NOTE\n" +
			"unpruned    0.5  -\n" +
			"≈ icf:4   10.25  a|b c d\n" +
			"empty\n",
		"tsv": "" +
			"system\tRR@10\tnote\n" +
			"unpruned\t0.5\t-\n" +
			"≈ icf:4\t10.25\ta|b c d\n" +
			"empty\t\t\n",
		"md": "" +
			"| system | RR@10 | note |\n" +
			"| --- | ---: | --- |\n" +
			"| unpruned | 0.5 | - |\n" +
			"| ≈ icf:4 | 10.25 | a\\|b c d |\n" +
			"| empty |  |  |\n",
		"json": "{\n  \"q\": \"a < b\"\n}\n",
	} {
		var b bytes.Buffer
		if err := emit(&b, format, result, map[string]string{"q": "a < b"}); err != nil {
			t.Error(err)
		}
		if b.String() != want {
			t.Errorf("%s: got\n%s\nwant\n%s", format, b.String(), want)
		}
	}
	if err := emit(new(bytes.Buffer), "xml", result, nil); err == nil {
		t.Error("an unknown format was accepted")
	}
}

// TestPrintable keeps every byte in its place, so that marks in the text stay
// where they are.
func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"":                     "",
		"plain, ä, 日本, \u00a1": "plain, ä, 日本, \u00a1",
		"\x1b[31mred\x07\x7f":  " [31mred  ",
		"a\tb\r\nc":            "a b  c",
		"\u009b31m":            "\u00a031m",
		"broken \xc3\xff utf":  "broken \xc3\xff utf",
	} {
		if got := printable(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestByteSize(t *testing.T) {
	for bytes, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 1_430_203: "1.4 MB", 2_500_000_000: "2.50 GB",
	} {
		if got := byteSize(bytes); got != want {
			t.Errorf("%d: got %q, want %q", bytes, got, want)
		}
	}
}
