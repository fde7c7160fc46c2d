package bert

import (
	"context"
	"iter"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/pare-search/pare/simd"
	"github.com/pare-search/pare/simd/gemm"
)

// Forward computes the last hidden states of texts, given as token ids, and
// hands them to out: a matrix of [tokens x Hidden] for text i, that is valid
// until out returns. out is called once for every text, in any order, and from
// several goroutines at the same time when there are several workers.
//
// attended gives for each text how many tokens, from the first, all of its
// tokens attend to: the others' states are computed but change nothing else. nil
// is all.
//
// Workers compute groups of texts; where there are fewer groups than workers,
// several compute one group together. A text's states do not depend on the
// other texts or on the number of workers.
//
// Errors wrap ErrTokens, before any text is computed, or are those of ctx,
// after which some texts are missing.
func (m *model) Forward(ctx context.Context, texts [][]uint32, attended []int, workers int, out func(i int, hidden simd.Matrix)) error {
	if err := m.checkTokens(texts, attended); err != nil {
		return err
	}
	workers = max(workers, 1)
	groups := batches(texts, workers)
	if len(groups) == 0 {
		return ctx.Err()
	}
	each := max(workers/len(groups), 1)
	var next atomic.Int64
	var running sync.WaitGroup
	work := func() {
		for ctx.Err() == nil {
			g := int(next.Add(1)) - 1
			if g >= len(groups) {
				return
			}
			m.compute(ctx, texts, attended, groups[g], each, out)
		}
	}
	for range min(workers, len(groups)) - 1 {
		running.Go(work)
	}
	work()
	running.Wait()
	return ctx.Err()
}

// compute runs one group of texts.
func (m *model) compute(ctx context.Context, texts [][]uint32, attended, group []int, workers int, out func(int, simd.Matrix)) {
	b := m.batch(ctx, texts, attended, group, workers)
	defer b.release()
	for i := 1; i < workers; i++ {
		b.running.Go(b.workers[i].run)
	}
	b.workers[0].run()
	b.running.Wait()
	if ctx.Err() != nil {
		return
	}
	for j, i := range group {
		out(i, b.hidden(b.texts[j]))
	}
}

// step counts the tasks of one step of a batch.
type step struct{ next, done atomic.Int32 }

// tasks yields those of the next step's n tasks that fall to the worker, and
// then waits until all are done. A worker that comes late finds the tasks taken
// and goes on to where the others are.
//
// Waiting is a loop: a step of a single query takes some ten microseconds, and
// so would putting a goroutine to sleep and waking it.
func (w *worker) tasks(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		if len(w.workers) == 1 {
			for i := range n {
				yield(i)
			}
			return
		}
		s := &w.steps[w.step]
		w.step++
		for i := int(s.next.Add(1)) - 1; i < n; i = int(s.next.Add(1)) - 1 {
			yield(i)
			s.done.Add(1)
		}
		for int(s.done.Load()) < n {
			runtime.Gosched()
		}
	}
}

// run is the forward pass: embeddings, then in every layer attention and two
// linear layers, each added to its input and normalised.
func (w *worker) run() {
	w.embed()
	for i := range w.layers {
		if w.ctx.Err() != nil {
			return
		}
		l := &w.layers[i]
		for x, first := range w.blocks() {
			w.project(l.qkv, x, first)
		}
		w.attend()
		for x, first := range w.blocks() {
			w.dense(l.output, w.sums, w.context.From(first, first+x.Count), nil)
			w.normalize(x, l.outputNorm)
			w.dense(l.up, w.inner, x, w.activation)
			w.dense(l.down, w.sums, w.inner.From(0, x.Count), nil)
			w.normalize(x, l.downNorm)
		}
	}
}

// blocks yields the rows of the batch, so many at a time, and the first one's
// number.
func (b *batch) blocks() iter.Seq2[gemm.Rows, int] {
	return func(yield func(gemm.Rows, int) bool) {
		for first := 0; first < b.x.Count; first += blockRows {
			if !yield(b.x.From(first, min(first+blockRows, b.x.Count)), first) {
				return
			}
		}
	}
}

// embed writes the sum of every token's embeddings, normalised.
func (w *worker) embed() {
	hidden := w.cfg.Hidden
	for i := range w.tasks(len(w.texts)) {
		t := w.texts[i]
		for j, id := range t.ids {
			dst := w.x.Data[(t.first+j)*w.x.Stride:][:hidden]
			gemm.AddNorm(dst, w.words.row(dst, id), w.positions[j*hidden:][:hidden],
				w.inputNorm.gamma, w.inputNorm.beta, float32(w.cfg.Epsilon))
		}
	}
}

