package knownitem

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pare-search/pare/eval"
)

// FolderOptions are the settings of Folder.
type FolderOptions struct {
	// MaxQueries bounds the queries, drawn by Seed; 0 makes none, for a folder
	// that is only to be searched.
	MaxQueries int
	Seed       uint64
	// MaxFileBytes is the size over which files are left out.
	MaxFileBytes int64
	// MinWords and MaxWords bound passages: paragraphs are joined up to
	// MinWords and cut over MaxWords. A section's last passage may be shorter.
	MinWords, MaxWords int
	// MinContentWords is the number of words that are no stop words a query
	// must have.
	MinContentWords int
	// Progress, if set, is called with the number of files read so far, by one
	// goroutine at a time.
	Progress func(files int)
}

// DefaultFolderOptions suit documentation and source code.
func DefaultFolderOptions() FolderOptions {
	return FolderOptions{
		MaxQueries:      1000,
		Seed:            1,
		MaxFileBytes:    4 << 20,
		MinWords:        60,
		MaxWords:        150,
		MinContentWords: 3,
	}
}

// Validate reports all violations at once; every one wraps ErrOptions.
func (o FolderOptions) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("%w: "+format, append([]any{ErrOptions}, args...)...))
		}
	}
	check(o.MaxQueries >= 0, "MaxQueries %d, want 0 or more", o.MaxQueries)
	check(o.MaxFileBytes >= 1, "MaxFileBytes %d, want 1 or more", o.MaxFileBytes)
	check(o.MinWords >= 1, "MinWords %d, want 1 or more", o.MinWords)
	check(o.MaxWords >= o.MinWords, "MaxWords %d, want MinWords (%d) or more", o.MaxWords, o.MinWords)
	check(o.MinContentWords >= 1, "MinContentWords %d, want 1 or more", o.MinContentWords)
	return errors.Join(errs...)
}

// Folder makes a collection of the text, Markdown and source files below dir.
//
// Text is cut into passages at blank lines, Markdown also at headings, source
// files between top-level declarations; a Go file gives one document for each
// documented symbol. Of passages with the same words the first is kept.
//
// A query is a sentence of 6 to 25 words that occurs in one passage only, the
// one with the rarest and most content words; for a Go symbol it is the first
// sentence of its comment without the name. The sentence is taken out of its
// document. Documents that are not asked for keep all their text.
//
// Left out are hidden files and folders, vendor, node_modules, testdata, Go
// tests, symbolic links, files over the limit, binary files and those of an
// unknown type; Stats counts them.
func Folder(ctx context.Context, dir string, options FolderOptions) (*Collection, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	// A root refuses to leave the folder, whatever its files link to.
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("knownitem: %w", err)
	}
	defer root.Close()
	c, err := folder(ctx, root.FS(), options)
	if err != nil {
		return nil, fmt.Errorf("folder %s: %w", dir, err)
	}
	c.Name = filepath.Base(dir)
	if absolute, err := filepath.Abs(dir); err == nil {
		c.Name = filepath.Base(absolute)
	}
	return c, nil
}

func folder(ctx context.Context, fsys fs.FS, options FolderOptions) (*Collection, error) {
	stats := newStats()
	files, err := textFiles(ctx, fsys, options.MaxFileBytes, stats.SkippedFiles)
	if err != nil {
		return nil, err
	}
	split := splitter{options.MinWords, options.MaxWords, options.MinContentWords}
	type pieces struct {
		passages []passage
		short    int
	}
	results, err := readAll(ctx, fsys, files, options.Progress, func(file string, content []byte) (pieces, string) {
		if reason := notText(content); reason != "" {
			return pieces{}, reason
		}
		passages, short, err := split.file(file, content)
		if err != nil {
			return pieces{}, "not valid Go"
		}
		return pieces{passages, short}, ""
	})
	if err != nil {
		return nil, err
	}
	var passages []passage
	for _, r := range results {
		if r.skipped != "" {
			stats.SkippedFiles[r.skipped]++
			continue
		}
		stats.Files++
		if r.value.short > 0 {
			stats.SkippedDocuments["too short"] += r.value.short
		}
		passages = append(passages, r.value.passages...)
	}
	passages = distinct(passages, stats.SkippedDocuments)
	if len(passages) == 0 {
		return nil, fmt.Errorf("%w: no text, Markdown or source file with a passage (%v)", ErrEmpty, stats)
	}
	return ask(passages, options, stats)
}

