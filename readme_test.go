package pare_test

import (
	"os"
	"strings"
	"testing"
)

// TestReadme holds the library example of README.md against the Example that
// go test runs, and the commands against what they are promised to be.
func TestReadme(t *testing.T) {
	readme := read(t, "README.md")
	_, rest, found := strings.Cut(readme, "```go\n")
	snippet, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatal("README.md has no library example")
	}
	var want strings.Builder
	for line := range strings.Lines(snippet) {
		want.WriteString("\t" + line)
	}
	if !strings.Contains(read(t, "retriever/example_test.go"), want.String()) {
		t.Error("the library example of README.md is not that of retriever/example_test.go")
	}
	if !strings.Contains(readme, "\n    go run ./cmd/pare demo\n    go test ./...\n") {
		t.Error("README.md lacks the two commands")
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(content), "\r\n", "\n")
}
