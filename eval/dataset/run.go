package dataset

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/pare-search/pare/eval"
)

// ReadRunFile reads a TREC run from a file, compressed where the name ends in
// .gz, within DefaultLimits. See ReadRun.
func ReadRunFile(path string) (eval.Run, error) {
	return ReadRunFileWith(path, DefaultLimits())
}

// ReadRunFileWith is ReadRunFile with other limits.
func ReadRunFileWith(path string, limits Limits) (eval.Run, error) {
	if err := limits.Validate(); err != nil {
		return eval.Run{}, err
	}
	return readFile(path, limits, parseRun)
}

// ReadRun reads a TREC run, whose lines are six columns with white space
// between them:
//
//	query  Q0  document  rank  score  tag
//
// The second column and the rank are not looked at; results stay in the order
// of the lines. The tag of the run is that of the first line. Errors wrap
// ErrFormat and name the line, or the query and the document that it lists
// twice. DefaultLimits hold.
func ReadRun(r io.Reader) (eval.Run, error) {
	return parseRun(newLineReader(limit(r, DefaultLimits().MaxFile), "", DefaultLimits().MaxLine))
}

func parseRun(l *lineReader) (eval.Run, error) {
	run := eval.Run{Results: map[string][]eval.Result{}}
	ids := interner{}
	for {
		line, err := l.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return eval.Run{}, err
		}
		f := bytes.Fields(line)
		if len(f) != 6 {
			return eval.Run{}, l.errorf("expected query, Q0, document, rank, score and tag, found %d columns", len(f))
		}
		query, doc := ids.intern(f[0]), ids.intern(f[2])
		for _, id := range []string{query, doc} {
			if err := checkID(id); err != nil {
				return eval.Run{}, l.errorf("%w", err)
			}
		}
		score, err := strconv.ParseFloat(string(f[4]), 64)
		if err != nil || math.IsNaN(score) {
			return eval.Run{}, l.errorf("expected a score, a number, found %q", f[4])
		}
		if run.Tag == "" {
			run.Tag = strings.ToValidUTF8(string(f[5]), replacement)
		}
		run.Results[query] = append(run.Results[query], eval.Result{ID: doc, Score: score})
	}
	// Lists are checked one by one at the end: a set of all pairs of a large
	// run would take more memory than the run.
	if err := run.Validate(); err != nil {
		return eval.Run{}, fmt.Errorf("%w: %s: %w", ErrFormat, l.source(), err)
	}
	return run, nil
}

// WriteRunFile writes a TREC run to a file, compressed where the name ends in
// .gz. See WriteRun.
func WriteRunFile(path string, run eval.Run) error {
	if err := checkRun(run); err != nil {
		return err // and leave the file as it was
	}
	return writeFile(path, func(w io.Writer) error { return WriteRun(w, run) })
}

// WriteRun writes a TREC run: queries in the order of their ids, results as
// eval.Rank orders them with ties by descending id, ranks from 1. Scores are
// written with the digits that give back the same float32. A run that would
// not read back (see eval.Run.Validate; also white space in an id, or a tag
// that is not one word) is an error that wraps ErrFormat, and then nothing is
// written. Queries without results leave no trace.
func WriteRun(w io.Writer, run eval.Run) error {
	if err := checkRun(run); err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	for _, query := range slices.Sorted(maps.Keys(run.Results)) {
		for i, res := range eval.Rank(run.Results[query], eval.TiesDescending) {
			score := strconv.FormatFloat(res.Score, 'g', -1, 32)
			fmt.Fprintf(out, "%s Q0 %s %d %s %s\n", query, res.ID, i+1, score, run.Tag)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("dataset: writing a run: %w", err)
	}
	return nil
}

func checkRun(run eval.Run) error {
	if len(strings.Fields(run.Tag)) != 1 || strings.TrimSpace(run.Tag) != run.Tag {
		return fmt.Errorf("%w: the tag %q of the run is not one word", ErrFormat, run.Tag)
	}
	if err := run.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	for query, results := range run.Results {
		if err := checkColumn(query); err != nil {
			return fmt.Errorf("%w: run: %w", ErrFormat, err)
		}
		for _, res := range results {
			if err := checkColumn(res.ID); err != nil {
				return fmt.Errorf("%w: run: query %q: %w", ErrFormat, query, err)
			}
		}
	}
	return nil
}
