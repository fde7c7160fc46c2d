package pare_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// room is one line of the table of imports.
type room struct {
	pkg     string
	imports []string
}

const module = "github.com/pare-search/pare/"

// allowed lists, for every package of the module, which other packages of the
// module it may import. "x/..." is x and everything below it. Imports go one way,
// so a line may name only packages of the lines above it.
var allowed = []room{
	{"internal/collections", nil}, // for tests
	{"internal/looks", nil},       // for tests
	{"internal/reservoir", nil},
	{"internal/retry", nil},
	{"internal/fields", nil},
	{"internal/durable", nil},
	{"simd", nil},
	{"simd/bench", []string{"simd"}},
	{"simd/gemm", []string{"simd"}},
	{"encoder", []string{"simd"}},
	{"encoder/table", []string{"simd", "simd/gemm", "internal/fields"}},
	{"encoder/corpus", []string{"simd", "encoder", "encoder/table", "internal/fields"}},
	{"encoder/bert", []string{"simd", "simd/gemm", "encoder", "encoder/table", "internal/fields", "internal/reservoir"}},
	{"encoder/hub", []string{"internal/retry"}},
	{"encoder/remote", []string{"simd", "encoder", "internal/retry"}},
	{"querypruner", []string{"simd", "encoder"}},
	{"index/codec", []string{"simd"}},
	{"index/docpruner", []string{"simd", "encoder"}},
	{"index", []string{"simd", "encoder", "querypruner", "index/...", "internal/durable"}},
	{"retriever/fusion", nil},
	{"retriever", []string{"simd", "encoder/...", "querypruner", "index/...", "retriever/fusion", "internal/reservoir"}},
	{"retriever/parebleve", []string{"simd", "encoder/...", "querypruner", "index/...", "retriever", "retriever/fusion", "internal/durable"}},
	{"retriever/parebleve/example", []string{"encoder/...", "querypruner", "retriever/parebleve"}},

	{"eval", nil},
	{"eval/stats", nil},
	{"eval/dataset", []string{"eval"}},
	{"eval/knownitem", []string{"eval", "eval/dataset", "internal/reservoir"}},
	{"eval/precomputed", []string{"eval/dataset", "simd", "encoder", "index/...", "retriever"}},
	{"eval/sweep", []string{"eval/...", "simd", "encoder/...", "querypruner", "index/...", "retriever/..."}},
	{"eval/tune", []string{"eval", "eval/stats", "eval/sweep"}},
	{"eval/searchbench", []string{"eval/...", "simd/...", "encoder/...", "querypruner", "index/...", "retriever"}},
	{"eval/prunebench", []string{"eval", "eval/dataset", "eval/precomputed", "simd", "encoder", "index/codec", "index/docpruner"}},
	{"eval/tablebench", []string{"eval", "eval/stats", "eval/searchbench", "simd", "encoder", "encoder/table", "index", "internal/reservoir"}},
	{"eval/report", []string{"eval", "eval/stats", "eval/tablebench", "encoder/table"}},

	{"configs", []string{"encoder/...", "querypruner", "index/...", "retriever/...", "eval/..."}},
	{"cmd/pare", []string{"simd/...", "encoder/...", "querypruner", "index/...", "retriever/...", "eval/...", "configs"}},
}

// guarded lists the libraries, by the beginning of their import paths, that stay
// at the edges, and the only packages that may import them.
var guarded = []struct {
	library string
	users   []string
}{
	{"github.com/blevesearch/bleve", []string{"retriever/parebleve", "retriever/parebleve/example", "eval/sweep"}},
	{"github.com/spf13/viper", []string{"configs"}},
	{"github.com/spf13/pflag", []string{"configs", "cmd/pare"}},
	{"github.com/spf13/cobra", []string{"cmd/pare"}},
	{"github.com/schollz/progressbar", []string{"cmd/pare"}},
}

// TestImports holds every non-test file, whatever platform it is for, against the
// two tables. It parses the files instead of asking "go list", which sees one
// platform at a time and whose answers go test would cache without knowing that
// they depend on the files.
func TestImports(t *testing.T) {
	for _, file := range sources(t) {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Error(err)
			continue
		}
		pkg := path.Dir(filepath.ToSlash(file))
		row := slices.IndexFunc(allowed, func(r room) bool { return r.pkg == pkg })
		if row < 0 {
			t.Errorf("%s: package %s has no line in the table of imports", file, pkg)
			continue
		}
		for _, spec := range parsed.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value) // the parser has checked it
			if ours, ok := strings.CutPrefix(imported, module); ok && !matches(allowed[row].imports, ours) {
				t.Errorf("%s: %s must not import %s", file, pkg, ours)
			}
			for _, g := range guarded {
				if strings.HasPrefix(imported, g.library) && !slices.Contains(g.users, pkg) {
					t.Errorf("%s: %s must not import %s, only %s may", file, pkg, imported, strings.Join(g.users, " and "))
				}
			}
		}
	}
}

// sources returns the non-test Go files below the root, leaving out the folders
// that the go tool leaves out.
func sources(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		name := entry.Name()
		switch {
		case err != nil:
			return err
		case file == ".":
			return nil
		case entry.IsDir() && (name[0] == '.' || name[0] == '_' || name == "testdata"):
			return filepath.SkipDir
		case strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") && filepath.Dir(file) != ".":
			files = append(files, file)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// matches reports whether pkg is one of the patterns.
func matches(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		folder, recursive := strings.CutSuffix(p, "/...")
		return pkg == folder || recursive && strings.HasPrefix(pkg, folder+"/")
	})
}

// TestImportTable keeps the table itself honest: one line per package, and every
// line rests on lines above it only, so that no two packages can need each other.
func TestImportTable(t *testing.T) {
	var above []string
	for _, row := range allowed {
		if slices.Contains(above, row.pkg) {
			t.Errorf("%s has two lines", row.pkg)
		}
		for _, pattern := range row.imports {
			if !slices.ContainsFunc(above, func(pkg string) bool { return matches([]string{pattern}, pkg) }) {
				t.Errorf("%s may import %s, which no line above it names", row.pkg, pattern)
			}
		}
		above = append(above, row.pkg)
	}
}
