package bert

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/pare-search/pare/encoder"
)

// Tokenizer cuts texts into the word pieces of a BERT vocabulary (WordPiece,
// Wu et al. 2016), with the ids of the tokenizers package on PyPI. It is
// immutable and safe for concurrent use.
type Tokenizer struct {
	normalizer normalizer
	pieces     []string          // by id, "" where there is none
	added      map[string]uint32 // tokens that are no part of words
	starts     map[string]uint32 // pieces that begin a word
	inside     map[string]uint32 // pieces that continue one, without their prefix
	longest    int               // bytes of the longest key of both
	unknown    uint32
	maxRunes   int // of a word that is looked up at all

	before, after []uint32 // ids around every text

	raw, folded matcher   // added tokens, sought before and after normalisation
	scratch     sync.Pool // of *normalized
}

// Pieces are the word pieces of a text: an id and the bytes of the text that it
// stands for, per piece.
type Pieces struct {
	IDs   []uint32
	Spans []encoder.Span
}

func (p *Pieces) add(id uint32, from, to int) {
	p.IDs = append(p.IDs, id)
	p.Spans = append(p.Spans, encoder.Span{Start: from, End: to})
}

// LoadTokenizer reads a tokenizer.json.
func LoadTokenizer(path string) (*Tokenizer, error) {
	data, err := readSmallFile(path, maxTokenizerBytes)
	if err != nil {
		return nil, err
	}
	t, err := ParseTokenizer(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// Size is one more than the largest id.
func (t *Tokenizer) Size() int { return len(t.pieces) }

// Piece returns the piece of an id as it stands in the vocabulary, "##" before
// one that continues a word. It returns "" for ids that are not used.
func (t *Tokenizer) Piece(id uint32) string {
	if int64(id) >= int64(len(t.pieces)) {
		return ""
	}
	return t.pieces[id]
}

// ID returns the id of a piece.
func (t *Tokenizer) ID(piece string) (id uint32, ok bool) {
	if id, ok = t.added[piece]; !ok {
		id, ok = t.starts[piece]
	}
	return id, ok
}

// Special returns the ids that stand before and after every text, such as
// [CLS] and [SEP]. Tokenize does not add them.
func (t *Tokenizer) Special() (before, after []uint32) { return t.before, t.after }

// Tokenize returns the pieces of a text, the first limit of them. Added tokens
// such as "[MASK]" that are written in the text become their own ids. A
// piece's span includes the combining marks that normalisation dropped behind
// it. Bytes that are not UTF-8 are taken for U+FFFD.
func (t *Tokenizer) Tokenize(text string, limit int) Pieces {
	var out Pieces
	if len(text) > maxTextBytes {
		text = text[:maxTextBytes]
	}
	n := t.scratch.Get().(*normalized)
	for from := 0; from < len(text) && len(out.IDs) < limit; {
		m, found := t.raw.find(text, from)
		end := len(text)
		if found {
			end = m.from
		}
		for from < end && len(out.IDs) < limit {
			part := t.part(text[from:end])
			n.reset()
			t.normalizer.append(n, part, from)
			t.split(&out, n, limit)
			from += len(part)
		}
		if !found {
			break
		}
		if len(out.IDs) < limit {
			out.add(m.id, m.from, m.to)
		}
		from = m.to
	}
	if cap(n.text) <= maxScratchBytes {
		t.scratch.Put(n)
	}
	return out
}

// part returns the beginning of a text, which is normalised at once: no more of
// a long one than it takes to fill a document. It ends at a blank, over which
// nothing reaches: neither words nor what normalisation puts in order. Added
// tokens that are sought after normalisation may do so.
func (t *Tokenizer) part(text string) string {
	if len(t.folded.tokens) > 0 {
		return text
	}
	for i := partBytes; i < len(text); i++ {
		if b := text[i]; b < utf8.RuneSelf && asciiClasses[b] == blank {
			return text[:i+1]
		}
	}
	return text
}

const (
	partBytes         = 4 << 10
	maxTextBytes      = 1<<31 - 1 // what the offsets of normalized can tell
	maxScratchBytes   = 1 << 20   // kept between texts
	maxTokenizerBytes = 64 << 20
)

// split finds the added tokens and the words of a normalised text.
func (t *Tokenizer) split(out *Pieces, n *normalized, limit int) {
	if len(t.folded.tokens) == 0 {
		t.words(out, n, 0, len(n.text), limit)
		return
	}
	text := string(n.text)
	for from := 0; from < len(text) && len(out.IDs) < limit; {
		m, found := t.folded.find(text, from)
		if !found {
			t.words(out, n, from, len(text), limit)
			return
		}
		t.words(out, n, from, m.from, limit)
		if len(out.IDs) < limit {
			start, end := n.span(m.from, m.to)
			out.add(m.id, start, end)
		}
		from = m.to
	}
}

// words cuts text[lo:hi] at spaces and around punctuation.
func (t *Tokenizer) words(out *Pieces, n *normalized, lo, hi, limit int) {
	start := lo
	for i := lo; i < hi && len(out.IDs) < limit; {
		var c class
		size := 1
		if b := n.text[i]; b < utf8.RuneSelf {
			c = asciiClasses[b]
		} else {
			var r rune
			r, size = utf8.DecodeRune(n.text[i:hi])
			c = searchClass(r)
		}
		if c&(blank|punctuation) != 0 {
			t.word(out, n, start, i, limit)
			if c&blank == 0 && len(out.IDs) < limit {
				t.word(out, n, i, i+size, limit)
			}
			start = i + size
		}
		i += size
	}
	if len(out.IDs) < limit {
		t.word(out, n, start, hi, limit)
	}
}

// word appends the pieces of the word text[lo:hi]: the longest piece that it
// begins with, again and again, or the unknown piece alone when that does not
// reach the end.
func (t *Tokenizer) word(out *Pieces, n *normalized, lo, hi, limit int) {
	if lo == hi {
		return
	}
	word := n.text[lo:hi]
	if id, ok := t.starts[string(word)]; ok && len(word) <= t.maxRunes {
		from, to := n.span(lo, hi)
		out.add(id, from, to)
		return
	}
	first := len(out.IDs)
	known := len(word) <= t.maxRunes || utf8.RuneCount(word) <= t.maxRunes
	table := t.starts
	for start := 0; known && start < len(word); {
		end := min(len(word), start+t.longest)
		for ; end > start; end-- {
			if id, ok := table[string(word[start:end])]; ok {
				from, to := n.span(lo+start, lo+end)
				out.add(id, from, to)
				break
			}
		}
		known = end > start
		start, table = end, t.inside
	}
	if !known {
		from, to := n.span(lo, hi)
		out.IDs, out.Spans = out.IDs[:first], out.Spans[:first]
		out.add(t.unknown, from, to)
	}
	if len(out.IDs) > limit {
		out.IDs, out.Spans = out.IDs[:limit], out.Spans[:limit]
	}
}

// addedToken is a token that is sought in the text before words are.
type addedToken struct {
	content                    string
	id                         uint32
	singleWord, lstrip, rstrip bool
}

// matcher finds added tokens: the leftmost, of several at one place the
// longest.
type matcher struct {
	tokens  []addedToken // longest first
	isFirst [256]bool
}

func newMatcher(tokens []addedToken) matcher {
	slices.SortStableFunc(tokens, func(a, b addedToken) int { return cmp.Compare(len(b.content), len(a.content)) })
	m := matcher{tokens: tokens}
	for _, token := range tokens {
		m.isFirst[token.content[0]] = true
	}
	return m
}

type match struct {
	id       uint32
	from, to int
}

// find returns the first match in text[start:], with the spaces around it that
// the token takes along.
func (m *matcher) find(text string, start int) (match, bool) {
	if len(m.tokens) == 0 {
		return match{}, false
	}
	for i := start; i < len(text); i++ {
		if !m.isFirst[text[i]] {
			continue
		}
		token, ok := m.at(text, i)
		if !ok {
			continue
		}
		from, to := i, i+len(token.content)
		if token.singleWord && (endsWithWord(text[:from]) || startsWithWord(text[to:])) {
			i = to - 1
			continue
		}
		if token.lstrip {
			from = max(start, len(strings.TrimRightFunc(text[:from], unicode.IsSpace)))
		}
		if token.rstrip {
			to = len(text) - len(strings.TrimLeftFunc(text[to:], unicode.IsSpace))
		}
		return match{token.id, from, to}, true
	}
	return match{}, false
}

func (m *matcher) at(text string, i int) (addedToken, bool) {
	for _, token := range m.tokens {
		if strings.HasPrefix(text[i:], token.content) {
			return token, true
		}
	}
	return addedToken{}, false
}

func startsWithWord(s string) bool {
	r, size := utf8.DecodeRuneInString(s)
	return size > 0 && isWordRune(r)
}

func endsWithWord(s string) bool {
	r, size := utf8.DecodeLastRuneInString(s)
	return size > 0 && isWordRune(r)
}

// isWordRune is \w of Unicode's regular expressions (UTS 18, annex C).
func isWordRune(r rune) bool {
	return unicode.In(r, unicode.L, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic, unicode.Join_Control)
}
