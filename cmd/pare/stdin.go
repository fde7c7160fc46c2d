package main

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// query is a query with the name it has in the output.
type query struct {
	id, text string
}

// oneQuery wants exactly one argument.
func oneQuery(c *cobra.Command, args []string) error {
	switch len(args) {
	case 1:
		return nil
	case 0:
		return usage(fmt.Errorf("%q needs a query", c.CommandPath()), "")
	default:
		return usage(fmt.Errorf("%q takes one query, got %d arguments", c.CommandPath(), len(args)),
			"put a query of several words into quotes")
	}
}

// noWords is the error of a query that there is nothing to look for in.
func noWords(text string) error {
	if strings.TrimSpace(text) == "" {
		return usage(fmt.Errorf("the query is empty"), "")
	}
	return usage(fmt.Errorf("the query %q has no words", text), "")
}

// readQueries yields the queries of stdin, one per line, named by the line's
// number or, in lines "id<TAB>text", by the id.
func readQueries(r io.Reader) iter.Seq2[query, error] {
	return func(yield func(query, error) bool) {
		number := 0
		for line, err := range lines(r) {
			if number++; number == 1 {
				line = strings.TrimPrefix(line, "\ufeff")
			}
			q := query{strconv.Itoa(number), line}
			if id, text, named := strings.Cut(line, "\t"); named {
				q.text = text
				if id = strings.TrimSpace(id); id != "" {
					q.id = id
				}
			}
			if !yield(q, err) || err != nil {
				return
			}
		}
	}
}

// readLines returns all lines.
func readLines(r io.Reader) ([]string, error) {
	var all []string
	for line, err := range lines(r) {
		if err != nil {
			return nil, err
		}
		all = append(all, line)
	}
	return all, nil
}

// lines yields lines of any length, without their ends.
func lines(r io.Reader) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		buffered := bufio.NewReader(r)
		for {
			line, err := buffered.ReadString('\n')
			if line == "" && err == io.EOF {
				return
			}
			if err == io.EOF {
				err = nil
			}
			if err != nil {
				err = fmt.Errorf("reading lines: %w", err)
			}
			line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
			if !yield(line, err) || err != nil {
				return
			}
		}
	}
}

// noteTyping tells somebody who sits before a waiting program what it waits for.
func (a *app) noteTyping(c *cobra.Command, what string) {
	if f, ok := c.InOrStdin().(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		a.note(c.ErrOrStderr(), "reading %s from the terminal, one per line, until end of file", what)
	}
}
