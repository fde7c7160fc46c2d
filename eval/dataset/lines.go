package dataset

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrFormat reports content that is not what the format demands. The error
// names the file, the line where there are lines, and what was expected.
var ErrFormat = errors.New("dataset: bad format")

const (
	// replacement stands for bytes that are not UTF-8, as in encoding/json.
	replacement   = string(utf8.RuneError)
	byteOrderMark = "\ufeff"
)

// lineReader hands out the lines of a text that are not blank, without their
// ends, and knows where it is.
type lineReader struct {
	name string // of the file; empty for a reader without a name
	line int    // number of the line that next returned, from 1
	max  int    // longest line in bytes
	r    *bufio.Reader
	long []byte // a line longer than the buffer of r
}

func newLineReader(r io.Reader, name string, maxLine int) *lineReader {
	return &lineReader{name: name, max: maxLine, r: bufio.NewReaderSize(r, 64<<10)}
}

// next returns the next line that is not blank; it is valid until the next
// call. The error is io.EOF at the end.
func (l *lineReader) next() ([]byte, error) {
	for {
		line, err := l.read()
		if err != nil {
			return nil, err
		}
		if l.line == 1 {
			line = bytes.TrimPrefix(line, []byte(byteOrderMark))
		}
		if len(bytes.TrimSpace(line)) > 0 {
			return bytes.TrimRight(line, "\r\n"), nil
		}
	}
}

func (l *lineReader) read() ([]byte, error) {
	l.long = l.long[:0]
	l.line++
	for {
		part, err := l.r.ReadSlice('\n')
		if len(l.long)+len(part) > l.max {
			return nil, l.errorf("the line is longer than %d bytes", l.max)
		}
		switch {
		case err == nil && len(l.long) == 0:
			return part, nil
		case err == nil || errors.Is(err, bufio.ErrBufferFull):
			l.long = append(l.long, part...)
			if err == nil {
				return l.long, nil
			}
		case err != io.EOF:
			return nil, l.readError(err)
		case len(l.long)+len(part) == 0:
			return nil, io.EOF
		default:
			return append(l.long, part...), nil
		}
	}
}

// source names the file.
func (l *lineReader) source() string {
	if l.name == "" {
		return "input"
	}
	return l.name
}

// where names the current line.
func (l *lineReader) where() string {
	if l.name == "" {
		return fmt.Sprintf("line %d", l.line)
	}
	return fmt.Sprintf("%s:%d", l.name, l.line)
}

// errorf is an ErrFormat at the current line.
func (l *lineReader) errorf(format string, args ...any) error {
	return fmt.Errorf("%w: %s: %w", ErrFormat, l.where(), fmt.Errorf(format, args...))
}

// readError says where reading failed. Broken compression is a bad format.
func (l *lineReader) readError(err error) error {
	var corrupt flate.CorruptInputError
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &corrupt) {
		return l.errorf("expected a whole gzip stream: %w", err)
	}
	if errors.Is(err, errTooLarge) {
		return l.errorf("%w", err)
	}
	return fmt.Errorf("dataset: %s: %w", l.where(), err)
}

// isGzip tells by the name whether a file is compressed.
func isGzip(path string) bool {
	return strings.HasSuffix(strings.ToLower(path), ".gz")
}

// open opens a file for reading, through gzip where its name ends in .gz. The
// gzip header is read with the first bytes, so that the error has a place.
func open(path string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("dataset: %w", err)
	}
	if !isGzip(path) {
		return f, nil
	}
	return &gzipFile{file: f}, nil
}

type gzipFile struct {
	file *os.File
	gz   *gzip.Reader
}

func (g *gzipFile) Read(p []byte) (int, error) {
	if g.gz == nil {
		gz, err := gzip.NewReader(bufio.NewReaderSize(g.file, 64<<10))
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // an empty file is no gzip stream
		}
		if err != nil {
			return 0, err
		}
		g.gz = gz
	}
	return g.gz.Read(p)
}

func (g *gzipFile) Close() error { return g.file.Close() }

// readFile opens a file and hands its lines to parse, which keeps them.
func readFile[T any](path string, limits Limits, parse func(*lineReader) (T, error)) (T, error) {
	f, err := open(path)
	if err != nil {
		var none T
		return none, err
	}
	defer f.Close()
	return parse(newLineReader(limit(f, limits.MaxFile), path, limits.MaxLine))
}

// errTooLarge is what a limited reader says at its limit.
var errTooLarge = errors.New("the file is too large")

// limit returns a reader that fails after max bytes, unlike io.LimitReader,
// which would pass the beginning of a file off as the whole.
func limit(r io.Reader, max int64) io.Reader { return &limitedReader{r, max, max} }

type limitedReader struct {
	r         io.Reader
	max, left int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, fmt.Errorf("%w: more than %d bytes", errTooLarge, l.max)
	}
	return n, err
}

// writeFile writes a file, compressed where its name ends in .gz.
func writeFile(path string, write func(io.Writer) error) error {
	return replaceFile(path, func(w io.Writer) error {
		if !isGzip(path) {
			return write(w)
		}
		gz := gzip.NewWriter(w)
		if err := write(gz); err != nil {
			return err
		}
		if err := gz.Close(); err != nil {
			return fmt.Errorf("dataset: %s: %w", path, err)
		}
		return nil
	})
}

// replaceFile makes a file of what write writes, or leaves path as it was. What
// is there and no ordinary file, such as /dev/stdout, is written to directly.
func replaceFile(path string, write func(io.Writer) error) (err error) {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		f, err := os.Create(path)
		if err != nil {
			return fmt.Errorf("dataset: %w", err)
		}
		return errors.Join(write(f), f.Close())
	}
	// Not os.CreateTemp, whose files nobody else may read.
	beside := fmt.Sprintf("%s.%08x.part", path, rand.Uint32())
	f, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return fmt.Errorf("dataset: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(beside))
		}
	}()
	if err := errors.Join(write(f), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(beside, path); err != nil {
		return fmt.Errorf("dataset: %w", err)
	}
	return nil
}

// checkID checks the id of a query or document. A replaced byte would let two
// ids become one; a byte order mark is left over from joining files.
func checkID(id string) error {
	switch {
	case id == "":
		return errors.New("the id is empty")
	case !utf8.ValidString(id) || strings.Contains(id, replacement):
		return fmt.Errorf("the id %q is not UTF-8", id)
	case strings.Contains(id, byteOrderMark):
		return fmt.Errorf("the id %q holds a byte order mark", id)
	}
	return nil
}

// checkColumn checks that an id can stand in a column that white space ends.
func checkColumn(id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	if strings.ContainsFunc(id, unicode.IsSpace) {
		return fmt.Errorf("the id %q holds white space", id)
	}
	return nil
}

// checkTabbed checks that an id can stand in a column that a tab or the end of
// the line ends.
func checkTabbed(id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	if strings.ContainsAny(id, "\t\r\n") {
		return fmt.Errorf("the id %q holds a tab or the end of a line", id)
	}
	return nil
}

// interner keeps one copy of every id of a file.
type interner map[string]string

func (in interner) intern(id []byte) string {
	if s, ok := in[string(id)]; ok {
		return s
	}
	s := string(id)
	in[s] = s
	return s
}
