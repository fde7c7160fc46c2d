package dataset

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"github.com/pare-search/pare/eval"
)

// Embeddings is a folder of token embeddings that another program computed,
// in flat .npy files:
//
//	docs.npy             float32 or float16 [tokens, dim]: all vectors, document after document
//	docs_lens.npy        int32 or int64 [documents]: tokens of each document, 0 allowed
//	docs_tokids.npy      int32 or int64 [tokens]: vocabulary ids of the tokens (optional)
//	doc_ids.txt          one document id per line (optional: else 0, 1, 2, …)
//	queries.npy, queries_lens.npy, queries_tokids.npy, query_ids.txt
//	                     the same for queries (optional)
//	qrels.tsv            judgements (optional)
type Embeddings struct {
	Path      string
	Dim       int          // width of every vector
	Documents *EmbeddedSet // never nil
	Queries   *EmbeddedSet // nil when the folder has no queries
	Qrels     eval.Qrels   // empty when there are no judgements
}

// EmbeddedSet is the documents or the queries of an Embeddings folder. Ids and
// lengths are in memory, vectors are read when asked for. It is safe for
// concurrent reading.
type EmbeddedSet struct {
	IDs     []string
	Lengths []int // tokens of each text
	Tokens  int   // their sum

	dim         int
	vectorFile  string
	tokenIDFile string // "" when the tokens have no ids
}

// Embedded is one text as token vectors.
type Embedded struct {
	ID string
	// TokenIDs names the type of each token, or is nil.
	TokenIDs []uint32
	// Vectors has one row of Dim values per token, row after row. The values
	// are as the file has them: finite or not, of any length.
	Vectors []float32
}

// OpenEmbeddings opens a folder of token embeddings and checks that its files
// fit together. The vectors are left for later. The errors wrap ErrLayout,
// ErrFormat or what the file system says.
func OpenEmbeddings(dir string) (*Embeddings, error) {
	documents, err := openSet(dir, "docs", "doc_ids.txt")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: looked for token embeddings in docs.npy and docs_lens.npy: %w", ErrLayout, err)
	}
	if err != nil {
		return nil, err
	}
	e := &Embeddings{Path: dir, Dim: documents.dim, Documents: documents, Qrels: eval.Qrels{}}
	if exists(filepath.Join(dir, "queries.npy")) {
		if e.Queries, err = openSet(dir, "queries", "query_ids.txt"); err != nil {
			return nil, err
		}
		if e.Queries.dim != e.Dim {
			return nil, fmt.Errorf("%w: %s: expected vectors of %d values as in docs.npy, found %d", ErrFormat, e.Queries.vectorFile, e.Dim, e.Queries.dim)
		}
	}
	if path := filepath.Join(dir, "qrels.tsv"); exists(path) {
		if e.Qrels, err = ReadQrelsFile(path); err != nil {
			return nil, err
		}
	}
	return e, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func openSet(dir, name, ids string) (*EmbeddedSet, error) {
	s := &EmbeddedSet{vectorFile: filepath.Join(dir, name+".npy")}
	vectors, err := OpenNPY(s.vectorFile)
	if err != nil {
		return nil, err
	}
	defer vectors.Close()
	if len(vectors.Shape) != 2 || vectors.Shape[1] == 0 || vectors.Type != Float32 && vectors.Type != Float16 {
		return nil, vectors.errorf("expected floats of shape [tokens dim], found %s of shape %v", vectors.Type, vectors.Shape)
	}
	s.dim = vectors.Shape[1]
	if err := s.readLengths(filepath.Join(dir, name+"_lens.npy"), vectors.Shape[0]); err != nil {
		return nil, err
	}
	if path := filepath.Join(dir, name+"_tokids.npy"); exists(path) {
		if err := s.findTokenIDs(path); err != nil {
			return nil, err
		}
	}
	return s, s.readIDs(filepath.Join(dir, ids))
}

