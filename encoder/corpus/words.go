package corpus

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"

	"github.com/pare-search/pare/encoder/table"
	"github.com/pare-search/pare/simd"
)

// The kinds of vectors in a saved encoder.
const (
	asCodes = 0
	asTable = 1
)

// words are the vectors of the words of the table, one of the two.
type words struct {
	codes  []int8    // dim of each word
	scales []float64 // of each word's codes, so that its vector has length 1
	table  *table.Table
}

func newCodes(codes []int8, dim int) words {
	w := words{codes: codes, scales: make([]float64, len(codes)/max(dim, 1))}
	for id := range w.scales {
		sum := 0
		for _, c := range codes[id*dim : (id+1)*dim] {
			sum += int(c) * int(c)
		}
		w.scales[id] = 1 / math.Sqrt(float64(sum))
	}
	return w
}

// row writes a word's vector, of length 1; one of a table that is all zero stays
// so.
func (w words) row(vector []float32, id int) {
	if w.table != nil {
		w.table.Row(vector, id)
		simd.Matrix{Rows: 1, Dim: len(vector), Data: vector}.Normalize()
		return
	}
	for d, c := range w.codes[id*len(vector):][:len(vector)] {
		vector[d] = float32(w.scales[id] * float64(c))
	}
}

func (w words) append(b []byte) []byte {
	if w.table != nil {
		saved, _ := w.table.MarshalBinary() // never fails
		b = binary.LittleEndian.AppendUint32(append(b, asTable), uint32(len(saved)))
		return append(b, saved...)
	}
	b = append(b, asCodes)
	for _, c := range w.codes {
		b = append(b, byte(c))
	}
	return b
}

// ErrTable reports a table that has another shape than the encoder's.
var ErrTable = errors.New("corpus: table of another shape")

func fits(t *table.Table, rows, dim int) error {
	if t.Rows() != rows || t.Dim() != dim {
		return fmt.Errorf("%w: [%d %d] for %d words of %d dimensions", ErrTable, t.Rows(), t.Dim(), rows, dim)
	}
	return nil
}

// Words returns a copy of the vectors of words, one row of length 1 for each id.
func (e *Encoder) Words() simd.Matrix {
	m := simd.NewMatrix(e.Vocabulary(), e.opts.Dim)
	for id := range m.Rows {
		e.words.row(m.Row(id), id)
	}
	return m
}

// WordTable returns the table of the vectors of words, nil if they are not
// compressed.
func (e *Encoder) WordTable() *table.Table { return e.words.table }

// WithWords returns an encoder like e that takes the vectors of words from a table,
// which is saved with it. The error wraps ErrTable.
func (e *Encoder) WithWords(t *table.Table) (*Encoder, error) {
	if err := fits(t, e.Vocabulary(), e.opts.Dim); err != nil {
		return nil, err
	}
	return newEncoder(e.opts, e.vocab, words{table: t}), nil
}

// WordFrequencies counts how often the vector of each word is looked up when the
// texts are encoded as documents.
func (e *Encoder) WordFrequencies(ctx context.Context, texts iter.Seq2[string, error]) ([]int64, error) {
	counts := make([]int64, e.Vocabulary())
	a := newAnalyzer(e.opts.Language, e.opts.SplitCode)
	for text, err := range texts {
		if err := cmp.Or(err, ctx.Err()); err != nil {
			return nil, err
		}
		for _, t := range a.terms(text) {
			if id, ok := e.ids[t.word]; ok {
				counts[id]++
			}
		}
	}
	return counts, nil
}
