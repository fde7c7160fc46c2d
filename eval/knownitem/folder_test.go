package knownitem

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
)

const manual = `---
title: front matter goes away
---
# Manual

Preface words that open the manual and do not say much about anything at all.

## Installing

The installer unpacks seventeen archives into the chosen directory. It asks
for a licence key once. Afterwards the machine restarts by itself, which takes
about a minute.

- First item that is not very long.
- Second item, e.g. This one is short.

` + "```" + `
The fenced code looks like a sentence but it is not one.
` + "```" + `

Removing
--------

Removal deletes every file that the installer created, except settings. See
https://example.org/removal for whatever else there might be to know about it.
`

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFolder(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	write(t, outside, map[string]string{"secret.txt": "A secret sentence outside of the folder must never be read."})
	write(t, dir, map[string]string{
		"docs/my manual.md": manual,
		"copy.txt":          "One paragraph with several words appears twice in this tree. Really.",
		"docs/copy.txt":     "one paragraph with SEVERAL words appears twice in this tree; really!",
		"lib/parse.py": `#!/usr/bin/env python
import os

# Parses the configuration file written by the older releases.
# Unknown keys are kept.
def parse(path):
    text = read(path)

    return text

x = 1
`,
		"lib/tool.go":           "package lib\n\n// parse splits unusual input into several useful pieces. It never fails.\nfunc parse() {}\n",
		"lib/tool_test.go":      "package lib\n",
		"lib/bad.go":            "package {",
		"image.txt":             "text\x00with a zero byte",
		"latin1.txt":            "caf\xe9",
		"empty.txt":             " \n",
		"data.bin":              "x",
		"large.txt":             strings.Repeat("many words ", 1000),
		".hidden.txt":           "x",
		".git/config.txt":       "x",
		"vendor/v.txt":          "x",
		"node_modules/n/a.md":   "x",
		"testdata/fixture.text": "x",
	})
	wantSkipped := map[string]int{
		"Go test": 1, "not valid Go": 1, "binary": 1, "not UTF-8": 1, "empty": 1, "of unknown type": 1, "too large": 1,
		"hidden": 1, "hidden folder": 1, "vendor folder": 1, "node_modules folder": 1, "testdata folder": 1,
	}
	if runtime.GOOS != "windows" {
		for link, target := range map[string]string{"link.txt": filepath.Join(outside, "secret.txt"), "linked": outside} {
			if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
				t.Fatal(err)
			}
		}
		// A link to a folder has no known type of text.
		wantSkipped["symbolic link"] = 2
	}
	options := DefaultFolderOptions()
	options.MaxFileBytes = 10_000
	c, err := Folder(t.Context(), dir, options)
	if err != nil {
		t.Fatal(err)
	}
	checkCollection(t, c)
	if !reflect.DeepEqual(c.Stats.SkippedFiles, wantSkipped) {
		t.Errorf("skipped files %v\nwant %v", c.Stats.SkippedFiles, wantSkipped)
	}
	if n := c.Stats.SkippedDocuments["same text as another"]; n != 1 {
		t.Errorf("%d passages with the same text, want 1", n)
	}

	titles := map[string]string{}
	for _, document := range c.Documents {
		titles[document.ID] = document.Title
		if strings.Contains(document.Text, "secret") || strings.Contains(document.Text, "front matter") {
			t.Errorf("should not be here: %q", document)
		}
	}
	wantTitles := map[string]string{
		"copy.txt#1":            "copy.txt",
		"docs/my%20manual.md#1": "docs/my manual.md — Manual",
		"docs/my%20manual.md#2": "docs/my manual.md — Manual > Installing",
		"docs/my%20manual.md#3": "docs/my manual.md — Manual > Removing",
		"lib.parse":             "lib.parse — func parse()",
		"lib/parse.py#1":        "lib/parse.py — import os",
		"lib/parse.py#2":        "lib/parse.py — def parse(path)",
	}
	if !reflect.DeepEqual(titles, wantTitles) {
		t.Errorf("titles %v\nwant %v", titles, wantTitles)
	}

	queries := map[string]string{}
	for _, query := range c.Queries {
		queries[query.ID] = query.Text
	}
	wantQueries := map[string]string{
		"q:docs/my%20manual.md#2": "The installer unpacks seventeen archives into the chosen directory.",
		"q:lib.parse":             "splits unusual input into several useful pieces.",
	}
	for id, want := range wantQueries {
		if queries[id] != want {
			t.Errorf("query %s is %q, want %q", id, queries[id], want)
		}
	}

	options.MaxQueries = 1
	one, err := Folder(t.Context(), dir, options)
	if err != nil || len(one.Queries) != 1 || one.Stats.UsableQueries != c.Stats.UsableQueries {
		t.Errorf("at most one query: %d, %v", len(one.Queries), err)
	}
	options.MaxQueries = 0
	none, err := Folder(t.Context(), dir, options)
	if err != nil || len(none.Queries) != 0 || len(none.Documents) != len(c.Documents) {
		t.Errorf("no queries: %v, %v", none, err)
	}
}