// project makes the queries, keys and values of a block of tokens.
func (w *worker) project(d dense, x gemm.Rows, first int) {
	perHead := w.headWidth / gemm.Panel
	perMatrix := w.cfg.Heads * perHead
	var in input
	for p := range w.tasks(d.panels()) {
		if in.rows.Count == 0 {
			in = d.prepare(x, w.bytes)
		}
		var dst gemm.Rows
		panel := p % perMatrix
		head, column := panel/perHead, panel%perHead*gemm.Panel
		switch p / perMatrix {
		case 0:
			dst = w.head(w.queries, head).Columns(column)
		case 1:
			dst = w.head(w.keys, head).Columns(column)
		default:
			dst = w.panel(panel)
		}
		d.multiply(dst.From(first, first+x.Count), in, p)
	}
}

// head returns the queries or keys of a head.
func (b *batch) head(of []float32, head int) gemm.Rows {
	return gemm.Rows{Data: of[head*b.x.Count*b.headWidth:], Count: b.x.Count, Stride: b.headWidth}
}

// panel returns a panel of the values.
func (b *batch) panel(i int) gemm.Rows {
	return gemm.Rows{Data: b.values[i*b.x.Count*gemm.Panel:], Count: b.x.Count, Stride: gemm.Panel}
}

// attend makes every token's context.
func (w *worker) attend() {
	for i := range w.tasks(len(w.texts) * w.cfg.Heads) {
		w.attendHead(w.texts[i/w.cfg.Heads], i%w.cfg.Heads)
	}
}

// attendHead makes a head's share of the context of a text's tokens: the mean
// of the values of those attended to, weighted by the softmax of the query's
// products with their keys.
func (w *worker) attendHead(t text, head int) {
	width := gemm.RoundUp(t.attended)
	keys := w.head(w.keys, head).From(t.first, t.first+t.attended)
	for k := 0; k < width; k += gemm.Panel {
		gemm.Transpose(w.keyPanels[k*w.headWidth:], keys.From(k, t.attended), w.headWidth)
	}
	var zero [gemm.Panel]float32
	scale := float32(1 / math.Sqrt(float64(w.cfg.Hidden/w.cfg.Heads)))
	last := t.first + len(t.ids)
	for first := t.first; first < last; first += attentionRows {
		queries := w.head(w.queries, head).From(first, min(first+attentionRows, last))
		scores := gemm.Rows{Data: w.scores, Count: queries.Count, Stride: width}
		for k := 0; k < width; k += gemm.Panel {
			gemm.Multiply(scores.Columns(k), queries, w.keyPanels[k*w.headWidth:], w.headWidth, &zero)
		}
		gemm.Softmax(scores, t.attended, scale)
		context := w.context.From(first, first+queries.Count)
		for column := head * w.headWidth; column < (head+1)*w.headWidth; column += gemm.Panel {
			values := w.panel(column/gemm.Panel).From(t.first, last)
			gemm.Multiply(context.Columns(column), scores, values.Data, t.attended, &zero)
		}
	}
}

// dense applies a linear layer to a block of rows, and then f to its outputs.
func (w *worker) dense(d dense, dst, rows gemm.Rows, f func(gemm.Rows)) {
	dst = dst.From(0, rows.Count)
	var in input
	for p := range w.tasks(d.panels()) {
		if in.rows.Count == 0 {
			in = d.prepare(rows, w.bytes)
		}
		columns := dst.Columns(p * gemm.Panel)
		d.multiply(columns, in, p)
		if f != nil {
			f(columns)
		}
	}
}

// normalize adds the sums of a block to its rows.
func (w *worker) normalize(x gemm.Rows, n layerNorm) {
	hidden := w.cfg.Hidden
	for i := range w.tasks(x.Count) {
		row := x.Data[i*x.Stride:][:hidden]
		gemm.AddNorm(row, row, w.sums.Data[i*w.sums.Stride:][:hidden], n.gamma, n.beta, float32(w.cfg.Epsilon))
	}
}

// hidden returns the rows of a text without what lies between them.
func (b *batch) hidden(t text) simd.Matrix {
	dim, rows := b.cfg.Hidden, len(t.ids)
	m := simd.Matrix{Rows: rows, Dim: dim, Data: b.x.Data[t.first*b.x.Stride:]}
	if b.x.Stride > dim {
		m.Data = b.context.Data
		for i := range rows {
			copy(m.Data[i*dim:], b.x.Data[(t.first+i)*b.x.Stride:][:dim])
		}
	}
	m.Data = m.Data[: rows*dim : rows*dim]
	return m
}
