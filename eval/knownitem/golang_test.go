package knownitem

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func tree(files map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

func TestGoLibrary(t *testing.T) {
	src := tree(map[string]string{
		"text/tool/tool.go": `// Package tool is not a symbol.
package tool

// A Builder builds long words out of short ones. The zero value is
// ready to use.
type Builder struct{ hidden int }

// Grow makes room for another n bytes of words of text. Growing is cheap;
// Grow never shrinks.
//
// A second paragraph.
func (b *Builder) Grow(n int) {}

func (b *Builder) Undocumented() {}

// Hidden methods of hidden types are left out of the collection.
func (h hidden) Public() {}

type hidden int

// Limits of the builder.
const (
	// MaxWords is the largest number of words allowed.
	MaxWords = 10
	MinWords = 1
)

// Deprecated: use Builder instead of all these words.
var Old int

// Short is short.
type Short[T any] interface{ M() }

// Map applies a function to every word, MapAll to all.
func Map[T any](words []T, f func(T) T) []T { return words }
`,
		"text/tool/a_plan9.go":   "package tool\n\n// Map on Plan 9 maps words of the system.\nfunc Map() {}\n",
		"text/tool/tool_test.go": "package tool\n\n// Helper helps every test with useful words.\nfunc Helper() {}\n",
		"text/tool/broken.go":    "package tool\n\nfunc {",
		"text/gen.go":            "package main\n\n// Gen generates many useful tables here.\nfunc Gen() {}\n",
		"internal/x/x.go":        "package x\n\n// X explains some internal secret thing.\nfunc X() {}\n",
		"cmd/go/go.go":           "package load\n\n// Load loads very many packages quickly.\nfunc Load() {}\n",
		"vendor/v/v.go":          "package v\n\n// V vends several nice vendored things.\nfunc V() {}\n",
		"simd/archsimd/a.go":     "package archsimd\n\n// Add adds two vectors element wise.\nfunc Add() {}\n",
		"_gen/g.go":              "package gen\n\n// G generates some tables for others.\nfunc G() {}\n",
	})
	c, err := goLibrary(t.Context(), src, DefaultGoOptions())
	if err != nil {
		t.Fatal(err)
	}
	wantDocuments := []Document{
		{"text/tool.Map", "text/tool.Map — func Map()", ""},
		{"text/tool.Builder", "text/tool.Builder — type Builder struct", "The zero value is\nready to use."},
		{
			"text/tool.Builder.Grow", "text/tool.Builder.Grow — func (b *Builder) Grow(n int)",
			"Growing is cheap;\nGrow never shrinks.\n\nA second paragraph.",
		},
		{"text/tool.MaxWords", "text/tool.MaxWords — const MaxWords = 10", ""},
		{"text/tool.Old", "text/tool.Old — var Old int", ""},
		{"text/tool.Short", "text/tool.Short — type Short[T any] interface", ""},
	}
	if !slices.Equal(c.Documents, wantDocuments) {
		t.Errorf("documents:\n%q\nwant\n%q", c.Documents, wantDocuments)
	}
	wantQueries := []Query{
		{"q:text/tool.Map", "on Plan 9 maps words of the system."},
		{"q:text/tool.Builder", "A builds long words out of short ones."},
		{"q:text/tool.Builder.Grow", "makes room for another n bytes of words of text."},
		{"q:text/tool.MaxWords", "is the largest number of words allowed."},
	}
	if !slices.Equal(c.Queries, wantQueries) {
		t.Errorf("queries:\n%q\nwant\n%q", c.Queries, wantQueries)
	}
	checkCollection(t, c)
	want := Stats{
		Files:            3,
		SkippedFiles:     map[string]int{"not valid Go": 1},
		SkippedDocuments: map[string]int{"declared again in another file": 1},
		SkippedQueries:   map[string]int{"deprecated": 1, "too few words": 1},
		UsableQueries:    4,
	}
	if !reflect.DeepEqual(c.Stats, want) {
		t.Errorf("stats %+v, want %+v", c.Stats, want)
	}
}

func TestGoLibraryRefuses(t *testing.T) {
	if _, err := goLibrary(t.Context(), tree(map[string]string{"a/a.go": "package a\n"}), DefaultGoOptions()); !errors.Is(err, ErrEmpty) {
		t.Errorf("nothing documented: %v", err)
	}
	if _, err := GoStandardLibrary(t.Context(), t.TempDir(), DefaultGoOptions()); !errors.Is(err, ErrGoroot) {
		t.Errorf("no GOROOT: %v", err)
	}
	if _, err := GoStandardLibrary(t.Context(), t.TempDir(), GoOptions{}); !errors.Is(err, ErrOptions) {
		t.Errorf("no options: %v", err)
	}
}

// TestGoStandardLibrary checks the real thing. 5,529 documents and 5,351
// queries were counted for Go 1.26.8 with another program, which also read 25
// symbols of the generators in folders named _gen and the like.
func TestGoStandardLibrary(t *testing.T) {
	goroot, err := FindGoroot()
	if err != nil {
		t.Skip(err)
	}
	calls := 0
	options := DefaultGoOptions()
	options.Progress = func(int) { calls++ }
	c, err := GoStandardLibrary(t.Context(), goroot, options)
	if err != nil {
		t.Fatal(err)
	}
	tolerance := 0.15 // other versions of Go
	if strings.HasSuffix(c.Name, " go1.26.8") {
		tolerance = 0.01
	}
	for what, counts := range map[string][2]int{
		"documents": {len(c.Documents), 5529},
		"queries":   {len(c.Queries), 5351},
	} {
		if difference := float64(counts[0])/float64(counts[1]) - 1; difference < -tolerance || difference > tolerance {
			t.Errorf("%s: %d %s, want about %d", c.Name, counts[0], what, counts[1])
		}
	}
	if want := c.Stats.Files + c.Stats.SkippedFiles["not valid Go"]; calls != want {
		t.Errorf("progress was called %d times for %d files", calls, want)
	}
	checkCollection(t, c)

	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	alone, err := GoStandardLibrary(t.Context(), goroot, DefaultGoOptions())
	if err != nil || !reflect.DeepEqual(alone, c) {
		t.Errorf("another collection with one goroutine (%v)", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := GoStandardLibrary(cancelled, goroot, DefaultGoOptions()); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// checkCollection checks what holds for every collection.
func checkCollection(t *testing.T, c *Collection) {
	t.Helper()
	documents := map[string]Document{}
	for _, document := range c.Documents {
		if _, again := documents[document.ID]; again || document.ID == "" || len(strings.Fields(document.ID)) != 1 {
			t.Errorf("document id %q: bad or again", document.ID)
		}
		documents[document.ID] = document
	}
	if len(c.Qrels) != len(c.Queries) {
		t.Errorf("%d judged queries of %d", len(c.Qrels), len(c.Queries))
	}
	for _, query := range c.Queries {
		if _, clash := documents[query.ID]; clash {
			t.Errorf("query id %q is a document's", query.ID)
		}
		if len(c.Qrels[query.ID]) != 1 {
			t.Errorf("query %q: judgements %v, want one", query.ID, c.Qrels[query.ID])
		}
		for id, grade := range c.Qrels[query.ID] {
			document, found := documents[id]
			if !found || grade != 1 {
				t.Errorf("query %q: judgement %s %d", query.ID, id, grade)
			}
			if strings.Contains(normal(document.Text), normal(query.Text)) {
				t.Errorf("query %q is still in %q", query.Text, document.Text)
			}
		}
	}
}

func TestSample(t *testing.T) {
	c := &Collection{Name: "letters", Qrels: map[string]map[string]int{}}
	for _, id := range strings.Split("abcdefghij", "") {
		c.Documents = append(c.Documents, Document{ID: id})
		c.ask(id, "where is "+id)
	}
	sampled := c.Sample(4, 7)
	if len(sampled.Queries) != 4 || len(sampled.Documents) != 10 || len(c.Queries) != 10 {
		t.Fatalf("sampled %d queries over %d documents of %d", len(sampled.Queries), len(sampled.Documents), len(c.Queries))
	}
	checkCollection(t, sampled)
	if !slices.IsSortedFunc(sampled.Queries, func(a, b Query) int { return strings.Compare(a.ID, b.ID) }) {
		t.Errorf("order changed: %v", sampled.Queries)
	}
	if !reflect.DeepEqual(sampled, c.Sample(4, 7)) {
		t.Error("same seed, other queries")
	}
	if reflect.DeepEqual(sampled.Queries, c.Sample(4, 8).Queries) {
		t.Error("other seed, same queries")
	}
	if n := len(c.Sample(99, 1).Queries); n != 10 {
		t.Errorf("%d queries of 10 when asked for 99", n)
	}
	if n := len(c.Sample(-1, 1).Queries); n != 0 {
		t.Errorf("%d queries when asked for -1", n)
	}
}

func TestRemoveWord(t *testing.T) {
	for _, test := range [][3]string{
		{"Grow grows b, Grow never fails.", "Grow", "grows b, never fails."},
		{"Growing with Regrow and Grow_2 and Grow.", "Grow", "Growing with Regrow and Grow_2 and ."},
		{"GrowGrow Grow", "Grow", "GrowGrow"},
		{"ÄGrow Growß Grow", "Grow", "ÄGrow Growß"},
	} {
		if got := removeWord(test[0], test[1]); got != test[2] {
			t.Errorf("%q without %q: %q, want %q", test[0], test[1], got, test[2])
		}
	}
}

func TestContentWords(t *testing.T) {
	got := contentWords("The ReadAll function isn't über-fast, is it? HTTP2")
	if want := []string{"read", "function", "über", "fast", "http2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFindGoroot(t *testing.T) {
	goroot, err := FindGoroot()
	if err != nil {
		t.Skip(err)
	}
	if _, err := os.Stat(filepath.Join(goroot, "src", "fmt", "print.go")); err != nil {
		t.Error(err)
	}
}
