package corpus

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/pare-search/pare/encoder/table"
	"github.com/pare-search/pare/internal/fields"
)

// The saved form of an encoder, little endian:
//
//	offset  bytes       field
//	0       8           magic "PAREWORD"
//	8       4           version, 2
//	12      4           Dim
//	16      4           Window
//	20      1           SplitCode, 0 or 1
//	21      1           Attention
//	22      1           length of Language
//	23      ...         Language
//	        8, 8        LocalMix, GlobalMix (IEEE 754 double)
//	        8           MinDocumentFrequency
//	        8           MaxVocabulary
//	        8           MaxTrainingTokens
//	        8           Seed
//	        8           texts: number of texts trained on
//	        4           dropped: largest document frequency of a word left out
//	        4           words: V, the number of words
//	        4 x V       document frequencies, falling
//	        1 x V       lengths of the words in bytes, at least 1
//	        ...         the words, UTF-8, without separators, no two alike
//	        1           0 if vectors follow as codes, 1 if as a table
//	        Dim x V     codes: int8, never -128, no row all zero
//	        4           or: length of the table
//	        ...         the table, see package table
//	        4           CRC-32C of everything before
//
// A row's scale is not stored: rows have length 1, so that it is one over the
// length of the row's codes. Everything has one encoding only, which makes the
// hash of these bytes a fingerprint of the encoder.

const (
	magic   = "PAREWORD"
	version = 2 // 2: vectors may be a table, Attention; 1: first version
)

// ErrCorrupt reports saved bytes that are no encoder or are damaged,
// ErrVersion ones of a version that this package does not read. The error text
// names the field.
var (
	ErrCorrupt = errors.New("corpus: corrupt encoder")
	ErrVersion = errors.New("corpus: unsupported encoder version")
)

