package bert

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/pare-search/pare/simd/gemm"
)

// ErrTokens reports texts that a model cannot take: ids outside its vocabulary
// or more tokens than it has positions.
var ErrTokens = errors.New("bert: invalid tokens")

// Tokens that are computed together. Their texts lie one after the other
// without padding, so that the lengths need not be alike; more tokens share the
// cost of reading the weights, fewer need less memory.
const (
	maxBatch = 1024
	minBatch = 192
)

// checkTokens reports the first text that the model cannot take.
func (m *model) checkTokens(texts [][]uint32, attended []int) error {
	if attended != nil && len(attended) != len(texts) {
		return fmt.Errorf("%w: %d numbers of attended tokens for %d texts", ErrTokens, len(attended), len(texts))
	}
	for i, ids := range texts {
		if len(ids) > m.cfg.Positions {
			return fmt.Errorf("%w: text %d has %d tokens, the model takes %d", ErrTokens, i, len(ids), m.cfg.Positions)
		}
		for j, id := range ids {
			if uint64(id) >= uint64(m.cfg.Vocabulary) {
				return fmt.Errorf("%w: text %d, token %d is %d of a vocabulary of %d", ErrTokens, i, j, id, m.cfg.Vocabulary)
			}
		}
		if attended != nil && (attended[i] < min(len(ids), 1) || attended[i] > len(ids)) {
			return fmt.Errorf("%w: text %d has %d tokens of which %d are attended to", ErrTokens, i, len(ids), attended[i])
		}
	}
	return nil
}

// batches groups the numbers of texts so that every group but those of a single
// long text has at most as many tokens as it takes to keep the workers busy.
// The longest texts come first, so that the workers finish together.
func batches(texts [][]uint32, workers int) [][]int {
	total := 0
	order := make([]int, len(texts))
	for i, ids := range texts {
		order[i] = i
		total += len(ids)
	}
	slices.SortStableFunc(order, func(a, b int) int { return len(texts[b]) - len(texts[a]) })
	limit := min(max(total/(4*workers), minBatch), maxBatch)
	var groups [][]int
	for len(order) > 0 {
		tokens, n := 0, 0
		for n < len(order) && (n == 0 || tokens+len(texts[order[n]]) <= limit) {
			tokens += len(texts[order[n]])
			n++
		}
		groups = append(groups, order[:n])
		order = order[n:]
	}
	return groups
}

// blockRows is how many tokens go through the linear layers together: the
// widest of their vectors fit a processor's second cache. It is a multiple of
// the kernels' tiles.
const blockRows = 96

// attentionRows is how many queries of a head are compared with all keys
// together.
const attentionRows = 48

// batch is one group of texts on its way through the layers, with the memory
// for it, which goes back to the model's pool.
type batch struct {
	*model
	ctx     context.Context
	texts   []text
	workers []worker
	running sync.WaitGroup
	steps   []step // if there are several workers

	x       gemm.Rows // the hidden states, [tokens x Hidden]
	context gemm.Rows // what attention gives
	// Of each head the queries and the keys of all tokens, and of each panel
	// the values.
	queries, keys, values []float32
	sums                  gemm.Rows // of a block, before normalisation
	inner                 gemm.Rows // of a block, [blockRows x Intermediate]
}

// text is one text of a batch.
type text struct {
	ids      []uint32
	first    int // its row
	attended int
}

// worker is one of the goroutines that compute a batch, with memory of its own.
// All run the same steps and take tasks from each.
type worker struct {
	*batch
	step      int
	scores    []float32 // of attentionRows tokens
	keyPanels []float32 // the keys of one head of a text, transposed
	bytes     gemm.Bytes
}

// batch returns a group of texts ready to be computed by so many workers.
func (m *model) batch(ctx context.Context, texts [][]uint32, attended, group []int, workers int) *batch {
	b, _ := m.pool.Get().(*batch)
	if b == nil {
		b = &batch{model: m}
	}
	b.ctx, b.texts = ctx, b.texts[:0]
	tokens, longest := 0, 0
	for _, i := range group {
		t := text{texts[i], tokens, len(texts[i])}
		if attended != nil {
			t.attended = attended[i]
		}
		b.texts = append(b.texts, t)
		tokens += len(t.ids)
		longest = max(longest, len(t.ids))
	}
	b.makeRoom(tokens)
	b.workers = slices.Grow(b.workers[:0], workers)[:workers]
	for i := range b.workers {
		b.workers[i].batch = b
		b.workers[i].makeRoom(longest)
	}
	b.steps = b.steps[:0]
	if workers > 1 {
		blocks := (tokens + blockRows - 1) / blockRows
		b.steps = make([]step, 1+len(m.layers)*(1+6*blocks))
	}
	return b
}

// release gives the memory back.
func (b *batch) release() {
	b.ctx = nil
	clear(b.texts)
	b.pool.Put(b)
}

// makeRoom makes memory for so many tokens.
func (b *batch) makeRoom(tokens int) {
	heads := b.cfg.Heads * b.headWidth
	b.x = grow(b.x, tokens, gemm.RoundUp(b.cfg.Hidden))
	b.context = grow(b.context, tokens, heads)
	// Kernels read whole panels of keys and whole tiles of queries.
	all := tokens*heads + gemm.Panel*b.headWidth
	b.queries, b.keys, b.values = enough(b.queries, all), enough(b.keys, all), enough(b.values, all)
	block := min(blockRows, tokens)
	b.sums = grow(b.sums, block, gemm.RoundUp(b.cfg.Hidden))
	b.inner = grow(b.inner, block, gemm.RoundUp(b.cfg.Intermediate))
}

// makeRoom makes memory for texts of at most so many tokens.
func (w *worker) makeRoom(longest int) {
	w.step = 0
	w.scores = enough(w.scores, attentionRows*gemm.RoundUp(longest))
	w.keyPanels = enough(w.keyPanels, gemm.RoundUp(longest)*w.headWidth)
	if w.layers[0].qkv.bytes != nil && len(w.bytes.Scales) < gemm.TileRows(w.sums.Count) {
		w.bytes = gemm.NewBytes(w.sums.Count, max(w.x.Stride, w.context.Stride, w.inner.Stride))
	}
}

// grow returns memory for rows of the given width, whole tiles of them, that
// holds zeros or what it held before.
func grow(r gemm.Rows, rows, width int) gemm.Rows {
	return gemm.Rows{Data: enough(r.Data, gemm.TileRows(rows)*width), Count: rows, Stride: width}
}

// enough returns at least n values: s, or new ones with room for a batch that
// is a little larger.
func enough(s []float32, n int) []float32 {
	if len(s) >= n {
		return s
	}
	return make([]float32, n+n/8)
}
