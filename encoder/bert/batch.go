package bert

import (
	"errors"
	"fmt"
	"slices"

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

// workspace is the memory for one batch of texts.
type workspace struct {
	x       gemm.Rows // the hidden states, [tokens x Hidden]
	context gemm.Rows // what attention gives
	// Of each head, the queries and the keys of all tokens, and of each panel
	// the values.
	queries, keys, values []float32
	tokens                int       // that a head or panel has memory for
	sums                  gemm.Rows // of a block, before normalisation
	inner                 gemm.Rows // of a block, [blockRows x Intermediate]
	scratch               []scratch
}

// scratch is the memory of one worker.
type scratch struct {
	scores    []float32 // of attentionRows tokens
	keyPanels []float32 // the keys of one head of a text, transposed
	bytes     gemm.Bytes
}

// workspace returns memory for a batch of so many tokens, the longest text having
// longest of them, computed by so many workers.
func (m *model) workspace(tokens, longest, parts int) *workspace {
	s, _ := m.pool.Get().(*workspace)
	if s == nil {
		s = new(workspace)
	}
	heads := m.cfg.Heads * m.headWidth
	s.tokens = tokens
	s.x = grow(s.x, tokens, gemm.RoundUp(m.cfg.Hidden))
	s.context = grow(s.context, tokens, heads)
	// Kernels read whole panels of keys and whole tiles of queries.
	all := (tokens*m.cfg.Heads + gemm.Panel) * m.headWidth
	s.queries, s.keys, s.values = enough(s.queries, all), enough(s.keys, all), enough(s.values, all)
	block := min(blockRows, tokens)
	s.sums = grow(s.sums, block, gemm.RoundUp(m.cfg.Hidden))
	s.inner = grow(s.inner, block, gemm.RoundUp(m.cfg.Intermediate))
	for len(s.scratch) < parts {
		s.scratch = append(s.scratch, scratch{})
	}
	widest := max(s.x.Stride, s.context.Stride, s.inner.Stride)
	for i := range s.scratch[:parts] {
		p := &s.scratch[i]
		p.scores = enough(p.scores, attentionRows*gemm.RoundUp(longest))
		p.keyPanels = enough(p.keyPanels, gemm.RoundUp(longest)*m.headWidth)
		if m.layers[0].qkv.bytes != nil && len(p.bytes.Scales) < gemm.TileRows(block) {
			p.bytes = gemm.NewBytes(block, widest)
		}
	}
	return s
}

// grow returns memory for rows of the given width, whole tiles of them, that
// holds zeros or what it held before.
func grow(r gemm.Rows, rows, width int) gemm.Rows {
	return gemm.Rows{Data: enough(r.Data, gemm.TileRows(rows)*width), Count: rows, Stride: width}
}

func enough(s []float32, n int) []float32 {
	if len(s) >= n {
		return s
	}
	return make([]float32, n)
}