func (s *EmbeddedSet) readLengths(path string, tokens int) error {
	lengths, err := ReadNPYInts(path)
	if err != nil {
		return err
	}
	s.Lengths = make([]int, len(lengths))
	for i, n := range lengths {
		if n < 0 || n > int64(tokens-s.Tokens) {
			return fmt.Errorf("%w: %s: length %d of text %d: expected 0 to %d, the vectors that are left", ErrFormat, path, n, i, tokens-s.Tokens)
		}
		s.Lengths[i] = int(n)
		s.Tokens += int(n)
	}
	if s.Tokens != tokens {
		return fmt.Errorf("%w: %s: the lengths add up to %d tokens, %s has %d vectors", ErrFormat, path, s.Tokens, s.vectorFile, tokens)
	}
	return nil
}

func (s *EmbeddedSet) findTokenIDs(path string) error {
	ids, err := OpenNPY(path)
	if err != nil {
		return err
	}
	defer ids.Close()
	if len(ids.Shape) != 1 || ids.Shape[0] != s.Tokens || ids.Type != Int32 && ids.Type != Int64 {
		return ids.errorf("expected %d integers, one per vector, found %s %v", s.Tokens, ids.Type, ids.Shape)
	}
	s.tokenIDFile = path
	return nil
}

// readIDs reads the file of ids, or numbers the texts when there is none.
func (s *EmbeddedSet) readIDs(path string) (err error) {
	if !exists(path) {
		s.IDs = make([]string, len(s.Lengths))
		for i := range s.IDs {
			s.IDs[i] = strconv.Itoa(i)
		}
		return nil
	}
	if s.IDs, err = readFile(path, DefaultLimits(), parseIDs); err != nil {
		return err
	}
	if len(s.IDs) != len(s.Lengths) {
		return fmt.Errorf("%w: %s: expected %d ids, one per text, found %d", ErrFormat, path, len(s.Lengths), len(s.IDs))
	}
	return nil
}

func parseIDs(l *lineReader) ([]string, error) {
	var ids []string
	lines := map[string]int{}
	for {
		line, err := l.next()
		if err == io.EOF {
			return ids, nil
		}
		if err != nil {
			return nil, err
		}
		id := string(line)
		if err := checkID(id); err != nil {
			return nil, l.errorf("%w", err)
		}
		if first := lines[id]; first > 0 {
			return nil, l.errorf("the id %q occurs twice, first in line %d", id, first)
		}
		lines[id] = l.line
		ids = append(ids, id)
	}
}

// HasTokenIDs tells whether the tokens have ids.
func (s *EmbeddedSet) HasTokenIDs() bool { return s.tokenIDFile != "" }

// All yields all texts in the order of the files, one in memory at a time.
// Every call reads from the beginning; what is yielded may be kept. An error is
// the last thing yielded.
func (s *EmbeddedSet) All() iter.Seq2[Embedded, error] {
	return func(yield func(Embedded, error) bool) {
		vectors, err := OpenNPY(s.vectorFile)
		if err != nil {
			yield(Embedded{}, err)
			return
		}
		defer vectors.Close()
		var tokenIDs *NPYReader
		if s.HasTokenIDs() {
			if tokenIDs, err = OpenNPY(s.tokenIDFile); err != nil {
				yield(Embedded{}, err)
				return
			}
			defer tokenIDs.Close()
		}
		for i, length := range s.Lengths {
			text := Embedded{ID: s.IDs[i]}
			text.Vectors = make([]float32, length*s.dim)
			if err = vectors.ReadFloats(text.Vectors); err == nil && tokenIDs != nil {
				text.TokenIDs, err = readTokenIDs(tokenIDs, length)
			}
			if err != nil {
				yield(Embedded{}, err)
				return
			}
			if !yield(text, nil) {
				return
			}
		}
	}
}

func readTokenIDs(n *NPYReader, count int) ([]uint32, error) {
	values := make([]int64, count)
	if err := n.ReadInts(values); err != nil {
		return nil, err
	}
	ids := make([]uint32, count)
	for i, v := range values {
		if v < 0 || v > math.MaxUint32 {
			return nil, n.errorf("the token id %d is not one of 32 bits without a sign", v)
		}
		ids[i] = uint32(v)
	}
	return ids, nil
}
