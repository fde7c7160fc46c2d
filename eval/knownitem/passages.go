package knownitem

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// passage is a document in the making and the sentences that could be asked
// for.
type passage struct {
	id, title, text string
	candidates      []candidate
}

// candidate is a sentence of a passage as a query, and where it stands.
type candidate struct {
	query      string
	start, end int // bytes of the passage's text
}

// block is a run of whole lines that belong together: a paragraph, a code
// fence, a declaration.
type block struct {
	heading string
	text    string
	kind    blockKind
}

type blockKind int

const (
	prose   blockKind = iota // sentences everywhere
	code                     // sentences in comment lines only
	literal                  // no sentences: fenced code, tables
)

// minPassageWords is the number of words below which a piece says too little
// to be found or read: a lone heading, an import, a closing line.
const minPassageWords = 5

// splitter cuts files into passages of a bounded number of words.
type splitter struct {
	minWords, maxWords int
	minContentWords    int
}

// passages packs blocks into passages: blocks of the same heading are joined
// until the passage has minWords, blocks over maxWords are cut. It returns how
// many pieces were too short to keep.
func (s splitter) passages(file string, blocks []block) (passages []passage, short int) {
	var open []block // of one passage
	size := 0
	flush := func() {
		if size > 0 && size < minPassageWords {
			short++
		} else if size > 0 {
			p := s.join(open)
			p.candidates = slices.DeleteFunc(p.candidates, func(c candidate) bool {
				return size-len(words(c.query)) < s.minWords/4 // too little would be left
			})
			p.id = fmt.Sprintf("%s#%d", noSpace(file), len(passages)+1)
			p.title = file
			if open[0].heading != "" {
				p.title += " — " + open[0].heading
			}
			passages = append(passages, p)
		}
		open, size = nil, 0
	}
	for _, b := range s.cut(blocks) {
		n := len(words(b.text))
		if n == 0 {
			continue
		}
		if len(open) > 0 && (b.heading != open[0].heading || size >= s.minWords || size+n > s.maxWords) {
			flush()
		}
		open, size = append(open, b), size+n
	}
	flush()
	return passages, short
}

// join makes one passage of blocks and finds its sentences.
func (s splitter) join(blocks []block) passage {
	var p passage
	for i, b := range blocks {
		if i > 0 {
			p.text += "\n\n"
		}
		offset := len(p.text)
		p.text += b.text
		if b.kind == literal {
			continue
		}
		for _, view := range sentenceViews(b) {
			for _, c := range s.sentences(view) {
				p.candidates = append(p.candidates, candidate{c.query, offset + c.start, offset + c.end})
			}
		}
	}
	return p
}

// cut splits blocks over maxWords, at line ends where possible.
func (s splitter) cut(blocks []block) []block {
	var out []block
	for _, b := range blocks {
		size, start, lineEnd := 0, 0, 0
		inWord := false
		for i, r := range b.text {
			isWord := unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)
			if isWord && !inWord {
				size++
			}
			inWord = isWord
			if r == '\n' {
				lineEnd = i
			}
			if size > s.maxWords {
				end := i // a single line that long: between two words
				if lineEnd > start {
					end = lineEnd
				}
				out = append(out, block{b.heading, strings.Trim(b.text[start:end], "\n"), b.kind})
				start, lineEnd = end, 0
				size = len(words(b.text[start : i+utf8.RuneLen(r)]))
			}
		}
		out = append(out, block{b.heading, strings.Trim(b.text[start:], "\n"), b.kind})
	}
	return out
}

// view is text to read sentences from, with the place of each of its bytes in
// the block.
type view struct {
	text  string
	place []int
}

// sentenceViews returns the readable parts of a block: all of a paragraph, the
// comments of code without their markers.
func sentenceViews(b block) []view {
	var views []view
	var text strings.Builder // not a string: a block may have many lines
	var place []int
	flush := func() {
		if text.Len() > 0 {
			views = append(views, view{text.String(), place})
		}
		text.Reset()
		place = nil
	}
	offset := 0
	for line := range strings.Lines(b.text) {
		body := strings.TrimRight(line, "\r\n")
		marker := lineMarker.FindString(body)
		if b.kind == code && !commentMarker.MatchString(marker) {
			flush()
			offset += len(line)
			continue
		}
		if strings.TrimSpace(body) == "" || listMarker.MatchString(marker) {
			flush()
		}
		body = body[len(marker):]
		if b.kind == code {
			body = strings.TrimSuffix(body, "*/")
		}
		for i := range len(body) + 1 {
			place = append(place, offset+len(marker)+i)
		}
		text.WriteString(body)
		text.WriteByte(' ')
		offset += len(line)
	}
	flush()
	return views
}

