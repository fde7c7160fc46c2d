package corpus

import (
	"context"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"sync"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/simd"
)

// hashedID marks the ids of words that are not in the table.
const hashedID = 1 << 31

// Encoder is a trained table of words. It is immutable and safe for concurrent
// use. Ids below Vocabulary are rows of the table, most frequent word first;
// an id of 1<<31 or more is a hash of a word outside it.
type Encoder struct {
	opts  Options
	vocab vocabulary
	words words

	// Made from the fields above.
	ids         map[string]uint32
	idf         []float64
	hashedIDF   float64
	analyzers   sync.Pool // of *analyzer
	fingerprint func() uint64
}

var _ encoder.Encoder = (*Encoder)(nil)

func newEncoder(opts Options, vocab vocabulary, words words) *Encoder {
	e := &Encoder{
		opts:      opts,
		vocab:     vocab,
		words:     words,
		ids:       make(map[string]uint32, vocab.size()),
		idf:       make([]float64, vocab.size()),
		hashedIDF: vocab.idf(vocab.dropped),
	}
	for id, word := range vocab.words {
		e.ids[word] = uint32(id)
		e.idf[id] = vocab.idf(vocab.df[id])
	}
	e.analyzers.New = func() any { return newAnalyzer(opts.Language, opts.SplitCode) }
	e.fingerprint = sync.OnceValue(e.hash)
	return e
}

// Dim is the width of every vector.
func (e *Encoder) Dim() int { return e.opts.Dim }

// Options returns the options the encoder was trained with.
func (e *Encoder) Options() Options { return e.opts }

// Vocabulary is the number of words in the table.
func (e *Encoder) Vocabulary() int { return e.vocab.size() }

// Texts is the number of texts the encoder was trained on.
func (e *Encoder) Texts() int { return int(e.vocab.texts) }

// Word returns the word of an id, lower-cased and stemmed, and false for ids
// that are not in the table.
func (e *Encoder) Word(id uint32) (string, bool) {
	if int64(id) >= int64(e.vocab.size()) {
		return "", false
	}
	return e.vocab.words[id], true
}

// ID returns the id of a word as Word gives it, and false for words that are not
// in the table.
func (e *Encoder) ID(word string) (uint32, bool) {
	id, ok := e.ids[word]
	return id, ok
}

// DocumentFrequency is the number of training texts that hold the word. For
// ids outside the table it is that of the most frequent word left out of it,
// an upper bound.
func (e *Encoder) DocumentFrequency(id uint32) int {
	if int64(id) >= int64(e.vocab.size()) {
		return int(e.vocab.dropped)
	}
	return int(e.vocab.df[id])
}

// InverseDocumentFrequency is ln(1 + (N - df + 0.5) / (df + 0.5)) for N texts
// and the document frequency df of the word.
func (e *Encoder) InverseDocumentFrequency(id uint32) float64 {
	if int64(id) >= int64(e.vocab.size()) {
		return e.hashedIDF
	}
	return e.idf[id]
}

// EncodeQuery encodes a query: one row per word occurrence, without stop words
// unless there is nothing else, each as long as the word's inverse document
// frequency. A query without words has no rows.
func (e *Encoder) EncodeQuery(ctx context.Context, text string) (encoder.Tokens, error) {
	if err := ctx.Err(); err != nil {
		return encoder.Tokens{}, err
	}
	return e.encode(text, true), nil
}