func TestFolderRefuses(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a.jpg": "x", "b.txt": "x\x00"})
	_, err := Folder(t.Context(), dir, DefaultFolderOptions())
	if !errors.Is(err, ErrEmpty) {
		t.Fatal(err)
	}
	for _, part := range []string{dir, "1 binary", "1 of unknown type"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
	write(t, dir, map[string]string{"c.txt": "words without any sentence that could be asked"})
	if _, err := Folder(t.Context(), dir, DefaultFolderOptions()); !errors.Is(err, ErrEmpty) {
		t.Errorf("no sentence: %v", err)
	}
	if _, err := Folder(t.Context(), filepath.Join(dir, "absent"), DefaultFolderOptions()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	err = FolderOptions{MaxQueries: -1, MinWords: 5, MaxWords: 4}.Validate()
	for _, field := range []string{"MaxQueries", "MaxFileBytes", "MaxWords", "MinContentWords"} {
		if !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), field) {
			t.Errorf("error %v does not name %s", err, field)
		}
	}
}

// TestPassagesKeepWords cuts made-up files and checks that every word comes
// out once, in order, in passages of bounded size.
func TestPassagesKeepWords(t *testing.T) {
	s := splitter{minWords: 20, maxWords: 50, minContentWords: 3}
	var paragraphs []string
	n := 0
	for i, size := range []int{5, 30, 7, 120, 49, 51, 1, 12, 12, 12, 200} {
		var lines []string
		for j := range size {
			n++
			separator := " "
			if j%9 == 8 && i%2 == 0 { // else one long line
				separator = "\n"
			}
			lines = append(lines, fmt.Sprintf("wört%d%s", n, separator))
		}
		paragraphs = append(paragraphs, strings.Join(lines, ""))
	}
	text := strings.Join(paragraphs, "\n\n")
	for name, blocks := range map[string][]block{
		"text": textBlocks(text), "markdown": markdownBlocks(text), "source": sourceBlocks(text),
	} {
		passages, _ := s.passages("file", blocks)
		var got []string
		for _, p := range passages {
			in := words(p.text)
			if len(in) > s.maxWords {
				t.Errorf("%s: passage of %d words", name, len(in))
			}
			got = append(got, in...)
		}
		want := words(text)
		if name == "source" { // blocks of different headings are not joined
			want = slices.DeleteFunc(want, func(word string) bool { return !slices.Contains(got, word) })
			if len(want) < n-2*minPassageWords {
				t.Errorf("%s: %d words of %d", name, len(want), n)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: words lost, doubled or out of order", name)
		}
	}
}

func TestSentences(t *testing.T) {
	s := splitter{minWords: 1, maxWords: 200, minContentWords: 3}
	for _, test := range []struct {
		block block
		want  []string
	}{
		{block{text: "Dr. Smith wrote about J. Doe and cats vs. dogs, e.g. Whales. The next sentence is here to test two lines\nof text! No."}, []string{
			"Dr. Smith wrote about J. Doe and cats vs. dogs, e.g. Whales.",
			"The next sentence is here to test two lines of text!",
		}},
		{block{text: "a broken piece of some sentence that went before it. Version 1.5 came out with several improvements? (Yes indeed it did, with fine words.)"}, []string{
			"Version 1.5 came out with several improvements?",
			"(Yes indeed it did, with fine words.)",
		}},
		{block{text: "x := 1 // Not this one because code stands before it.\n// This comment spans two lines and\n// ends with a full stop.\ny()\n/* Another style of comment works as well here. */", kind: code}, []string{
			"This comment spans two lines and ends with a full stop.",
			"Another style of comment works as well here.",
		}},
		{block{text: "- Bullet items with enough words are sentences too.\n- And a second bullet item stands alone here.\n| a | b |"}, []string{
			"Bullet items with enough words are sentences too.",
			"And a second bullet item stands alone here.",
		}},
		{block{text: "We can see https://example.org/a for many more interesting words. It is what it is and was not."}, nil},
	} {
		p := s.join([]block{test.block})
		var got []string
		for _, c := range p.candidates {
			got = append(got, c.query)
			// What is taken out has the words of the query, and nothing else
			// but comment markers.
			if taken := normal(p.text[c.start:c.end]); taken != normal(c.query) {
				t.Errorf("query %q takes out %q", c.query, taken)
			}
			if rest := takeOut(p.text, c.start, c.end); len(words(rest)) != len(words(p.text))-len(words(c.query)) {
				t.Errorf("without %q: %q", c.query, rest)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("sentences of %q:\n%q\nwant\n%q", test.block.text, got, test.want)
		}
	}
}

func TestTakeOut(t *testing.T) {
	for _, test := range [][3]string{
		{"One. Two. Three.", "Two.", "One. Three."},
		{"One. Two.\nThree.", "Two.", "One.\nThree."},
		{"a\n- Two.\n- Three.", "Two.", "a\n- Three."},
		{"f()\n  // Two.\ng()", "Two.", "f()\ng()"},
		{"Two. Three.", "Two.", "Three."},
		{"Two.", "Two.", ""},
	} {
		start := strings.Index(test[0], test[1])
		if got := takeOut(test[0], start, start+len(test[1])); got != test[2] {
			t.Errorf("%q without %q: %q, want %q", test[0], test[1], got, test[2])
		}
	}
}

func FuzzPassages(f *testing.F) {
	f.Add(manual)
	f.Add("# a\n```\nx")
	f.Add("---\n---\n")
	s := splitter{minWords: 10, maxWords: 20, minContentWords: 1}
	f.Fuzz(func(t *testing.T, text string) {
		if notText([]byte(text)) != "" {
			t.Skip()
		}
		for _, name := range []string{"a.txt", "a.md", "a.c", "a.go"} {
			passages, _, _ := s.file(name, []byte(text))
			for _, p := range passages {
				for _, c := range p.candidates {
					takeOut(p.text, c.start, c.end)
				}
			}
		}
	})
}

// A rule drawn in a text may have any number of lines; the work must not grow
// with their square. Four times the lines may allocate four times as much, and
// not sixteen times.
func TestBlockOfManyLines(t *testing.T) {
	allocated := func(lines int) uint64 {
		text := "These five words are enough.\n" + strings.Repeat("=-=\n", lines)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		passages, _, err := splitter{60, 150, 3}.file("a.txt", []byte(text))
		runtime.ReadMemStats(&after)
		if err != nil || len(passages) != 1 {
			t.Fatalf("%d passages, %v", len(passages), err)
		}
		return after.TotalAlloc - before.TotalAlloc
	}
	if few, many := allocated(5000), allocated(20_000); many > 8*few {
		t.Errorf("allocated %d bytes for 5,000 lines and %d for 20,000", few, many)
	}
}
