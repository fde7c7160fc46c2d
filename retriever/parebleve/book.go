package parebleve

import (
	"cmp"
	"context"
	"encoding"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	bleveindex "github.com/blevesearch/bleve_index_api"

	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/index/docpruner"
	"github.com/pare-search/pare/internal/durable"
	"github.com/pare-search/pare/simd"
)

// book is a codebook with the memory of searches that use it.
type book struct {
	*codec.Codebook
	searchers sync.Pool // of *searcher

	// retired tells that no document is coded with it any more. It is for the
	// library to change.
	retired bool
}

// searcher is an index.Searcher whose source changes from query to query.
type searcher struct {
	*index.Searcher
	source slot
}

// slot is the source that is searched at the moment.
type slot struct{ index.Source }

func newBook(codebook *codec.Codebook) *book {
	b := &book{Codebook: codebook}
	b.searchers.New = func() any {
		s := &searcher{source: slot{&source{book: b}}}
		s.Searcher = index.NewSearcher(&s.source)
		return s
	}
	return b
}

// exhaustive tells that the codebook has no cells to look in.
func (b *book) exhaustive() bool { return b.Cells() == 1 }

// untrained returns the codebook of an index that has too few vectors to train
// one: int8, one cell.
func untrained(dim int) (*codec.Codebook, error) {
	options := codec.DefaultOptions()
	options.Kind = codec.Int8
	return codec.Train(context.Background(), simd.Matrix{Dim: dim}, nil, options, nil)
}

// library holds the codebooks of an index, by checksum, and keeps them in
// files of their own: bleve would write them anew with each of its snapshots
// if they were internal values of the index.
type library struct {
	dir      string // "" keeps them in memory only
	readOnly bool   // leaves dir as it is

	mu    sync.RWMutex
	books map[uint64]*book
	// unreadable says why files are not among the books; which matters only if
	// documents are coded with them.
	unreadable map[string]error
}

const (
	// libraryFolder lies in the folder of the index.
	libraryFolder = "pare"

	prunerFile = "document-pruner.pare"

	bookPrefix = "codebook-"
	bookSuffix = ".pare"
	bookUnborn = bookSuffix + ".new-" // is in the names of files that are being written
)

func bookFile(checksum uint64) string {
	return fmt.Sprintf("%s%016x%s", bookPrefix, checksum, bookSuffix)
}

// openLibrary reads the codebooks in dir, which need not exist, and removes
// files that a crash has left unfinished.
func openLibrary(dir string, readOnly bool) (*library, error) {
	l := &library{dir: dir, readOnly: readOnly, books: make(map[uint64]*book), unreadable: make(map[string]error)}
	if dir == "" {
		return l, nil
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		name := entry.Name()
		switch {
		case !strings.HasPrefix(name, bookPrefix) && !strings.HasPrefix(name, prunerFile):
		case strings.HasPrefix(name, bookPrefix) && strings.HasSuffix(name, bookSuffix):
			codebook, err := readBook(dir, name)
			if err != nil {
				l.unreadable[name] = err
				continue
			}
			l.books[codebook.Checksum()] = newBook(codebook)
		case strings.Contains(name, bookUnborn) && !readOnly:
			os.Remove(filepath.Join(dir, name)) // a file too many does no harm
		}
	}
	return l, nil
}

// readBook reads a codebook and checks that it is the one its file is named
// after.
func readBook(dir, name string) (*codec.Codebook, error) {
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	codebook, err := codec.Load(data)
	if err != nil {
		return nil, err
	}
	if want := bookFile(codebook.Checksum()); name != want {
		return nil, fmt.Errorf("it is %s", want)
	}
	return codebook, nil
}

// get returns the codebook with this checksum.
func (l *library) get(checksum uint64) (*book, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if b, ok := l.books[checksum]; ok {
		return b, nil
	}
	name := bookFile(checksum)
	if err, ok := l.unreadable[name]; ok {
		return nil, fmt.Errorf("%w: %s: %w", ErrCodebook, filepath.Join(l.dir, name), err)
	}
	return nil, fmt.Errorf("%w: %s", ErrCodebook, filepath.Join(l.dir, name))
}

// has tells whether the codebook with this checksum is there.
func (l *library) has(checksum uint64) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.books[checksum] != nil
}

// add keeps a codebook. It is durable when add returns, before any document is
// coded with it.
func (l *library) add(codebook *codec.Codebook) (*book, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.books[codebook.Checksum()]
	if ok && !b.retired {
		return b, nil
	}
	if l.dir != "" && !l.readOnly {
		data, err := codebook.MarshalBinary()
		if err != nil {
			return nil, err
		}
		if err := writeFile(l.dir, bookFile(codebook.Checksum()), data); err != nil {
			return nil, err
		}
	}
	if !ok {
		b = newBook(codebook)
		l.books[codebook.Checksum()] = b
	}
	b.retired = false
	return b, nil
}

// keepPruner makes what prunes documents durable. Given nil, it returns the one
// that was kept before, or nil.
func (l *library) keepPruner(pruner *docpruner.Fitted) (*docpruner.Fitted, error) {
	if l.dir == "" || pruner != nil && l.readOnly {
		return pruner, nil
	}
	path := filepath.Join(l.dir, prunerFile)
	if pruner == nil {
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err == nil {
			pruner, err = docpruner.Load(data)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, path, err)
		}
		return pruner, nil
	}
	data, err := pruner.MarshalBinary()
	if err != nil {
		return nil, err
	}
	return pruner, writeFile(l.dir, prunerFile, data)
}

// retire deletes the file of a codebook that nothing is coded with any more.
// Searches that began before may still need it, so it is forgotten only the
// next time.
func (l *library) retire(b *book) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b.retired {
		delete(l.books, b.Checksum())
		return
	}
	b.retired = true
	if l.dir != "" {
		os.Remove(filepath.Join(l.dir, bookFile(b.Checksum()))) // a file too many does no harm
	}
}

// writeFile makes a durable file that is there completely or not at all.
func writeFile(dir, name string, data []byte) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, name+".new-*") // see bookUnborn
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(file.Name())
		}
	}()
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err = durable.OS.Rename(file.Name(), filepath.Join(dir, name)); err != nil {
		return err
	}
	return durable.SyncDir(dir)
}

// copyTo writes all codebooks, and what prunes documents unless it is nil, to the
// copy of an index.
func (l *library) copyTo(d bleveindex.Directory, pruner *docpruner.Fitted) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	files := make(map[string]encoding.BinaryMarshaler)
	for checksum, b := range l.books {
		files[bookFile(checksum)] = b
	}
	if pruner != nil {
		files[prunerFile] = pruner
	}
	for name, content := range files {
		data, err := content.MarshalBinary()
		if err != nil {
			return err
		}
		w, err := d.GetWriter(filepath.Join(libraryFolder, name))
		if err != nil {
			return err
		}
		_, err = w.Write(data)
		if err = errors.Join(err, w.Close()); err != nil {
			return err
		}
	}
	return nil
}

// all returns the codebooks in the order of their checksums.
func (l *library) all() []*book {
	l.mu.RLock()
	defer l.mu.RUnlock()
	books := slices.Collect(maps.Values(l.books))
	slices.SortFunc(books, func(a, b *book) int { return cmp.Compare(a.Checksum(), b.Checksum()) })
	return books
}
