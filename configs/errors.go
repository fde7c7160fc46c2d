package configs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"
)

// Sentinels wrapped by the errors of this package.
var (
	ErrUnknownKey = errors.New("unknown key")
	ErrValue      = errors.New("bad value")
	ErrFile       = errors.New("bad configuration file")
)

// Error is one fault of a configuration: where it was found, and in which key.
// Load and Validate join all of theirs with errors.Join.
type Error struct {
	Origin Origin // empty when a Config was validated by itself
	Line   int    // of a file that cannot be parsed, counted from 1; else 0, and where the parser does not tell
	Key    string // as "search.k"; for an unknown key, as it was written; empty for a file that cannot be parsed
	Err    error
	hint   string
}

// Error returns one line: origin, line, key and problem, as far as there are.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(string(e.Origin))
	if e.Line > 0 {
		fmt.Fprintf(&b, ", line %d", e.Line)
	}
	for _, part := range []string{e.Key, oneLine(e.Err).Error()} {
		if b.Len() > 0 && part != "" {
			b.WriteString(": ")
		}
		b.WriteString(part)
	}
	return b.String()
}

// Unwrap returns the cause, which wraps one of the sentinels.
func (e *Error) Unwrap() error { return e.Err }

// Hint returns what to do about the fault, or "" when nothing better is known.
func (e *Error) Hint() string { return e.hint }

// fileErrors returns what keeps a file from being read or parsed, as an *Error or
// several of them.
func fileErrors(origin Origin, data []byte, err error) error {
	if e, ok := errors.AsType[viper.ConfigParseError](err); ok {
		err = e.Unwrap()
	}
	if list, ok := errors.AsType[*yaml.TypeError](err); ok {
		var faults []error
		for _, text := range list.Errors {
			line, text := cutLine(text)
			faults = append(faults, &Error{Origin: origin, Line: line, Err: fmt.Errorf("%w: %s", ErrFile, text)})
		}
		return errors.Join(faults...)
	}
	fault := &Error{Origin: origin, Err: fmt.Errorf("%w: %w", ErrFile, err)}
	var position interface{ Position() (row, column int) } // of errors in TOML
	if text, ok := strings.CutPrefix(err.Error(), "yaml: "); ok {
		if fault.Line, text = cutLine(text); fault.Line > 0 {
			fault.Err = fmt.Errorf("%w: %s", ErrFile, text)
		}
	} else if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		fault.Line = lineOf(data, e.Offset)
	} else if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		fault.Line = lineOf(data, e.Offset)
	} else if errors.As(err, &position) {
		fault.Line, _ = position.Position()
	}
	return fault
}

var yamlLine = regexp.MustCompile(`^line (\d+): `)

// cutLine takes the line off an error of the YAML parser, which tells it only in its
// text; 0 if there is none.
func cutLine(text string) (line int, rest string) {
	match := yamlLine.FindStringSubmatch(text)
	if match == nil {
		return 0, text
	}
	line, _ = strconv.Atoi(match[1]) // digits, and fewer than a file in memory can have lines
	rest = text[len(match[0]):]
	if strings.HasPrefix(rest, "did not find expected ") {
		line++ // its grammar counts lines from 0, its scanner from 1
	}
	return line, rest
}

// lineOf returns the line in which a byte is, counted from 1.
func lineOf(data []byte, offset int64) int {
	offset = min(max(offset-1, 0), int64(len(data)))
	return 1 + bytes.Count(data[:offset], []byte("\n"))
}

// oneLine folds the parsers' messages of several lines into one.
func oneLine(err error) error {
	if text := err.Error(); strings.Contains(text, "\n") {
		return errors.New(strings.Join(strings.Fields(text), " "))
	}
	return err
}
