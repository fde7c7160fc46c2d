package knownitem

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/doc"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pare-search/pare/eval"
)

// ErrGoroot reports that no Go installation with sources was found.
var ErrGoroot = errors.New("knownitem: no sources of the Go standard library")

// GoOptions are the settings of GoStandardLibrary.
type GoOptions struct {
	// MinContentWords is the number of words that are no stop words a query
	// must have.
	MinContentWords int
	// Progress, if set, is called with the number of files read so far, by one
	// goroutine at a time.
	Progress func(files int)
}

// DefaultGoOptions are the settings of published figures.
func DefaultGoOptions() GoOptions { return GoOptions{MinContentWords: 3} }

// Validate reports an error that wraps ErrOptions.
func (o GoOptions) Validate() error {
	if o.MinContentWords < 1 {
		return fmt.Errorf("%w: MinContentWords %d, want 1 or more", ErrOptions, o.MinContentWords)
	}
	return nil
}

// FindGoroot returns the folder of a Go installation that has its sources:
// $GOROOT or the one this program was built with, else what the go command on
// the path says.
func FindGoroot() (string, error) {
	if hasSources(build.Default.GOROOT) {
		return build.Default.GOROOT, nil
	}
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("%w: install Go, or set GOROOT to its folder (go env GOROOT: %w)", ErrGoroot, err)
	}
	goroot := strings.TrimSpace(string(out))
	if !hasSources(goroot) {
		return "", fmt.Errorf("%w: %q has no src/builtin; install the package with Go's sources (golang-src, golang-go.src, ...), or set GOROOT", ErrGoroot, goroot)
	}
	return goroot, nil
}

func hasSources(goroot string) bool {
	if goroot == "" {
		return false
	}
	info, err := os.Stat(filepath.Join(goroot, "src", "builtin", "builtin.go"))
	return err == nil && info.Mode().IsRegular()
}

// GoStandardLibrary makes a collection of the public packages below
// goroot/src: one document for each exported symbol with a doc comment. The
// title is the symbol and its declaration, the text is the doc comment without
// its first sentence. That sentence, without the symbol's name, is the query.
//
// Left out are tests, testdata, cmd, internal and vendor, folders that the go
// command ignores, and simd/archsimd, whose two thousand symbols differ in a
// word or two. So are queries of symbols whose comment starts with
// "Deprecated" and those with fewer than options.MinContentWords words of
// content.
//
// Files for all platforms are read whatever the build constraints say, so that
// the collection depends on the Go version only. Of a symbol declared in
// several files the documented one with the smallest file name counts.
func GoStandardLibrary(ctx context.Context, goroot string, options GoOptions) (*Collection, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	if !hasSources(goroot) {
		return nil, fmt.Errorf("%w: %q has no src/builtin; see FindGoroot", ErrGoroot, goroot)
	}
	name := "Go standard library"
	if version, err := os.ReadFile(filepath.Join(goroot, "VERSION")); err == nil {
		first, _, _ := strings.Cut(string(version), "\n")
		name += " " + strings.TrimSpace(first)
	}
	c, err := goLibrary(ctx, os.DirFS(filepath.Join(goroot, "src")), options)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", goroot, err)
	}
	c.Name = name
	return c, nil
}

// goLibrary is GoStandardLibrary on the folder src.
func goLibrary(ctx context.Context, src fs.FS, options GoOptions) (*Collection, error) {
	c := &Collection{Qrels: eval.Qrels{}, Stats: newStats()}
	files, err := publicGoFiles(ctx, src)
	if err != nil {
		return nil, err
	}
	parsed, err := readAll(ctx, src, files, options.Progress, func(file string, content []byte) ([]symbol, string) {
		symbols, err := parseGo(file, content)
		if err != nil {
			return nil, "not valid Go"
		}
		return symbols, ""
	})
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, result := range parsed {
		if result.skipped != "" {
			c.Stats.SkippedFiles[result.skipped]++
			continue
		}
		c.Stats.Files++
		for _, s := range result.value {
			id := path.Dir(result.file) + "." + s.name
			switch {
			case !s.exported || s.command:
				continue
			case seen[id]:
				c.Stats.SkippedDocuments["declared again in another file"]++
				continue
			}
			seen[id] = true
			c.Documents = append(c.Documents, Document{
				ID:    id,
				Title: id + " — " + s.signature,
				Text:  strings.TrimSpace(s.doc[s.firstSentence:]),
			})
			switch reason := s.refuse(options.MinContentWords); reason {
			case "":
				c.ask(id, s.query)
			default:
				c.Stats.SkippedQueries[reason]++
			}
		}
	}
	c.Stats.UsableQueries = len(c.Queries)
	if len(c.Queries) == 0 {
		return nil, fmt.Errorf("%w: no documented symbol (%v)", ErrEmpty, c.Stats)
	}
	return c, nil
}

func publicGoFiles(ctx context.Context, src fs.FS) ([]string, error) {
	var files []string
	err := fs.WalkDir(src, ".", func(file string, entry fs.DirEntry, err error) error {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			switch {
			case file == ".":
			case name == "internal", name == "vendor", name == "testdata",
				name[0] == '_', name[0] == '.', file == "cmd", file == "simd/archsimd":
				return fs.SkipDir
			}
			return nil
		}
		if entry.Type().IsRegular() && strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			files = append(files, file)
		}
		return nil
	})
	return files, err
}

