package bert

import (
	"cmp"
	"slices"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// class is what a code point is besides a letter. BERT's rules come from the
// reference implementation (bert/tokenization.py), the tables from the package
// whose ids must be met.
type class uint8

const (
	removed     class = 1 << iota // controls and formats, when the text is cleaned
	blank                         // separates words
	ideograph                     // a word of its own
	mark                          // a nonspacing mark, dropped with the accents
	punctuation                   // a word of its own
)

type classRange struct {
	lo, hi rune
	class  class
}

var asciiClasses = func() (table [utf8.RuneSelf]class) {
	for r := range table {
		table[r] = searchClass(rune(r))
	}
	return table
}()

func searchClass(r rune) class {
	i, _ := slices.BinarySearchFunc(classRanges, r, func(c classRange, r rune) int { return cmp.Compare(c.hi, r) })
	if i < len(classRanges) && classRanges[i].lo <= r {
		return classRanges[i].class
	}
	return 0
}

// normalizer is a BertNormalizer of tokenizer.json.
type normalizer struct {
	clean, splitIdeographs, stripAccents, lowercase bool
}

// normalized is a text after normalisation, with the bytes of the original
// that each byte stands for. A text of 2 GiB or more is cut there.
type normalized struct {
	text     []byte
	from, to []int32 // for each byte of text

	marks []combining // a run of combining characters that awaits its order
}

// combining is a character with a canonical combining class above zero.
type combining struct {
	r        rune
	class    uint8
	from, to int32
}

func (n *normalized) reset() { n.text, n.from, n.to = n.text[:0], n.from[:0], n.to[:0] }

// span returns the part of the original that text[start:end] stands for.
func (n *normalized) span(start, end int) (from, to int) {
	from, to = int(n.from[start]), int(n.to[end-1])
	return from, max(from, to)
}

// appendByte appends an ASCII character.
func (n *normalized) appendByte(b byte, from, to int32) {
	n.text, n.from, n.to = append(n.text, b), append(n.from, from), append(n.to, to)
}

func (n *normalized) appendRune(r rune, from, to int32) {
	n.text = utf8.AppendRune(n.text, r)
	for len(n.from) < len(n.text) {
		n.from, n.to = append(n.from, from), append(n.to, to)
	}
}

// flush appends the waiting combining characters in canonical order.
func (n *normalized) flush(lowercase bool) {
	if len(n.marks) == 0 {
		return
	}
	slices.SortStableFunc(n.marks, func(a, b combining) int { return cmp.Compare(a.class, b.class) })
	for _, m := range n.marks {
		n.appendLower(m.r, m.from, m.to, lowercase)
	}
	n.marks = n.marks[:0]
}

func (n *normalized) appendLower(r rune, from, to int32, lowercase bool) {
	if lowercase {
		if r == 'İ' { // the one letter whose small form is two characters
			n.appendRune('i', from, to)
			r = '\u0307'
		}
		r = toLower(r)
	}
	n.appendRune(r, from, to)
}

// toLower knows the capitals of Unicode 16 and 17 besides Go's.
func toLower(r rune) rune {
	switch {
	case r == 0x1C89, r == 0xA7CC, r == 0xA7CE, r == 0xA7D2, r == 0xA7D4, r == 0xA7DA:
		return r + 1
	case r == 0xA7CB:
		return 0x264
	case r == 0xA7DC:
		return 0x19B
	case 0x10D50 <= r && r <= 0x10D65:
		return r + 0x20
	case 0x16EA0 <= r && r <= 0x16EB8:
		return r + 0x1B
	}
	return unicode.ToLower(r)
}

// append normalises text, which begins at byte offset of the original, and
// appends it to out. A mark that is dropped belongs to the character before it.
func (o normalizer) append(out *normalized, text string, offset int) {
	for i := 0; i < len(text); {
		from := int32(offset + i)
		if b := text[i]; b < utf8.RuneSelf {
			i++
			out.flush(o.lowercase)
			c := asciiClasses[b]
			switch {
			case o.clean && c&removed != 0:
			case o.clean && c&blank != 0:
				out.appendByte(' ', from, from+1)
			case o.lowercase && 'A' <= b && b <= 'Z':
				out.appendByte(b+'a'-'A', from, from+1)
			default:
				out.appendByte(b, from, from+1)
			}
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:]) // U+FFFD for a byte that is no UTF-8
		source := text[i : i+size]
		i += size
		to := from + int32(size)
		c := searchClass(r)
		switch {
		case o.clean && c&removed != 0:
		case o.clean && c&blank != 0:
			out.flush(o.lowercase)
			out.appendByte(' ', from, to)
		case o.splitIdeographs && c&ideograph != 0:
			out.flush(o.lowercase)
			out.appendByte(' ', from, from)
			o.appendRune(out, r, source, from, to)
			out.flush(o.lowercase)
			out.appendByte(' ', to, to)
		case o.stripAccents && c&mark != 0:
			if last := len(out.to) - 1; last >= 0 && len(out.marks) == 0 && out.to[last] == from {
				out.to[last] = to
			}
		default:
			o.appendRune(out, r, source, from, to)
		}
	}
	out.flush(o.lowercase)
}

// appendRune appends a character, decomposed and without its accents if they
// are stripped. source holds its bytes.
func (o normalizer) appendRune(out *normalized, r rune, source string, from, to int32) {
	if !o.stripAccents {
		out.appendLower(r, from, to, o.lowercase)
		return
	}
	if hangulFirst <= r && r <= hangulLast {
		o.appendHangul(out, r-hangulFirst, from, to)
		return
	}
	properties := norm.NFD.PropertiesString(source)
	decomposition := properties.Decomposition()
	if decomposition == nil {
		o.appendDecomposed(out, r, properties.CCC(), from, to)
		return
	}
	for i := 0; i < len(decomposition); {
		part, size := utf8.DecodeRune(decomposition[i:])
		if searchClass(part)&mark == 0 {
			o.appendDecomposed(out, part, norm.NFD.Properties(decomposition[i:i+size]).CCC(), from, to)
		}
		i += size
	}
}

// Syllables of Hangul are decomposed by arithmetic (Unicode, section 3.12).
const (
	hangulFirst, hangulLast                = 0xAC00, 0xD7A3
	leadingFirst, vowelFirst, trailingBase = 0x1100, 0x1161, 0x11A7
	vowels, trailings                      = 21, 28
)

func (o normalizer) appendHangul(out *normalized, syllable rune, from, to int32) {
	o.appendDecomposed(out, leadingFirst+syllable/(vowels*trailings), 0, from, to)
	o.appendDecomposed(out, vowelFirst+syllable/trailings%vowels, 0, from, to)
	if trailing := syllable % trailings; trailing > 0 {
		o.appendDecomposed(out, trailingBase+trailing, 0, from, to)
	}
}

func (o normalizer) appendDecomposed(out *normalized, r rune, combiningClass uint8, from, to int32) {
	if combiningClass > 0 {
		out.marks = append(out.marks, combining{r, combiningClass, from, to})
		return
	}
	out.flush(o.lowercase)
	out.appendLower(r, from, to, o.lowercase)
}