// MarshalBinary returns the saved form, about Dim + 5 bytes and the word
// itself per word. It never fails.
func (e *Encoder) MarshalBinary() ([]byte, error) {
	o, v := e.opts, e.vocab
	words := strings.Join(v.words, "")
	le := binary.LittleEndian
	b := make([]byte, 0, 128+v.size()*(o.Dim+5)+len(words))
	b = append(b, fields.Begin(magic, version)...)
	b = le.AppendUint32(b, uint32(o.Dim))
	b = le.AppendUint32(b, uint32(o.Window))
	if o.SplitCode {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	b = append(b, byte(o.Attention), byte(len(o.Language)))
	b = append(b, o.Language...)
	b = le.AppendUint64(b, math.Float64bits(o.LocalMix))
	b = le.AppendUint64(b, math.Float64bits(o.GlobalMix))
	b = le.AppendUint64(b, uint64(o.MinDocumentFrequency))
	b = le.AppendUint64(b, uint64(o.MaxVocabulary))
	b = le.AppendUint64(b, uint64(o.MaxTrainingTokens))
	b = le.AppendUint64(b, o.Seed)
	b = le.AppendUint64(b, v.texts)
	b = le.AppendUint32(b, v.dropped)
	b = le.AppendUint32(b, uint32(v.size()))
	for _, df := range v.df {
		b = le.AppendUint32(b, df)
	}
	for _, word := range v.words {
		b = append(b, byte(len(word)))
	}
	b = append(b, words...)
	return fields.Seal(e.words.append(b)), nil
}

// Load reads what MarshalBinary wrote. It accepts any bytes and keeps no
// reference to them; errors wrap ErrCorrupt or ErrVersion and name the field.
func Load(data []byte) (*Encoder, error) {
	opened, err := fields.Open(data, magic, version, ErrCorrupt, ErrVersion)
	if err != nil {
		return nil, err
	}
	r := reader{opened}

	opts := r.options()
	vocab := r.vocabulary(opts)
	words := r.vectors(vocab.size(), opts.Dim)
	r.End()
	if r.Err() != nil {
		return nil, r.Err()
	}
	return newEncoder(opts, vocab, words), nil
}

// Fingerprint is a hash of the saved form. Encoders with the same fingerprint
// give the same vectors.
func (e *Encoder) Fingerprint() uint64 { return e.fingerprint() }

func (e *Encoder) hash() uint64 {
	data, _ := e.MarshalBinary() // never fails
	sum := sha256.Sum256(data)
	return binary.LittleEndian.Uint64(sum[:8])
}

// reader reads the parts of a saved encoder.
type reader struct{ *fields.Reader }

// int reads a number that options keep as an int.
func (r reader) int(field string) int {
	v := r.Uint64(field)
	if v > math.MaxInt32 {
		r.Fail(field, "%d is too large", v)
	}
	return int(v)
}

func (r reader) options() Options {
	o := Options{Dim: int(r.Uint32("Dim")), Window: int(r.Uint32("Window"))}
	split := r.Uint8("SplitCode")
	if split > 1 {
		r.Fail("SplitCode", "is %d, want 0 or 1", split)
	}
	o.SplitCode = split == 1
	o.Attention = int(r.Uint8("Attention"))
	o.Language = string(r.Bytes("Language", int(r.Uint8("Language"))))
	o.LocalMix = math.Float64frombits(r.Uint64("LocalMix"))
	o.GlobalMix = math.Float64frombits(r.Uint64("GlobalMix"))
	o.MinDocumentFrequency = r.int("MinDocumentFrequency")
	o.MaxVocabulary = r.int("MaxVocabulary")
	o.MaxTrainingTokens = r.int("MaxTrainingTokens")
	o.Seed = r.Uint64("Seed")
	if err := o.Validate(); err != nil && r.Err() == nil {
		r.Fail("options", "%w", err)
	}
	return o
}

func (r reader) vocabulary(opts Options) vocabulary {
	v := vocabulary{texts: r.Uint64("texts"), dropped: r.Uint32("dropped")}
	if v.texts > math.MaxInt64 {
		r.Fail("texts", "%d is too large", v.texts)
	}
	if uint64(v.dropped) > v.texts {
		r.Fail("dropped", "%d of %d texts", v.dropped, v.texts)
	}
	size := int(r.Uint32("words"))
	if size > opts.MaxVocabulary {
		r.Fail("words", "%d, more than MaxVocabulary", size)
	}
	frequencies := r.Bytes("document frequencies", 4*size)
	lengths := r.Bytes("lengths of the words", size)
	if r.Err() != nil {
		return vocabulary{}
	}
	v.df = make([]uint32, size)
	v.words = make([]string, size)
	seen := make(map[string]bool, size)
	for i := range size {
		df := binary.LittleEndian.Uint32(frequencies[4*i:])
		if df == 0 || uint64(df) > v.texts || i > 0 && df > v.df[i-1] {
			r.Fail("document frequencies", "word %d of %d is in %d of %d texts", i, size, df, v.texts)
		}
		word := string(r.Bytes("words", int(lengths[i])))
		switch {
		case r.Err() != nil:
			return vocabulary{}
		case word == "" || !utf8.ValidString(word):
			r.Fail("words", "word %d is %q", i, word)
		case seen[word]:
			r.Fail("words", "%q appears twice", word)
		}
		seen[word] = true
		v.df[i], v.words[i] = df, word
	}
	return v
}

func (r reader) vectors(rows, dim int) words {
	if kind := r.Uint8("kind of vectors"); kind == asCodes {
		return newCodes(r.codes(rows, dim), dim)
	} else if kind != asTable {
		r.Fail("kind of vectors", "is %d, want 0 or 1", kind)
	}
	// A copy, as of everything else.
	data := bytes.Clone(r.Bytes("table", int(r.Uint32("length of the table"))))
	if r.Err() != nil {
		return words{}
	}
	t, err := table.Load(data)
	if err == nil {
		err = fits(t, rows, dim)
	}
	if err != nil {
		r.Fail("table", "%w", err)
	}
	return words{table: t}
}

func (r reader) codes(rows, dim int) []int8 {
	data := r.Bytes("vectors", rows*dim)
	codes := make([]int8, len(data))
	for i, b := range data {
		codes[i] = int8(b)
		if codes[i] == math.MinInt8 {
			r.Fail("vectors", "row %d, column %d is -128", i/dim, i%dim)
			return nil
		}
	}
	for row := range len(codes) / max(dim, 1) {
		if bytes.Count(data[row*dim:(row+1)*dim], []byte{0}) == dim {
			r.Fail("vectors", "row %d is zero", row)
			return nil
		}
	}
	return codes
}
