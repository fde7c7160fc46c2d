package dataset

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pare-search/pare/eval"
)

// ErrLayout reports a path that is no test collection, or a folder without the
// split that was asked for. The error lists what was looked for.
var ErrLayout = errors.New("dataset: unknown layout")

// Layout is the arrangement of files that Open has recognised.
type Layout string

const (
	BEIR    Layout = "BEIR"     // folder with corpus.jsonl
	MSMARCO Layout = "MS MARCO" // folder with collection.tsv
	TREC    Layout = "TREC"     // folder with documents, topics and qrels
	File    Layout = "file"     // a file of documents and nothing else
)

// Document is one document of a collection.
type Document struct {
	ID    string
	Title string // often empty
	Text  string
}

// Body returns title and text with one space between them, trimmed: what is
// indexed and encoded.
func (d Document) Body() string {
	return strings.TrimSpace(d.Title + " " + d.Text)
}

// Query is one query of a collection.
type Query struct {
	ID   string
	Text string
}

// Limits bound what a small compressed file can make a reader allocate. All
// are bytes after decompression.
type Limits struct {
	// MaxLine is the longest line, and the longest TREC document or topic.
	MaxLine int
	// MaxFile is the size of a file that is loaded whole: queries, judgements,
	// runs and lists of ids. Documents are read one by one and have none.
	MaxFile int64
}

// DefaultLimits returns lines of up to 64 MiB and files of up to 2 GiB.
func DefaultLimits() Limits {
	return Limits{MaxLine: 64 << 20, MaxFile: 2 << 30}
}

// Validate reports every limit that lets nothing through.
func (l Limits) Validate() error {
	var faults []error
	if l.MaxLine < 1 {
		faults = append(faults, fmt.Errorf("dataset: MaxLine is %d, want at least 1 byte", l.MaxLine))
	}
	if l.MaxFile < 1 {
		faults = append(faults, fmt.Errorf("dataset: MaxFile is %d, want at least 1 byte", l.MaxFile))
	}
	return errors.Join(faults...)
}

// Options says what to open and how much memory its files may claim.
type Options struct {
	// Split names the judgements to load where a folder has several: "dev"
	// stands for qrels/dev.tsv or qrels.dev.tsv. When empty it is the one
	// without a name, else the first of test, dev.small, dev and train, else
	// the only one there is.
	Split  string
	Limits Limits
}

// DefaultOptions returns the options of Open: the default split and limits.
func DefaultOptions() Options {
	return Options{Limits: DefaultLimits()}
}

// Validate reports what is wrong with the options.
func (o Options) Validate() error { return o.Limits.Validate() }

// Collection is a test collection on disk. Queries and judgements are in
// memory, documents are read when asked for. It is not changed after Open and
// safe for concurrent reading.
type Collection struct {
	Name   string // last element of the path, without extensions
	Path   string // as given to Open
	Layout Layout
	Split  string // the split that was loaded, "" when the files name none

	Queries []Query    // in the order of the file, judged or not
	Qrels   eval.Qrels // empty when there are no judgements

	DocumentFiles []string // read one after the other
	QueryFile     string   // "" when there are no queries
	QrelsFile     string   // "" when there are no judgements

	limits Limits
}

// Open opens a test collection with DefaultOptions.
func Open(path string) (*Collection, error) {
	return OpenWith(path, DefaultOptions())
}

