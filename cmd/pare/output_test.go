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
		},
	}
	for format, want := range map[string]string{
		"table": "" +
			"SYSTEM    RR@10  NOTE\n" +
			"unpruned    0.5  -\n" +
			"≈ icf:4   10.25  a|b c d\n",
		"tsv": "" +
			"system\tRR@10\tnote\n" +
			"unpruned\t0.5\t-\n" +
			"≈ icf:4\t10.25\ta|b c d\n",
		"md": "" +
			"| system | RR@10 | note |\n" +
			"| --- | ---: | --- |\n" +
			"| unpruned | 0.5 | - |\n" +
			"| ≈ icf:4 | 10.25 | a\\|b c d |\n",
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