// EncodeDocuments encodes texts on all processors: one row of length 1 per
// word occurrence, without stop words unless there is nothing else.
func (e *Encoder) EncodeDocuments(ctx context.Context, texts []string) ([]encoder.Tokens, error) {
	out := make([]encoder.Tokens, len(texts))
	err := parallel(ctx, len(texts), 1, func() func(lo, hi int) {
		return func(lo, hi int) {
			for i := lo; i < hi; i++ {
				out[i] = e.encode(texts[i], false)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (e *Encoder) encode(text string, query bool) encoder.Tokens {
	a := e.analyzers.Get().(*analyzer)
	terms := a.terms(text)
	e.analyzers.Put(a)

	tokens := encoder.Tokens{
		IDs:   make([]uint32, len(terms)),
		Spans: make([]encoder.Span, len(terms)),
	}
	own := simd.NewMatrix(len(terms), e.opts.Dim)
	for i, t := range terms {
		tokens.Spans[i] = t.span
		tokens.IDs[i] = e.lookUp(t.word, own.Row(i))
	}
	tokens.Vectors = e.mix(own, tokens.IDs, query)
	return tokens
}

// lookUp writes the word's own vector, of length 1, and returns its id.
func (e *Encoder) lookUp(word string, vector []float32) uint32 {
	id, ok := e.ids[word]
	if !ok {
		hash := hashWord(word)
		hashVector(vector, hash)
		return uint32(hash) | hashedID
	}
	e.words.row(vector, int(id))
	return id
}

// mix returns a text's vectors in context. Row i is
//
//	L2( (1-a-b)*own[i] + a*L2(near) + b*L2(all) )
//
// with near the sum of idf * own over the window without i, or over all other rows
// by their likeness, and all that over the text; for a query it is multiplied by
// idf. Products are rounded before
// they are added (the conversions forbid fused multiply-add), so that every
// machine gets the same bits.
func (e *Encoder) mix(own simd.Matrix, ids []uint32, query bool) simd.Matrix {
	dim, window := e.opts.Dim, e.opts.Window
	out := simd.NewMatrix(own.Rows, dim)
	all, inWindow := make([]float64, dim), make([]float64, dim)
	near, mixed := make([]float64, dim), make([]float64, dim)

	idf := make([]float64, own.Rows)
	for i, id := range ids {
		idf[i] = e.InverseDocumentFrequency(id)
		addScaled(all, idf[i], own.Row(i))
		if i < window {
			addScaled(inWindow, idf[i], own.Row(i))
		}
	}
	globalShare := share(e.opts.GlobalMix, all)
	for i := range own.Rows {
		// inWindow slides over rows i-window to i+window.
		if window > 0 && i+window < own.Rows {
			addScaled(inWindow, idf[i+window], own.Row(i+window))
		}
		if window > 0 && i > window {
			addScaled(inWindow, -idf[i-window-1], own.Row(i-window-1))
		}
		copy(near, inWindow)
		if window > 0 {
			addScaled(near, -idf[i], own.Row(i))
		}
		if e.opts.Attention > 0 {
			e.attend(near, own, idf, i)
		}
		localShare := share(e.opts.LocalMix, near)
		clear(mixed)
		addScaled(mixed, 1-e.opts.LocalMix-e.opts.GlobalMix, own.Row(i))
		var sum float64
		for d := range mixed {
			mixed[d] += float64(localShare * near[d])
			mixed[d] += float64(globalShare * all[d])
			sum += float64(mixed[d] * mixed[d])
		}
		length := 1.0
		if query {
			length = idf[i]
		}
		row := out.Row(i)
		if sum < 1e-12 { // the context cancels the word
			for d, v := range own.Row(i) {
				row[d] = float32(length * float64(v))
			}
			continue
		}
		length /= math.Sqrt(sum)
		for d, v := range mixed {
			row[d] = float32(length * v)
		}
	}
	return out
}

// attend sets near to the sum of idf * own over all rows but i, each weighted with a
// power of its cosine to row i. Rows have length 1.
func (e *Encoder) attend(near []float64, own simd.Matrix, idf []float64, i int) {
	clear(near)
	row := own.Row(i)
	for j := range own.Rows {
		cosine := 0.0
		for d, v := range own.Row(j) {
			cosine += float64(float64(v) * float64(row[d]))
		}
		if j == i || cosine <= 0 {
			continue
		}
		weight := idf[j]
		for range e.opts.Attention {
			weight *= cosine
		}
		addScaled(near, weight, own.Row(j))
	}
}

// addScaled adds factor * v to sum.
func addScaled(sum []float64, factor float64, v []float32) {
	sum = sum[:len(v)]
	for d, x := range v {
		sum[d] += float64(factor * float64(x))
	}
}

// share is the factor that makes v as long as part; zero for a vector that is
// nothing but rounding errors.
func share(part float64, v []float64) float64 {
	var sum float64
	for _, x := range v {
		sum += float64(x * x)
	}
	if sum < 1e-18 {
		return 0
	}
	return part / math.Sqrt(sum)
}

// hashWord is FNV-1a, 64 bits.
func hashWord(word string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(word))
	return h.Sum64()
}

// hashVector fills v with a pseudo-random direction of length 1: every
// component is plus or minus 1/sqrt(len(v)). Two of them are nearly
// orthogonal, and the signs are exact in int8.
func hashVector(v []float32, hash uint64) {
	size := float32(1 / math.Sqrt(float64(len(v))))
	signs := rand.NewPCG(hash, 0)
	var bits uint64
	for d := range v {
		if d%64 == 0 {
			bits = signs.Uint64()
		}
		v[d] = size
		if bits&1 == 1 {
			v[d] = -size
		}
		bits >>= 1
	}
}
