package dataset

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// EmbeddedWriter writes the documents or the queries of an Embeddings folder,
// one text after the other. It holds ids, lengths and token ids in memory;
// vectors go to the file as they come. It is for one goroutine.
type EmbeddedWriter struct {
	dir, name, idFile string
	dim               int
	file              *os.File
	out               *bufio.Writer

	ids              []string
	seen             map[string]bool
	lengths, tokens  []int64
	withoutIDs, done bool
}

// NewDocumentWriter begins the documents of a folder, with vectors of dim
// values; NewQueryWriter begins its queries. The folder must exist; files that
// are there are replaced. Close completes the files.
func NewDocumentWriter(dir string, dim int) (*EmbeddedWriter, error) {
	return newEmbeddedWriter(dir, "docs", "doc_ids.txt", dim)
}

// NewQueryWriter begins the queries of a folder; see NewDocumentWriter.
func NewQueryWriter(dir string, dim int) (*EmbeddedWriter, error) {
	return newEmbeddedWriter(dir, "queries", "query_ids.txt", dim)
}

func newEmbeddedWriter(dir, name, idFile string, dim int) (*EmbeddedWriter, error) {
	if dim < 1 {
		return nil, fmt.Errorf("%w: vectors of %d values", ErrFormat, dim)
	}
	file, err := os.Create(filepath.Join(dir, name+".npy"))
	if err != nil {
		return nil, err
	}
	w := &EmbeddedWriter{dir: dir, name: name, idFile: idFile, dim: dim, file: file, seen: map[string]bool{}}
	w.out = bufio.NewWriterSize(file, 1<<16)
	// The shape is known at the end. Headers of all shapes are equally long.
	w.out.WriteString(npyHeader(Float32, []int{math.MaxInt, dim}))
	return w, nil
}

// Add writes a text. Token ids are for all texts or for none. Errors wrap
// ErrFormat for ids and vectors that the folder cannot have.
func (w *EmbeddedWriter) Add(e Embedded) error {
	rows := len(e.Vectors) / w.dim
	switch {
	case len(e.Vectors) != rows*w.dim:
		return fmt.Errorf("%w: text %q: %d values in vectors of %d", ErrFormat, e.ID, len(e.Vectors), w.dim)
	case e.TokenIDs != nil && len(e.TokenIDs) != rows:
		return fmt.Errorf("%w: text %q: %d token ids for %d vectors", ErrFormat, e.ID, len(e.TokenIDs), rows)
	case strings.ContainsAny(e.ID, "\r\n"):
		return fmt.Errorf("%w: the id %q has more than one line", ErrFormat, e.ID)
	case w.seen[e.ID]:
		return fmt.Errorf("%w: the id %q occurs twice", ErrFormat, e.ID)
	}
	if err := checkID(e.ID); err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	w.seen[e.ID] = true
	w.ids = append(w.ids, e.ID)
	w.lengths = append(w.lengths, int64(rows))
	w.withoutIDs = w.withoutIDs || e.TokenIDs == nil && rows > 0
	for _, id := range e.TokenIDs {
		w.tokens = append(w.tokens, int64(id))
	}
	for _, v := range e.Vectors {
		w.out.Write(binary.LittleEndian.AppendUint32(w.out.AvailableBuffer(), math.Float32bits(v)))
	}
	return nil
}

// Close completes the files: it writes the shape, and lengths, token ids if all
// texts had some, and ids to files of their own. Only the first call does
// something. Integers are Int32, token ids Int64 when one needs it.
func (w *EmbeddedWriter) Close() error {
	if w.done {
		return nil
	}
	w.done = true
	total := 0
	for _, n := range w.lengths {
		total += int(n)
	}
	err := w.out.Flush()
	if err == nil {
		_, err = w.file.WriteAt([]byte(npyHeader(Float32, []int{total, w.dim})), 0)
	}
	if err := errors.Join(err, w.file.Close()); err != nil {
		return fmt.Errorf("dataset: %w", err)
	}
	base := filepath.Join(w.dir, w.name)
	err = WriteNPYInts(base+"_lens.npy", Int32, w.lengths)
	if err == nil && !w.withoutIDs {
		width := Int32
		if slices.ContainsFunc(w.tokens, func(id int64) bool { return id > math.MaxInt32 }) {
			width = Int64
		}
		err = WriteNPYInts(base+"_tokids.npy", width, w.tokens)
	}
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(w.dir, w.idFile), func(out io.Writer) error {
		for _, id := range w.ids {
			if _, err := io.WriteString(out, id+"\n"); err != nil {
				return err
			}
		}
		return nil
	})
}