var (
	// lineMarker is what may stand before the words of a line: indentation,
	// comment, quotation and list markers.
	lineMarker = regexp.MustCompile(`^\s*(?:(?:///?!?|//!|#+|--+|;+|%+|/\*+!?|\*+|>|[-+•]|\d{1,3}[.)])(?:\s+|$))*`)
	// commentMarker tells the markers that start a comment in some language.
	commentMarker = regexp.MustCompile(`^\s*(?://|#|--|;|%|/\*|\*)`)
	// listMarker tells the markers that start an item of a list.
	listMarker = regexp.MustCompile(`^\s*(?:[-+•*]|\d{1,3}[.)])\s`)
)

// The length of a query in words.
const (
	minQueryWords = 6
	maxQueryWords = 25
)

// sentences returns the sentences that could be queries.
func (s splitter) sentences(v view) []candidate {
	var found []candidate
	start := 0
	for end := range sentenceEnds(v.text) {
		first := start + len(v.text[start:end]) - len(strings.TrimLeftFunc(v.text[start:end], unicode.IsSpace))
		sentence := strings.TrimSpace(v.text[start:end])
		start = end
		if !s.askable(sentence) {
			continue
		}
		last := first + len(sentence) - 1
		found = append(found, candidate{
			query: strings.Join(strings.Fields(sentence), " "),
			start: v.place[first],
			end:   v.place[last] + 1,
		})
	}
	return found
}

// askable reports whether a sentence would make a query: the right length,
// whole, and words rather than figures, paths or markup.
func (s splitter) askable(sentence string) bool {
	if n := len(words(sentence)); n < minQueryWords || n > maxQueryWords {
		return false
	}
	// A piece of a sentence, cut by a line that is no prose?
	first, _ := utf8.DecodeRuneInString(sentence)
	if unicode.IsLower(first) || !strings.ContainsAny(sentence[max(0, len(sentence)-2):], ".!?") {
		return false
	}
	if abbreviated(strings.TrimSuffix(sentence, ".")) && strings.HasSuffix(sentence, ".") {
		return false // goes on after an example: "e.g."
	}
	if strings.Contains(sentence, "://") || strings.ContainsAny(sentence, "|{}<>=") {
		return false
	}
	letters, marks := 0, 0
	for _, r := range sentence {
		switch {
		case unicode.IsLetter(r):
			letters++
		case !unicode.IsSpace(r):
			marks++
		}
	}
	return letters >= 4*marks && len(contentWords(sentence)) >= s.minContentWords
}

// sentenceEnds yields the ends of the sentences of text, the last of which is
// the end of text. A sentence ends at . ! or ? before a space and something
// that is no small letter, unless the dot closes an abbreviation or initial.
func sentenceEnds(text string) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for i := 0; i < len(text)-1; i++ {
			if text[i] != '.' && text[i] != '!' && text[i] != '?' {
				continue
			}
			end := i + 1
			for end < len(text) && strings.IndexByte(`"')]*_`+"`", text[end]) >= 0 {
				end++
			}
			rest := strings.TrimLeftFunc(text[end:], unicode.IsSpace)
			if len(rest) == len(text[end:]) || rest == "" {
				continue
			}
			if next, _ := utf8.DecodeRuneInString(rest); unicode.IsLower(next) {
				continue
			}
			if text[i] == '.' && abbreviated(text[:i]) {
				continue
			}
			if !yield(end) {
				return
			}
			i = end - 1
		}
		yield(len(text))
	}
}

// abbreviated reports whether text ends in an initial or an abbreviation whose
// full stop does not end a sentence.
func abbreviated(text string) bool {
	word := text[strings.LastIndexAny(text, " \t(")+1:]
	if strings.Contains(word, ".") || len(word) == 1 && unicode.IsUpper(rune(word[0])) {
		return true
	}
	switch strings.ToLower(word) {
	case "mr", "mrs", "dr", "prof", "st", "vs", "cf", "eq", "fig", "no", "vol", "pp", "ed", "al":
		return true
	}
	return false
}

