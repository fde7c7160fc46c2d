package dataset

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/pare-search/pare/eval"
)

// ReadQrelsFile reads relevance judgements from a file, compressed where the
// name ends in .gz, within DefaultLimits. See ReadQrels.
func ReadQrelsFile(path string) (eval.Qrels, error) {
	return ReadQrelsFileWith(path, DefaultLimits())
}

// ReadQrelsFileWith is ReadQrelsFile with other limits.
func ReadQrelsFileWith(path string, limits Limits) (eval.Qrels, error) {
	if err := limits.Validate(); err != nil {
		return nil, err
	}
	return readFile(path, limits, parseQrels)
}

// ReadQrels reads relevance judgements in either form:
//
//	TREC, MS MARCO   query  iteration  document  grade
//	BEIR             query  document   grade
//
// with tabs or, where a line has no tab, other white space between the
// columns. The first line decides on the form and may be a header, told by a
// last column that is a word such as "score". Grades are whole numbers of 32
// bits. A pair of query and document that occurs twice is an error, which like
// all others wraps ErrFormat and names the line. DefaultLimits hold.
func ReadQrels(r io.Reader) (eval.Qrels, error) {
	return parseQrels(newLineReader(limit(r, DefaultLimits().MaxFile), "", DefaultLimits().MaxLine))
}

// gradeHeaders are the names of the last column in files with a header.
var gradeHeaders = []string{"score", "relevance", "rel", "grade", "label", "judgement", "judgment"}

func parseQrels(l *lineReader) (eval.Qrels, error) {
	qrels := eval.Qrels{}
	columns := 0
	ids := interner{}
	for {
		line, err := l.next()
		if err == io.EOF {
			return qrels, nil
		}
		if err != nil {
			return nil, err
		}
		f := splitColumns(line)
		if columns == 0 {
			columns = len(f)
			if columns != 3 && columns != 4 {
				return nil, l.errorf("expected query, document and grade, or query, iteration, document and grade, found %d columns", columns)
			}
			if slices.Contains(gradeHeaders, strings.ToLower(string(f[columns-1]))) {
				continue
			}
		}
		if len(f) != columns {
			return nil, l.errorf("expected %d columns as in the lines before, found %d", columns, len(f))
		}
		query, doc := ids.intern(f[0]), ids.intern(f[columns-2])
		for _, id := range []string{query, doc} {
			if err := checkID(id); err != nil {
				return nil, l.errorf("%w", err)
			}
		}
		grade, err := strconv.ParseInt(string(f[columns-1]), 10, 32)
		if err != nil {
			return nil, l.errorf("expected a grade, a whole number, found %q", f[columns-1])
		}
		if _, twice := qrels[query][doc]; twice {
			return nil, l.errorf("query %q and document %q are judged twice", query, doc)
		}
		if qrels[query] == nil {
			qrels[query] = map[string]int{}
		}
		qrels[query][doc] = int(grade)
	}
}

// splitColumns splits at tabs, or at white space where there are none.
func splitColumns(line []byte) [][]byte {
	if bytes.IndexByte(line, '\t') >= 0 {
		return bytes.Split(line, []byte("\t"))
	}
	return bytes.Fields(line)
}

// QrelsForm is a way to write relevance judgements.
type QrelsForm int

const (
	// TRECQrels has four columns without a header.
	TRECQrels QrelsForm = iota
	// BEIRQrels has three columns, tabs and a header.
	BEIRQrels
)

// WriteQrelsFile writes relevance judgements to a file, compressed where the
// name ends in .gz. See WriteQrels.
func WriteQrelsFile(path string, qrels eval.Qrels, form QrelsForm) error {
	if err := checkQrels(qrels, form); err != nil {
		return err // and leave the file as it was
	}
	return writeFile(path, func(w io.Writer) error { return WriteQrels(w, qrels, form) })
}

// WriteQrels writes relevance judgements in the order of query and document
// ids. An id that would not read back is an error that wraps ErrFormat, and
// then nothing is written. Queries without a judged document leave no trace.
func WriteQrels(w io.Writer, qrels eval.Qrels, form QrelsForm) error {
	if err := checkQrels(qrels, form); err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	line := "%s 0 %s %d\n"
	if form == BEIRQrels {
		line = "%s\t%s\t%d\n"
		out.WriteString("query-id\tcorpus-id\tscore\n")
	}
	for _, query := range qrels.Queries() {
		docs := qrels[query]
		for _, doc := range slices.Sorted(maps.Keys(docs)) {
			fmt.Fprintf(out, line, query, doc, docs[doc])
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("dataset: writing judgements: %w", err)
	}
	return nil
}

func checkQrels(qrels eval.Qrels, form QrelsForm) error {
	check := checkColumn
	if form == BEIRQrels {
		check = checkTabbed
	}
	for query, docs := range qrels {
		if err := check(query); err != nil {
			return fmt.Errorf("%w: judgements of query %q: %w", ErrFormat, query, err)
		}
		for doc, grade := range docs {
			if err := check(doc); err != nil {
				return fmt.Errorf("%w: judgements of query %q: %w", ErrFormat, query, err)
			}
			if grade != int(int32(grade)) {
				return fmt.Errorf("%w: judgements of query %q: the grade %d has more than 32 bits", ErrFormat, query, grade)
			}
		}
	}
	return nil
}
