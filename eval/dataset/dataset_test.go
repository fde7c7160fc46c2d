package dataset

import (
	"os"
	"path/filepath"
	"testing"
)

// shared finds the test collections that lie next to the repository.
func shared(t *testing.T, name string) string {
	t.Helper()
	root := os.Getenv("PARE_SHARED")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared")
	}
	path := filepath.Join(root, "data", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no test collections: %v", err)
	}
	return path
}

func TestOpenCollections(t *testing.T) {
	for _, tt := range []struct {
		name                                          string
		documents, empty, queries, judged, judgements int
	}{
		{"cranfield", 1400, 2, 225, 225, 1837},
		{"npl", 11429, 0, 93, 93, 2083},
		{"cisi", 1460, 0, 76, 76, 3114},
		{"docs30k", 30000, 0, 250, 250, 250},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Open(shared(t, tt.name))
			if err != nil {
				t.Fatal(err)
			}
			documents, empty := 0, 0
			for doc, err := range c.Documents() {
				if err != nil {
					t.Fatal(err)
				}
				documents++
				if doc.Body() == "" {
					empty++
				}
			}
			if documents != tt.documents || empty != tt.empty || len(c.Queries) != tt.queries ||
				len(c.Judged()) != tt.judged || c.Qrels.Judgements() != tt.judgements {
				t.Errorf("%d documents, %d empty, %d queries, %d judged, %d judgements, want %+v",
					documents, empty, len(c.Queries), len(c.Judged()), c.Qrels.Judgements(), tt)
			}
			if c.Name != tt.name || c.Layout != BEIR || c.Split != "" {
				t.Errorf("name %q, layout %q, split %q", c.Name, c.Layout, c.Split)
			}
		})
	}
}