// ask chooses the queries and takes them out of their passages.
func ask(passages []passage, options FolderOptions, stats Stats) (*Collection, error) {
	chosen := make([]candidate, len(passages))
	var usable []int
	choose := newChooser(passages)
	for i, p := range passages {
		best, reason := choose.best(p)
		if reason != "" {
			stats.SkippedQueries[reason]++
			continue
		}
		chosen[i] = best
		usable = append(usable, i)
	}
	stats.UsableQueries = len(usable)
	if len(usable) == 0 && options.MaxQueries > 0 {
		return nil, fmt.Errorf("%w: %d passages, but no sentence of %d to %d words to ask with (%v)",
			ErrEmpty, len(passages), minQueryWords, maxQueryWords, stats)
	}
	c := &Collection{Qrels: eval.Qrels{}}
	for _, k := range draw(len(usable), options.MaxQueries, options.Seed) {
		i := usable[k]
		p := &passages[i]
		p.text = takeOut(p.text, chosen[i].start, chosen[i].end)
		c.ask(p.id, chosen[i].query)
	}
	for _, p := range passages {
		c.Documents = append(c.Documents, Document{ID: p.id, Title: p.title, Text: p.text})
	}
	c.Stats = stats
	return c, nil
}

// takeOut removes text[start:end] with the spaces that would be left double,
// and the line if nothing but a marker ("3.", "//") is left of it.
func takeOut(text string, start, end int) string {
	before, after := text[:start], strings.TrimLeft(text[end:], " \t")
	line := strings.LastIndexByte(before, '\n') + 1
	atEnd := after == "" || after[0] == '\n'
	if marker := lineMarker.FindString(before[line:]); atEnd && marker == before[line:] {
		before = strings.TrimSuffix(before[:line], "\n")
	} else if atEnd {
		before = strings.TrimRight(before, " \t")
	}
	return strings.Trim(before+after, "\n")
}

// distinct drops passages whose words are those of an earlier one, and those
// with the id of an earlier one (a symbol declared for several platforms).
func distinct(passages []passage, skipped map[string]int) []passage {
	texts, ids := map[string]bool{}, map[string]bool{}
	return slices.DeleteFunc(passages, func(p passage) bool {
		text := normal(p.text)
		switch {
		case ids[p.id]:
			skipped["declared again in another file"]++
			return true
		case texts[text]:
			skipped["same text as another"]++
			return true
		}
		ids[p.id], texts[text] = true, true
		return false
	})
}

// chooser knows how rare words and sentences are.
type chooser struct {
	passages  float64
	frequency map[string]int // passages with the word
	sentences map[string]int // passages with the sentence
}

func newChooser(passages []passage) chooser {
	c := chooser{float64(len(passages)), map[string]int{}, map[string]int{}}
	for _, p := range passages {
		for word := range set(contentWords(p.title + " " + p.text)) {
			c.frequency[word]++
		}
		sentences := map[string]bool{}
		for _, candidate := range p.candidates {
			sentences[normal(candidate.query)] = true
		}
		for sentence := range sentences {
			c.sentences[sentence]++
		}
	}
	return c
}

// best returns the sentence with the largest sum of inverse document
// frequencies of its distinct words, the first of equals, or why there is
// none.
func (c chooser) best(p passage) (candidate, string) {
	if len(p.candidates) == 0 {
		return candidate{}, "no fitting sentence"
	}
	unique := slices.DeleteFunc(slices.Clone(p.candidates), func(s candidate) bool {
		return c.sentences[normal(s.query)] > 1
	})
	if len(unique) == 0 {
		return candidate{}, "sentence of several documents"
	}
	return slices.MaxFunc(unique, func(a, b candidate) int {
		return cmp.Compare(c.information(a.query), c.information(b.query))
	}), ""
}

func (c chooser) information(sentence string) float64 {
	var sum float64
	for _, word := range slices.Sorted(maps.Keys(set(contentWords(sentence)))) {
		df := float64(c.frequency[word])
		sum += math.Log1p((c.passages - df + 0.5) / (df + 0.5))
	}
	return sum
}

