package dataset

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"strconv"
	"strings"
)

// format is how documents or queries are written in a file.
type format int

const (
	tsv   format = iota // id, tab, text
	jsonl               // one object per line
	sgml                // <DOC> or <top> elements
)

// format is told by the extension of the file, else by its first character.
func (l *lineReader) format() format {
	name := strings.ToLower(strings.TrimSuffix(l.name, ".gz"))
	switch filepath.Ext(name) {
	case ".jsonl", ".json":
		return jsonl
	case ".tsv":
		return tsv
	}
	// A failure to read shows again when the first line is read.
	head, _ := l.r.Peek(4096)
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte(byteOrderMark)), " \t\r\n")
	switch {
	case bytes.HasPrefix(head, []byte("{")):
		return jsonl
	case bytes.HasPrefix(head, []byte("<")):
		return sgml
	}
	return tsv
}

// parseDocuments yields documents in any of the formats.
func parseDocuments(l *lineReader) iter.Seq2[Document, error] {
	next := nextTSVDocument
	switch l.format() {
	case jsonl:
		next = nextJSONDocument
	case sgml:
		next = newElementReader("DOC").nextDocument
	}
	return func(yield func(Document, error) bool) {
		for {
			doc, err := next(l)
			if err == io.EOF || !yield(doc, err) || err != nil {
				return
			}
		}
	}
}

func nextTSVDocument(l *lineReader) (Document, error) {
	id, text, err := nextTSV(l)
	return Document{ID: id, Text: text}, err
}

func nextTSVQuery(l *lineReader) (Query, error) {
	id, text, err := nextTSV(l)
	return Query{ID: id, Text: text}, err
}

// nextTSV reads "id<TAB>text". Further tabs belong to the text.
func nextTSV(l *lineReader) (id, text string, err error) {
	line, err := l.next()
	if err != nil {
		return "", "", err
	}
	id, text, ok := strings.Cut(string(line), "\t")
	if !ok {
		return "", "", l.errorf("expected an id, a tab and a text, found no tab")
	}
	if err := checkID(id); err != nil {
		return "", "", l.errorf("%w", err)
	}
	return id, strings.ToValidUTF8(text, replacement), nil
}

// jsonID is an id written as a string or, in some collections, as a whole
// number.
type jsonID string

func (id *jsonID) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, (*string)(id))
	}
	if string(data) == "null" {
		return nil
	}
	if _, err := strconv.ParseInt(string(data), 10, 64); err != nil {
		return fmt.Errorf("the id %s is neither a string nor a whole number", data)
	}
	*id = jsonID(data)
	return nil
}

// nextJSONDocument reads {"_id", "title", "text"}; other members are ignored.
// Pyserini's "id" and "contents" and Tevatron's "docid" are understood too.
func nextJSONDocument(l *lineReader) (Document, error) {
	var v struct {
		BEIR     jsonID  `json:"_id"`
		Pyserini jsonID  `json:"id"`
		Tevatron jsonID  `json:"docid"`
		Title    string  `json:"title"`
		Text     *string `json:"text"`
		Contents *string `json:"contents"`
	}
	if err := nextJSON(l, &v); err != nil {
		return Document{}, err
	}
	doc := Document{Title: v.Title}
	if err := firstOf(&doc.ID, v.BEIR, v.Pyserini, v.Tevatron); err != nil {
		return Document{}, l.errorf(`%w: expected "_id", "title" and "text"`, err)
	}
	switch {
	case v.Text != nil:
		doc.Text = *v.Text
	case v.Contents != nil:
		doc.Text = *v.Contents
	default:
		return Document{}, l.errorf(`document %q has no "text"`, doc.ID)
	}
	return doc, nil
}

// nextJSONQuery reads {"_id", "text"}; other members are ignored. Tevatron's
// "query_id" and "query" are understood too.
func nextJSONQuery(l *lineReader) (Query, error) {
	var v struct {
		BEIR     jsonID  `json:"_id"`
		Plain    jsonID  `json:"id"`
		Tevatron jsonID  `json:"query_id"`
		Text     *string `json:"text"`
		Query    *string `json:"query"`
	}
	if err := nextJSON(l, &v); err != nil {
		return Query{}, err
	}
	var q Query
	if err := firstOf(&q.ID, v.BEIR, v.Plain, v.Tevatron); err != nil {
		return Query{}, l.errorf(`%w: expected "_id" and "text"`, err)
	}
	switch {
	case v.Text != nil:
		q.Text = *v.Text
	case v.Query != nil:
		q.Text = *v.Query
	default:
		return Query{}, l.errorf(`query %q has no "text"`, q.ID)
	}
	return q, nil
}

func nextJSON(l *lineReader, v any) error {
	line, err := l.next()
	if err != nil {
		return err
	}
	if err := json.Unmarshal(line, v); err != nil {
		return l.errorf("expected one JSON object: %w", err)
	}
	return nil
}

// firstOf sets id to the first candidate that is given.
func firstOf(id *string, candidates ...jsonID) error {
	for _, c := range candidates {
		if c != "" {
			*id = string(c)
			return checkID(*id)
		}
	}
	return errors.New("no id")
}

// ReadQueriesFileWith reads a file of queries in any of the formats: lines of id,
// tab and text, JSON objects, or TREC topics.
func ReadQueriesFileWith(path string, limits Limits) ([]Query, error) {
	if err := limits.Validate(); err != nil {
		return nil, err
	}
	return readFile(path, limits, parseQueries)
}

// parseQueries reads queries in any of the formats.
func parseQueries(l *lineReader) ([]Query, error) {
	next := nextTSVQuery
	switch l.format() {
	case jsonl:
		next = nextJSONQuery
	case sgml:
		next = newElementReader("top").nextTopic
	}
	var queries []Query
	lines := map[string]int{}
	for {
		q, err := next(l)
		if err == io.EOF {
			return queries, nil
		}
		if err != nil {
			return nil, err
		}
		if first := lines[q.ID]; first > 0 {
			return nil, l.errorf("query %q occurs twice, first in line %d", q.ID, first)
		}
		lines[q.ID] = l.line
		queries = append(queries, q)
	}
}
