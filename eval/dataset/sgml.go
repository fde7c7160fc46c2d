package dataset

import (
	"errors"
	"fmt"
	"html"
	"io"
	"regexp"
	"strings"
)

// The files of TREC's disks look like SGML and are read here without a DTD, as
// everybody does: what counts is a handful of elements.
//
//	<DOC>                                  <top>
//	<DOCNO> FT911-3 </DOCNO>               <num> Number: 301
//	<HEADLINE> … </HEADLINE>               <title> International Organized Crime
//	<TEXT> … </TEXT>                       <desc> Description: …
//	</DOC>                                 <narr> Narrative: …
//	                                       </top>
//
// Names of elements are read in any case. The other markup of a document is
// replaced by a space, character references by their characters.

// markup is a tag, with its slash and name as submatches, or a comment.
var markup = regexp.MustCompile(`(?s)<!--.*?-->|<[?!]?(/?)([A-Za-z][A-Za-z0-9_.:-]*)[^<>]*>`)

// docFields says which elements of a document hold what. The names are those
// of the collections on TREC disks 1 to 5.
var docFields = map[string]string{
	"docno": "id",
	"title": "title", "headline": "title", "head": "title", "hl": "title", "ttl": "title",
	"text": "text", "lp": "text", "leadpara": "text", "summary": "text",
}

// elementReader cuts a file into elements of one name.
type elementReader struct {
	name       string
	begin, end *regexp.Regexp
	rest       string // of the last line read
}

func newElementReader(name string) *elementReader {
	return &elementReader{
		name:  name,
		begin: regexp.MustCompile(`(?i)<` + name + `(\s[^<>]*)?>`),
		end:   regexp.MustCompile(`(?i)</` + name + `\s*>`),
	}
}

// next returns what stands between the tags of the next element. Between
// elements there may be other tags, but no text.
func (e *elementReader) next(l *lineReader) (string, error) {
	for {
		at := e.begin.FindStringIndex(e.rest)
		between := e.rest
		if at != nil {
			between = e.rest[:at[0]]
		}
		if text := strings.TrimSpace(markup.ReplaceAllString(between, "")); text != "" {
			return "", l.errorf("expected <%s>, found %.40q", e.name, text)
		}
		if at != nil {
			e.rest = e.rest[at[1]:]
			break
		}
		line, err := l.next()
		if err != nil {
			e.rest = ""
			return "", err
		}
		e.rest = string(line)
	}

	first := l.line
	var body strings.Builder
	for {
		if at := e.end.FindStringIndex(e.rest); at != nil {
			body.WriteString(e.rest[:at[0]])
			e.rest = e.rest[at[1]:]
			return body.String(), nil
		}
		body.WriteString(e.rest)
		body.WriteByte('\n')
		if body.Len() > l.max {
			return "", l.errorf("the <%s> of line %d is longer than %d bytes", e.name, first, l.max)
		}
		line, err := l.next()
		if err == io.EOF {
			return "", l.errorf("the <%s> of line %d has no end </%[1]s>", e.name, first)
		}
		if err != nil {
			return "", err
		}
		e.rest = string(line)
	}
}

func (e *elementReader) nextDocument(l *lineReader) (Document, error) {
	body, err := e.next(l)
	if err != nil {
		return Document{}, err
	}
	doc, err := parseDoc(body)
	if err != nil {
		return Document{}, l.errorf("in the <DOC> that ends here: %w", err)
	}
	return doc, nil
}

func (e *elementReader) nextTopic(l *lineReader) (Query, error) {
	body, err := e.next(l)
	if err != nil {
		return Query{}, err
	}
	q, err := parseTopic(body)
	if err != nil {
		return Query{}, l.errorf("in the <top> that ends here: %w", err)
	}
	return q, nil
}

// parseDoc reads the inside of a <DOC>. A document without any element of text
// consists of all that is neither id nor title.
func parseDoc(body string) (Document, error) {
	var id, title, text, other strings.Builder
	sinks := map[string]*strings.Builder{"id": &id, "title": &title, "text": &text}
	ids, hasText := 0, false
	sink, inside := &other, "" // inside is the element that sink belongs to
	eachPiece(body, func(piece, name string, closing bool) {
		sink.WriteString(piece)
		sink.WriteByte(' ')
		field := docFields[name]
		switch {
		case inside == "" && !closing && field != "":
			sink, inside = sinks[field], name
			hasText = hasText || field == "text"
			if field == "id" {
				ids++
			}
		case inside != "" && closing && name == inside:
			sink, inside = &other, ""
		}
	})
	numbers := strings.Fields(id.String())
	if ids != 1 || len(numbers) != 1 {
		return Document{}, fmt.Errorf("expected one <DOCNO> with one word, found %d with %d words", ids, len(numbers))
	}
	if err := checkID(numbers[0]); err != nil {
		return Document{}, err
	}
	content := &text
	if !hasText {
		content = &other
	}
	return Document{
		ID:    numbers[0],
		Title: strings.Join(strings.Fields(plainText(title.String())), " "),
		Text:  strings.TrimSpace(plainText(content.String())),
	}, nil
}

// parseTopic reads the inside of a <top>. Elements have no end tags: each ends
// where the next begins. The text of the query is the title, or the
// description in the years whose topics have no title.
func parseTopic(body string) (Query, error) {
	fields := map[string]*strings.Builder{"num": {}, "title": {}, "desc": {}}
	inside := ""
	eachPiece(body, func(piece, name string, closing bool) {
		if b := fields[inside]; b != nil {
			b.WriteString(piece)
			b.WriteByte(' ')
		}
		if inside = name; closing {
			inside = ""
		}
	})
	field := func(name, label string) string {
		s := strings.Join(strings.Fields(plainText(fields[name].String())), " ")
		return strings.TrimSpace(strings.TrimPrefix(s, label))
	}
	q := Query{ID: field("num", "Number:"), Text: field("title", "Topic:")}
	if q.Text == "" {
		q.Text = field("desc", "Description:")
	}
	if q.ID == "" || strings.Contains(q.ID, " ") {
		return Query{}, fmt.Errorf("expected a <num> with one word, found %.40q", q.ID)
	}
	if err := checkID(q.ID); err != nil {
		return Query{}, err
	}
	if q.Text == "" {
		return Query{}, errors.New("expected a <title> or a <desc>")
	}
	return q, nil
}

// eachPiece calls f with every stretch of text and the tag behind it, whose
// name is in lower case. The name is empty for a comment and for the end of s.
func eachPiece(s string, f func(piece, name string, closing bool)) {
	from := 0
	for _, m := range markup.FindAllStringSubmatchIndex(s, -1) {
		name, closing := "", false
		if m[4] >= 0 {
			name, closing = strings.ToLower(s[m[4]:m[5]]), m[2] < m[3]
		}
		f(s[from:m[0]], name, closing)
		from = m[1]
	}
	f(s[from:], "", false)
}

func plainText(s string) string {
	return html.UnescapeString(strings.ToValidUTF8(s, replacement))
}