// symbol is one documented declaration of a Go file.
type symbol struct {
	name          string // "Grow" or "Builder.Grow"
	signature     string // one line
	doc           string // the comment's text
	firstSentence int    // its length in doc
	query         string // the first sentence in one line, without the name
	exported      bool
	command       bool // declared in a package main
}

// refuse says why the symbol makes no query, or "".
func (s symbol) refuse(minContentWords int) string {
	switch {
	case strings.HasPrefix(s.query, "Deprecated"):
		return "deprecated"
	case len(contentWords(s.query)) < minContentWords:
		return "too few words"
	}
	return ""
}

// parseGo returns the documented symbols of a file in source order.
func parseGo(file string, content []byte) ([]symbol, error) {
	files := token.NewFileSet()
	tree, err := parser.ParseFile(files, file, content, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var symbols []symbol
	add := func(name, own string, exported bool, comment *ast.CommentGroup, declaration any) {
		text := comment.Text()
		if strings.TrimSpace(text) == "" || own == "_" || own == "init" {
			return
		}
		symbols = append(symbols, symbol{
			name:          name,
			signature:     oneLine(files, declaration),
			doc:           text,
			firstSentence: firstSentence(text),
			query:         removeWord(new(doc.Package).Synopsis(text), own),
			exported:      exported,
			command:       tree.Name.Name == "main",
		})
	}
	for _, declaration := range tree.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			own, name, exported := d.Name.Name, d.Name.Name, d.Name.IsExported()
			if d.Recv != nil {
				receiver := receiverType(d.Recv)
				name = receiver + "." + own
				exported = exported && ast.IsExported(receiver)
			}
			add(name, own, exported, d.Doc, &ast.FuncDecl{Recv: d.Recv, Name: d.Name, Type: d.Type})
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				// A comment over a group describes the group, not a member.
				group := d.Doc
				if len(d.Specs) > 1 {
					group = nil
				}
				switch s := spec.(type) {
				case *ast.TypeSpec:
					add(s.Name.Name, s.Name.Name, s.Name.IsExported(), either(s.Doc, group), typeHead(s))
				case *ast.ValueSpec:
					for _, name := range s.Names {
						head := &ast.GenDecl{Tok: d.Tok, Specs: []ast.Spec{
							&ast.ValueSpec{Names: s.Names, Type: s.Type, Values: s.Values},
						}}
						add(name.Name, name.Name, name.IsExported(), either(s.Doc, group), head)
					}
				}
			}
		}
	}
	return symbols, nil
}

// either returns the first comment that says something.
func either(own, group *ast.CommentGroup) *ast.CommentGroup {
	if own.Text() != "" {
		return own
	}
	return group
}

// receiverType is the name of a method's type, without pointer and type
// parameters.
func receiverType(receiver *ast.FieldList) string {
	if len(receiver.List) == 0 {
		return ""
	}
	expression := receiver.List[0].Type
	for {
		switch e := expression.(type) {
		case *ast.StarExpr:
			expression = e.X
		case *ast.ParenExpr:
			expression = e.X
		case *ast.IndexExpr:
			expression = e.X
		case *ast.IndexListExpr:
			expression = e.X
		case *ast.Ident:
			return e.Name
		default:
			return ""
		}
	}
}

// typeHead is a type's declaration without fields and methods.
func typeHead(s *ast.TypeSpec) ast.Decl {
	head := &ast.TypeSpec{Name: s.Name, TypeParams: s.TypeParams, Assign: s.Assign, Type: s.Type}
	switch s.Type.(type) {
	case *ast.StructType:
		head.Type = ast.NewIdent("struct")
	case *ast.InterfaceType:
		head.Type = ast.NewIdent("interface")
	}
	return &ast.GenDecl{Tok: token.TYPE, Specs: []ast.Spec{head}}
}

// maxSignature bounds a signature in bytes; values of variables can be long.
const maxSignature = 200

func oneLine(files *token.FileSet, declaration any) string {
	var out bytes.Buffer
	if err := printer.Fprint(&out, files, declaration); err != nil {
		return ""
	}
	line := strings.Join(strings.Fields(out.String()), " ")
	if len(line) <= maxSignature {
		return line
	}
	end := maxSignature
	for !utf8.RuneStart(line[end]) {
		end--
	}
	return line[:end] + "…"
}

// firstSentence is the length of the part of a doc comment that go/doc takes
// the synopsis from: the first sentence, and no more than the first paragraph.
func firstSentence(text string) int {
	paragraph := len(text)
	if end := strings.Index(text, "\n\n"); end >= 0 {
		paragraph = end
	}
	var third, second, last rune // the runes before r
	for i, r := range text[:paragraph] {
		if unicode.IsSpace(r) {
			r = ' '
		}
		initial := unicode.IsUpper(second) && !unicode.IsUpper(third) // "J. Doe"
		if last == '.' && r == ' ' && !initial || last == '。' || last == '．' {
			return i
		}
		third, second, last = second, last, r
	}
	return paragraph
}
