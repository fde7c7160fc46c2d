package dataset

import (
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/pare-search/pare/eval"
)

// ReadQrelsFile reads relevance judgements from a file, compressed where the
// name ends in .gz. See ReadQrels.
func ReadQrelsFile(path string) (eval.Qrels, error) {
	return readFile(path, DefaultOptions().MaxLine, parseQrels)
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
// all others wraps ErrFormat and names the line.
func ReadQrels(r io.Reader) (eval.Qrels, error) {
	return parseQrels(newLineReader(r, "", DefaultOptions().MaxLine))
}

// gradeHeaders are the names of the last column in files with a header.
var gradeHeaders = []string{"score", "relevance", "rel", "grade", "label", "judgement", "judgment"}

func parseQrels(l *lineReader) (eval.Qrels, error) {
	qrels := eval.Qrels{}
	columns := 0
	for {
		line, err := l.next()
		if err == io.EOF {
			return qrels, nil
		}
		if err != nil {
			return nil, err
		}
		f := splitColumns(string(line))
		if columns == 0 {
			if len(f) != 3 && len(f) != 4 {
				return nil, l.errorf("expected query, document and grade, or query, iteration, document and grade, found %d columns", len(f))
			}
			columns = len(f)
			if slices.Contains(gradeHeaders, strings.ToLower(f[columns-1])) {
				continue
			}
		}
		if len(f) != columns {
			return nil, l.errorf("expected %d columns as in the lines before, found %d", columns, len(f))
		}
		query, doc := f[0], f[columns-2]
		for _, id := range []string{query, doc} {
			if err := identifier(id); err != nil {
				return nil, l.errorf("%w", err)
			}
		}
		grade, err := strconv.ParseInt(f[columns-1], 10, 32)
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
func splitColumns(line string) []string {
	if strings.Contains(line, "\t") {
		return strings.Split(line, "\t")
	}
	return strings.Fields(line)
}