// OpenWith recognises the layout of a folder or a file of documents (see the
// package comment), loads queries and judgements, and leaves the documents for
// later. The errors wrap ErrLayout, ErrFormat or what the file system says. A
// query id or a judged pair that occurs twice is an ErrFormat.
func OpenWith(path string, options Options) (*Collection, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("dataset: %w", err)
	}
	c := &Collection{Name: collectionName(path), Path: path, Qrels: eval.Qrels{}, limits: options.Limits}
	if !info.IsDir() {
		if options.Split != "" {
			return nil, fmt.Errorf("%w: %s is a file of documents and has no split %q", ErrLayout, path, options.Split)
		}
		c.Layout, c.DocumentFiles = File, []string{path}
		return c, nil
	}
	if err := c.find(options.Split); err != nil {
		return nil, err
	}
	if c.QueryFile != "" {
		if c.Queries, err = readFile(c.QueryFile, c.limits, parseQueries); err != nil {
			return nil, err
		}
	}
	if c.QrelsFile != "" {
		if c.Qrels, err = readFile(c.QrelsFile, c.limits, parseQrels); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func collectionName(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return trimExtensions(filepath.Base(path))
}

// Documents yields all documents in the order of the files, in constant
// memory. Every call reads from the beginning. An error is the last thing
// yielded. Ids may repeat: whoever keeps all ids anyway, such as an index, is
// the one to refuse them.
func (c *Collection) Documents() iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		for _, path := range c.DocumentFiles {
			for doc, err := range readDocuments(path, c.limits.MaxLine) {
				if !yield(doc, err) || err != nil {
					return
				}
			}
		}
	}
}

func readDocuments(path string, maxLine int) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		f, err := open(path)
		if err != nil {
			yield(Document{}, err)
			return
		}
		defer f.Close()
		parseDocuments(newLineReader(f, path, maxLine))(yield)
	}
}

// Judged returns the queries that have judgements, in the order of Queries.
// Qrels may judge more: queries whose text the collection lacks.
func (c *Collection) Judged() []Query {
	return slices.DeleteFunc(slices.Clone(c.Queries), func(q Query) bool {
		return len(c.Qrels[q.ID]) == 0
	})
}

// documentNames are the files and folders that may hold the documents, in the
// order in which they are looked for.
var documentNames = []struct {
	layout Layout
	name   string
}{
	{BEIR, "corpus.jsonl"},
	{MSMARCO, "collection.tsv"},
	{TREC, "documents"},
	{TREC, "docs"},
	{TREC, "corpus"},
	{TREC, "collection"},
}

const lookedFor = "looked for corpus.jsonl (BEIR), collection.tsv (MS MARCO), and a folder or a text file " +
	"named documents, docs, corpus or collection (TREC), each also with .gz"

// defaultSplits is the order of preference when no split was asked for. A
// small development set comes before the one it was drawn from.
var defaultSplits = []string{"", "test", "dev.small", "dev", "train"}

// splitFile is a file of queries or judgements.
type splitFile struct {
	split string // "dev" for queries.dev.tsv, "" for queries.tsv
	path  string
}

// find fills in the layout, the split and the files.
func (c *Collection) find(split string) error {
	entries, err := os.ReadDir(c.Path)
	if err != nil {
		return fmt.Errorf("dataset: %w", err)
	}
	if err := c.findDocuments(entries); err != nil {
		return err
	}
	queries := append(splitFiles(c.Path, entries, "queries"), splitFiles(c.Path, entries, "topics")...)
	qrels := splitFiles(c.Path, entries, "qrels")
	sub := filepath.Join(c.Path, "qrels")
	if isDir(sub) {
		entries, err := os.ReadDir(sub)
		if err != nil {
			return fmt.Errorf("dataset: %w", err)
		}
		qrels = append(qrels, splitFiles(sub, entries, "")...)
	}

	if split != "" {
		if !hasSplit(qrels, split) && !hasSplit(queries, split) {
			return fmt.Errorf("%w: %s: no split %q: looked for qrels/%[3]s.tsv, qrels.%[3]s.tsv and queries.%[3]s.tsv, found %s",
				ErrLayout, c.Path, split, splitNames(append(qrels, queries...)))
		}
	} else {
		leading := qrels
		if len(qrels) == 0 {
			leading = queries
		}
		if split, err = defaultSplit(leading); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrLayout, c.Path, err)
		}
	}
	c.Split = split
	for _, f := range qrels {
		if f.split == split {
			c.QrelsFile = f.path
			break
		}
	}
	c.QueryFile, err = queriesFor(queries, split)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrLayout, c.Path, err)
	}
	return nil
}