func set(words []string) map[string]bool {
	out := make(map[string]bool, len(words))
	for _, word := range words {
		out[word] = true
	}
	return out
}

// file cuts one file into passages by its type.
func (s splitter) file(file string, content []byte) (passages []passage, short int, err error) {
	text := strings.ReplaceAll(string(content), "\r\n", "\n")
	switch kinds[strings.ToLower(path.Ext(file))] {
	case goFile:
		passages, err = s.goFile(file, content)
		return passages, 0, err
	case markdownFile:
		passages, short = s.passages(file, markdownBlocks(text))
	case sourceFile:
		passages, short = s.passages(file, sourceBlocks(text))
	default:
		passages, short = s.passages(file, textBlocks(text))
	}
	return passages, short, nil
}

// goFile makes one passage of each documented symbol.
func (s splitter) goFile(file string, content []byte) ([]passage, error) {
	symbols, err := parseGo(file, content)
	if err != nil {
		return nil, err
	}
	var passages []passage
	for _, symbol := range symbols {
		name := symbol.name
		if dir := path.Dir(file); dir != "." {
			name = dir + "." + name
		}
		p := passage{id: noSpace(name), title: name + " — " + symbol.signature, text: strings.TrimSpace(symbol.doc)}
		if symbol.refuse(s.minContentWords) == "" {
			p.candidates = []candidate{{symbol.query, 0, min(symbol.firstSentence, len(p.text))}}
		}
		passages = append(passages, p)
	}
	return passages, nil
}

type fileKind int

const (
	textFile fileKind = iota + 1
	markdownFile
	sourceFile
	goFile
)

// kinds of files by extension. Data formats are left out on purpose: they hold
// no sentences.
var kinds = func() map[string]fileKind {
	kinds := map[string]fileKind{".go": goFile}
	for kind, extensions := range map[fileKind]string{
		textFile:     " .txt .text .rst .adoc .asciidoc .org .tex .texi .pod",
		markdownFile: ".md .markdown .mdown .mdx",
		sourceFile: `.bash .c .cc .clj .cpp .cs .css .cxx .dart .el .erl .ex .exs .f90 .fs .groovy .h .hh .hpp .hs
			.java .jl .js .jsx .kt .lisp .lua .m .ml .mli .mm .nim .php .pl .pm .proto .ps1 .py .r .rb .rs
			.s .scala .scm .sh .sql .swift .tcl .ts .tsx .vim .zig`,
	} {
		for _, extension := range strings.Fields(extensions) {
			kinds[extension] = kind
		}
	}
	kinds[""] = textFile // README, LICENSE
	return kinds
}()

// textFiles walks the folder in lexical order and counts what it skips.
func textFiles(ctx context.Context, fsys fs.FS, maxBytes int64, skipped map[string]int) ([]string, error) {
	var files []string
	err := fs.WalkDir(fsys, ".", func(file string, entry fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			if file == "." {
				return err
			}
			skipped["not readable"]++
			return nil
		}
		if file == "." {
			return nil
		}
		name := entry.Name()
		if entry.IsDir() {
			switch {
			case name[0] == '.':
				skipped["hidden folder"]++
			case name == "vendor", name == "node_modules", name == "testdata":
				skipped[name+" folder"]++
			default:
				return nil
			}
			return fs.SkipDir
		}
		extension := strings.ToLower(path.Ext(name))
		switch {
		case name[0] == '.':
			skipped["hidden"]++
		case entry.Type()&fs.ModeSymlink != 0:
			skipped["symbolic link"]++
		case !entry.Type().IsRegular():
			skipped["not a regular file"]++
		case kinds[extension] == 0:
			skipped["of unknown type"]++
		case strings.HasSuffix(name, "_test.go"):
			skipped["Go test"]++
		default:
			info, err := entry.Info()
			switch {
			case err != nil:
				skipped["not readable"]++
			case info.Size() > maxBytes:
				skipped["too large"]++
			default:
				files = append(files, file)
			}
		}
		return nil
	})
	return files, err
}

// notText says why content is no text, or "".
func notText(content []byte) string {
	switch {
	case len(bytes.TrimSpace(content)) == 0:
		return "empty"
	case bytes.IndexByte(content, 0) >= 0:
		return "binary"
	case !utf8.Valid(content):
		return "not UTF-8"
	}
	return ""
}
