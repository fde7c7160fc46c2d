package sweep

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/pare-search/pare/eval/report"
)

// Journal is the file that a study writes while it measures, so that it can stop
// at any time and go on later. It is text, one JSON object per line:
//
//	{"pare_sweep":1}                           the format, always the first line
//	{"fingerprint":"9f…","key":"03…",          what was measured: the collection,
//	 "result":{"name":"icf:4",…}}              the setting, and a report.Result
//
// The key stands for everything that a result depends on besides the collection and
// the measures, which it names. A result with the same fingerprint and key as one before replaces it. A last line
// that was cut off is removed when the file is opened again. A Journal is for one
// goroutine.
type Journal struct {
	file    *os.File
	results map[journalKey]report.Result
}

type journalKey struct{ fingerprint, key string }

// journalFormat is the version of the format.
const journalFormat = 1

type journalLine struct {
	Format      int            `json:"pare_sweep,omitempty"`
	Fingerprint string         `json:"fingerprint,omitempty"`
	Key         string         `json:"key,omitempty"`
	Result      *report.Result `json:"result,omitempty"`
}

// ErrJournal reports a file that is no journal.
var ErrJournal = errors.New("sweep: no journal")

// OpenJournal opens the journal in a file, or begins one. A file that is something
// else stays as it is; the error wraps ErrJournal.
func OpenJournal(path string) (*Journal, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	j := &Journal{file: file, results: map[journalKey]report.Result{}}
	if err := j.read(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), file.Close())
	}
	return j, nil
}

// read takes in all lines and leaves the file at the end of the last whole one.
func (j *Journal) read() error {
	in := bufio.NewReader(j.file)
	var end int64
	for number := 1; ; number++ {
		line, err := in.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return err
		}
		if err == io.EOF {
			if number == 1 && len(line) > 0 {
				return fmt.Errorf("%w: line 1 has no end", ErrJournal)
			}
			break
		}
		var entry journalLine
		if err := json.Unmarshal(bytes.TrimSpace(line), &entry); err != nil {
			return fmt.Errorf("%w: line %d: %w", ErrJournal, number, err)
		}
		switch {
		case number == 1 && entry.Format != journalFormat:
			return fmt.Errorf("%w: line 1 does not begin with {\"pare_sweep\":%d}", ErrJournal, journalFormat)
		case number > 1 && entry.Result == nil:
			return fmt.Errorf("%w: line %d has no result", ErrJournal, number)
		case number > 1:
			j.results[journalKey{entry.Fingerprint, entry.Key}] = *entry.Result
		}
		end += int64(len(line))
	}
	if err := j.file.Truncate(end); err != nil {
		return err
	}
	if _, err := j.file.Seek(end, io.SeekStart); err != nil {
		return err
	}
	if end == 0 {
		return j.append(journalLine{Format: journalFormat})
	}
	return nil
}

// Result returns what was measured before.
func (j *Journal) Result(fingerprint, key string) (report.Result, bool) {
	r, found := j.results[journalKey{fingerprint, key}]
	return r, found
}

// Add writes a result.
func (j *Journal) Add(fingerprint, key string, result report.Result) error {
	j.results[journalKey{fingerprint, key}] = result
	return j.append(journalLine{Fingerprint: fingerprint, Key: key, Result: &result})
}

func (j *Journal) append(line journalLine) error {
	data, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_, err = j.file.Write(append(data, '\n'))
	return err
}

// Close closes the file.
func (j *Journal) Close() error { return j.file.Close() }