// findDocuments looks for the documents of each layout in turn.
func (c *Collection) findDocuments(entries []fs.DirEntry) error {
	for _, want := range documentNames {
		for _, e := range entries {
			name := strings.TrimSuffix(e.Name(), ".gz")
			if want.layout == TREC {
				name = trimExtensions(name)
			}
			if name != want.name {
				continue
			}
			files, err := documentFiles(filepath.Join(c.Path, e.Name()))
			if err != nil {
				return err
			}
			if len(files) > 0 {
				c.Layout, c.DocumentFiles = want.layout, files
				return nil
			}
		}
	}
	return fmt.Errorf("%w: %s: %s; found %s", ErrLayout, c.Path, lookedFor, entryNames(entries))
}

// isDir follows links, as collections too large to copy are often linked.
func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// documentFiles lists the file itself, or the files of a folder and its
// folders in the order of their names.
func documentFiles(path string) ([]string, error) {
	if !isDir(path) {
		return []string{path}, nil
	}
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, fmt.Errorf("dataset: %w", err)
	}
	var files []string
	err = filepath.WalkDir(path, func(p string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case p != path && strings.HasPrefix(e.Name(), "."):
			if e.IsDir() {
				return fs.SkipDir
			}
		case !e.IsDir():
			files = append(files, p)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("dataset: %w", err)
	}
	return files, nil
}

// splitFiles lists the files of a folder whose names begin with prefix.
func splitFiles(dir string, entries []fs.DirEntry, prefix string) []splitFile {
	var files []splitFile
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		rest, ok := strings.CutPrefix(trimExtensions(e.Name()), prefix)
		if ok && !strings.HasPrefix(e.Name(), ".") && !isDir(path) {
			files = append(files, splitFile{strings.Trim(rest, "._-"), path})
		}
	}
	return files
}

// trimExtensions removes .gz and then the extension of a known text format;
// what else follows a dot is part of the name, as in topics.51-100.
func trimExtensions(name string) string {
	name = strings.TrimSuffix(name, ".gz")
	switch ext := filepath.Ext(name); strings.ToLower(ext) {
	case ".jsonl", ".json", ".tsv", ".txt", ".trec", ".trectext", ".sgml", ".sgm", ".xml":
		name = strings.TrimSuffix(name, ext)
	}
	return name
}

func hasSplit(files []splitFile, split string) bool {
	return slices.ContainsFunc(files, func(f splitFile) bool { return f.split == split })
}

// defaultSplit chooses among the files that lead.
func defaultSplit(files []splitFile) (string, error) {
	for _, split := range defaultSplits {
		if hasSplit(files, split) {
			return split, nil
		}
	}
	names := splitNames(files)
	switch len(names) {
	case 0:
		return "", nil
	case 1:
		return names[0], nil
	}
	return "", fmt.Errorf("several splits, choose one of %q", names)
}

// queriesFor returns the file of the queries that belong to a split: the one
// of that name, else the one for all splits, else the only one.
func queriesFor(files []splitFile, split string) (string, error) {
	for _, name := range []string{split, ""} {
		for _, f := range files {
			if f.split == name {
				return f.path, nil
			}
		}
	}
	switch len(files) {
	case 0:
		return "", nil
	case 1:
		return files[0].path, nil
	}
	return "", fmt.Errorf("no queries for split %q, only for %q", split, splitNames(files))
}

func splitNames(files []splitFile) []string {
	var names []string
	for _, f := range files {
		names = append(names, f.split)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// entryNames lists a few names for an error.
func entryNames(entries []fs.DirEntry) string {
	const most = 8
	if len(entries) == 0 {
		return "an empty folder"
	}
	var names []string
	for _, e := range entries[:min(len(entries), most)] {
		names = append(names, e.Name())
	}
	if len(entries) > most {
		names = append(names, "…")
	}
	return strings.Join(names, ", ")
}
