package bert

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"runtime"

	"github.com/blevesearch/mmap-go"

	"github.com/pare-search/pare/encoder/table"
	"github.com/pare-search/pare/simd"
)

// TableFile is the file beside the weights that holds the embeddings of word pieces
// in place of their tensor, if there is one: a saved table of package table.
const TableFile = "word_embeddings.table"

// wordsTensor is the name of the embeddings of word pieces in a plain BertModel.
const wordsTensor = "embeddings.word_embeddings.weight"

// words are the embeddings of word pieces, [Vocabulary x Hidden], one of the two.
type words struct {
	rows  []float32
	table *table.Table
}

// row returns a piece's embedding, maybe written to scratch, which is as wide.
func (w words) row(scratch []float32, id uint32) []float32 {
	if w.table == nil {
		return w.rows[int(id)*len(scratch):][:len(scratch)]
	}
	w.table.Row(scratch, int(id))
	return scratch
}

// Words returns a copy of the embeddings of word pieces, one row for each id. Those
// of a table are what it makes of them.
func (e *Encoder) Words() simd.Matrix {
	if t := e.model.words.table; t != nil {
		return t.Matrix()
	}
	m := simd.NewMatrix(e.config.Vocabulary, e.config.Hidden)
	copy(m.Data, e.model.words.rows)
	return m
}

// WordTable returns the table of the embeddings of word pieces, nil if they are not
// compressed.
func (e *Encoder) WordTable() *table.Table { return e.model.words.table }

// UnknownWord is the id of the piece that stands for what the vocabulary cannot
// spell, [UNK] in most models: a row for word pieces that are left out.
func (e *Encoder) UnknownWord() int { return int(e.tokenizer.unknown) }

// WithWords returns an encoder like e that looks word pieces up in a table, which is
// saved with it. A projection that e has learnt is kept. The error wraps ErrModel
// if the table has another shape than the model.
func (e *Encoder) WithWords(t *table.Table) (*Encoder, error) {
	if err := e.config.fits(t); err != nil {
		return nil, err
	}
	other := *e
	other.model = e.model.withWords(words{table: t})
	other.added = t
	return &other, nil
}

// fits checks that a table has a row for each piece.
func (c Config) fits(t *table.Table) error {
	if t.Rows() != c.Vocabulary || t.Dim() != c.Hidden {
		return fmt.Errorf("%w: a table of [%d %d] for word embeddings of [%d %d]", ErrModel, t.Rows(), t.Dim(), c.Vocabulary, c.Hidden)
	}
	return nil
}

// withWords returns a copy of m, with a pool of its own, that shares everything
// else.
func (m *model) withWords(w words) *model {
	return &model{
		cfg: m.cfg, words: w, positions: m.positions, inputNorm: m.inputNorm,
		layers: m.layers, activation: m.activation, headWidth: m.headWidth,
	}
}

// openTable maps the table in a file, nil if there is none. It stays mapped as
// long as the table is in use.
func openTable(path string) (*table.Table, error) {
	file, err := openRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close() // the mapping stays
	if info, err := file.Stat(); err != nil {
		return nil, err
	} else if info.Size() == 0 {
		return nil, fmt.Errorf("%w: %s: %d bytes are no table", ErrModel, path, info.Size())
	}
	data, err := mmap.Map(file, mmap.RDONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("mapping %s: %w", path, err)
	}
	t, err := table.Load(data)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s: %w", ErrModel, path, err), data.Unmap())
	}
	runtime.AddCleanup(t, func(data mmap.MMap) { _ = data.Unmap() }, data)
	return t, nil
}

// WordFrequencies counts how often each word piece is looked up when the texts are
// encoded as documents; what every query adds by itself counts once.
func (e *Encoder) WordFrequencies(ctx context.Context, texts iter.Seq2[string, error]) ([]int64, error) {
	counts := make([]int64, e.config.Vocabulary)
	add := func(s *side, text string) {
		for _, id := range e.sequence(s, text).ids {
			counts[id]++
		}
	}
	add(&e.query, "")
	for text, err := range texts {
		if err := cmp.Or(err, ctx.Err()); err != nil {
			return nil, err
		}
		add(&e.document, text)
	}
	return counts, nil
}