// markdownBlocks cuts Markdown at headings, blank lines and fences. Front
// matter is left out.
func markdownBlocks(text string) []block {
	var (
		blocks   []block
		headings []string // the path of headings, by level
		lines    []string
		fence    string
	)
	heading := func() string {
		var path []string
		for _, h := range headings {
			if h != "" {
				path = append(path, h)
			}
		}
		return strings.Join(path, " > ")
	}
	flush := func(kind blockKind) {
		if len(lines) > 0 {
			blocks = append(blocks, block{heading(), strings.Join(lines, "\n"), kind})
		}
		lines = nil
	}
	enter := func(level int, title string) {
		for len(headings) < level {
			headings = append(headings, "")
		}
		headings = append(headings[:level-1], title)
	}
	for line := range strings.Lines(frontMatter.ReplaceAllString(text, "")) {
		line = strings.TrimRight(line, " \t\r\n")
		trimmed := strings.TrimLeft(line, " ")
		switch {
		case fence != "":
			lines = append(lines, line)
			if strings.HasPrefix(trimmed, fence) {
				fence = ""
				flush(literal)
			}
		case strings.HasPrefix(trimmed, "```"), strings.HasPrefix(trimmed, "~~~"):
			flush(prose)
			fence = trimmed[:3]
			lines = append(lines, line)
		case line == "":
			flush(prose)
		case atxHeading.MatchString(line):
			flush(prose)
			level := strings.IndexFunc(line, func(r rune) bool { return r != '#' })
			enter(level, strings.TrimSpace(strings.Trim(line, "# ")))
		case len(lines) == 1 && setextHeading.MatchString(line):
			title := strings.TrimSpace(lines[0])
			lines = nil
			enter(map[byte]int{'=': 1, '-': 2}[line[0]], title)
		case strings.HasPrefix(trimmed, "|"):
			flush(prose)
			lines = append(lines, line)
			flush(literal)
		default:
			lines = append(lines, line)
		}
	}
	if fence != "" {
		flush(literal)
	}
	flush(prose)
	return blocks
}

var (
	frontMatter   = regexp.MustCompile(`\A---\r?\n(?s:.*?)\n---\r?\n`)
	atxHeading    = regexp.MustCompile(`^#{1,6}[ \t]+\S`)
	setextHeading = regexp.MustCompile(`^(=+|-{2,})$`)
)

// textBlocks cuts text at blank lines.
func textBlocks(text string) []block {
	var blocks []block
	for _, paragraph := range blankLines.Split(text, -1) {
		blocks = append(blocks, block{text: strings.Trim(paragraph, "\r\n"), kind: prose})
	}
	return blocks
}

var blankLines = regexp.MustCompile(`\n[ \t\r]*\n`)

// sourceBlocks cuts source at blank lines before a line without indentation,
// so that a comment stays with its declaration and a body stays whole. The
// heading is the first line that is no comment.
func sourceBlocks(text string) []block {
	var blocks []block
	var lines []string
	heading := ""
	flush := func() {
		if text := strings.Trim(strings.Join(lines, "\n"), "\n"); text != "" {
			blocks = append(blocks, block{heading, text, code})
		}
		lines, heading = nil, ""
	}
	blank := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \t\r\n")
		first, _ := utf8.DecodeRuneInString(line)
		if blank && line != "" && !unicode.IsSpace(first) && first != '}' && first != ')' {
			flush()
		}
		blank = line == ""
		if heading == "" && words(line) != nil && !commentMarker.MatchString(line) {
			heading = strings.TrimRight(strings.TrimSpace(line), " {:")
			if len(heading) > 80 {
				heading = strings.ToValidUTF8(heading[:80], "") + "…"
			}
		}
		lines = append(lines, line)
	}
	flush()
	return blocks
}

// noSpace makes an id of a path: TREC files separate fields by white space.
func noSpace(path string) string {
	var id strings.Builder
	for _, r := range path {
		if unicode.IsSpace(r) || r == '%' {
			fmt.Fprintf(&id, "%%%02X", r)
		} else {
			id.WriteRune(r)
		}
	}
	return id.String()
}
